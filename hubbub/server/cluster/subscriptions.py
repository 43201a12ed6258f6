"""Subscriptions: which rooms a server follows, and how far it has read each."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.journal.journal import JournalError

CATCH_UP_SECONDS = 2.0  # for a server that was cut off, before it lets in a member who has seen more than it has
ROOMS_KNOWN = 1_000  # that no one here is in, before the oldest of them are forgotten


@dataclass(slots=True)
class Subscription:
    """A room, the SEQ up to which it was read, and whether it is read on."""

    seq: int
    active: bool = False


class Subscriptions:
    """The positions in the rooms' streams. Any thread."""

    def __init__(self, redis_client: RedisClient, on_open: Callable[[], None]) -> None:
        """`on_open` is called when a room is to be read that was not before."""
        self._redis_client = redis_client
        self._on_open = on_open
        self._lock = threading.Lock()  # guards the two below, and is never held while waiting for Redis
        self._moved = threading.Condition(self._lock)  # notified when a room was read on
        self._rooms: dict[str, Subscription] = {}  # by key
        self._forget_at = ROOMS_KNOWN

    def prepare(self, key: str, seq: int = 0) -> None:
        """Find out where a room stands, so that `open` knows it; if it goes that far, at `seq` at least.

        Waits for Redis, and for the lines up to there. Raises JournalError.
        """
        with self._lock:
            if key in self._rooms and self._rooms[key].active and self._rooms[key].seq >= seq:
                return
        last = self._redis_client.last_seq(key)
        with self._lock:
            room = self._rooms.get(key)
            if room is None:
                self._forget_some()
                self._rooms[key] = Subscription(last)
            elif not room.active:
                room.seq = max(room.seq, last)  # also if Redis has lost the last lines: the next have higher numbers
                self._rooms[key] = self._rooms.pop(key)  # the last to be forgotten
            elif not self._moved.wait_for(lambda: room.seq >= min(seq, last), CATCH_UP_SECONDS):
                raise JournalError(f"the lines of {key!r} have not come from Redis within {CATCH_UP_SECONDS:g} s")

    def open(self, key: str) -> int:
        """Read a room from here on; return the SEQ of the last line before. Never waits."""
        with self._lock:
            room = self._rooms.setdefault(key, Subscription(0))  # unprepared, it is read from its start
            was_active, room.active = room.active, True
            seq = room.seq
        if not was_active:
            self._on_open()
        return seq

    def close(self, key: str) -> None:
        """Read a room no more, but remember for a while where it stands. Never waits."""
        with self._lock:
            if key in self._rooms:
                self._rooms[key].active = False

    def positions(self) -> dict[str, int]:
        """Return the rooms that are to be read, and how far each was read."""
        with self._lock:
            return {key: room.seq for key, room in self._rooms.items() if room.active}

    def all_positions(self) -> dict[str, int]:
        """Return how far each known room was read, also of those that are read no more."""
        with self._lock:
            return {key: room.seq for key, room in self._rooms.items()}

    def note_read(self, key: str, seq: int) -> None:
        """Note that a room was read up to a SEQ."""
        with self._lock:
            if (room := self._rooms.get(key)) is not None and room.active:
                room.seq = max(room.seq, seq)
                self._moved.notify_all()

    def _forget_some(self) -> None:
        if len(self._rooms) < self._forget_at:
            return
        idle = [key for key, room in self._rooms.items() if not room.active]
        for key in idle[:-ROOMS_KNOWN]:
            del self._rooms[key]
        self._forget_at = 2 * len(self._rooms) + ROOMS_KNOWN  # so that this search stays rare
