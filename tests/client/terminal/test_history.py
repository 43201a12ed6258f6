"""The input history: what the next run finds, and errors of the file."""

import asyncio
import os
import stat
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from prompt_toolkit.history import FileHistory

from hubbub.client.state.private_files import locked
from hubbub.client.terminal import history as history_module
from hubbub.client.terminal.history import ENTRY_BYTES, HISTORY_BYTES, HISTORY_LINES, LineHistory
from testing.waiting import ROOT

CHILD_SECONDS = 30.0  # for a process of a test: a slow machine's start included


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "config"


class Run:
    """One run of the client: its history and the errors it has reported."""

    def __init__(self, folder: Path) -> None:
        self.errors: list[str] = []
        self.history = LineHistory(folder, self.errors.append, lambda line: "secret" not in line)

    def type(self, *lines: str) -> None:
        """Type lines."""
        for line in lines:
            self.history.append_string(line)

    def lines(self) -> list[str]:
        """Return what Up would show, oldest first, loaded as an editor does."""

        async def load() -> list[str]:
            return [line async for line in self.history.load()]

        return asyncio.run(load())[::-1]


def stored_lines(folder: Path) -> list[str]:
    """Return the lines that the next run finds."""
    run = Run(folder)
    lines = run.lines()
    assert run.errors == []
    return lines


def write(folder: Path, content: bytes) -> Path:
    """Write `content` to the history file in `folder` and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / "history"
    path.write_bytes(content)
    return path


# ---------------------------------------------------------------------------------------------------------- over runs


def test_first_run(folder: Path) -> None:
    """It has no lines, creates no folder, and reports no error."""
    assert stored_lines(folder) == []
    assert not folder.exists()


def test_lines_are_stored(folder: Path) -> None:
    """In their order, whatever they contain; a paste is one line."""
    lines = ["hello", "  мила 👩‍👩‍👧 ", "+1", "# no comment", "a\n\n+b\n#\n", "tab\tand\rreturn", "", "\n"]
    run = Run(folder)
    assert run.lines() == []
    run.type(*lines)
    assert run.lines() == stored_lines(folder) == lines
    assert run.errors == []


def test_later_runs_append(folder: Path) -> None:
    """Each run continues the file."""
    for line in ("a", "b", "c"):
        Run(folder).type(line)
    assert stored_lines(folder) == ["a", "b", "c"]


def test_lines_typed_before_loading(folder: Path) -> None:
    """They are in the history once, stored or not, after the earlier ones."""
    Run(folder).type("a")
    run = Run(folder)
    run.type("b", "my secret")
    assert run.lines() == ["a", "b", "my secret"]
    assert run.lines() == ["a", "b", "my secret"]


def test_loading_does_not_wait(folder: Path) -> None:
    """The event loop of the editor gets all lines in one step, without a thread."""
    Run(folder).type("a", "b")
    loading = Run(folder).history.load()
    steps = [loading.__anext__(), loading.__anext__(), loading.__anext__()]
    found = []
    for step in steps:
        try:
            step.send(None)  # a step that has to wait would return here
            pytest.fail("the loading waits")
        except StopIteration as answer:
            found.append(answer.value)
        except StopAsyncIteration:
            found.append(None)
    assert found == ["b", "a", None]


def test_file_is_private(folder: Path) -> None:
    """Also one that was not private before."""
    Run(folder).type("hello")
    path = folder / "history"
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(path.stat().st_mode)) == (0o700, 0o600)
    path.chmod(0o644)
    assert stored_lines(folder) == ["hello"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_file_format_of_prompt_toolkit(folder: Path) -> None:
    """Its FileHistory reads our file, and we read its file."""
    Run(folder).type("a", "b\nc")
    editor = FileHistory(folder / "history")
    assert list(editor.load_history_strings()) == ["b\nc", "a"]
    editor.store_string("d")
    assert stored_lines(folder) == ["a", "b\nc", "d"]


# -------------------------------------------------------------------------------------------------- what is not stored


def test_repeated_line(folder: Path) -> None:
    """It is stored once, in one run and over two, unless another line is between."""
    Run(folder).type("a", "a", "b", "a")
    run = Run(folder)
    run.type("a")
    assert run.lines() == stored_lines(folder) == ["a", "b", "a"]


def test_line_that_may_not_be_stored(folder: Path) -> None:
    """It is in the history of this run and not in the file."""
    run = Run(folder)
    run.type("a", "my secret", "b")
    assert run.lines() == ["a", "my secret", "b"]
    assert b"secret" not in (folder / "history").read_bytes()
    assert stored_lines(folder) == ["a", "b"]


def test_oversized_line(folder: Path) -> None:
    """It is in the history of this run only, and there is no error."""
    run = Run(folder)
    run.type("a", "x" * ENTRY_BYTES, "b")
    assert [len(line) for line in run.lines()] == [1, ENTRY_BYTES, 1]
    assert stored_lines(folder) == ["a", "b"]
    assert run.errors == []


def test_text_without_utf_8(folder: Path) -> None:
    """Half a surrogate pair becomes a question mark."""
    Run(folder).type("a\ud83db")
    assert stored_lines(folder) == ["a?b"]


# ---------------------------------------------------------------------------------------------------------- long files


def test_newest_lines_are_stored(folder: Path) -> None:
    """The file has HISTORY_LINES lines at most after a start, and is still private."""
    lines = [str(number) for number in range(HISTORY_LINES + 5)]
    Run(folder).type(*lines)
    assert stored_lines(folder) == lines[5:]
    path = folder / "history"
    assert len(list(FileHistory(path).load_history_strings())) == HISTORY_LINES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stored_lines(folder) == lines[5:]


def test_shortened_file_stays_linked(folder: Path, tmp_path: Path) -> None:
    """The target of the symbolic link is replaced."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"".join(b"\n#\n+%d\n" % number for number in range(HISTORY_LINES + 1)))
    folder.mkdir()
    (folder / "history").symlink_to(elsewhere)
    assert stored_lines(folder)[0] == "1"
    assert (folder / "history").is_symlink()
    assert elsewhere.read_bytes().startswith(b"\n#\n+1\n")


@pytest.mark.parametrize("separator", [b"\n#\n", b"\n# 2025-11-22 12:00:00\n"])
def test_huge_file(folder: Path, separator: bytes) -> None:
    """Its end is read from the start of a line, and the rest is removed."""
    line = b"x" * 9_000 + b"\n+" + b"y" * 9_000
    path = write(folder, b"".join(separator + b"+" + line + b"\n" for _ in range(2 * HISTORY_BYTES // len(line))))
    lines = stored_lines(folder)
    assert len(lines) == HISTORY_BYTES // (len(separator) + len(line) + 2)
    assert set(lines) == {"x" * 9_000 + "\n" + "y" * 9_000}
    assert path.stat().st_size <= HISTORY_BYTES


# --------------------------------------------------------------------------------------------------------- bad content


def test_bytes_that_are_not_utf_8(folder: Path) -> None:
    """They become replacement characters, and the other lines are unchanged."""
    write(folder, b"\n#\n+a\n\n#\n+b\xff\xfeb\n\n#\n+c\n")
    assert stored_lines(folder) == ["a", "b\ufffd\ufffdb", "c"]


@pytest.mark.parametrize("content", [b"", b"\n", b"\x00" * 5_000, b"no history\nat all", b"\xfe\r+" * 500_000])
def test_file_without_history(folder: Path, content: bytes) -> None:
    """It has no lines, and new ones are appended."""
    write(folder, content.replace(b"\n+", b"\n-").removeprefix(b"+"))
    assert stored_lines(folder) == []
    Run(folder).type("a")
    assert stored_lines(folder) == ["a"]


def test_truncated_line(folder: Path) -> None:
    """The next line is not mixed with it."""
    write(folder, b"\n#\n+a\n\n#\n+cut \xf0\x9f")
    Run(folder).type("b")
    assert stored_lines(folder) == ["a", "cut \ufffd", "b"]


# ----------------------------------------------------------------------------------------- what cannot be read, written


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "no folder"])
def test_unusable_file(folder: Path, kind: str) -> None:
    """The run continues in memory and reports it once, with the path and the reason."""
    path = folder / "history"
    if kind != "no folder":
        folder.mkdir()
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path)
        case "no folder":
            folder.write_text("mine")
    run = Run(folder)
    run.type("a", "b")
    assert run.lines() == ["a", "b"]
    run.type("c")
    assert run.lines() == ["a", "b", "c"]
    assert len(run.errors) == 1
    assert f"not remembered: {path}: " in run.errors[0]


def test_folder_that_cannot_be_created(tmp_path: Path) -> None:
    """The error is reported with the first line that is typed."""
    folder = tmp_path / "config"
    folder.symlink_to(tmp_path / "gone" / "config")
    run = Run(folder)
    assert (run.lines(), run.errors) == ([], [])
    run.type("a", "b")
    assert run.lines() == ["a", "b"]
    assert len(run.errors) == 1


LIMITED = """
import resource, sys
from pathlib import Path
from hubbub.client.terminal.history import LineHistory
resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
history = LineHistory(Path(sys.argv[1]), print)
history.append_string("a line that does not fit")
print(history.load_history_strings())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit for a file")
def test_disk_full_in_the_middle_of_a_line(folder: Path) -> None:
    """It is reported once, the lines stay in memory, and the next run continues after the truncated line."""
    Run(folder).type("first")
    child = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=CHILD_SECONDS
    )
    error, lines = child.stdout.splitlines()
    assert "not remembered" in error
    assert lines == str(["a line that does not fit", "first"])
    Run(folder).type("again")
    assert stored_lines(folder) == ["first", "a line", "again"]


def test_long_file_that_cannot_be_shortened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines are loaded, and the file is unchanged."""

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    path = write(folder, b"".join(b"\n#\n+%d\n" % number for number in range(HISTORY_LINES + 1)))
    before = path.read_bytes()
    monkeypatch.setattr(history_module, "replace_private", refuse)
    run = Run(folder)
    assert len(run.lines()) == HISTORY_LINES
    assert (len(run.errors), path.read_bytes()) == (1, before)


# --------------------------------------------------------------------------------------------------------- two clients


@pytest.mark.skipif(sys.platform == "win32", reason="there is no lock")
def test_line_waits_for_another_client(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not written into a file that is being replaced."""
    run = Run(folder)
    run.type("a")

    def finish(_: float) -> None:
        write(folder, b"\n#\n+shortened\n")
        other.close()

    with ExitStack() as other:
        other.enter_context(locked(folder))
        monkeypatch.setattr(time, "sleep", finish)
        run.type("b")
    assert stored_lines(folder) == ["shortened", "b"]


TYPING = """
import sys
from pathlib import Path
from hubbub.client.state import private_files as folder
from hubbub.client.terminal import history
folder.LOCK_SECONDS = 30.0  # nobody may give up here
history.HISTORY_LINES = 150  # so that the file is shortened again and again
print("ready", flush=True)
sys.stdin.readline()
for run in range(10):
    lines = history.LineHistory(Path(sys.argv[1]), sys.exit)
    for number in range(10):
        lines.append_string(f"{sys.argv[2]} {run}\\n{number}")
"""


def test_two_clients_at_the_same_time(folder: Path) -> None:
    """Every line is whole and in order, and none is lost while the other client shortens the file."""
    pipe = subprocess.PIPE
    write(folder, b"".join(b"\n#\n+old %d\n" % number for number in range(149)))
    commands = [[sys.executable, "-c", TYPING, str(folder), name] for name in "ab"]
    children = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) for command in commands]
    try:
        assert [child.stdout.readline() for child in children if child.stdout] == ["ready\n"] * 2
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        for child in children:
            child.communicate(timeout=CHILD_SECONDS)
        assert [child.returncode for child in children] == [0, 0]
    finally:
        for child in children:
            child.kill()
            child.communicate()
    lines = stored_lines(folder)
    typed = {name: [f"{name} {run}\n{number}" for run in range(10) for number in range(10)] for name in "ab"}
    for name, own in typed.items():
        found = [line for line in lines if line.startswith(name)]
        assert found == own[len(own) - len(found) :]
    assert len([line for line in lines if not line.startswith("old")]) >= 150
