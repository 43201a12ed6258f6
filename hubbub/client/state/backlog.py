"""What was said before, from a line or a time on: asked of the server page by page, and then all that follows.

    begin -> next_command -> take … take, answered -> next_command -> … -> done

Where the past begins at a time, or where lines are no longer kept, the first line wanted is searched first, by halves.
Lines that are said meanwhile and do not follow the last one handed out are dropped, and fetched in their turn; so
nothing is held here, however long the past and however busy the room. Nothing is read or written here; whoever shares a
replay brings the lock.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from hubbub.protocol import (
    HISTORY_LINES_MAX,
    Acted,
    Entered,
    Event,
    Gap,
    History,
    Said,
    is_number,
    parse_duration,
    same_key,
)

PATIENCE = 3  # pages in a row without the line that is known to be there; it may be purged as we ask, but not so fast


@dataclass(frozen=True, slots=True)
class Since:
    """What is wanted: the lines behind line `seq`, or what was said in the last `seconds` if those are given."""

    seq: int = 0
    seconds: int | None = None


def parse_since(text: str) -> Since:
    """Return what `1200`, `90s`, `30m`, `2h` or `7d` means. Raises ValueError, saying what is allowed."""
    if is_number(text):
        return Since(seq=int(text))
    try:
        return Since(seconds=parse_duration(text))
    except ValueError:
        raise ValueError(f"{text!r} is neither the number of a line nor a time like 90s, 30m, 2h or 7d") from None


class _Search:
    """Looks among the lines from `low` to before `high` for the first that is wanted; if none is, it is `high`."""

    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high
        self.probe = low  # the line to ask for: the first one, for often all are wanted

    @property
    def over(self) -> bool:
        """Whether `low` is what was looked for."""
        return self.low >= self.high

    def note(self, seq: int, *, wanted: bool) -> None:
        """Take note of a line that there is."""
        if wanted and self.low <= seq < self.high:
            self.high = seq
        elif self.low <= seq < self.high:
            self.low = seq + 1

    def answered(self) -> None:
        """Halve what is left. That no line up to the probe was noted as wanted means that there is none."""
        if self.probe < self.high:
            self.low = max(self.low, self.probe + 1)
        self.probe = (self.low + self.high) // 2


class Backlog:
    """Hands out the lines of one room that are wanted, old and new, in order, each once.

    Lines that are no longer kept are handed out as a Gap, except before the first one of a time. When it is `done` it
    passes on whatever comes; which lines come twice after another lost connection is not its business any more.
    """

    def __init__(self, since: Since, clock: Callable[[], float] = time.time) -> None:
        """Want the lines of `since`; `clock` tells the seconds since 1970."""
        self._next = since.seq + 1  # the first line that is neither handed out nor given up
        # Milliseconds since 1970; None as soon as every line from `_next` on is wanted.
        self._oldest = None if since.seconds is None else int((clock() - since.seconds) * 1000)
        self._room = ""
        self._end = 0  # the last line of the room that we know of
        self._search: _Search | None = None
        self._page: History | None = None
        self._fruitless = 0  # pages in a row
        self._done = False

    @property
    def is_done(self) -> bool:
        """Whether all that is wanted of the past was handed out; every line that comes now follows."""
        return self._done

    def begin(self, entered: Entered) -> None:
        """Be in the room, for the first time or again. In another one than before it is `done`.

        A room that has fewer lines than we have of it was begun anew: all its lines are wanted.
        """
        if self._room and same_key(entered.room) != same_key(self._room):
            self._finish()
        self._room = entered.room
        self._end = entered.seq
        if self._end < self._next - 1:
            self._next = 1
        if self._page is None:
            self._search = _Search(self._next, self._end + 1) if self._oldest is not None else None

    def next_command(self) -> History | None:
        """Return what to ask the server now, and count it as asked; None while it answers, and when `done`."""
        if self._page is not None or self._done or not self._room:
            return None
        if self._search is not None:
            self._page = History(1, self._search.probe + 1)
        else:
            before = min(self._next + HISTORY_LINES_MAX, self._end + 1)
            self._page = History(max(1, before - self._next), before)
        return self._page

    def receive(self, event: Said | Acted | Gap) -> list[Event]:
        """Return what to show now that `event` has come, asked for or not."""
        if self._done:
            return [event]
        # What the server says of holes is not needed: they show.
        if isinstance(event, Gap) or same_key(event.room) != same_key(self._room):
            return []
        self._end = max(self._end, event.seq)
        if self._search is not None:
            self._search.note(event.seq, wanted=self._oldest is None or event.time >= self._oldest)
        elif event.seq == self._next:
            self._next += 1
            self._fruitless = 0
            return [event]
        return []

    def complete_page(self) -> list[Event]:
        """Note that the answer to what was asked is complete; return what to show now: nothing, or a Gap."""
        asked, self._page = self._page, None
        if asked is None:
            return []
        events = self._searched(self._search) if self._search is not None else self._paged(asked)
        if self._next > self._end:
            self._finish()
        return events

    def refuse_page(self) -> list[Event]:
        """Note that the server does not answer what was asked: it is `done`. Return what to show now, as `answered`."""
        return self._give_up() if self._page is not None else []

    def lose_connection(self) -> None:
        """Note that the connection is lost: what is asked is asked again after the next `begin`."""
        self._page = None

    def _searched(self, search: _Search) -> list[Event]:
        """Go on behind the answer to a probe."""
        search.answered()
        if not search.over:
            return []
        events = self._skip_to(search.low)
        self._search = self._oldest = None
        return events

    def _paged(self, asked: History) -> list[Event]:
        """Go on behind a page; where it did not bring all its lines, with the next one that there is."""
        if self._next >= asked.before:
            return []
        self._fruitless += 1
        if self._fruitless > PATIENCE:
            return self._give_up()
        self._search = _Search(self._next, self._end + 1)
        return []

    def _skip_to(self, seq: int) -> list[Event]:
        """Do without the lines before `seq`."""
        first, self._next = self._next, seq
        return [Gap(self._room, first, seq - 1)] if first < seq and self._oldest is None else []

    def _give_up(self) -> list[Event]:
        self._finish()
        return self._skip_to(self._end + 1)

    def _finish(self) -> None:
        self._done = True
        self._page = None
