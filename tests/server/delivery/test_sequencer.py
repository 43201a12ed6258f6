"""The local sequencer: numbers without gaps, whatever the journal does."""

from collections.abc import Sequence

import pytest

from hubbub.server.delivery.sequencer import LocalSequencer
from hubbub.server.journal.journal import JournalError, Page, SessionRow
from hubbub.server.journal.memory import MemoryJournal
from testing.delivery import ROOM, post


class FailingOnce(MemoryJournal):
    """A journal whose first `append` raises."""

    failed = False

    def append(self, pages: Sequence[Page], sessions: Sequence[SessionRow], ended: Sequence[bytes]) -> None:
        if not self.failed:
            self.failed = True
            raise JournalError("full")
        super().append(pages, sessions, ended)


def test_a_repeated_store_gives_the_same_seqs() -> None:
    """A post that could not be stored keeps the number that it was given."""
    sequencer = LocalSequencer(FailingOnce(), lambda: 1.0)
    sequencer.open_room(ROOM.key)
    posts = [post(ROOM, "a"), post(ROOM, "b")]
    with pytest.raises(JournalError):
        sequencer.store(posts, [], [])
    sequencer.store(posts, [], [])
    posts.append(post(ROOM, "c"))
    sequencer.store(posts[2:], [], [])
    assert [each.page.first for each in posts if each.page] == [1, 2, 3]


def test_a_reopened_room_continues_after_the_journal() -> None:
    """Closing a room forgets its counter; the journal has it."""
    sequencer = LocalSequencer(MemoryJournal(), lambda: 1.0)
    assert sequencer.open_room(ROOM.key) == 0
    sequencer.store([post(ROOM, "a")], [], [])
    sequencer.close_room(ROOM.key)
    assert sequencer.open_room(ROOM.key) == 1
