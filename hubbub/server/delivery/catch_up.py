"""Catch-up: sends one subscriber what it does not have yet: replies, its backlogs, and the log from its position on.

The lines come from the tail of the log in memory; older lines come from the journal, a chunk at a time.
"""

import time
from collections.abc import Callable

from hubbub.protocol import Error
from hubbub.server.delivery.room_log import Backlog, Subscriber
from hubbub.server.delivery.slow_consumers import SlowConsumers

SEND_BYTES = 262_144  # of one send to a lagging subscriber from the tail; what is not sent stays there
CHUNK_BYTES = 131_072  # of lines read and held for one subscriber, and the rest of a page: 16 MB for one address
REPLY_BYTES = 65_536  # of replies in one send; OUTBOX_BYTES counts the others
UNREADABLE = Error("unavailable", "the server cannot use its journal; try again later").encode()


class CatchUp:
    """Sends subscribers what they do not have yet. For the delivery thread alone."""

    def __init__(self, slow_consumers: SlowConsumers, read_backlog: Callable[[Subscriber, Backlog], None]) -> None:
        """`read_backlog` requests the next lines of a backlog from the journal; `continue_backlog` receives them."""
        self._slow_consumers = slow_consumers
        self._read_backlog = read_backlog

    def advance(self, subscriber: Subscriber) -> None:
        """Send what comes next, until the subscriber has everything or its socket is full."""
        if subscriber.closed:
            return
        while self._send_next(subscriber):
            pass
        subscriber.set_flush_events()
        if subscriber.has_all:
            self._finish(subscriber)
        elif self._slow_consumers.is_reading(subscriber) and not (subscriber.sending or subscriber.outbox):
            self._slow_consumers.unwatch(subscriber)  # the socket is free: `continue_backlog` goes on
        else:
            if (log := subscriber.log) is not None and subscriber in log.live:
                log.mark_lagging(subscriber, log.unflushed_bytes)
            self._slow_consumers.watch(subscriber)

    def continue_backlog(self, subscriber: Subscriber, backlog: Backlog, data: bytes | None, after: int) -> None:
        """Send lines of a backlog that were read from the journal, up to SEQ `after`.

        `data` is None if they could not be read. Then the subscriber is dropped: its client can resume later.
        """
        self._slow_consumers.end_reading(subscriber)
        backlog.after = after
        if data is None and backlog.stored:
            data, backlog.after, backlog.end = UNREADABLE, backlog.upto, b""
        if data is None:
            self._slow_consumers.drop(subscriber)
        elif backlog in subscriber.backlogs:
            subscriber.sending += data  # both are whole lines
            self.advance(subscriber)

    def hold_rest(self, subscriber: Subscriber, data: bytes, sent: int) -> int:
        """Hold the rest of a line that was partly sent; return the offset in `data` of the next line.

        The next lines are in the tail, which all lagging subscribers share.
        """
        if not sent or data[sent - 1] == 0x0A:
            return sent
        end = data.index(b"\n", sent) + 1
        subscriber.sending = data[sent:end]
        return end

    def _finish(self, subscriber: Subscriber) -> None:
        self._slow_consumers.unwatch(subscriber)
        if subscriber.log is not None:
            subscriber.log.mark_live(subscriber)
        if subscriber.finishing:
            subscriber.transport.end_writing()
        if subscriber.closing:
            subscriber.close()

    def _send_next(self, subscriber: Subscriber) -> bool:
        """Send one chunk. Return whether the socket took all of it, so that another one may follow."""
        if not subscriber.sending:
            subscriber.sending = self._next_chunk(subscriber)
        if not subscriber.sending:
            return self._send_log(subscriber)
        subscriber.sending = subscriber.sending[self._send(subscriber, subscriber.sending) :]
        return not subscriber.sending

    def _send(self, subscriber: Subscriber, data: bytes) -> int:
        sent = subscriber.send(data)
        if sent and not subscriber.closing:  # progress does not extend the time for closing
            subscriber.progress_at = time.monotonic()
        return sent

    def _next_chunk(self, subscriber: Subscriber) -> bytes:
        """Return the next replies or backlog lines; nothing if there are none, or they are being read."""
        if subscriber.outbox:
            chunk, rest = _cut(b"".join(subscriber.outbox))
            subscriber.outbox = [rest] if rest else []
            return chunk
        while subscriber.backlogs and not self._slow_consumers.is_reading(subscriber):
            if chunk := self._next_of_backlog(subscriber, subscriber.backlogs[0]):
                return chunk
        return b""

    def _next_of_backlog(self, subscriber: Subscriber, backlog: Backlog) -> bytes:
        """Return the next lines of a backlog, and remove it at its end. Lines that are not in memory are requested."""
        chunk, backlog.head = _cut(backlog.head)
        if backlog.head:
            return chunk
        if backlog.log is None or backlog.after >= backlog.upto:
            subscriber.backlogs.pop(0)
            chunk += backlog.end
        elif not backlog.stored and (tail := backlog.log.tail).has_all_after(backlog.after):
            lines, backlog.after = tail.read_numbered(backlog.after, min(backlog.upto, tail.seq), CHUNK_BYTES)
            chunk += lines
        elif not chunk:  # the head goes first
            self._slow_consumers.start_reading(subscriber)
            self._read_backlog(subscriber, backlog)
        return chunk

    def _send_log(self, subscriber: Subscriber) -> bool:
        """Send the next lines of the log; those that are not in its tail any more become a backlog."""
        log = subscriber.log
        if subscriber.backlogs or log is None or subscriber not in log.lagging:
            return False
        tail = log.tail
        if subscriber.offset == tail.end:
            return False
        if subscriber.offset < tail.start:
            subscriber.backlogs.append(Backlog(b"", log, subscriber.seq, tail.base_seq))
            subscriber.offset, subscriber.seq = tail.start, tail.base_seq
            return True
        data = tail.read(subscriber.offset, SEND_BYTES)
        sent = self._send(subscriber, data)
        subscriber.offset += sent if sent == len(data) else self.hold_rest(subscriber, data, sent)
        subscriber.seq = tail.seq_at(subscriber.offset)
        return sent == len(data)


def _cut(lines: bytes) -> tuple[bytes, bytes]:
    """Return the first lines, up to the one with which they have REPLY_BYTES, and the others, which can be dropped."""
    end = lines.index(b"\n", REPLY_BYTES - 1) + 1 if len(lines) > REPLY_BYTES else len(lines)
    return lines[:end], lines[end:]
