"""The sender: it brings the lines of a room to its members, and each member along from his place in the log.

A member is *in step* while he has all that was sent to his room; then what is new, the batch, goes to him with one
send. A room that was sent something just before gathers its batch until it is due. Who needs it earlier, since
something for him alone comes after it, gets it alone and is *ahead*, until the others have it, too. When a member's
socket takes no more he is *behind*: he stays at his place and gets what follows when his socket is writable again, out
of the tail in memory or, further back, out of the journal. What goes to him, in this order:

    sending  the rest of answers or of a line that his socket did not take at once
    outbox   answers
    past     stretches from before his place: the last lines on entering, what dropped out of the tail meanwhile
    log      from his place to the end of the tail

All of it belongs to the delivery thread, but for `poke`.
"""

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable

from hubbub.server.rooms.room import Backlog, Member, RoomLog

OUTBOX_BYTES = 1_048_576  # of a member's own answers; who has more unread is not reading, and goes
TOLD_BYTES = OUTBOX_BYTES // 2  # of what others tell him: they can fill that, and he does not go for it
GATHER_SECONDS = 0.01  # between two sends to a room, in which lines gather; a screen draws a picture every 16 ms
GATHER_BYTES = 65_536  # of a room, that are sent at once
CHUNK_BYTES = 262_144  # one send to a member who is behind, and what is read from the journal at once for him
PAST_STRETCHES = 16  # of rooms, each holding a tail, that wait for a member; who goes to and fro so often reads nothing
PROGRESS_SECONDS = 120.0  # without taking a byte, while there are some for him: he is gone
CLOSING_SECONDS = 5.0  # for the last bytes of one who leaves
CHECK_SECONDS = 1.0  # between two looks at these limits, only while somebody is behind


class Fanout:
    """Every line for a member is sent here; who never becomes one is told at the door why."""

    def __init__(self, fetch: Callable[[Member, Backlog], None]) -> None:
        """`fetch` has the next lines of a stretch read, and `fetched` called with them."""
        self._fetch = fetch
        self._touched: dict[RoomLog, None] = {}  # to whose batch lines came since the last `flush_all`
        self._gathering: dict[RoomLog, None] = {}  # with a batch that waits until all of these are due
        self._due = 0.0  # seconds of the monotonic clock
        self._watched: set[Member] = set()  # registered for their sockets to become writable
        self._fetching: set[Member] = set()  # for whom the journal is being read
        self._next_check = 0.0
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)

    @property
    def busy(self) -> bool:
        """Whether somebody is behind, or a batch waits."""
        return bool(self._watched or self._fetching or self._gathering)

    def poke(self) -> None:
        """Make `wait` return. Any thread."""
        with contextlib.suppress(OSError):  # it is full of reasons to return, or nobody waits any more
            self._wake_write.send(b"\0")

    def wait(self, seconds: float | None) -> None:
        """Wait for a poke, for sockets to become writable or for what gathers to be due, and send that."""
        for key, _ in self._selector.select(self._longest_wait(seconds)):
            if key.data is None:
                self._wake_read.recv(4_096)
            else:
                self.advance(key.data)
        self._flush_due()

    def _longest_wait(self, seconds: float | None) -> float | None:
        if self._gathering:
            left = max(0.0, self._due - time.monotonic())
            return left if seconds is None else min(seconds, left)
        return CHECK_SECONDS if self._watched and seconds is None else seconds

    def close(self) -> None:
        """Let go of those who are behind and of the selector. Idempotent."""
        for member in self._watched | self._fetching:
            self.give_up(member)
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()

    # --------------------------------------------------------------------------------------------- lines for a room

    def append(self, log: RoomLog, data: bytes, kept: int = 0) -> None:
        """Add lines to a room's log, of which as many are `kept`: all or none. They go out with the next flush."""
        self._touched[log] = None
        log.batch.append(data)
        log.tail.append(data, kept)

    def flush_all(self) -> None:
        """Send what was appended to any room; where something was sent just before, more may gather until it is due."""
        now = time.monotonic()
        for log in self._touched:
            if now - log.sent_at >= GATHER_SECONDS or log.unsent >= GATHER_BYTES:
                self._gathering.pop(log, None)
                self._flush(log)
            else:
                self._due = self._due if self._gathering else now + GATHER_SECONDS
                self._gathering[log] = None
        self._touched.clear()
        self._flush_due()

    def _flush_due(self) -> None:
        if self._gathering and time.monotonic() >= self._due:
            for log in self._gathering:
                self._flush(log)
            self._gathering.clear()

    def _flush(self, log: RoomLog) -> None:
        """Send the batch of a room to every member in step."""
        log.sent_at = time.monotonic()
        data = b"".join(log.batch)
        log.batch.clear()
        size = len(data)
        cut = [(member, sent) for member, send in log.in_step.items() if (sent := send(data)) != size]
        for member, sent in cut:
            missing = size - self._cut(member, data, sent)
            self._put_behind(member, log, missing)
            self._watch_or_give_up(member)
        ahead, log.ahead = log.ahead, set()
        for member in ahead:
            if member in log.behind:  # else he has gone meanwhile
                self.advance(member)
        log.tail.trim()

    def _flush_to(self, member: Member) -> None:
        """Send the batch of his room to one member alone, before something that is for him alone."""
        log = member.log
        if log is None or not log.batch:
            return
        if member in log.in_step:
            self._put_behind(member, log, log.unsent)
            self.advance(member)
        elif member in log.ahead:
            self.advance(member)

    def _put_behind(self, member: Member, log: RoomLog, missing: int) -> None:
        """Place a member before the last `missing` bytes of the tail, of which he has none."""
        log.in_step.pop(member, None)
        log.behind.add(member)
        member.log = log
        member.place = log.tail.end - missing
        member.seq = log.tail.seq_at(member.place)

    # ------------------------------------------------------------------------------------------- lines for a member

    def enter(self, member: Member, log: RoomLog, head: bytes, after: int) -> None:
        """Have a member receive a room from here on, after `head` and the lines that follow SEQ `after`."""
        if member.closed or member.transport.broken:
            return
        member.past.append(Backlog(head, log, after, log.tail.seq))
        self._put_behind(member, log, 0)
        self._bound(member)
        self.advance(member)

    def depart(self, member: Member) -> None:
        """Have a member receive no room any more; what was said before he still gets."""
        log = member.log
        if log is None:
            return
        self._flush_to(member)
        seq = member.seq if member in log.behind else log.tail.seq
        upto = max(log.tail.seq, log.kept)  # what he said just before may have to come back first
        if seq < upto:
            member.past.append(Backlog(b"", log, seq, upto))
        log.in_step.pop(member, None)
        log.behind.discard(member)
        member.log = None

    def answer(self, member: Member, data: bytes) -> None:
        """Send an answer, after all that its member was to see before it."""
        self._flush_to(member)
        if member.past:
            self._append_to_past(member, data)
        else:
            self.interject(member, data)

    def acknowledge(self, member: Member, data: bytes) -> None:
        """Send what tells a member that his lines are kept, which he has by then if he keeps up."""
        self._flush_to(member)
        self.interject(member, data)

    def tell(self, member: Member, data: bytes) -> bool:
        """Send what somebody else tells a member; return False, and do not, where he has much to read already."""
        if _unread(member) + len(data) > TOLD_BYTES:
            return False
        self.answer(member, data)
        return True

    def _append_to_past(self, member: Member, data: bytes) -> None:
        if member.past[-1].log is not None:
            member.past.append(Backlog(b""))
        member.past[-1].head += data
        self._bound(member)

    def interject(self, member: Member, data: bytes) -> None:
        """Send lines before all else, but never inside another."""
        if member.closed or member.transport.broken:
            return
        member.outbox.append(data)
        self._bound(member)
        if member not in self._watched:
            self.advance(member)

    def _bound(self, member: Member) -> None:
        if _unread(member) > OUTBOX_BYTES or sum(past.log is not None for past in member.past) > PAST_STRETCHES:
            self.give_up(member)

    def mark(self, member: Member, event: threading.Event) -> None:
        """Set `event` when a member's answers are sent, or he is given up."""
        self._flush_to(member)
        member.marks.append(event)
        self._set_marks(member)

    def fetched(self, member: Member, past: Backlog, data: bytes | None, after: int) -> None:
        """Send the lines of a stretch that were read from the journal, up to SEQ `after`.

        None, where they could not be read, ends the member's connection: he can come back for them.
        """
        self._fetching.discard(member)
        past.after = after
        if data is None:
            self.give_up(member)
        elif past in member.past:
            member.sending += data  # whole lines after whole lines
            self.advance(member)

    def finish(self, member: Member, data: bytes) -> None:
        """Send what is left, then `data`, and then the end of the stream."""
        if member.closed or member.transport.broken:
            return
        self._flush_to(member)
        member.past.append(Backlog(data))
        member.finishing = True
        self.advance(member)

    def close_member(self, member: Member) -> None:
        """Send what is left, within CLOSING_SECONDS, and close."""
        self.depart(member)
        member.closing = True
        member.progress = time.monotonic()
        self.advance(member)

    # ------------------------------------------------------------------------------------------ bringing one along

    def advance(self, member: Member) -> None:
        """Send a member what follows for him, until he has all or his socket takes no more."""
        if member.closed:
            return
        while self._send_next(member):
            pass
        self._set_marks(member)
        if self._has_all(member):
            self._arrive(member)
        elif member in self._fetching and not (member.sending or member.outbox):
            self._unwatch(member)  # `fetched` goes on
        else:
            self._hold_back(member)

    def _has_all(self, member: Member) -> bool:
        if member.sending or member.outbox or member.past or member.transport.broken:
            return False
        return member.log is None or member in member.log.in_step or member.place == member.log.tail.end

    def _arrive(self, member: Member) -> None:
        """Note that a member has everything: he is in step from here on, or at his end."""
        self._unwatch(member)
        log = member.log
        if log is not None and log.batch and member in log.behind:
            log.ahead.add(member)  # he has the batch, and those in step do not yet
        elif log is not None and member in log.behind:
            log.behind.discard(member)
            log.in_step[member] = member.send
        if member.finishing:
            member.transport.end_writing()
        if member.closing:
            release(member)

    def _hold_back(self, member: Member) -> None:
        """Keep new lines from a member until his socket takes what is before them."""
        log = member.log
        if log is not None and member in log.in_step:
            self._put_behind(member, log, log.unsent)
        self._watch_or_give_up(member)

    def _send_next(self, member: Member) -> bool:
        """Send one chunk. Return whether the socket took all of it, so that there may be another."""
        if not member.sending:
            member.sending = self._next_chunk(member)
        if not member.sending:
            return self._send_tail(member)
        member.sending = member.sending[self._send(member, member.sending) :]
        return not member.sending

    def _send(self, member: Member, data: bytes) -> int:
        sent = member.send(data)
        if sent and not member.closing:  # who closes has no more time for each byte that he takes
            member.progress = time.monotonic()
        return sent

    def _next_chunk(self, member: Member) -> bytes:
        """Return the next answers, or lines of the past; none if there are none, or they are being fetched."""
        if member.outbox:
            answers, member.outbox = member.outbox, []
            return b"".join(answers)
        while member.past and member not in self._fetching:
            if chunk := self._next_of_past(member, member.past[0]):
                return chunk
        return b""

    def _next_of_past(self, member: Member, past: Backlog) -> bytes:
        """Return what is next of a stretch, and drop it when that is the last; what is not in memory is fetched."""
        chunk, past.head = past.head, b""
        if past.log is None or past.after >= past.upto:
            member.past.pop(0)
        elif past.log.tail.holds(past.after):
            lines, past.after = past.log.tail.kept(past.after, min(past.upto, past.log.tail.seq), CHUNK_BYTES)
            chunk += lines
        elif not chunk:  # what is here goes first
            self._fetching.add(member)
            self._fetch(member, past)
        return chunk

    def _send_tail(self, member: Member) -> bool:
        """Send the next lines of the tail; those that have dropped out of it become a stretch of the past."""
        log = member.log
        if member.past or log is None or member not in log.behind or member.place == log.tail.end:
            return False
        if member.place < log.tail.start:
            member.past.append(Backlog(b"", log, member.seq, log.tail.floor))
            member.place, member.seq = log.tail.start, log.tail.floor
            return True
        data = log.tail.read(member.place, CHUNK_BYTES)
        sent = self._send(member, data)
        member.place += sent if sent == len(data) else self._cut(member, data, sent)
        member.seq = log.tail.seq_at(member.place)
        return sent == len(data)

    def _cut(self, member: Member, data: bytes, sent: int) -> int:
        """Return how many bytes of `data` are done with: those sent, and the rest of a cut line, which goes first now.

        Only that rest is held: what follows it is in the tail, once for all who are behind.
        """
        if not sent or data[sent - 1] == 0x0A:
            return sent
        end = data.index(b"\n", sent) + 1
        member.sending = data[sent:end]
        return end

    # --------------------------------------------------------------------------------------- watching and giving up

    def _watch_or_give_up(self, member: Member) -> None:
        if member.transport.broken:
            self.give_up(member)
        elif member not in self._watched:
            member.progress = time.monotonic()
            self._watched.add(member)
            self._selector.register(member.transport, selectors.EVENT_WRITE, member)

    def _unwatch(self, member: Member) -> None:
        if member in self._watched:
            self._watched.discard(member)
            self._selector.unregister(member.transport)

    def check_limits(self) -> None:
        """Give those up who have taken nothing for too long."""
        now = time.monotonic()
        if not self._watched or now < self._next_check:
            return
        self._next_check = now + CHECK_SECONDS
        for member in list(self._watched):
            limit = CLOSING_SECONDS if member.closing else PROGRESS_SECONDS
            if now - member.progress > limit:
                self.give_up(member)

    def give_up(self, member: Member) -> None:
        """Send a member nothing more; his session's thread, woken, lets him leave."""
        member.transport.broken = True
        self._unwatch(member)
        self._fetching.discard(member)
        member.sending, member.outbox, member.past = b"", [], []
        if member.log is not None:
            member.log.in_step.pop(member, None)
            member.log.behind.discard(member)
            member.log = None
        self._set_marks(member)
        member.transport.end_reading()
        if member.closing:
            release(member)

    def _set_marks(self, member: Member) -> None:
        if member.sending or member.outbox or member.past:
            return
        for event in member.marks:
            event.set()
        member.marks = []


def _unread(member: Member) -> int:
    """Return how many bytes of answers wait for a member."""
    return sum(map(len, member.outbox)) + sum(len(past.head) for past in member.past)


def release(member: Member) -> None:
    """Close a member's transport, once."""
    if not member.closed:
        member.closed = True
        member.transport.close()
