"""The client's knowledge of the chat, and the lines that it has yet to send. The events come in, in order.

Nothing is received or shown here. The caller holds the session's lock.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from loguru import logger

from hubbub.client.state.backlog import Backlog
from hubbub.client.state.notification import Age
from hubbub.client.state.outbox import Outbox
from hubbub.client.state.room_view import RoomView
from hubbub.client.state.roster import Roster
from hubbub.protocol import (
    PRESENCE_MEMBERS,
    Ack,
    Acted,
    Command,
    Entered,
    Error,
    Event,
    Gap,
    History,
    Join,
    Leave,
    List,
    MemberRow,
    Notice,
    OwnerRow,
    Pong,
    Refused,
    Renamed,
    RoomRow,
    Said,
    Welcome,
    Who,
    fold_name,
)

ROOMS_SECONDS = 10.0  # for which a list of rooms is good enough to complete their names

WRONG_ROOM = "not sent, because you could not enter its room: {}"
MISSING = "lines {} to {} of this room are missing; /history shows those that are stored"
HISTORY_START = "history of {}:"
HISTORY_END = "end of the history"
REFUSED = "{}; not sent: {}"


class Effects(NamedTuple):
    """The effects of an event on the screen: events to show, each with its age, and refusals, in this order."""

    shown: Sequence[tuple[Event, Age]] = ()
    refusals: Sequence[str] = ()


class ChatState:
    """The rooms, members and lines that the client knows, and its outbox. `send` never waits."""

    def __init__(
        self,
        send: Callable[[Command], None],
        *,
        show_past: bool = True,
        look_up_names: bool = False,
        backlog: Backlog | None = None,
    ) -> None:
        """Show the past lines of a room where `show_past` is true, and first of all those of the `backlog`.

        With `look_up_names` the server is asked which members and rooms there are, to complete their names.
        """
        self.outbox = Outbox()
        self.room_view = RoomView()
        self.roster = Roster()
        self.me = ""  # the user's name; empty before the first sign-in
        self._send = send
        self._show_past = show_past
        self._look_up_names = look_up_names
        self._backlog = backlog
        self._entered: Entered | None = None  # the last heading, of the room in which the server has us
        self._is_in_history = False  # showing what the user's /history asked for
        self._is_returning = False  # signed in again, but in no room yet
        self._is_resumed = False
        self._rooms_asked_at = -math.inf  # monotonic seconds

    def send_ready(self) -> None:
        """Send what the outbox has to send now."""
        for command in self.outbox.pop_ready():
            self._send(command)

    def look_up_rooms(self, now: float) -> None:
        """Ask the server for the rooms, unless that was done a moment before `now`, in monotonic seconds."""
        if self._look_up_names and now >= self._rooms_asked_at + ROOMS_SECONDS:
            self._rooms_asked_at = now
            self.outbox.add_query(List())
            self.send_ready()

    def welcome(self, event: Welcome, *, resumed: bool) -> None:
        """Continue after a sign-in, which `resumed` the session from before or began a new one."""
        if resumed:
            self.outbox.resume(event.accepted)
        else:
            self.outbox.renumber()
        self._is_returning = self.me != ""
        self._is_resumed = resumed
        self.me = event.name

    def lose_connection(self) -> str:
        """Keep what is not stored for the next connection; return the line of a command whose outcome is unknown."""
        self._is_in_history = False
        if self._backlog is not None:
            self._backlog.lose_connection()
        return self.outbox.lose_connection()

    def receive(self, event: Event) -> Effects:
        """Update the state with an event that follows the welcome."""
        match event:
            case Ack(number):
                self.outbox.acknowledge(number)
                return Effects()
            case Refused(number, _, text):
                line = self.outbox.refuse(number)
                return Effects(refusals=[REFUSED.format(text, line)] if line else [])
            case Pong(token):
                return self._complete(token)
            case Entered():
                return Effects(self._enter(event))
            case _:
                return Effects(self._update(event))

    def _enter(self, event: Entered) -> list[tuple[Event, Age]]:
        is_returning, self._is_returning = self._is_returning, False
        is_first = not self.room_view.room
        was_asked_for = isinstance(self.outbox.current_command, Join | Leave)
        self._entered = event
        self.room_view.enter(event, returning=is_returning, resumed=is_returning and self._is_resumed)
        self.roster.enter(event.room)
        self.outbox.enter(event.room)
        passing = (is_returning or is_first) and fold_name(self.outbox.next_room) != fold_name(event.room)
        needs_heading = self.room_view.begin(passing=passing) or (was_asked_for and not passing)
        if self._look_up_names and not passing and 1 < event.people <= PRESENCE_MEMBERS:
            self.outbox.add_query(Who())
        self.send_ready()
        shown: list[tuple[Event, Age]] = [(event, Age.LIVE)] if needs_heading else []
        if self._backlog is None or passing:
            return shown
        self._backlog.begin(event)
        return shown + self._continue_backlog([])

    def _update(self, event: Event) -> list[tuple[Event, Age]]:
        """Note what happened in a room, or a row of an answer; return what to show of it."""
        query = self.outbox.current_query
        is_history = isinstance(self.outbox.current_command, History)
        self.roster.update(event)
        missing = self.room_view.missing_before(event)
        age = self.room_view.age(event, repeat=is_history)
        if isinstance(event, Renamed) and event.old == self.me:
            self.me = event.new
        shown: list[tuple[Event, Age]] = []
        if missing:
            logger.warning("lines {} to {} of {!r} are missing", missing[0], missing[-1], self.room_view.room)
            shown.append((Notice(MISSING.format(missing[0], missing[-1])), Age.LIVE))
        if self._backlog is not None and not self._backlog.is_done:
            if isinstance(event, Said | Acted | Gap):
                return shown + self._continue_backlog(self._backlog.receive(event))
            if isinstance(event, Error) and isinstance(query, History):
                return shown + self._continue_backlog(self._backlog.refuse_page())
        is_unwanted = age is Age.PAST and not self._show_past and not is_history
        if age is not None and not is_unwanted and not _answers(event, query):
            if is_history and age is Age.PAST and self._show_past and not self._is_in_history:
                self._is_in_history = True
                shown.append((Notice(HISTORY_START.format(self.room_view.room)), Age.LIVE))
            shown.append((event, age))
        return shown

    def _complete(self, token: str) -> Effects:
        """Complete the command before the ping with `token`."""
        query = self.outbox.current_query
        was_in_history, self._is_in_history = self._is_in_history, False
        given_up = self.outbox.complete(token)
        self.send_ready()
        heading = self._stay()
        shown: list[tuple[Event, Age]] = [(Notice(HISTORY_END), Age.LIVE)] if was_in_history else []
        if self._backlog is not None and isinstance(query, History):
            shown += self._continue_backlog(self._backlog.complete_page())
        if heading is not None:
            shown.append((heading, Age.LIVE))
        return Effects(shown, [WRONG_ROOM.format(line) for line in given_up])

    def _stay(self) -> Entered | None:
        """Return the heading of a room in which we stay, though we were only to pass through it."""
        if self._entered is None or fold_name(self.outbox.next_room) != fold_name(self.room_view.room):
            return None
        return self._entered if self.room_view.begin(passing=False) else None

    def _continue_backlog(self, events: Sequence[Event]) -> list[tuple[Event, Age]]:
        """Ask for what the backlog needs next; return the events that it hands out, with their ages."""
        command = self._backlog.next_command() if self._backlog is not None else None
        if command is not None:
            self.outbox.add_query(command)
            self.send_ready()
        end = self._entered.seq if self._entered is not None else 0
        return [
            (event, Age.LIVE if isinstance(event, Said | Acted) and event.seq > end else Age.PAST) for event in events
        ]


def _answers(event: Event, query: Command | None) -> bool:
    """Say whether `event` belongs to the answer to a query of the client's own."""
    return query is not None and isinstance(event, MemberRow | OwnerRow | RoomRow | Error)
