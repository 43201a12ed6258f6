"""The folders of the client, and files that only their owner can read. Any thread.

Two clients of one user may run at once, so files are read and rewritten under a file lock, where the system has one.
"""

import errno
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import platformdirs
from loguru import logger

if sys.platform != "win32":
    import fcntl

APP_NAME = "hubbub"
OLD_APP_NAME = "chat-room"  # up to version 0.1.0
LOCK_FILE = "lock"
FOLDER_MODE = 0o700
MODE = 0o600  # the files name the user's contacts and hold what they wrote
LOCK_SECONDS = 1.0  # for another client to finish, which takes milliseconds unless it is suspended
LOCK_POLL_SECONDS = 0.005


def config_folder() -> Path:
    """Return the folder in which this system stores a user's settings of this program."""
    return _folder(platformdirs.user_config_path)


def state_folder() -> Path:
    """Return the folder in which this system stores a user's logs of this program."""
    return _folder(platformdirs.user_state_path)


def _folder(locate: Callable[..., Path]) -> Path:
    """Return the folder of this program, or that of version 0.1.0 where only that exists."""
    new, old = locate(APP_NAME, appauthor=False), locate(OLD_APP_NAME, appauthor=False)
    return old if old.is_dir() and not new.exists() else new


def log_old_folders() -> None:
    """Log which folders of version 0.1.0 are used."""
    for what, folder in (("settings", config_folder()), ("log", state_folder())):
        if folder.name == OLD_APP_NAME:
            logger.info("using the {} in the folder of an earlier version: {}", what, folder)


def make_folder(folder: Path) -> None:
    """Create `folder` for its owner alone, if it does not exist. Raises OSError."""
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock `folder` against the user's other clients. Never raises, and waits at most LOCK_SECONDS.

    Without the lock, one of two changes at the same moment may be lost; that is better than to wait for ever.
    """
    try:
        handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, MODE)
    except OSError:  # there is no folder, or no permission to write
        yield
        return
    try:
        _lock(handle)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        return
    deadline = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_POLL_SECONDS)
        except OSError:  # a network file system may have no locks
            return
        else:
            return


def open_private(path: Path) -> BinaryIO:
    """Open a file for reading, and make it readable for its owner alone.

    Raises OSError, also for what is not a regular file.
    """
    mode = _mode_of_file(path)
    if mode & ~MODE:
        with suppress(OSError):  # another user owns it, or the disk is read-only
            path.chmod(mode & MODE)
    return path.open("rb")


def replace_private(path: Path, data: bytes) -> None:
    """Replace the content of a file, which only its owner can read; or raise OSError and leave it unchanged.

    A link to a file stays a link.
    """
    target = resolve_links(path)
    with suppress(FileNotFoundError):
        _mode_of_file(target)
    handle, name = tempfile.mkstemp(prefix=f"{target.name}.", dir=target.parent)  # only its owner can read it
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def _mode_of_file(path: Path) -> int:
    """Return the permissions of a file. Raises OSError, also for what is not a regular file.

    Reading a pipe may wait for ever, a device may have no end, and root could replace either.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return stat.S_IMODE(mode)


def resolve_links(path: Path) -> Path:
    """Return the path of the file to which `path` leads through links."""
    return Path(os.path.realpath(path))  # unlike Path.resolve, it accepts a link to itself
