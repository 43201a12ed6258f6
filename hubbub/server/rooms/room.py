"""Rooms, members and session states: the records of the directory."""

from dataclasses import dataclass, field

from hubbub.protocol import LOBBY
from hubbub.server.delivery.room_log import Subscriber
from hubbub.server.delivery.transport import Transport


@dataclass(eq=False, slots=True)
class Room:
    """An open room. The directory's lock guards `members`."""

    name: str
    key: str  # `fold_name` of the name
    maker: bytes = b""  # the token hash of the member who made it; empty if that is not known
    members: dict[str, "Member"] = field(default_factory=dict)  # by `fold_name` of their names


@dataclass(eq=False, slots=True, weakref_slot=True)
class SessionState:
    """The part of a member that outlives a connection: name, room, and the number of the last stored post.

    The delivery thread writes it when it is stored. If another server serves the session, it is written under the
    directory's lock.
    """

    token_hash: bytes
    name: str = ""
    color: str = ""
    room: str = LOBBY
    accepted: int = 0  # the highest N of a post that was accepted
    present: bool = True  # the member has not left
    ended: bool = False  # the member has left for good
    room_key_id: str = ""  # of a locked room
    verifier: str = ""  # what the member has proven; written under the directory's lock
    absent: bool = False  # the connection is lost, and the place is held
    why: str = ""  # the member left: one word


@dataclass(eq=False, slots=True)
class Member:
    """A client with its name, room and subscriber. The directory's lock guards `name` to `farewell`."""

    transport: Transport
    name: str = ""
    color: str = ""
    room: Room | None = None
    state: SessionState | None = None
    absent: bool = False  # the connection is lost, and the place is held
    farewell: str = ""  # why the member was expelled; the session ends as soon as it reads this
    verifier: str = ""  # what the member has proven; written by the session's thread before they have a name
    subnet: str = ""  # of the client's address; empty if it is exempt from limits by address
    last_active: float = 0.0  # seconds of the monotonic clock; written by the thread that reads the client's lines
    subscriber: Subscriber = field(init=False)  # belongs to the delivery thread

    def __post_init__(self) -> None:
        self.subscriber = Subscriber(self.transport)
