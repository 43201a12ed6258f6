"""The folders of the client, and files that only their owner can read."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hubbub.client.state.private_files import (
    config_folder,
    log_old_folders,
    make_folder,
    open_private,
    replace_private,
    state_folder,
)
from testing.server import captured_log

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the folders have other parents")
FOLDERS = [(config_folder, "XDG_CONFIG_HOME"), (state_folder, "XDG_STATE_HOME")]


def test_folder_is_the_system_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It has the name of the program, and is not created by asking for it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config_folder().name == "hubbub"
    assert list(tmp_path.iterdir()) == []


@LINUX
@pytest.mark.parametrize(("folder", "variable"), FOLDERS)
@pytest.mark.parametrize(
    ("existing", "used"),
    [([], "hubbub"), (["hubbub"], "hubbub"), (["chat-room"], "chat-room"), (["chat-room", "hubbub"], "hubbub")],
)
def test_folder_of_an_earlier_version_is_used_where_only_that_exists(
    folder: Callable[[], Path],
    variable: str,
    existing: list[str],
    used: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Version 0.1.0 had another name."""
    monkeypatch.setenv(variable, str(tmp_path))
    for name in existing:
        (tmp_path / name).mkdir()
    assert folder() == tmp_path / used


@LINUX
def test_folder_of_an_earlier_version_is_logged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each that is used."""
    for _, variable in FOLDERS:
        monkeypatch.setenv(variable, str(tmp_path / variable))
    with captured_log() as lines:
        log_old_folders()
        assert lines == []
        for _, variable in FOLDERS:
            (tmp_path / variable / "chat-room").mkdir(parents=True)
        log_old_folders()
    assert [line.partition(": ")[2].strip() for line in lines] == [
        str(tmp_path / variable / "chat-room") for _, variable in FOLDERS
    ]
    assert all("earlier version" in line for line in lines)


def test_folder_and_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """A file that others can read is no longer readable for them once it is opened."""
    folder = tmp_path / "config"
    make_folder(folder)
    path = folder / "file"
    replace_private(path, b"text")
    assert [stat.S_IMODE(each.stat().st_mode) for each in (folder, path)] == [0o700, 0o600]
    path.chmod(0o644)
    with open_private(path) as file:
        assert file.read() == b"text"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_only_a_regular_file_is_replaced(tmp_path: Path) -> None:
    """Not even by root, and not behind a link."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(OSError, match="not a regular file"):
            replace_private(path, b"text")
    assert pipe.is_fifo()
