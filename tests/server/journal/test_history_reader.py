"""The history reader: requests in order, and errors that end no thread."""

from queue import SimpleQueue

import pytest

from hubbub.server.journal import history_reader
from hubbub.server.journal.history_reader import HistoryReader
from hubbub.server.journal.journal import JournalError, Page
from hubbub.server.journal.memory import MemoryJournal
from testing.journal import ALL_BYTES, line
from testing.waiting import TIMEOUT_SECONDS


class FailingJournal(MemoryJournal):
    """A journal that cannot read the room `ops`."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def read_pages(self, key: str, after: int, upto: int, size: int) -> list[Page]:
        if key == "ops":
            raise self._error
        return super().read_pages(key, after, upto, size)


@pytest.mark.parametrize("error", [JournalError("cannot read"), ValueError("damaged")])
def test_a_request_that_fails_does_not_end_the_others(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its result is None; the next request is answered."""
    monkeypatch.setattr(history_reader, "RETRY_SECONDS", 0.01)
    journal = FailingJournal(error)
    page = line("lobby", 1)
    journal.append([page], [], [])
    reader, results = HistoryReader(journal), SimpleQueue[list[Page] | None]()
    reader.start()
    reader.request("ops", 0, 1, ALL_BYTES, results.put)
    reader.request("lobby", 0, 1, ALL_BYTES, results.put)
    assert [results.get(timeout=TIMEOUT_SECONDS) for _ in range(2)] == [None, [page]]
    reader.stop()
