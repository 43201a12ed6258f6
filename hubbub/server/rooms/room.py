"""A room is a log, and a member is a place in it."""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from threading import Event
from typing import NamedTuple, Protocol

from hubbub.protocol import LOBBY
from hubbub.server.journal.journal import cut_lines

TAIL_PAGES = 2_000  # of a room's log, in memory; each has a line at least
TAIL_BYTES = 1_048_576  # of a room's log, in memory


class Transport(Protocol):
    """Where a member's bytes go: a `server.transport.Channel`, or a list in a test."""

    broken: bool

    def send(self, data: bytes) -> int:
        """Return how many bytes were taken at once."""

    def fileno(self) -> int:
        """Return a descriptor for a selector."""

    def end_reading(self) -> None:
        """Wake the one who reads: it is over."""

    def end_writing(self) -> None:
        """Say that nothing more comes."""

    def close(self) -> None:
        """Give everything back."""


class NullTransport:
    """The transport of one who is not connected."""

    broken = True

    def send(self, data: bytes) -> int:  # noqa: ARG002  # what an transport is called with
        """Take nothing."""
        return 0

    def fileno(self) -> int:
        """Have no descriptor."""
        return -1

    def end_reading(self) -> None:
        """Do nothing: nobody reads."""

    def end_writing(self) -> None:
        """Do nothing: nothing is written."""

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""


@dataclass(eq=False, slots=True)
class Room:
    """A room as the membership knows it; the membership's lock guards `members`."""

    name: str
    key: str
    maker: bytes = b""  # the token hash of who made it; empty where that is not known, or nobody did
    members: dict[str, "Member"] = field(default_factory=dict)


class TailPage(NamedTuple):
    """Lines as they were sent together: either each has a SEQ, or none has one since they are not kept."""

    data: bytes
    end: int  # the place behind them
    last: int  # the room's last SEQ with them
    kept: int  # how many of them have a SEQ: all or none


_END, _LAST = attrgetter("end"), attrgetter("last")


class Tail:
    """The end of a room's log. A place in it is a number of bytes since the log was opened, where a line begins."""

    __slots__ = ("_hole", "_numbered", "end", "floor", "pages", "seq", "start")

    def __init__(self, seq: int) -> None:
        self.pages: list[TailPage] = []  # a list, so that a place is found by bisection
        self._numbered: list[TailPage] = []  # those with SEQs: between two of them a thousand may have come and gone
        self.start = 0  # the place of the oldest line here
        self.end = 0  # the place of the next line
        self.seq = seq  # of the last line
        self.floor = seq  # the lines up to this SEQ are no longer here
        self._hole = seq  # some lines up to this SEQ never were

    def append(self, data: bytes, kept: int) -> None:
        """Add lines, of which as many are `kept`, each with the next SEQ."""
        self.seq += kept
        self.end += len(data)
        page = TailPage(data, self.end, self.seq, kept)
        self.pages.append(page)
        if kept:
            self._numbered.append(page)

    def skip_to(self, seq: int) -> None:
        """Go on after a SEQ: what is missing before it never comes here."""
        self.seq = self._hole = seq

    def holds(self, after: int) -> bool:
        """Return whether the next line after a SEQ, and all that follow it, are here."""
        return max(self.floor, self._hole) <= after < self.seq

    def trim(self) -> None:
        """Forget the oldest lines beyond the limits."""
        dropped = max(0, len(self.pages) - TAIL_PAGES)
        if self.end - self.start > TAIL_BYTES:
            dropped = max(dropped, 1 + bisect_left(self.pages, self.end - TAIL_BYTES, key=_END))
        if dropped:
            self.start, self.floor = self.pages[dropped - 1].end, self.pages[dropped - 1].last
            del self.pages[:dropped]
            del self._numbered[: bisect_right(self._numbered, self.floor, key=_LAST)]

    def forget(self) -> None:
        """Drop every line."""
        self.pages.clear()
        self._numbered.clear()
        self.start, self.floor = self.end, self.seq

    def read(self, place: int, size: int) -> bytes:
        """Return the lines from `place` on, whole pages of them until there are `size` bytes."""
        pieces: list[bytes] = []
        for page in islice(self.pages, bisect_right(self.pages, place, key=_END), None):
            pieces.append(page.data[place - page.end :])
            size -= page.end - place
            place = page.end
            if size <= 0:
                break
        return b"".join(pieces)

    def seq_at(self, place: int) -> int:
        """Return the last SEQ before `place`."""
        index = bisect_right(self.pages, place, key=_END)
        seq = self.pages[index - 1].last if index else self.floor
        if index == len(self.pages) or not (page := self.pages[index]).kept:
            return seq
        return seq + page.data.count(b"\n", 0, place - page.end + len(page.data))

    def kept(self, after: int, upto: int, size: int) -> tuple[bytes, int]:
        """Return the kept lines with after < SEQ <= upto until there are `size` bytes, and the SEQ of the last of them.

        `holds` must be true of `after`, and `upto` not above the last SEQ.
        """
        pieces: list[bytes] = []
        for page in islice(self._numbered, bisect_right(self._numbered, after, key=_LAST), None):
            if after >= upto or size <= 0:
                break
            pieces.append(cut_lines(page.data, page.last - page.kept + 1, page.last, after, upto))
            size -= len(pieces[-1])
            after = min(page.last, upto)
        return b"".join(pieces), after


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
    lock: str = ""  # the id of the room's, behind which he is; empty where it has none
    verifier: str = ""  # whom he proved to be; not kept, and written by the membership
    away: bool = False  # his connection is lost, and his place is held
    why: str = ""  # he left


@dataclass(eq=False, slots=True)
class Backlog:
    """What a member is still to get before his place: first `head`, then after < SEQ <= upto of a room."""

    head: bytes
    log: "RoomLog | None" = None
    after: int = 0
    upto: int = 0


@dataclass(eq=False, slots=True)
class Member:
    """One client: who he is, and what he has received.

    What stands above `verifier` changes under the membership's lock; what stands below `send` belongs to the delivery
    thread.
    """

    transport: Transport
    name: str = ""
    color: str = ""
    room: Room | None = None
    state: SessionState | None = None
    away: bool = False  # his connection is lost, and his name is held for him
    elsewhere: str = ""  # the other server of the chat that serves him, or holds his name
    farewell: str = ""  # what he is told who was made to leave; his session ends as soon as it sees it
    verifier: str = ""  # whom he proved to be; written by his own session's thread before he has a name
    last_active: float = 0.0  # seconds of the monotonic clock; written by whichever thread hears him say something

    send: Callable[[bytes], int] = field(init=False)
    log: "RoomLog | None" = None  # of the room he receives
    place: int = 0  # where the next line for him begins; counts only while he is behind
    seq: int = 0  # of the last line that he has; counts only while he is behind
    sending: bytes = b""  # what his socket has not taken yet of a chunk; it ends with a line
    outbox: list[bytes] = field(default_factory=list)  # his answers; they go next
    past: list[Backlog] = field(default_factory=list)  # goes out before the log
    marks: list[Event] = field(default_factory=list)  # to set when all above is sent
    progress: float = 0.0  # seconds of the monotonic clock when he last took something; counts only while he is behind
    finishing: bool = False  # nothing new comes; end writing when all is sent
    closing: bool = False  # close when all is sent
    closed: bool = False

    def __post_init__(self) -> None:
        self.send = self.transport.send


class RoomLog:
    """A room as the delivery thread knows it: the log, and who receives it."""

    __slots__ = ("ahead", "batch", "behind", "in_step", "kept", "key", "later", "name", "number", "sent_at", "tail")

    def __init__(self, key: str, name: str, last: int) -> None:
        self.key = key
        self.name = name
        self.number = last  # the last SEQ given away
        self.kept = last  # the last SEQ that is known to be kept; where others give them away, it may not be here yet
        self.later: deque[tuple[int, bytes]] = deque()  # what is to be shown when the line with a SEQ has come
        self.tail = Tail(last)
        self.batch: list[bytes] = []  # in the tail, but not yet sent to those in step
        self.sent_at = 0.0  # seconds of the monotonic clock, when the last batch began to be sent
        self.in_step: dict[Member, Callable[[bytes], int]] = {}  # whose place is the end, less the batch
        self.behind: set[Member] = set()
        self.ahead: set[Member] = set()  # of those behind, who have the batch already; in step when it is sent

    @property
    def unsent(self) -> int:
        """How many bytes the batch has."""
        return sum(map(len, self.batch))
