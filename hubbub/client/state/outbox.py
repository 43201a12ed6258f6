"""What was typed and is not yet known to be done, in order: nothing of it is lost, and nothing is said twice.

    add -> waiting -> ready -> a post, on its way until `ack` or `refuse`
                            -> a command, alone on its way until `answered`; what follows waits for that
                   <- lost: what was on its way waits again, and goes out again after `resumed` or `renewed`

Each line remembers the room in which it was typed, and is said in no other: where the server has us elsewhere, a
`/join` of our own goes before it. Nothing is read or written here; whoever shares an outbox brings the lock.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from hubbub.protocol import LOBBY, Color, Command, History, Join, Leave, Me, Name, Ping, Post, Say, Who, same_key

OUTBOX_LINES = 1_000  # what may wait: more than anybody types, and a pipe keeps the line full with fewer
OUTBOX_BYTES = 262_144  # what may wait: some seconds of a slow line; one more line may begin below it
DELAY_SECONDS = 10.0  # for which the last delay is news

_SAID_HERE = (Say, Me, Who, History)  # these mean the room in which they were typed
_SAME_TWICE = (Join, Leave, Name, Color)  # done again, these change nothing


class FullError(Exception):
    """So much waits already that no more is taken."""


class TooMuchError(FullError):
    """So much would not be taken at once even if nothing waited; the text says how much would be."""


@dataclass(slots=True)
class _Entry:
    command: Command | None  # None: only ask whether all before it is done
    line: str = ""  # as it is typed; empty for what nobody typed
    typed_at: float = 0.0
    sent_at: float = 0.0
    room: str = ""  # where it is to be carried out; empty: anywhere
    target: str = ""  # where it leads; empty for what is no move
    number: int = 0  # of a post; 0 until it is first sent
    again: bool = False  # it was on its way already when a connection was lost
    is_query: bool = False  # it is asked for nobody's eyes


class Outbox:
    """The lines of one person. `lines` and `size`, in bytes, limit what waits; `clock` tells seconds."""

    def __init__(
        self, lines: int = OUTBOX_LINES, size: int = OUTBOX_BYTES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lines = lines
        self._size = size
        self._clock = clock
        self._count = 0  # of entries with a line
        self._bytes = 0  # of these lines
        self._sent: deque[_Entry] = deque()  # posts on their way
        self._current: _Entry | None = None  # the command on its way, behind these posts
        self._waiting: deque[_Entry] = deque()
        self._number = 0  # of the last post
        self._command_count = 0  # asked so far; each has a ping behind it, whose token is this number
        self._answer_seconds = 0.0  # which the server took for its last answer
        self._answered_at = 0.0
        self._here = ""  # the room where the server has us; empty until it says so
        self._home = ""  # the room where the person is, after every move that is answered
        self._room = ""  # and after those that are not
        self._keys: dict[str, str] = {}  # of the locked rooms that we were in, by `same_key` of their names

    @property
    def room(self) -> str:
        """The room in which a line typed now will be said."""
        return self._room

    @property
    def current_command(self) -> Command | None:
        """The command of the person's that the server is carrying out."""
        return self._current.command if self._current is not None and self._current.line else None

    @property
    def current_query(self) -> Command | None:
        """The question of our own, for nobody's eyes, that the server is answering."""
        return self._current.command if self._current is not None and self._current.is_query else None

    @property
    def delay(self) -> float:
        """The seconds that the server took for its last answer, or has now not answered for if that is more.

        After DELAY_SECONDS without an answer to wait for, nobody knows: then it is 0.
        """
        now = self._clock()
        waiting = [now - entry.sent_at for entry in (*islice(self._sent, 1), self._current) if entry is not None]
        last = self._answer_seconds if waiting or now < self._answered_at + DELAY_SECONDS else 0.0
        return max([last, *waiting])

    @property
    def next_room(self) -> str:
        """The room that is needed next: that of the first line that waits, else where the person is."""
        entry = self._waiting[0] if self._waiting else None
        return (entry.target or entry.room if entry else "") or self._home

    @property
    def is_full(self) -> bool:
        """Whether `add` would raise for any line."""
        return self._count >= self._lines or self._bytes >= self._size

    @property
    def is_empty(self) -> bool:
        """Whether everything is done."""
        return not (self._sent or self._current or self._waiting)

    def __len__(self) -> int:
        return self._count

    def unsent_lines(self) -> Iterator[tuple[str, float]]:
        """Yield every line that is not done, in order, with the time when it was typed."""
        asked = [self._current] if self._current is not None else []
        return ((entry.line, entry.typed_at) for entry in chain(self._sent, asked, self._waiting) if entry.line)

    # ------------------------------------------------------------------------------------------------ the person's side

    def add(self, *commands: Command) -> None:
        """Take what was typed: all of it, or raise FullError, or TooMuchError, and take nothing."""
        lines = [_typed(command).encode().decode().removesuffix("\n") for command in commands]
        begun = sum(len(line.encode()) for line in lines[:-1])
        if len(lines) > self._lines:
            raise TooMuchError(f"at most {self._lines} lines can be sent at once, and these are {len(lines)}")
        if begun >= self._size:
            raise TooMuchError(f"at most {self._size} bytes can be sent at once, and these lines are more")
        if self._count + len(lines) > self._lines or self._bytes + begun >= self._size:
            raise FullError
        for command, line in zip(commands, lines, strict=True):
            self._add(command, line)

    def _add(self, command: Command, line: str) -> None:
        room = self._room if isinstance(command, _SAID_HERE) else ""
        self._waiting.append(_Entry(command, line, self._clock(), room=room, target=_target(command)))
        self._room = _target(command) or self._room
        self._count += 1
        self._bytes += len(line.encode())

    def add_query(self, command: Command) -> None:
        """Take a question that nobody typed: its answer is for the program. A lost connection drops it."""
        self._waiting.append(_Entry(command, is_query=True))

    def add_end(self) -> None:
        """Take a last question without a meaning, so that `empty` says that every answer is here."""
        self._waiting.append(_Entry(None))

    # ------------------------------------------------------------------------------------------------ the server's side

    def pop_ready(self) -> list[Command]:
        """Return what can be sent now, and count it as sent."""
        commands: list[Command] = []
        while self._here and self._current is None and (more := self._next()):
            commands += more
        return commands

    def enter(self, room: str) -> None:
        """Note that the server has put us into `room`."""
        moved = self._here and self._current is None  # without our asking
        self._here = room
        if moved or not self._home:
            self._settle_in(self._here)

    def acknowledge(self, number: int) -> None:
        """Note that every post up to `number` is kept."""
        while self._sent and self._sent[0].number <= number:
            entry = self._sent.popleft()
            self._time(entry)
            self._done(entry)

    def refuse(self, number: int) -> str:
        """Note that post `number` was not said; return its line, or an empty string if it is not on its way."""
        for entry in self._sent:
            if entry.number == number:
                self._sent.remove(entry)
                self._time(entry)
                return self._done(entry)
        return ""

    def complete(self, token: str) -> list[str]:
        """Note that the ping with `token` came back: what was asked before it is carried out, or refused.

        Return the lines that are given up, because there is no way into the room where they were typed.
        """
        asked = self._current
        if asked is None or token != str(self._command_count):
            return []
        self._current = None
        self._time(asked)
        self._done(asked)
        return self._moved(asked) if asked.target else []

    def lose_connection(self) -> str:
        """Let everything wait for the next connection.

        Return the line of a command of which nobody knows whether it was carried out, or an empty string: it is given
        up, for a second time could be one too many. May be called again.
        """
        again = list(self._sent)
        self._sent.clear()
        self._waiting = deque(entry for entry in self._waiting if not entry.is_query)
        self._here = ""
        self._answer_seconds = 0.0
        given_up = ""
        asked, self._current = self._current, None
        if asked is not None and (asked.command is None or (asked.line and isinstance(asked.command, _SAME_TWICE))):
            again.append(asked)
        elif asked is not None:
            given_up = self._done(asked)
        for entry in again:
            entry.again = True
        self._waiting.extendleft(reversed(again))
        return given_up

    def resume(self, accepted: int) -> None:
        """Go on with a server that knows us still, and keeps every post up to `accepted`."""
        self._number = max(self._number, accepted)
        while self._waiting and 0 < self._waiting[0].number <= accepted:
            self._done(self._waiting.popleft())

    def renumber(self) -> None:
        """Go on with a server that knows nothing of us: posts are counted from 1 again."""
        self._number = 0
        for entry in self._waiting:
            entry.number = 0

    # -------------------------------------------------------------------------------------------------------- between

    def _next(self) -> list[Command]:
        """Return the next lines to send; none when all are sent and we are where the person is."""
        while self._waiting and self._waiting[0].again and self._is_here(self._waiting[0].target):
            self._remember_key(self._waiting[0])
            self._done(self._waiting.popleft())
            self._settle_in(self._here)
        entry = self._waiting[0] if self._waiting else None
        room = entry.room if entry else self._home
        if room and not self._is_here(room):
            return self._ask(_Entry(Join(room, self._keys.get(same_key(room), "")), target=room))
        if entry is None:
            return []
        self._waiting.popleft()
        return [self._post(entry)] if isinstance(entry.command, Say | Me) else self._ask(entry)

    def _post(self, entry: _Entry) -> Post:
        if not entry.number:
            self._number += 1
            entry.number = self._number
        entry.sent_at = self._clock()
        self._sent.append(entry)
        return Post(entry.number, entry.line)

    def _ask(self, entry: _Entry) -> list[Command]:
        entry.sent_at = self._clock()
        self._current = entry
        self._command_count += 1
        ping = Ping(str(self._command_count))
        return [entry.command, ping] if entry.command is not None else [ping]

    def _moved(self, move: _Entry) -> list[str]:
        """Take note of where a move led; return the lines that were to be said where it should have led."""
        if self._is_here(move.target):
            self._remember_key(move)
            if move.line:
                self._settle_in(self._here)
            return []
        given_up = []
        while self._waiting and self._waiting[0].room and same_key(self._waiting[0].room) == same_key(move.target):
            given_up.append(self._done(self._waiting.popleft()))
        lost_home = not move.line and same_key(self._home) == same_key(move.target)
        self._settle_in(self._here if lost_home else self._home)
        return given_up

    def _remember_key(self, move: _Entry) -> None:
        """Keep in mind what opened a room, to get into it again by ourselves."""
        if isinstance(move.command, Join) and move.command.key:
            self._keys[same_key(move.command.room)] = move.command.key

    def _settle_in(self, room: str) -> None:
        """Count `room` as the one where the person is, until the next move."""
        self._home = room
        moves = (entry.target for entry in reversed(self._waiting) if entry.target)
        self._room = next(moves, room)

    def _is_here(self, room: str) -> bool:
        return room == self._here or (room != "" and same_key(room) == same_key(self._here))

    def _time(self, entry: _Entry) -> None:
        """Note how long the server took to answer `entry`."""
        self._answered_at = self._clock()
        self._answer_seconds = self._answered_at - entry.sent_at

    def _done(self, entry: _Entry) -> str:
        """Stop counting `entry`, and return its line."""
        if entry.line:
            self._count -= 1
            self._bytes -= len(entry.line.encode())
        return entry.line


def _typed(command: Command) -> Command:
    """Return a command as it is shown while it waits: without a room's key."""
    return Join(command.room) if isinstance(command, Join) else command


def _target(command: Command) -> str:
    if isinstance(command, Join):
        return command.room
    return LOBBY if isinstance(command, Leave) else ""
