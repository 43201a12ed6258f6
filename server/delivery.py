"""The delivery thread: it numbers what is said, keeps it, and sends it, and it alone sends.

Whatever is for a client is an entry in one queue, so a client sees everything in the order in which it happened. The
thread takes all that is queued, keeps the lines of the whole batch in the journal, and then carries out entry by entry;
the lines of a room gather meanwhile and go to each member in step with one send. While it sends, more entries gather,
so the busier the room, the fewer system calls a line costs. A member whose socket takes no more falls behind: he stays
at his place in the log and gets what follows when his socket is writable again.

    start -> _run -> _wait -> _advance (a member who is behind)
                  -> _deliver -> _number, journal.append, _carry_out -> _flush -> _fall_behind
"""

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loguru import logger

from protocol import HISTORY_LINES, Acted, Entered, Event, Gap, Said
from server.journal import Journal, KeptEvent, KeptLine
from server.room import Member, Past, Room, RoomLog, TailLine

PENDING_LINES = 1_000  # of a room, not yet taken by the delivery thread; a session with more waits before it reads on
OUTBOX_BYTES = 1_048_576  # of a member's own answers; who has more unread is not reading, and goes
CHUNK_BYTES = 262_144  # one send to a member who is behind
CHUNK_LINES = 100  # read from the journal at once
IDLE_LOGS = 100  # logs of rooms that nobody is in, held so that a room left for a moment is still warm
PROGRESS_SECONDS = 120.0  # without taking a byte, while there are some for him: he is gone
CLOSING_SECONDS = 5.0  # for the last bytes of one who leaves
CHECK_SECONDS = 1.0  # between two looks at these limits, only while somebody is behind


@dataclass(slots=True)
class Post:
    """Something said in a room, not yet numbered."""

    room: Room
    kind: type[Said | Acted]
    name: str
    color: str
    text: str
    event: KeptEvent | None = None  # given by the delivery thread, with SEQ and TIME
    data: bytes = b""


@dataclass(slots=True)
class Show:
    """A line for everybody in a room that is not kept: who came, went or has a new name."""

    room: Room
    event: Event


@dataclass(slots=True)
class Enter:
    """`member` receives `room` from here on, after `/entered` and the last lines before it."""

    member: Member
    room: Room
    people: int


@dataclass(slots=True)
class Depart:
    """`member` receives no room any more."""

    member: Member


@dataclass(slots=True)
class Answer:
    """Lines for `member` alone."""

    member: Member
    data: bytes


@dataclass(slots=True)
class Mark:
    """Set `event` when all that was queued for `member` before is carried out and his answers are sent."""

    member: Member
    event: threading.Event


@dataclass(slots=True)
class Finish:
    """`member` gets what is left, then `data`, and then the end of the stream."""

    member: Member
    data: bytes


@dataclass(slots=True)
class Close:
    """`member`'s session has read its last: send what is left, within CLOSING_SECONDS, and close."""

    member: Member


Entry = Post | Show | Enter | Depart | Answer | Mark | Finish | Close


class Delivery:
    """Owns every send. Its public methods are for any thread. Lock order: the registry's, then this one's."""

    def __init__(
        self,
        journal: Journal,
        *,
        on_failure: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`on_failure` is called on the delivery thread if it dies of a bug; `clock` gives seconds since 1970."""
        self._journal = journal
        self._on_failure = on_failure
        self._clock = clock
        self._lock = threading.Lock()  # guards the six below
        self._space = threading.Condition(self._lock)  # told when the queue was taken
        self._queue: list[Entry] = []
        self._counts: dict[str, int] = {}  # posts in the queue, by room
        self._asleep = False
        self._stopping: float | None = None  # the monotonic time by which all must be sent
        self._over = False  # nothing is carried out any more
        # From here on the delivery thread's own.
        self._logs: dict[str, RoomLog] = {}
        self._forget_at = IDLE_LOGS
        self._touched: list[RoomLog] = []  # with lines in their batch
        self._watched: set[Member] = set()  # registered for their sockets to become writable
        self._next_check = 0.0
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="delivery")  # joined by stop
        self._steps: dict[type, Callable[..., None]] = {
            Post: self._post,
            Show: self._show,
            Enter: self._enter,
            Depart: self._depart,
            Answer: self._answer,
            Mark: self._mark,
            Finish: self._finish,
            Close: self._close,
        }

    # ---------------------------------------------------------------------------------------------------- any thread

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Carry out all that is queued, send for at most `seconds`, close every channel and join. Idempotent."""
        with self._lock:
            if self._stopping is None:
                self._stopping = time.monotonic() + seconds
            self._space.notify_all()
        if self._thread.ident is not None:  # it was started
            self.wake()
            self._thread.join()
        self._release()

    def queue(self, *entries: Entry) -> None:
        """Add `entries`; the caller, who may hold the registry's lock, calls `wake` when he holds it no more."""
        with self._lock:
            self._queue.extend(entries)

    def wake(self) -> None:
        """See to it that what is queued is carried out soon."""
        with self._lock:
            asleep, self._asleep = self._asleep, False
        if asleep:
            self._poke()

    def post(self, *entries: Entry) -> None:
        """Queue and wake."""
        self.queue(*entries)
        self.wake()

    def say(self, posts: Sequence[Post]) -> None:
        """Queue `posts`, all for one room, waiting first while that room has PENDING_LINES pending."""
        key = posts[0].room.key
        with self._lock:
            while self._counts.get(key, 0) >= PENDING_LINES and self._stopping is None:
                self._space.wait()
            self._counts[key] = self._counts.get(key, 0) + len(posts)
            self._queue.extend(posts)
            asleep, self._asleep = self._asleep, False
        if asleep:
            self._poke()

    def settle(self, member: Member, seconds: float = PROGRESS_SECONDS) -> None:
        """Wait until all that was queued for `member` is carried out and his answers are sent, or he is gone.

        Raises TimeoutError after `seconds`.
        """
        event = threading.Event()
        self.post(Mark(member, event))
        with self._lock:
            over = self._over
        if not over and not event.wait(seconds):
            raise TimeoutError(f"nothing was taken for {seconds} s")

    def _poke(self) -> None:
        with contextlib.suppress(OSError):  # it is full of reasons to wake up, or the thread woke, ended and closed it
            self._wake_write.send(b"\0")

    # --------------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            while not self._is_over():
                self._wait()
                self._deliver(self._take())
                self._check_limits()
        except Exception:  # noqa: BLE001  # a bug: tell all, and end the server rather than leave it mute
            logger.exception("the delivery thread failed")
            self._on_failure()
        finally:
            self._release()

    def _is_over(self) -> bool:
        with self._lock:
            if self._stopping is None or self._queue:
                return False
            return not self._watched or time.monotonic() > self._stopping

    def _wait(self) -> None:
        """Wait for entries or for a socket to become writable, and see to those sockets."""
        with self._lock:
            self._asleep = not self._queue
            if self._queue or self._stopping is not None:
                timeout: float | None = 0.0 if self._queue else 0.05
            else:
                timeout = CHECK_SECONDS if self._watched else None
        if not self._watched and timeout == 0.0:
            return
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                self._wake_read.recv(4_096)
            else:
                self._advance(key.data)

    def _take(self) -> list[Entry]:
        with self._lock:
            self._asleep = False
            entries, self._queue = self._queue, []
            if self._counts:
                self._counts = {}
                self._space.notify_all()
        return entries

    def _deliver(self, entries: list[Entry]) -> None:
        """Keep what was said, then carry out every entry in order."""
        posts = [entry for entry in entries if type(entry) is Post]
        if posts:
            self._journal.append(self._number(posts))
        for entry in entries:
            self._steps[type(entry)](entry)
        for log in self._touched:
            self._flush(log)
        self._touched.clear()
        self._forget_idle_logs()

    def _number(self, posts: list[Post]) -> list[KeptLine]:
        """Give each post its SEQ and TIME."""
        now = int(self._clock() * 1000)
        lines = []
        for post in posts:
            log = self._log_of(post.room)
            log.number += 1
            event = post.kind(post.room.name, log.number, now, post.name, post.color, post.text)
            post.event, post.data = event, event.encode()
            lines.append(KeptLine(log.key, event, len(post.data)))
        return lines

    def _log_of(self, room: Room) -> RoomLog:
        log = self._logs.get(room.key)
        if log is None:
            log = self._logs[room.key] = RoomLog(room.key, room.name, self._journal.last(room.key))
        return log

    def _forget_idle_logs(self) -> None:
        if len(self._logs) <= self._forget_at:
            return
        idle = [key for key, log in self._logs.items() if not log.in_step and not log.behind]
        for key in idle[:-IDLE_LOGS]:
            del self._logs[key]
        self._forget_at = 2 * len(self._logs) + IDLE_LOGS  # so that looking through them stays rare

    # --------------------------------------------------------------------------------------------- entry by entry

    def _post(self, entry: Post) -> None:
        assert entry.event is not None  # noqa: S101  # _number gave it
        self._append(self._logs[entry.room.key], entry.data, entry.event.seq)

    def _show(self, entry: Show) -> None:
        self._append(self._log_of(entry.room), entry.event.encode(), None)

    def _append(self, log: RoomLog, data: bytes, seq: int | None) -> None:
        if not log.batch:
            self._touched.append(log)
        log.batch.append(log.tail.append(data, seq))

    def _enter(self, entry: Enter) -> None:
        member, log = entry.member, self._log_of(entry.room)
        if member.closed or member.outlet.broken:
            return
        self._flush(log)
        log.name = entry.room.name
        last = log.tail.seq
        head = Entered(log.name, last, entry.people, "-").encode()
        member.past.append(Past(head, log, max(0, last - HISTORY_LINES), last))
        self._put_behind(member, log, log.tail.end, last)
        self._advance(member)

    def _depart(self, entry: Depart) -> None:
        member, log = entry.member, entry.member.log
        if log is None:
            return
        self._flush(log)
        if member in log.behind:
            self._leave_place(member, log)
        log.in_step.pop(member, None)
        log.behind.discard(member)
        member.log = None

    def _leave_place(self, member: Member, log: RoomLog) -> None:
        """Let a member who is behind in a room that he leaves still get what was said in it before."""
        if member.seq < log.tail.seq:
            member.past.append(Past(b"", log, member.seq, log.tail.seq))

    def _answer(self, entry: Answer) -> None:
        member = entry.member
        if member.closed or member.outlet.broken:
            return
        if member.log is not None:
            self._flush(member.log)  # what he saw before his answer comes before his answer
        if member.past:  # the answer to what came after `/entered` comes after it
            member.past.append(Past(entry.data))
        else:
            member.outbox.append(entry.data)
        if unread_bytes(member) > OUTBOX_BYTES:
            self._break(member)
        elif member not in self._watched:
            self._advance(member)

    def _mark(self, entry: Mark) -> None:
        if entry.member.log is not None:
            self._flush(entry.member.log)
        entry.member.marks.append(entry.event)
        self._set_marks(entry.member)

    def _finish(self, entry: Finish) -> None:
        entry.member.past.append(Past(entry.data))
        entry.member.finishing = True
        self._advance(entry.member)

    def _close(self, entry: Close) -> None:
        entry.member.closing = True
        entry.member.progress = time.monotonic()
        self._advance(entry.member)

    # --------------------------------------------------------------------------------------------------- sending

    def _flush(self, log: RoomLog) -> None:
        """Send the batch of a room to every member in step."""
        if not log.batch:
            return
        batch, log.batch = log.batch, []
        data = b"".join([line.data for line in batch])
        size = len(data)
        cut = [(member, sent) for member, send in log.in_step.items() if (sent := send(data)) != size]
        for member, sent in cut:
            self._fall_behind(member, log, batch, data, sent)

    def _fall_behind(self, member: Member, log: RoomLog, batch: list[TailLine], data: bytes, sent: int) -> None:
        """Note where a member stands who took only `sent` bytes of `data`, the last lines of the tail."""
        if member.outlet.broken:
            self._break(member)
            return
        done = self._cut(member, data, sent)
        seq = batch[done - 1].seq if done else batch[0].seq - batch[0].kept
        self._put_behind(member, log, log.tail.end - len(batch) + done, seq)
        self._watch(member)

    def _cut(self, member: Member, data: bytes, sent: int) -> int:
        """Return how many lines of `data` are done with: those sent, and a cut one whose rest goes first now."""
        lines = data.count(b"\n", 0, sent)
        if sent and data[sent - 1] != 0x0A:
            end = data.index(b"\n", sent) + 1
            member.outbox.insert(0, data[sent:end])
            lines += 1
        return lines

    def _put_behind(self, member: Member, log: RoomLog, place: int, seq: int) -> None:
        log.in_step.pop(member, None)
        log.behind.add(member)
        member.log, member.place, member.seq = log, place, seq

    def _advance(self, member: Member) -> None:
        """Send a member what follows for him, until he has all or his socket takes no more."""
        if member.closed:
            return
        while self._send_next(member):
            pass
        self._set_marks(member)
        if member.outlet.broken:
            self._break(member)
        elif self._has_all(member):
            self._arrive(member)
        else:
            self._watch(member)
        if member.closing and (member not in self._watched):
            self._release_member(member)

    def _has_all(self, member: Member) -> bool:
        if member.outbox or member.past:
            return False
        return member.log is None or member in member.log.in_step or member.place == member.log.tail.end

    def _arrive(self, member: Member) -> None:
        """Note that a member has everything: he is in step from here on, or at his end."""
        self._unwatch(member)
        log = member.log
        if log is not None and member in log.behind:
            self._flush(log)  # the batch is behind him already, but not yet behind those in step
            log.behind.discard(member)
            log.in_step[member] = member.send
        if member.finishing:
            member.outlet.end_writing()

    def _send_next(self, member: Member) -> bool:
        """Send one chunk. Return whether the socket took all of it, so that there may be another."""
        if member.outbox:
            return self._send_outbox(member)
        if member.past:
            return self._send_past(member, member.past[0])
        log = member.log
        if log is None or member not in log.behind or member.place == log.tail.end:
            return False
        return self._send_tail(member, log)

    def _send(self, member: Member, data: bytes) -> int:
        sent = member.send(data)
        if sent:
            member.progress = time.monotonic()
        return sent

    def _send_outbox(self, member: Member) -> bool:
        data = b"".join(member.outbox)
        sent = self._send(member, data)
        member.outbox = [data[sent:]] if sent < len(data) else []
        return not member.outbox

    def _send_past(self, member: Member, past: Past) -> bool:
        """Send the next lines of a stretch; they go by way of the outbox, since they are few."""
        member.outbox.append(past.head + self._read_past(past))
        past.head = b""
        if past.after >= past.upto:
            member.past.pop(0)
        return self._send_outbox(member)

    def _read_past(self, past: Past) -> bytes:
        """Return the next lines of a stretch and move its start behind them; what is no longer kept is a gap."""
        log, after = past.log, past.after
        if log is None or after >= past.upto:
            return b""
        if after >= log.tail.floor:
            past.after = past.upto
            return b"".join(log.tail.kept(after, past.upto))
        events = self._journal.read(log.key, after, past.upto, CHUNK_LINES)
        past.after = events[-1].seq if len(events) == CHUNK_LINES else past.upto
        return b"".join(event.encode() for event in with_gaps(log.name, events, after, past.after))

    def _send_tail(self, member: Member, log: RoomLog) -> bool:
        if member.place < log.tail.start:
            member.past.append(Past(b"", log, member.seq, log.tail.floor))
            member.place, member.seq = log.tail.start, log.tail.floor
            return True
        lines = log.tail.read(member.place, CHUNK_BYTES)
        data = b"".join([line.data for line in lines])
        sent = self._send(member, data)
        done = len(lines) if sent == len(data) else self._cut(member, data, sent)
        if done:
            member.place, member.seq = member.place + done, lines[done - 1].seq
        return sent == len(data)

    # --------------------------------------------------------------------------------------- watching and ending

    def _watch(self, member: Member) -> None:
        if member not in self._watched:
            member.progress = time.monotonic()
            self._watched.add(member)
            self._selector.register(member.outlet, selectors.EVENT_WRITE, member)

    def _unwatch(self, member: Member) -> None:
        if member in self._watched:
            self._watched.discard(member)
            self._selector.unregister(member.outlet)

    def _check_limits(self) -> None:
        """Let go of those who have taken nothing for too long."""
        now = time.monotonic()
        if not self._watched or now < self._next_check:
            return
        self._next_check = now + CHECK_SECONDS
        for member in list(self._watched):
            limit = CLOSING_SECONDS if member.closing else PROGRESS_SECONDS
            if now - member.progress > limit:
                self._break(member)

    def _break(self, member: Member) -> None:
        """Give a member up: he gets nothing more, and his session's thread, woken, lets him leave."""
        member.outlet.broken = True
        self._unwatch(member)
        member.outbox, member.past = [], []
        if member.log is not None:
            member.log.in_step.pop(member, None)
            member.log.behind.discard(member)
            member.log = None
        self._set_marks(member)
        member.outlet.end_reading()
        if member.closing:
            self._release_member(member)

    def _set_marks(self, member: Member) -> None:
        """Tell those who wait for it that a member's answers are sent, where that is so."""
        if member.outbox or member.past:
            return
        for event in member.marks:
            event.set()
        member.marks = []

    def _release_member(self, member: Member) -> None:
        if not member.closed:
            member.closed = True
            member.outlet.close()

    def _release(self) -> None:
        """Let go of everybody. Called when the thread ends, and once more after it for latecomers."""
        with self._lock:
            self._over = True
            self._stopping = self._stopping or time.monotonic()
            entries, self._queue = self._queue, []
            self._asleep = False
            self._space.notify_all()
        for member in list(self._watched):
            self._break(member)
        for entry in entries:
            if isinstance(entry, Mark):
                entry.event.set()
            elif isinstance(entry, Close):
                self._release_member(entry.member)
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()


def unread_bytes(member: Member) -> int:
    """Return how many bytes of answers wait for a member."""
    return sum(map(len, member.outbox)) + sum(len(past.head) for past in member.past)


def with_gaps(room: str, events: Sequence[KeptEvent], after: int, upto: int) -> list[Event]:
    """Return `events` with a Gap wherever a SEQ with after < SEQ <= upto is missing among them."""
    shown: list[Event] = []
    for event in events:
        if event.seq > after + 1:
            shown.append(Gap(room, after + 1, event.seq - 1))
        shown.append(event)
        after = event.seq
    if after < upto:
        shown.append(Gap(room, after + 1, upto))
    return shown
