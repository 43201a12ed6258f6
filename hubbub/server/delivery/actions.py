"""What the delivery thread carries out: everything that a client is to see, or the journal to keep, is an entry."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from hubbub.protocol import NO_FLAGS, Acted, Event, Said
from hubbub.server.journal.journal import Page
from hubbub.server.rooms.room import Backlog, Member, Room, RoomLog, SessionState

RUN_LINES = 1_000  # of one run, about: 230 KB with what stands before each text


@dataclass(slots=True)
class Post:
    """A run: what somebody says in a room in one go. As numbered posts the first is the member's `number`-th."""

    room: Room
    kind: type[Said | Acted]
    name: str
    color: str
    texts: list[str]  # the delivery thread takes those out that are kept already
    member: Member | None = None  # whose numbered posts they are
    number: int = 0
    log: RoomLog | None = None  # found by the delivery thread
    page: Page | None = None  # made by the sequencer; None where no text is left

    def is_continued_by(self, kind: type[Said | Acted], number: int) -> bool:
        """Return whether what its author says next, as numbered post `number` or as none, belongs to this run."""
        follows = self.number + len(self.texts) if self.number else 0
        return kind is self.kind and number == follows and len(self.texts) < RUN_LINES


@dataclass(slots=True)
class RefusePost:
    """`member`'s post `number` is not said, and why; one that is kept already is acknowledged instead."""

    member: Member
    number: int
    code: str
    text: str
    stands: bool = True


@dataclass(slots=True)
class StoreSession:
    """Where `state` stands now; without `ended` it may be resumed from there."""

    state: SessionState
    name: str
    color: str
    room: str
    present: bool = True
    ended: bool = False
    lock: str = ""  # the id of the room's, behind which he is
    away: bool = False
    why: str = ""  # he left


@dataclass(slots=True)
class SendWelcome:
    """`/welcome` for `member`, with the number of his last post that is kept."""

    member: Member
    name: str
    color: str
    token: str


@dataclass(slots=True)
class Broadcast:
    """A line for everybody in a room that is not kept: who came, went or has a new name."""

    room: Room
    event: Event


@dataclass(slots=True)
class Subscribe:
    """`member` receives `room` from here on, after `/entered` and the last lines before it, or those after a SEQ."""

    member: Member
    room: Room
    people: int
    after: int | None = None
    flags: str = NO_FLAGS


@dataclass(slots=True)
class Unsubscribe:
    """`member` receives no room any more."""

    member: Member


@dataclass(slots=True)
class ForgetHistory:
    """What was said in a room is no longer kept, and so held nowhere; nobody is in it."""

    room: str  # its key


@dataclass(slots=True)
class Reply:
    """Lines for `member` alone; `at_once` they overtake all that waits for him."""

    member: Member
    data: bytes
    at_once: bool = False


@dataclass(slots=True)
class DeliverPrivately:
    """A private message, for `sender` and `to`; if `to` has too much to read already, `refusal` is for `sender`.

    With `answer`, that is called with what is for the sender, who is at another server; it never waits.
    """

    sender: Member
    to: Member
    data: bytes
    refusal: bytes
    answer: Callable[[bytes], None] | None = None


@dataclass(slots=True)
class FlushMarker:
    """Set `event` when all that was queued for `member` before is carried out and his answers are sent."""

    member: Member
    event: threading.Event


@dataclass(slots=True)
class Finish:
    """`member` gets what is left, then `data`, and then the end of the stream."""

    member: Member
    data: bytes


@dataclass(slots=True)
class CloseSubscriber:
    """`member`'s session has read its last: send what is left, within CLOSING_SECONDS, and close."""

    member: Member


@dataclass(slots=True)
class BacklogRead:
    """The next lines of `past`, read from the journal, up to SEQ `after`; None where they could not be read."""

    member: Member
    past: Backlog
    data: bytes | None
    after: int


@dataclass(slots=True)
class Publish:
    """What was said in a room, by somebody here or at another server of the same chat: the next page of its log."""

    page: Page


Action = (
    Post
    | RefusePost
    | StoreSession
    | SendWelcome
    | Broadcast
    | Subscribe
    | Unsubscribe
    | ForgetHistory
    | Reply
    | DeliverPrivately
    | FlushMarker
    | Finish
    | CloseSubscriber
    | BacklogRead
    | Publish
)
