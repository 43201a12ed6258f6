"""The follower: reads the streams of Redis, which are the lines of rooms, events, and this server's inbox."""

import threading
import time
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from loguru import logger

from hubbub.server.cluster.events import EventHandler
from hubbub.server.cluster.inbox import Inbox
from hubbub.server.cluster.journal import page_of, seq_of
from hubbub.server.cluster.recovery import Recovery
from hubbub.server.cluster.redis_client import Entries, Found, Reader, RedisClient, log_bad_entries
from hubbub.server.cluster.remote_members import RemoteMembers
from hubbub.server.cluster.subscriptions import Subscriptions
from hubbub.server.delivery.actions import Publish
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.journal.journal import JournalError

RETRY_SECONDS = 0.5  # between two attempts to read from a Redis that is away
GATHER_SECONDS = 0.002  # between two reads, while entries gather: each read must name every room that is followed
READ_ENTRIES = 100  # at once of a stream


class StreamFollower:
    """The thread `follower`. `start` and `stop` are for one thread."""

    def __init__(
        self,
        redis_client: RedisClient,
        reader: Reader,
        subscriptions: Subscriptions,
        events: EventHandler,
        inbox: Inbox,
        recovery: Recovery,
        remote_members: RemoteMembers,
        delivery: Delivery,
    ) -> None:
        self._redis_client = redis_client
        self._reader = reader
        self._subscriptions = subscriptions
        self._events = events
        self._inbox = inbox
        self._recovery = recovery
        self._remote_members = remote_members
        self._delivery = delivery
        self._room_prefix = redis_client.key("room:")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower")  # joined by stop

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading, and join. Idempotent."""
        self._stopping.set()
        try:
            self._redis_client.wake_follower()
        except JournalError:
            self._reader.interrupt()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        away, read_at = False, 0.0
        while not self._stopping.wait(max(0.0, read_at + GATHER_SECONDS - time.monotonic())):
            try:
                self._recovery.recover()
                found = self._reader.read(self._positions(), READ_ENTRIES)
                away, read_at = False, time.monotonic()
            except Exception as error:  # noqa: BLE001  # the thread must go on after any error
                if not away and not self._stopping.is_set():
                    logger.error("cannot read what the other servers send: {}; trying again", error)
                away = True
                self._stopping.wait(RETRY_SECONDS)
                continue
            for stream, entries in self._in_order(found):
                self._handle(stream, entries)
            self._delivery.wait_for_space()

    def _positions(self) -> dict[str, str]:
        """Return the streams to read, with the id up to which each was read."""
        rooms = {self._room_prefix + key: f"0-{seq}" for key, seq in self._subscriptions.positions().items()}
        return rooms | {self._events.stream: self._events.position, self._inbox.stream: self._inbox.position}

    def _in_order(self, found: Found) -> Iterator[tuple[str, Entries]]:
        """Yield the entries ordered by time, so that a member's last line comes before the event that they left.

        Entries of the same millisecond usually come from one script, which adds lines first.
        """
        if self._events.stream in found:
            timed = [(_time_of(id_, fields), stream, id_, fields) for stream in found for id_, fields in found[stream]]
            timed.sort(key=itemgetter(0))  # stable: at the same time, rooms come first, then events, then the inbox
            for stream, entries in groupby(timed, key=itemgetter(1)):
                yield stream, [(id_, fields) for _, _, id_, fields in entries]
        else:
            yield from found.items()

    def _handle(self, stream: str, entries: Entries) -> None:
        if stream == self._inbox.stream:
            self._inbox.handle(entries)
        elif stream == self._events.stream:
            self._events.handle(entries)
        else:
            with log_bad_entries():
                self._publish(stream.removeprefix(self._room_prefix), entries)

    def _publish(self, key: str, entries: Entries) -> None:
        try:
            self._delivery.submit(*(Publish(page_of(key, id_, fields)) for id_, fields in entries))
        finally:
            self._subscriptions.note_read(
                key, seq_of(entries[-1][0])
            )  # after `submit`: a member who waits for this joins after these lines
        self._remote_members.note_activity({fields[b"name"].decode() for _, fields in entries})


def _time_of(id_: str, fields: dict[bytes, bytes]) -> int:
    """Return when an entry was added, by the clock of Redis, in milliseconds since 1970; 0 for a bad entry."""
    try:
        return int(fields[b"time"] if b"time" in fields else id_.partition("-")[0])
    except ValueError:
        return 0  # the handler of the entry logs it
