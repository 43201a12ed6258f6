"""Conversion of events to StyledLines, with their words and styles. Any thread may call these functions."""

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

MAX_FOLDED_NAMES = 5  # in each group of a folded line; the others are counted
NO_TIME = "--:--"  # for a time beyond the range of the system's calendar
PROVEN_MARK = " ✓"  # behind the name of a member who has proven that they own it

_USUAL_REASONS = ("leave", "exit")  # why most members leave; not shown

_AnyEvent = TypeVar("_AnyEvent", bound=Event)


def render(event: Event, me: str, *, mention: bool = False) -> StyledLine | None:
    """Return the line that shows `event` to the user called `me`, cleaned; None for an event that is not shown.

    The text of a `mention` is highlighted.
    """
    event = _clean_fields(event)
    if isinstance(event, Said | Acted | PrivateMessage):
        return StyledLine(_message_prefix(event), (Span(event.text, "mention" if mention else ""),))
    if isinstance(event, Renamed):
        return _render_renamed(event, me)
    return _render(event)


def render_presence(events: Sequence[Joined | Left]) -> StyledLine:
    """Return one line for at least one event: who joined, who left, and who did both. No name is in it twice.

    A member who left and came back counts as joined. The reasons for leaving are not shown.
    """
    firsts: dict[str, Joined | Left] = {}
    lasts: dict[str, Joined | Left] = {}
    for event in map(_clean_fields, events):
        firsts.setdefault(event.name, event)
        lasts[event.name] = event
    joined = [event for event in lasts.values() if isinstance(event, Joined)]
    gone = [event for event in lasts.values() if isinstance(event, Left)]
    left = [event for event in gone if isinstance(firsts[event.name], Left)]
    both = [event for event in gone if isinstance(firsts[event.name], Joined)]
    groups = {
        "-->": _list_names(joined, "joined"),
        "<--": _list_names(left, "left"),
        "<->": _list_names(both, "came and went"),
    }
    (arrow, body), *others = [group for group in groups.items() if group[1]]
    for other_arrow, other_body in others:
        body += [Span(f" · {other_arrow} ", "presence"), *other_body]
    return _presence_line(events[-1].time, arrow, *body)


def render_member(row: MemberRow, *, proven: bool) -> StyledLine:
    """Return a row of a /who reply, cleaned; a member with a `proven` name has a ✓."""
    row = _clean_fields(row)
    mark = [Span(PROVEN_MARK, "notice")] if proven else []
    name = Span(row.name, _color_style(row.color))
    return StyledLine(_NOTICE_PREFIX, (name, *mark, Span(f" in {row.room}, idle {_format_idle(row.idle)}", "notice")))


def render_notice(text: str) -> StyledLine:
    """Return a line with a piece of information, which must be clean."""
    return StyledLine(_NOTICE_PREFIX, (Span(text, "notice"),))


def render_error(text: str) -> StyledLine:
    """Return a line that says why something was not done; the text must be clean."""
    return StyledLine((Span("!!! ", "error"),), (Span(text, "error"),))


def render_chart() -> list[StyledLine]:
    """Return the lines of a chart of the twelve colours with their numbers, each in itself."""
    return [StyledLine(body=tuple(Span(*piece) for piece in pieces)) for pieces in color.chart_rows()]


def count_people(count: int) -> str:
    """Return `1 person` or `3 people`."""
    return "1 person" if count == 1 else f"{count} people"


_NOTICE_PREFIX = (Span("--- ", "notice"),)


def _clean_fields(event: _AnyEvent) -> _AnyEvent:
    values = LAYOUTS[type(event)].values(event)
    cleaned = tuple([clean(value) if isinstance(value, str) else value for value in values])
    return event if cleaned == values else type(event)(*cleaned)


def _format_time(milliseconds: int) -> str:
    try:
        return time.strftime("%H:%M", time.localtime(milliseconds / 1000))
    except (OverflowError, OSError, ValueError):
        return NO_TIME


def _format_idle(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86_400:
        return f"{seconds // 3600} h"
    return f"{seconds // 86_400} d"


def _color_style(name: str) -> str:
    """Return the style for a colour from the wire; none for one that only later versions know."""
    return name if name in COLORS else ""


# ------------------------------------------------------------------------------------------------------------- messages


def _message_prefix(event: Said | Acted | PrivateMessage) -> tuple[Span, ...]:
    time_span = Span(_format_time(event.time), "time")
    name = Span(event.name, _color_style(event.color))
    if isinstance(event, Said):
        return time_span, Span(" "), name, Span(": ")
    if isinstance(event, Acted):
        return time_span, Span(" * "), name, Span(" ")
    return time_span, Span(" "), Span("[", "notice"), name, Span(f" -> {event.to}]", "notice"), Span(" ")


# ------------------------------------------------------------------------------------------------------------- presence


def _presence_line(milliseconds: int, arrow: str, *body: Span) -> StyledLine:
    """Return a line about presence, which is dim except for the names."""
    return StyledLine((Span(f"{_format_time(milliseconds)} {arrow} ", "presence"),), body)


def _list_names(events: Sequence[Joined | Left], action: str) -> list[Span]:
    """Return `alice, bob and 3 others joined`, or nothing for no events."""
    if not events:
        return []
    names = [Span(event.name, _color_style(event.color)) for event in events[:MAX_FOLDED_NAMES]]
    more = len(events) - len(names)
    if more:
        names.append(Span("1 other" if more == 1 else f"{more} others", "presence"))
    commas = [Span(", ", "presence")] * (len(names) - 2)
    links = [*commas, Span(" and ", "presence")] if len(names) > 1 else []
    ends = [*links, Span(f" {action}", "presence")]
    return [span for pair in zip(names, ends, strict=True) for span in pair]


def _render_renamed(event: Renamed, me: str) -> StyledLine:
    name = Span(event.new, _color_style(event.color))
    if event.old == event.new:
        return _presence_line(event.time, "---", name, Span(f" is now {color.display_name(event.color)}", "presence"))
    old = "you are" if event.old == me else f"{event.old} is"
    return _presence_line(event.time, "---", Span(f"{old} now ", "presence"), name)


# --------------------------------------------------------------------------------------------------------- other events


def _describe_room(room: Entered | RoomRow) -> str:
    return count_people(room.people) + (" (locked)" if room.locked else "")


@singledispatch
def _render(event: Event) -> StyledLine | None:  # noqa: ARG001 (an event that is not registered below is not shown)
    return None


@_render.register
def _(event: Joined) -> StyledLine:
    return _presence_line(event.time, "-->", *_list_names([event], "joined"))


@_render.register
def _(event: Left) -> StyledLine:
    reason = "" if event.text in _USUAL_REASONS else f" ({event.text})"
    return _presence_line(event.time, "<--", *_list_names([event], f"left{reason}"))


@_render.register
def _(event: Entered) -> StyledLine:
    return render_notice(f"you are in {event.room}: {_describe_room(event)}")


@_render.register
def _(event: RoomRow) -> StyledLine:
    return render_notice(f"{event.room}: {_describe_room(event)}")


@_render.register
def _(event: MemberRow) -> StyledLine:
    return render_member(event, proven=False)


@_render.register
def _(event: OwnerRow) -> StyledLine:
    return render_notice(f"{event.name}{PROVEN_MARK}")


@_render.register
def _(event: Gap) -> StyledLine:
    return render_notice(f"lines {event.first} to {event.last} of {event.room} are no longer stored")


@_render.register
def _(event: Notice) -> StyledLine:
    return render_notice(event.text)


@_render.register
def _(event: Error) -> StyledLine:
    return render_error(event.text)


@_render.register
def _(event: Bye) -> StyledLine:
    return render_notice(f"Disconnected: {event.text}")
