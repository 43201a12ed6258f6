"""Unread counts, and the decision when to ring the terminal's bell. For one thread."""

from hubbub.client.state.notification import Age, Notification
from hubbub.protocol import Acted, PrivateMessage, Said, clean


class Notifier:
    """Counts unread lines and mentions. A terminal that never reports its focus counts as having it."""

    def __init__(self) -> None:
        self.mentions = 0  # since the last key that was pressed with the focus on this terminal
        self._focused = True
        self._unread = 0
        self._rung = False  # since the focus was lost

    def count(self, notification: Notification) -> bool:
        """Count a notification; return whether to ring, which is at the first alert after the focus was lost."""
        if notification.age is Age.PAST:
            return False
        self.mentions += notification.mention
        if self._focused:
            return False
        event = notification.event
        self._unread += isinstance(event, Said | Acted | PrivateMessage) and event.name != notification.me
        rings = notification.alert and not self._rung
        self._rung = self._rung or rings
        return rings

    def set_focus(self, focused: bool) -> None:
        """Note that the terminal gained or lost the focus; what is shown with the focus is read."""
        self._focused = focused
        if focused:
            self._unread = 0
            self._rung = False

    def on_key(self) -> None:
        """Note that a key was pressed: a user who types here has seen the mentions."""
        if self._focused:
            self.mentions = 0

    def title(self, room: str) -> str:
        """Return the title of the window: `lobby`, or `lobby (3)` with the number of unread lines."""
        name = clean(room)
        return f"{name} ({self._unread})" if self._unread else name
