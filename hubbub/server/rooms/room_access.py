"""Access to rooms: checks room keys and locks new rooms. The slow checks come before the step of Membership."""

import threading
import time
from collections.abc import Sequence

from loguru import logger

from hubbub.protocol import LOBBY, ProtocolError
from hubbub.server.access.hash_pool import HashPool
from hubbub.server.access.limits import Limits
from hubbub.server.access.room_keys import RoomKey, RoomKeys, locked_error
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.journal.journal import JournalError
from hubbub.server.network.admission import AttemptLimiter, SubnetRateLimiter
from hubbub.server.rooms.membership import Membership, RoomSnapshot, UnusedKey
from hubbub.server.rooms.room import Member

LOCKED_ROOMS_PER_HOUR = 30  # by one subnet, all at once or over the hour: a room for each group of a course
SWEEP_SECONDS = 60.0  # between two searches for unused room keys, while their number is at the limit


class RoomAccess:
    """Access to locked rooms. The thread of the member's session calls `join`, which may wait."""

    def __init__(
        self,
        membership: Membership,
        delivery: Delivery,
        room_keys: RoomKeys,
        hash_pool: HashPool,
        limits: Limits,
    ) -> None:
        self._membership = membership
        self._delivery = delivery
        self._room_keys = room_keys
        self._hash_pool = hash_pool
        self._attempts = AttemptLimiter()
        self._locked_rooms = SubnetRateLimiter(limits, LOCKED_ROOMS_PER_HOUR / 3_600, LOCKED_ROOMS_PER_HOUR)
        self._lock = threading.Lock()  # guards the time below
        self._sweep_at = 0.0  # seconds of the monotonic clock

    def join(self, member: Member, name: str, given: str, address: str) -> str:
        """Move a member to the room called `name`, with the key that they gave; return its name as it is shown.

        Raises what `Membership.join_room` and HashPool raise, ProtocolError `room-locked` for a wrong or missing key,
        `too-fast` after too many wrong keys or locked rooms, `not-allowed` if the room cannot be locked, and
        JournalError.
        """
        snapshot = self._membership.inspect_room(member, name)
        if self._remove_unused(member, snapshot.unused):
            snapshot = self._membership.inspect_room(member, name)
        if snapshot.room_key is not None:
            self._check(snapshot.room_key, name, given, address)
        elif given:
            return self._lock_and_join(member, name, given, address, snapshot)
        return self._membership.join_room(member, name, snapshot.room_key)

    def _check(self, room_key: RoomKey, name: str, given: str, address: str) -> None:
        if not self._attempts.attempt(address, lambda: self._hash_pool.matches(room_key.secret, given, address)):
            raise locked_error(name)

    def _lock_and_join(self, member: Member, name: str, given: str, address: str, snapshot: RoomSnapshot) -> str:
        """Make a locked room and put `member` into it. No line of the room may be stored."""
        key = snapshot.key
        if key == LOBBY:
            raise ProtocolError(
                "not-allowed", "the lobby cannot be locked; /join lobby without KEY, or lock another room"
            )
        if snapshot.is_open:
            raise ProtocolError("not-allowed", f"{name} is open and not locked; /join {name} without KEY")
        if not self._room_keys.has_no_history(key):
            text = f"{name} has earlier lines that everyone may read; /join {name} without KEY, or lock another room"
            raise ProtocolError("not-allowed", text)
        self._locked_rooms.enforce(address, f"an address may lock {LOCKED_ROOMS_PER_HOUR} rooms an hour")
        room_key = RoomKey(key, self._hash_pool.hash_secret(given, address), member.verifier)
        if (keys := self._room_keys.list_if_full()) and self._may_sweep():
            self._remove_unused(member, self._membership.list_unused_keys(keys))
        self._room_keys.add(room_key)
        try:
            return self._membership.join_room(member, name, room_key, new=True)
        except (ProtocolError, JournalError):
            self._room_keys.remove(room_key)
            self._room_keys.store(key)
            raise

    def _remove_unused(self, member: Member, unused: Sequence[UnusedKey]) -> bool:
        """Remove the keys of empty rooms without stored lines; return whether there were any."""
        if not unused:
            return False
        self._delivery.flush(member)  # so that the last lines of these rooms are in the journal
        if self._delivery.is_stalled:
            return False
        removed = False
        for candidate in unused:
            room_key = candidate.room_key
            if self._room_keys.has_no_history(room_key.room) and self._membership.remove_unused_key(candidate):
                self._room_keys.store(room_key.room)
                logger.info("room {!r} is unlocked: it is empty, and no line of it is stored", room_key.room)
                removed = True
        return removed

    def _may_sweep(self) -> bool:
        now = time.monotonic()
        with self._lock:
            if now < self._sweep_at:
                return False
            self._sweep_at = now + SWEEP_SECONDS
        return True
