"""The delivery thread: it numbers what is said, keeps it, and sends it, and it alone sends.

Whatever is for a client is an entry in one queue, so a client sees everything in the order in which it happened. The
thread takes all that is queued, keeps the lines of the whole batch in the journal, and then carries out entry by entry;
the lines of a room gather meanwhile and go to each member in step with one send. While it sends, more entries gather,
so the busier the room, the fewer system calls a line costs. A member whose socket takes no more falls behind: he stays
at his place in the log and gets what follows when his socket is writable again.

    start -> _run -> _wait -> _advance (a member who is behind)
                  -> _work -> _prepare -> _number
                           -> _keep -> journal.append
                           -> _carry_out -> the entry's own step -> _flush -> _fall_behind
"""

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loguru import logger

from protocol import HISTORY_LINES, Ack, Entered, Gap, Notice, Refused, Welcome
from server.entries import (
    Answer,
    Close,
    Depart,
    Enter,
    Entry,
    Fetched,
    Finish,
    Greet,
    Keep,
    Mark,
    Post,
    Refuse,
    Show,
)
from server.journal import Journal, JournalError, KeptLine, SessionRow
from server.past_reader import PastReader
from server.room import Member, Past, Room, RoomLog, SessionState, TailLine

PENDING_LINES = 1_000  # of a room, not yet taken by the delivery thread; a session with more waits before it reads on
OUTBOX_BYTES = 1_048_576  # of a member's own answers; who has more unread is not reading, and goes
CHUNK_BYTES = 262_144  # one send to a member who is behind
CHUNK_LINES = 500  # read from the journal at once for one who is far behind
IDLE_LOGS = 100  # logs of rooms that nobody is in, held so that a room left for a moment is still warm
PROGRESS_SECONDS = 120.0  # without taking a byte, while there are some for him: he is gone
CLOSING_SECONDS = 5.0  # for the last bytes of one who leaves
CHECK_SECONDS = 1.0  # between two looks at these limits, only while somebody is behind
RETRY_SECONDS = 0.5  # between two tries to write a journal that could not be written
STALLED = "the server cannot write its journal just now; what you say is held and will be said when it can"
RECOVERED = "the server can write its journal again; what was held is being said"


@dataclass(slots=True)
class Batch:
    """What was taken from the queue at once, and what of it goes to the journal in one transaction."""

    entries: list[Entry]
    lines: list[KeptLine]
    sessions: list[SessionRow]
    ended: list[bytes]
    acks: dict[Member, int]  # the highest number to acknowledge


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
        self._unkept: Batch | None = None  # what the journal could not take; everything else waits behind it
        self._later: list[Entry] = []  # what came since
        self._retry_at = 0.0
        self._watched: set[Member] = set()  # registered for their sockets to become writable
        self._next_check = 0.0
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._past_reader = PastReader(journal)
        self._thread = threading.Thread(target=self._run, name="delivery")  # joined by stop
        self._steps: dict[type, Callable[..., None]] = {
            Post: self._post,
            Refuse: self._refuse,
            Keep: lambda _: None,  # _prepare has seen to it
            Greet: self._greet,
            Show: self._show,
            Enter: self._enter,
            Depart: self._depart,
            Answer: self._answer,
            Mark: self._mark,
            Finish: self._finish,
            Close: self._close,
            Fetched: self._fetched,
        }

    # ---------------------------------------------------------------------------------------------------- any thread

    def start(self) -> None:
        """Start the thread, and the one that reads the past for it."""
        self._past_reader.start()
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
        self._past_reader.stop()
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
                self._work()
                self._check_limits()
        except Exception:  # noqa: BLE001  # a bug: tell all, and end the server rather than leave it mute
            logger.exception("the delivery thread failed")
            self._on_failure()
        finally:
            self._release()

    def _is_over(self) -> bool:
        with self._lock:
            if self._stopping is None:
                return False
            idle = not (self._queue or self._watched or self._unkept)
            return idle or time.monotonic() > self._stopping

    def _wait(self) -> None:
        """Wait for entries or for a socket to become writable, and see to those sockets."""
        with self._lock:
            self._asleep = not self._queue
            timeout = 0.0 if self._queue else self._longest_wait()
        if not self._watched and timeout == 0.0:
            return
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                self._wake_read.recv(4_096)
            else:
                self._advance(key.data)

    def _longest_wait(self) -> float | None:
        """How many seconds may pass before something is to be done even if nothing comes."""
        if self._stopping is not None:
            return 0.05
        if self._unkept is not None:
            return RETRY_SECONDS
        return CHECK_SECONDS if self._watched else None

    def _take(self) -> list[Entry]:
        with self._lock:
            self._asleep = False
            entries, self._queue = self._queue, []
            if self._counts and self._unkept is None:
                self._counts = {}
                self._space.notify_all()
        return entries

    def _work(self) -> None:
        """Keep what is queued, and then carry it out. What cannot be kept holds up all but answers."""
        entries = self._take()
        if self._unkept is not None:
            self._later += self._let_answers_pass(entries)
            if not self._keep(self._unkept):
                return
            entries, self._later = self._later, []
        if entries:
            batch = self._prepare(entries)
            if not self._keep(batch):
                self._unkept = batch

    def _let_answers_pass(self, entries: list[Entry]) -> list[Entry]:
        """Carry out what needs no journal, and return the rest."""
        for entry in entries:
            if isinstance(entry, Answer | Mark | Fetched):
                self._steps[type(entry)](entry)
        return [entry for entry in entries if not isinstance(entry, Answer | Mark | Fetched)]

    def _keep(self, batch: Batch) -> bool:
        """Write a batch to the journal and carry it out. Return False if the journal cannot be written."""
        stalled = self._unkept is not None
        if stalled and time.monotonic() < self._retry_at:
            return False
        try:
            if batch.lines or batch.sessions or batch.ended:
                self._journal.append(batch.lines, batch.sessions, batch.ended)
        except JournalError as error:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            if not stalled:
                logger.error("{}; what is said is held until it can", error)
                self._tell_everybody(STALLED)
            return False
        self._unkept = None
        if stalled:
            logger.info("the journal can be written again")
            self._tell_everybody(RECOVERED)
        self._carry_out(batch)
        return True

    def _tell_everybody(self, text: str) -> None:
        for log in self._logs.values():
            if log.in_step or log.behind:
                self._append(log, Notice(text).encode(), None)
        self._flush_touched()

    def _carry_out(self, batch: Batch) -> None:
        for entry in batch.entries:
            self._steps[type(entry)](entry)
        self._flush_touched()
        for member, number in batch.acks.items():
            self._send_soon(member, Ack(number).encode())
        self._forget_idle_logs()

    def _flush_touched(self) -> None:
        for log in self._touched:
            self._flush(log)
        self._touched.clear()

    def _prepare(self, entries: list[Entry]) -> Batch:
        """Give what was said its numbers, and gather what is to be kept."""
        batch = Batch(entries, [], [], [], {})
        now = int(self._clock() * 1000)
        changed: dict[SessionState, None] = {}
        for entry in entries:
            if type(entry) is Post:
                if entry.member is None or self._is_new(entry.member, entry.number, changed):
                    self._number(entry, now, batch)
                if entry.member is not None:
                    batch.acks[entry.member] = accepted(entry.member)
            elif type(entry) is Refuse:
                entry.stands = self._is_new(entry.member, entry.number, changed)
                if not entry.stands:
                    batch.acks[entry.member] = accepted(entry.member)
            elif type(entry) is Keep:
                state = entry.state
                state.name, state.color, state.room, state.ended = entry.name, entry.color, entry.room, entry.ended
                changed[state] = None
        for state in changed:
            if state.ended:
                batch.ended.append(state.token_hash)
            else:
                row = SessionRow(state.token_hash, state.name, state.color, state.room, state.accepted, now)
                batch.sessions.append(row)
        return batch

    def _is_new(self, member: Member, number: int, changed: dict[SessionState, None]) -> bool:
        """Take a member's numbered post, or return False if it was taken already."""
        if number <= accepted(member):
            return False
        assert member.state is not None  # accepted has looked
        member.state.accepted = number
        changed[member.state] = None
        return True

    def _number(self, post: Post, now: int, batch: Batch) -> None:
        """Give a post its SEQ and TIME."""
        log = self._log_of(post.room)
        log.number += 1
        post.seq = log.number
        post.data = post.kind.pack(log.name, log.number, now, post.name, post.color, post.text)
        batch.lines.append(KeptLine(log.key, log.name, log.number, now, post.data))

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
        if entry.seq:
            self._append(self._logs[entry.room.key], entry.data, entry.seq)

    def _refuse(self, entry: Refuse) -> None:
        if entry.stands:
            self._send_in_order(entry.member, Refused(entry.number, entry.code, entry.text).encode())

    def _greet(self, entry: Greet) -> None:
        welcome = Welcome(entry.name, entry.color, entry.token, accepted(entry.member))
        self._send_in_order(entry.member, welcome.encode())

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
        last = log.tail.seq
        after = max(0, last - HISTORY_LINES) if entry.after is None else min(entry.after, last)
        head = Entered(log.name, last, entry.people, "-").encode()
        member.past.append(Past(head, log, after, last))
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
        self._send_in_order(entry.member, entry.data)

    def _send_in_order(self, member: Member, data: bytes) -> None:
        """Send an answer after all that its member was to see before it."""
        if member.log is not None:
            self._flush(member.log)
        if member.past:
            member.past.append(Past(data))
            self._bound(member)
        else:
            self._send_soon(member, data)

    def _send_soon(self, member: Member, data: bytes) -> None:
        """Send `data` before all else, but never inside a line."""
        if member.closed or member.outlet.broken:
            return
        member.outbox.append(data)
        self._bound(member)
        if member not in self._watched:
            self._advance(member)

    def _bound(self, member: Member) -> None:
        if unread_bytes(member) > OUTBOX_BYTES:
            self._break(member)

    def _mark(self, entry: Mark) -> None:
        if entry.member.log is not None:
            self._flush(entry.member.log)
        entry.member.marks.append(entry.event)
        self._set_marks(entry.member)

    def _fetched(self, entry: Fetched) -> None:
        member, past = entry.member, entry.past
        past.fetching, past.after = False, entry.after
        if past in member.past:
            member.outbox.append(entry.data)
            if past.after >= past.upto:
                member.past.remove(past)
            self._advance(member)

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
        elif member.past and member.past[0].fetching and not member.outbox:
            self._unwatch(member)  # _fetched goes on
        else:
            self._watch(member)

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
        if member.closing:
            self._release_member(member)

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
        """Send what is next of a stretch, by way of the outbox; what is no longer in memory is fetched first."""
        if past.fetching:
            return False
        member.outbox.append(past.head)
        past.head = b""
        log = past.log
        if log is not None and past.after < past.upto:
            if past.after < log.tail.floor:
                self._fetch(member, log, past)
                return self._send_outbox(member)
            member.outbox += log.tail.kept(past.after, past.upto)
        member.past.pop(0)
        return self._send_outbox(member)

    def _fetch(self, member: Member, log: RoomLog, past: Past) -> None:
        """Have the next lines of a stretch read from the journal; they come back as an entry."""
        past.fetching = True
        after, upto = past.after, past.upto

        def done(lines: list[KeptLine]) -> None:
            reached = lines[-1].seq if len(lines) == CHUNK_LINES else upto
            data = b"".join(with_gaps(log.name, lines, after, reached))
            self.post(Fetched(member, past, data, reached))

        self._past_reader.fetch(log.key, after, upto, CHUNK_LINES, done)

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
        if self._unkept is not None:
            lines = len(self._unkept.lines) + sum(isinstance(entry, Post) for entry in self._later)
            logger.error("{} lines could not be kept and were not said", lines)
        entries = [*(self._unkept.entries if self._unkept else ()), *self._later, *entries]
        self._unkept, self._later = None, []
        for entry in entries:
            if isinstance(entry, Mark):
                entry.event.set()
            elif isinstance(entry, Close):
                self._release_member(entry.member)
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()


def accepted(member: Member) -> int:
    """Return the number of a member's last post that was taken."""
    assert member.state is not None  # whoever has a name has one
    return member.state.accepted


def unread_bytes(member: Member) -> int:
    """Return how many bytes of answers wait for a member."""
    return sum(map(len, member.outbox)) + sum(len(past.head) for past in member.past)


def with_gaps(room: str, lines: Sequence[KeptLine], after: int, upto: int) -> list[bytes]:
    """Return the kept `lines` as they go out, with a Gap wherever a SEQ with after < SEQ <= upto is missing."""
    shown: list[bytes] = []
    for line in lines:
        if line.seq > after + 1:
            shown.append(Gap(room, after + 1, line.seq - 1).encode())
        shown.append(line.data)
        after = line.seq
    if after < upto:
        shown.append(Gap(room, after + 1, upto).encode())
    return shown
