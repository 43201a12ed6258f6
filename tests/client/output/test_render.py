"""How events look: the words of a line, the styles of its pieces, and that nothing in it does harm."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from hubbub.client.output.render import MAX_FOLDED_NAMES, render, render_presence
from hubbub.client.output.styled_line import Span, StyledLine
from hubbub.protocol import (
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
    MemberRow,
    Notice,
    OwnerRow,
    Ping,
    Pong,
    PrivateMessage,
    Renamed,
    RoomRow,
    Said,
    ServerChallenge,
    Welcome,
    clean,
)

NOON = 1_763_812_800_000  # 2025-11-22 12:00 UTC
UNSAFE = "\x1b[31m\x07\x9b\r\n\u2028\u202e\u2066text"

# Events with the prefix and the body of their lines.
SHOWN: list[tuple[Event, str, str]] = [
    (Said("lobby", 1, NOON, "bob", "red", "hi  there"), "12:00 bob: ", "hi  there"),
    (Acted("lobby", 1, NOON, "alice", "red", "waves"), "12:00 * alice ", "waves"),
    (PrivateMessage(NOON, "alice", "red", "bob", "psst"), "12:00 [alice -> bob] ", "psst"),
    (Joined("lobby", NOON, "bob", "red"), "12:00 --> ", "bob joined"),
    (Left("lobby", NOON, "bob", "red", "exit"), "12:00 <-- ", "bob left"),
    (Left("lobby", NOON, "bob", "red", "lost"), "12:00 <-- ", "bob left (lost)"),
    (Renamed("lobby", NOON, "bob", "red", "rob"), "12:00 --- ", "bob is now rob"),
    (Renamed("lobby", NOON, "alice", "red", "eve"), "12:00 --- ", "you are now eve"),
    (Renamed("lobby", NOON, "bob", "light-blue", "bob"), "12:00 --- ", "bob is now light blue"),
    (Entered("lobby", 9, 2, "-"), "--- ", "you are in lobby: 2 people"),
    (Entered("ops", 0, 1, "locked"), "--- ", "you are in ops: 1 person (locked)"),
    (RoomRow("ops", 3, "locked"), "--- ", "ops: 3 people (locked)"),
    (RoomRow("ops", 3, "locked quiet"), "--- ", "ops: 3 people (locked)"),
    (MemberRow("bob", "red", "ops", 59), "--- ", "bob in ops, idle 59 s"),
    (MemberRow("bob", "red", "ops", 60), "--- ", "bob in ops, idle 1 min"),
    (MemberRow("bob", "red", "ops", 86_399), "--- ", "bob in ops, idle 23 h"),
    (MemberRow("bob", "red", "ops", 86_400), "--- ", "bob in ops, idle 1 d"),
    (OwnerRow("bob"), "--- ", "bob ✓"),
    (Gap("ops", 5, 9), "--- ", "lines 5 to 9 of ops are no longer stored"),
    (Notice("the server speaks"), "--- ", "the server speaks"),
    (Error("too-fast", "slow down"), "!!! ", "slow down"),
    (Bye("see you"), "--- ", "Disconnected: see you"),
]
NOT_SHOWN = [
    Hello(1, "-"),
    ServerChallenge("server", "nonce"),
    Welcome("alice", "red", "token", 0),
    End("list"),
    Ping("a"),
    Pong("a"),
]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the clock of this process to UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def line_of(event: Event, *, mention: bool = False) -> StyledLine:
    """Return the line of an event that is shown."""
    row = render(event, "alice", mention=mention)
    assert row is not None
    return row


def joined(*names: str) -> list[Joined | Left]:
    return [Joined("lobby", NOON, name, "red") for name in names]


def left(*names: str) -> list[Joined | Left]:
    return [Left("lobby", NOON, name, "blue", "lost") for name in names]


@pytest.mark.parametrize(("event", "prefix", "body"), SHOWN)
def test_words_of_an_event(event: Event, prefix: str, body: str) -> None:
    """Time and sender are in the prefix, the text in the body."""
    row = line_of(event)
    assert "".join(span.text for span in row.prefix) == prefix
    assert "".join(span.text for span in row.body) == body


@pytest.mark.parametrize("event", NOT_SHOWN)
def test_event_that_is_not_shown(event: Event) -> None:
    """Traffic between client and server has no line."""
    assert render(event, "alice") is None


@pytest.mark.parametrize(
    "event",
    [
        Said("lobby", 1, NOON, "bob", "teal", "hi"),
        Acted("lobby", 1, NOON, "bob", "teal", "waves"),
        PrivateMessage(NOON, "bob", "teal", "alice", "psst"),
        Joined("lobby", NOON, "bob", "teal"),
        Left("lobby", NOON, "bob", "teal", "exit"),
        MemberRow("bob", "teal", "ops", 59),
        Renamed("lobby", NOON, "rob", "teal", "bob"),
        Renamed("lobby", NOON, "bob", "teal", "bob"),
    ],
)
def test_name_has_the_color_chosen(event: Event) -> None:
    """In messages and in all other lines with the name."""
    row = line_of(event)
    assert Span("bob", "teal") in (*row.prefix, *row.body)


def test_unknown_color_is_no_style() -> None:
    """A later server may have more of them."""
    assert Span("bob", "") in line_of(Said("lobby", 1, NOON, "bob", "mauve", "hi")).prefix


def test_style_is_not_a_color() -> None:
    """The name of a style, sent as a colour, has no effect."""
    assert Span("bob", "") in line_of(Said("lobby", 1, NOON, "bob", "error", "hi")).prefix


@pytest.mark.parametrize(
    ("event", "style"),
    [
        (Notice("text"), "notice"),
        (Entered("lobby", 9, 2, "-"), "notice"),
        (Error("code", "text"), "error"),
    ],
)
def test_style_of_a_whole_line(event: Event, style: str) -> None:
    """Notices and errors look different from messages."""
    row = line_of(event)
    assert {span.style for span in (*row.prefix, *row.body)} == {style}


def test_presence_is_quiet_but_for_the_name() -> None:
    """It is dim except for the name."""
    assert line_of(Joined("lobby", NOON, "bob", "red")) == StyledLine(
        (Span("12:00 --> ", "presence"),), (Span("bob", "red"), Span(" joined", "presence"))
    )


def test_message_has_no_style() -> None:
    """Its time is dim, and its text has no style."""
    assert line_of(Said("lobby", 1, NOON, "bob", "red", "hi")) == StyledLine(
        (Span("12:00", "time"), Span(" "), Span("bob", "red"), Span(": ")), (Span("hi"),)
    )


def test_private_message_is_marked() -> None:
    """Its brackets have the style of notices."""
    row = line_of(PrivateMessage(NOON, "bob", "red", "alice", "psst"))
    assert [span.text for span in row.prefix if span.style == "notice"] == ["[", " -> alice]"]


@pytest.mark.parametrize(
    "event",
    [
        Said("lobby", 1, NOON, "bob", "red", "alice?"),
        Acted("lobby", 1, NOON, "bob", "red", "greets alice"),
        PrivateMessage(NOON, "bob", "red", "alice", "psst"),
    ],
)
def test_mention_stands_out(event: Said | Acted | PrivateMessage) -> None:
    """The text has the style of mentions; time and name are unchanged."""
    row = line_of(event, mention=True)
    assert row.body == (Span(event.text, "mention"),)
    assert row.prefix == line_of(event).prefix


def test_time_out_of_range() -> None:
    """A server can send any number."""
    assert line_of(Said("lobby", 1, 10**30, "bob", "red", "hi")).text == "--:-- bob: hi"


@pytest.mark.parametrize(
    ("events", "line"),
    [
        (joined("bob"), "12:00 --> bob joined"),
        (joined("bob", "carol"), "12:00 --> bob and carol joined"),
        (joined(*"abcde"), "12:00 --> a, b, c, d and e joined"),
        (joined(*"abcdef"), "12:00 --> a, b, c, d, e and 1 other joined"),
        (joined(*"abcdefg"), "12:00 --> a, b, c, d, e and 2 others joined"),
        (left("bob", "carol"), "12:00 <-- bob and carol left"),
        (joined("a") + left("b"), "12:00 --> a joined · <-- b left"),
        (left("b") + joined("a"), "12:00 --> a joined · <-- b left"),
        (joined("a") + left("a"), "12:00 <-> a came and went"),
        (joined("a") + left("a") + joined("a"), "12:00 --> a joined"),
        (left("a") + joined("a"), "12:00 --> a joined"),
        (left("a") + joined("a") + left("a"), "12:00 <-- a left"),
        (left("c") + joined("a", "b") + left("a"), "12:00 --> b joined · <-- c left · <-> a came and went"),
    ],
)
def test_folded_presence(events: list[Joined | Left], line: str) -> None:
    """One line has the last state of each member."""
    assert render_presence(events).text == line


def test_names_in_a_folded_line_have_their_colors() -> None:
    """Each its own; the rest is dim."""
    row = render_presence(joined("a", "b") + left("c"))
    assert [span for span in row.body if span.style != "presence"] == [
        Span("a", "red"),
        Span("b", "red"),
        Span("c", "blue"),
    ]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefghijklmnopqrst")), min_size=1))
def test_folded_line_counts_each_member_once(moves: list[tuple[bool, str]]) -> None:
    """The names and the count of the others add up to all members."""
    row = render_presence([event for come, name in moves for event in (joined(name) if come else left(name))])
    names = [span.text for span in row.body if span.style != "presence"]
    others = [int(span.text.split()[0]) for span in row.body if span.text.endswith((" other", " others"))]
    assert len(names) == len(set(names)) <= 3 * MAX_FOLDED_NAMES
    assert len(names) + sum(others) == len({name for _, name in moves})


@given(st.text())
def test_lines_are_clean(text: str) -> None:
    """Every text of every event is cleaned again before it is shown."""
    unsafe = UNSAFE + text
    events: list[Event] = [
        Said("lobby", 1, NOON, unsafe, unsafe, unsafe),
        Acted("lobby", 1, NOON, unsafe, unsafe, unsafe),
        PrivateMessage(NOON, unsafe, "red", unsafe, unsafe),
        Joined("lobby", NOON, unsafe, "red"),
        Left("lobby", NOON, unsafe, "red", unsafe),
        Renamed("lobby", NOON, unsafe, unsafe, unsafe),
        Renamed("lobby", NOON, unsafe, unsafe, "bob"),
        Entered(unsafe, 1, 1, unsafe),
        RoomRow(unsafe, 1, unsafe),
        MemberRow(unsafe, unsafe, unsafe, 1),
        OwnerRow(unsafe),
        Gap(unsafe, 1, 2),
        Notice(unsafe),
        Error(unsafe, unsafe),
        Bye(unsafe),
    ]
    rows = [*map(line_of, events), render_presence([*joined(unsafe), *left(unsafe + "x")])]
    for row in rows:
        assert row.text == clean(row.text)
