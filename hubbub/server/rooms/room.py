"""A room is a log, and a member is a place in it."""

from dataclasses import dataclass, field

from hubbub.protocol import LOBBY
from hubbub.server.delivery.room_log import Subscriber
from hubbub.server.delivery.transport import Transport


@dataclass(eq=False, slots=True)
class Room:
    """A room as the membership knows it; the membership's lock guards `members`."""

    name: str
    key: str
    maker: bytes = b""  # the token hash of who made it; empty where that is not known, or nobody did
    members: dict[str, "Member"] = field(default_factory=dict)


@dataclass(eq=False, slots=True, weakref_slot=True)
class SessionState:
    """What outlives a connection: who one is, where, and which posts are kept.

    Written by the delivery thread, as what is kept; and by the membership where another server, or the journal,
    knows it better: then its owner is not served here, so that nothing of him comes to the delivery thread.
    """

    token_hash: bytes
    name: str = ""
    color: str = ""
    room: str = LOBBY
    accepted: int = 0  # the highest N of a post that was taken
    present: bool = True  # nobody has seen him leave
    ended: bool = False  # its owner left for good
    room_key_id: str = ""  # of the key that the room has; empty where it has none
    verifier: str = ""  # whom he proved to be; not kept, and written by the membership
    absent: bool = False  # the connection is lost, and the place is held
    why: str = ""  # the member left


@dataclass(eq=False, slots=True)
class Member:
    """One client and their subscriber. What stands above `verifier` changes under the membership's lock."""

    transport: Transport
    name: str = ""
    color: str = ""
    room: Room | None = None
    state: SessionState | None = None
    absent: bool = False  # the connection is lost, and the place is held
    farewell: str = ""  # what he is told who was made to leave; his session ends as soon as it sees it
    verifier: str = ""  # whom he proved to be; written by his own session's thread before he has a name
    last_active: float = 0.0  # seconds of the monotonic clock; written by whichever thread hears him say something
    subscriber: Subscriber = field(init=False)  # belongs to the delivery thread

    def __post_init__(self) -> None:
        self.subscriber = Subscriber(self.transport)
