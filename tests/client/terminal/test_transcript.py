"""The lines that a terminal shows: separators of days and new lines, and folded presence."""

import math
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from hubbub.client.output.styled_line import Span
from hubbub.client.state.notification import Age, Notification
from hubbub.client.terminal.transcript import (
    FOLD_SECONDS,
    MAX_HELD_EVENTS,
    MAX_UNFOLDED_EVENTS,
    NEW_LINES_SEPARATOR,
    Transcript,
)
from hubbub.protocol import (
    Acted,
    End,
    Event,
    Joined,
    Left,
    MemberRow,
    Notice,
    OwnerRow,
    Ping,
    PrivateMessage,
    Said,
    Welcome,
    clean,
)

NOON = 1_763_812_800_000  # Saturday, 2025-11-22 12:00 UTC
DAY = 86_400_000  # milliseconds
SEPARATOR = NEW_LINES_SEPARATOR.text
SUNDAY = "--- Sunday, 23 November 2025"


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the clock of this process to UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Shown:
    """A transcript for the user alice, at noon, and the lines that it has shown."""

    def __init__(self) -> None:
        self.transcript = Transcript(lambda: NOON / 1000)
        self.lines: list[str] = []

    def add(self, event: Event, age: Age = Age.LIVE, now: float = 0.0) -> None:
        self.lines += [row.text for row in self.transcript.add(Notification(event, "alice", age), now)]

    def flush(self, now: float) -> None:
        self.lines += [row.text for row in self.transcript.flush(now)]


@pytest.fixture
def shown() -> Shown:
    """Return a transcript with nothing shown."""
    return Shown()


def said(text: str, *, name: str = "bob", at: int = NOON) -> Said:
    """Return a message."""
    return Said("lobby", 1, at, name, "red", text)


def joined(name: str) -> Joined:
    """Return the event that a member joined."""
    return Joined("lobby", NOON, name, "red")


def left(name: str, why: str = "exit") -> Left:
    """Return the event that a member left."""
    return Left("lobby", NOON, name, "red", why)


def test_line_of_an_event(shown: Shown) -> None:
    """It is shown at once, without a separator."""
    shown.add(said("hi"))
    assert shown.lines == ["12:00 bob: hi"]


def test_mention_keeps_its_style() -> None:
    """The text of the line has the style of mentions."""
    (row,) = Transcript(lambda: NOON / 1000).add(Notification(said("alice!"), "alice", mention=True), 0.0)
    assert row.body == (Span("alice!", "mention"),)


@pytest.mark.parametrize("event", [Ping("a"), Welcome("alice", "red", "token", 0)])
def test_event_that_is_not_shown(shown: Shown, event: Event) -> None:
    """It has no line and does not release held lines."""
    shown.add(joined("bob"))
    shown.add(joined("carol"))
    shown.add(event)
    assert shown.lines == ["12:00 --> bob joined"]


def test_who_reply_marks_proven_names(shown: Shown) -> None:
    """The rows are shown when the reply ends, after the presence lines that were held before."""
    for event in (joined("dave"), joined("erin"), MemberRow("bob", "red", "lobby", 5), OwnerRow("bob"), End("who")):
        shown.add(event)
    assert shown.lines == ["12:00 --> dave joined", "12:00 --> erin joined", "--- bob ✓ in lobby, idle 5 s"]


def test_unfinished_who_reply_at_the_end(shown: Shown) -> None:
    """Its rows are shown."""
    shown.add(MemberRow("bob", "red", "lobby", 5))
    shown.flush(math.inf)
    assert shown.lines == ["--- bob in lobby, idle 5 s"]


# ---------------------------------------------------------------------------------------------------------------- days


def test_another_day(shown: Shown) -> None:
    """Its date is shown once, before its first line."""
    for text, at in (("a", NOON), ("b", NOON + DAY), ("c", NOON + DAY)):
        shown.add(said(text, at=at))
    assert shown.lines == ["12:00 bob: a", SUNDAY, "12:00 bob: b", "12:00 bob: c"]


def test_first_line_is_of_another_day(shown: Shown) -> None:
    """Older lines have their date, and the first line of today has today's."""
    shown.add(said("a", at=NOON - DAY), Age.PAST)
    shown.add(said("b"))
    assert shown.lines == [
        "--- Friday, 21 November 2025",
        "12:00 bob: a",
        "--- Saturday, 22 November 2025",
        "12:00 bob: b",
    ]


@pytest.mark.parametrize(
    "event",
    [
        said("b", at=NOON + DAY),
        Acted("lobby", 1, NOON + DAY, "bob", "red", "waves"),
        PrivateMessage(NOON + DAY, "bob", "red", "alice", "psst"),
    ],
)
def test_messages_begin_a_day(shown: Shown, event: Event) -> None:
    """Messages of all kinds have a date before them."""
    shown.add(event)
    assert shown.lines[0] == SUNDAY


@pytest.mark.parametrize("event", [Joined("lobby", NOON + DAY, "bob", "red"), Notice("hello")])
def test_events_that_begin_no_day(shown: Shown, event: Event) -> None:
    """Presence and notices."""
    shown.add(event)
    assert len(shown.lines) == 1


@pytest.mark.parametrize("at", [10**14 * 6, 10**30])
def test_time_beyond_the_calendar_begins_no_day(shown: Shown, at: int) -> None:
    """The lines around it are of the same day."""
    for text, moment in (("a", NOON), ("b", at), ("c", NOON)):
        shown.add(said(text, at=moment))
    assert [line.partition(" ")[2] for line in shown.lines] == ["bob: a", "bob: b", "bob: c"]


def test_day_is_that_of_the_local_clock(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """At noon UTC it is the next day in Kiritimati."""
    monkeypatch.setenv("TZ", "XXX-14")
    time.tzset()
    shown.add(said("a", at=NOON - DAY // 2))
    shown.add(said("b", at=NOON))
    assert shown.lines == ["--- Saturday, 22 November 2025", "14:00 bob: a", SUNDAY, "02:00 bob: b"]


# ----------------------------------------------------------------------------------------------------------------- new


def test_missed_lines(shown: Shown) -> None:
    """The separator is before the first of them, and none is before the live lines."""
    shown.add(said("a"))
    shown.add(said("b"), Age.MISSED)
    shown.add(said("c"), Age.MISSED)
    shown.add(said("d"))
    assert shown.lines == ["12:00 bob: a", SEPARATOR, "12:00 bob: b", "12:00 bob: c", "12:00 bob: d"]


def test_missed_lines_of_another_loss(shown: Shown) -> None:
    """Each loss of the connection has its separator."""
    for text, age in (("a", Age.MISSED), ("b", Age.LIVE), ("c", Age.MISSED)):
        shown.add(said(text), age)
    assert shown.lines == [SEPARATOR, "12:00 bob: a", "12:00 bob: b", SEPARATOR, "12:00 bob: c"]


@pytest.mark.parametrize(
    "event", [PrivateMessage(NOON, "bob", "red", "alice", "psst"), joined("carol"), Notice("hello")]
)
def test_events_between_missed_lines(shown: Shown, event: Event) -> None:
    """The missed lines after them belong to the same loss."""
    shown.add(said("a"), Age.MISSED)
    shown.add(event)
    shown.add(said("b"), Age.MISSED)
    assert shown.lines.count(SEPARATOR) == 1


def test_older_lines_are_not_new(shown: Shown) -> None:
    """They were not missed."""
    shown.transcript.on_focus_lost()
    shown.add(said("a"), Age.PAST)
    assert shown.lines == ["12:00 bob: a"]


def test_day_of_missed_lines(shown: Shown) -> None:
    """The date comes before the separator of new lines."""
    shown.add(said("a", at=NOON + DAY), Age.MISSED)
    assert shown.lines == [SUNDAY, SEPARATOR, "12:00 bob: a"]


@pytest.mark.parametrize(
    "event",
    [
        said("hi"),
        Acted("lobby", 1, NOON, "bob", "red", "waves"),
        PrivateMessage(NOON, "bob", "red", "alice", "psst"),
    ],
)
def test_messages_without_focus(shown: Shown, event: Event) -> None:
    """The separator is before the first of them."""
    shown.transcript.on_focus_lost()
    shown.add(event)
    shown.add(said("more"))
    assert [line == SEPARATOR for line in shown.lines] == [True, False, False]


@pytest.mark.parametrize("event", [said("hi", name="alice"), joined("bob"), Notice("hello")])
def test_events_without_focus_that_are_not_new(shown: Shown, event: Event) -> None:
    """The user's own messages, presence and notices; the separator comes before the next message."""
    shown.transcript.on_focus_lost()
    shown.add(event)
    shown.add(said("hi"))
    assert [line == SEPARATOR for line in shown.lines] == [False, True, False]


def test_message_with_focus(shown: Shown) -> None:
    """It is not new, also after the focus was lost and gained again."""
    shown.transcript.on_focus_lost()
    shown.transcript.on_focus_gained()
    shown.add(said("hi"))
    assert shown.lines == ["12:00 bob: hi"]


def test_each_loss_of_focus_has_its_separator(shown: Shown) -> None:
    """It shows where to read on."""
    for text in "ab":
        shown.transcript.on_focus_lost()
        shown.add(said(text))
        shown.transcript.on_focus_gained()
    assert shown.lines == [SEPARATOR, "12:00 bob: a", SEPARATOR, "12:00 bob: b"]


def test_loss_of_focus_reported_twice(shown: Shown) -> None:
    """It has one separator."""
    for text in "ab":
        shown.transcript.on_focus_lost()
        shown.add(said(text))
    assert shown.lines.count(SEPARATOR) == 1


def test_missed_lines_without_focus(shown: Shown) -> None:
    """One separator is for both."""
    shown.transcript.on_focus_lost()
    shown.add(said("a"), Age.MISSED)
    shown.add(said("b"))
    assert shown.lines == [SEPARATOR, "12:00 bob: a", "12:00 bob: b"]


# --------------------------------------------------------------------------------------------------------- who is here


def test_first_presence_event_is_shown_at_once(shown: Shown) -> None:
    """It is not held."""
    shown.add(joined("bob"))
    assert shown.lines == ["12:00 --> bob joined"]
    assert shown.transcript.due is None


def test_few_presence_events_have_a_line_each(shown: Shown) -> None:
    """They are held for FOLD_SECONDS, and their lines have the reasons."""
    shown.add(joined("bob"), now=10.0)
    shown.add(joined("carol"), now=10.1)
    shown.add(left("dave", "lost"), now=10.2)
    shown.add(left("erin"), now=10.3)
    assert len(shown.lines) == 1
    assert shown.transcript.due == 10.0 + FOLD_SECONDS
    shown.flush(10.0 + FOLD_SECONDS)
    assert shown.lines[1:] == ["12:00 --> carol joined", "12:00 <-- dave left (lost)", "12:00 <-- erin left"]


def test_many_presence_events_are_folded(shown: Shown) -> None:
    """More than MAX_UNFOLDED_EVENTS have one line."""
    for name in ("bob", "carol", "dave", "erin", "frank"):
        shown.add(joined(name))
    shown.flush(FOLD_SECONDS)
    assert shown.lines == ["12:00 --> bob joined", "12:00 --> carol, dave, erin and frank joined"]


def test_flush_before_it_is_due(shown: Shown) -> None:
    """It returns nothing."""
    shown.add(joined("bob"))
    shown.add(joined("carol"))
    shown.flush(FOLD_SECONDS / 2)
    assert shown.lines == ["12:00 --> bob joined"]


def test_flush_of_nothing(shown: Shown) -> None:
    """The next event is shown at once, and the one after that is held for FOLD_SECONDS."""
    shown.flush(0.0)
    shown.add(joined("bob"), now=1.0)
    shown.add(joined("carol"), now=1.0)
    assert shown.lines == ["12:00 --> bob joined"]
    assert shown.transcript.due == 1.0 + FOLD_SECONDS


def test_flush_at_the_end(shown: Shown) -> None:
    """It shows all held events."""
    shown.add(joined("bob"))
    shown.add(joined("carol"))
    shown.flush(math.inf)
    assert shown.lines == ["12:00 --> bob joined", "12:00 --> carol joined"]


def test_message_releases_held_events(shown: Shown) -> None:
    """They are shown before the message and its separators."""
    shown.add(joined("bob"))
    shown.add(joined("carol"))
    shown.add(said("hi", at=NOON + DAY), Age.MISSED)
    assert shown.lines == ["12:00 --> bob joined", "12:00 --> carol joined", SUNDAY, SEPARATOR, "12:00 bob: hi"]
    assert shown.transcript.due is None


def test_presence_event_after_a_pause(shown: Shown) -> None:
    """After FOLD_SECONDS it is shown at once."""
    shown.add(joined("bob"), now=0.0)
    shown.add(joined("carol"), now=FOLD_SECONDS)
    assert shown.lines == ["12:00 --> bob joined", "12:00 --> carol joined"]


def test_presence_event_when_others_are_due(shown: Shown) -> None:
    """The others are shown first, and the new one is held."""
    for name, now in (("bob", 0.0), ("carol", 0.1), ("dave", 5.0)):
        shown.add(joined(name), now=now)
    assert shown.lines == ["12:00 --> bob joined", "12:00 --> carol joined"]
    assert shown.transcript.due == 5.0 + FOLD_SECONDS


def test_held_events_have_a_limit(shown: Shown) -> None:
    """At the limit they are folded before they are due."""
    for number in range(MAX_HELD_EVENTS + 1):
        shown.add(joined(f"p{number}"))
    assert shown.lines == [
        "12:00 --> p0 joined",
        f"12:00 --> p1, p2, p3, p4, p5 and {MAX_HELD_EVENTS - 5} others joined",
    ]


def test_older_presence_is_not_held(shown: Shown) -> None:
    """The user asked to see it."""
    for name in ("bob", "carol"):
        shown.add(joined(name), Age.PAST)
    assert len(shown.lines) == 2


EVENTS = st.one_of(
    st.builds(Said, st.text(), st.integers(), st.integers(), st.text(), st.text(), st.text()),
    st.builds(PrivateMessage, st.integers(), st.text(), st.text(), st.text(), st.text()),
    st.builds(Joined, st.text(), st.integers(), st.sampled_from("abcdefgh"), st.text()),
    st.builds(Left, st.text(), st.integers(), st.sampled_from("abcdefgh"), st.text(), st.text()),
    st.builds(Ping, st.text()),
)
NOTIFICATIONS = st.builds(Notification, EVENTS, st.text(), st.sampled_from(Age), st.booleans())
STEPS = st.lists(st.tuples(NOTIFICATIONS, st.sampled_from([0.0, 0.1, FOLD_SECONDS])))


@given(STEPS)
def test_lines_are_clean(steps: list[tuple[Notification, float]]) -> None:
    """Whatever the server sends."""
    transcript, now, rows = Transcript(), 0.0, []
    for notification, pause in steps:
        now += pause
        rows += transcript.add(notification, now)
    for row in [*rows, *transcript.flush(math.inf)]:
        assert row.text == clean(row.text)


@given(STEPS)
def test_messages_are_shown_in_order(steps: list[tuple[Notification, float]]) -> None:
    """Each is shown at once, after all lines that were held before it."""
    transcript, now = Transcript(), 0.0
    for notification, pause in steps:
        now += pause
        rows = transcript.add(notification, now)
        if isinstance(notification.event, Said | PrivateMessage):
            assert "".join(span.text for span in rows[-1].body) == clean(notification.event.text)
            assert transcript.due is None


@given(STEPS)
def test_held_events_are_due_soon(steps: list[tuple[Notification, float]]) -> None:
    """They are due within FOLD_SECONDS, and then none is held."""
    transcript, now = Transcript(), 0.0
    for notification, pause in steps:
        now += pause
        transcript.flush(now)
        transcript.add(notification, now)
        assert transcript.due is None or now < transcript.due <= now + FOLD_SECONDS
    held = transcript.due is not None
    assert bool(transcript.flush(now + FOLD_SECONDS)) == held
    assert transcript.due is None


@given(st.lists(st.sampled_from("abcdefghijklmnop"), unique=True))
def test_all_joined_members_are_shown(names: list[str]) -> None:
    """In a line each, or in a folded one."""
    shown = Shown()
    for name in names:
        shown.add(joined(name))
    shown.flush(math.inf)
    few = len(names) <= 1 + MAX_UNFOLDED_EVENTS
    assert len(shown.lines) == (len(names) if few else 2)
