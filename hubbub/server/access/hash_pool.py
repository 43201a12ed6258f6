"""A fixed pool of threads that compute scrypt hashes, and a queue that is fair to every subnet.

Sessions of hundreds of clients may want a hash at the same moment. If each computed its own, the C library would hold
16 MiB for each of their threads. So few threads compute all of them, and the queues take turns.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import TypeVar

from hubbub.protocol import ProtocolError
from hubbub.server.access.scrypt import HashedSecret
from hubbub.server.network.admission import subnet_key

THREADS = min(2, max(1, (os.cpu_count() or 1) // 2))  # each holds 16 MiB for good; the other processors serve the chat
QUEUE_SECONDS = 2.0  # that a hash may wait for its turn: some 40 hashes of other queues for each thread

T = TypeVar("T")


class HashPool:
    """Threads that compute one hash after another. `start` and `stop` are for one thread, the rest is for any.

    A caller of `matches`, `hash_secret` and `run` waits, so it must hold no lock that other threads need. All three
    raise ProtocolError `too-fast` if the queue gets no turn within QUEUE_SECONDS, and `unavailable` after a stop.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards the queues; notified when one grows, and by stop
        self._queues: dict[Hashable, deque[tuple[Future[object], Callable[[], object]]]] = {}  # whose turn it is, first
        self._stopped = False
        # Joined by stop; a hash ends within a second.
        self._threads = [threading.Thread(target=self._work, name=f"scrypt-{number}") for number in range(THREADS)]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Refuse what waits, finish what is being computed, and join the threads. Idempotent."""
        with self._changed:
            self._stopped = True
            for queue in self._queues.values():
                for future, _ in queue:
                    future.cancel()
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def matches(self, secret: HashedSecret, text: str, address: str) -> bool:
        """Return whether `text`, which a client at `address` sent, is the secret."""
        return secret.recognizes(text) or self.run(("check", subnet_key(address)), partial(secret.matches, text))

    def hash_secret(self, text: str, address: str) -> HashedSecret:
        """Return a new secret, which a client at `address` sent. Checks of the same subnet do not wait behind it."""
        return self.run(("hash", subnet_key(address)), partial(HashedSecret.create, text))

    def run(self, queue: Hashable, compute: Callable[[], T]) -> T:
        """Return or raise what `compute` does, which a thread of the pool calls when it is the turn of `queue`."""
        future: Future[T] = Future()
        with self._changed:
            if self._stopped:
                raise _stopping()
            self._queues.setdefault(queue, deque()).append((future, compute))  # type: ignore[arg-type]
            self._changed.notify()
        try:
            return future.result(QUEUE_SECONDS)
        except CancelledError:
            raise _stopping() from None
        except TimeoutError:
            if not future.cancel():  # it has its turn
                return future.result()
            text = f"too many passwords and keys are being checked; try again in {QUEUE_SECONDS:g} s"
            raise ProtocolError("too-fast", text) from None

    def _work(self) -> None:
        while (task := self._next()) is not None:
            future, compute = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(compute())
                except Exception as error:  # noqa: BLE001  # the thread that waits gets it
                    future.set_exception(error)

    def _next(self) -> tuple[Future[object], Callable[[], object]] | None:
        """Wait for a task and return it; the queue that it was in comes last then. Return None after a stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._queues or self._stopped)
            if self._stopped:
                return None
            key = next(iter(self._queues))
            queue = self._queues.pop(key)
            task = queue.popleft()
            if queue:
                self._queues[key] = queue
            return task


def _stopping() -> ProtocolError:
    return ProtocolError("unavailable", "the server is stopping; try again later")
