"""Tests of whole programs that are killed and started again."""

import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from hubbub.server.journal.sqlite import SqliteJournal
from testing.crashing_server import POINTS
from testing.server import ServerProcess, refused
from testing.waiting import ROOT
from testing.wire_client import WireClient
from tests.stories.story import Story, stored_lines


def stored(path: Path, room: str = "lobby") -> list[bytes]:
    """Return the lines that a journal file stores of a room."""
    journal = SqliteJournal(path)
    try:
        return stored_lines(journal, room)
    finally:
        journal.close()


def texts(lines: list[str]) -> list[str]:
    """Return the last words of the messages among lines."""
    return [line.split()[-1] for line in lines if line.startswith("/say")]


@pytest.mark.timeout(180)
def test_no_message_is_lost_or_doubled(tmp_path: Path) -> None:
    """Eight clients, four kills, broken connections, one stopped client: each client sees each line once."""
    outcome = Story(tmp_path, kills=4, seed=7).play()
    assert outcome.is_clean, outcome


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("times", [1, 3])
def test_a_post_is_stored_once_wherever_the_server_dies(tmp_path: Path, point: str, times: int) -> None:
    """The client sends it again after the server died between receiving and acknowledging it."""
    with ServerProcess(tmp_path) as first, WireClient(first.address) as alice:
        alice.send("/name alice")
        token = alice.read_match("/welcome").split()[3]
        alice.read_until("/entered")
        first.process.kill()
    with ServerProcess(tmp_path, faulty=(point, str(times))) as faulty, WireClient(faulty.address) as alice:
        posts = [f"/post {number} {number}" for number in range(1, 6)]
        alice.send(f"/resume {token} lobby 0")
        with pytest.raises((EOFError, ConnectionError)):
            for number, post in enumerate(posts, 1):
                alice.send(post)
                alice.read_until(f"/ack {number}")
        assert faulty.process.wait(10) == -9
    with ServerProcess(tmp_path) as last, WireClient(last.address) as alice:
        alice.send(f"/resume {token} lobby 0")
        accepted = int(alice.read_match("/welcome").split()[-1])
        alice.send(*posts[accepted:], "/history")
        assert texts(alice.read_until("/end history"))[-5:] == ["1", "2", "3", "4", "5"]
        assert last.stop()[0] == 0
    assert [line.split()[-1] for line in stored(tmp_path / "chat_journal.db")] == [b"1", b"2", b"3", b"4", b"5"]


def test_a_line_that_a_client_received_survives_the_server(tmp_path: Path) -> None:
    """The server is killed in a flood; the journal has every line that was received, with the same number."""
    with ServerProcess(tmp_path, "--rate", "0") as server, WireClient(server.address, "alice") as alice:
        alice.send(*map(str, range(20_000)))
        received = alice.read_until("/say lobby 5000 ")
        server.process.kill()
        received += alice.read_to_end()
    lines = stored(tmp_path / "chat_journal.db")
    said = [line.encode() for line in received if line.startswith("/say")]
    assert len(said) >= 5_000
    assert lines[: len(said)] == said
    assert [int(line.split()[2]) for line in lines] == list(range(1, len(lines) + 1))


def test_a_full_disk_delays_messages_and_loses_none(tmp_path: Path) -> None:
    """A limit on the file size stands for the full disk; after it is lifted all messages arrive in order."""
    with ServerProcess(tmp_path, "--rate", "0") as server, WireClient(server.address, "alice") as alice:
        process = psutil.Process(server.process.pid)
        process.rlimit(psutil.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        alice.send(*[f"/post {number} {'x' * 500}-{number}" for number in range(1, 1_001)])
        seen = alice.read_until("/notice the server cannot write its journal")
        assert "/pong sync" not in alice.sync()
        process.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        seen += alice.read_until("/ack 1000")
        assert [text.split("-")[-1] for text in texts(seen)] == [str(number) for number in range(1, 1_001)]
        assert server.stop()[0] == 0
    assert "cannot write the journal" in (tmp_path / "chat_server.log").read_text()
    assert len(stored(tmp_path / "chat_journal.db")) == 1_000


def test_a_second_server_on_the_same_journal_is_refused(tmp_path: Path) -> None:
    """It says so in one line, and the first server continues."""
    with ServerProcess(tmp_path) as server, WireClient(server.address, "alice"):
        error = refused("--log-file", "other.log", cwd=tmp_path)
        assert error.startswith("chat_server.py: cannot use the journal chat_journal.db: another server uses it")
        assert error.count("\n") == 1


def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    """One line says what to do, and the exit code is 2."""
    (tmp_path / "chat_journal.db").write_bytes(b"SQLite format 3\0" + os.urandom(20_000))
    error = refused(cwd=tmp_path)
    assert error.count("\n") == 1
    assert "choose another with --journal FILE" in error


def test_a_journal_in_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """With one clear line."""
    error = refused("--journal", "nowhere/j.db", cwd=tmp_path)
    assert "cannot use the journal nowhere/j.db" in error


def test_a_journal_in_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    """With one clear line."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:  # root may write to every folder but those of the kernel
        folder = Path("/proc")
    error = refused("--journal", str(folder / "j.db"), cwd=tmp_path)
    assert error.startswith(f"chat_server.py: cannot use the journal {folder / 'j.db'}: ")
    assert error.count("\n") == 1


def test_a_journal_of_a_later_format_is_refused(tmp_path: Path) -> None:
    """Rather than misread."""
    with ServerProcess(tmp_path) as server:
        assert server.stop()[0] == 0
    with sqlite3.connect(tmp_path / "chat_journal.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert "not a journal of this program's format" in refused(cwd=tmp_path)


def test_a_server_without_a_journal_stores_nothing(tmp_path: Path) -> None:
    """`--journal none` writes no file but the log."""
    with ServerProcess(tmp_path, "--journal", "none") as server, WireClient(server.address, "alice") as alice:
        alice.send("hi")
        alice.read_until("/say")
        assert server.stop()[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["chat_server.log"]


def test_the_journal_is_in_the_folder_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with ServerProcess(tmp_path, "--log-file", "logs/server.log") as server:
        assert server.stop()[0] == 0
    assert (tmp_path / "logs" / "chat_journal.db").exists()


def test_a_server_with_fsync_stores_messages(tmp_path: Path) -> None:
    """It behaves as without the option."""
    with ServerProcess(tmp_path, "--fsync") as server, WireClient(server.address, "alice") as alice:
        alice.send("/post 1 hi")
        alice.read_until("/ack 1")
        assert server.stop()[0] == 0
    assert len(stored(tmp_path / "chat_journal.db")) == 1


def test_the_story_has_a_help_text() -> None:
    command = [sys.executable, "-m", "tests.stories.story", "--help"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)
    assert "--kills" in run.stdout
