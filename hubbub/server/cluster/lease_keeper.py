"""The lease keeper: renews the lease of this server, and adopts the members of servers without a lease."""

import threading
import time
from collections.abc import Callable

from loguru import logger

from hubbub.server.cluster import scripts
from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.journal.journal import JournalError

LEASE_SECONDS = 15.0  # without a renewal; then the other servers adopt the members of this one
RENEWALS = 5  # of a lease while it lasts
RETRY_SECONDS = 0.5  # between two attempts to reach Redis


class LeaseKeeper:
    """The thread `lease`. `start` and `stop` are for one thread."""

    def __init__(
        self,
        redis_client: RedisClient,
        seconds: float,
        *,
        on_attempt: Callable[[], None],
        on_renewal: Callable[[], None],
    ) -> None:
        """Renew a lease of `seconds` with a client that is used for nothing else.

        `on_attempt` is called before each renewal, and `on_renewal`, which may raise JournalError, after it.
        """
        self._redis_client = redis_client
        self._seconds = seconds
        self._on_attempt = on_attempt
        self._on_renewal = on_renewal
        self._stopping = threading.Event()
        self.steady_since = 0.0  # seconds of the monotonic clock since when the lease holds; 0.0 while it may not
        self.lapses = 0  # how often the lease has run out
        self._thread = threading.Thread(target=self._run, name="lease")  # joined by stop

    def take(self) -> None:
        """Take the lease. Raises JournalError."""
        self._redis_client.renew_lease(self._seconds)
        self.steady_since = time.monotonic()

    def start(self) -> None:
        """Start the thread. Call `take` before."""
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing, and join. The lease runs out by itself. Idempotent."""
        self._stopping.set()
        self._redis_client.trouble.set()  # which wakes the thread
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._redis_client.trouble.clear()
            if self._stopping.is_set():  # checked after the clear, so that a `stop` is never missed
                return
            self._on_attempt()
            try:
                self._renew()
                self._redis_client.trouble.wait(self._seconds / RENEWALS)
                continue
            except JournalError as error:
                if self.steady_since:
                    logger.error("{}; trying again", error)
                self.steady_since = 0.0
            except Exception:  # noqa: BLE001  # a bug must not end the thread that the other servers need
                logger.exception("the lease could not be renewed")
            self._stopping.wait(RETRY_SECONDS)

    def _renew(self) -> None:
        had_lease, dead = self._redis_client.renew_lease(self._seconds)
        now = time.monotonic()
        if not self.steady_since:
            logger.info("Redis can be reached again")
            self.steady_since = now
        if not had_lease:
            logger.warning("the lease of this server ran out; claiming its members again")
            self.steady_since = now
            self.lapses += 1
            self._redis_client.wake_follower()  # it calls `Recovery.recover`
        self._on_renewal()
        if now - self.steady_since >= self._seconds:  # other servers that were cut off had time to renew, too
            for server in dead:
                self._adopt(server)

    def _adopt(self, server: str) -> None:
        members = self._redis_client.run_script(scripts.ADOPT, server)  # the follower gets an event for each of them
        logger.info("server {} is gone; holding the places of {} members", server, members)
