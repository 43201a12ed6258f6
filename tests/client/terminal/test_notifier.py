"""When the person is called to the terminal, and what counts as unread."""

import pytest

from hubbub.client.state.notification import Age, Notification
from hubbub.client.terminal.notifier import Notifier
from hubbub.protocol import Acted, Event, Joined, Notice, PrivateMessage, Said

SAID = Said("lobby", 1, 0, "bob", "red", "hi alice")


def news(event: Event = SAID, age: Age = Age.LIVE, *, mention: bool = False, alert: bool = False) -> Notification:
    """Return what alice is told."""
    return Notification(event, "alice", age, mention, alert)


@pytest.fixture
def away() -> Notifier:
    """Return the notifier of a terminal that lost the focus."""
    notifier = Notifier()
    notifier.set_focus(False)
    return notifier


def test_an_alert_while_the_terminal_has_the_focus() -> None:
    """It rings for nobody who is there, which is where a terminal is that never tells."""
    assert not Notifier().count(news(mention=True, alert=True))


def test_alerts_while_the_focus_is_elsewhere(away: Notifier) -> None:
    """The first one rings, the others do not."""
    assert [away.count(news(alert=alert)) for alert in (False, True, True)] == [False, True, False]


def test_an_alert_in_the_next_absence(away: Notifier) -> None:
    """It rings again."""
    away.count(news(alert=True))
    away.set_focus(True)
    away.set_focus(False)
    assert away.count(news(alert=True))


@pytest.mark.parametrize(
    "event", [SAID, Acted("lobby", 2, 0, "bob", "red", "waves"), PrivateMessage(0, "bob", "red", "alice", "hi")]
)
def test_what_people_say_while_the_focus_is_elsewhere(away: Notifier, event: Event) -> None:
    """It is unread, as the title tells."""
    away.count(news(event))
    away.count(news(event, Age.MISSED))
    assert away.title("lobby") == "lobby (2)"


@pytest.mark.parametrize(
    "unread",
    [news(Joined("lobby", 0, "bob", "red")), news(Notice("hi")), news(SAID, Age.PAST), Notification(SAID, "bob")],
)
def test_what_nobody_has_to_read(away: Notifier, unread: Notification) -> None:
    """Who comes and goes, what the server says, what is shown again and what the person says is not unread."""
    away.count(unread)
    assert away.title("lobby") == "lobby"


def test_what_is_said_while_the_focus_is_here() -> None:
    """It is read."""
    notifier = Notifier()
    notifier.count(news())
    assert notifier.title("lobby") == "lobby"


def test_the_title_after_the_focus_is_back(away: Notifier) -> None:
    """Nothing is unread any more."""
    away.count(news())
    away.set_focus(True)
    assert away.title("lobby") == "lobby"


def test_a_room_whose_name_would_play_tricks() -> None:
    """The title has none of what could."""
    assert Notifier().title("a\x07\x1b]2;b") == "a]2;b"


def test_mentions_until_somebody_types(away: Notifier) -> None:
    """They stay unread until a key is pressed with the focus here."""
    away.count(news(mention=True))
    away.count(news(SAID, Age.MISSED, mention=True))
    away.on_key()
    away.set_focus(True)
    assert away.mentions == 2
    away.on_key()
    assert away.mentions == 0


def test_mentions_that_are_shown_again() -> None:
    """They are not unread."""
    notifier = Notifier()
    notifier.count(news(SAID, Age.PAST, mention=True))
    assert notifier.mentions == 0
