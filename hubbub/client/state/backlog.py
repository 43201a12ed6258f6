"""The history that the user asked for with `--since`: fetched page by page, and followed by the live lines.

    begin -> next_command -> receive … receive, complete_page -> next_command -> … -> is_done

Where the history begins at a time, or where lines are no longer stored, the first wanted line is found by bisection.
Live lines that do not follow the last one handed out are dropped, and fetched later. So no lines are held here, however
long the history and however busy the room. Nothing is sent or received here. The caller holds the session's lock.
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
    fold_name,
    is_number,
    parse_duration,
)

PATIENCE = 3  # pages in a row without the line that should be there; a purge while we ask explains one or two


@dataclass(frozen=True, slots=True)
class Since:
    """The start of the history: after line `seq`, or the last `seconds` if those are given."""

    seq: int = 0
    seconds: int | None = None


def parse_since(text: str) -> Since:
    """Parse `1200`, `90s`, `30m`, `2h` or `7d`. Raises ValueError, saying what is allowed."""
    if is_number(text):
        return Since(seq=int(text))
    try:
        return Since(seconds=parse_duration(text))
    except ValueError:
        raise ValueError(f"{text!r} is neither a line number nor a time like 90s, 30m, 2h or 7d") from None


class _Search:
    """A bisection of the lines from `low` to before `high` for the first wanted one; `high` if there is none."""

    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high
        self.probe = low  # the line to ask for: the first, because often all are wanted

    @property
    def is_over(self) -> bool:
        """Whether `low` is the line looked for."""
        return self.low >= self.high

    def note(self, seq: int, *, wanted: bool) -> None:
        """Note an existing line."""
        if wanted and self.low <= seq < self.high:
            self.high = seq
        elif self.low <= seq < self.high:
            self.low = seq + 1

    def complete_page(self) -> None:
        """Halve the range: no line up to the probe is wanted unless it was noted."""
        if self.probe < self.high:
            self.low = max(self.low, self.probe + 1)
        self.probe = (self.low + self.high) // 2


class Backlog:
    """Hands out the wanted lines of one room, past and live, in order, each once.

    Lines that are no longer stored are handed out as a Gap, except before the first one of a time. When it `is_done`,
    it passes on every line; repeated lines after another lost connection are then left to ReadPosition.
    """

    def __init__(self, since: Since, clock: Callable[[], float] = time.time) -> None:
        """Start with the lines of `since`; `clock` returns the seconds since 1970."""
        self._next = since.seq + 1  # the first line neither handed out nor given up
        # Milliseconds since 1970; None as soon as every line from `_next` on is wanted.
        self._oldest = None if since.seconds is None else int((clock() - since.seconds) * 1000)
        self._room = ""
        self._end = 0  # the last known line of the room
        self._search: _Search | None = None
        self._page: History | None = None
        self._failed_pages = 0  # pages in a row
        self._done = False

    @property
    def is_done(self) -> bool:
        """Whether all of the history is handed out, so that only live lines follow."""
        return self._done

    def begin(self, entered: Entered) -> None:
        """Start in the room entered, for the first time or again; entering another room ends the backlog.

        A room with fewer lines than were handed out was created again: all its lines are wanted.
        """
        if self._room and fold_name(entered.room) != fold_name(self._room):
            self._finish()
        self._room = entered.room
        self._end = entered.seq
        if self._end < self._next - 1:
            self._next = 1
        if self._page is None:
            self._search = _Search(self._next, self._end + 1) if self._oldest is not None else None

    def next_command(self) -> History | None:
        """Return what to ask the server now, and note it as asked; None while it answers, and at the end."""
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
        # A Gap is not needed: missing lines are noticed here.
        if isinstance(event, Gap) or fold_name(event.room) != fold_name(self._room):
            return []
        self._end = max(self._end, event.seq)
        if self._search is not None:
            self._search.note(event.seq, wanted=self._oldest is None or event.time >= self._oldest)
        elif event.seq == self._next:
            self._next += 1
            self._failed_pages = 0
            return [event]
        return []

    def complete_page(self) -> list[Event]:
        """Note that a page is complete; return what to show now: nothing, or a Gap."""
        page, self._page = self._page, None
        if page is None:
            return []
        events = self._continue_search(self._search) if self._search is not None else self._continue_paging(page)
        if self._next > self._end:
            self._finish()
        return events

    def refuse_page(self) -> list[Event]:
        """Note that the server refuses a page, which ends the backlog; return what to show now, as `complete_page`."""
        return self._give_up() if self._page is not None else []

    def lose_connection(self) -> None:
        """Note that the connection is lost: the page is asked for again after the next `begin`."""
        self._page = None

    def _continue_search(self, search: _Search) -> list[Event]:
        """Continue after the answer to a probe."""
        search.complete_page()
        if not search.is_over:
            return []
        events = self._skip_to(search.low)
        self._search = self._oldest = None
        return events

    def _continue_paging(self, page: History) -> list[Event]:
        """Continue after a page; if lines of it are missing, search for the next stored one."""
        if self._next >= page.before:
            return []
        self._failed_pages += 1
        if self._failed_pages > PATIENCE:
            return self._give_up()
        self._search = _Search(self._next, self._end + 1)
        return []

    def _skip_to(self, seq: int) -> list[Event]:
        """Give up the lines before `seq`."""
        first, self._next = self._next, seq
        return [Gap(self._room, first, seq - 1)] if first < seq and self._oldest is None else []

    def _give_up(self) -> list[Event]:
        self._finish()
        return self._skip_to(self._end + 1)

    def _finish(self) -> None:
        self._done = True
        self._page = None
