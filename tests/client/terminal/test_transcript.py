"""What a terminal shows beyond the single events: days, what is new, and many who come and go."""

import math
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
NEW_LINE = NEW_LINES_SEPARATOR.text
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
    """A transcript whose reader is called alice, at noon of the day; keeps the lines that it shows."""

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
    """Return that somebody came."""
    return Joined("lobby", NOON, name, "red")


def left(name: str, why: str = "exit") -> Left:
    """Return that somebody went."""
    return Left("lobby", NOON, name, "red", why)


def test_line_of_an_event(shown: Shown) -> None:
    """It is shown at once, and alone."""
    shown.add(said("hi"))
    assert shown.lines == ["12:00 bob: hi"]


def test_mention_keeps_its_style() -> None:
    """What the session found out reaches the row."""
    (row,) = Transcript(lambda: NOON / 1000).add(Notification(said("alice!"), "alice", mention=True), 0.0)
    assert row.body == (Span("alice!", "mention"),)


@pytest.mark.parametrize("event", [Ping("a"), Welcome("alice", "red", "token", 0)])
def test_event_that_is_not_shown(shown: Shown, event: Event) -> None:
    """It is nothing, and brings out nothing that is held."""
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
    """Its name stands once before its first line."""
    for text, at in (("a", NOON), ("b", NOON + DAY), ("c", NOON + DAY)):
        shown.add(said(text, at=at))
    assert shown.lines == ["12:00 bob: a", SUNDAY, "12:00 bob: b", "12:00 bob: c"]


def test_first_line_is_of_another_day(shown: Shown) -> None:
    """The past of a room says of which day it is, and where today begins."""
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
def test_what_begins_a_day(shown: Shown, event: Event) -> None:
    """Everything that people say."""
    shown.add(event)
    assert shown.lines[0] == SUNDAY


@pytest.mark.parametrize("event", [Joined("lobby", NOON + DAY, "bob", "red"), Notice("hello")])
def test_what_begins_no_day(shown: Shown, event: Event) -> None:
    """Who comes and goes, and what the server says."""
    shown.add(event)
    assert len(shown.lines) == 1


@pytest.mark.parametrize("at", [10**14 * 6, 10**30])
def test_time_beyond_the_calendar_begins_no_day(shown: Shown, at: int) -> None:
    """The lines around it are of the same day still."""
    for text, moment in (("a", NOON), ("b", at), ("c", NOON)):
        shown.add(said(text, at=moment))
    assert [line.partition(" ")[2] for line in shown.lines] == ["bob: a", "bob: b", "bob: c"]


def test_day_is_that_of_the_local_clock(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """At noon UTC the next day has begun on Kiritimati."""
    monkeypatch.setenv("TZ", "XXX-14")
    time.tzset()
    shown.add(said("a", at=NOON - DAY // 2))
    shown.add(said("b", at=NOON))
    assert shown.lines == ["--- Saturday, 22 November 2025", "14:00 bob: a", SUNDAY, "02:00 bob: b"]


# ----------------------------------------------------------------------------------------------------------------- new


def test_missed_lines(shown: Shown) -> None:
    """One line stands before the first of them, and none before what is said then."""
    shown.add(said("a"))
    shown.add(said("b"), Age.MISSED)
    shown.add(said("c"), Age.MISSED)
    shown.add(said("d"))
    assert shown.lines == ["12:00 bob: a", NEW_LINE, "12:00 bob: b", "12:00 bob: c", "12:00 bob: d"]


def test_missed_lines_of_another_loss(shown: Shown) -> None:
    """Each time that the connection was lost, what was said meanwhile is new."""
    for text, age in (("a", Age.MISSED), ("b", Age.LIVE), ("c", Age.MISSED)):
        shown.add(said(text), age)
    assert shown.lines == [NEW_LINE, "12:00 bob: a", "12:00 bob: b", NEW_LINE, "12:00 bob: c"]


@pytest.mark.parametrize(
    "event", [PrivateMessage(NOON, "bob", "red", "alice", "psst"), joined("carol"), Notice("hello")]
)
def test_what_comes_between_missed_lines(shown: Shown, event: Event) -> None:
    """Those after it belong to the same loss."""
    shown.add(said("a"), Age.MISSED)
    shown.add(event)
    shown.add(said("b"), Age.MISSED)
    assert shown.lines.count(NEW_LINE) == 1


def test_past_of_a_room_is_not_new(shown: Shown) -> None:
    """Nobody has missed it."""
    shown.transcript.on_focus_lost()
    shown.add(said("a"), Age.PAST)
    assert shown.lines == ["12:00 bob: a"]


def test_day_of_missed_lines(shown: Shown) -> None:
    """The day stands first, for it may be longer than what is new."""
    shown.add(said("a", at=NOON + DAY), Age.MISSED)
    assert shown.lines == [SUNDAY, NEW_LINE, "12:00 bob: a"]


@pytest.mark.parametrize(
    "event",
    [
        said("hi"),
        Acted("lobby", 1, NOON, "bob", "red", "waves"),
        PrivateMessage(NOON, "bob", "red", "alice", "psst"),
    ],
)
def test_line_while_nobody_looks(shown: Shown, event: Event) -> None:
    """The first is marked, the others are not."""
    shown.transcript.on_focus_lost()
    shown.add(event)
    shown.add(said("more"))
    assert [line == NEW_LINE for line in shown.lines] == [True, False, False]


@pytest.mark.parametrize("event", [said("hi", name="alice"), joined("bob"), Notice("hello")])
def test_what_is_not_new_while_nobody_looks(shown: Shown, event: Event) -> None:
    """One's own lines, and what nobody said; but then comes what is."""
    shown.transcript.on_focus_lost()
    shown.add(event)
    shown.add(said("hi"))
    assert [line == NEW_LINE for line in shown.lines] == [False, True, False]


def test_line_while_somebody_looks(shown: Shown) -> None:
    """Nothing is new to who was there, or is there again."""
    shown.transcript.on_focus_lost()
    shown.transcript.on_focus_gained()
    shown.add(said("hi"))
    assert shown.lines == ["12:00 bob: hi"]


def test_every_absence_has_its_mark(shown: Shown) -> None:
    """Who looks away again finds again where to read on."""
    for text in "ab":
        shown.transcript.on_focus_lost()
        shown.add(said(text))
        shown.transcript.on_focus_gained()
    assert shown.lines == [NEW_LINE, "12:00 bob: a", NEW_LINE, "12:00 bob: b"]


def test_absence_told_twice(shown: Shown) -> None:
    """It is the same one."""
    for text in "ab":
        shown.transcript.on_focus_lost()
        shown.add(said(text))
    assert shown.lines.count(NEW_LINE) == 1


def test_missed_lines_while_nobody_looks(shown: Shown) -> None:
    """Their mark is that of the absence too."""
    shown.transcript.on_focus_lost()
    shown.add(said("a"), Age.MISSED)
    shown.add(said("b"))
    assert shown.lines == [NEW_LINE, "12:00 bob: a", "12:00 bob: b"]


# --------------------------------------------------------------------------------------------------------- who is here


def test_first_who_comes_is_shown_at_once(shown: Shown) -> None:
    """Nobody waits for who comes alone."""
    shown.add(joined("bob"))
    assert shown.lines == ["12:00 --> bob joined"]
    assert shown.transcript.due is None


def test_few_who_come_have_a_line_each(shown: Shown) -> None:
    """They are held as long as there may be more, and say why they went."""
    shown.add(joined("bob"), now=10.0)
    shown.add(joined("carol"), now=10.1)
    shown.add(left("dave", "lost"), now=10.2)
    shown.add(left("erin"), now=10.3)
    assert len(shown.lines) == 1
    assert shown.transcript.due == 10.0 + FOLD_SECONDS
    shown.flush(10.0 + FOLD_SECONDS)
    assert shown.lines[1:] == ["12:00 --> carol joined", "12:00 <-- dave left (lost)", "12:00 <-- erin left"]


def test_many_who_come_have_one_line(shown: Shown) -> None:
    """Beyond MAX_UNFOLDED_EVENTS."""
    for name in ("bob", "carol", "dave", "erin", "frank"):
        shown.add(joined(name))
    shown.flush(FOLD_SECONDS)
    assert shown.lines == ["12:00 --> bob joined", "12:00 --> carol, dave, erin and frank joined"]


def test_flush_before_it_is_due(shown: Shown) -> None:
    """Nothing comes out."""
    shown.add(joined("bob"))
    shown.add(joined("carol"))
    shown.flush(FOLD_SECONDS / 2)
    assert shown.lines == ["12:00 --> bob joined"]


def test_flush_of_nothing(shown: Shown) -> None:
    """Who comes then is shown at once, and the next waits as long as ever."""
    shown.flush(0.0)
    shown.add(joined("bob"), now=1.0)
    shown.add(joined("carol"), now=1.0)
    assert shown.lines == ["12:00 --> bob joined"]
    assert shown.transcript.due == 1.0 + FOLD_SECONDS


def test_flush_at_the_end(shown: Shown) -> None:
    """Whoever is held is shown."""
    shown.add(joined("bob"))
    shown.add(joined("carol"))
    shown.flush(math.inf)
    assert shown.lines == ["12:00 --> bob joined", "12:00 --> carol joined"]


def test_line_before_it_is_due(shown: Shown) -> None:
    """Who came before it stands before it, and before the marks that belong to it."""
    shown.add(joined("bob"))
    shown.add(joined("carol"))
    shown.add(said("hi", at=NOON + DAY), Age.MISSED)
    assert shown.lines == ["12:00 --> bob joined", "12:00 --> carol joined", SUNDAY, NEW_LINE, "12:00 bob: hi"]
    assert shown.transcript.due is None


def test_next_who_comes_after_a_while(shown: Shown) -> None:
    """After FOLD_SECONDS it is as if nobody had come before."""
    shown.add(joined("bob"), now=0.0)
    shown.add(joined("carol"), now=FOLD_SECONDS)
    assert shown.lines == ["12:00 --> bob joined", "12:00 --> carol joined"]


def test_next_who_comes_when_others_are_due(shown: Shown) -> None:
    """The others come out first, and then they are the last who were shown."""
    for name, now in (("bob", 0.0), ("carol", 0.1), ("dave", 5.0)):
        shown.add(joined(name), now=now)
    assert shown.lines == ["12:00 --> bob joined", "12:00 --> carol joined"]
    assert shown.transcript.due == 5.0 + FOLD_SECONDS


def test_more_come_than_can_be_held(shown: Shown) -> None:
    """They come out before it is due, and nobody is forgotten."""
    for number in range(MAX_HELD_EVENTS + 1):
        shown.add(joined(f"p{number}"))
    assert shown.lines == [
        "12:00 --> p0 joined",
        f"12:00 --> p1, p2, p3, p4, p5 and {MAX_HELD_EVENTS - 5} others joined",
    ]


def test_presence_of_the_past_is_not_held(shown: Shown) -> None:
    """It is shown again because somebody asked for it."""
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
NEWS = st.builds(Notification, EVENTS, st.text(), st.sampled_from(Age), st.booleans())
STEPS = st.lists(st.tuples(NEWS, st.sampled_from([0.0, 0.1, FOLD_SECONDS])))


@given(STEPS)
def test_nothing_unsafe_is_shown(steps: list[tuple[Notification, float]]) -> None:
    """Whatever a server sends."""
    transcript, now, rows = Transcript(), 0.0, []
    for news, pause in steps:
        now += pause
        rows += transcript.add(news, now)
    for row in [*rows, *transcript.flush(math.inf)]:
        assert row.text == clean(row.text)


@given(STEPS)
def test_what_is_said_is_shown_in_order(steps: list[tuple[Notification, float]]) -> None:
    """Every line that somebody said comes out at once, as the last of what comes out with it."""
    transcript, now = Transcript(), 0.0
    for news, pause in steps:
        now += pause
        rows = transcript.add(news, now)
        if isinstance(news.event, Said | PrivateMessage):
            assert "".join(span.text for span in rows[-1].body) == clean(news.event.text)
            assert transcript.due is None


@given(STEPS)
def test_nobody_waits_for_long(steps: list[tuple[Notification, float]]) -> None:
    """Who is held is due within FOLD_SECONDS, and then nobody is held any more."""
    transcript, now = Transcript(), 0.0
    for news, pause in steps:
        now += pause
        transcript.flush(now)
        transcript.add(news, now)
        assert transcript.due is None or now < transcript.due <= now + FOLD_SECONDS
    held = transcript.due is not None
    assert bool(transcript.flush(now + FOLD_SECONDS)) == held
    assert transcript.due is None


@given(st.lists(st.sampled_from("abcdefghijklmnop"), unique=True))
def test_everybody_who_comes_is_shown(names: list[str]) -> None:
    """In a line of their own or counted in one for many."""
    shown = Shown()
    for name in names:
        shown.add(joined(name))
    shown.flush(math.inf)
    few = len(names) <= 1 + MAX_UNFOLDED_EVENTS
    assert len(shown.lines) == (len(names) if few else 2)
