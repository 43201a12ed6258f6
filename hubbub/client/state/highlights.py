"""What of the chat concerns the person: who is ignored, what mentions them, and what they want to be called for."""

import re
import threading
from collections import deque
from collections.abc import Iterable, Mapping

from hubbub.client.state.notification import Age, Notification
from hubbub.protocol import Acted, Event, Joined, Left, Renamed, Said, Told, same_key

MENTIONS = 100  # kept for `/mentions`: more than anybody reads again
DEFAULT_LEVEL = "mention"  # of a room for which the person has chosen none


class Highlights:
    """Judges events for one person. Any thread may call it."""

    def __init__(self, ignored: Iterable[str] = (), levels: Mapping[str, str] | None = None) -> None:
        """Start with the names that are `ignored`, and for each room's key one of `all`, `mention` and `off`."""
        self._lock = threading.Lock()  # guards everything below
        self._ignored = {same_key(name) for name in ignored}
        self._renamed: set[str] = set()  # the keys under which ignored people go on, as long as they are here
        self._levels = dict(levels or {})
        self._mentions: deque[Notification] = deque(maxlen=MENTIONS)
        self._last_sender = ""
        self._me = ""
        self._my_name = re.compile("(?!)")  # matches nothing

    @property
    def mentions(self) -> list[Notification]:
        """The last lines that spoke to the person, oldest first."""
        with self._lock:
            return list(self._mentions)

    @property
    def last_sender(self) -> str:
        """Who last told the person something alone; empty for nobody."""
        with self._lock:
            return self._last_sender

    def set_preferences(self, ignored: Iterable[str], levels: Mapping[str, str]) -> None:
        """Go by these names and levels from now on."""
        with self._lock:
            self._ignored = {same_key(name) for name in ignored}
            self._renamed.clear()
            self._levels = dict(levels)

    def notify_level(self, room: str) -> str:
        """Return what the person wants to be called for in `room`: `all`, `mention` or `off`."""
        with self._lock:
            return self._levels.get(same_key(room), DEFAULT_LEVEL)

    def classify(self, event: Event, me: str, age: Age) -> Notification | None:
        """Return what `event` means to somebody called `me`, or None if it comes from somebody who is ignored."""
        with self._lock:
            hidden = self._hides(event, me)
            self._follow(event, hidden=hidden)
            if hidden:
                return None
            mention = self._mentions_me(event, me)
            alert = age is Age.LIVE and self._calls(event, me, mention=mention)
            notification = Notification(event, me, age, mention, alert)
            if mention and event not in [kept.event for kept in self._mentions]:
                self._mentions.append(Notification(event, me, Age.PAST, mention))
            if mention and isinstance(event, Told):
                self._last_sender = event.name
            return notification

    def _hides(self, event: Event, me: str) -> bool:
        names = [event.old, event.new] if isinstance(event, Renamed) else []
        names += [event.name] if isinstance(event, Said | Acted | Told | Joined | Left) else []
        if me in names:
            return False
        return any(same_key(name) in self._ignored or same_key(name) in self._renamed for name in names)

    def _follow(self, event: Event, *, hidden: bool) -> None:
        """Know an ignored person again under another name, until they go: then the name is anybody's."""
        if isinstance(event, Renamed):
            self._renamed.discard(same_key(event.old))
            self._renamed |= {same_key(event.new)} if hidden else set()
        elif isinstance(event, Left):
            self._renamed.discard(same_key(event.name))

    def _mentions_me(self, event: Event, me: str) -> bool:
        if not isinstance(event, Said | Acted | Told) or event.name == me or not me:
            return False
        return isinstance(event, Told) or self._pattern(me).search(same_key(event.text)) is not None

    def _pattern(self, me: str) -> re.Pattern[str]:
        """Return what matches `me` as a word of its own: `al` is neither in `also` nor in `al-ice` nor in `al.ice`."""
        if me != self._me:
            self._me = me
            self._my_name = re.compile(rf"(?<![\w.-]){re.escape(same_key(me))}(?![\w-]|\.\w)")
        return self._my_name

    def _calls(self, event: Event, me: str, *, mention: bool) -> bool:
        if isinstance(event, Told):
            return mention  # a room's level is not about what is told to the person alone
        if not isinstance(event, Said | Acted) or event.name == me:
            return False
        level = self._levels.get(same_key(event.room), DEFAULT_LEVEL)
        return level == "all" or (level == "mention" and mention)
