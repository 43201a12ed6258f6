"""The lock file beside a journal: one process at a time may use a journal."""

import contextlib
import fcntl
import os
from pathlib import Path

MODE = 0o600  # for the owner alone


class FileLock:
    """An exclusive lock on `PATH.lock`, held until it is released or the process ends."""

    def __init__(self, path: Path) -> None:
        """Acquire the lock without waiting. Raises OSError, also when another process holds the lock."""
        self._path = path.with_name(path.name + ".lock")
        self._descriptor = self._acquire()

    def _acquire(self) -> int:
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise OSError(0, "another server uses it") from None
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), self._path.stat()):
                    return descriptor
            os.close(descriptor)  # the previous holder removed this file, and another process may lock a new one

    def release(self) -> None:
        """Release the lock. The file stays."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Remove the lock file and release the lock. Called if the file beside it is not a journal."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)  # before the release: `_acquire` notices a file that was removed
        os.close(self._descriptor)
