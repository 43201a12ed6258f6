"""The newest lines of a room's log, in memory."""

from bisect import bisect_left, bisect_right
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from hubbub.server.journal.journal import cut_lines

TAIL_PAGES = 2_000  # of a room's log, each with one line or more
TAIL_BYTES = 4_194_304  # of a room's log: some 0.2 s of a flood: who lags for less needs no journal


class TailPage(NamedTuple):
    """Lines that were sent together. Either each line has a SEQ, or none has one, like presence lines."""

    data: bytes
    end: int  # the offset of the next line
    last: int  # the room's last SEQ up to here
    numbered: int  # how many of them have a SEQ: all or none


_END, _LAST = attrgetter("end"), attrgetter("last")


class Tail:
    """The end of a room's log. An offset counts the bytes since the log was opened; a line begins there."""

    __slots__ = ("_numbered", "base_seq", "end", "pages", "seq", "start")

    def __init__(self, seq: int) -> None:
        self.pages: list[TailPage] = []  # a list, for bisection
        self._numbered: list[
            TailPage
        ] = []  # those with SEQs; in `pages` thousands of others may be between two of them
        self.start = 0  # the offset of the oldest line here
        self.end = 0  # the offset of the next line
        self.seq = seq  # of the last line
        self.base_seq = seq  # of the last line before `start`

    def append(self, data: bytes, numbered: int) -> None:
        """Add lines, of which all or none are `numbered`, each with the next SEQ."""
        self.seq += numbered
        self.end += len(data)
        page = TailPage(data, self.end, self.seq, numbered)
        self.pages.append(page)
        if numbered:
            self._numbered.append(page)

    def skip_to(self, seq: int) -> None:
        """Continue after a SEQ; `read_numbered` starts there, since the lines before it are missing."""
        self.seq = seq
        self._numbered.clear()

    def has_all_after(self, seq: int) -> bool:
        """Return whether `read_numbered` has the next line after a SEQ, and all later ones."""
        return bool(self._numbered) and self._numbered[0].last - self._numbered[0].numbered <= seq < self.seq

    def trim(self) -> None:
        """Drop the oldest lines beyond the limits."""
        dropped = max(0, len(self.pages) - TAIL_PAGES)
        if self.end - self.start > TAIL_BYTES:
            dropped = max(dropped, 1 + bisect_left(self.pages, self.end - TAIL_BYTES, key=_END))
        if dropped:
            self.start, self.base_seq = self.pages[dropped - 1].end, self.pages[dropped - 1].last
            del self.pages[:dropped]
            del self._numbered[: bisect_right(self._numbered, self.base_seq, key=_LAST)]

    def clear(self) -> None:
        """Drop every line."""
        self.pages.clear()
        self._numbered.clear()
        self.start, self.base_seq = self.end, self.seq

    def read(self, offset: int, size: int) -> bytes:
        """Return the lines from `offset` on, until there are `size` bytes with the last page."""
        pieces: list[bytes] = []
        for page in islice(self.pages, bisect_right(self.pages, offset, key=_END), None):
            pieces.append(page.data[offset - page.end :])
            size -= page.end - offset
            offset = page.end
            if size <= 0:
                break
        return b"".join(pieces)

    def seq_at(self, offset: int) -> int:
        """Return the last SEQ before `offset`."""
        index = bisect_right(self.pages, offset, key=_END)
        seq = self.pages[index - 1].last if index else self.base_seq
        if index == len(self.pages) or not (page := self.pages[index]).numbered:
            return seq
        return seq + page.data.count(b"\n", 0, offset - page.end + len(page.data))

    def read_numbered(self, after: int, upto: int, size: int) -> tuple[bytes, int]:
        """Return the numbered lines with after < SEQ <= upto until there are `size` bytes, and the last one's SEQ.

        `has_all_after(after)` must be true, and `upto` not above the last SEQ.
        """
        pieces: list[bytes] = []
        for page in islice(self._numbered, bisect_right(self._numbered, after, key=_LAST), None):
            if after >= upto or size <= 0:
                break
            pieces.append(cut_lines(page.data, page.last - page.numbered + 1, page.last, after, upto))
            size -= len(pieces[-1])
            after = min(page.last, upto)
        return b"".join(pieces), after
