"""hubbub.server.cluster.purger: the thread that removes expired lines and sessions."""

import threading
from typing import cast

import pytest

from hubbub.server.cluster import purger as module
from hubbub.server.cluster.journal import ClusterJournal
from hubbub.server.cluster.purger import Purger
from hubbub.server.journal.journal import JournalError
from testing.waiting import TIMEOUT_SECONDS


class FailingJournal:
    """A journal that cannot be purged at first."""

    def __init__(self) -> None:
        self.errors: list[Exception] = [JournalError("away"), ValueError("a bug")]
        self.purged = threading.Event()

    def purge(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.purged.set()


def test_purge_is_repeated_after_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the next check, whatever was raised."""
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.01)
    journal = FailingJournal()
    purger = Purger(cast(ClusterJournal, journal))
    purger.start()
    assert journal.purged.wait(TIMEOUT_SECONDS)
    purger.stop()
    purger.stop()
