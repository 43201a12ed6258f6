"""What one client, one address and everybody together may do: every limit with its unit and its reason."""

import time
from collections.abc import Callable
from dataclasses import dataclass

RATE = 10.0  # lines a second; nobody types faster, and a paste only waits
BURST = 50  # lines in one go
NAMING_SECONDS = 30.0  # to name oneself; a connection that says nothing is nobody's
PING_SECONDS = 45.0  # of silence, then the server asks whether anybody is there
SILENCE_SECONDS = 120.0  # of silence, then nobody is
GRACE_SECONDS = 60.0  # that a lost connection keeps its name: a laptop that changes its network takes less


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may do. Seconds, and lines."""

    rate: float = RATE  # lines a second before he is slowed down; 0 is no limit
    burst: int = BURST  # lines in one go before that
    grace_seconds: float = GRACE_SECONDS  # that a lost connection keeps its name
    naming_seconds: float = NAMING_SECONDS
    ping_seconds: float = PING_SECONDS
    silence_seconds: float = SILENCE_SECONDS


class Bucket:
    """A token bucket: `burst` lines in one go, then `rate` a second. For one thread."""

    __slots__ = ("_burst", "_clock", "_rate", "_tokens", "_when")

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._when = clock()

    def take(self) -> float:
        """Take one token and return how many seconds to wait before using it."""
        if not self._rate:
            return 0.0
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._when) * self._rate) - 1
        self._when = now
        return max(0.0, -self._tokens / self._rate)
