"""Outbound: sends requests, answers and notices to other servers, in order, on its own thread."""

import itertools
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from loguru import logger

from hubbub.protocol import Error
from hubbub.server.cluster import scripts
from hubbub.server.cluster.redis_client import Argument, RedisClient
from hubbub.server.delivery.actions import DeliverPrivately
from hubbub.server.journal.journal import JournalError
from hubbub.server.rooms.room import Member

PRIVATE_WAITING = 100  # private messages; the sender of a further one waits, and then gets an error
PRIVATE_SECONDS = 10.0  # of that wait
GONE = Error("no-such-person", "that member's server is gone; try again in a minute").encode()
UNANSWERED = Error(
    "no-such-person", "that member's server does not answer, so your message may not have arrived"
).encode()


class Outbound:
    """The thread `outbound`. Any thread may call any method; only `send_private` may wait, while many messages wait."""

    def __init__(self, redis_client: RedisClient, reply: Callable[[bytes, bytes], None]) -> None:
        """`reply` is called with the token hash of the sender of a private message, and the lines for them."""
        self._redis_client = redis_client
        self._reply = reply
        self._queue: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._space = threading.BoundedSemaphore(PRIVATE_WAITING)
        self._numbers = itertools.count(1)
        # The private messages without an answer, by number: the sender's token hash, and the time. A thread removes one
        # with `pop`, which is atomic, and then replies.
        self._unanswered: dict[int, tuple[bytes, float]] = {}
        self._thread = threading.Thread(target=self._run, name="outbound")  # joined by stop

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, and join. Idempotent."""
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def run(self, work: Callable[[], object]) -> None:
        """Queue `work` for the thread. If it raises JournalError, it is dropped and logged."""
        self._queue.put(work)

    def send(self, server: str, *fields: Argument) -> None:
        """Send a request to another server; drop it if that server has no lease."""
        self.run(lambda: self._send(server, *fields))

    def send_private(self, message: DeliverPrivately, server: str) -> None:
        """Send a private message to the server of its recipient; the sender gets its answer."""
        sender = token_hash(message.sender)
        if not self._space.acquire(timeout=PRIVATE_SECONDS):
            self._reply(sender, GONE)
            return
        self.run(lambda: self._send_private(message, server, sender))

    def finish_private(self, number: int, data: bytes) -> None:
        """Send the answer to a private message to its sender, once."""
        sender, _ = self._unanswered.pop(number, (b"", 0.0))
        if sender:
            self._reply(sender, data)

    def end_waiting(self, since: float) -> None:
        """Report all private messages without an answer that were sent until `since`, by the monotonic clock."""
        for number, (_, sent_at) in list(self._unanswered.items()):
            if sent_at <= since:
                self.finish_private(number, UNANSWERED)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except JournalError as error:
                logger.error("{}; a message to another server is lost", error)
            except Exception:  # noqa: BLE001  # a bug must not end the thread that all others need
                logger.exception("a message to another server is lost")

    def _send(self, server: str, *fields: Argument) -> bool:
        return bool(self._redis_client.run_script(scripts.SEND, server, *fields))

    def _send_private(self, message: DeliverPrivately, server: str, sender: bytes) -> None:
        self._space.release()
        number = next(self._numbers)
        self._unanswered[number] = (sender, time.monotonic())
        fields = (
            "number",
            number,
            "to",
            token_hash(message.recipient).hex(),
            "data",
            message.data,
            "refusal",
            message.refusal,
        )
        try:
            is_sent = self._send(server, "do", "tell", "back", self._redis_client.server, *fields)
        except JournalError:
            is_sent = False
        if not is_sent:
            self.finish_private(number, GONE)


def token_hash(member: Member) -> bytes:
    """Return the token hash of a member with a name: their id at all servers."""
    assert member.state is not None  # a member with a name has a session
    return member.state.token_hash
