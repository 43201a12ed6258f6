"""The delivery thread: numbers lines, stores them, and sends them to members.

Everything for a client is an action in one queue, so all clients see the same order. The thread takes all queued
actions, stores them as one batch, and then carries them out. The new lines of a room gather during this and are sent
together. More actions are queued while they are sent. So a line in a busy room costs fewer system calls.

    start -> _run -> Fanout.wait, which sends to lagging subscribers
                  -> _work -> BatchWriter.store_next -> Sequencer.store -> LocalJournal.append
                           -> _carry_out -> the step of each action -> Fanout
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from loguru import logger

from hubbub.protocol import HISTORY_LINES, Ack, End, Entered, Gap, Notice, Refused, Welcome
from hubbub.server.delivery.action_queue import ActionQueue
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
    SendHistory,
    SendWelcome,
    StoreSession,
    Subscribe,
    Unsubscribe,
)
from hubbub.server.delivery.batch_writer import (
    CHECK_SECONDS,
    RETRY_SECONDS,
    SIGN_IN_STALLED,
    Batch,
    BatchWriter,
    accepted_number,
)
from hubbub.server.delivery.catch_up import CHUNK_BYTES
from hubbub.server.delivery.fanout import Fanout
from hubbub.server.delivery.open_logs import OpenLogs
from hubbub.server.delivery.room_log import Backlog, Subscriber
from hubbub.server.delivery.sequencer import Sequencer
from hubbub.server.delivery.tail_budget import TailBudget
from hubbub.server.journal.history_reader import HistoryReader
from hubbub.server.journal.journal import Journal, Page
from hubbub.server.rooms.room import Member

STOP_CHECK_SECONDS = 0.05  # between two checks whether everything is sent; only at the stop


class Delivery:
    """Carries out actions in order. `start` and `stop` are for one thread, all other methods for any.

    Lock order: the membership's, then the queue's.
    """

    def __init__(
        self,
        journal: Journal,
        sequencer: Sequencer,
        *,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """Store with `sequencer`, and read history from `journal`.

        `on_failure` is called on the delivery thread if a bug ends it.
        """
        self._on_failure = on_failure
        tail_budget = TailBudget()
        self._fanout = Fanout(self._read_backlog, tail_budget)
        self._queue = ActionQueue(self._fanout.wake)
        self._logs = OpenLogs(sequencer, tail_budget)
        self._writer = BatchWriter(sequencer, self._logs, self._announce)
        self._history_reader = HistoryReader(journal)
        self._acks: dict[Member, int] = {}  # still to send for the batch that is being carried out
        self._current: list[Action] = []  # being carried out; a failure must release those who wait for them
        self._thread = threading.Thread(target=self._run, name="delivery")  # joined by stop
        self._steps: dict[type, Callable[..., None]] = {
            Post: self._post,
            RefusePost: self._refuse_post,
            StoreSession: lambda _: None,  # the batch writer has stored it
            SendWelcome: self._send_welcome,
            Broadcast: self._broadcast,
            Subscribe: self._subscribe,
            Unsubscribe: self._unsubscribe,
            ForgetHistory: self._forget_history,
            Reply: self._reply,
            SendHistory: self._send_history,
            DeliverPrivately: self._deliver_privately,
            FlushMarker: self._set_when_flushed,
            Finish: self._finish,
            CloseSubscriber: self._close_subscriber,
            BacklogRead: self._continue_backlog,
            Publish: self._publish,
        }

    # ---------------------------------------------------------------------------------------------------- any thread

    def start(self) -> None:
        """Start the delivery thread and the history reader."""
        self._history_reader.start()
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Carry out all queued actions, send for at most `seconds`, close every transport and join. Idempotent."""
        self._queue.stop(seconds)
        if self._thread.ident is not None:  # it was started
            self.wake()
            self._thread.join()
        self._history_reader.stop()
        self._release()

    def enqueue(self, *actions: Action) -> None:
        """Append actions; the caller may hold the membership's lock, and calls `wake` after its release."""
        self._queue.put(*actions)

    def wake(self) -> None:
        """Wake the delivery thread, which carries out all queued actions."""
        self._queue.wake()

    def submit(self, *actions: Action) -> None:
        """Enqueue and wake."""
        self._queue.put(*actions)
        self._queue.wake()

    def submit_posts(self, posts: Sequence[Post]) -> None:
        """Enqueue posts for one room and wake; wait first while many lines of the room, or of all, are pending."""
        self._queue.put_posts(posts)
        self._queue.wake()

    def flush(self, member: Member) -> None:
        """Wait until all actions queued for `member` are carried out and their replies sent.

        The wait has an end: a subscriber that takes nothing for PROGRESS_SECONDS is dropped.
        """
        flushed = threading.Event()
        self.submit(FlushMarker(member, flushed))
        if not self._queue.is_closed:
            flushed.wait()

    @property
    def is_stalled(self) -> bool:
        """Whether lines are held because the journal cannot be written.

        Call `flush` before: it waits until everything that was queued before is stored or held.
        """
        return self._writer.is_stalled

    def wait_for_space(self) -> None:
        """Wait while too many actions are queued or held, so that no command can fill the memory."""
        self._queue.wait_for_space()

    # --------------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            while not self._is_done():
                self._wait()
                self._work()
                self._fanout.check_progress()
        except Exception:  # noqa: BLE001  # a bug: stop the server, which can deliver nothing any more
            logger.exception("the delivery thread failed")
            self._on_failure()
        finally:
            self._release()

    def _is_done(self) -> bool:
        deadline = self._queue.deadline
        if deadline is None:
            return False
        idle = self._queue.is_empty() and not self._fanout.is_busy and not self._writer.is_stalled
        return idle or time.monotonic() > deadline

    def _wait(self) -> None:
        """Wait for actions, and send to lagging subscribers meanwhile."""
        seconds = self._longest_wait() if self._queue.prepare_to_sleep() else 0.0
        if seconds != 0.0 or self._fanout.is_busy:
            self._fanout.wait(seconds)

    def _longest_wait(self) -> float:
        """Return the seconds until there is something to do without a new action; None if there is nothing."""
        if self._queue.deadline is not None:
            return STOP_CHECK_SECONDS
        return RETRY_SECONDS if self._writer.is_stalled else CHECK_SECONDS

    def _work(self) -> None:
        """Store all queued actions and carry them out, a batch at a time."""
        actions = self._queue.take(self._writer.waiting_count)
        was_stalled = self._writer.is_stalled
        if was_stalled:
            actions = self._carry_out_urgent(actions)
        else:
            self._queue.release()
        self._writer.add(actions)
        while (batch := self._writer.store_next()) is not None:
            self._carry_out(batch)
        if self._writer.is_stalled:
            self._tell_newcomers(actions)
        elif was_stalled:
            self._queue.release()

    def _tell_newcomers(self, actions: list[Action]) -> None:
        """Tell the clients whose sign-in waits for the journal; they are in no room yet."""
        for action in actions:
            if isinstance(action, SendWelcome) and not action.is_sent:
                self._fanout.send_first(action.member.subscriber, Notice(SIGN_IN_STALLED).encode())

    def _carry_out_urgent(self, actions: list[Action]) -> list[Action]:
        """Carry out the actions that do not wait for the journal, and return the others."""
        self._current = [action for action in actions if isinstance(action, _URGENT)]
        for action in self._current:
            self._steps[type(action)](action)
        self._current = []
        return [action for action in actions if not isinstance(action, _URGENT)]

    def _carry_out(self, batch: Batch) -> None:
        self._current, self._acks = batch.actions, batch.acks
        for action in batch.actions:
            self._steps[type(action)](action)
        self._current = []
        self._fanout.flush_all()
        for member in list(self._acks):
            self._acknowledge(member)
        self._logs.close_idle()

    def _announce(self, text: str) -> None:
        """Show a notice to all members."""
        for log in self._logs:
            if log.has_subscribers:
                self._fanout.announce(log, Notice(text).encode())
        self._fanout.flush_all()

    def _release(self) -> None:
        """Release all threads that wait. Called when the thread ends, and again after it for late actions."""
        queued = self._queue.close()
        self._fanout.close()
        unfinished = [*self._current, *self._writer.drain(), *queued]
        self._current = []
        for action in unfinished:
            if isinstance(action, FlushMarker):
                action.event.set()
            elif isinstance(action, CloseSubscriber):
                action.member.subscriber.close()

    # --------------------------------------------------------------------------------------------- action by action

    def _post(self, action: Post) -> None:
        if action.page and action.log:  # otherwise a `Publish` follows, or all texts were stored before
            self._fanout.publish(action.log, action.page)

    def _publish(self, action: Publish) -> None:
        if log := self._logs.find(action.page.key):
            self._fanout.publish(log, action.page)

    def _refuse_post(self, action: RefusePost) -> None:
        if not action.is_known:
            refused = Refused(action.number, action.code, action.text)
            self._fanout.reply(action.member.subscriber, refused.encode())

    def _send_welcome(self, action: SendWelcome) -> None:
        action.is_sent = True
        welcome = Welcome(action.name, action.color, action.token, accepted_number(action.member))
        self._fanout.reply(action.member.subscriber, welcome.encode())

    def _broadcast(self, action: Broadcast) -> None:
        if log := self._logs.find(action.room.key):
            self._fanout.broadcast(log, action.event.encode())

    def _subscribe(self, action: Subscribe) -> None:
        log = self._logs.open(action.room)
        log.name = action.room.name
        last = log.tail.seq
        after = max(0, last - HISTORY_LINES) if action.after is None else min(action.after, last)
        entered = Entered(log.name, last, action.member_count, action.flags)
        self._fanout.subscribe(action.member.subscriber, log, entered.encode(), after)

    def _unsubscribe(self, action: Unsubscribe) -> None:
        self._fanout.unsubscribe(action.member.subscriber)

    def _forget_history(self, action: ForgetHistory) -> None:
        if log := self._logs.find(action.room):  # the log itself stays, because lines of this batch may follow
            log.tail.clear()

    def _reply(self, action: Reply) -> None:
        if action.at_once:
            self._fanout.send_first(action.member.subscriber, action.data)
        else:
            self._fanout.reply(action.member.subscriber, action.data)

    def _send_history(self, action: SendHistory) -> None:
        log = self._logs.open(action.room)
        upto = min(action.before - 1, log.stored_seq) if action.before else log.stored_seq
        after = max(0, upto - action.count)
        self._fanout.reply_with_history(action.member.subscriber, log, after, upto, End("history").encode())

    def _deliver_privately(self, action: DeliverPrivately) -> None:
        delivered = self._fanout.deliver_privately(action.recipient.subscriber, action.data)
        result = action.data if delivered else action.refusal
        if action.send_result is not None:
            action.send_result(result)
        elif not delivered or action.sender is not action.recipient:
            self._fanout.reply(action.sender.subscriber, result)

    def _set_when_flushed(self, action: FlushMarker) -> None:
        self._fanout.set_when_flushed(action.member.subscriber, action.event)

    def _acknowledge(self, member: Member) -> None:
        """Acknowledge the posts of a member in this batch, once."""
        if number := self._acks.pop(member, 0):
            self._fanout.acknowledge(member.subscriber, Ack(number).encode())

    def _finish(self, action: Finish) -> None:
        self._acknowledge(action.member)
        self._fanout.finish(action.member.subscriber, action.data)

    def _close_subscriber(self, action: CloseSubscriber) -> None:
        self._fanout.close_subscriber(action.member.subscriber)

    def _continue_backlog(self, action: BacklogRead) -> None:
        self._fanout.continue_backlog(action.subscriber, action.backlog, action.data, action.after)

    def _read_backlog(self, subscriber: Subscriber, backlog: Backlog) -> None:
        """Request the next lines of a backlog from the journal; they follow as an action."""
        log, after, upto = backlog.log, backlog.after, backlog.upto
        assert log is not None  # a backlog without a log has no lines

        def done(pages: list[Page] | None) -> None:
            if pages is None:
                self.submit(BacklogRead(subscriber, backlog, None, after))
                return
            reached = pages[-1].last if sum(len(page.data) for page in pages) >= CHUNK_BYTES else upto
            data = b"".join(with_gaps(log.name, pages, after, reached))
            self.submit(BacklogRead(subscriber, backlog, data, reached))

        self._history_reader.request(log.key, after, upto, CHUNK_BYTES, done)


# Carried out even while the journal cannot be written: they publish no line, and the last two free sockets.
_URGENT = (Reply, SendHistory, DeliverPrivately, FlushMarker, BacklogRead, Finish, CloseSubscriber)


def with_gaps(room: str, pages: Iterable[Page], after: int, upto: int) -> list[bytes]:
    """Return the lines of `pages`, with a `/gap` wherever a SEQ with after < SEQ <= upto is missing."""
    pieces: list[bytes] = []
    for page in pages:
        if page.first > after + 1:
            pieces.append(Gap(room, after + 1, page.first - 1).encode())
        pieces.append(page.data)
        after = page.last
    if after < upto:
        pieces.append(Gap(room, after + 1, upto).encode())
    return pieces
