"""Events: the lines from the server, a frozen dataclass for each, and their table."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hubbub.protocol.errors import ProtocolError
from hubbub.protocol.layout import LAYOUTS, Command, Event, Layout, Text
from hubbub.protocol.lines import ENCODING_ERRORS
from hubbub.protocol.validation import ROOM_COLUMNS

# A larger room does not announce who joins or leaves: no one could read so many lines. The protocol fixes this number.
PRESENCE_MEMBERS = 200
NO_FLAGS = "-"
LOCKED = "locked"  # a flag of /entered and /room


def _has_flag(flags: str, flag: str) -> bool:
    """Return whether `flag` is among FLAGS. A later version may send more, with spaces or commas between."""
    return flag in re.split("[ ,]", flags)


@dataclass(frozen=True, slots=True)
class Hello(Event):
    """The server's first line; `flags` is ``password`` or ``-``."""

    version: int
    flags: str

    @property
    def needs_password(self) -> bool:
        """Whether `/pass` must come first."""
        return _has_flag(self.flags, "password")


@dataclass(frozen=True, slots=True)
class Welcome(Event):
    """You are signed in; `token` is a secret, `accepted` the number of your last stored post."""

    name: str
    color: str
    token: str
    accepted: int


@dataclass(frozen=True, slots=True)
class Entered(Event):
    """You are now in `room`, with `people` members; its last line is `seq`, `flags` is ``locked`` or ``-``."""

    room: str
    seq: int
    people: int
    flags: str

    @property
    def locked(self) -> bool:
        """Whether the room has a key."""
        return _has_flag(self.flags, LOCKED)


@dataclass(frozen=True, slots=True)
class Said(Event):
    """A message."""

    room: str
    seq: int
    time: int
    name: str
    color: str
    text: Text


@dataclass(frozen=True, slots=True)
class Acted(Event):
    """An action: `alice waves`."""

    room: str
    seq: int
    time: int
    name: str
    color: str
    text: Text


@dataclass(frozen=True, slots=True)
class PrivateMessage(Event):
    """A private message, or the sender's copy of it."""

    time: int
    name: str
    color: str
    to: str
    text: Text


@dataclass(frozen=True, slots=True)
class Joined(Event):
    """A member joined `room`."""

    room: str
    time: int
    name: str
    color: str


@dataclass(frozen=True, slots=True)
class Left(Event):
    """A member left; `text` is the reason: ``leave``, ``exit``, ``lost`` or another word."""

    room: str
    time: int
    name: str
    color: str
    text: Text


@dataclass(frozen=True, slots=True)
class Renamed(Event):
    """A member changed their name or colour; `old` and `new` may be equal."""

    room: str
    time: int
    old: str
    color: str
    new: str


@dataclass(frozen=True, slots=True)
class RoomRow(Event):
    """A row of `/list`."""

    room: str
    people: int
    flags: str

    @property
    def locked(self) -> bool:
        """Whether the room has a key."""
        return _has_flag(self.flags, LOCKED)


@dataclass(frozen=True, slots=True)
class MemberRow(Event):
    """A row of `/who`; `idle` in seconds."""

    name: str
    color: str
    room: str
    idle: int


@dataclass(frozen=True, slots=True)
class End(Event):
    """The answer to `word` is complete."""

    word: str


@dataclass(frozen=True, slots=True)
class Ack(Event):
    """All your posts up to `number` are stored."""

    number: int


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """Your post `number` was not sent; the number is used up."""

    number: int
    code: str
    text: Text


@dataclass(frozen=True, slots=True)
class Gap(Event):
    """Lines `first` to `last` of `room` did not reach you and are no longer stored."""

    room: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """A message from the server."""

    text: Text


@dataclass(frozen=True, slots=True)
class Error(Event):
    """Your last line was not carried out; `text` says what to do."""

    code: str
    text: Text


@dataclass(frozen=True, slots=True)
class Bye(Event):
    """The server closes this connection; `text` is the reason."""

    text: Text


@dataclass(frozen=True, slots=True)
class ServerChallenge(Event):
    """The server's identity and the `nonce` for one Prove; the docstring of hubbub.protocol says more."""

    server: str
    nonce: str


@dataclass(frozen=True, slots=True)
class OwnerRow(Event):
    """A row of `/who`, after the others: the member `name` owns their name."""

    name: str


@dataclass(frozen=True, slots=True)
class Ping(Command, Event):
    """A question whether the other side is there; either side may ask."""

    token: str


@dataclass(frozen=True, slots=True)
class Pong(Command, Event):
    """The answer to a ping with the same `token`."""

    token: str


EVENTS: dict[str, type[Event]] = {
    "hello": Hello,
    "challenge": ServerChallenge,
    "welcome": Welcome,
    "entered": Entered,
    "say": Said,
    "me": Acted,
    "msg": PrivateMessage,
    "joined": Joined,
    "left": Left,
    "renamed": Renamed,
    "room": RoomRow,
    "person": MemberRow,
    "proven": OwnerRow,
    "end": End,
    "ack": Ack,
    "refused": Refused,
    "gap": Gap,
    "notice": Notice,
    "error": Error,
    "ping": Ping,
    "pong": Pong,
    "bye": Bye,
}

LAYOUTS.update({kind: Layout.of(kind, word) for word, kind in EVENTS.items()})


def encode_run(
    kind: type[Said | Acted], room: str, first: int, time: int, name: str, color: str, texts: Sequence[str]
) -> bytes:
    """Return the encoded lines of `texts`, numbered from SEQ `first` on, as `encode` would return each."""
    head, middle = f"/{LAYOUTS[kind].word} {room} ", f" {time} {name} {color} "
    lines = "".join([f"{head}{seq}{middle}{text}\n" for seq, text in enumerate(texts, first)])
    return lines.encode("utf-8", ENCODING_ERRORS)


def parse_event(text: str) -> Event:
    """Return the event in one cleaned line from a server.

    Raises ProtocolError `unknown-event` (a client ignores it: the protocol may grow) or `malformed`.
    """
    word, _, rest = text.removeprefix("/").partition(" ")
    kind = EVENTS.get(word) if text.startswith("/") else None
    if kind is None:
        raise ProtocolError("unknown-event", f"there is no event {word[:ROOM_COLUMNS]!r}")
    layout = LAYOUTS[kind]
    fields = rest.split(" ", len(layout.types) - 1)
    words = fields[:-1] if layout.ends_in_text else fields
    if len(fields) != len(layout.types) or "" in words:
        raise ProtocolError("malformed", f"/{word} has {len(layout.types)} fields")
    return kind(*layout.convert(fields, "malformed"))
