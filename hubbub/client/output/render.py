"""Events become Rows: their words, and the names of the styles they have. Any thread may call what is here."""

import time
from collections.abc import Sequence
from functools import singledispatch
from typing import TypeVar

from hubbub import color
from hubbub.client.output.styled_line import Span, StyledLine
from hubbub.protocol import (
    COLORS,
    LAYOUTS,
    Acted,
    Bye,
    Entered,
    Error,
    Event,
    Gap,
    Joined,
    Left,
    MemberRow,
    Notice,
    OwnerRow,
    PrivateMessage,
    Renamed,
    RoomRow,
    Said,
    clean,
)

FOLDED_NAMES = 5  # told of those who joined, and of those who left; the others are counted
NO_TIME = "--:--"  # for a time that this system's calendar does not reach

_ON_PURPOSE = ("leave", "exit")  # why most people leave: the line need not say it

_AnyEvent = TypeVar("_AnyEvent", bound=Event)


def render(event: Event, me: str, *, mention: bool = False) -> StyledLine | None:
    """Return the line that shows `event` to somebody called `me`, cleaned; None for an event that is not shown.

    The text of a `mention` stands out.
    """
    event = _cleaned(event)
    if isinstance(event, Said | Acted | PrivateMessage):
        return StyledLine(_message_prefix(event), (Span(event.text, "mention" if mention else ""),))
    if isinstance(event, Renamed):
        return _renamed(event, me)
    return _row(event)


def render_presence(events: Sequence[Joined | Left]) -> StyledLine:
    """Return one line for all of `events`, at least one: who joined, who left, and who did both. It names nobody twice.

    Who left and is back has joined. Why somebody left is not told.
    """
    firsts: dict[str, Joined | Left] = {}
    lasts: dict[str, Joined | Left] = {}
    for event in map(_cleaned, events):
        firsts.setdefault(event.name, event)
        lasts[event.name] = event
    joined = [event for event in lasts.values() if isinstance(event, Joined)]
    gone = [event for event in lasts.values() if isinstance(event, Left)]
    left = [event for event in gone if isinstance(firsts[event.name], Left)]
    both = [event for event in gone if isinstance(firsts[event.name], Joined)]
    groups = {"-->": _group(joined, "joined"), "<--": _group(left, "left"), "<->": _group(both, "came and went")}
    (arrow, body), *others = [group for group in groups.items() if group[1]]
    for other_arrow, other_body in others:
        body += [Span(f" · {other_arrow} ", "presence"), *other_body]
    return _presence(events[-1].time, arrow, *body)


def _cleaned(event: _AnyEvent) -> _AnyEvent:
    values = LAYOUTS[type(event)].values(event)
    cleaned = tuple([clean(value) if isinstance(value, str) else value for value in values])
    return event if cleaned == values else type(event)(*cleaned)


def _clock(milliseconds: int) -> str:
    try:
        return time.strftime("%H:%M", time.localtime(milliseconds / 1000))
    except (OverflowError, OSError, ValueError):
        return NO_TIME


def _style(name: str) -> str:
    """Return the style for a colour from the wire, where a later server may have more of them."""
    return name if name in COLORS else ""


def count_people(count: int) -> str:
    """Return `1 person` or `3 people`."""
    return "1 person" if count == 1 else f"{count} people"


def _about(room: Entered | RoomRow) -> str:
    return count_people(room.people) + (" (locked)" if room.locked else "")


def _idle(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86_400:
        return f"{seconds // 3600} h"
    return f"{seconds // 86_400} d"


# ---------------------------------------------------------------------------------------------------- what people say


def _message_prefix(event: Said | Acted | PrivateMessage) -> tuple[Span, ...]:
    clock = Span(_clock(event.time), "time")
    name = Span(event.name, _style(event.color))
    if isinstance(event, Said):
        return clock, Span(" "), name, Span(": ")
    if isinstance(event, Acted):
        return clock, Span(" * "), name, Span(" ")
    return clock, Span(" "), Span("[", "notice"), name, Span(f" -> {event.to}]", "notice"), Span(" ")


# -------------------------------------------------------------------------------------------------------- who is here


def _presence(milliseconds: int, arrow: str, *body: Span) -> StyledLine:
    """Return a line about who is here: quiet, but for the names."""
    return StyledLine((Span(f"{_clock(milliseconds)} {arrow} ", "presence"),), body)


def _group(people: Sequence[Joined | Left], what: str) -> list[Span]:
    """Return `alice, bob and 3 others joined`, or nothing for nobody."""
    if not people:
        return []
    names = [Span(event.name, _style(event.color)) for event in people[:FOLDED_NAMES]]
    more = len(people) - len(names)
    if more:
        names.append(Span("1 other" if more == 1 else f"{more} others", "presence"))
    commas = [Span(", ", "presence")] * (len(names) - 2)
    links = [*commas, Span(" and ", "presence")] if len(names) > 1 else []
    ends = [*links, Span(f" {what}", "presence")]
    return [span for pair in zip(names, ends, strict=True) for span in pair]


def _renamed(event: Renamed, me: str) -> StyledLine:
    name = Span(event.new, _style(event.color))
    if event.old == event.new:
        return _presence(event.time, "---", name, Span(f" is now {color.display_name(event.color)}", "presence"))
    old = "you are" if event.old == me else f"{event.old} is"
    return _presence(event.time, "---", Span(f"{old} now ", "presence"), name)


# --------------------------------------------------------------------------------------------------------- the others


def render_notice(text: str) -> StyledLine:
    """Return a line that tells something, which must have been cleaned."""
    return StyledLine((Span("--- ", "notice"),), (Span(text, "notice"),))


def render_error(text: str) -> StyledLine:
    """Return a line that tells why something is not done, which must have been cleaned."""
    return StyledLine((Span("!!! ", "error"),), (Span(text, "error"),))


@singledispatch
def _row(event: Event) -> StyledLine | None:  # noqa: ARG001 (what is not registered below is not shown)
    return None


@_row.register
def _(event: Joined) -> StyledLine:
    return _presence(event.time, "-->", *_group([event], "joined"))


@_row.register
def _(event: Left) -> StyledLine:
    return _presence(
        event.time, "<--", *_group([event], "left" if event.text in _ON_PURPOSE else f"left ({event.text})")
    )


@_row.register
def _(event: Entered) -> StyledLine:
    return render_notice(f"you are in {event.room}: {_about(event)}")


@_row.register
def _(event: RoomRow) -> StyledLine:
    return render_notice(f"{event.room}: {_about(event)}")


@_row.register
def _(event: MemberRow) -> StyledLine:
    name = Span(event.name, _style(event.color))
    return StyledLine((Span("--- ", "notice"),), (name, Span(f" in {event.room}, idle {_idle(event.idle)}", "notice")))


@_row.register
def _(event: OwnerRow) -> StyledLine:
    return render_notice(f"{event.name} has proven who they are")


@_row.register
def _(event: Gap) -> StyledLine:
    return render_notice(f"lines {event.first} to {event.last} of {event.room} are no longer kept")


@_row.register
def _(event: Notice) -> StyledLine:
    return render_notice(event.text)


@_row.register
def _(event: Error) -> StyledLine:
    return render_error(event.text)


@_row.register
def _(event: Bye) -> StyledLine:
    return render_notice(f"the server says goodbye: {event.text}")
