"""The journal keeps what was said: the ordered, numbered lines of each room, and who may come back as whom."""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from hubbub.protocol import Acted, Said, pack_run

MEMORY_LINES = 1_000  # kept of a room
MEMORY_BYTES = 1_048_576  # kept of a room, counted as on the wire
MEMORY_ROOMS = 10_000  # rooms of which something is kept; past that the one longest silent is forgotten
SESSIONS_STORED = 100_000  # that may be resumed; past that the one longest unseen is forgotten
KEEP_DAYS = 30  # of a room's past
KEEP_LINES = 100_000  # of a room's past, and what more stands in one piece with the oldest of them
SESSION_SECONDS = 7 * 86_400  # after it was last seen, a session can no longer be resumed: a laptop closed over a week


class JournalError(Exception):
    """The journal cannot be written, or read; the text says why, and where it can be helped, how."""


class Page(NamedTuple):
    """What was said in a room in one go: `/say` or `/me` lines without a hole in their SEQs, as everybody gets them."""

    key: str  # of the room: `protocol.same_key` of its name
    room: str  # its name
    first: int  # SEQ
    last: int  # SEQ
    time: int  # of the last line; milliseconds since 1970
    data: bytes

    def cut(self, after: int, upto: int) -> "Page":
        """Return the page of those of its lines with after < SEQ <= upto, of which there must be one."""
        data = cut_lines(self.data, self.first, self.last, after, upto)
        return self._replace(first=max(self.first, after + 1), last=min(self.last, upto), data=data)


def page_of_run(
    key: str, room: str, first: int, time: int, kind: type[Said | Acted], name: str, color: str, texts: Sequence[str]
) -> Page:
    """Return what somebody says in one go, as a page of which the first line has the SEQ `first`."""
    data = pack_run(kind, room, first, time, name, color, texts)
    return Page(key, room, first, first + len(texts) - 1, time, data)


def cut_lines(data: bytes, first: int, last: int, after: int, upto: int) -> bytes:
    """Return those of the lines `first` to `last`, which are `data`, with after < SEQ <= upto; there must be one."""
    if after >= first:
        skipped = after - first + 1
        data = data.split(b"\n", skipped)[skipped]
    if last > upto:
        data = data.rsplit(b"\n", last - upto + 1)[0] + b"\n"
    return data


class SessionRow(NamedTuple):
    """What `/resume` brings back, and what the other servers of a chat know of somebody."""

    token_hash: bytes
    name: str
    color: str
    room: str
    accepted: int  # the highest N that is kept
    present: bool  # nobody has seen him leave
    seen: int  # milliseconds since 1970
    lock: str = ""  # the id of the room's, behind which he is
    verifier: str = ""  # whom he proved to be; this and what follows is for other servers of the chat alone
    away: bool = False  # his connection is lost, and his place is held
    why: str = ""  # he left


class Journal(Protocol):
    """What a journal promises to those who read, and keep facts. For any thread; errors are JournalErrors."""

    def last_seq(self, key: str) -> int:
        """Return the SEQ of the last line of a room, 0 where there is none."""

    def room_name(self, key: str) -> str | None:
        """Return how a room that has a past is written."""

    def read_pages(self, key: str, after: int, upto: int, size: int) -> list[Page]:
        """Return the lines of a room with after < SEQ <= upto that are still kept, oldest first.

        They come in pages, until these have `size` bytes: with less, those are all the lines.
        """

    def find_session(self, token_hash: bytes) -> SessionRow | None:
        """Return the session that may be resumed with this token's hash."""

    def list_present(self) -> list[SessionRow]:
        """Return the sessions of those whom nobody has seen leave."""

    def list_facts(self, kind: str) -> dict[str, str]:
        """Return what is kept of this kind: rare, small facts, like who is banned, each under its key."""

    def store_fact(self, kind: str, key: str, fact: str | None) -> None:
        """Keep a fact instead of the one before, or none. When this returns it is kept."""

    def add_fact(self, kind: str, key: str, fact: str) -> bool:
        """Keep a fact where there is none; return whether there was none, and so it is kept."""

    def close(self) -> None:
        """Keep everything for good and give up what is held. Idempotent."""


class LocalJournal(Journal, Protocol):
    """A journal that one server has for itself. Its `last` and `spelling` never wait."""

    def append(self, pages: Sequence[Page], sessions: Sequence[SessionRow], ended: Sequence[bytes]) -> None:
        """Keep `pages` and `sessions` and forget the sessions `ended`: all of it, or none and raise JournalError.

        For the delivery thread alone. May be called again with what it raised for.
        """


def until_size(pages: Iterable[Page], size: int) -> list[Page]:
    """Return the first of `pages`, until they have `size` bytes."""
    taken: list[Page] = []
    for page in pages:
        taken.append(page)
        size -= len(page.data)
        if size <= 0:
            break
    return taken


@dataclass(slots=True)
class _Past:
    """The kept lines of one room."""

    pages: deque[Page] = field(default_factory=deque)
    size: int = 0

    def append(self, page: Page) -> None:
        self.pages.append(page)
        self.size += len(page.data)
        while page.last - self.pages[0].last >= MEMORY_LINES or self.size > MEMORY_BYTES:
            self.size -= len(self.pages.popleft().data)


class MemoryJournal:
    """A journal that ends with the process and keeps the last 1,000 lines of a room, or what of them is 1 MiB."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all below
        self._pasts: dict[str, _Past] = {}  # the room that spoke last comes last
        self._sessions: dict[bytes, SessionRow] = {}  # the one seen last comes last
        self._facts: dict[tuple[str, str], str] = {}  # by kind and key

    def append(self, pages: Sequence[Page], sessions: Sequence[SessionRow], ended: Sequence[bytes]) -> None:
        """Keep all that is given, and forget the oldest beyond the limits."""
        with self._lock:
            for page in pages:
                past = self._pasts.pop(page.key, None) or _Past()
                self._pasts[page.key] = past
                past.append(page)
            for row in sessions:
                self._sessions.pop(row.token_hash, None)
                self._sessions[row.token_hash] = row
            for token_hash in ended:
                self._sessions.pop(token_hash, None)
            _shorten(self._pasts, MEMORY_ROOMS)
            _shorten(self._sessions, SESSIONS_STORED)

    def last_seq(self, key: str) -> int:
        """Return the SEQ of the last line of a room, 0 where there is none."""
        with self._lock:
            past = self._pasts.get(key)
            return past.pages[-1].last if past else 0

    def room_name(self, key: str) -> str | None:
        """Return how a room that has a past is written."""
        with self._lock:
            past = self._pasts.get(key)
            return past.pages[-1].room if past else None

    def read_pages(self, key: str, after: int, upto: int, size: int) -> list[Page]:
        """Return the lines of a room with after < SEQ <= upto that are still kept, until they have `size` bytes."""
        with self._lock:
            past = self._pasts.get(key)
            pages = [page for page in past.pages if after < min(page.last, upto) and page.first <= upto] if past else []
        return until_size((page.cut(after, upto) for page in pages), size)

    def find_session(self, token_hash: bytes) -> SessionRow | None:
        """Return the session that may be resumed with this token's hash."""
        with self._lock:
            return self._sessions.get(token_hash)

    def list_present(self) -> list[SessionRow]:
        """Return the sessions of those whom nobody has seen leave."""
        with self._lock:
            return [row for row in self._sessions.values() if row.present]

    def list_facts(self, kind: str) -> dict[str, str]:
        """Return what is kept of this kind."""
        with self._lock:
            return {key: fact for (other, key), fact in self._facts.items() if other == kind}

    def store_fact(self, kind: str, key: str, fact: str | None) -> None:
        """Keep a fact instead of the one before, or none."""
        with self._lock:
            if fact is None:
                self._facts.pop((kind, key), None)
            else:
                self._facts[kind, key] = fact

    def add_fact(self, kind: str, key: str, fact: str) -> bool:
        """Keep a fact where there is none."""
        with self._lock:
            if (kind, key) in self._facts:
                return False
            self._facts[kind, key] = fact
            return True

    def close(self) -> None:
        """Do nothing: it ends with the process."""


def _shorten(table: dict[Any, Any], length: int) -> None:
    """Drop the first entries of a table that has more than `length`."""
    while len(table) > length:
        del table[next(iter(table))]
