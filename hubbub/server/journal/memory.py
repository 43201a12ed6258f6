"""The journal in memory: it ends with the process."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hubbub.server.journal.journal import SESSIONS_STORED, Page, SessionRow, until_size

MEMORY_LINES = 1_000  # of a room
MEMORY_BYTES = 1_048_576  # of a room, as on the wire
MEMORY_ROOMS = 10_000  # with history; beyond this the one with the oldest last line is deleted


@dataclass(slots=True)
class _History:
    """The stored lines of one room."""

    pages: deque[Page] = field(default_factory=deque)
    size: int = 0

    def append(self, page: Page) -> None:
        self.pages.append(page)
        self.size += len(page.data)
        while page.last - self.pages[0].last >= MEMORY_LINES or self.size > MEMORY_BYTES:
            self.size -= len(self.pages.popleft().data)


class MemoryJournal:
    """A journal that ends with the process: of each room the last MEMORY_LINES lines, or MEMORY_BYTES of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all below
        self._histories: dict[str, _History] = {}  # the room with the newest line comes last
        self._sessions: dict[bytes, SessionRow] = {}  # the one stored last comes last
        self._facts: dict[tuple[str, str], str] = {}  # by kind and key

    def append(self, pages: Sequence[Page], sessions: Sequence[SessionRow], ended: Sequence[bytes]) -> None:
        """Store all arguments, and delete the oldest beyond the limits."""
        with self._lock:
            for page in pages:
                history = self._histories.pop(page.key, None) or _History()
                self._histories[page.key] = history
                history.append(page)
            for row in sessions:
                self._sessions.pop(row.token_hash, None)
                self._sessions[row.token_hash] = row
            for token_hash in ended:
                self._sessions.pop(token_hash, None)
            _shorten(self._histories, MEMORY_ROOMS)
            _shorten(self._sessions, SESSIONS_STORED)

    def check(self) -> None:
        """Do nothing: memory can always be written."""

    def last_seq(self, key: str) -> int:
        """Return the SEQ of the last line of a room, or 0."""
        with self._lock:
            history = self._histories.get(key)
            return history.pages[-1].last if history else 0

    def room_name(self, key: str) -> str | None:
        """Return the spelling of a room that has history."""
        with self._lock:
            history = self._histories.get(key)
            return history.pages[-1].room if history else None

    def read_pages(self, key: str, after: int, upto: int, size: int) -> list[Page]:
        """Return the stored lines of a room with after < SEQ <= upto, until their pages have `size` bytes."""
        with self._lock:
            history = self._histories.get(key)
            pages = list(history.pages) if history else []
        wanted = (page for page in pages if after < min(page.last, upto) and page.first <= upto)
        return until_size((page.cut(after, upto) for page in wanted), size)

    def find_session(self, token_hash: bytes) -> SessionRow | None:
        """Return the session that can be resumed with the token that has this hash."""
        with self._lock:
            return self._sessions.get(token_hash)

    def list_present(self) -> list[SessionRow]:
        """Return the sessions of members who have not left."""
        with self._lock:
            return [row for row in self._sessions.values() if row.present]

    def list_facts(self, kind: str) -> dict[str, str]:
        """Return the facts of a kind, by key."""
        with self._lock:
            return {key: fact for (other, key), fact in self._facts.items() if other == kind}

    def store_fact(self, kind: str, key: str, fact: str | None) -> None:
        """Replace a fact, or delete it with None."""
        with self._lock:
            if fact is None:
                self._facts.pop((kind, key), None)
            else:
                self._facts[kind, key] = fact

    def add_fact(self, kind: str, key: str, fact: str) -> bool:
        """Store a fact unless its key has one; return whether it was stored."""
        with self._lock:
            if (kind, key) in self._facts:
                return False
            self._facts[kind, key] = fact
            return True

    def close(self) -> None:
        """Do nothing: the journal ends with the process."""


def _shorten(table: dict[Any, Any], length: int) -> None:
    """Delete the first entries of a table that has more than `length`."""
    while len(table) > length:
        del table[next(iter(table))]
