"""The lines that a terminal shows for notifications: with separators for days and new lines, and folded presence.

Nothing is read or written here. For one thread.
"""

import math
import time
from collections.abc import Callable
from datetime import date

from hubbub.client.output.render import render, render_presence
from hubbub.client.output.styled_line import Span, StyledLine
from hubbub.client.output.who_reply import WhoReply
from hubbub.client.state.notification import Age, Notification
from hubbub.protocol import Acted, Joined, Left, PrivateMessage, Said

FOLD_SECONDS = 2.0  # after a presence line, in which further presence events are held
MAX_UNFOLDED_EVENTS = 3  # held presence events that are shown in a line each; more are folded into one line
MAX_HELD_EVENTS = 1_000  # presence events in memory; more are folded at once

NEW_LINES_SEPARATOR = StyledLine(body=(Span("--- new since you were away ---", "marker"),))

# In English, like all texts here, whatever the locale is.
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
    """The conversion of notifications to lines. Every `now` is in monotonic seconds, and not before the last one."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Start with nothing shown; `clock` returns the seconds since 1970."""
        self._clock = clock
        self._day: date | None = None  # of the last message
        self._in_missed_lines = False  # whether the last message of a room was missed while the connection was lost
        self._focused = True
        self._separator_due = False  # without focus, and no new line since
        self._held: list[Joined | Left] = []
        self._held_until = -math.inf  # in monotonic seconds
        self._who_reply = WhoReply()

    def add(self, notification: Notification, now: float) -> list[StyledLine]:
        """Return the lines to show now, in order; presence events may be held until `flush`."""
        event = notification.event
        if isinstance(event, Joined | Left) and notification.age is Age.LIVE:
            return self._hold(event, now)
        if self._who_reply.hold(event):
            return []
        reply = self._who_reply.release()
        line = render(event, notification.me, mention=notification.mention)
        if line is None and not reply:
            return []
        separators = self._separators(event, notification) if isinstance(event, Said | Acted | PrivateMessage) else []
        return [*self._release(now), *reply, *separators, *([line] if line else [])]

    @property
    def due(self) -> float | None:
        """The monotonic time at which `flush` will return lines; None for never."""
        return self._held_until if self._held else None

    def flush(self, now: float) -> list[StyledLine]:
        """Return the held lines that are due. At the end pass `math.inf`, which returns all of them."""
        lines = self._release(now) if now >= self._held_until else []
        return lines if now < math.inf else [*lines, *self._who_reply.release()]

    def on_focus_lost(self) -> None:
        """Start to watch for the first line that the user does not see."""
        if self._focused:
            self._focused, self._separator_due = False, True

    def on_focus_gained(self) -> None:
        """Regard later lines as seen."""
        self._focused, self._separator_due = True, False

    # ------------------------------------------------------------------------------------------------- presence

    def _hold(self, event: Joined | Left, now: float) -> list[StyledLine]:
        lines = self.flush(now)
        self._held.append(event)
        full = len(self._held) == MAX_HELD_EVENTS
        return lines + (self._release(now) if full else self.flush(now))

    def _release(self, now: float) -> list[StyledLine]:
        """Return the lines for the held events, folded if they are many. Later events are held for FOLD_SECONDS."""
        held, self._held = self._held, []
        if not held:
            return []
        self._held_until = now + FOLD_SECONDS
        if len(held) > MAX_UNFOLDED_EVENTS:
            return [render_presence(held)]
        return [line for event in held if (line := render(event, "")) is not None]

    # ---------------------------------------------------------------------------------- separators before messages

    def _separators(self, event: Said | Acted | PrivateMessage, notification: Notification) -> list[StyledLine]:
        separators = self._day_separators(event.time)
        if self._is_first_new(event, notification):
            self._separator_due = False
            separators.append(NEW_LINES_SEPARATOR)
        return separators

    def _day_separators(self, milliseconds: int) -> list[StyledLine]:
        day = _to_day(milliseconds)
        if day is None:
            return []
        before = self._day or _to_day(int(self._clock() * 1000))
        self._day = day
        return [_render_day(day)] if day != before else []

    def _is_first_new(self, event: Said | Acted | PrivateMessage, notification: Notification) -> bool:
        """Note a message; return whether it is the first one missed, while the connection or the focus was lost."""
        if notification.age is Age.MISSED:
            first, self._in_missed_lines = not self._in_missed_lines, True
            return first
        if notification.age is Age.PAST:
            return False
        # Private messages can come between missed lines; messages of a room come only after them.
        self._in_missed_lines = self._in_missed_lines and isinstance(event, PrivateMessage)
        return self._separator_due and event.name != notification.me


def _to_day(milliseconds: int) -> date | None:
    """Return the local day of a time, or None for a time beyond the range of the calendar."""
    try:
        return date(*time.localtime(milliseconds / 1000)[:3])
    except (OverflowError, OSError, ValueError):
        return None


def _render_day(day: date) -> StyledLine:
    text = f"--- {_WEEKDAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]} {day.year}"
    return StyledLine(body=(Span(text, "marker"),))
