"""The batch writer: the size of a batch."""

from collections.abc import Sequence

from hubbub.protocol import Said
from hubbub.server.delivery.actions import (
    RUN_LINES,
    Post,
    Subscribe,
)
from hubbub.server.journal.journal import Page, SessionRow
from hubbub.server.journal.memory import MemoryJournal
from testing.delivery import ROOM, covered, local_delivery, new_member


def test_waiting_lines_are_stored_in_parts() -> None:
    """However many lines wait, the first of them are sent before the last are stored."""
    stored: list[int] = []

    class CountingJournal(MemoryJournal):
        def append(self, pages: Sequence[Page], sessions: Sequence[SessionRow], ended: Sequence[bytes]) -> None:
            stored.append(sum(page.last - page.first + 1 for page in pages))
            super().append(pages, sessions, ended)

    delivery = local_delivery(CountingJournal(), clock=lambda: 1.0)
    member, transport = new_member()
    run = ["x"] * RUN_LINES
    delivery.enqueue(Subscribe(member, ROOM, 1), *(Post(ROOM, Said, "bob", "red", run.copy()) for _ in range(25)))
    delivery.start()
    delivery.flush(member)
    delivery.stop(1.0)
    assert stored == [10_000, 10_000, 5_000]
    assert covered(transport.lines[1:]) == list(range(1, 25_001))
