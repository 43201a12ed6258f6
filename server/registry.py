"""The registry: who is called what, and who is where. One lock; each method is one step under it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from protocol import LOBBY, Event, Joined, Left, PersonRow, ProtocolError, Renamed, RoomRow, same_key
from server.delivery import Delivery, Depart, Enter, Entry, Show
from server.room import Member, Room

PRESENCE_PEOPLE = 200  # in a larger room nobody could read who came and went, so it is not sent


@dataclass(frozen=True, slots=True)
class Counts:
    """How many people and rooms there are."""

    people: int
    rooms: int


class Registry:
    """Names and rooms. Any thread may call any method; a member is moved and renamed by his own session's thread only.

    What a step means for those who receive is queued for the delivery thread within the step, so that all see it in
    the order in which it happened. Lock order: this lock, then the delivery's.
    """

    def __init__(
        self,
        delivery: Delivery,
        *,
        clock: Callable[[], float] = time.time,
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds since 1970, `uptime` seconds for idle times."""
        self._delivery = delivery
        self._clock = clock
        self._uptime = uptime
        self._lock = threading.Lock()  # guards the names, the rooms, their members, and a member's name, colour, room
        self._names: dict[str, Member] = {}
        self._rooms = {LOBBY: Room(LOBBY, LOBBY)}
        self._stopping = False

    @contextmanager
    def _step(self) -> Iterator[None]:
        with self._lock:
            yield
        self._delivery.wake()

    def stop(self) -> None:
        """Let nobody in any more, and let those who go do so silently. Idempotent."""
        with self._lock:
            self._stopping = True

    def take_name(self, member: Member, name: str, color: str) -> None:
        """Give `name` to a member who has none.

        Raises ProtocolError `name-taken` or `server-stopping`.
        """
        with self._lock:
            self._refuse_when_stopping()
            self._claim(member, name)
            member.name, member.color = name, color

    def rename(self, member: Member, name: str, color: str) -> None:
        """Change a member's name, or only its colour, and show it to his room. Raises ProtocolError `name-taken`."""
        with self._step():
            old = member.name
            if (name, color) == (old, member.color):
                return
            self._claim(member, name)
            if same_key(old) != same_key(name):
                del self._names[same_key(old)]
            member.name, member.color = name, color
            if member.room is not None:
                if same_key(old) != same_key(name):
                    del member.room.members[same_key(old)]
                    member.room.members[same_key(name)] = member
                self._show(member.room, Renamed(member.room.name, self._now(), old, color, name))

    def enter(self, member: Member, name: str) -> str:
        """Move a member to the room called `name`, made if it is not there. Return the room's name as it is shown.

        Raises ProtocolError `not-allowed` where he is there already, `server-stopping`.
        """
        with self._step():
            self._refuse_when_stopping()
            room = self._rooms.get(same_key(name)) or Room(name, same_key(name))
            if member.room is room:
                raise ProtocolError("not-allowed", f"you are in {room.name} already")
            self._remove(member, "leave")
            self._rooms[room.key] = room
            room.members[same_key(member.name)] = member
            member.room = room
            self._show_presence(room, Joined(room.name, self._now(), member.name, member.color))
            self._queue(Enter(member, room, len(room.members)))
            return room.name

    def leave(self, member: Member, why: str) -> None:
        """Take a member out of the chat and free his name, if he has one; `why` is one word. Idempotent."""
        with self._step():
            self._remove(member, why)
            if self._names.get(same_key(member.name)) is member:
                del self._names[same_key(member.name)]

    def find(self, name: str) -> Member:
        """Return the member called `name`. Raises ProtocolError `no-such-person`."""
        with self._lock:
            member = self._names.get(same_key(name))
        if member is None:
            raise ProtocolError("no-such-person", f"there is nobody called {name}; /who shows who is here")
        return member

    def rooms(self) -> list[RoomRow]:
        """Return every room that people are in, the lobby first, then by name."""
        with self._lock:
            rooms = sorted(self._rooms.values(), key=lambda room: (room.key != LOBBY, room.key))
            return [RoomRow(room.name, len(room.members), "-") for room in rooms]

    def people(self, name: str) -> list[PersonRow]:
        """Return the members of the room called `name`, by name. Raises ProtocolError `room-invalid`."""
        now = self._uptime()
        with self._lock:
            room = self._rooms.get(same_key(name))
            if room is None:
                raise ProtocolError("room-invalid", f"there is no room {name}; /list shows them")
            members = sorted(room.members.items())
            return [
                PersonRow(member.name, member.color, room.name, max(0, int(now - member.last_active)))
                for _, member in members
            ]

    def counts(self) -> Counts:
        """Return how many people have a name and how many rooms there are, the lobby among them."""
        with self._lock:
            return Counts(len(self._names), len(self._rooms))

    # ------------------------------------------------------------------------------------- the parts of a step

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _queue(self, entry: Entry) -> None:
        self._delivery.queue(entry)

    def _refuse_when_stopping(self) -> None:
        if self._stopping:
            raise ProtocolError("server-stopping", "the server is stopping; come back when it is up again")

    def _claim(self, member: Member, name: str) -> None:
        if self._names.setdefault(same_key(name), member) is not member:
            raise ProtocolError("name-taken", f"{name} is taken; choose another name")

    def _remove(self, member: Member, why: str) -> None:
        """Take a member out of his room; a private room goes with its last member."""
        room, member.room = member.room, None
        if room is None:
            return
        del room.members[same_key(member.name)]
        if not room.members and room.key != LOBBY:
            del self._rooms[room.key]
        self._queue(Depart(member))
        if not self._stopping:
            self._show_presence(room, Left(room.name, self._now(), member.name, member.color, why))

    def _show_presence(self, room: Room, event: Event) -> None:
        if len(room.members) <= PRESENCE_PEOPLE:
            self._show(room, event)

    def _show(self, room: Room, event: Event) -> None:
        self._queue(Show(room, event))
