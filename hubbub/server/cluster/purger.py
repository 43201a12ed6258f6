"""The purger: removes expired lines and sessions from Redis, at intervals on its own thread."""

import threading

from loguru import logger

from hubbub.server.cluster.journal import ClusterJournal
from hubbub.server.journal.journal import JournalError

CHECK_SECONDS = 600.0  # between two checks whether it is time to purge


class Purger:
    """The thread `purge`. `start` and `stop` are for one thread."""

    def __init__(self, journal: ClusterJournal) -> None:
        self._journal = journal
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="purge")  # joined by stop

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop and join. Idempotent."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(CHECK_SECONDS):
            try:
                self._journal.purge()
            except JournalError as error:
                logger.error("cannot purge: {}; trying again later", error)
            except Exception:  # noqa: BLE001  # a bug must not end the thread that purges
                logger.exception("the purge failed")
