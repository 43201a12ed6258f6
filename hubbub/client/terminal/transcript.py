"""What a terminal shows beyond the single events: where a day begins, what is new, and who came and went, in short.

Nothing is read or written here; one thread uses it.
"""

import math
import time
from collections.abc import Callable
from datetime import date

from hubbub.client.output.render import render, render_presence
from hubbub.client.output.styled_line import Span, StyledLine
from hubbub.client.state.notification import Age, Notification
from hubbub.protocol import Acted, Joined, Left, PrivateMessage, Said

FOLD_SECONDS = 2.0  # between two lines about who is here, where there is nothing else to show
FOLD_ROWS = 3  # of people who came or went that are shown each on a line of its own; more become one line
HELD_EVENTS = 1_000  # not shown yet, before they are folded at once: memory must not hold any number

NEW = StyledLine(body=(Span("--- new since you were away ---", "marker"),))

# In English like everything else here, whatever language the system speaks.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


class Transcript:
    """Turns news into rows. Every `now` is in monotonic seconds and none is before the last."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Start with nothing shown; `clock` tells the seconds since 1970."""
        self._clock = clock
        self._day: date | None = None  # of the last line
        self._missed = False  # whether the last line of a room was missed, and not seen when it was said
        self._away = False
        self._unmarked = False  # away, and nothing was new since
        self._held: list[Joined | Left] = []
        self._held_until = -math.inf  # in monotonic seconds

    def add(self, news: Notification, now: float) -> list[StyledLine]:
        """Return the rows to show now, in order; people who come and go may have to wait for `flush`."""
        if isinstance(news.event, Joined | Left) and news.age is Age.LIVE:
            return self._hold(news.event, now)
        row = render(news.event, news.me, mention=news.mention)
        if row is None:
            return []
        marks = self._marks(news.event, news) if isinstance(news.event, Said | Acted | PrivateMessage) else []
        return [*self._release(now), *marks, row]

    @property
    def due(self) -> float | None:
        """When `flush` will have something to show, in monotonic seconds; None for never."""
        return self._held_until if self._held else None

    def flush(self, now: float) -> list[StyledLine]:
        """Return the rows that are due; at the end, `math.inf` is after all of them."""
        return self._release(now) if now >= self._held_until else []

    def look_away(self) -> None:
        """Note that nobody looks at the terminal."""
        if not self._away:
            self._away = self._unmarked = True

    def look_back(self) -> None:
        """Note that somebody looks at the terminal again."""
        self._away = self._unmarked = False

    # ------------------------------------------------------------------------------------------------ who is here

    def _hold(self, event: Joined | Left, now: float) -> list[StyledLine]:
        before = self.flush(now)
        self._held.append(event)
        full = len(self._held) == HELD_EVENTS
        return before + (self._release(now) if full else self.flush(now))

    def _release(self, now: float) -> list[StyledLine]:
        """Return the rows for those who are held, folded if they are many; the next ones will have to wait."""
        held, self._held = self._held, []
        if not held:
            return []
        self._held_until = now + FOLD_SECONDS
        if len(held) > FOLD_ROWS:
            return [render_presence(held)]
        return [row for event in held if (row := render(event, "")) is not None]

    # ------------------------------------------------------------------------------------- what stands before a line

    def _marks(self, event: Said | Acted | PrivateMessage, news: Notification) -> list[StyledLine]:
        marks = self._day_marks(event.time)
        if self._is_new(event, news):
            self._unmarked = False
            marks.append(NEW)
        return marks

    def _day_marks(self, milliseconds: int) -> list[StyledLine]:
        day = _day(milliseconds)
        if day is None:
            return []
        before = self._day or _day(int(self._clock() * 1000))
        self._day = day
        return [_day_row(day)] if day != before else []

    def _is_new(self, event: Said | Acted | PrivateMessage, news: Notification) -> bool:
        """Note `event`; return whether it is the first that was missed, or the first of others that nobody looks at."""
        if news.age is Age.MISSED:
            first, self._missed = not self._missed, True
            return first
        if news.age is Age.PAST:
            return False
        # What is told alone can come between lines that were missed; what is said now, only after them.
        self._missed = self._missed and isinstance(event, PrivateMessage)
        return self._unmarked and event.name != news.me


def _day(milliseconds: int) -> date | None:
    """Return the local day of a time, or None for one that the calendar does not reach."""
    try:
        return date(*time.localtime(milliseconds / 1000)[:3])
    except (OverflowError, OSError, ValueError):
        return None


def _day_row(day: date) -> StyledLine:
    text = f"--- {_WEEKDAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]} {day.year}"
    return StyledLine(body=(Span(text, "marker"),))
