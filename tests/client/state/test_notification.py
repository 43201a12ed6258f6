"""Notifications: what an event means to the user."""

from hubbub.client.state.notification import Age, Notification
from hubbub.protocol import Notice


def test_notification_is_live_and_quiet_by_default() -> None:
    """Mentions and alerts are for Highlights to find."""
    notification = Notification(Notice("text"))
    assert (notification.age, notification.mention, notification.alert) == (Age.LIVE, False, False)


def test_ages_are_words_of_the_json_output() -> None:
    """Programs read them."""
    assert [age.value for age in Age] == ["live", "missed", "past"]
