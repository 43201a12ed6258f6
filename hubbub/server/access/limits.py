"""What one client, one address and everybody together may do: every limit with its unit and its reason."""

import math
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from threading import Lock

from hubbub.protocol import ProtocolError
from hubbub.tls import HANDSHAKE_SECONDS

MAX_CLIENTS = 10_000  # connections in all; 10,000 threads take some 200 MB
MAX_CLIENTS_PER_ADDRESS = 64  # connections; a class or an office behind one router still fits
CONNECTIONS_PER_SECOND = (
    10.0  # from one address, after MAX_CLIENTS_PER_ADDRESS in one go: all of them may come back at once
)
MAX_UNNAMED = 256  # connections that have not said who they are: far more than choose a name at the same time
SIGN_IN_SECONDS = 30.0  # to name oneself; a connection that says nothing is nobody's
SIGN_IN_BYTES = 8_192  # to name oneself; a name takes a hundred
RATE = 10.0  # lines a second; nobody types faster, and a paste only waits
BURST = 50  # lines in one go
CHARS_PER_LINE = 200  # that count as one line: what is long is read, and sent to everybody, as so many
PING_SECONDS = 45.0  # of silence, then the server asks whether anybody is there
IDLE_TIMEOUT_SECONDS = 120.0  # of silence, then nobody is
GRACE_SECONDS = 60.0  # that a lost connection keeps its name: a laptop that changes its network takes less
MAX_ROOMS = 10_000  # at a time; more than anybody reads in /list, and a /list of all is 0.5 MB
MAX_ROOMS_PER_MEMBER = 50  # at a time, made by one member: a teacher makes one for each group of a course
ROOM_CHANGES_PER_MINUTE = 60  # a minute: each is two lines for everybody in two rooms
NAME_CHANGES_PER_MINUTE = 20  # a minute, of name or colour: each is a line for everybody in the room
CHANGE_BURST = 10  # of either: nobody looks for a room faster, and twenty people with a minute's worth hold up all
LOG_THROTTLE_SECONDS = 60.0  # in which refusals of one kind are one line of the log
MAX_LOG_KINDS = 1_000  # of refusals that are told apart in that time


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may do: connections, lines, rooms, bytes and seconds."""

    max_clients: int = MAX_CLIENTS
    max_clients_per_address: int = MAX_CLIENTS_PER_ADDRESS
    connections_per_second: float = CONNECTIONS_PER_SECOND  # from one address; 0 is no limit
    loopback_exempt: bool = True  # this machine's own programs are not limited by their address
    max_unnamed: int = MAX_UNNAMED
    handshake_seconds: float = HANDSHAKE_SECONDS
    sign_in_seconds: float = SIGN_IN_SECONDS
    sign_in_bytes: int = SIGN_IN_BYTES
    rate: float = RATE  # lines a second before he is slowed down; 0 is no limit
    burst: int = BURST  # lines in one go before that
    ping_seconds: float = PING_SECONDS
    idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS
    grace_seconds: float = GRACE_SECONDS  # that a lost connection keeps its name
    max_rooms: int = MAX_ROOMS
    max_rooms_per_member: int = MAX_ROOMS_PER_MEMBER
    room_changes_per_minute: int = ROOM_CHANGES_PER_MINUTE  # a minute; 0 is no limit
    name_changes_per_minute: int = NAME_CHANGES_PER_MINUTE  # a minute; 0 is no limit


class TokenBucket:
    """A token bucket: `burst` tokens in one go, then `rate` a second; a rate of 0 is no limit. For one thread."""

    __slots__ = ("_burst", "_clock", "_rate", "_tokens", "_when")

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._when = clock()

    def consume_up_to(self, count: int, costs: Iterable[int]) -> tuple[int, float]:
        """Pay for as many of `count` things as can be paid, but at least for the first, and be it in advance.

        `costs` says what each costs in tokens. Return for how many was paid, and how many seconds to wait before.
        """
        if not self._rate:
            return count, 0.0
        self._fill()
        paid = 0
        for cost in costs:
            if paid and cost > self._tokens:
                break
            self._tokens -= cost
            paid += 1
        return paid, max(0.0, -self._tokens / self._rate)

    def try_consume(self) -> float:
        """Take one token and return 0; where there is none, take none and return in how many seconds there is one."""
        if not self._rate:
            return 0.0
        self._fill()
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0

    @property
    def is_full(self) -> bool:
        """Whether nothing was taken for so long that it is as good as new."""
        self._fill()
        return self._tokens >= self._burst

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._when) * self._rate)
        self._when = now


def line_cost(line: str) -> int:
    """Return as how many lines a line counts against the rate."""
    return 1 + len(line) // CHARS_PER_LINE


def enforce_rate_limit(bucket: TokenBucket, limit: str) -> None:
    """Take a token, or raise ProtocolError `too-fast`, naming the `limit` and how long to wait."""
    if seconds := bucket.try_consume():
        raise ProtocolError("too-fast", f"{limit}; try again in {math.ceil(seconds)} s")


class LogThrottle:
    """Tells what is worth a line in the log, so that nobody can fill it: of each kind one every LOG_THROTTLE_SECONDS.

    Any thread may call it. What is beyond MAX_LOG_KINDS kinds in that time is one kind.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()  # guards the table
        self._seen: dict[Hashable, tuple[float, int]] = {}  # since when, and how many were passed over since

    def allow(self, kind: Hashable) -> str | None:
        """Return what to add to the line, maybe nothing; None if this is one too many to be logged."""
        now = self._clock()
        with self._lock:
            if kind not in self._seen and len(self._seen) >= MAX_LOG_KINDS:
                self._forget(now - LOG_THROTTLE_SECONDS)
                kind = kind if len(self._seen) < MAX_LOG_KINDS else None
            since, more = self._seen.get(kind, (-math.inf, 0))
            if now - since < LOG_THROTTLE_SECONDS:
                self._seen[kind] = (since, more + 1)
                return None
            self._seen[kind] = (now, 0)
        return f" ({more} more like it before)" if more else ""

    def _forget(self, before: float) -> None:
        self._seen = {kind: entry for kind, entry in self._seen.items() if entry[0] > before}
