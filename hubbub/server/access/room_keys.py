"""Room keys: which rooms are locked, who locked them, and the hash of the key that opens each."""

import json
import threading
from dataclasses import dataclass

from hubbub.protocol import LOCKED, NO_FLAGS, ProtocolError, fold_name
from hubbub.server.access.confusables import ConfusableIndex
from hubbub.server.access.scrypt import HashedSecret, HashError, ScryptHash
from hubbub.server.journal.journal import Journal, JournalError

FACT_KIND = "key"  # of the journal's facts: by the room's key, the verifier of its maker and the hash of its room key
MAX_ROOM_KEYS = 10_000  # at a time: as many as there can be rooms


@dataclass(eq=False, slots=True)
class RoomKey:
    """The key of a locked room. A session stores its `id`, so that it can resume in the room."""

    room: str  # `fold_name` of the room's name
    secret: HashedSecret
    maker: str  # the verifier of the member who locked the room; empty if they proved none
    entries: int = 0  # how often a member entered with it; the directory's lock guards it

    @property
    def id(self) -> str:
        """The id, different for each room key."""
        return self.secret.hash.salt.hex()

    def to_fact(self) -> str:
        """Return the JSON that the journal stores."""
        return json.dumps({"maker": self.maker, "hash": str(self.secret.hash)})


def locked_error(room: str) -> ProtocolError:
    """Return the one error for all attempts on a locked room: it does not say what was wrong."""
    return ProtocolError("room-locked", f"{room} is locked; type /join {room} KEY with its key")


def confusable_error(room: str, other: str) -> ProtocolError:
    """Return the error for a new room that looks like another."""
    return ProtocolError("room-invalid", f"{room} looks like {other}, which exists; /join {other}, or another room")


class RoomKeys:
    """All room keys. Any thread. Only the methods that say so wait, since Membership holds the directory's lock.

    Lock order: the directory's, then this one's.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()  # guards the table and the index
        self._storing = threading.Lock()  # guards the order in which facts are stored
        self._keys: dict[str, RoomKey] = {}  # by room
        self._confusables = ConfusableIndex()  # of the locked rooms, which may be empty

    def load(self) -> None:
        """Load the room keys that the journal stores. Raises JournalError."""
        found = {room: _parse_fact(room, fact) for room, fact in self._journal.list_facts(FACT_KIND).items()}
        with self._lock:
            self._keys.update(found)
            for room, room_key in found.items():
                self._confusables.add(room, room_key)

    def find(self, room: str) -> RoomKey | None:
        """Return the key of a room."""
        with self._lock:
            return self._keys.get(room)

    def find_confusable(self, name: str) -> str:
        """Return another locked room that looks like `name`; empty if there is none."""
        with self._lock:
            return self._confusables.find_confusable(name, self._keys.get(fold_name(name)))

    def id_of(self, room: str) -> str:
        """Return the id of a room's key; empty if it has none."""
        room_key = self.find(room)
        return room_key.id if room_key else ""

    def maker_of(self, room: str) -> str:
        """Return the verifier of the member who locked a room; empty if there is none."""
        room_key = self.find(room)
        return room_key.maker if room_key else ""

    def flags_of(self, room: str) -> str:
        """Return the flags of a room in `/entered` and `/room`."""
        return LOCKED if self.find(room) else NO_FLAGS

    def add(self, room_key: RoomKey) -> None:
        """Lock a room that has no key, and store that. Waits for the journal.

        Raises ProtocolError `room-locked` if someone else was faster, `room-invalid` if the room looks like another
        locked one, `too-many`, and JournalError.
        """
        with self._lock:
            if room_key.room in self._keys:
                raise locked_error(room_key.room)
            if other := self._confusables.find_confusable(room_key.room):
                raise confusable_error(room_key.room, other)
            if len(self._keys) >= MAX_ROOM_KEYS:
                text = f"{MAX_ROOM_KEYS} rooms are locked, which is the limit; /join a room without KEY"
                raise ProtocolError("too-many", text)
            self._put(room_key)
        added = False
        try:
            with self._storing:
                added = self._journal.add_fact(FACT_KIND, room_key.room, room_key.to_fact())
        finally:
            if not added:
                self.remove(room_key)
        if not added:  # another server was faster
            self.apply_fact(room_key.room, self._journal.list_facts(FACT_KIND).get(room_key.room))
            raise locked_error(room_key.room)

    def apply_fact(self, room: str, fact: str | None) -> None:
        """Apply the key of a room that another server has stored, or deleted if `fact` is None. Raises JournalError."""
        room_key = _parse_fact(room, fact) if fact else None
        if (before := self.find(room)) is not None:
            if before.to_fact() == fact:
                return
            self.remove(before)
        if room_key is not None:
            with self._lock:
                self._put(room_key)

    def _put(self, room_key: RoomKey) -> None:
        self._keys[room_key.room] = room_key
        self._confusables.add(room_key.room, room_key)

    def remove(self, room_key: RoomKey) -> None:
        """Remove this key from its room; do nothing if the room has another. `store` stores the change."""
        with self._lock:
            if self._keys.get(room_key.room) is room_key:
                del self._keys[room_key.room]
                self._confusables.remove(room_key.room, room_key)

    def store(self, room: str) -> None:
        """Store a room's key, or delete the stored one if it has none. Waits for the journal. Raises JournalError."""
        with self._storing:
            room_key = self.find(room)
            self._journal.store_fact(FACT_KIND, room, room_key.to_fact() if room_key else None)

    def stored_facts(self) -> dict[str, str]:
        """Return what the journal stores, by room."""
        with self._lock:
            return {room: room_key.to_fact() for room, room_key in self._keys.items()}

    def list_if_full(self) -> list[str]:
        """Return all locked rooms if their number is at the limit, else none."""
        with self._lock:
            return list(self._keys) if len(self._keys) >= MAX_ROOM_KEYS else []

    def has_no_history(self, room: str) -> bool:
        """Return whether the journal stores no line of a room. Lines that are still queued do not count.

        Waits for the journal. Raises JournalError.
        """
        last = self._journal.last_seq(room)
        return not (last and self._journal.read_pages(room, 0, last, size=1))


def _parse_fact(room: str, fact: str) -> RoomKey:
    try:
        parsed = json.loads(fact)
        return RoomKey(room, HashedSecret(ScryptHash.parse(parsed["hash"])), parsed["maker"], entries=1)
    except (ValueError, KeyError, TypeError, HashError) as error:
        raise JournalError(f"the journal's key of room {room} cannot be read: {error}") from error
