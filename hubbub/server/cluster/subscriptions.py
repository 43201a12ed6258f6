"""Subscriptions: which rooms a server follows, and how far it has read each."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.journal.journal import JournalError

CATCH_UP_SECONDS = 2.0  # that a join waits for a server that was cut off to read the lines that the member has seen
ROOMS_KNOWN = 1_000  # rooms without members here; beyond this the oldest are forgotten


@dataclass(slots=True)
class Subscription:
    """A room: the SEQ up to which it was read, and whether it is followed."""

    seq: int
    active: bool = False


class Subscriptions:
    """The positions in the rooms' streams. Any thread."""

    def __init__(self, redis_client: RedisClient, on_open: Callable[[], None]) -> None:
        """`on_open` is called when a room is followed from now on."""
        self._redis_client = redis_client
        self._on_open = on_open
        self._lock = threading.Lock()  # guards the two below, and is never held while waiting for Redis
        self._moved = threading.Condition(self._lock)  # notified when more of a room was read
        self._rooms: dict[str, Subscription] = {}  # by key
        self._forget_at = ROOMS_KNOWN

    def prepare(self, key: str, seq: int = 0) -> None:
        """Find out the last SEQ of a room, so that `open` knows it.

        Waits for Redis and, in a room that is followed, for the lines up to `seq`. Raises JournalError.
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
                room.seq = max(room.seq, last)  # if Redis has lost lines, too: the next ones get higher numbers
                self._rooms[key] = self._rooms.pop(key)  # at the end: it is forgotten last
            elif not self._moved.wait_for(lambda: room.seq >= min(seq, last), CATCH_UP_SECONDS):
                raise JournalError(f"the lines of {key!r} have not come from Redis within {CATCH_UP_SECONDS:g} s")

    def open(self, key: str) -> int:
        """Follow a room from here on; return the SEQ of the last line before. Never waits."""
        with self._lock:
            room = self._rooms.setdefault(key, Subscription(0))  # without `prepare` it is read from its start
            was_active, room.active = room.active, True
            seq = room.seq
        if not was_active:
            self._on_open()
        return seq

    def close(self, key: str) -> None:
        """Stop following a room, but remember its SEQ for a while. Never waits."""
        with self._lock:
            if key in self._rooms:
                self._rooms[key].active = False

    def positions(self) -> dict[str, int]:
        """Return the rooms that are followed, each with the SEQ up to which it was read."""
        with self._lock:
            return {key: room.seq for key, room in self._rooms.items() if room.active}

    def all_positions(self) -> dict[str, int]:
        """Return the SEQ up to which each known room was read, followed or not."""
        with self._lock:
            return {key: room.seq for key, room in self._rooms.items()}

    def note_read(self, key: str, seq: int) -> None:
        """Record that a room was read up to a SEQ."""
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
