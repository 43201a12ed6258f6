"""Limits for a client, an address and the whole server, each with its unit and reason; rate limiting."""

import math
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from threading import Lock

from hubbub.protocol import ProtocolError
from hubbub.tls import HANDSHAKE_SECONDS

MAX_CLIENTS = 10_000  # open connections; 10,000 threads take some 200 MB
MAX_CLIENTS_PER_ADDRESS = 64  # open connections; a class or an office behind one router still fits
CONNECTIONS_PER_SECOND = 10.0  # from one address, after a burst of MAX_CLIENTS_PER_ADDRESS: all may reconnect at once
MAX_UNNAMED = 256  # connections without a name; far more than choose a name at the same time
SIGN_IN_SECONDS = 30.0  # until a client has a name; a connection without one is of no use
SIGN_IN_BYTES = 8_192  # that a client may send until it has a name; a name takes a hundred
RATE = 10.0  # lines a second; nobody types faster, and a paste only waits
BURST = 50  # lines
CHARS_PER_LINE = 200  # a longer line counts as several, because every member's socket gets it
PARTIAL_READ_COST = 0.2  # tokens of a read that ends no line: it wakes a thread; a key held down is 30 reads a second
REFUSAL_COST = 4.0  # tokens, beside that of the line: no user is refused so often, and an error costs more than a line
CHANGE_COST = 4.0  # tokens of a change of room or name, beside that of the line; a CHANGE_BURST fits in a BURST
ROWS_PER_TOKEN = 100  # of replies; the /who of a room of 5,000 costs a BURST
HISTORY_LINES_PER_TOKEN = 20  # of /history, which are longer than rows; 1,000 of them cost a BURST
CHANGES_PER_SECOND = 10.0  # of room and name, from one address, after a burst of as many as it may have connections
PING_SECONDS = 45.0  # without input, then the server sends /ping
IDLE_TIMEOUT_SECONDS = 120.0  # without input, then the server closes the connection
GRACE_SECONDS = 60.0  # that a lost connection holds its name and place; a laptop that changes its network takes less
MAX_ROOMS = 10_000  # more than anybody reads in /list, and a /list of all is 0.5 MB
MAX_ROOMS_PER_MEMBER = 50  # made by one member; a teacher makes one for each group of a course
ROOM_CHANGES_PER_MINUTE = 60  # each sends a line to every member of two rooms
NAME_CHANGES_PER_MINUTE = 20  # of name or color; each sends a line to every member of the room
CHANGE_BURST = 10  # room or name changes; 20 members who spend a minute's changes at once would delay everybody
LOG_THROTTLE_SECONDS = 60.0  # in which one line is logged for each kind of refusal
MAX_LOG_KINDS = 1_000  # kinds that LogThrottle tells apart within LOG_THROTTLE_SECONDS


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a server: connections, lines, rooms, bytes and seconds."""

    max_clients: int = MAX_CLIENTS
    max_clients_per_address: int = MAX_CLIENTS_PER_ADDRESS
    connections_per_second: float = CONNECTIONS_PER_SECOND  # from one address; 0: no limit
    loopback_exempt: bool = True  # clients on the server's own machine have no limit by address
    max_unnamed: int = MAX_UNNAMED
    handshake_seconds: float = HANDSHAKE_SECONDS
    sign_in_seconds: float = SIGN_IN_SECONDS
    sign_in_bytes: int = SIGN_IN_BYTES
    rate: float = RATE  # lines a second, after which a client is slowed down; 0: no limit
    burst: int = BURST  # lines in one go before the rate applies
    ping_seconds: float = PING_SECONDS
    idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS
    grace_seconds: float = GRACE_SECONDS
    max_rooms: int = MAX_ROOMS
    max_rooms_per_member: int = MAX_ROOMS_PER_MEMBER
    room_changes_per_minute: int = ROOM_CHANGES_PER_MINUTE  # 0: no limit
    name_changes_per_minute: int = NAME_CHANGES_PER_MINUTE  # 0: no limit


class TokenBucket:
    """A token bucket: a burst of `burst` tokens, then `rate` a second; a rate of 0 is no limit. Not thread-safe."""

    __slots__ = ("_burst", "_clock", "_rate", "_tokens", "_updated")

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._updated = clock()

    def consume_up_to(self, count: int, costs: Iterable[float]) -> tuple[int, float]:
        """Consume tokens for the first of `count` items: for as many as there are tokens, but at least for one.

        `costs` are the tokens of each item. Return how many items may pass, and the seconds to wait first: more than 0
        if the first item costs more tokens than there are.
        """
        if not self._rate:
            return count, 0.0
        self._refill()
        passed = 0
        for cost in costs:
            if passed and cost > self._tokens:
                break
            self._tokens -= cost
            passed += 1
        return passed, max(0.0, -self._tokens / self._rate)

    def charge(self, cost: float) -> None:
        """Consume tokens for what has been done already, more than there are if need be: later items wait for it."""
        if self._rate:
            self._refill()
            self._tokens -= cost

    def try_consume(self) -> float:
        """Consume a token and return 0. If there is none, consume nothing and return the seconds until there is one."""
        if not self._rate:
            return 0.0
        self._refill()
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0

    @property
    def is_full(self) -> bool:
        """Whether the bucket equals a new one."""
        self._refill()
        return self._tokens >= self._burst

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
        self._updated = now


def line_cost(line: str) -> int:
    """Return the tokens that a line costs of the bucket for `Limits.rate`."""
    return 1 + len(line) // CHARS_PER_LINE


def enforce_rate_limit(bucket: TokenBucket, limit: str) -> None:
    """Consume a token, or raise ProtocolError `too-fast` with the text `limit` and the seconds to wait."""
    if seconds := bucket.try_consume():
        raise ProtocolError("too-fast", f"{limit}; try again in {math.ceil(seconds)} s")


class LogThrottle:
    """Limits the log to one line for each kind of event in LOG_THROTTLE_SECONDS, so that clients cannot fill it.

    All kinds beyond MAX_LOG_KINDS count as one. Any thread may call it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()  # guards the table
        self._logged: dict[Hashable, tuple[float, int]] = {}  # by kind, when it was logged and how many were not since

    def allow(self, kind: Hashable) -> str | None:
        """Return a suffix for the log line, often empty; return None if the line must not be logged."""
        now = self._clock()
        with self._lock:
            if kind not in self._logged and len(self._logged) >= MAX_LOG_KINDS:
                self._drop_older_than(now - LOG_THROTTLE_SECONDS)
                kind = kind if len(self._logged) < MAX_LOG_KINDS else None
            logged_at, skipped = self._logged.get(kind, (-math.inf, 0))
            if now - logged_at < LOG_THROTTLE_SECONDS:
                self._logged[kind] = (logged_at, skipped + 1)
                return None
            self._logged[kind] = (now, 0)
        return f" ({skipped} more like this since the last one)" if skipped else ""

    def _drop_older_than(self, logged_at: float) -> None:
        self._logged = {kind: entry for kind, entry in self._logged.items() if entry[0] > logged_at}
