"""The delivery thread: it numbers what is said, keeps it, and has it sent; nothing is sent that is not kept.

Whatever is for a client is an entry in one queue, so everything happens in one order. The thread takes all that is
queued, keeps the lines of the whole batch in the journal, and then carries out entry by entry; the lines of a room
gather meanwhile and go out together. While they are sent, more entries gather, so the busier the room, the fewer system
calls a line costs.

    start -> _run -> Fanout.wait, which brings along those who are behind
                  -> _work -> _prepare
                           -> _keep -> Sequencer.keep -> journal.append
                           -> _carry_out -> the entry's own step -> Fanout
"""

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loguru import logger

from hubbub.protocol import HISTORY_LINES, Ack, Entered, Gap, Notice, Refused, Welcome
from hubbub.server.delivery.actions import (
    Action,
    BacklogRead,
    Broadcast,
    CloseSubscriber,
    DeliverPrivately,
    Finish,
    FlushMarker,
    ForgetHistory,
    Post,
    Publish,
    RefusePost,
    Reply,
    SendWelcome,
    StoreSession,
    Subscribe,
    Unsubscribe,
)
from hubbub.server.delivery.fanout import CHUNK_BYTES, Fanout, release
from hubbub.server.delivery.sequencer import Sequencer
from hubbub.server.journal.history_reader import HistoryReader
from hubbub.server.journal.journal import Journal, JournalError, Page, SessionRow
from hubbub.server.rooms.room import Backlog, Member, Room, RoomLog, SessionState

PENDING_LINES = 1_000  # of a room, not yet taken by the delivery thread; a session with more waits before it reads on
PENDING_LINES_OF_ALL = 50_000  # of all rooms together: a thousand of them could else hold 100 MB for seconds
PENDING_ENTRIES = 100_000  # of all kinds, queued or held; a session with something to do waits while there are more
BATCH_LINES = 10_000  # kept at once, or other entries, some 20 ms: nobody gets the first before the last is kept
IDLE_LOGS = 100  # logs of rooms that nobody is in, held so that a room left for a moment is still warm
STOP_CHECK_SECONDS = 0.05  # between two looks whether all is sent, only while stopping
RETRY_SECONDS = 0.5  # between two tries to write a journal that could not be written
STALLED = "the server cannot write its journal just now; what you say is held and will be said when it can"
RECOVERED = "the server can write its journal again; what was held is being said"


@dataclass(slots=True)
class Batch:
    """What was taken from the queue at once, and what of it goes to the journal in one transaction."""

    entries: list[Action]
    posts: list[Post]
    sessions: list[SessionRow]
    ended: list[SessionRow]
    acks: dict[Member, int]  # the highest number to acknowledge


class Delivery:
    """Owns the queue and the order. `start` and `stop` are for one thread, all other methods for any.

    Lock order: the membership's, then this one's.
    """

    def __init__(
        self,
        journal: Journal,
        sequencer: Sequencer,
        *,
        on_failure: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Have `sequencer` keep what is said, and read the past from `journal`.

        `on_failure` is called on the delivery thread if it dies of a bug; `clock` gives seconds since 1970.
        """
        self._sequencer = sequencer
        self._on_failure = on_failure
        self._clock = clock
        self._lock = threading.Lock()  # guards what follows, up to the next comment
        self._space = threading.Condition(self._lock)  # told when the queue was taken
        self._queue: list[Action] = []
        self._counts: dict[str, int] = {}  # posts in the queue, by room
        self._pending = 0  # the sum of that
        self._held = 0  # entries that wait for the journal
        self._asleep = False
        self._stopping: float | None = None  # the monotonic time by which all must be sent
        self._over = False  # nothing is carried out any more
        # From here on the delivery thread's own.
        self._logs: dict[str, RoomLog] = {}
        self._forget_at = IDLE_LOGS
        self._unkept: Batch | None = None  # what the journal could not take; everything else waits behind it
        self._later: list[Action] = []  # what comes after it
        self._retry_at = 0.0
        self._acks: dict[Member, int] = {}  # of the batch that is carried out, those still to send
        self._entries: list[Action] = []  # which are being kept and carried out, for whoever waits if that fails
        self._sender = Fanout(self._fetch)
        self._history_reader = HistoryReader(journal)
        self._thread = threading.Thread(target=self._run, name="delivery")  # joined by stop
        self._steps: dict[type, Callable[..., None]] = {
            Post: self._post,
            RefusePost: self._refuse,
            StoreSession: lambda _: None,  # _prepare has seen to it
            SendWelcome: self._greet,
            Broadcast: self._show,
            Subscribe: self._enter,
            Unsubscribe: self._depart,
            ForgetHistory: self._forget,
            Reply: self._answer,
            DeliverPrivately: self._tell,
            FlushMarker: self._mark,
            Finish: self._finish,
            CloseSubscriber: self._close,
            BacklogRead: self._fetched,
            Publish: self._arrived,
        }

    # ---------------------------------------------------------------------------------------------------- any thread

    def start(self) -> None:
        """Start the thread, and the one that reads the past for it."""
        self._history_reader.start()
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Carry out all that is queued, send for at most `seconds`, close every transport and join. Idempotent."""
        with self._lock:
            if self._stopping is None:
                self._stopping = time.monotonic() + seconds
            self._space.notify_all()
        if self._thread.ident is not None:  # it was started
            self.wake()
            self._thread.join()
        self._history_reader.stop()
        self._release()

    def enqueue(self, *entries: Action) -> None:
        """Add `entries`; the caller, who may hold the membership's lock, calls `wake` when he holds it no more."""
        with self._lock:
            self._queue.extend(entries)

    def wake(self) -> None:
        """See to it that what is queued is carried out soon."""
        with self._lock:
            asleep, self._asleep = self._asleep, False
        if asleep:
            self._sender.poke()

    def submit(self, *entries: Action) -> None:
        """Queue and wake."""
        self.enqueue(*entries)
        self.wake()

    def submit_posts(self, posts: Sequence[Post]) -> None:
        """Queue `posts`, all for one room, waiting first while that room or all together have much pending."""
        key = posts[0].room.key
        lines = sum(len(post.texts) for post in posts)
        with self._lock:
            while self._is_much_pending(key) and self._stopping is None:
                self._space.wait()
            self._counts[key] = self._counts.get(key, 0) + lines
            self._pending += lines
            self._queue.extend(posts)
        self.wake()

    def _is_much_pending(self, key: str) -> bool:
        return self._counts.get(key, 0) >= PENDING_LINES or self._pending >= PENDING_LINES_OF_ALL

    def flush(self, member: Member) -> None:
        """Wait until all that was queued for `member` is carried out and his answers are sent.

        That has an end: who takes nothing for `sender.PROGRESS_SECONDS` is given up, and nobody waits for him.
        """
        event = threading.Event()
        self.submit(FlushMarker(member, event))
        with self._lock:
            over = self._over
        if not over:
            event.wait()

    @property
    def is_stalled(self) -> bool:
        """Whether something that was said is not in the journal because that cannot be written.

        To be asked after `settle`, which waits until what was queued before is in the journal or held.
        """
        return self._unkept is not None

    def wait_for_space(self) -> None:
        """Wait while more than PENDING_ENTRIES are queued or held, so that no command can fill the memory."""
        with self._lock:
            while len(self._queue) + self._held >= PENDING_ENTRIES and self._stopping is None:
                self._space.wait()

    # --------------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            while not self._is_over():
                self._wait()
                self._work()
                self._sender.check_limits()
        except Exception:  # noqa: BLE001  # a bug: tell all, and end the server rather than leave it mute
            logger.exception("the delivery thread failed")
            self._on_failure()
        finally:
            self._release()

    def _is_over(self) -> bool:
        with self._lock:
            if self._stopping is None:
                return False
            idle = not (self._queue or self._sender.busy or self._unkept)
            return idle or time.monotonic() > self._stopping

    def _wait(self) -> None:
        """Wait for entries, and meanwhile bring along those who are behind."""
        with self._lock:
            self._asleep = not self._queue
            seconds = 0.0 if self._queue else self._longest_wait()
        if seconds != 0.0 or self._sender.busy:
            self._sender.wait(seconds)

    def _longest_wait(self) -> float | None:
        """How many seconds may pass before something is to be done even if nothing comes."""
        if self._stopping is not None:
            return STOP_CHECK_SECONDS
        return None if self._unkept is None else RETRY_SECONDS

    def _take(self) -> list[Action]:
        with self._lock:
            self._asleep = False
            entries, self._queue = self._queue, []
            self._held = len(self._later)
        if self._unkept is None:
            self._let_sessions_go_on()
        return entries

    def _let_sessions_go_on(self) -> None:
        """Note that nothing is pending any more."""
        with self._lock:
            self._counts = {}
            self._pending = 0
            self._held = 0
            self._space.notify_all()

    def _work(self) -> None:
        """Keep what is queued, and then carry it out. What cannot be kept holds up all but answers."""
        entries = self._take()
        if self._unkept is not None:
            self._later += self._let_pass(entries)
            if not self._keep(self._unkept):
                return
            self._let_sessions_go_on()
            entries = self._later
        self._later = entries
        while self._later:
            batch = self._prepare(self._next_part())
            if not self._keep(batch):
                self._unkept = batch
                return

    def _next_part(self) -> list[Action]:
        """Take the first BATCH_LINES lines out of what waits, or a run more."""
        lines = itertools.accumulate(len(entry.texts) if type(entry) is Post else 1 for entry in self._later)
        count = next((count for count, sum_ in enumerate(lines, 1) if sum_ >= BATCH_LINES), len(self._later))
        part, self._later = self._later[:count], self._later[count:]
        return part

    def _let_pass(self, entries: list[Action]) -> list[Action]:
        """Carry out what need not wait for the journal, answers and ends, and return the rest."""
        self._entries = [entry for entry in entries if isinstance(entry, _PASSING)]
        for entry in self._entries:
            self._steps[type(entry)](entry)
        self._entries = []
        return [entry for entry in entries if not isinstance(entry, _PASSING)]

    def _keep(self, batch: Batch) -> bool:
        """Write a batch to the journal and carry it out. Return False if the journal cannot be written."""
        stalled = self._unkept is not None
        if stalled and time.monotonic() < self._retry_at:
            return False
        try:
            self._sequencer.store(batch.posts, batch.sessions, batch.ended)
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
                self._sender.append(log, Notice(text).encode())
        self._sender.flush_all()

    def _carry_out(self, batch: Batch) -> None:
        self._acks = batch.acks
        for entry in batch.entries:
            self._steps[type(entry)](entry)
        self._entries = []
        self._sender.flush_all()
        for member in list(self._acks):
            self._acknowledge(member)
        self._forget_idle_logs()

    def _prepare(self, entries: list[Action]) -> Batch:
        """Leave out what was taken already, and gather what is to be kept."""
        batch = Batch(entries, [], [], [], {})
        self._entries = entries
        now = int(self._clock() * 1000)
        changed: dict[SessionState, None] = {}
        for entry in entries:
            if type(entry) is Post:
                if entry.member is not None:
                    taken = self._accept(entry.member, entry.number, len(entry.texts), changed)
                    del entry.texts[:taken]
                    entry.number += taken
                    batch.acks[entry.member] = accepted(entry.member)
                if entry.texts:
                    entry.log = self._log_of(entry.room)
                    batch.posts.append(entry)
            elif type(entry) is RefusePost:
                entry.stands = not self._accept(entry.member, entry.number, 1, changed)
                if not entry.stands:
                    batch.acks[entry.member] = accepted(entry.member)
            elif type(entry) is StoreSession:
                state = entry.state
                state.name, state.color, state.room = entry.name, entry.color, entry.room
                state.present, state.ended, state.lock = entry.present, entry.ended, entry.lock
                state.away, state.why = entry.away, entry.why
                changed[state] = None
        for state in changed:
            (batch.ended if state.ended else batch.sessions).append(row_of(state, now))
        return batch

    def _accept(self, member: Member, number: int, count: int, changed: dict[SessionState, None]) -> int:
        """Take a member's posts `number` and as many that follow it; return how many were taken already."""
        before = accepted(member)
        last = number + count - 1
        if last > before:
            assert member.state is not None  # accepted has looked
            member.state.accepted = last
            changed[member.state] = None
        return max(0, before - number + 1)

    def _log_of(self, room: Room) -> RoomLog:
        log = self._logs.get(room.key)
        if log is None:
            log = self._logs[room.key] = RoomLog(room.key, room.name, self._sequencer.open_room(room.key))
        return log

    def _forget_idle_logs(self) -> None:
        if len(self._logs) <= self._forget_at:
            return
        idle = [key for key, log in self._logs.items() if not log.in_step and not log.behind]
        for key in idle[:-IDLE_LOGS]:
            del self._logs[key]
            self._sequencer.close_room(key)
        self._forget_at = 2 * len(self._logs) + IDLE_LOGS  # so that looking through them stays rare

    # --------------------------------------------------------------------------------------------- entry by entry

    def _post(self, entry: Post) -> None:
        if entry.page and entry.log:
            self._sender.append(entry.log, entry.page.data, len(entry.texts))

    def _refuse(self, entry: RefusePost) -> None:
        if entry.stands:
            self._sender.answer(entry.member, Refused(entry.number, entry.code, entry.text).encode())

    def _greet(self, entry: SendWelcome) -> None:
        welcome = Welcome(entry.name, entry.color, entry.token, accepted(entry.member))
        self._sender.answer(entry.member, welcome.encode())

    def _show(self, entry: Broadcast) -> None:
        log = self._logs.get(entry.room.key)
        if log is None:  # nobody is there to see it
            return
        if log.kept > log.tail.seq:  # what was said before is still to come back
            log.later.append((log.kept, entry.event.encode()))
        else:
            self._sender.append(log, entry.event.encode())

    def _enter(self, entry: Subscribe) -> None:
        log = self._log_of(entry.room)
        log.name = entry.room.name
        last = log.tail.seq
        after = max(0, last - HISTORY_LINES) if entry.after is None else min(entry.after, last)
        self._sender.enter(entry.member, log, Entered(log.name, last, entry.people, entry.flags).encode(), after)

    def _depart(self, entry: Unsubscribe) -> None:
        self._sender.depart(entry.member)

    def _forget(self, entry: ForgetHistory) -> None:
        if log := self._logs.get(entry.room):  # the log itself stays: a line of this batch may have its number already
            log.tail.forget()

    def _answer(self, entry: Reply) -> None:
        if entry.at_once:
            self._sender.interject(entry.member, entry.data)
        else:
            self._sender.answer(entry.member, entry.data)

    def _tell(self, entry: DeliverPrivately) -> None:
        told = self._sender.tell(entry.to, entry.data)
        if entry.answer is not None:
            entry.answer(entry.data if told else entry.refusal)
        elif not told or entry.sender is not entry.to:
            self._sender.answer(entry.sender, entry.data if told else entry.refusal)

    def _mark(self, entry: FlushMarker) -> None:
        self._sender.mark(entry.member, entry.event)

    def _acknowledge(self, member: Member) -> None:
        """Acknowledge what a member posted in this batch, once."""
        if number := self._acks.pop(member, 0):
            self._sender.acknowledge(member, Ack(number).encode())

    def _finish(self, entry: Finish) -> None:
        self._acknowledge(entry.member)
        self._sender.finish(entry.member, entry.data)

    def _close(self, entry: CloseSubscriber) -> None:
        self._sender.close_member(entry.member)

    def _fetched(self, entry: BacklogRead) -> None:
        self._sender.fetched(entry.member, entry.past, entry.data, entry.after)

    def _arrived(self, entry: Publish) -> None:
        page, log = entry.page, self._logs.get(entry.page.key)
        if log is None or page.last <= log.tail.seq:  # nobody is there, or it is there already
            return
        if page.first != log.tail.seq + 1:
            self._sender.append(log, Gap(log.name, log.tail.seq + 1, page.first - 1).encode())
            log.tail.skip_to(page.first - 1)
        self._sender.append(log, page.data, page.last - page.first + 1)
        while log.later and log.later[0][0] <= page.last:
            self._sender.append(log, log.later.popleft()[1])

    def _fetch(self, member: Member, past: Backlog) -> None:
        """Have the next lines of a stretch read from the journal; they come back as an entry."""
        log, after, upto = past.log, past.after, past.upto
        assert log is not None  # a stretch without a room has no lines

        def done(pages: list[Page] | None) -> None:
            if pages is None:
                self.submit(BacklogRead(member, past, None, after))
                return
            reached = pages[-1].last if sum(len(page.data) for page in pages) >= CHUNK_BYTES else upto
            self.submit(BacklogRead(member, past, b"".join(with_gaps(log.name, pages, after, reached)), reached))

        self._history_reader.request(log.key, after, upto, CHUNK_BYTES, done)

    def _release(self) -> None:
        """Let go of everybody. Called when the thread ends, and once more after it for latecomers."""
        with self._lock:
            self._over = True
            self._stopping = self._stopping or time.monotonic()
            entries, self._queue = self._queue, []
            self._asleep = False
            self._space.notify_all()
        self._sender.close()
        if self._unkept is not None:
            held = [*self._unkept.entries, *self._later]
            lines = sum(len(entry.texts) for entry in held if isinstance(entry, Post))
            logger.error("{} lines could not be kept and were not said", lines)
        entries = [*self._entries, *(self._unkept.entries if self._unkept else ()), *self._later, *entries]
        self._unkept, self._later, self._entries = None, [], []
        for entry in entries:
            if isinstance(entry, FlushMarker):
                entry.event.set()
            elif isinstance(entry, CloseSubscriber):
                release(entry.member)


# What goes on while the journal cannot be written: it says nothing in a room, and who goes must not hold a descriptor.
_PASSING = (Reply, DeliverPrivately, FlushMarker, BacklogRead, Finish, CloseSubscriber)


def accepted(member: Member) -> int:
    """Return the number of a member's last post that was taken."""
    assert member.state is not None  # whoever has a name has one
    return member.state.accepted


def row_of(state: SessionState, now: int) -> SessionRow:
    """Return what is kept of a session; `now` is in milliseconds since 1970."""
    where = (state.name, state.color, state.room)
    now_he_is = (state.verifier, state.away, state.why)
    return SessionRow(state.token_hash, *where, state.accepted, state.present, now, state.lock, *now_he_is)


def with_gaps(room: str, pages: Sequence[Page], after: int, upto: int) -> list[bytes]:
    """Return the lines of `pages` as they go out, with a Gap wherever a SEQ with after < SEQ <= upto is missing."""
    shown: list[bytes] = []
    for page in pages:
        if page.first > after + 1:
            shown.append(Gap(room, after + 1, page.first - 1).encode())
        shown.append(page.data)
        after = page.last
    if after < upto:
        shown.append(Gap(room, after + 1, upto).encode())
    return shown
