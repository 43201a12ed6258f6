"""The fan-out: sends the new lines of each room to all live subscribers, and replies to single ones.

After a flush a room gathers new lines for a moment before the next flush. A subscriber that gets a reply in between
first gets these lines alone, so that the order is right.
"""

import time
from collections.abc import Callable
from threading import Event

from hubbub.server.delivery.catch_up import CatchUp
from hubbub.server.delivery.room_log import Backlog, RoomLog, Subscriber
from hubbub.server.delivery.slow_consumers import PRIVATE_BYTES, SlowConsumers
from hubbub.server.delivery.tail_budget import TailBudget
from hubbub.server.journal.journal import Page

GATHER_SECONDS = 0.01  # between two flushes of a room, while lines gather; a screen draws a picture every 16 ms
GATHER_BYTES = 65_536  # a room with so many unflushed bytes is flushed at once


class Fanout:
    """Sends every line to members. Only the delivery thread may call it; any thread may call `wake`."""

    def __init__(self, read_backlog: Callable[[Subscriber, Backlog], None], tail_budget: TailBudget) -> None:
        """`read_backlog` requests the next lines of a backlog from the journal; `continue_backlog` receives them."""
        self._slow_consumers = SlowConsumers()
        self._catch_up = CatchUp(self._slow_consumers, read_backlog)
        self._tail_budget = tail_budget
        self._changed: dict[RoomLog, None] = {}  # since the last `flush_all`
        self._gathering: dict[RoomLog, None] = {}  # rooms whose lines gather; all are flushed at `_due`
        self._due = 0.0  # seconds of the monotonic clock

    @property
    def is_busy(self) -> bool:
        """Whether a subscriber lags, or lines gather."""
        return self._slow_consumers.any_waiting or bool(self._gathering)

    def wait(self, seconds: float | None) -> None:
        """Wait for `wake`, for writable sockets or until lines have gathered long enough, and send what is due."""
        if self._gathering:
            left = max(0.0, self._due - time.monotonic())
            seconds = left if seconds is None else min(seconds, left)
        for subscriber in self._slow_consumers.wait(seconds):
            self._catch_up.advance(subscriber)
        self._flush_due()

    def wake(self) -> None:
        """Make `wait` return. Any thread."""
        self._slow_consumers.wake()

    def check_progress(self) -> None:
        """Drop the subscribers that have taken nothing for too long."""
        self._slow_consumers.check_progress()

    def close(self) -> None:
        """Drop the subscribers that lag. Idempotent."""
        self._slow_consumers.close()

    # ---------------------------------------------------------------------------------------------- lines for a room

    def publish(self, log: RoomLog, page: Page) -> None:
        """Append stored lines to a room's log. They go out with the next flush."""
        log.publish(page)
        if log.unflushed:
            self._changed[log] = None

    def broadcast(self, log: RoomLog, data: bytes) -> None:
        """Append lines without a SEQ to a room's log, after all lines that are stored now."""
        log.broadcast(data)
        if log.unflushed:
            self._changed[log] = None

    def announce(self, log: RoomLog, data: bytes) -> None:
        """Append lines without a SEQ to a room's log at once, even while stored lines are still to be published."""
        log.append(data)
        self._changed[log] = None

    def flush_all(self) -> None:
        """Flush all rooms that have new lines, except those that were flushed a moment ago: these gather more."""
        now = time.monotonic()
        for log in self._changed:
            if now - log.flushed_at >= GATHER_SECONDS or log.unflushed_bytes >= GATHER_BYTES:
                self._gathering.pop(log, None)
                self._flush(log)
            else:
                self._due = self._due if self._gathering else now + GATHER_SECONDS
                self._gathering[log] = None
        self._changed.clear()
        self._flush_due()

    def _flush_due(self) -> None:
        if self._gathering and time.monotonic() >= self._due:
            for log in self._gathering:
                self._flush(log)
            self._gathering.clear()

    def _flush(self, log: RoomLog) -> None:
        """Send the unflushed lines of a room to every live subscriber."""
        log.flushed_at = time.monotonic()
        data = b"".join(log.unflushed)
        log.unflushed.clear()
        size = len(data)
        partial = [(subscriber, sent) for subscriber, send in log.live.items() if (sent := send(data)) != size]
        for subscriber, sent in partial:
            log.mark_lagging(subscriber, size - self._catch_up.hold_rest(subscriber, data, sent))
            self._slow_consumers.watch(subscriber)
        caught_up, log.caught_up = log.caught_up, set()
        for subscriber in caught_up:
            if subscriber in log.lagging:  # else it has unsubscribed since
                self._catch_up.advance(subscriber)
        log.tail.trim()
        self._tail_budget.record(log)

    def _flush_to(self, subscriber: Subscriber) -> None:
        """Send the unflushed lines of its room to one subscriber, before a reply."""
        log = subscriber.log
        if log is None or not log.unflushed:
            return
        if subscriber in log.live:
            log.mark_lagging(subscriber, log.unflushed_bytes)
            self._catch_up.advance(subscriber)
        elif subscriber in log.caught_up:
            self._catch_up.advance(subscriber)

    # ---------------------------------------------------------------------------------------- lines for a subscriber

    def subscribe(self, subscriber: Subscriber, log: RoomLog, head: bytes, after: int) -> None:
        """Send a subscriber a room from here on, after `head` and the lines that follow SEQ `after`."""
        if subscriber.is_unreachable:
            return
        subscriber.backlogs.append(Backlog(head, log, after, log.tail.seq))
        log.mark_lagging(subscriber, 0)
        self._slow_consumers.check_sizes(subscriber)
        self._catch_up.advance(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Send a subscriber the lines of its room that are stored now, and no later ones."""
        log = subscriber.log
        if log is None:
            return
        self._flush_to(subscriber)
        seq = log.seq_of(subscriber)
        if seq < log.stored_seq:
            subscriber.backlogs.append(Backlog(b"", log, seq, log.stored_seq))
        log.remove(subscriber)

    def continue_backlog(self, subscriber: Subscriber, backlog: Backlog, data: bytes | None, after: int) -> None:
        """Send lines of a backlog that were read from the journal, up to SEQ `after`; `data` is None if that failed."""
        self._catch_up.continue_backlog(subscriber, backlog, data, after)

    def reply(self, subscriber: Subscriber, data: bytes) -> None:
        """Send a reply, after all lines before it."""
        self._flush_to(subscriber)
        if subscriber.backlogs:
            self._append_to_backlogs(subscriber, data)
        else:
            self.send_first(subscriber, data)

    def reply_with_history(self, subscriber: Subscriber, log: RoomLog, after: int, upto: int, end: bytes) -> None:
        """Send the stored lines with after < SEQ <= upto and `end`, after all lines before them."""
        if subscriber.is_unreachable:
            return
        self._flush_to(subscriber)
        subscriber.backlogs.append(Backlog(b"", log, after, upto, end, stored=True))
        if (own := subscriber.log) is not None and subscriber in own.live:
            own.mark_lagging(subscriber, 0)
        self._slow_consumers.check_sizes(subscriber)
        self._catch_up.advance(subscriber)

    def acknowledge(self, subscriber: Subscriber, data: bytes) -> None:
        """Send the acknowledgement of posts. A live subscriber has received the posts before."""
        self._flush_to(subscriber)
        self.send_first(subscriber, data)

    def deliver_privately(self, subscriber: Subscriber, data: bytes) -> bool:
        """Send a private message. If the subscriber has too much unread, send nothing and return False."""
        if subscriber.unread_bytes + len(data) > PRIVATE_BYTES:
            return False
        self.reply(subscriber, data)
        return True

    def send_first(self, subscriber: Subscriber, data: bytes) -> None:
        """Send lines before everything that waits, but after the rest of a line that is partly sent."""
        if subscriber.is_unreachable:
            return
        subscriber.outbox.append(data)
        self._slow_consumers.check_sizes(subscriber)
        if not self._slow_consumers.is_watched(subscriber):
            self._catch_up.advance(subscriber)

    def _append_to_backlogs(self, subscriber: Subscriber, data: bytes) -> None:
        if subscriber.backlogs[-1].log is not None:
            subscriber.backlogs.append(Backlog(b""))
        subscriber.backlogs[-1].head += data
        self._slow_consumers.check_sizes(subscriber)

    def set_when_flushed(self, subscriber: Subscriber, event: Event) -> None:
        """Set `event` when a subscriber's replies are sent, or it is dropped."""
        self._flush_to(subscriber)
        subscriber.flush_events.append(event)
        subscriber.set_flush_events()

    def finish(self, subscriber: Subscriber, data: bytes) -> None:
        """Send what is left, then `data`, and then the end of the stream."""
        if subscriber.is_unreachable:
            return
        self._flush_to(subscriber)
        subscriber.backlogs.append(Backlog(data))
        subscriber.finishing = True
        self._catch_up.advance(subscriber)

    def close_subscriber(self, subscriber: Subscriber) -> None:
        """Send what is left, within CLOSING_SECONDS, and close."""
        self.unsubscribe(subscriber)
        subscriber.closing = True
        subscriber.progress_at = time.monotonic()
        self._catch_up.advance(subscriber)
