"""The lock of a journal: one process at a time may use a journal, whatever name it uses for the file."""

import contextlib
import errno
import fcntl
import os
import struct
from pathlib import Path

MODE = 0o600  # for the owner alone
IN_USE = "another server uses it"
_LOCK_OFFSET = 1 << 62  # of the byte of the journal that is locked, far from those that SQLite locks


class FileLock:
    """An exclusive lock on a journal, held until it is released or the process ends.

    It locks `PATH.lock` and, where the system can (Linux), the journal itself, since that can be moved or mounted
    elsewhere. SQLite locks the journal with POSIX locks, which a process loses when it closes any descriptor of the
    file. So this one is closed last.
    """

    def __init__(self, path: Path) -> None:
        """Create the file if it is missing, and lock it without waiting; `path` must contain no symbolic link.

        Raises OSError, also when another process holds the lock or the file has several names.
        """
        self._path = path.with_name(path.name + ".lock")
        self._descriptor = self._acquire()
        try:
            self._journal = _lock_journal(path)
        except OSError:
            self._remove()
            raise

    def _acquire(self) -> int:
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise OSError(0, IN_USE) from None
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), self._path.stat()):
                    return descriptor
            os.close(descriptor)  # the previous holder removed this file, and another process may lock a new one

    def stat(self) -> os.stat_result:
        """Return the state of the locked file, which may have another name by now, or none."""
        return os.fstat(self._journal)

    def release(self) -> None:
        """Release the lock, after SQLite has closed the file. The lock file stays."""
        os.close(self._journal)
        os.close(self._descriptor)

    def remove(self) -> None:
        """Remove the lock file and release the lock. Called if the file beside it is not a journal."""
        os.close(self._journal)
        self._remove()

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)  # before the release: `_acquire` notices a file that was removed
        os.close(self._descriptor)


def _lock_journal(path: Path) -> int:
    """Lock the journal itself and return its descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)  # SQLite would let everybody read it
    try:
        _refuse_hard_links(descriptor)
        _lock_byte(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_hard_links(descriptor: int) -> None:
    """Raise OSError if the file has several names: each would have a write-ahead log of its own."""
    if (names := os.fstat(descriptor).st_nlink) > 1:
        raise OSError(0, f"the file has {names} names (hard links); remove all but one, or copy the file")


def _lock_byte(descriptor: int) -> None:
    """Lock a byte for this descriptor alone, unlike a POSIX lock, if the system and the file system can."""
    if not hasattr(fcntl, "F_OFD_SETLK"):
        return
    request = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, _LOCK_OFFSET, 1, 0)  # the kernel's `struct flock`
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, request)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise OSError(0, IN_USE) from None
