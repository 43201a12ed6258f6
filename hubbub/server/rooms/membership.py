"""Membership: signs members in, renames them and moves them between rooms. Each change is one step of the directory."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from hubbub.protocol import LOBBY, MemberRow, Notice, OwnerRow, ProtocolError, RoomRow, fold_name
from hubbub.server.access.limits import Limits
from hubbub.server.access.moderation import Moderation
from hubbub.server.access.ownership import NameOwnership
from hubbub.server.access.room_keys import RoomKey, RoomKeys, confusable_error, locked_error
from hubbub.server.backend import Backend
from hubbub.server.rooms.directory import SIGNED_IN_ELSEWHERE, Directory
from hubbub.server.rooms.name_claims import NameClaims
from hubbub.server.rooms.room import Member, Room, SessionState

TOKEN_HASH_BYTES = 16  # of BLAKE2b; a token is 128 random bits, so it needs no salt
LISTED_ROWS = 100  # made at once, under the lock


@dataclass(frozen=True, slots=True)
class Counts:
    """How many members and rooms there are."""

    members: int
    rooms: int


@dataclass(frozen=True, slots=True)
class RoomSnapshot:
    """A room as it is before the slow checks of a join."""

    key: str
    is_open: bool
    room_key: RoomKey | None
    unused: tuple["UnusedKey", ...]  # of this room and of a locked one that looks like it


@dataclass(frozen=True, slots=True)
class UnusedKey:
    """The key of an empty room, and how often it had been used at that time."""

    room_key: RoomKey
    entries: int


class Membership:
    """Names and rooms of members. Any thread, but only a session's own thread moves or renames its member."""

    def __init__(
        self,
        directory: Directory,
        claims: NameClaims,
        limits: Limits,
        ownership: NameOwnership,
        moderation: Moderation,
        room_keys: RoomKeys,
        backend: Backend,
        *,
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        """`uptime` gives seconds, for idle times."""
        self._directory = directory
        self._claims = claims
        self._limits = limits
        self._ownership = ownership
        self._moderation = moderation
        self._room_keys = room_keys
        self._backend = backend
        self._uptime = uptime

    # --------------------------------------------------------------------------------------------- names

    def sign_in(self, member: Member, name: str, color: str, token: str) -> None:
        """Give `name` to a member who has none, and put them into the lobby; `token` resumes the session.

        Raises ProtocolError `name-taken`, `not-allowed` or `server-stopping`, and JournalError.
        """
        self._backend.prepare_room(LOBBY)
        with self._claims.claim(member, name, hash_token(token)):
            self._directory.refuse_when_closed()
            self._moderation.refuse_banned(name)
            self._claims.check(member, name)
            self._directory.register(member, SessionState(hash_token(token)), name, color)
            self._ownership.claim_name(name, member.verifier, member.subnet)
            self._directory.send_welcome(member, token)
            self._directory.enter(member, self._directory.rooms[LOBBY])

    def rename(self, member: Member, name: str, color: str) -> None:
        """Change a member's name, or only its color, and show it to their room.

        Raises ProtocolError `name-taken`, `not-allowed` for a banned name and for a member who is muted under the old
        one, and JournalError.
        """
        if member.state is None or fold_name(member.name) == fold_name(name):
            with self._directory.step():
                self._rename(member, name, color)
        else:
            with self._claims.claim(member, name, member.state.token_hash, member.name):
                self._rename(member, name, color)

    def _rename(self, member: Member, name: str, color: str) -> None:
        _room_of(member)
        if (name, color) == (member.name, member.color):
            return
        if fold_name(member.name) != fold_name(name):
            self._moderation.refuse_muted(member.name)
            self._moderation.refuse_banned(name)
        self._claims.check(member, name)
        self._directory.rename(member, name, color)
        self._ownership.claim_name(name, member.verifier, member.subnet)
        self._directory.store(member)

    def leave(self, member: Member, why: str) -> None:
        """Take a member out of the chat and free their name, if they have one; `why` is one word. Idempotent.

        A member who leaves with `exit` cannot resume.
        """
        with self._directory.step():
            self._directory.leave(member, why, ended=why == "exit")

    def expel(
        self, who: str | Member, action: str, check: Callable[[Member], None] = lambda _: None
    ) -> tuple[str, Room | None]:
        """Expel the member `who`, given as a member or by name. `check` is called under the lock and may raise.

        `action` is the text for them and their room, like `kicked by bob`. Return their name and room; empty and None
        if there is no such member. Their session ends as soon as it reads `farewell`.
        """
        with self._directory.step():
            member = self._directory.find(who) if isinstance(who, str) else who
            if member is None:
                return "", None
            check(member)
            room = member.room
            if self._backend.forward_expulsion(member, action):
                return member.name, room
            member.farewell = f"you were {action}"  # set first: the session then knows why its member is in no room
            self._directory.leave(member, "kicked", ended=True)
            if room is not None:
                self._show_notice(room, f"{member.name} was {action}")
        member.transport.end_reading()
        return member.name, room

    def announce(self, name: str, action: str) -> Room | None:
        """Show `action` to the room of the member called `name`. Return the room; None if there is no such member."""
        with self._directory.step():
            member = self._directory.find(name)
            room = member.room if member else None
            if member and room:
                self._show_notice(room, f"{member.name} was {action}")
            return room

    def _show_notice(self, room: Room, text: str) -> None:
        self._directory.show(room, Notice(text))
        self._backend.relay_notice(room.key, text)

    # --------------------------------------------------------------------------------------------- rooms

    def inspect_room(self, member: Member, name: str) -> RoomSnapshot:
        """Return a snapshot of a room that a member is about to join.

        Raises ProtocolError `not-allowed` if the member is in it already.
        """
        key = fold_name(name)
        with self._directory.lock:
            if member.room is not None and member.room.key == key:
                raise _in_already(member.room)
            keys = [key, self._room_keys.find_confusable(name)]
            return RoomSnapshot(key, key in self._directory.rooms, self._room_keys.find(key), self._unused_keys(keys))

    def list_unused_keys(self, keys: Iterable[str]) -> tuple[UnusedKey, ...]:
        """Return the keys of those rooms that are empty, except keys without an entry: their rooms are being made."""
        with self._directory.lock:
            return self._unused_keys(keys)

    def _unused_keys(self, keys: Iterable[str]) -> tuple[UnusedKey, ...]:
        empty = [self._room_keys.find(key) for key in keys if key not in self._directory.rooms]
        return tuple(UnusedKey(found, found.entries) for found in empty if found and found.entries)

    def remove_unused_key(self, unused: UnusedKey) -> bool:
        """Remove a room's key if no one has entered the room since; return whether it is removed.

        The caller has made sure that no line of the room is stored.
        """
        with self._directory.step():
            room_key = unused.room_key
            if room_key.room in self._directory.rooms or room_key.entries != unused.entries:
                return False
            self._room_keys.remove(room_key)
            self._directory.forget_lines(room_key.room)
            return True

    def join_room(self, member: Member, name: str, room_key: RoomKey | None = None, *, new: bool = False) -> str:
        """Move a member to the room called `name`, which is made if it is not open. Return its name as it is shown.

        `room_key` is the key that the member gave; with `new` the room must not be open. Raises ProtocolError
        `room-locked` if the room now has another key, `not-allowed` if the member is in it already, if a `new` room is
        open, or if a muted member would create a room, `room-invalid` if it looks like another room, `too-many` at a
        limit, `server-stopping`, and JournalError.
        """
        self._backend.prepare_room(fold_name(name))
        with self._directory.step():
            self._directory.refuse_when_closed()
            current = _room_of(member)
            room = self._directory.rooms.get(fold_name(name)) or self._new_room(member, name)
            if current is room:
                raise _in_already(room)
            if self._room_keys.find(room.key) is not room_key:
                raise locked_error(name)
            if new and room.key in self._directory.rooms:
                text = f"{name} was just made by someone else; /join {name} without KEY"
                raise ProtocolError("not-allowed", text)
            if room_key is not None:
                room_key.entries += 1
            self._directory.remove_from_room(member, "leave")
            self._directory.enter(member, room)
            return room.name

    def _new_room(self, member: Member, name: str) -> Room:
        """Return a room that `member` makes, not yet open."""
        limits, state = self._limits, member.state
        assert state is not None  # a member in a room has a session
        room_key = self._room_keys.find(fold_name(name))
        is_stored = room_key is not None and room_key.entries > 0  # opened again: an older version let both be locked
        if not is_stored and (other := self._directory.find_confusable_room(name)):
            raise confusable_error(name, other)
        self._moderation.refuse_muted(member.name)  # everybody reads the name in /list
        if len(self._directory.rooms) >= limits.max_rooms:
            text = f"there are {limits.max_rooms} rooms, which is the limit; /list shows them, or try again later"
            raise ProtocolError("too-many", text)
        if self._directory.rooms_made[state.token_hash] >= limits.max_rooms_per_member:
            text = f"{limits.max_rooms_per_member} rooms that you made are open, which is the limit; use one of them"
            raise ProtocolError("too-many", text)
        return Room(name, fold_name(name), state.token_hash)

    # --------------------------------------------------------------------------------------------- questions

    def find(self, name: str) -> Member:
        """Return the member called `name`, if they can receive messages. Raises ProtocolError `no-such-person`."""
        with self._directory.lock:
            member = self._directory.find(name)
            absent = member is not None and member.absent
        if member is None:
            raise ProtocolError("no-such-person", f"there is no member called {name}; /who shows who is here")
        if absent:
            raise ProtocolError("no-such-person", f"{member.name} has just lost the connection; try again in a minute")
        return member

    # A list is made a few rows at a time, since a client may take minutes to read it: until then only keys are held.

    def list_rooms(self) -> Iterator[RoomRow]:
        """Yield a row for each open room, the lobby first, then by name."""
        with self._directory.lock:
            keys = list(self._directory.rooms)
        keys.sort(key=lambda key: (key != LOBBY, key))
        for some in _batches(keys):
            with self._directory.lock:
                rooms = [room for key in some if (room := self._directory.rooms.get(key))]
                rows = [RoomRow(room.name, len(room.members), self._room_keys.flags_of(room.key)) for room in rooms]
            yield from rows

    def list_members(self, name: str, asker: Member | None = None) -> Iterator[MemberRow | OwnerRow]:
        """Return a row for each member of the room called `name`, by name, and then for each who owns their name.

        Raises ProtocolError `room-invalid`, and `room-locked` if the room is locked and `asker` not in it.
        """
        with self._directory.lock:
            keys = list(self._find_readable(name, asker).members)
        return self._list_members(name, asker, sorted(keys))

    def _list_members(self, name: str, asker: Member | None, keys: list[str]) -> Iterator[MemberRow | OwnerRow]:
        makers: tuple[Callable[[Member], MemberRow | OwnerRow | None], ...] = (self._member_row, self._owner_row)
        for make_row in makers:
            for some in _batches(keys):
                try:
                    with self._directory.lock:
                        members = self._find_readable(name, asker).members
                        rows = [make_row(member) for key in some if (member := members.get(key))]
                except ProtocolError:  # closed or locked meanwhile
                    return
                yield from filter(None, rows)

    def _find_readable(self, name: str, asker: Member | None) -> Room:
        """Return the open room called `name`; the caller holds the directory's lock. Raises as `list_members`."""
        room = self._directory.rooms.get(fold_name(name))
        if room is None:
            raise ProtocolError("room-invalid", f"there is no room called {name}; /list shows the rooms")
        if self._room_keys.find(room.key) and (asker is None or asker.room is not room):
            raise locked_error(name)
        return room

    def _member_row(self, member: Member) -> MemberRow:
        assert member.room is not None  # it was found there
        idle = max(0, int(self._uptime() - member.last_active))
        return MemberRow(member.name, member.color, member.room.name, idle)

    def _owner_row(self, member: Member) -> OwnerRow | None:
        return OwnerRow(member.name) if self._ownership.is_owner(member.name, member.verifier) else None

    def count(self) -> Counts:
        """Return how many members have a name and how many rooms are open, with the lobby."""
        with self._directory.lock:
            return Counts(len(self._directory.names), len(self._directory.rooms))


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[start : start + LISTED_ROWS] for start in range(0, len(keys), LISTED_ROWS))


def _room_of(member: Member) -> Room:
    """Return the room of a member who has a name. Raises ProtocolError if another connection has replaced this one."""
    if member.room is None:
        raise ProtocolError("not-allowed", member.farewell or SIGNED_IN_ELSEWHERE)
    return member.room


def _in_already(room: Room) -> ProtocolError:
    return ProtocolError("not-allowed", f"you are in {room.name} already")


def hash_token(token: str) -> bytes:
    """Return the hash of a token; the token itself is not stored."""
    return hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=TOKEN_HASH_BYTES).digest()
