"""The sequencer: what is said gets its SEQs and is in the journal before anybody sees it."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from hubbub.server.delivery.actions import Post
from hubbub.server.journal.journal import LocalJournal, Page, SessionRow, page_of_run


class Sequencer(Protocol):
    """What the delivery thread needs to have something kept. For that thread alone."""

    def store(self, posts: Sequence[Post], sessions: Sequence[SessionRow], ended: Sequence[SessionRow]) -> None:
        """Keep what is given and forget the sessions `ended`: all of it, or nothing and raise JournalError.

        May be called again with what it raised for. A post that has its `page` then is to be sent by whoever called;
        one that has none comes back as an `Arrived`, in the order that all servers of the chat have in common.
        """

    def open_room(self, key: str) -> int:
        """Return the SEQ of a room's last line; what others say there comes from now on. Never waits."""

    def close_room(self, key: str) -> None:
        """Want nothing more of a room. Never waits."""


class LocalSequencer:
    """The sequencer of the only server of a chat: it counts."""

    def __init__(self, journal: LocalJournal, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since 1970."""
        self._journal = journal
        self._clock = clock

    def store(self, posts: Sequence[Post], sessions: Sequence[SessionRow], ended: Sequence[SessionRow]) -> None:
        """Give each post its page, and have the journal keep all of it. Raises JournalError."""
        now = int(self._clock() * 1000)
        pages = [post.page or self._number(post, now) for post in posts]
        if pages or sessions or ended:
            self._journal.append(pages, sessions, [row.token_hash for row in ended])

    def _number(self, post: Post, now: int) -> Page:
        """Give what was said its SEQs and TIME."""
        log = post.log
        assert log is not None  # the delivery thread has found it
        first = log.number + 1
        log.number += len(post.texts)
        said = (post.kind, post.name, post.color, post.texts)
        post.page = page_of_run(log.key, post.room.name, first, now, *said)
        return post.page

    def open_room(self, key: str) -> int:
        """Return the SEQ of a room's last line."""
        return self._journal.last_seq(key)

    def close_room(self, key: str) -> None:
        """Do nothing: nobody else speaks there."""
