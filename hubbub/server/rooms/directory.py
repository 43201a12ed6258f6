"""The directory: names, sessions and rooms, and the one lock that guards them.

Membership, presence and the cluster's remote members use it: each of their operations is one `step`, which calls the
methods here.
"""

import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hubbub.protocol import (
    LOBBY,
    PRESENCE_MEMBERS,
    RESERVED_NAMES,
    Bye,
    Event,
    Joined,
    Left,
    ProtocolError,
    Renamed,
    fold_name,
)
from hubbub.server.access.confusables import ConfusableIndex
from hubbub.server.access.room_keys import RoomKeys
from hubbub.server.delivery.actions import (
    Broadcast,
    Finish,
    ForgetHistory,
    SendWelcome,
    StoreSession,
    Subscribe,
    Unsubscribe,
)
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.rooms.room import Member, Room, SessionState

SIGNED_IN_ELSEWHERE = "Signed in elsewhere"


class Directory:
    """Which member has which name, session and room.

    A change takes the lock with `step`; a read takes `lock` alone. All other methods and attributes need the lock. A
    step queues what members see before it releases the lock, so all members see the steps in one order.
    Lock order: this lock, then the delivery's, the room keys' or that of name ownership.
    """

    def __init__(self, delivery: Delivery, room_keys: RoomKeys, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since 1970."""
        self._delivery = delivery
        self._room_keys = room_keys
        self._clock = clock
        self.lock = threading.Lock()
        self.closed = False  # no member may enter, and leaves are not shown
        self.names: dict[str, Member] = {}  # by `fold_name`
        self._confusable_names = ConfusableIndex(RESERVED_NAMES)  # of those names
        self.sessions: dict[bytes, Member] = {}  # by token hash, the connected and the absent
        # All states in use, also those in the delivery's queue, so that no session has two.
        self.states: weakref.WeakValueDictionary[bytes, SessionState] = weakref.WeakValueDictionary()
        self.rooms: dict[str, Room] = {}  # by `fold_name`
        self._confusable_rooms = ConfusableIndex()
        self.rooms_made: Counter[bytes] = Counter()  # by token hash, the open rooms that this session made
        self._open(Room(LOBBY, LOBBY))

    @contextmanager
    def step(self) -> Iterator[None]:
        """Hold the lock; wake the delivery thread afterwards."""
        with self.lock:
            yield
        self._delivery.wake()

    def close(self) -> None:
        """Refuse new members and moves from now on. Takes the lock."""
        with self.lock:
            self.closed = True

    def refuse_when_closed(self) -> None:
        """Raise ProtocolError `server-stopping` after `close`."""
        if self.closed:
            raise ProtocolError("server-stopping", "the server is stopping; try again later")

    # --------------------------------------------------------------------------------------------- names and sessions

    def find(self, name: str) -> Member | None:
        """Return the member called `name`."""
        return self.names.get(fold_name(name))

    def find_confusable(self, name: str, member: Member) -> str:
        """Return a name of someone other than `member` that looks like `name`; empty if there is none."""
        return self._confusable_names.find_confusable(name, member)

    def register(self, member: Member, state: SessionState, name: str, color: str) -> None:
        """Give a member a session, and a name that no one else has."""
        member.name, member.color, member.state = name, color, state
        state.verifier = member.verifier
        self.states[state.token_hash] = state
        self.sessions[state.token_hash] = member
        self._give_name(member)

    def rename(self, member: Member, name: str, color: str) -> None:
        """Change the name or the color of a member in a room, and show it. No one else has the name."""
        room, old = member.room, member.name
        assert room is not None
        if fold_name(old) != fold_name(name):
            del self.names[fold_name(old)]
        self._confusable_names.remove(old, member)
        del room.members[fold_name(old)]
        member.name, member.color = name, color
        room.members[fold_name(name)] = member
        self._give_name(member)
        self.show(room, Renamed(room.name, self._now(), old, color, name))

    def _give_name(self, member: Member) -> None:
        key = fold_name(member.name)
        if (before := self.names.get(key)) is not None:
            self._confusable_names.remove(before.name, before)
        self.names[key] = member
        self._confusable_names.add(member.name, member)

    def replace(self, before: Member, member: Member) -> None:
        """Replace the connection `before` of a member by the connection `member`. No one sees it."""
        room, state = before.room, before.state
        assert room is not None
        assert state is not None
        before.room, before.absent = None, False
        self._delivery.enqueue(Unsubscribe(before), Finish(before, Bye(SIGNED_IN_ELSEWHERE).encode()))
        self.register(member, state, before.name, before.color)
        member.last_active = before.last_active
        self.put_in_room(member, room, shown=False)

    # --------------------------------------------------------------------------------------------- rooms

    def find_confusable_room(self, name: str) -> str:
        """Return the name of an open or locked room that looks like `name`; empty if there is none."""
        return self._confusable_rooms.find_confusable(name) or self._room_keys.find_confusable(name)

    def reopen_room(self, name: str, room_key_id: str) -> Room:
        """Return the room of an earlier session; `put_in_room` opens it if needed. No limit applies.

        Return the lobby if the room now has another key.
        """
        key = fold_name(name)
        if (room_key := self._room_keys.find(key)) is not None:
            if room_key.id != room_key_id:
                return self.rooms[LOBBY]
            room_key.entries += 1
        return self.rooms.get(key) or Room(name, key)

    def put_in_room(self, member: Member, room: Room, *, shown: bool = True) -> None:
        """Put a member who is in no room into one, which is opened if needed."""
        self._open(room)
        room.members[fold_name(member.name)] = member
        member.room = room
        if shown:
            self._show_presence(room, Joined(room.name, self._now(), member.name, member.color))

    def remove_from_room(self, member: Member, why: str) -> None:
        """Remove a member from their room. An empty room closes, unless it is the lobby."""
        room, member.room = member.room, None
        if room is None:
            return
        del room.members[fold_name(member.name)]
        if not room.members and room.key != LOBBY:
            self._close(room)
        self._delivery.enqueue(Unsubscribe(member))
        if not self.closed:
            self._show_presence(room, Left(room.name, self._now(), member.name, member.color, why))

    def _open(self, room: Room) -> None:
        if room.key not in self.rooms:
            self.rooms[room.key] = room
            self._confusable_rooms.add(room.name, room)
            self.rooms_made[room.maker] += 1

    def _close(self, room: Room) -> None:
        del self.rooms[room.key]
        self._confusable_rooms.remove(room.name, room)
        self.rooms_made[room.maker] -= 1
        if not self.rooms_made[room.maker]:
            del self.rooms_made[room.maker]

    def show(self, room: Room, event: Event) -> None:
        """Show an event to all members of a room."""
        self._delivery.enqueue(Broadcast(room, event))

    def _show_presence(self, room: Room, event: Event) -> None:
        if len(room.members) <= PRESENCE_MEMBERS:
            self.show(room, event)

    def _now(self) -> int:
        return int(self._clock() * 1000)

    # --------------------------------------------------------------------------------------------- whole moves

    def send_welcome(self, member: Member, token: str) -> None:
        """Send a member their name, color and token."""
        self._delivery.enqueue(SendWelcome(member, member.name, member.color, token))

    def enter(self, member: Member, room: Room, after: int | None = None) -> None:
        """Put a connected member into a room, deliver its lines to them from here on, and store the session."""
        self.put_in_room(member, room)
        self.subscribe(member, after)
        self.store(member)

    def subscribe(self, member: Member, after: int | None = None) -> None:
        """Deliver the lines of their room to a connected member: those after SEQ `after`, or else the last ones."""
        assert member.room is not None
        flags = self._room_keys.flags_of(member.room.key)
        self._delivery.enqueue(Subscribe(member, member.room, len(member.room.members), after, flags))

    def unsubscribe(self, member: Member) -> None:
        """Deliver nothing more to a member."""
        self._delivery.enqueue(Unsubscribe(member))

    def forget_lines(self, key: str) -> None:
        """Drop the lines of an empty room from memory: none of them is stored any more."""
        self._delivery.enqueue(ForgetHistory(key))

    def leave(self, member: Member, why: str, *, ended: bool = False) -> None:
        """Remove a member from the chat and store that; an `ended` session cannot be resumed. Idempotent."""
        room = member.room
        if room is None:
            return
        self.remove(member, why)
        if ended or not self.closed:  # at the stop they stay present, so that they can resume after a restart
            self._store(member, room, present=False, ended=ended, why=why)

    def remove(self, member: Member, why: str) -> None:
        """Remove a member from the chat, and free their name and session. Idempotent."""
        if member.room is None:
            return
        self.remove_from_room(member, why)
        del self.names[fold_name(member.name)]
        self._confusable_names.remove(member.name, member)
        member.absent = False
        assert member.state is not None  # a member in a room has a session
        del self.sessions[member.state.token_hash]

    def store(self, member: Member) -> None:
        """Store the session of a member in a room."""
        assert member.room is not None
        self._store(member, member.room)

    def _store(self, member: Member, room: Room, *, present: bool = True, ended: bool = False, why: str = "") -> None:
        assert member.state is not None  # a member in a room has a session
        room_key_id = self._room_keys.id_of(room.key)
        who = (member.name, member.color, room.name)
        self._delivery.enqueue(StoreSession(member.state, *who, present, ended, room_key_id, member.absent, why))
