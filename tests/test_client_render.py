"""How events look: the words of a line, its colours, and that nothing in it does harm."""

import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import color
from client.render import View, render
from protocol import (
    Acted,
    Bye,
    End,
    Entered,
    Error,
    Event,
    Gap,
    Hello,
    Joined,
    Left,
    Notice,
    PersonRow,
    Ping,
    Pong,
    Renamed,
    RoomRow,
    Said,
    Told,
    Welcome,
    clean,
)

NOON = 1_763_812_800_000  # 2025-11-22 12:00 UTC
PLAIN = View(me="alice", colored=False)
COLORED = View(me="alice", colored=True)
UNSAFE = "\x1b[31m\x07\x9b\r\n\u2028\u202e\u2066text"

SHOWN: list[tuple[Event, str]] = [
    (Said("lobby", 1, NOON, "bob", "red", "hi  there"), "12:00 bob: hi  there"),
    (Acted("lobby", 1, NOON, "alice", "red", "waves"), "12:00 * alice waves"),
    (Told(NOON, "alice", "red", "bob", "psst"), "12:00 [alice -> bob] psst"),
    (Joined("lobby", NOON, "bob", "red"), "12:00 --> bob joined"),
    (Left("lobby", NOON, "bob", "red", "exit"), "12:00 <-- bob left"),
    (Left("lobby", NOON, "bob", "red", "lost"), "12:00 <-- bob left (lost)"),
    (Renamed("lobby", NOON, "bob", "red", "rob"), "12:00 --- bob is now rob"),
    (Renamed("lobby", NOON, "alice", "red", "eve"), "12:00 --- you are now eve"),
    (Renamed("lobby", NOON, "bob", "light-blue", "bob"), "12:00 --- bob is now light blue"),
    (Entered("lobby", 9, 2, "-"), "--- you are in lobby: 2 people"),
    (Entered("ops", 0, 1, "locked"), "--- you are in ops: 1 person (locked)"),
    (RoomRow("ops", 3, "locked"), "--- ops: 3 people (locked)"),
    (PersonRow("bob", "red", "ops", 59), "--- bob in ops, idle 59 s"),
    (PersonRow("bob", "red", "ops", 60), "--- bob in ops, idle 1 min"),
    (PersonRow("bob", "red", "ops", 7_200), "--- bob in ops, idle 2 h"),
    (Gap("ops", 5, 9), "--- lines 5 to 9 of ops are no longer kept"),
    (Notice("the server speaks"), "--- the server speaks"),
    (Error("too-fast", "slow down"), "!!! slow down"),
    (Bye("see you"), "--- the server says goodbye: see you"),
]
NOT_SHOWN = [Hello(1, "-"), Welcome("alice", "red", "token", 0), End("list"), Ping("a"), Pong("a")]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the clock of this process to UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("event", "line"), SHOWN)
def test_line_of_an_event(event: Event, line: str) -> None:
    """Its words, without a single escape code."""
    assert render(event, PLAIN) == line


@pytest.mark.parametrize(("event", "line"), SHOWN)
def test_colors_change_no_word(event: Event, line: str) -> None:
    """Taken out again, the codes leave the same words; and each that is set is reset."""
    painted = render(event, COLORED)
    assert painted is not None
    assert "\x1b" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == line
    assert painted.count("\x1b[") == 2 * painted.count("\x1b[0m")


@pytest.mark.parametrize("event", NOT_SHOWN)
def test_event_that_is_not_shown(event: Event) -> None:
    """What is between the programs has no line."""
    assert render(event, COLORED) is None


def test_name_has_the_color_chosen() -> None:
    """In a message and wherever else the name is shown with it."""
    events = [
        Said("lobby", 1, NOON, "bob", "teal", "hi"),
        Acted("lobby", 1, NOON, "bob", "teal", "waves"),
        Told(NOON, "bob", "teal", "alice", "psst"),
        Joined("lobby", NOON, "bob", "teal"),
        Left("lobby", NOON, "bob", "teal", "exit"),
        PersonRow("bob", "teal", "ops", 59),
        Renamed("lobby", NOON, "rob", "teal", "bob"),
    ]
    assert all(color.paint("teal", "bob") in (render(event, COLORED) or "") for event in events)


def test_color_that_nobody_knows_paints_nothing() -> None:
    """A later server may have more of them."""
    line = render(Said("lobby", 1, NOON, "bob", "mauve", "hi"), COLORED)
    assert line == f"{color.style('time', '12:00')} bob: hi"


def test_presence_notices_and_errors_look_different_from_messages() -> None:
    """Each has a style of its own, and a message has none."""
    assert render(Notice("text"), COLORED) == color.style("notice", "--- text")
    assert render(Error("code", "text"), COLORED) == color.style("error", "!!! text")
    assert (render(Joined("r", NOON, "bob", "red"), COLORED) or "").startswith(color.style("presence", "12:00 -->"))
    assert (render(Said("r", 1, NOON, "bob", "red", "text"), COLORED) or "").endswith(": text")


def test_time_beyond_the_calendar_is_not_shown() -> None:
    """A server can send any number."""
    assert render(Said("lobby", 1, 10**30, "bob", "red", "hi"), PLAIN) == "--:-- bob: hi"


@given(st.text())
def test_nothing_unsafe_is_shown(text: str) -> None:
    """Every text of every event is cleaned again before it is shown."""
    unsafe = UNSAFE + text
    events: list[Event] = [
        Said("lobby", 1, NOON, unsafe, unsafe, unsafe),
        Told(NOON, unsafe, "red", unsafe, unsafe),
        Left("lobby", NOON, unsafe, "red", unsafe),
        Renamed("lobby", NOON, unsafe, unsafe, unsafe),
        Entered(unsafe, 1, 1, unsafe),
        PersonRow(unsafe, unsafe, unsafe, 1),
        Error(unsafe, unsafe),
    ]
    for event in events:
        line = render(event, PLAIN)
        assert line is not None
        assert line == clean(line)
