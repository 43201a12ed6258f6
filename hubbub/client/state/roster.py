"""The members of the room, and the rooms, as far as the client knows them. Used to complete names."""

from dataclasses import dataclass

from hubbub.protocol import (
    NO_FLAGS,
    Acted,
    End,
    Event,
    Joined,
    Left,
    MemberRow,
    PrivateMessage,
    Renamed,
    RoomRow,
    Said,
    fold_name,
)

MEMBERS_MAX = 1_000  # names to complete; a user looks through far fewer
ROOMS_MAX = 10_000  # as many as a server admits clients; about 2 MB

SILENT = 0  # the time of a member who has not spoken


@dataclass(frozen=True, slots=True)
class Member:
    """The name and colour of a user."""

    name: str
    color: str


class Roster:
    """The members of one room, and the rooms. The caller holds the session's lock.

    The sender of a private message counts as a member until the user leaves the room.
    """

    def __init__(self) -> None:
        self._room = ""
        self._members: dict[str, Member] = {}
        self._spoke: dict[str, int] = {}  # milliseconds since 1970, of the same members
        self._rooms: dict[str, RoomRow] = {}
        self._listed: dict[str, RoomRow] = {}  # by an answer to `/list` that is not complete yet

    def enter(self, room: str) -> None:
        """Move to `room`, and forget the members of the one before."""
        if fold_name(room) != fold_name(self._room):
            self._members.clear()
            self._spoke.clear()
        self._room = room
        self._listed.clear()  # a lost connection may have cut off an answer
        self._add_own_room()

    def update(self, event: Event) -> None:
        """Note the members and rooms in `event`."""
        match event:
            case PrivateMessage():
                self._note_member(event.time, Member(event.name, event.color))
            case Said() | Acted() if self._is_here(event.room):
                self._note_member(event.time, Member(event.name, event.color))
            case Joined() | MemberRow() if self._is_here(event.room):
                self._note_member(SILENT, Member(event.name, event.color))
            case Left() if self._is_here(event.room):
                self._drop(fold_name(event.name))
            case Renamed() if self._is_here(event.room):
                self._note_member(self._drop(fold_name(event.old)), Member(event.new, event.color))
            case RoomRow():
                _add_room(self._rooms, event)
                _add_room(self._listed, event)
            case End("list"):
                self._rooms, self._listed = self._listed, {}
                self._add_own_room()

    def others(self, me: str) -> tuple[Member, ...]:
        """Return all members but `me`: the last speaker first, those who have not spoken last, by name."""
        keys = self._members.keys() - {fold_name(me)}
        return tuple(self._members[key] for key in sorted(keys, key=lambda key: (-self._spoke[key], key)))

    def rooms(self) -> tuple[RoomRow, ...]:
        """Return the rooms in the order in which the server lists them; with 0 people if their number is unknown."""
        return tuple(self._rooms.values())

    def _is_here(self, room: str) -> bool:
        return fold_name(room) == fold_name(self._room)

    def _note_member(self, time: int, member: Member) -> None:
        """Note a member who spoke at `time`; of too many, the one who has been silent for longest is dropped."""
        key = fold_name(member.name)
        self._members[key] = member
        self._spoke[key] = max(time, self._spoke.get(key, SILENT))  # past lines may come late
        if len(self._members) > MEMBERS_MAX:
            self._drop(min(self._spoke, key=self._spoke.__getitem__))

    def _drop(self, key: str) -> int:
        """Drop a member, and return when they last spoke."""
        self._members.pop(key, None)
        return self._spoke.pop(key, SILENT)

    def _add_own_room(self) -> None:
        if self._room and fold_name(self._room) not in self._rooms:
            _add_room(self._rooms, RoomRow(self._room, 0, NO_FLAGS))


def _add_room(rooms: dict[str, RoomRow], row: RoomRow) -> None:
    key = fold_name(row.room)
    if key in rooms or len(rooms) < ROOMS_MAX:
        rooms[key] = row
