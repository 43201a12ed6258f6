"""Which rooms a server follows, and how far it has read in each."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.journal.journal import JournalError

CATCH_UP_SECONDS = 2.0  # for a server that was cut off, before it takes in somebody who has seen more than it has
ROOMS_KNOWN = 1_000  # that nobody here is in, before those are looked for that may be forgotten


@dataclass(slots=True)
class Followed:
    """A room, the SEQ up to which it was read, and whether somebody here wants what comes next."""

    seq: int
    wanted: bool = False


class Subscriptions:
    """The places in the rooms' streams. Any thread."""

    def __init__(self, link: RedisClient, on_wanted: Callable[[], None]) -> None:
        """`on_wanted` is called when a room is wanted that was not before."""
        self._link = link
        self._on_wanted = on_wanted
        self._lock = threading.Lock()  # guards the two below, and is never held while waiting for Redis
        self._moved = threading.Condition(self._lock)  # told when a room was read on
        self._rooms: dict[str, Followed] = {}  # by key
        self._forget_at = ROOMS_KNOWN

    def watch(self, key: str, seq: int = 0) -> None:
        """See to it that `open` will know where a room stands now, and that at `seq` at least, if it goes so far.

        Waits for Redis, and for what has been said up to there. Raises JournalError.
        """
        with self._lock:
            if key in self._rooms and self._rooms[key].wanted and self._rooms[key].seq >= seq:
                return
        last = int(self._link.ask("HGET", self._link.key("last"), key) or 0)
        with self._lock:
            room = self._rooms.get(key)
            if room is None:
                self._forget_some()
                self._rooms[key] = Followed(last)
            elif not room.wanted:
                room.seq = max(room.seq, last)  # also if Redis has lost the last lines: the next have higher numbers
                self._rooms[key] = self._rooms.pop(key)  # the last to be forgotten
            elif not self._moved.wait_for(lambda: room.seq >= min(seq, last), CATCH_UP_SECONDS):
                raise JournalError(f"what was said in {key!r} has not come from Redis within {CATCH_UP_SECONDS:g} s")

    def open(self, key: str) -> int:
        """Want what is said in a room from here on; return the SEQ of the last line before. Never waits."""
        with self._lock:
            room = self._rooms.setdefault(key, Followed(0))  # `watch` was called before, or it is read from its start
            wanted, room.wanted = room.wanted, True
            seq = room.seq
        if not wanted:
            self._on_wanted()
        return seq

    def shut(self, key: str) -> None:
        """Want nothing more of a room, but remember for a while where it stands. Never waits."""
        with self._lock:
            if key in self._rooms:
                self._rooms[key].wanted = False

    def places(self) -> dict[str, int]:
        """Return the rooms that are wanted, and how far each was read."""
        with self._lock:
            return {key: room.seq for key, room in self._rooms.items() if room.wanted}

    def known(self) -> dict[str, int]:
        """Return how far each room was read, wanted or not."""
        with self._lock:
            return {key: room.seq for key, room in self._rooms.items()}

    def read(self, key: str, seq: int) -> None:
        """Note that a room was read up to a SEQ."""
        with self._lock:
            if (room := self._rooms.get(key)) is not None and room.wanted:
                room.seq = max(room.seq, seq)
                self._moved.notify_all()

    def _forget_some(self) -> None:
        if len(self._rooms) < self._forget_at:
            return
        idle = [key for key, room in self._rooms.items() if not room.wanted]
        for key in idle[:-ROOMS_KNOWN]:
            del self._rooms[key]
        self._forget_at = 2 * len(self._rooms) + ROOMS_KNOWN  # so that looking through them stays rare
