"""What a server has to say to others, one by one: private messages, orders and answers, on a thread of its own."""

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

TELLS_WAITING = 100  # private messages; who has one more waits, and then he is told that it did not go
TELL_SECONDS = 10.0  # of that wait
GONE = Error("no-such-person", "the server that this person was on is gone; try again in a minute").encode()
UNANSWERED = Error(
    "no-such-person", "the server that this person is on does not answer, so your message may not have arrived"
).encode()


class Outbound:
    """Carries what must not make anybody wait for Redis. Any thread; only `tell` may wait, when many do."""

    def __init__(self, link: RedisClient, answer: Callable[[bytes, bytes], None]) -> None:
        """`answer` is called with the token's hash of who wrote a private message, and the lines that he is to get."""
        self._link = link
        self._answer = answer
        self._waiting: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._space = threading.BoundedSemaphore(TELLS_WAITING)
        self._numbers = itertools.count(1)
        # The private messages of which nothing is heard yet, by number: whose each is, and since when. Any thread takes
        # one out with `pop`, which is one step, and answers it then.
        self._unanswered: dict[int, tuple[bytes, float]] = {}
        self._thread = threading.Thread(target=self._carry, name="messenger")  # joined by stop

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Carry what waits, and join. Idempotent."""
        self._waiting.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def do(self, message: Callable[[], object]) -> None:
        """Have the thread carry out `message`, which may raise JournalError: then it is lost, and the log says so."""
        self._waiting.put(message)

    def send(self, server: str, *fields: Argument) -> None:
        """Have another server do what the fields say, if it lives."""
        self.do(lambda: self._send(server, *fields))

    def tell(self, told: DeliverPrivately) -> None:
        """Have a private message brought to somebody, and its author told what came of it."""
        author = token_hash(told.sender)
        if not self._space.acquire(timeout=TELL_SECONDS):
            self._answer(author, GONE)
            return
        self.do(lambda: self._send_told(told, author))

    def answered(self, number: int, data: bytes) -> None:
        """Have the author of a private message know what came of it, once."""
        author, _ = self._unanswered.pop(number, (b"", 0.0))
        if author:
            self._answer(author, data)

    def end_waiting(self, since: float) -> None:
        """Have nobody wait any longer who has since then, of the monotonic clock: that server, or we, are cut off."""
        for number, (_, sent_at) in list(self._unanswered.items()):
            if sent_at <= since:
                self.answered(number, UNANSWERED)

    def _carry(self) -> None:
        while (message := self._waiting.get()) is not None:
            try:
                message()
            except JournalError as error:
                logger.error("{}; a message to another server is lost", error)
            except Exception:  # noqa: BLE001  # a bug must not end the thread that all others need
                logger.exception("a message to another server is lost")

    def _send(self, server: str, *fields: Argument) -> bool:
        return bool(self._link.run(scripts.SEND, server, *fields))

    def _send_told(self, told: DeliverPrivately, author: bytes) -> None:
        self._space.release()
        number = next(self._numbers)
        self._unanswered[number] = (author, time.monotonic())
        fields = ("number", number, "to", token_hash(told.recipient).hex(), "data", told.data, "refusal", told.refusal)
        try:
            arrived = self._send(told.recipient.elsewhere, "do", "tell", "back", self._link.server, *fields)
        except JournalError:
            arrived = False
        if not arrived:
            self.answered(number, GONE)


def token_hash(member: Member) -> bytes:
    """Return by what all servers know a member who has a name."""
    assert member.state is not None  # whoever has a name has one
    return member.state.token_hash
