"""Events that concern the user: mentions, alerts, and ignored users."""

import pytest

from hubbub.client.state.highlights import MENTIONS, Highlights
from hubbub.client.state.notification import Age, Notification
from hubbub.protocol import Acted, Event, Joined, Left, Notice, PrivateMessage, Renamed, Said


def said(text: str, name: str = "bob", seq: int = 1, room: str = "lobby") -> Said:
    """Return a message."""
    return Said(room, seq, 0, name, "red", text)


def told(text: str = "psst", name: str = "bob", to: str = "alice") -> PrivateMessage:
    """Return a private message."""
    return PrivateMessage(0, name, "red", to, text)


def classified(highlights: Highlights, event: Event, age: Age = Age.LIVE, me: str = "alice") -> Notification:
    """Return the notification of an event to alice, which must not be hidden."""
    notification = highlights.classify(event, me, age)
    assert notification is not None
    return notification


@pytest.mark.parametrize(
    ("text", "me", "mention"),
    [
        ("alice: look", "alice", True),
        ("hey ALICE!", "alice", True),
        ("ask @alice.", "alice", True),
        ("alice", "alice", True),
        ("malice", "alice", False),
        ("alices", "alice", False),
        ("al-ice and al.ice", "al", False),
        ("al-ice and al.ice", "ice", False),
        ("ask Al.", "al", True),
        ("STRASSE", "straße", True),
        ("李雷，来吧", "李雷", True),
        ("a.b", "axb", False),
        ("what now", "alice", False),
    ],
)
def test_name_in_a_line_is_a_mention(text: str, me: str, mention: bool) -> None:
    """As a word of its own, in upper or lower case."""
    assert classified(Highlights(), said(text), me=me).mention is mention


@pytest.mark.parametrize(
    ("event", "mention"),
    [
        (Acted("lobby", 1, 0, "bob", "red", "waves at alice"), True),
        (told(), True),
        (told("to bob", "alice", "bob"), False),
        (said("I am alice", "alice"), False),
        (Joined("lobby", 0, "alice", "red"), False),
        (Notice("alice"), False),
    ],
)
def test_what_mentions_the_user(event: Event, mention: bool) -> None:
    """Lines of others, and private messages; not the user's own, and nothing of the server's."""
    assert classified(Highlights(), event).mention is mention


@pytest.mark.parametrize(
    ("level", "calls"),
    [
        ("all", [True, True, True]),
        ("mention", [False, True, True]),
        ("off", [False, False, True]),
    ],
)
def test_level_of_a_room_decides_which_lines_ring(level: str, calls: list[bool]) -> None:
    """Private messages ring anyway, and other rooms have levels of their own."""
    highlights = Highlights(levels={"ops": level})
    events = [said("x", room="OPS"), said("alice?", room="ops"), told()]
    assert [classified(highlights, event).alert for event in events] == calls
    assert highlights.notify_level("Ops") == level
    assert highlights.notify_level("lobby") == "mention"


@pytest.mark.parametrize("age", [Age.PAST, Age.MISSED])
def test_past_lines_do_not_ring(age: Age) -> None:
    """They stand out all the same."""
    notification = classified(Highlights(levels={"lobby": "all"}), said("alice?"), age)
    assert (notification.mention, notification.alert) == (True, False)


def test_own_lines_do_not_ring() -> None:
    """Not even where every line rings."""
    highlights = Highlights()
    highlights.set_preferences([], {"lobby": "all"})
    assert not classified(highlights, said("x", "alice")).alert
    assert classified(highlights, said("x", "bob")).alert


def test_mentions_are_stored() -> None:
    """Each once, up to a limit, and without ringing again."""
    highlights = Highlights()
    for seq in range(MENTIONS + 2):
        for age in (Age.LIVE, Age.PAST):
            classified(highlights, said("alice", seq=seq), age)
        classified(highlights, said("something else", seq=seq))
    assert len(highlights.mentions) == MENTIONS
    assert highlights.mentions[-1] == Notification(said("alice", seq=MENTIONS + 1), "alice", Age.PAST, mention=True)


def test_last_sender() -> None:
    """The user's own private messages do not count, nor messages in a room."""
    highlights = Highlights()
    assert highlights.last_sender == ""
    for event in (told(name="bob"), told(name="carol"), told(name="alice", to="bob"), said("alice", "dave")):
        classified(highlights, event)
    assert highlights.last_sender == "carol"


def test_ignored_user_is_hidden() -> None:
    """In any spelling of the name; others are shown."""
    highlights = Highlights(ignored=["BOB"])
    events: list[Event] = [
        said("alice!"),
        told(),
        Joined("lobby", 0, "bob", "red"),
        Left("lobby", 0, "bob", "red", "x"),
    ]
    assert [highlights.classify(event, "alice", Age.LIVE) for event in events] == [None] * 4
    assert (highlights.mentions, highlights.last_sender) == ([], "")
    classified(highlights, said("x", "carol"))
    highlights.set_preferences([], {})
    classified(highlights, said("x", "bob"))


def test_ignored_user_is_hidden_under_a_new_name() -> None:
    """Until they leave; then another user may have it."""
    highlights = Highlights(ignored=["bob"])
    for old, new in (("bob", "eve"), ("eve", "mallory")):
        assert highlights.classify(Renamed("lobby", 0, old, "red", new), "alice", Age.LIVE) is None
    assert highlights.classify(said("x", "mallory"), "alice", Age.LIVE) is None
    classified(highlights, said("x", "eve"))
    assert highlights.classify(Left("lobby", 0, "mallory", "red", "exit"), "alice", Age.LIVE) is None
    classified(highlights, said("x", "mallory"))
