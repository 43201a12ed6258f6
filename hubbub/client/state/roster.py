"""Who is in the room and which rooms there are, as far as the client has heard."""

from dataclasses import dataclass

from hubbub.protocol import NO_FLAGS, Acted, End, Event, Joined, Left, PersonRow, Renamed, RoomRow, Said, Told, same_key

PEOPLE_MAX = 1_000  # known at once: names to complete, for which a person looks through far fewer
ROOMS_MAX = 10_000  # known at once: as many as a server lets in people, about 2 MB

SILENT = 0  # the time of somebody who has not spoken


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody's name and the colour it is shown in."""

    name: str
    color: str


class Roster:
    """The people of one room, and the rooms; whoever shares it brings the lock.

    Who told us something alone counts among the people until we leave the room, wherever they are.
    """

    def __init__(self) -> None:
        self._room = ""
        self._people: dict[str, Member] = {}
        self._spoke: dict[str, int] = {}  # milliseconds since 1970, of the same people
        self._rooms: dict[str, RoomRow] = {}
        self._listed: dict[str, RoomRow] = {}  # of an answer to `/list` that is not complete

    def enter(self, room: str) -> None:
        """Be in `room`, which is known from now on, and forget the people of another one."""
        if same_key(room) != same_key(self._room):
            self._people.clear()
            self._spoke.clear()
        self._room = room
        self._listed.clear()  # a lost connection may have cut an answer off
        self._know_own_room()

    def update(self, event: Event) -> None:
        """Learn what `event` tells of people and rooms."""
        match event:
            case Told():
                self._spoke_at(event.time, Member(event.name, event.color))
            case Said() | Acted() if self._is_here(event.room):
                self._spoke_at(event.time, Member(event.name, event.color))
            case Joined() | PersonRow() if self._is_here(event.room):
                self._spoke_at(SILENT, Member(event.name, event.color))
            case Left() if self._is_here(event.room):
                self._forget(same_key(event.name))
            case Renamed() if self._is_here(event.room):
                self._spoke_at(self._forget(same_key(event.old)), Member(event.new, event.color))
            case RoomRow():
                _add_room(self._rooms, event)
                _add_room(self._listed, event)
            case End("list"):
                self._rooms, self._listed = self._listed, {}
                self._know_own_room()

    def others(self, me: str) -> tuple[Member, ...]:
        """Return everybody but `me`: who spoke last comes first, and who did not speak last, by name."""
        keys = self._people.keys() - {same_key(me)}
        return tuple(self._people[key] for key in sorted(keys, key=lambda key: (-self._spoke[key], key)))

    def rooms(self) -> tuple[RoomRow, ...]:
        """Return the rooms in the order in which the server told them; with 0 people where it did not tell how many."""
        return tuple(self._rooms.values())

    def _is_here(self, room: str) -> bool:
        return same_key(room) == same_key(self._room)

    def _spoke_at(self, time: int, person: Member) -> None:
        """Know `person`, who spoke at `time` for one; of too many people, the one who has been silent longest goes."""
        key = same_key(person.name)
        self._people[key] = person
        self._spoke[key] = max(time, self._spoke.get(key, SILENT))  # lines of the past come late
        if len(self._people) > PEOPLE_MAX:
            self._forget(min(self._spoke, key=self._spoke.__getitem__))

    def _forget(self, key: str) -> int:
        """Know nobody called `key`, and return when they last spoke."""
        self._people.pop(key, None)
        return self._spoke.pop(key, SILENT)

    def _know_own_room(self) -> None:
        if self._room and same_key(self._room) not in self._rooms:
            _add_room(self._rooms, RoomRow(self._room, 0, NO_FLAGS))


def _add_room(rooms: dict[str, RoomRow], row: RoomRow) -> None:
    key = same_key(row.room)
    if key in rooms or len(rooms) < ROOMS_MAX:
        rooms[key] = row
