"""When to call the person to the terminal: what came while it had no focus, and what spoke to them. For one thread."""

from hubbub.client.state.notification import Age, Notification
from hubbub.protocol import Acted, PrivateMessage, Said, clean


class Notifier:
    """Counts what is unread. A terminal that never tells of its focus counts as having it."""

    def __init__(self) -> None:
        self.mentions = 0  # since the last key that was pressed with the focus here
        self._focused = True
        self._unread = 0
        self._rung = False  # in this absence

    def take(self, news: Notification) -> bool:
        """Take note of `news`, and say whether to ring: for the first alert of an absence."""
        if news.age is Age.PAST:
            return False
        self.mentions += news.mention
        if self._focused:
            return False
        self._unread += isinstance(news.event, Said | Acted | PrivateMessage) and news.event.name != news.me
        rings = news.alert and not self._rung
        self._rung = self._rung or rings
        return rings

    def focus(self, focused: bool) -> None:
        """Know that the terminal has got or lost the focus."""
        self._focused = focused
        if focused:
            self._unread = 0
            self._rung = False

    def key(self) -> None:
        """Know that a key was pressed: whoever types has seen what mentions them."""
        if self._focused:
            self.mentions = 0

    def title(self, room: str) -> str:
        """Return the title of the window: `lobby`, or `lobby (3)` with the number of unread lines."""
        name = clean(room)
        return f"{name} ({self._unread})" if self._unread else name
