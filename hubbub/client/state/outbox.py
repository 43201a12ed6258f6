"""The lines that were typed and are not known to be carried out, in order: none is lost, and none is sent twice.

    add -> waiting -> pop_ready -> a post, on its way until `acknowledge` or `refuse`
                                -> a command, alone on its way until `complete`; what follows waits for that
                   <- lose_connection: what was on its way waits again, and is sent after `resume` or `renumber`

Each line holds the room in which it was typed, and is sent to no other: where the server has us in another room, a
`/join` of our own goes before it. Nothing is sent or received here. The caller holds the session's lock.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from hubbub.protocol import LOBBY, Color, Command, History, Join, Leave, Me, Name, Ping, Post, Say, Who, fold_name

OUTBOX_LINES = 1_000  # that may wait: more than anyone types, and a pipe keeps the connection busy with fewer
OUTBOX_BYTES = 262_144  # that may wait: some seconds of a slow connection; one more line may begin below it
DELAY_SECONDS = 10.0  # for which the last delay is shown

_IN_ITS_ROOM = (Say, Me, Who, History)  # these are about the room in which they were typed
_REPEATABLE = (Join, Leave, Name, Color)  # these change nothing if they are carried out twice


class FullError(Exception):
    """The outbox accepts no more lines."""


class TooMuchError(FullError):
    """These lines are too many even for an empty outbox; the text says how many it accepts."""


@dataclass(slots=True)
class _Entry:
    command: Command | None  # None: only ask whether all before it is done
    line: str = ""  # as it was typed; empty for what the user did not type
    typed_at: float = 0.0
    sent_at: float = 0.0
    room: str = ""  # where it is to be carried out; empty: anywhere
    target: str = ""  # where it leads; empty for what is no move
    number: int = 0  # of a post; 0 until it is first sent
    was_sent: bool = False  # it was on its way when a connection was lost
    is_query: bool = False  # a command of the client's own, whose answer is not shown


class _Delay:
    """The time that the server takes to answer. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._seconds = 0.0  # of the last answer
        self._answered_at = 0.0

    def record(self, entry: _Entry) -> None:
        """Note that `entry` is answered."""
        self._answered_at = self.clock()
        self._seconds = self._answered_at - entry.sent_at

    def forget(self) -> None:
        """Forget the last answer, which came over another connection."""
        self._seconds = 0.0

    def seconds(self, waiting: list[_Entry]) -> float:
        """Return the last delay while it is fresh, or that of the entries still `waiting` if that is longer."""
        now = self.clock()
        last = self._seconds if waiting or now < self._answered_at + DELAY_SECONDS else 0.0
        return max([last, *(now - entry.sent_at for entry in waiting)])


class _Rooms:
    """The user's room, in three views that differ while moves are on their way."""

    def __init__(self) -> None:
        self.here = ""  # the room in which the server has us; empty until it says so
        self.home = ""  # the room of the user, after every move that is answered
        self.typing = ""  # and after those that are not
        self._keys: dict[str, str] = {}  # of the locked rooms that we were in, by `fold_name` of their names

    def is_here(self, room: str) -> bool:
        """Say whether the server has us in `room`."""
        return room == self.here or (room != "" and fold_name(room) == fold_name(self.here))

    def join(self, room: str) -> Join:
        """Return the command that leads into `room`, with its key if it needed one before."""
        return Join(room, self._keys.get(fold_name(room), ""))

    def store_key(self, move: Command | None) -> None:
        """Store the room key of a move that succeeded, to enter the room again without the user."""
        if isinstance(move, Join) and move.key:
            self._keys[fold_name(move.room)] = move.key


class Outbox:
    """The unsent lines of one session, at most `lines` and `size` bytes; `clock` returns seconds."""

    def __init__(
        self, lines: int = OUTBOX_LINES, size: int = OUTBOX_BYTES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lines = lines
        self._size = size
        self._count = 0  # of entries with a line
        self._bytes = 0  # of these lines
        self._sent: deque[_Entry] = deque()  # posts on their way
        self._current: _Entry | None = None  # the command on its way, behind these posts
        self._waiting: deque[_Entry] = deque()
        self._number = 0  # of the last post
        self._pings = 0  # sent so far, one behind each command; its token is this number
        self._delay = _Delay(clock)
        self._rooms = _Rooms()

    @property
    def room(self) -> str:
        """The room to which a line typed now will be sent."""
        return self._rooms.typing

    @property
    def current_command(self) -> Command | None:
        """The user's command that the server is carrying out."""
        return self._current.command if self._current is not None and self._current.line else None

    @property
    def current_query(self) -> Command | None:
        """The query of the client's own that the server is answering."""
        return self._current.command if self._current is not None and self._current.is_query else None

    @property
    def delay(self) -> float:
        """The seconds that the server took for its last answer, or has taken so far for the next if that is more.

        It is 0 after DELAY_SECONDS in which nothing was sent.
        """
        return self._delay.seconds([entry for entry in (*islice(self._sent, 1), self._current) if entry is not None])

    @property
    def next_room(self) -> str:
        """The room that is needed next: that of the first line that waits, else the user's."""
        entry = self._waiting[0] if self._waiting else None
        return (entry.target or entry.room if entry else "") or self._rooms.home

    @property
    def is_full(self) -> bool:
        """Whether `add` would raise for any line."""
        return self._count >= self._lines or self._bytes >= self._size

    @property
    def is_empty(self) -> bool:
        """Whether every line is carried out and every query answered."""
        return not (self._sent or self._current or self._waiting)

    def __len__(self) -> int:
        return self._count

    def unsent_lines(self) -> Iterator[tuple[str, float]]:
        """Yield every line that is not known to be carried out, in order, with the time at which it was typed."""
        current = [self._current] if self._current is not None else []
        return ((entry.line, entry.typed_at) for entry in chain(self._sent, current, self._waiting) if entry.line)

    def unconfirmed_lines(self) -> list[str]:
        """Return those of the unsent lines that were sent, so that the server may have carried them out."""
        current = [self._current] if self._current is not None else []
        sent = chain(self._sent, current, (entry for entry in self._waiting if entry.was_sent))
        return [entry.line for entry in sent if entry.line]

    # -------------------------------------------------------------------------------------------------- the user's side

    def add(self, *commands: Command) -> None:
        """Add what was typed: all of it, or raise FullError, or TooMuchError, and add nothing."""
        lines = [_without_key(command).encode().decode().removesuffix("\n") for command in commands]
        earlier = sum(len(line.encode()) for line in lines[:-1])
        if len(lines) > self._lines:
            raise TooMuchError(f"at most {self._lines} lines can be sent at once, and these are {len(lines)}")
        if earlier >= self._size:
            raise TooMuchError(f"at most {self._size} bytes can be sent at once, and these lines are more")
        if self._count + len(lines) > self._lines or self._bytes + earlier >= self._size:
            raise FullError
        for command, line in zip(commands, lines, strict=True):
            self._add(command, line)

    def _add(self, command: Command, line: str) -> None:
        room = self._rooms.typing if isinstance(command, _IN_ITS_ROOM) else ""
        target = _target(command)
        self._waiting.append(_Entry(command, line, self._delay.clock(), room=room, target=target))
        self._rooms.typing = target or self._rooms.typing
        self._count += 1
        self._bytes += len(line.encode())

    def set_first_room(self, room: str) -> None:
        """Go to `room` at first, before anything is added. This is no line that the user typed."""
        self._rooms.home = self._rooms.typing = room

    def add_query(self, command: Command) -> None:
        """Add a query of the client's own. A lost connection drops it."""
        self._waiting.append(_Entry(command, is_query=True))

    def add_end(self) -> None:
        """Add a last ping, so that `is_empty` says that every answer has come."""
        self._waiting.append(_Entry(None))

    # ------------------------------------------------------------------------------------------------ the server's side

    def pop_ready(self) -> list[Command]:
        """Return the commands that can be sent now, and count them as sent."""
        commands: list[Command] = []
        while self._rooms.here and self._current is None and (more := self._next()):
            commands += more
        return commands

    def enter(self, room: str) -> None:
        """Note that the server has moved us to `room`."""
        was_moved = self._rooms.here and self._current is None  # a move that we did not request
        self._rooms.here = room
        if was_moved or not self._rooms.home:
            self._settle_in(room)

    def acknowledge(self, number: int) -> None:
        """Note that every post up to `number` is stored."""
        while self._sent and self._sent[0].number <= number:
            entry = self._sent.popleft()
            self._delay.record(entry)
            self._finish(entry)

    def refuse(self, number: int) -> str:
        """Drop post `number`, which the server refused; return its line, or an empty string if it is not on its way."""
        for entry in self._sent:
            if entry.number == number:
                self._sent.remove(entry)
                self._delay.record(entry)
                return self._finish(entry)
        return ""

    def complete(self, token: str) -> list[str]:
        """Complete the command before the ping with `token`, which the server has carried out or refused.

        Return the lines that are given up, because we could not enter the room in which they were typed.
        """
        current = self._current
        if current is None or token != str(self._pings):
            return []
        self._current = None
        self._delay.record(current)
        self._finish(current)
        return self._complete_move(current) if current.target else []

    def lose_connection(self) -> str:
        """Keep everything for the next connection. May be called again.

        Return the line of a command that is given up because its outcome is unknown and it must not be carried out
        twice; or an empty string.
        """
        again = list(self._sent)
        self._sent.clear()
        self._waiting = deque(entry for entry in self._waiting if not entry.is_query)
        self._rooms.here = ""
        self._delay.forget()
        given_up = ""
        current, self._current = self._current, None
        if current is not None and (
            current.command is None or (current.line and isinstance(current.command, _REPEATABLE))
        ):
            again.append(current)
        elif current is not None:
            given_up = self._finish(current)
        for entry in again:
            entry.was_sent = True
        self._waiting.extendleft(reversed(again))
        return given_up

    def resume(self, accepted: int) -> None:
        """Go on with a server that still holds our session, and has stored every post up to `accepted`."""
        self._number = max(self._number, accepted)
        while self._waiting and 0 < self._waiting[0].number <= accepted:
            self._finish(self._waiting.popleft())

    def renumber(self) -> None:
        """Go on in a new session, in which posts are numbered from 1."""
        self._number = 0
        for entry in self._waiting:
            entry.number = 0

    # -------------------------------------------------------------------------------------------------------- between

    def _next(self) -> list[Command]:
        """Return the next commands to send; none when all are sent and we are in the user's room."""
        while self._waiting and self._waiting[0].was_sent and self._rooms.is_here(self._waiting[0].target):
            move = self._waiting.popleft()  # which the server had carried out
            self._rooms.store_key(move.command)
            self._finish(move)
            self._settle_in(self._rooms.here)
        entry = self._waiting[0] if self._waiting else None
        room = entry.room if entry else self._rooms.home
        if room and not self._rooms.is_here(room):
            return self._start(_Entry(self._rooms.join(room), target=room))
        if entry is None:
            return []
        self._waiting.popleft()
        return [self._post(entry)] if isinstance(entry.command, Say | Me) else self._start(entry)

    def _post(self, entry: _Entry) -> Post:
        if not entry.number:
            self._number += 1
            entry.number = self._number
        entry.sent_at = self._delay.clock()
        self._sent.append(entry)
        return Post(entry.number, entry.line)

    def _start(self, entry: _Entry) -> list[Command]:
        entry.sent_at = self._delay.clock()
        self._current = entry
        self._pings += 1
        ping = Ping(str(self._pings))
        return [entry.command, ping] if entry.command is not None else [ping]

    def _complete_move(self, move: _Entry) -> list[str]:
        """Note where a move led; return the lines that were to be sent to the room that it should have led to."""
        rooms = self._rooms
        if rooms.is_here(move.target):
            rooms.store_key(move.command)
            if move.line:
                self._settle_in(rooms.here)
            return []
        given_up = []
        while self._waiting and self._waiting[0].room and fold_name(self._waiting[0].room) == fold_name(move.target):
            given_up.append(self._finish(self._waiting.popleft()))
        lost_home = not move.line and fold_name(rooms.home) == fold_name(move.target)
        self._settle_in(rooms.here if lost_home else rooms.home)
        return given_up

    def _settle_in(self, room: str) -> None:
        """Count `room` as the user's, until the next move."""
        self._rooms.home = room
        moves = (entry.target for entry in reversed(self._waiting) if entry.target)
        self._rooms.typing = next(moves, room)

    def _finish(self, entry: _Entry) -> str:
        """Stop counting `entry`, and return its line."""
        if entry.line:
            self._count -= 1
            self._bytes -= len(entry.line.encode())
        return entry.line


def _without_key(command: Command) -> Command:
    """Return a command as it is shown while it waits."""
    return Join(command.room) if isinstance(command, Join) else command


def _target(command: Command) -> str:
    """Return the room to which a command leads; empty for what is no move."""
    if isinstance(command, Join):
        return command.room
    return LOBBY if isinstance(command, Leave) else ""
