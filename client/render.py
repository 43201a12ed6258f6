"""Events become lines of text, painted or not. Nothing is read or written here; any thread may call it."""

import dataclasses
import time
from functools import singledispatch

import color
from protocol import (
    Acted,
    Bye,
    Entered,
    Error,
    Event,
    Gap,
    Joined,
    Left,
    Notice,
    PersonRow,
    Renamed,
    RoomRow,
    Said,
    Told,
    clean,
)

_ON_PURPOSE = ("leave", "exit")  # why most people leave: the line need not say it
NO_TIME = "--:--"  # for a time that this system's calendar does not reach


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """Through whose eyes an event is seen: `me` is their name, `colored` says whether escape codes are wanted."""

    me: str
    colored: bool

    def paint(self, name: str, text: str) -> str:
        """Return `text` in the colour `name`; a colour that we do not know paints nothing."""
        return color.paint(name, text) if self.colored and name in color.COLORS else text

    def style(self, kind: str, text: str) -> str:
        """Return `text` as something of this `kind` looks; `color.STYLES` has the kinds."""
        return color.style(kind, text) if self.colored else text


def render(event: Event, view: View) -> str | None:
    """Return the line that shows `event`, cleaned, without its end; None for an event that is not shown."""
    return _line(_cleaned(event), view)


def _cleaned(event: Event) -> Event:
    # Every event is a dataclass, which its base class does not tell the type checker.
    fields = dataclasses.fields(event)  # type: ignore[arg-type]
    texts = {field.name: clean(text) for field in fields if isinstance(text := getattr(event, field.name), str)}
    return dataclasses.replace(event, **texts)  # type: ignore[type-var]


def _clock(milliseconds: int) -> str:
    try:
        return time.strftime("%H:%M", time.localtime(milliseconds / 1000))
    except (OverflowError, OSError, ValueError):
        return NO_TIME


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _locked(flags: str) -> str:
    return " (locked)" if "locked" in flags.split(",") else ""


def _idle(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h"


def _presence(view: View, milliseconds: int, arrow: str, name: str, what: str = "") -> str:
    """Return a line about who is here: quiet, but for the name, which is painted already."""
    start = view.style("presence", f"{_clock(milliseconds)} {arrow}")
    end = f" {view.style('presence', what)}" if what else ""
    return f"{start} {name}{end}"


@singledispatch
def _line(event: Event, view: View) -> str | None:  # noqa: ARG001 (what is not registered below is not shown)
    return None


@_line.register
def _(event: Said, view: View) -> str:
    return f"{view.style('time', _clock(event.time))} {view.paint(event.color, event.name)}: {event.text}"


@_line.register
def _(event: Acted, view: View) -> str:
    return f"{view.style('time', _clock(event.time))} * {view.paint(event.color, event.name)} {event.text}"


@_line.register
def _(event: Told, view: View) -> str:
    opening, middle = view.style("notice", "["), view.style("notice", f" -> {event.to}]")
    name = view.paint(event.color, event.name)
    return f"{view.style('time', _clock(event.time))} {opening}{name}{middle} {event.text}"


@_line.register
def _(event: Joined, view: View) -> str:
    return _presence(view, event.time, "-->", view.paint(event.color, event.name), "joined")


@_line.register
def _(event: Left, view: View) -> str:
    left = "left" if event.text in _ON_PURPOSE else f"left ({event.text})"
    return _presence(view, event.time, "<--", view.paint(event.color, event.name), left)


@_line.register
def _(event: Renamed, view: View) -> str:
    name = view.paint(event.color, event.new)
    if event.old == event.new:
        return _presence(view, event.time, "---", name, f"is now {color.label(event.color)}")
    old = "you are" if event.old == view.me else f"{event.old} is"
    return _presence(view, event.time, f"--- {old} now", name)


@_line.register
def _(event: Entered, view: View) -> str:
    return view.style("notice", f"--- you are in {event.room}: {_people(event.people)}{_locked(event.flags)}")


@_line.register
def _(event: RoomRow, view: View) -> str:
    return view.style("notice", f"--- {event.room}: {_people(event.people)}{_locked(event.flags)}")


@_line.register
def _(event: PersonRow, view: View) -> str:
    name = view.paint(event.color, event.name)
    return f"{view.style('notice', '---')} {name} {view.style('notice', f'in {event.room}, idle {_idle(event.idle)}')}"


@_line.register
def _(event: Gap, view: View) -> str:
    return view.style("notice", f"--- lines {event.first} to {event.last} of {event.room} are no longer kept")


@_line.register
def _(event: Notice, view: View) -> str:
    return view.style("notice", f"--- {event.text}")


@_line.register
def _(event: Error, view: View) -> str:
    return view.style("error", f"!!! {event.text}")


@_line.register
def _(event: Bye, view: View) -> str:
    return view.style("notice", f"--- the server says goodbye: {event.text}")
