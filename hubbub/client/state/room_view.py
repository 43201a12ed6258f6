"""Where the person is, and what of it is new to the screen. Nothing is shown here."""

from hubbub.client.state.notification import Age
from hubbub.client.state.read_position import ReadPosition
from hubbub.protocol import PRESENCE_PEOPLE, Acted, Entered, Event, Gap, Joined, Left, Said, same_key


class RoomView:
    """The room in which the server has us; whoever shares it brings the lock."""

    def __init__(self) -> None:
        self._read_position = ReadPosition()
        self._room = ""
        self._shown = ""  # the room under whose heading the next line appears
        self._passing = False  # through a room where there is nothing to do
        self._people = 0
        self._is_returning = False
        self._end = 0  # the last line of the room when we came

    @property
    def room(self) -> str:
        """The room into which the server last put us."""
        return self._room

    @property
    def seq(self) -> int:
        """The number of the last line that we have of the room."""
        return self._read_position.last(self._room)

    @property
    def people(self) -> int | None:
        """How many people are in the room; None where the server does not tell."""
        return self._people if 0 < self._people <= PRESENCE_PEOPLE else None

    def enter(self, event: Entered, *, returning: bool = False, resumed: bool = False) -> None:
        """Be in another room, or be `returning` after a lost connection.

        With `resumed`, the lines that follow are those that we do not have of this room.
        """
        same = same_key(event.room) == same_key(self._room)
        self._is_returning = returning and same
        self._end = event.seq
        self._read_position.enter(event, resumed=resumed and same)
        self._room = event.room
        self._people = event.people

    def begin(self, *, passing: bool) -> bool:
        """Show what happens in this room, or nothing of it when `passing`; return whether it needs a heading."""
        self._passing = passing
        if passing:
            return False
        before, self._shown = self._shown, self._room
        return before != self._room

    def missing_before(self, event: Event) -> range:
        """Return the numbers of the lines that should have come before `event` and did not: none, from a good server.

        To be asked before `age`.
        """
        if not isinstance(event, Said | Acted) or event.room != self._room or event.seq <= self._end:
            return range(0)
        return range(max(self.seq, self._end) + 1, event.seq)

    def age(self, event: Event, *, repeat: bool) -> Age | None:
        """Count `event`, and return how old it is; None if it is not to be shown.

        `repeat` says that lines which we have are asked for.
        """
        if isinstance(event, Joined | Left) and event.room == self._room:
            self._people += 1 if isinstance(event, Joined) else -1
        if self._passing and getattr(event, "room", "") == self._room:
            return None
        if isinstance(event, Gap):
            self._read_position.skip(event)
        if not isinstance(event, Said | Acted):
            return Age.LIVE
        if not self._read_position.take(event):
            return Age.PAST if repeat else None
        if event.seq > self._end:
            return Age.LIVE
        return Age.MISSED if self._is_returning else Age.PAST
