"""The base of all commands: the client that a handler gets, its replies, and the registry of the handlers."""

from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import Any, TypeVar

from hubbub import protocol
from hubbub.protocol import Acted, Command, End, Error, Event, ProtocolError, Said
from hubbub.server.access.limits import CHANGE_BURST, CHANGE_COST, ROWS_PER_TOKEN, TokenBucket, enforce_rate_limit
from hubbub.server.context import ServerContext
from hubbub.server.delivery.actions import Post, Reply
from hubbub.server.network.admission import Admission
from hubbub.server.rooms.room import Member, Room

CHUNK_LINES = 100  # of a long reply; the next chunk is sent when the client has received this one


class SessionEndedError(Exception):
    """The session ends: `reason` is one word for the room, `farewell` the /bye for the client, empty for none."""

    def __init__(self, reason: str, farewell: str = "") -> None:
        super().__init__(reason, farewell)
        self.reason = reason
        self.farewell = farewell


class Client:
    """The client of a session, for the handlers of its commands. For the thread of its session only."""

    __slots__ = (
        "_posts",
        "address",
        "admission",
        "bucket",
        "context",
        "last_post",
        "member",
        "name_changes",
        "needs_password",
        "nonce",
        "room_changes",
    )

    def __init__(self, context: ServerContext, member: Member, address: str, admission: Admission) -> None:
        self.context = context
        self.member = member
        self.address = address
        self.admission = admission
        self.bucket = TokenBucket(context.limits.rate, context.limits.burst)  # for lines, and what they cost besides
        rooms, names = context.limits.room_changes_per_minute, context.limits.name_changes_per_minute
        self.room_changes = TokenBucket(rooms / 60, min(rooms, CHANGE_BURST))
        self.name_changes = TokenBucket(names / 60, min(names, CHANGE_BURST))
        self.needs_password = context.password is not None  # until the right /pass
        self.nonce = ""  # of the challenge that waits for a proof
        self.last_post = 0  # the highest number of a post on this connection
        self._posts: list[Post] = []  # not yet submitted to the delivery thread

    def reply(self, *events: Event) -> None:
        """Send events to this client alone."""
        self.bucket.charge(len(events) / ROWS_PER_TOKEN)
        self.context.delivery.submit(Reply(self.member, b"".join([event.encode() for event in events])))

    def reply_in_chunks(self, rows: Iterable[Event], end: End) -> None:
        """Send many rows and `end`, each chunk when the client has received the one before: only one is in memory."""
        events = chain(rows, [end])
        while len(chunk := list(islice(events, CHUNK_LINES))) == CHUNK_LINES:
            self.reply(*chunk)
            self.context.delivery.flush(self.member)
        self.reply(*chunk)

    def count_change(self, bucket: TokenBucket, limit: str) -> None:
        """Count a change of room or name, or raise ProtocolError `too-fast` with the text `limit`."""
        enforce_rate_limit(bucket, limit)
        self.context.change_limiter.enforce(self.address, "your address changes rooms and names too often")
        self.bucket.charge(CHANGE_COST)

    def add_post(self, kind: type[Said | Acted], texts: list[str], number: int = 0) -> None:
        """Add messages to the posts that `submit_posts` submits, all or none. With `number` it is one numbered post."""
        member, posts = self.member, self._posts
        protocol.check_text(max(texts, key=len))
        self.refuse_muted()
        room = self.room()
        if posts and posts[-1].is_continued_by(kind, number):
            posts[-1].texts += texts
        else:
            posts.append(Post(room, kind, member.name, member.color, texts, member if number else None, number))

    def refuse_muted(self) -> None:
        """Raise ProtocolError `not-allowed` if the member is muted.

        Text for others passes here: lines for the room in `add_post`, all other text of commands in `execute`. What
        else others read are names of members and rooms, for which `Membership` asks.
        """
        self.context.moderation.refuse_muted(self.member.name)

    def submit_posts(self) -> None:
        """Give the posts to the delivery thread. Waits while the room has many pending."""
        if self._posts:
            posts, self._posts = self._posts, []
            self.context.delivery.submit_posts(posts)

    def room(self) -> Room:
        """Return the room of a member with a name. Raises SessionEndedError if they resumed on another connection."""
        room = self.member.room
        if room is None:
            self.end_if_expelled()
            raise SessionEndedError("lost")
        return room

    def end_if_expelled(self) -> None:
        """Raise SessionEndedError, after the error for the client, if the member was kicked or banned."""
        if farewell := self.member.farewell:
            self.reply(Error("kicked", farewell))
            raise SessionEndedError("kicked", farewell)

    def record_name_use(self) -> None:
        """Record that the owner of the name uses it. Call it without a lock: it may write to the journal."""
        self.context.ownership.record_use(self.member.name, self.member.verifier)
        self.context.ownership.store_changes()

    def refuse_if_named(self, text: str) -> None:
        """Raise ProtocolError `not-allowed` with `text` if the client has signed in."""
        if self.member.name:
            raise ProtocolError("not-allowed", text)


HANDLERS: dict[type[Command], Callable[[Client, Any], None]] = {}  # by the command's type; `handles` fills it

C = TypeVar("C", bound=Command)


def handles(kind: type[C]) -> Callable[[Callable[[Client, C], None]], Callable[[Client, C], None]]:
    """Register the decorated function as the handler of the command `kind`."""

    def register(handler: Callable[[Client, C], None]) -> Callable[[Client, C], None]:
        HANDLERS[kind] = handler
        return handler

    return register
