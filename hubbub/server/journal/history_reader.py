"""The thread that reads the past from the journal, so that nobody waits for a disk but the one who asked."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from loguru import logger

from hubbub.server.journal.journal import Journal, JournalError, Page

TRIES = 2
RETRY_SECONDS = 0.5  # between them

Done = Callable[[list[Page] | None], None]


class HistoryReader:
    """Reads in the order in which it is asked. `fetch` is for any thread, `start` and `stop` for one."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._wanted: SimpleQueue[tuple[str, int, int, int, Done] | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="past reader")  # joined by stop

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Read nothing more, and join. Idempotent."""
        self._stopping.set()
        self._wanted.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def fetch(self, key: str, after: int, upto: int, size: int, done: Done) -> None:
        """Have `done` called on this thread with what `Journal.read_pages` returns, or with None where it cannot."""
        self._wanted.put((key, after, upto, size, done))

    def _run(self) -> None:
        while (wanted := self._wanted.get()) is not None and not self._stopping.is_set():
            key, after, upto, size, done = wanted
            done(self._read(key, after, upto, size))

    def _read(self, key: str, after: int, upto: int, size: int) -> list[Page] | None:
        for _ in range(TRIES):
            try:
                return self._journal.read_pages(key, after, upto, size)
            except JournalError as error:
                logger.error("{}; trying again to read lines {} to {} of {!r}", error, after + 1, upto, key)
            except Exception:  # noqa: BLE001  # a damaged page must not end the thread that all others need
                logger.exception("lines {} to {} of {!r} cannot be read", after + 1, upto, key)
            self._stopping.wait(RETRY_SECONDS)
        return None
