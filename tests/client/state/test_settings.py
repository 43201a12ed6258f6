"""The settings file: for its owner alone, never overwritten unread, and shared by two clients."""

import dataclasses
import errno
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from hubbub.client.state import private_files as folder_module, settings as settings_module
from hubbub.client.state.private_files import locked
from hubbub.client.state.settings import (
    IGNORED_MAX,
    NOTIFY_MAX,
    SETTINGS_BYTES,
    Settings,
    SettingsError,
    SettingsFile,
)
from hubbub.protocol import fold_name
from testing.waiting import ROOT

CHILD_SECONDS = 30.0  # for a process of a test: a slow machine's start included
OTHER_USER = 65_534
FULL = Settings("bob", "light-blue", "[::1]:4242", ("alice", "мила"), {"lobby": "off", "ops": "all"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "config"


def write(folder: Path, content: str | bytes) -> Path:
    """Put `content` into the settings file of `folder`, and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / "settings.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path) -> dict[str, Any]:
    """Return what the settings file of `folder` holds."""
    document: dict[str, Any] = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    return document


def loaded(folder: Path, told: list[str] | None = None) -> SettingsFile:
    """Return the settings file of `folder`, read. Messages to the user go to `told`, or fail the test."""
    file = SettingsFile(folder, told.append if told is not None else pytest.fail)
    file.load()
    return file


def called(name: str) -> Any:
    """Return the change that takes a name."""
    return lambda settings: dataclasses.replace(settings, name=name)


def refuse(*_: object) -> None:
    """Stand for a call that the system refuses."""
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


@contextmanager
def forbidden(path: Path) -> Iterator[None]:
    """Make `path` unreadable meanwhile; as another user, if this one can read everything."""
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        try:
            os.seteuid(OTHER_USER)
        except PermissionError:
            pytest.skip("root cannot change its user here, and can read every file")
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        path.chmod(0o600)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --------------------------------------------------------------------------------------------------------- remembering


def test_first_run_has_the_defaults(folder: Path) -> None:
    """It creates no file, and shows no message."""
    file = SettingsFile(folder, pytest.fail)
    assert (file.load(), file.settings) == (Settings(), Settings())
    assert not folder.exists()


def test_settings_are_stored_for_the_next_run(folder: Path) -> None:
    """What one run changed, the next one finds."""
    assert loaded(folder).change(lambda _: FULL) == FULL
    assert loaded(folder).settings == FULL


def test_file_is_readable_text(folder: Path) -> None:
    """A name is written in its own script."""
    loaded(folder).change(called("мила"))
    assert '"name": "мила"' in (folder / "settings.json").read_text(encoding="utf-8")


def test_settings_are_for_their_owner_alone(folder: Path) -> None:
    """Folder and files, from the beginning."""
    loaded(folder).change(called("bob"))
    assert mode(folder) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == {"settings.json": 0o600, "lock": 0o600}


def test_file_that_others_can_read_is_restricted(folder: Path) -> None:
    """Reading it is enough."""
    path = write(folder, '{"name": "bob"}')
    path.chmod(0o644)
    assert loaded(folder).settings.name == "bob"
    assert mode(path) == 0o600


def test_fields_of_a_newer_version_stay(folder: Path) -> None:
    """They are written again as they were, even half a surrogate pair."""
    write(folder, '{"sound": {"file": "\\ud83d", "loud": [1, null]}, "name": "bob"}')
    loaded(folder).change(called("carol"))
    assert read(folder)["sound"] == {"file": "\ud83d", "loud": [1, None]}
    assert loaded(folder).settings.name == "carol"


def test_linked_file_stays_linked(folder: Path, tmp_path: Path) -> None:
    """Its target is changed, or set aside if it is broken."""
    target = write(tmp_path / "dotfiles", '{"name": "bob"}')
    folder.mkdir()
    (folder / "settings.json").symlink_to(target)
    loaded(folder).change(called("carol"))
    assert (folder / "settings.json").is_symlink()
    assert json.loads(target.read_text())["name"] == "carol"
    target.write_text("{")
    loaded(folder, []).change(called("dave"))
    assert (folder / "settings.json").is_symlink()
    assert json.loads(target.read_text())["name"] == "dave"
    assert target.with_name("settings.json.broken").read_text() == "{"


def test_no_temporary_file_is_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither after a change that is written, nor after one that is not."""
    file = loaded(folder)
    file.change(called("bob"))
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(SettingsError):
        file.change(called("carol"))
    assert {path.name for path in folder.iterdir()} == {"settings.json", "lock"}


# ------------------------------------------------------------------------------------------------------ several fields


def test_name_is_ignored_once() -> None:
    """In any spelling."""
    settings = Settings().with_ignored("Bob").with_ignored("alice").with_ignored("bob")
    assert settings.ignored == ("Bob", "alice")
    assert settings.without_ignored("BOB").ignored == ("alice",)
    assert settings.without_ignored("carol") == settings


def test_room_has_one_level() -> None:
    """The latest counts, in any spelling of the room, and comes last."""
    settings = Settings().with_level("Ops", "all").with_level("lobby", "off").with_level("ops", "off")
    assert list(settings.notify.items()) == [("lobby", "off"), ("ops", "off")]


def test_too_many_ignored_names_are_refused(folder: Path) -> None:
    """With the limit, and nothing changes."""
    file = loaded(folder)
    names = tuple(f"p{number}" for number in range(IGNORED_MAX))
    file.change(lambda settings: dataclasses.replace(settings, ignored=names))
    with pytest.raises(SettingsError, match=f"at most {IGNORED_MAX} names"):
        file.change(lambda settings: settings.with_ignored("bob"))
    assert file.settings.ignored == loaded(folder).settings.ignored == names


def test_oldest_levels_are_dropped_beyond_the_limit(folder: Path) -> None:
    """The latest NOTIFY_MAX rooms have theirs."""
    file = loaded(folder)
    file.change(lambda settings: dataclasses.replace(settings, notify={f"r{n}": "off" for n in range(NOTIFY_MAX)}))
    file.change(lambda settings: settings.with_level("ops", "all"))
    rooms = list(loaded(folder).settings.notify)
    assert (rooms[0], rooms[-1], len(rooms)) == ("r1", "ops", NOTIFY_MAX)


def test_room_whose_folded_name_is_wider(folder: Path) -> None:
    """It is stored like any other."""
    room = "ŉ" * 16
    loaded(folder).change(lambda settings: settings.with_level(room, "off"))
    assert loaded(folder).settings.notify == {fold_name(room): "off"}


def test_bad_value_is_refused(folder: Path) -> None:
    """It does not get into the file, where it would break the others."""
    file = loaded(folder)
    file.change(called("bob"))
    with pytest.raises(SettingsError, match="name: Choose 1-20 letters"):
        file.change(called("b b"))
    assert file.settings.name == loaded(folder).settings.name == "bob"
    assert file.change(called("carol")).name == "carol"


# -------------------------------------------------------------------------------------------------------- broken files


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "not JSON"),
        ('{"name": "bob"', "not JSON"),
        ("[" * 100_000, "not JSON"),
        (b'{"name": "b\xffb"}', "not JSON in UTF-8"),
        (f'{{"name": "bob"{" " * SETTINGS_BYTES}}}', f"more than {SETTINGS_BYTES} bytes"),
        ("[]", "not a JSON object"),
        ('{"name": 7}', "name: "),
        ('{"name": null}', "name: "),
        ('{"name": "server"}', "name: "),
        ('{"color": "mud"}', "color: "),
        ('{"server": "example.org"}', "server: "),
        ('{"server": "example.org:0"}', "server: "),
        ('{"server": ":4242"}', "server: "),
        ('{"server": "[::1:4242"}', "server: "),
        ('{"server": "a..b:4242"}', "server: "),
        ('{"server": "a\\u001b[2J:4242"}', "server: "),
        ('{"ignored": "bob"}', "ignored: "),
        ('{"ignored": ["bob", 7]}', "ignored: "),
        ('{"ignored": ["b b"]}', "ignored: "),
        ('{"notify": ["lobby"]}', "notify: "),
        ('{"notify": {"lobby": "loud"}}', "notify: "),
        ('{"notify": {"lobby": []}}', "notify: "),
        ('{"notify": {"": "all"}}', "notify: "),
        ('{"notify": {"lob by": "all"}}', "notify: "),
    ],
)
def test_broken_file_is_set_aside(folder: Path, content: str | bytes, why: str) -> None:
    """It is not used, not lost, and reported once, with the reason and both paths."""
    path = write(folder, content)
    before = path.read_bytes()
    told: list[str] = []
    file = loaded(folder, told)
    aside = folder / "settings.json.broken"
    assert (file.settings, aside.read_bytes(), path.exists()) == (Settings(), before, False)
    assert all(text in told[0] for text in (f"{path} ", why, f"{aside} "))
    file.change(called("bob"))
    assert (len(told), loaded(folder).settings) == (1, Settings(name="bob"))


def test_broken_files_do_not_replace_each_other(folder: Path) -> None:
    """Each has a name of its own."""
    told: list[str] = []
    for content in ("1", "2", "3"):
        write(folder, content)
        loaded(folder, told)
    names = ("settings.json.broken", "settings.json.broken-2", "settings.json.broken-3")
    assert [(folder / name).read_text() for name in names] == ["1", "2", "3"]
    assert all(f"{folder / name} " in text for name, text in zip(names, told, strict=True))


def test_file_that_breaks_during_a_run(folder: Path) -> None:
    """It is set aside and reported, and the settings of the run are stored."""
    told: list[str] = []
    file = loaded(folder, told)
    file.change(called("bob"))
    write(folder, "{")
    file.change(lambda settings: settings.with_ignored("alice"))
    assert ["settings.json.broken" in text for text in told] == [True]
    assert loaded(folder).settings == Settings(name="bob", ignored=("alice",))


def test_file_that_breaks_before_a_refused_change(folder: Path) -> None:
    """It is reported all the same."""
    told: list[str] = []
    file = loaded(folder, told)
    write(folder, "{")
    with pytest.raises(SettingsError):
        file.change(called("b b"))
    assert ["settings.json.broken" in text for text in told] == [True]


def test_message_is_shown_without_the_lock(folder: Path) -> None:
    """Another client may change the settings meanwhile."""
    changed: list[Settings] = []
    file = SettingsFile(folder, lambda _: changed.append(loaded(folder).change(called("bob"))))
    write(folder, "{")
    file.change(lambda settings: settings.with_ignored("alice"))
    assert changed == [Settings(name="bob", ignored=("alice",))]


def test_broken_file_that_cannot_be_set_aside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays as it is, whatever is changed later."""
    path = write(folder, "{")
    monkeypatch.setattr(Path, "rename", refuse)
    told: list[str] = []
    file = loaded(folder, told)
    assert ["Read-only file system" in text for text in told] == [True]
    monkeypatch.undo()
    with pytest.raises(SettingsError, match="Read-only file system"):
        file.change(called("bob"))
    assert path.read_text() == "{"


# ----------------------------------------------------------------------------------------- what cannot be read, written


def test_unreadable_file(folder: Path) -> None:
    """It is reported once; changes hold for this run, and never overwrite it."""
    path = write(folder, '{"name": "bob"}')
    told: list[str] = []
    file = SettingsFile(folder, told.append)
    with forbidden(path):
        assert file.load() == Settings()
    assert f"{path} cannot be read: Permission denied" in told[0]
    with pytest.raises(SettingsError, match=r"only until you leave: .* Permission denied"):
        file.change(called("carol"))
    assert (file.settings.name, len(told)) == ("carol", 1)
    assert path.read_text() == '{"name": "bob"}'


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop"])
def test_no_regular_file_in_the_place_of_the_file(folder: Path, kind: str) -> None:
    """It is not waited for, read for ever, or replaced."""
    folder.mkdir()
    path = folder / "settings.json"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path)
    before = path.lstat()
    told: list[str] = []
    file = loaded(folder, told)
    assert [f"{path} cannot be read" in text for text in told] == [True]
    with pytest.raises(SettingsError):
        file.change(called("bob"))
    assert path.lstat() == before
    assert file.settings.name == "bob"


def test_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    """It is reported, and stays."""
    path = tmp_path / "config"
    path.write_text("mine")
    told: list[str] = []
    file = loaded(path, told)
    assert ["Not a directory" in text for text in told] == [True]
    with pytest.raises(SettingsError):
        file.change(called("bob"))
    assert path.read_text() == "mine"


def test_changes_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    """They hold for this run, each with its reason, and all are written once that is possible."""
    folder.mkdir()
    (folder / "settings.json").symlink_to(tmp_path / "gone" / "settings.json")
    file = loaded(folder)
    for name in ("alice", "bob"):
        with pytest.raises(
            SettingsError, match=r"only until you leave: .*settings\.json cannot be written: No such file"
        ):
            file.change(lambda settings, name=name: settings.with_ignored(name))  # type: ignore[misc]
    assert file.settings.ignored == ("alice", "bob")
    (tmp_path / "gone").mkdir()
    file.change(called("carol"))
    assert loaded(folder).settings == Settings(name="carol", ignored=("alice", "bob"))


def test_changes_while_nothing_can_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file does not undo them."""
    write(folder, '{"ignored": ["dave"]}')
    file = loaded(folder)
    monkeypatch.setattr(settings_module, "replace_private", refuse)
    for name in ("alice", "bob"):
        with pytest.raises(SettingsError, match="Read-only"):
            file.change(lambda settings, name=name: settings.with_ignored(name))  # type: ignore[misc]
    assert file.settings.ignored == ("dave", "alice", "bob")
    monkeypatch.undo()
    file.change(called("carol"))
    assert loaded(folder).settings == Settings(name="carol", ignored=("dave", "alice", "bob"))


# --------------------------------------------------------------------------------------------------------- two clients


def test_two_clients_change_different_things(folder: Path) -> None:
    """Neither undoes what the other did."""
    one, other = loaded(folder), loaded(folder)
    one.change(called("bob"))
    other.change(lambda settings: settings.with_ignored("alice"))
    one.change(lambda settings: settings.with_ignored("carol"))
    other.change(lambda settings: settings.with_level("ops", "off"))
    expected = Settings(name="bob", ignored=("alice", "carol"), notify={"ops": "off"})
    assert other.settings == loaded(folder).settings == expected


IGNORING = """
import sys
from pathlib import Path
from hubbub.client.state import private_files as folder
from hubbub.client.state import settings
folder.LOCK_SECONDS = 30.0  # no client may give up here
file = settings.SettingsFile(Path(sys.argv[1]), print)
file.load()
print("ready", flush=True)
sys.stdin.readline()
for number in range(100):
    file.change(lambda settings: settings.with_ignored(f"{sys.argv[2]}{number}"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no lock")
def test_two_clients_at_the_same_moment(folder: Path) -> None:
    """No change is lost."""
    pipe = subprocess.PIPE
    commands = [[sys.executable, "-c", IGNORING, str(folder), name] for name in "ab"]
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
    assert set(loaded(folder).settings.ignored) == {f"{name}{number}" for name in "ab" for number in range(100)}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no lock")
def test_change_waits_for_another_client(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts from what the other has written."""
    file = loaded(folder)
    file.change(called("bob"))

    def finish(_: float) -> None:
        write(folder, '{"name": "bob", "color": "red"}')
        other.close()

    with ExitStack() as other:
        other.enter_context(locked(folder))
        monkeypatch.setattr(time, "sleep", finish)
        file.change(called("carol"))
    assert loaded(folder).settings == Settings(name="carol", color="red")


def test_change_does_not_wait_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another client may be suspended while it holds the lock."""
    monkeypatch.setattr(folder_module, "LOCK_SECONDS", 0.02)
    file = loaded(folder)
    file.change(called("bob"))
    with locked(folder):
        file.change(called("carol"))
    assert loaded(folder).settings.name == "carol"
