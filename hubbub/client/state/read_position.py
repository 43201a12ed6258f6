"""Which lines of which room we have, so that none is shown twice and the server is asked for exactly the others.

Nothing is read or written here; one thread uses it.
"""

from typing import NamedTuple

from hubbub.protocol import HISTORY_LINES, Acted, Entered, Gap, Said, same_key

ROOMS = 1_000  # of which that is known; of the one that was not heard of for longest it is forgotten


class _Last(NamedTuple):
    seq: int
    time: int  # of the latest line, in milliseconds since 1970


class ReadPosition:
    """The last line that we have of each room."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Last] = {}

    def last(self, room: str) -> int:
        """Return the number of the last line that we have of `room`; 0 for none."""
        return self._of(room).seq

    def enter(self, event: Entered, *, resumed: bool) -> None:
        """Expect the lines that follow `event`: exactly those that we do not have if we `resumed`, else the last few.

        A room that has fewer lines than we have of it was begun anew.
        """
        seq, time = self._of(event.room)
        if not resumed or event.seq < seq:
            start = max(0, event.seq - HISTORY_LINES)
            seq = start if event.seq < seq else max(start, seq)
        self._keep(event.room, _Last(seq, time))

    def take(self, event: Said | Acted) -> bool:
        """Count a line as shown; return False for one that we have.

        One that is later than all that we have is new, whatever its number: the room was begun anew.
        """
        seq, time = self._of(event.room)
        if event.seq <= seq and event.time <= time:
            return False
        self._keep(event.room, _Last(event.seq, max(event.time, time)))
        return True

    def skip(self, event: Gap) -> None:
        """Expect no more the lines that there are no more."""
        seq, time = self._of(event.room)
        self._keep(event.room, _Last(max(seq, event.last), time))

    def _of(self, room: str) -> _Last:
        return self._rooms.get(same_key(room), _Last(0, 0))

    def _keep(self, room: str, last: _Last) -> None:
        key = same_key(room)
        self._rooms.pop(key, None)
        self._rooms[key] = last
        if len(self._rooms) > ROOMS:
            del self._rooms[next(iter(self._rooms))]
