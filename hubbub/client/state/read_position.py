"""The lines of each room that were received. None is shown twice, and exactly the others are requested.

Nothing is sent or received here. The caller holds the session's lock.
"""

from typing import NamedTuple

from hubbub.protocol import HISTORY_LINES, Acted, Entered, Gap, Said, fold_name

ROOMS = 1_000  # that are known; beyond that the one without lines for longest is dropped


class _Last(NamedTuple):
    seq: int
    time: int  # of the latest line, in milliseconds since 1970


class ReadPosition:
    """The last line that was received of each room."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Last] = {}

    def last(self, room: str) -> int:
        """Return the number of the last line received of `room`; 0 for none."""
        return self._last_of(room).seq

    def enter(self, event: Entered, *, resumed: bool) -> None:
        """Expect the lines that follow `event`: exactly the missing ones if `resumed`, else the last few.

        A room with fewer lines than were received of it was created again.
        """
        seq, time = self._last_of(event.room)
        if not resumed or event.seq < seq:
            start = max(0, event.seq - HISTORY_LINES)
            seq = start if event.seq < seq else max(start, seq)
        self._set(event.room, _Last(seq, time))

    def advance(self, event: Said | Acted) -> bool:
        """Note a line; return False if it was received before.

        A line later than all others is new, whatever its number: the room was created again.
        """
        seq, time = self._last_of(event.room)
        if event.seq <= seq and event.time <= time:
            return False
        self._set(event.room, _Last(event.seq, max(event.time, time)))
        return True

    def skip(self, event: Gap) -> None:
        """Skip lines that are no longer stored."""
        seq, time = self._last_of(event.room)
        self._set(event.room, _Last(max(seq, event.last), time))

    def _last_of(self, room: str) -> _Last:
        return self._rooms.get(fold_name(room), _Last(0, 0))

    def _set(self, room: str, last: _Last) -> None:
        key = fold_name(room)
        self._rooms.pop(key, None)
        self._rooms[key] = last
        if len(self._rooms) > ROOMS:
            del self._rooms[next(iter(self._rooms))]
