"""Admission of connections: limits of connections and of wrong passwords, by the subnet of the client's address."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from operator import itemgetter

from hubbub.protocol import ProtocolError
from hubbub.server.access.limits import Limits, TokenBucket, enforce_rate_limit

IPV6_HOST_BITS = 64  # the owner of an IPv6 network chooses these bits freely, so the bits before them count
MIN_SUBNETS_BEFORE_CLEANUP = 1_000  # subnets that a limiter remembers before it drops those with all their tokens
MAX_FAILURES = 5  # of a subnet within FAILURE_WINDOW_SECONDS: enough for typing errors, too few to try a word list
FAILURE_WINDOW_SECONDS = 60.0
MAX_FAILED_SUBNETS = 10_000  # that AttemptLimiter remembers; scrypt is too slow for so many in FAILURE_WINDOW_SECONDS
CHECK_WAIT_SECONDS = 2.0  # an attempt waits so long for earlier ones from its subnet that are being checked

_PREFIX = f"/{128 - IPV6_HOST_BITS}"


def parse_address(text: str) -> IPv4Address | IPv6Address:
    """Return the address in `text`, or the first one of a subnet key; IPv4-mapped IPv6 is IPv4. Raises ValueError."""
    ip = ip_address(text.removesuffix(_PREFIX) if ":" in text else text)
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def subnet_key(text: str) -> str:
    """Return the subnet that the address in `text` counts as: `192.0.2.1` or `2001:db8::/64`. Raises ValueError."""
    ip = parse_address(text)
    if isinstance(ip, IPv4Address):
        return str(ip)
    return str(IPv6Network((int(ip) >> IPV6_HOST_BITS << IPV6_HOST_BITS, 128 - IPV6_HOST_BITS)))


def limited_subnet(address: str, limits: Limits) -> str:
    """Return the subnet key of `address`; empty if `limits` exempt the address from limits by subnet."""
    exempt = limits.loopback_exempt and parse_address(address).is_loopback
    return "" if exempt else subnet_key(address)


# -------------------------------------------------------------------------------------------------------- connections


@dataclass(slots=True)
class _Subnet:
    bucket: TokenBucket  # limits how often it connects
    connections: int = 0  # that are open
    unnamed: int = 0  # connections without a name that were not dropped

    def is_idle(self) -> bool:
        """Return whether nothing is lost if the subnet is dropped from the table."""
        return not self.connections and self.bucket.is_full


@dataclass(eq=False, slots=True)
class Admission:
    """How an admitted connection is counted. Guarded by the limiter's lock."""

    subnet: _Subnet | None  # None: the connection does not count for its subnet
    open: bool = True
    drop: Callable[[], None] = lambda: None  # makes the connection end soon; its session sets this


class ConnectionLimiter:
    """Counts and limits open connections. Any thread may call any method."""

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
        *,
        refuse_banned: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`refuse_banned` is called with an address and raises ProtocolError if it is banned."""
        self._limits = limits
        self._refuse_banned = refuse_banned
        self._clock = clock
        self._lock = threading.Lock()  # guards all attributes below and every Admission and _Subnet
        self._connections = 0
        self._unnamed: dict[Admission, None] = {}  # whose clients have no name; the oldest comes first
        self._subnets: dict[str, _Subnet] = {}
        self._cleanup_at = MIN_SUBNETS_BEFORE_CLEANUP

    def admit_connection(self, address: str) -> Admission:
        """Count a new connection from `address`.

        If too many clients have no name, the oldest of them in the subnet that has most is dropped.

        Raises ProtocolError `server-full`, `too-many`, `too-fast`, or what `refuse_banned` raises.
        """
        self._refuse_banned(address)
        subnet = limited_subnet(address, self._limits)
        with self._lock:
            oldest = self._make_room()
            admission = Admission(self._count_in_subnet(subnet) if subnet else None)
            self._connections += 1
            self._unnamed[admission] = None
            if admission.subnet is not None:
                admission.subnet.unnamed += 1
            if oldest is not None:
                self._stop_counting_unnamed(oldest)
        if oldest is not None:
            oldest.drop()
        return admission

    def mark_named(self, admission: Admission) -> None:
        """Record that the client of a connection has a name now. Idempotent."""
        with self._lock:
            self._stop_counting_unnamed(admission)

    def release(self, admission: Admission) -> None:
        """Stop counting a connection, which is closed. Idempotent."""
        self.mark_named(admission)
        with self._lock:
            if not admission.open:
                return
            admission.open = False
            self._connections -= 1
            if admission.subnet is not None:
                admission.subnet.connections -= 1

    def _stop_counting_unnamed(self, admission: Admission) -> None:
        if admission in self._unnamed:
            del self._unnamed[admission]
            if admission.subnet is not None:
                admission.subnet.unnamed -= 1

    def _make_room(self) -> Admission | None:
        """Return the connection to drop for another; None if there is room. Raises ProtocolError `server-full`."""
        limits = self._limits
        if self._connections >= limits.max_clients:
            text = f"the server is full: it has {limits.max_clients} clients, which is its limit; try again later"
            raise ProtocolError("server-full", text)
        if len(self._unnamed) < limits.max_unnamed:
            return None
        counted = [(admission.subnet.unnamed, admission) for admission in self._unnamed if admission.subnet is not None]
        if not counted:
            text = f"{limits.max_unnamed} clients are signing in, which is the server's limit; try again in a minute"
            raise ProtocolError("server-full", text)
        return max(counted, key=itemgetter(0))[1]  # of several, the first, which is the oldest

    def _count_in_subnet(self, key: str) -> _Subnet:
        limits = self._limits
        subnet = self._subnets.get(key) or self._add_subnet(key)
        if subnet.connections >= limits.max_clients_per_address:
            text = (
                f"your address has {limits.max_clients_per_address} connections, which is the server's limit; "
                "close one, or try again later"
            )
            raise ProtocolError("too-many", text)
        enforce_rate_limit(subnet.bucket, f"an address may connect {limits.connections_per_second:g} times a second")
        subnet.connections += 1
        return subnet

    def _add_subnet(self, key: str) -> _Subnet:
        if len(self._subnets) >= self._cleanup_at:
            self._subnets = {key: subnet for key, subnet in self._subnets.items() if not subnet.is_idle()}
            self._cleanup_at = 2 * len(self._subnets) + MIN_SUBNETS_BEFORE_CLEANUP  # so that cleanups stay rare
        limits = self._limits
        bucket = TokenBucket(limits.connections_per_second, limits.max_clients_per_address, self._clock)
        subnet = self._subnets[key] = _Subnet(bucket)
        return subnet


# -------------------------------------------------------------------------------------------------------------- rates


class SubnetRateLimiter:
    """Limits how often each subnet may do something. Any thread."""

    def __init__(self, limits: Limits, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`burst` times at once, then `rate` times a second; `limits` say whether this machine is exempt."""
        self._limits = limits
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()  # guards the table and its buckets
        self._buckets: dict[str, TokenBucket] = {}  # by subnet; one that is not there is full
        self._cleanup_at = MIN_SUBNETS_BEFORE_CLEANUP

    def enforce(self, address: str, limit: str) -> None:
        """Count once for the subnet of `address`, or raise ProtocolError `too-fast` with the text `limit`."""
        if not (key := limited_subnet(address, self._limits)):
            return
        with self._lock:
            enforce_rate_limit(self._buckets.get(key) or self._add(key), limit)

    def _add(self, key: str) -> TokenBucket:
        if len(self._buckets) >= self._cleanup_at:
            self._buckets = {key: bucket for key, bucket in self._buckets.items() if not bucket.is_full}
            self._cleanup_at = 2 * len(self._buckets) + MIN_SUBNETS_BEFORE_CLEANUP  # so that cleanups stay rare
        bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, self._clock)
        return bucket


# ----------------------------------------------------------------------------------------------------------- attempts


@dataclass(slots=True)
class _Attempts:
    """Attempts of one subnet: the times of those that failed, in seconds of the clock, and the number being checked."""

    failures: deque[float] = field(default_factory=deque)
    in_progress: int = 0


class AttemptLimiter:
    """Limits the wrong passwords or keys of each subnet. Any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()  # guards the table and its values; notified when a check has ended
        self._subnets: dict[str, _Attempts] = {}  # the subnet that tried last comes last

    def attempt(self, address: str, check: Callable[[], bool]) -> bool:
        """Return the result of `check`; if it is False, the subnet of `address` has one attempt less.

        Raises ProtocolError `too-fast`, without calling `check`, if no attempt is left, and what `check` raises.
        """
        key = subnet_key(address)
        attempts = self._begin(key)
        failed = False
        try:
            failed = not check()
        finally:
            self._end(key, attempts, failed=failed)
        return not failed

    def _begin(self, key: str) -> _Attempts:
        """Wait while the attempts in progress might use up the subnet's limit."""
        deadline = time.monotonic() + CHECK_WAIT_SECONDS
        with self._changed:
            attempts = self._find_or_add(key)
            while len(attempts.failures) + attempts.in_progress >= MAX_FAILURES:
                if len(attempts.failures) >= MAX_FAILURES:
                    self._refuse(attempts.failures[0] + FAILURE_WINDOW_SECONDS - self._clock())
                if not self._changed.wait(deadline - time.monotonic()):
                    self._refuse(CHECK_WAIT_SECONDS)
                self._drop_old_failures(attempts)
            attempts.in_progress += 1
        return attempts

    def _end(self, key: str, attempts: _Attempts, *, failed: bool) -> None:
        with self._changed:
            attempts.in_progress -= 1
            if failed:
                attempts.failures.append(self._clock())
            if not attempts.failures and not attempts.in_progress:
                self._subnets.pop(key, None)
            self._changed.notify_all()

    def _refuse(self, seconds: float) -> None:
        limit = f"an address may send {MAX_FAILURES} wrong passwords or keys in {FAILURE_WINDOW_SECONDS:g} s"
        raise ProtocolError("too-fast", f"{limit}; try again in {max(1, math.ceil(seconds))} s")

    def _find_or_add(self, key: str) -> _Attempts:
        attempts = self._subnets.pop(key, None) or _Attempts()
        self._subnets[key] = attempts
        self._drop_old_failures(attempts)
        if len(self._subnets) > MAX_FAILED_SUBNETS:
            del self._subnets[next(iter(self._subnets))]
        return attempts

    def _drop_old_failures(self, attempts: _Attempts) -> None:
        while attempts.failures and attempts.failures[0] + FAILURE_WINDOW_SECONDS <= self._clock():
            attempts.failures.popleft()
