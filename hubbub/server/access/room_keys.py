"""The locks of rooms: which room has one, who made it, and which key opens it."""

import json
import threading
from dataclasses import dataclass

from hubbub.protocol import LOCKED, NO_FLAGS, ProtocolError, fold_name
from hubbub.server.access.confusables import ConfusableIndex
from hubbub.server.access.scrypt import HashedSecret, HashError, ScryptHash
from hubbub.server.journal.journal import Journal, JournalError

FACTS = "key"  # the kind of the journal's facts: by the room's key, who made its lock, and the hash of what opens it
LOCKS = 10_000  # at a time: as many as rooms


@dataclass(eq=False, slots=True)
class RoomKey:
    """A lock, known by its `id` as long as there is anybody who was behind it."""

    room: str  # its key
    secret: HashedSecret
    maker: str  # whom he proved to be who made it; empty where that was nobody
    entries: int = 0  # how often somebody came in; the membership's lock guards it

    @property
    def id(self) -> str:
        """What no other lock has, of this room or of another."""
        return self.secret.hash.salt.hex()

    def fact(self) -> str:
        """Return what the journal keeps."""
        return json.dumps({"maker": self.maker, "hash": str(self.secret.hash)})


def locked_error(room: str) -> ProtocolError:
    """Return what everybody outside a locked room is told, whatever he tried."""
    return ProtocolError("room-locked", f"{room} is locked; /join {room} KEY gets in with the right key")


def confusable_error(room: str, other: str) -> ProtocolError:
    """Return what he is told who would make a room that looks like another."""
    return ProtocolError("room-invalid", f"{room} looks like {other}, which is there; /join {other}, or another")


class RoomKeys:
    """All locks. Any thread; the membership asks under its own lock, so nothing here waits but what says so.

    RoomKey order: the membership's, then this one's.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()  # guards the table and the looks
        self._keeping = threading.Lock()  # guards the order in which facts are kept
        self._locks: dict[str, RoomKey] = {}  # by the room's key
        self._looks = (
            ConfusableIndex()
        )  # of their rooms, which are there for who has the key, though nobody may be in them

    def load(self) -> None:
        """Take up the locks that the journal keeps. Raises JournalError."""
        found = {key: _lock(key, fact) for key, fact in self._journal.list_facts(FACTS).items()}
        with self._lock:
            self._locks.update(found)
            for key, lock in found.items():
                self._looks.add(key, lock)

    def find(self, key: str) -> RoomKey | None:
        """Return the lock of a room."""
        with self._lock:
            return self._locks.get(key)

    def find_confusable(self, room: str) -> str:
        """Return the key of another locked room that one would be mistaken for; empty if there is none."""
        with self._lock:
            return self._looks.find_confusable(room, self._locks.get(fold_name(room)))

    def id_of(self, key: str) -> str:
        """Return the id of the lock of a room; empty where there is none."""
        lock = self.find(key)
        return lock.id if lock else ""

    def maker_of(self, key: str) -> str:
        """Return whom he proved to be who locked a room; empty where that was nobody."""
        lock = self.find(key)
        return lock.maker if lock else ""

    def flags_of(self, key: str) -> str:
        """Return the flags of `/entered` and `/room`."""
        return LOCKED if self.find(key) else NO_FLAGS

    def add(self, lock: RoomKey) -> None:
        """Put a lock on a room that has none, and keep it. Waits for the journal.

        Raises ProtocolError `room-locked` where somebody was faster, `room-invalid` where the room looks like another
        locked one, `too-many`, and JournalError.
        """
        with self._lock:
            if lock.room in self._locks:
                raise locked_error(lock.room)
            if other := self._looks.find_confusable(lock.room):
                raise confusable_error(lock.room, other)
            if len(self._locks) >= LOCKS:
                raise ProtocolError("too-many", f"{LOCKS} rooms are locked, and no more may be; /join one without KEY")
            self._locks[lock.room] = lock
            self._looks.add(lock.room, lock)
        added = False
        try:
            with self._keeping:
                added = self._journal.add_fact(FACTS, lock.room, lock.fact())
        finally:
            if not added:
                self.remove(lock)
        if not added:
            self.apply_fact(lock.room, self._journal.list_facts(FACTS).get(lock.room))
            raise locked_error(lock.room)  # at another server, in this moment

    def apply_fact(self, key: str, fact: str | None) -> None:
        """Take over what another server has put on a room, or taken off. Raises JournalError."""
        lock = _lock(key, fact) if fact else None
        if (before := self.find(key)) is not None:
            if before.fact() == fact:
                return
            self.remove(before)
        if lock is not None:
            with self._lock:
                self._locks[key] = lock
                self._looks.add(key, lock)

    def remove(self, lock: RoomKey) -> None:
        """Take a lock off, if it is still on; `keep` has the journal forget it."""
        with self._lock:
            if self._locks.get(lock.room) is lock:
                del self._locks[lock.room]
                self._looks.remove(lock.room, lock)

    def store(self, key: str) -> None:
        """Have the journal know what is on a room now. Waits for it. Raises JournalError."""
        with self._keeping:
            lock = self.find(key)
            self._journal.store_fact(FACTS, key, lock.fact() if lock else None)

    def facts(self) -> dict[str, str]:
        """Return what the journal keeps, by the room's key."""
        with self._lock:
            return {key: lock.fact() for key, lock in self._locks.items()}

    def list_if_full(self) -> list[str]:
        """Return the keys of all locked rooms where there can be no more of them, else none."""
        with self._lock:
            return list(self._locks) if len(self._locks) >= LOCKS else []

    def has_no_history(self, lock: RoomKey) -> bool:
        """Return whether nothing is kept any more of what was said behind a lock. Waits for the journal.

        What is not yet in the journal is not known here. Raises JournalError.
        """
        last = self._journal.last_seq(lock.room)
        return not (last and self._journal.read_pages(lock.room, 0, last, size=1))


def _lock(key: str, fact: str) -> RoomKey:
    try:
        told = json.loads(fact)
        return RoomKey(key, HashedSecret(ScryptHash.parse(told["hash"])), told["maker"], entries=1)
    except (ValueError, KeyError, TypeError, HashError) as error:
        raise JournalError(f"the journal's lock of room {key} cannot be read: {error}") from error
