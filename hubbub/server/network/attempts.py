"""How often an address may guess."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from hubbub.protocol import ProtocolError
from hubbub.server.network.subnets import origin_of

WRONG_TRIES = 5  # of an address in TRIES_SECONDS: people mistype, and a word list takes years
TRIES_SECONDS = 60.0
ORIGINS = 10_000  # addresses that are remembered; scrypt is too slow for so many to try in TRIES_SECONDS
WAIT_SECONDS = 2.0  # for others of the same address whose tries are still being looked at


@dataclass(slots=True)
class _Origin:
    """An address: when it was wrong, in seconds of the clock, and how many of its tries are being looked at."""

    wrong: deque[float] = field(default_factory=deque)
    looked_at: int = 0


class AttemptLimiter:
    """Counts the wrong tries of each address. Any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()  # guards the table and what is in it; told when a try was looked at
        self._origins: dict[str, _Origin] = {}  # the one that tried last comes last

    def attempt(self, address: str, is_right: Callable[[], bool]) -> bool:
        """Return what `is_right` says; where that is False, `address` has one try less.

        Raises ProtocolError `too-fast`, without asking, where it has none left, and whatever `is_right` raises.
        """
        key = origin_of(address)
        origin = self._begin(key)
        wrong = False
        try:
            wrong = not is_right()
        finally:
            self._end(key, origin, wrong=wrong)
        return not wrong

    def _begin(self, key: str) -> _Origin:
        """Wait while the tries that are being looked at might be all that it has."""
        deadline = time.monotonic() + WAIT_SECONDS
        with self._changed:
            origin = self._remember(key)
            while len(origin.wrong) + origin.looked_at >= WRONG_TRIES:
                if len(origin.wrong) >= WRONG_TRIES:
                    self._refuse(origin.wrong[0] + TRIES_SECONDS - self._clock())
                if not self._changed.wait(deadline - time.monotonic()):
                    self._refuse(WAIT_SECONDS)
                self._forget_old(origin)
            origin.looked_at += 1
        return origin

    def _end(self, key: str, origin: _Origin, *, wrong: bool) -> None:
        with self._changed:
            origin.looked_at -= 1
            if wrong:
                origin.wrong.append(self._clock())
            if not origin.wrong and not origin.looked_at:
                self._origins.pop(key, None)
            self._changed.notify_all()

    def _refuse(self, seconds: float) -> None:
        limit = f"an address may be wrong {WRONG_TRIES} times in {TRIES_SECONDS:g} s"
        raise ProtocolError("too-fast", f"{limit}; try again in {max(1, math.ceil(seconds))} s")

    def _remember(self, key: str) -> _Origin:
        origin = self._origins.pop(key, None) or _Origin()
        self._origins[key] = origin
        self._forget_old(origin)
        if len(self._origins) > ORIGINS:
            del self._origins[next(iter(self._origins))]
        return origin

    def _forget_old(self, origin: _Origin) -> None:
        while origin.wrong and origin.wrong[0] + TRIES_SECONDS <= self._clock():
            origin.wrong.popleft()
