"""The room that the screen shows, and what is new to it. Nothing is shown here."""

from hubbub.client.state.notification import Age
from hubbub.client.state.read_position import ReadPosition
from hubbub.protocol import PRESENCE_MEMBERS, Acted, Entered, Event, Gap, Joined, Left, Said, fold_name


class RoomView:
    """The room to which the server moved us. The caller holds the session's lock."""

    def __init__(self) -> None:
        self._read_position = ReadPosition()
        self._room = ""
        self._shown = ""  # the room whose heading was shown last
        self._passing = False  # through a room on the way to another
        self._people = 0
        self._is_returning = False
        self._end = 0  # the last line of the room when we entered it

    @property
    def room(self) -> str:
        """The room to which the server last moved us."""
        return self._room

    @property
    def seq(self) -> int:
        """The number of the last line received of the room."""
        return self._read_position.last(self._room)

    @property
    def people(self) -> int | None:
        """How many members the room has; None if it is too large for the server to say."""
        return self._people if 0 < self._people <= PRESENCE_MEMBERS else None

    def enter(self, event: Entered, *, returning: bool = False, resumed: bool = False) -> None:
        """Note the room entered, `returning` after a lost connection or not.

        With `resumed`, exactly the missing lines of the room follow.
        """
        same = fold_name(event.room) == fold_name(self._room)
        self._is_returning = returning and same
        self._end = event.seq
        self._read_position.enter(event, resumed=resumed and same)
        self._room = event.room
        self._people = event.people

    def begin(self, *, passing: bool) -> bool:
        """Show this room, or nothing of it when `passing`; return whether its heading must be shown."""
        self._passing = passing
        if passing:
            return False
        before, self._shown = self._shown, self._room
        return before != self._room

    def missing_before(self, event: Event) -> range:
        """Return the numbers of the lines that should have come before `event` and did not: none, from a good server.

        To be called before `age`.
        """
        if not isinstance(event, Said | Acted) or event.room != self._room or event.seq <= self._end:
            return range(0)
        return range(max(self.seq, self._end) + 1, event.seq)

    def age(self, event: Event, *, repeat: bool) -> Age | None:
        """Note `event`, and return its age; None if it is not to be shown.

        With `repeat`, lines that were received before are shown again.
        """
        if isinstance(event, Joined | Left) and event.room == self._room:
            self._people += 1 if isinstance(event, Joined) else -1
        if self._passing and getattr(event, "room", "") == self._room:
            return None
        if isinstance(event, Gap):
            self._read_position.skip(event)
        if not isinstance(event, Said | Acted):
            return Age.LIVE
        if not self._read_position.advance(event):
            return Age.PAST if repeat else None
        if event.seq > self._end:
            return Age.LIVE
        return Age.MISSED if self._is_returning else Age.PAST
