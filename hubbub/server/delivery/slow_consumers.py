"""The slow-consumer policy: a subscriber whose socket is full delays no one, and is dropped beyond its limits.

Its lines wait in the log of its room or in the journal, which all subscribers share. Only its replies need memory of
their own, which is limited.
"""

import contextlib
import selectors
import socket
import time

from hubbub.server.delivery.room_log import Subscriber

OUTBOX_BYTES = 262_144  # unread: a subscriber with more is not reading, and is dropped; 17 MB for one address
PRIVATE_BYTES = OUTBOX_BYTES // 2  # with more, private messages are refused: no sender can have a recipient dropped
BACKLOG_ROOMS = 16  # with lines that wait for one subscriber; a client with more reads nothing
PROGRESS_SECONDS = 120.0  # without taking any of the bytes that wait
CLOSING_SECONDS = 5.0  # for the last bytes before the connection closes
CHECK_SECONDS = 1.0  # between two checks of these times; only while a socket is watched


class SlowConsumers:
    """Waits for the full sockets of subscribers. Only the delivery thread may call it; any thread may call `wake`."""

    def __init__(self) -> None:
        self._watched: set[Subscriber] = set()  # until their sockets become writable
        self._reading: set[Subscriber] = set()  # whose next lines are being read from the journal
        self._check_at = 0.0  # seconds of the monotonic clock
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)

    @property
    def any_waiting(self) -> bool:
        """Whether any subscriber waits for its socket or for the journal."""
        return bool(self._watched or self._reading)

    def wake(self) -> None:
        """Make `wait` return. Any thread."""
        with contextlib.suppress(OSError):  # the buffer is full, or nobody waits any more
            self._wake_write.send(b"\0")

    def wait(self, seconds: float | None) -> list[Subscriber]:
        """Wait for writable sockets, `wake` or the end of the time; return the subscribers with writable sockets."""
        if seconds is None and self._watched:
            seconds = CHECK_SECONDS
        ready = []
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                self._wake_read.recv(4_096)
            else:
                ready.append(key.data)
        return ready

    def is_watched(self, subscriber: Subscriber) -> bool:
        """Return whether a subscriber's socket is watched: its next bytes are sent when it is writable."""
        return subscriber in self._watched

    def watch(self, subscriber: Subscriber) -> None:
        """Watch a full socket; drop the subscriber if its connection is broken."""
        if subscriber.transport.broken:
            self.drop(subscriber)
        elif subscriber not in self._watched:
            subscriber.progress_at = time.monotonic()
            self._watched.add(subscriber)
            self._selector.register(subscriber.transport, selectors.EVENT_WRITE, subscriber)

    def unwatch(self, subscriber: Subscriber) -> None:
        """Stop watching a socket."""
        if subscriber in self._watched:
            self._watched.discard(subscriber)
            self._selector.unregister(subscriber.transport)

    def is_reading(self, subscriber: Subscriber) -> bool:
        """Return whether a subscriber's next lines are being read from the journal."""
        return subscriber in self._reading

    def start_reading(self, subscriber: Subscriber) -> None:
        """Note that a subscriber's next lines are being read from the journal."""
        self._reading.add(subscriber)

    def end_reading(self, subscriber: Subscriber) -> None:
        """Note that a subscriber's next lines have been read."""
        self._reading.discard(subscriber)

    def check_sizes(self, subscriber: Subscriber) -> None:
        """Drop a subscriber with too many unread bytes or rooms."""
        rooms = sum(backlog.log is not None for backlog in subscriber.backlogs)
        if subscriber.unread_bytes > OUTBOX_BYTES or rooms > BACKLOG_ROOMS:
            self.drop(subscriber)

    def check_progress(self) -> None:
        """Drop the subscribers that have taken nothing for too long."""
        now = time.monotonic()
        if not self._watched or now < self._check_at:
            return
        self._check_at = now + CHECK_SECONDS
        for subscriber in list(self._watched):
            limit = CLOSING_SECONDS if subscriber.closing else PROGRESS_SECONDS
            if now - subscriber.progress_at > limit:
                self.drop(subscriber)

    def drop(self, subscriber: Subscriber) -> None:
        """Send a subscriber nothing more, and wake its session's thread, which ends the session."""
        subscriber.transport.broken = True
        self.unwatch(subscriber)
        self._reading.discard(subscriber)
        subscriber.drop_unsent()
        subscriber.set_flush_events()
        subscriber.transport.end_reading()
        if subscriber.closing:
            subscriber.close()

    def close(self) -> None:
        """Drop all subscribers that wait, and close the selector. Idempotent."""
        for subscriber in self._watched | self._reading:
            self.drop(subscriber)
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()
