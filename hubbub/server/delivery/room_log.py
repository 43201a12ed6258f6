"""The log of a room, and its subscribers with their positions in it. Only the delivery thread may use this module."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from hubbub.protocol import Gap
from hubbub.server.delivery.tail import Tail
from hubbub.server.delivery.transport import Transport
from hubbub.server.journal.journal import Page


@dataclass(eq=False, slots=True)
class Backlog:
    """Lines for a subscriber before its position in a log: `head`, those with after < SEQ <= upto, and `end`.

    Its numbered lines are not held: they are read a chunk at a time, as the socket takes them. Those of a `stored` one,
    a reply to /history, come from the journal alone; if that cannot be read, an error takes their place.
    """

    head: bytes
    log: "RoomLog | None" = None
    after: int = 0
    upto: int = 0
    end: bytes = b""
    stored: bool = False


@dataclass(eq=False, slots=True)
class Subscriber:
    """The receiving side of a client: its transport, its position in the log of a room, and its unsent bytes.

    They are sent in this order: `sending`, `outbox`, `backlogs`, and the log of its room from its position on.
    """

    transport: Transport
    send: Callable[[bytes], int] = field(init=False)  # the transport's
    log: "RoomLog | None" = None  # of the room that it receives
    offset: int = 0  # in the log, of the next line for it; counts only while it lags
    seq: int = 0  # of the last line that it has; counts only while it lags
    sending: bytes = b""  # bytes of which the socket took a part; they end where a line ends
    outbox: list[bytes] = field(default_factory=list)  # replies
    backlogs: list[Backlog] = field(default_factory=list)
    flush_events: list[Event] = field(default_factory=list)  # to set when all before the log is sent
    progress_at: float = 0.0  # seconds of the monotonic clock, when the socket last took bytes; counts while it lags
    finishing: bool = False  # nothing new comes; end writing when all is sent
    closing: bool = False  # close when all is sent
    closed: bool = False

    def __post_init__(self) -> None:
        self.send = self.transport.send

    @property
    def is_unreachable(self) -> bool:
        """Whether nothing can be sent any more."""
        return self.closed or self.transport.broken

    @property
    def unread_bytes(self) -> int:
        """The size of the replies that wait."""
        return sum(map(len, self.outbox)) + sum(len(backlog.head) for backlog in self.backlogs)

    @property
    def has_all(self) -> bool:
        """Whether nothing is left to send, except what the next flush sends."""
        if self.sending or self.outbox or self.backlogs or self.transport.broken:
            return False
        return self.log is None or self in self.log.live or self.offset == self.log.tail.end

    def set_flush_events(self) -> None:
        """Set the `flush_events` if everything before the log is sent."""
        if not (self.sending or self.outbox or self.backlogs):
            for event in self.flush_events:
                event.set()
            self.flush_events = []

    def drop_unsent(self) -> None:
        """Drop everything that is still to be sent."""
        self.sending, self.outbox, self.backlogs = b"", [], []
        if self.log is not None:
            self.log.remove(self)

    def close(self) -> None:
        """Close the transport. Idempotent."""
        if not self.closed:
            self.closed = True
            self.transport.close()


class RoomLog:
    """The log of a room, and its subscribers.

    A subscriber is *live* while it has everything that was sent to the room: each flush sends it the unflushed lines
    with one send. Otherwise it *lags*: its socket is full, and it stays at its position.
    """

    __slots__ = (
        "_expected_seq",
        "_held",
        "caught_up",
        "flushed_at",
        "key",
        "lagging",
        "live",
        "name",
        "tail",
        "unflushed",
    )

    def __init__(self, key: str, name: str, seq: int) -> None:
        self.key = key
        self.name = name
        self.tail = Tail(seq)
        self.unflushed: list[bytes] = []  # in the tail, but not sent to live subscribers yet
        self.flushed_at = 0.0  # seconds of the monotonic clock, when the last flush began
        self.live: dict[Subscriber, Callable[[bytes], int]] = {}  # with the `send` of each
        self.lagging: set[Subscriber] = set()
        self.caught_up: set[Subscriber] = set()  # they lag, but have the unflushed lines: live after the next flush
        self._expected_seq = seq
        self._held: deque[tuple[int, bytes]] = deque()  # lines without a SEQ, each with the SEQ after which it is sent

    @property
    def unflushed_bytes(self) -> int:
        """The size of the next flush."""
        return sum(map(len, self.unflushed))

    @property
    def has_subscribers(self) -> bool:
        """Whether the room has any subscriber."""
        return bool(self.live or self.lagging)

    @property
    def stored_seq(self) -> int:
        """The SEQ of the last line that is known to be stored, published or not."""
        return max(self._expected_seq, self.tail.seq)

    def expect(self, seq: int) -> None:
        """Note that the lines up to a SEQ are stored, and will be published."""
        self._expected_seq = max(self._expected_seq, seq)

    def publish(self, page: Page) -> None:
        """Append stored lines, and a `/gap` before them where lines are missing. Lines that it has are ignored."""
        if page.last <= self.tail.seq:
            return
        if page.first != self.tail.seq + 1:
            self.append(Gap(self.name, self.tail.seq + 1, page.first - 1).encode())
            self.tail.skip_to(page.first - 1)
        self.append(page.data, page.last - page.first + 1)
        while self._held and self._held[0][0] <= page.last:
            self.append(self._held.popleft()[1])

    def broadcast(self, data: bytes) -> None:
        """Append lines without a SEQ, after all lines that are stored now."""
        if self.stored_seq > self.tail.seq:
            self._held.append((self.stored_seq, data))
        else:
            self.append(data)

    def append(self, data: bytes, numbered: int = 0) -> None:
        """Append lines; `numbered` of them have a SEQ: all or none. The next flush sends them."""
        self.unflushed.append(data)
        self.tail.append(data, numbered)

    def mark_lagging(self, subscriber: Subscriber, missing: int) -> None:
        """Mark a subscriber as lagging: the last `missing` bytes of the log are not sent to it yet."""
        self.live.pop(subscriber, None)
        self.lagging.add(subscriber)
        subscriber.log = self
        subscriber.offset = self.tail.end - missing
        subscriber.seq = self.tail.seq_at(subscriber.offset)

    def mark_live(self, subscriber: Subscriber) -> None:
        """Mark a subscriber that has the whole log as live, at once or at the next flush."""
        if subscriber not in self.lagging:
            return
        if self.unflushed:
            self.caught_up.add(subscriber)
        else:
            self.lagging.discard(subscriber)
            self.live[subscriber] = subscriber.send

    def seq_of(self, subscriber: Subscriber) -> int:
        """Return the SEQ of the last line that a subscriber has."""
        return subscriber.seq if subscriber in self.lagging else self.tail.seq

    def remove(self, subscriber: Subscriber) -> None:
        """Remove a subscriber."""
        self.live.pop(subscriber, None)
        self.lagging.discard(subscriber)
        subscriber.log = None
