"""The interface of a journal: it stores the ordered, numbered lines of each room, sessions, and facts."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from hubbub.protocol import Acted, Said, encode_run

SESSIONS_STORED = 100_000  # that can be resumed; beyond this the one that was seen longest ago is deleted
KEEP_DAYS = 30  # of a room's history
KEEP_LINES = 100_000  # of a room's history; the page with the oldest of them stays whole
LONG_PAGE_BYTES = 262_144  # more than a run; journals of 0.1.0 have pages of megabytes, too long to be held
SESSION_SECONDS = 7 * 86_400  # that a session can be resumed after it was last seen: a laptop may be closed for a week


class JournalError(Exception):
    """The journal cannot be written or read; the text says why, and what to do where something can be done."""


class DamagedError(JournalError):
    """A part of the journal is damaged."""


class Page(NamedTuple):
    """Consecutive `/say` or `/me` lines of a room, encoded as its members receive them."""

    key: str  # of the room: `protocol.fold_name` of its name
    room: str  # its name
    first: int  # SEQ
    last: int  # SEQ
    time: int  # of the last line; milliseconds since 1970
    data: bytes

    def is_intact(self) -> bool:
        """Return whether the data of a page that was read has as many lines as it should have."""
        count = self.last - self.first + 1
        return isinstance(self.data, bytes) and self.data.count(b"\n") == count and self.data.endswith(b"\n")

    def cut(self, after: int, upto: int) -> "Page":
        """Return the page of the lines with after < SEQ <= upto; at least one must be there."""
        data = cut_lines(self.data, self.first, self.last, after, upto)
        return self._replace(first=max(self.first, after + 1), last=min(self.last, upto), data=data)

    def shorten(self, size: int) -> "Page":
        """Return the page of the first lines, up to the one with which they have `size` bytes; `size` is positive."""
        if len(self.data) <= size:
            return self
        data = self.data[: self.data.index(b"\n", size - 1) + 1]
        return self._replace(last=self.first + data.count(b"\n") - 1, data=data)


def page_of_run(
    key: str, room: str, first: int, time: int, kind: type[Said | Acted], name: str, color: str, texts: Sequence[str]
) -> Page:
    """Return the page of one sender's consecutive lines, numbered from `first` on."""
    data = encode_run(kind, room, first, time, name, color, texts)
    return Page(key, room, first, first + len(texts) - 1, time, data)


def cut_lines(data: bytes, first: int, last: int, after: int, upto: int) -> bytes:
    """Return the lines with after < SEQ <= upto of `data`, which has the lines `first` to `last`; one must be there."""
    if after >= first:
        skipped = after - first + 1
        data = data.split(b"\n", skipped)[skipped]
    if last > upto:
        data = data.rsplit(b"\n", last - upto + 1)[0] + b"\n"
    return data


class SessionRow(NamedTuple):
    """A session as it is stored, for `/resume`."""

    token_hash: bytes
    name: str
    color: str
    room: str
    accepted: int  # the highest N of a post that is stored
    present: bool  # the member has not left
    seen: int  # milliseconds since 1970
    room_key_id: str = ""  # of a locked room


class Journal(Protocol):
    """The interface of every journal. Any thread may call any method; all raise JournalError."""

    def last_seq(self, key: str) -> int:
        """Return the SEQ of the last line of a room, or 0."""

    def room_name(self, key: str) -> str | None:
        """Return the spelling of a room that has history."""

    def read_pages(self, key: str, after: int, upto: int, size: int) -> list[Page]:
        """Return the stored lines of a room with after < SEQ <= upto, in pages, oldest first.

        The pages end when they have `size` bytes or more. If they have fewer, they hold all lines but those that are
        damaged. A page of more than `size` and LONG_PAGE_BYTES is cut.
        """

    def list_facts(self, kind: str) -> dict[str, str]:
        """Return the facts of a kind, like all bans, by key. Facts are small and change rarely."""

    def store_fact(self, kind: str, key: str, fact: str | None) -> None:
        """Replace a fact, or delete it with None. It is stored when this returns."""

    def add_fact(self, kind: str, key: str, fact: str) -> bool:
        """Store a fact unless its key has one; return whether it was stored."""

    def close(self) -> None:
        """Finish writing and release every resource. Idempotent."""


class LocalJournal(Journal, Protocol):
    """A journal of one server. Its `last_seq` does not wait for a room that was just looked up."""

    def append(self, pages: Sequence[Page], sessions: Sequence[SessionRow], ended: Sequence[bytes]) -> None:
        """Store `pages` and `sessions` and delete the sessions `ended`. Raises JournalError; then nothing is stored.

        For the delivery thread alone, which repeats a call that raised.
        """

    def check(self) -> None:
        """Raise JournalError if it is known that nothing can be stored now. Never waits."""

    def find_session(self, token_hash: bytes) -> SessionRow | None:
        """Return the session that can be resumed with the token that has this hash."""

    def list_present(self) -> list[SessionRow]:
        """Return the sessions of members who have not left."""


def until_size(pages: Iterable[Page], size: int) -> list[Page]:
    """Return the first pages, until they have `size` bytes; one of more than LONG_PAGE_BYTES is cut."""
    taken: list[Page] = []
    for page in pages:
        taken.append(page.shorten(max(size, LONG_PAGE_BYTES)))
        size -= len(page.data)
        if size <= 0:
            break
    return taken
