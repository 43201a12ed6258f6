"""The actions of the delivery thread: one for everything that it sends to a client or stores in the journal."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from hubbub.protocol import NO_FLAGS, Acted, Event, Said
from hubbub.server.delivery.room_log import Backlog, RoomLog, Subscriber
from hubbub.server.journal.journal import Page
from hubbub.server.rooms.room import Member, Room, SessionState

RUN_LINES = 1_000  # of one post: some 230 KB, encoded


@dataclass(slots=True)
class Post:
    """Post a run: consecutive lines of one sender in a room. With `member` the lines are numbered from `number` on."""

    room: Room
    kind: type[Said | Acted]
    name: str
    color: str
    texts: list[str]  # the delivery thread removes those that are stored already
    member: Member | None = None  # of numbered posts
    number: int = 0
    log: RoomLog | None = None  # set by the delivery thread
    page: Page | None = None  # set by the sequencer, if it can be published at once

    def is_continued_by(self, kind: type[Said | Acted], number: int) -> bool:
        """Return whether the sender's next line belongs to this run; `number` is 0 for a line that is not numbered."""
        follows = self.number + len(self.texts) if self.number else 0
        return kind is self.kind and number == follows and len(self.texts) < RUN_LINES


@dataclass(slots=True)
class RefusePost:
    """Refuse post `number` of `member`; one that is stored already is acknowledged instead."""

    member: Member
    number: int
    code: str
    text: str
    is_known: bool = False  # set by the delivery thread: the post is stored already


@dataclass(slots=True)
class StoreSession:
    """Store a session as it is now; an `ended` one cannot be resumed."""

    state: SessionState
    name: str
    color: str
    room: str
    present: bool = True
    ended: bool = False
    room_key_id: str = ""  # of a locked room
    absent: bool = False
    why: str = ""  # the member left: one word


@dataclass(slots=True)
class SendWelcome:
    """Send `/welcome` to `member`, with the number of their last post that is stored."""

    member: Member
    name: str
    color: str
    token: str
    is_sent: bool = False  # set by the delivery thread


@dataclass(slots=True)
class Broadcast:
    """Send all subscribers of a room an event that is not stored: who joined, left or was renamed."""

    room: Room
    event: Event


@dataclass(slots=True)
class Subscribe:
    """Send `member` `/entered`, the last lines of a room or all after SEQ `after`, and then its new lines."""

    member: Member
    room: Room
    member_count: int
    after: int | None = None
    flags: str = NO_FLAGS


@dataclass(slots=True)
class Unsubscribe:
    """Stop sending a room to `member`."""

    member: Member


@dataclass(slots=True)
class ForgetHistory:
    """Drop the lines of an empty room from memory, because they are not stored any more."""

    room: str  # its key


@dataclass(slots=True)
class Reply:
    """Send lines to `member` alone; with `at_once`, before everything that waits for them."""

    member: Member
    data: bytes
    at_once: bool = False


@dataclass(slots=True)
class SendHistory:
    """Send `member` the last `count` stored lines of a room, those before SEQ `before` if that is not 0."""

    member: Member
    room: Room
    count: int
    before: int


@dataclass(slots=True)
class DeliverPrivately:
    """Send a private message to `sender` and `recipient`, or `refusal` to `sender` if `recipient` has too much unread.

    If the sender is at another server, `send_result` is called with the bytes for them; it never waits.
    """

    sender: Member
    recipient: Member
    data: bytes
    refusal: bytes
    send_result: Callable[[bytes], None] | None = None


@dataclass(slots=True)
class FlushMarker:
    """Set `event` when all actions before this one are carried out and the replies to `member` are sent."""

    member: Member
    event: threading.Event


@dataclass(slots=True)
class Finish:
    """Send `member` what is left, then `data`, and then the end of the stream."""

    member: Member
    data: bytes


@dataclass(slots=True)
class CloseSubscriber:
    """Send `member` what is left, within CLOSING_SECONDS, and close. Their session has stopped reading."""

    member: Member


@dataclass(slots=True)
class BacklogRead:
    """Send the next lines of `backlog`, read from the journal, up to SEQ `after`; None if they could not be read."""

    subscriber: Subscriber
    backlog: Backlog
    data: bytes | None
    after: int


@dataclass(slots=True)
class Publish:
    """Send all subscribers of a room a page that is stored: the next lines of its log, or lines after a gap."""

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
    | SendHistory
    | DeliverPrivately
    | FlushMarker
    | Finish
    | CloseSubscriber
    | BacklogRead
    | Publish
)
