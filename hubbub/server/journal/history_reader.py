"""The thread that reads history from the journal, so that the delivery thread never waits for a disk."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from loguru import logger

from hubbub.server.journal.journal import Journal, JournalError, Page

ATTEMPTS = 2
RETRY_SECONDS = 0.5  # between two attempts

Done = Callable[[list[Page] | None], None]


class HistoryReader:
    """Reads in the order of the requests. `request` is for any thread, `start` and `stop` are for one."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._requests: SimpleQueue[tuple[str, int, int, int, Done] | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="history reader")  # joined by stop

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Drop all waiting requests and join the thread. Idempotent."""
        self._stopping.set()
        self._requests.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def request(self, key: str, after: int, upto: int, size: int, done: Done) -> None:
        """Queue a call of `Journal.read_pages`; the thread calls `done` with its pages, or with None after an error."""
        self._requests.put((key, after, upto, size, done))

    def _run(self) -> None:
        while (request := self._requests.get()) is not None and not self._stopping.is_set():
            key, after, upto, size, done = request
            done(self._read(key, after, upto, size))

    def _read(self, key: str, after: int, upto: int, size: int) -> list[Page] | None:
        for _ in range(ATTEMPTS):
            try:
                return self._journal.read_pages(key, after, upto, size)
            except JournalError as error:
                logger.error("{}; trying again to read lines {} to {} of {!r}", error, after + 1, upto, key)
            except Exception:  # noqa: BLE001  # one damaged page must not end the thread that serves all rooms
                logger.exception("lines {} to {} of {!r} cannot be read", after + 1, upto, key)
            self._stopping.wait(RETRY_SECONDS)
        return None
