"""Events that concern the user: mentions, alerts, and the messages of ignored users."""

import re
import threading
from collections import deque
from collections.abc import Iterable, Mapping

from hubbub.client.state.notification import Age, Notification
from hubbub.protocol import Acted, Event, Joined, Left, PrivateMessage, Renamed, Said, fold_name

MENTIONS = 100  # stored for `/mentions`: more than a user reads again
DEFAULT_LEVEL = "mention"  # of a room for which the user has chosen none


class Highlights:
    """Classifies events for one user. Any thread may call it."""

    def __init__(self, ignored: Iterable[str] = (), levels: Mapping[str, str] | None = None) -> None:
        """Hide the messages of `ignored`; `levels` has `all`, `mention` or `off` by the `fold_name` of a room."""
        self._lock = threading.Lock()  # guards everything below
        self._ignored = {fold_name(name) for name in ignored}
        self._renamed: set[str] = set()  # keys of the new names of ignored users, as long as they are here
        self._levels = dict(levels or {})
        self._mentions: deque[Notification] = deque(maxlen=MENTIONS)
        self._last_sender = ""
        self._me = ""
        self._my_name = re.compile("(?!)")  # matches nothing

    @property
    def mentions(self) -> list[Notification]:
        """The last lines that mentioned the user, oldest first."""
        with self._lock:
            return list(self._mentions)

    @property
    def last_sender(self) -> str:
        """The sender of the last private message; empty before the first."""
        with self._lock:
            return self._last_sender

    def set_preferences(self, ignored: Iterable[str], levels: Mapping[str, str]) -> None:
        """Use these names and levels from now on."""
        with self._lock:
            self._ignored = {fold_name(name) for name in ignored}
            self._renamed.clear()
            self._levels = dict(levels)

    def notify_level(self, room: str) -> str:
        """Return which lines of `room` ring: `all`, `mention` or `off`."""
        with self._lock:
            return self._levels.get(fold_name(room), DEFAULT_LEVEL)

    def classify(self, event: Event, me: str, age: Age) -> Notification | None:
        """Return what `event` means to the user called `me`, or None if it comes from an ignored user."""
        with self._lock:
            hidden = self._is_ignored(event, me)
            self._follow_rename(event, hidden=hidden)
            if hidden:
                return None
            mention = self._is_mention(event, me)
            alert = age is Age.LIVE and self._rings(event, me, mention=mention)
            notification = Notification(event, me, age, mention, alert)
            if mention and event not in [stored.event for stored in self._mentions]:
                self._mentions.append(Notification(event, me, Age.PAST, mention))
            if mention and isinstance(event, PrivateMessage):
                self._last_sender = event.name
            return notification

    def _is_ignored(self, event: Event, me: str) -> bool:
        names = [event.old, event.new] if isinstance(event, Renamed) else []
        names += [event.name] if isinstance(event, Said | Acted | PrivateMessage | Joined | Left) else []
        if me in names:
            return False
        return any(fold_name(name) in self._ignored or fold_name(name) in self._renamed for name in names)

    def _follow_rename(self, event: Event, *, hidden: bool) -> None:
        """Recognise an ignored user under a new name until they leave; then another user may have that name."""
        if isinstance(event, Renamed):
            self._renamed.discard(fold_name(event.old))
            self._renamed |= {fold_name(event.new)} if hidden else set()
        elif isinstance(event, Left):
            self._renamed.discard(fold_name(event.name))

    def _is_mention(self, event: Event, me: str) -> bool:
        if not isinstance(event, Said | Acted | PrivateMessage) or event.name == me or not me:
            return False
        return isinstance(event, PrivateMessage) or self._pattern(me).search(fold_name(event.text)) is not None

    def _pattern(self, me: str) -> re.Pattern[str]:
        """Return a pattern for `me` as a word of its own: `al` is not in `also`, `al-ice` or `al.ice`."""
        if me != self._me:
            self._me = me
            self._my_name = re.compile(rf"(?<![\w.-]){re.escape(fold_name(me))}(?![\w-]|\.\w)")
        return self._my_name

    def _rings(self, event: Event, me: str, *, mention: bool) -> bool:
        if isinstance(event, PrivateMessage):
            return mention  # the level of a room is not about private messages
        if not isinstance(event, Said | Acted) or event.name == me:
            return False
        level = self._levels.get(fold_name(event.room), DEFAULT_LEVEL)
        return level == "all" or (level == "mention" and mention)
