"""The sequencer: numbers posts and stores them. A line is stored before it is sent."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from hubbub.server.delivery.actions import Post
from hubbub.server.journal.journal import LocalJournal, Page, SessionRow, page_of_run
from hubbub.server.rooms.room import SessionState


class Sequencer(Protocol):
    """Gives lines their SEQs and stores them. For the delivery thread alone."""

    def store(self, posts: Sequence[Post], sessions: Sequence[SessionState], ended: Sequence[SessionState]) -> None:
        """Store posts and sessions, and delete the sessions `ended`. Raises JournalError; then nothing is stored.

        Sets the `page` of each post that can be published at once. For any other post the log expects the lines, and a
        `Publish` with their page follows. The delivery thread repeats a call that raised.
        """

    def check(self) -> None:
        """Raise JournalError if it is known that nothing can be stored now. Never waits."""

    def open_room(self, key: str) -> int:
        """Return the SEQ of a room's last line; its later lines are published from now on. Never waits."""

    def close_room(self, key: str) -> None:
        """Stop publishing the lines of a room. Never waits."""


class LocalSequencer:
    """The sequencer of a single server: it counts the lines of each room itself."""

    def __init__(self, journal: LocalJournal, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since 1970."""
        self._journal = journal
        self._clock = clock
        self._last_seqs: dict[str, int] = {}  # the last SEQ of each open room, by room key

    def store(self, posts: Sequence[Post], sessions: Sequence[SessionState], ended: Sequence[SessionState]) -> None:
        """Set the page of each post, and append all pages to the journal. Raises JournalError."""
        now = int(self._clock() * 1000)
        pages = [post.page or self._number(post, now) for post in posts]
        if pages or sessions or ended:
            rows = [_row_of(state, now) for state in sessions]
            self._journal.append(pages, rows, [state.token_hash for state in ended])

    def _number(self, post: Post, now: int) -> Page:
        """Give the lines of a post their SEQs and TIME."""
        room, texts = post.room, post.texts
        first = self._last_seqs[room.key] + 1
        self._last_seqs[room.key] += len(texts)
        post.page = page_of_run(room.key, room.name, first, now, post.kind, post.name, post.color, texts)
        return post.page

    def check(self) -> None:
        """Raise JournalError if the journal knows that nothing can be stored now."""
        self._journal.check()

    def open_room(self, key: str) -> int:
        """Return the SEQ of a room's last line."""
        seq = self._last_seqs[key] = self._journal.last_seq(key)
        return seq

    def close_room(self, key: str) -> None:
        """Stop counting the lines of a room."""
        del self._last_seqs[key]


def _row_of(state: SessionState, now: int) -> SessionRow:
    """Return the row of a session; `now` is in milliseconds since 1970."""
    who = (state.name, state.color, state.room)
    return SessionRow(state.token_hash, *who, state.accepted, state.present, now, state.room_key_id)
