"""When the bell rings, and which lines count as unread."""

import pytest

from hubbub.client.state.notification import Age, Notification
from hubbub.client.terminal.notifier import Notifier
from hubbub.protocol import Acted, Event, Joined, Notice, PrivateMessage, Said

SAID = Said("lobby", 1, 0, "bob", "red", "hi alice")


def notify(event: Event = SAID, age: Age = Age.LIVE, *, mention: bool = False, alert: bool = False) -> Notification:
    """Return a notification for alice."""
    return Notification(event, "alice", age, mention, alert)


@pytest.fixture
def away() -> Notifier:
    """Return the notifier of a terminal without the focus."""
    notifier = Notifier()
    notifier.set_focus(False)
    return notifier


def test_alert_with_focus() -> None:
    """It does not ring. A terminal that never reports its focus counts as having it."""
    assert not Notifier().count(notify(mention=True, alert=True))


def test_alerts_without_focus(away: Notifier) -> None:
    """The first one rings, the others do not."""
    assert [away.count(notify(alert=alert)) for alert in (False, True, True)] == [False, True, False]


def test_alert_after_the_focus_is_lost_again(away: Notifier) -> None:
    """It rings again."""
    away.count(notify(alert=True))
    away.set_focus(True)
    away.set_focus(False)
    assert away.count(notify(alert=True))


@pytest.mark.parametrize(
    "event", [SAID, Acted("lobby", 2, 0, "bob", "red", "waves"), PrivateMessage(0, "bob", "red", "alice", "hi")]
)
def test_messages_without_focus_are_unread(away: Notifier, event: Event) -> None:
    """The title has their number."""
    away.count(notify(event))
    away.count(notify(event, Age.MISSED))
    assert away.title("lobby") == "lobby (2)"


@pytest.mark.parametrize(
    "unread",
    [notify(Joined("lobby", 0, "bob", "red")), notify(Notice("hi")), notify(SAID, Age.PAST), Notification(SAID, "bob")],
)
def test_what_is_never_unread(away: Notifier, unread: Notification) -> None:
    """Presence, notices, older lines, and the user's own messages."""
    away.count(unread)
    assert away.title("lobby") == "lobby"


def test_messages_with_focus_are_read() -> None:
    """The title has no number."""
    notifier = Notifier()
    notifier.count(notify())
    assert notifier.title("lobby") == "lobby"


def test_title_after_the_focus_is_gained(away: Notifier) -> None:
    """All lines are read."""
    away.count(notify())
    away.set_focus(True)
    assert away.title("lobby") == "lobby"


def test_title_is_clean() -> None:
    """It has no control characters of the room's name."""
    assert Notifier().title("a\x07\x1b]2;b") == "a]2;b"


def test_mentions_are_unread_until_a_key_is_pressed(away: Notifier) -> None:
    """The key counts only with the focus on this terminal."""
    away.count(notify(mention=True))
    away.count(notify(SAID, Age.MISSED, mention=True))
    away.on_key()
    away.set_focus(True)
    assert away.mentions == 2
    away.on_key()
    assert away.mentions == 0


def test_older_mentions() -> None:
    """They are not unread."""
    notifier = Notifier()
    notifier.count(notify(SAID, Age.PAST, mention=True))
    assert notifier.mentions == 0
