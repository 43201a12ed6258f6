"""Brings members into rooms, past the locks; what takes time is done before the membership's one step."""

import threading
import time
from collections.abc import Iterable

from loguru import logger

from hubbub.protocol import LOBBY, ProtocolError, fold_name
from hubbub.server.access.room_keys import RoomKey, RoomKeys, locked
from hubbub.server.access.scrypt import HashedSecret
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.network.admission import AttemptLimiter
from hubbub.server.rooms.membership import Membership
from hubbub.server.rooms.room import Member

SWEEP_SECONDS = 60.0  # between two looks at all locks, while there can be no more of them


class RoomAccess:
    """Knows the locks, and who guessed. Each member's own session's thread calls `enter`, which may wait."""

    def __init__(
        self, membership: Membership, delivery: Delivery, locks: RoomKeys, tries: AttemptLimiter | None = None
    ) -> None:
        self._membership = membership
        self._delivery = delivery
        self._locks = locks
        self._tries = tries or AttemptLimiter()
        self._lock = threading.Lock()  # guards the time below
        self._sweep_at = 0.0  # seconds of the monotonic clock

    def join(self, member: Member, name: str, given: str, address: str) -> str:
        """Move a member to the room called `name`, for which he gave the key `given`; return its name as it is shown.

        Raises what `Registry.enter` does, ProtocolError `room-locked` for a wrong key as for none, `too-fast` after
        too many of them, `not-allowed` where a key is not wanted, and JournalError.
        """
        key = fold_name(name)
        if self._membership.is_in(member, key):
            return self._membership.join_room(member, name)  # which says so
        self._drop_void(member, [key, self._locks.find_confusable(name)])
        lock = self._locks.find(key)
        if lock is not None:
            self._check(lock, name, given, address)
        elif given:
            return self._enter_new(member, name, given)
        return self._membership.join_room(member, name, lock)

    def _check(self, lock: RoomKey, name: str, given: str, address: str) -> None:
        if not self._tries.attempt(address, lambda: lock.secret.matches(given)):
            raise locked(name)

    def _enter_new(self, member: Member, name: str, given: str) -> str:
        """Lock a room that nobody has been in as far as anybody knows, and be its first member."""
        key = fold_name(name)
        if key == LOBBY:
            raise ProtocolError("not-allowed", "the lobby cannot be locked; /join it without KEY, or lock another room")
        lock = RoomKey(key, HashedSecret.create(given), member.verifier)
        if self._membership.has(key):
            raise ProtocolError("not-allowed", f"{name} is there already, without a lock; /join {name} without KEY")
        if not self._locks.has_no_history(lock):
            text = f"what was said in {name} is still kept, for everybody; /join {name} without KEY, or lock another"
            raise ProtocolError("not-allowed", text)
        if (crowd := self._locks.list_if_full()) and self._may_sweep():
            self._drop_void(member, crowd)
        self._locks.add(lock)
        try:
            return self._membership.join_room(member, name, lock, new=True)
        except ProtocolError:
            self._locks.remove(lock)
            self._locks.store(key)
            raise

    def _drop_void(self, member: Member, keys: Iterable[str]) -> None:
        """Take the locks off that guard nothing any more: nobody is behind them, and nothing that was said is kept."""
        idle = [found for key in keys if (found := self._membership.idle_lock(key))]
        if not idle:
            return
        self._delivery.flush(member)  # so that what was said there just before is in the journal
        if self._delivery.is_stalled:
            return
        for lock, entries in idle:
            if self._locks.has_no_history(lock) and self._membership.unlock(lock, entries):
                self._locks.store(lock.room)
                logger.info("the lock of {!r} is off: nothing is left behind it", lock.room)

    def _may_sweep(self) -> bool:
        now = time.monotonic()
        with self._lock:
            if now < self._sweep_at:
                return False
            self._sweep_at = now + SWEEP_SECONDS
        return True
