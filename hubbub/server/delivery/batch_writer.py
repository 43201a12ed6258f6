"""The batch writer: stores actions a batch at a time, and holds what the journal cannot store yet."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from loguru import logger

from hubbub.server.delivery.actions import Action, Post, RefusePost, StoreSession
from hubbub.server.delivery.open_logs import OpenLogs
from hubbub.server.delivery.sequencer import Sequencer
from hubbub.server.journal.journal import JournalError
from hubbub.server.rooms.room import Member, SessionState

BATCH_LINES = 10_000  # or other actions, stored in one transaction of some 20 ms; no line is sent before all are stored
CHECK_SECONDS = 0.5  # between two checks of a journal that is not written
RETRY_SECONDS = 0.5  # between two attempts to write the journal
STALLED = "the server cannot write its journal; it holds your messages, and sends them when it can write again"
SIGN_IN_STALLED = "the server cannot write its journal; you are signed in when it can write again"
RECOVERED = "the server can write its journal again, and sends the messages that it held"


@dataclass(slots=True)
class Batch:
    """Actions that are stored in one transaction and then carried out together."""

    actions: list[Action]
    posts: list[Post] = field(default_factory=list)
    sessions: list[SessionState] = field(default_factory=list)
    ended: list[SessionState] = field(default_factory=list)
    acks: dict[Member, int] = field(default_factory=dict)  # the highest N to acknowledge


class BatchWriter:
    """Stores batches in order; if one cannot be stored, the next ones wait. For the delivery thread alone."""

    def __init__(self, sequencer: Sequencer, logs: OpenLogs, announce: Callable[[str], None]) -> None:
        """`announce` shows a text to all members."""
        self._sequencer = sequencer
        self._logs = logs
        self._announce = announce
        self._batch: Batch | None = None  # being stored, or to be stored again after a failure
        self._waiting: list[Action] = []  # to be stored after it
        self._check_at = 0.0  # seconds of the monotonic clock
        self._retry_at = 0.0  # seconds of the monotonic clock
        self.is_stalled = False  # the journal cannot be written; read by any thread

    @property
    def waiting_count(self) -> int:
        """The number of actions that wait to be stored."""
        return len(self._waiting)

    def add(self, actions: list[Action]) -> None:
        """Append actions that wait to be stored."""
        self._waiting += actions

    def store_next(self) -> Batch | None:
        """Store the next batch and return it; None if nothing waits, or the journal cannot be written.

        If nothing waits, check the journal now and then, so that its loss is noticed before the next line.
        """
        if self.is_stalled and time.monotonic() < self._retry_at:
            return None
        if self._batch is None and self._waiting:
            self._batch = Batch(self._take_actions())
            self._prepare(self._batch)
        try:
            if self._batch is not None:
                self._sequencer.store(self._batch.posts, self._batch.sessions, self._batch.ended)
            elif self.is_stalled or time.monotonic() >= self._check_at:
                self._check_at = time.monotonic() + CHECK_SECONDS
                self._sequencer.check()
        except JournalError as error:
            self._note_failure(error)
            return None
        if self.is_stalled:
            self.is_stalled = False
            logger.info("the journal can be written again")
            self._announce(RECOVERED)
        batch, self._batch = self._batch, None
        return batch

    def _note_failure(self, error: JournalError) -> None:
        self._retry_at = time.monotonic() + RETRY_SECONDS
        if not self.is_stalled:
            self.is_stalled = True
            logger.error("{}; lines are held until it can be written", error)
            self._announce(STALLED)

    def _take_actions(self) -> list[Action]:
        """Remove and return the first actions, until they have BATCH_LINES lines or more."""
        lines = itertools.accumulate(len(action.texts) if type(action) is Post else 1 for action in self._waiting)
        count = next((count for count, sum_ in enumerate(lines, 1) if sum_ >= BATCH_LINES), len(self._waiting))
        actions, self._waiting = self._waiting[:count], self._waiting[count:]
        return actions

    def _prepare(self, batch: Batch) -> None:
        """Remove posts that were accepted before, and collect what is to be stored."""
        changed: dict[SessionState, None] = {}
        for action in batch.actions:
            if type(action) is Post:
                if action.member is not None:
                    known = _accept(action.member, action.number, len(action.texts), changed)
                    del action.texts[:known]
                    action.number += known
                    batch.acks[action.member] = accepted_number(action.member)
                if action.texts:
                    action.log = self._logs.open(action.room)
                    batch.posts.append(action)
            elif type(action) is RefusePost:
                action.is_known = _accept(action.member, action.number, 1, changed) > 0
                if action.is_known:
                    batch.acks[action.member] = accepted_number(action.member)
            elif type(action) is StoreSession:
                state = action.state
                state.name, state.color, state.room = action.name, action.color, action.room
                state.present, state.ended, state.room_key_id = action.present, action.ended, action.room_key_id
                state.absent, state.why = action.absent, action.why
                changed[state] = None
        for state in changed:
            (batch.ended if state.ended else batch.sessions).append(state)

    def drain(self) -> list[Action]:
        """Return all actions that are not stored; log how many lines are lost."""
        actions = [*(self._batch.actions if self._batch else ()), *self._waiting]
        if self.is_stalled:
            lines = sum(len(action.texts) for action in actions if isinstance(action, Post))
            logger.error("{} lines could not be stored and were not sent", lines)
        self._batch, self._waiting, self.is_stalled = None, [], False
        return actions


def _accept(member: Member, number: int, count: int, changed: dict[SessionState, None]) -> int:
    """Accept `count` posts of a member from `number` on; return how many were accepted before."""
    before = accepted_number(member)
    last = number + count - 1
    if last > before:
        assert member.state is not None  # checked by accepted_number
        member.state.accepted = last
        changed[member.state] = None
    return max(0, before - number + 1)


def accepted_number(member: Member) -> int:
    """Return the number of the last post of a member that was accepted."""
    assert member.state is not None  # every member with a name has one
    return member.state.accepted
