r"""The language that clients and servers speak, version 1: limits, lines, events, commands and the cleaning of text.

Bytes go in and events come out, events go in and bytes come out; there is no socket, thread, logger or colour here, so
any thread may call anything, but one `LineDecoder` belongs to one thread.

A line is UTF-8, ends with ``\n`` (one ``\r`` before it is dropped) and has at most 16,384 bytes. Fields are separated
by one space, the last one is the rest of the line, and a field with no value is ``-``. A line from the client that does
not start with ``/`` is said in the room, and ``//x`` says ``/x``. An empty line does nothing.

From the client
    /pass PASSWORD              first of all, where /hello says password; no answer if it is right
    /challenge                  before /name: let me prove that I am who used a name before
    /prove VERIFIER PROOF       the answer to the server's /challenge, before /name; see below
    /name NAME [COLOR]          who I am; later: rename me, or change my colour
    /resume TOKEN ROOM SEQ      instead of /name: I am back; the last line that I have of ROOM is SEQ
    /color COLOR                change my colour
    TEXT                        say it in my room
    /me TEXT                    an action: `alice waves`
    /post N LINE                say LINE, text or /me TEXT, as my N-th; an N that is kept already is not said twice
    /join ROOM [KEY]            go to ROOM, or make it; KEY locks a new one, and opens a locked one
    /leave                      back to the lobby
    /list                       every room with its number of people, the lobby first
    /who [ROOM]                 who is in my room, or in ROOM
    /msg NAME TEXT              tell NAME alone, in whatever room
    /history [COUNT [BEFORE]]   the last COUNT lines of my room, or those before line BEFORE
    /kick NAME [WHY]            end the stay of NAME, who may come back
    /ban NAME|ADDRESS DURATION [WHY]    keep a name or an address out for 90s, 30m, 2h or 7d
    /unban NAME|ADDRESS         let a name or an address in again
    /bans                       who is banned or muted, by whom, until when and why
    /mute NAME DURATION         let NAME tell nobody anything for 90s, 30m, 2h or 7d
    /unmute NAME                let NAME speak again
    /help [COMMAND]             the commands, or one of them
    /ping TOKEN                 answered by /pong TOKEN
    /pong TOKEN                 the answer to a /ping of the server
    /exit                       leave the chat

From the server
    /hello VERSION FLAGS                        at once on connecting
    /challenge SERVER NONCE                     what a /prove is to be made for, once
    /welcome NAME COLOR TOKEN ACCEPTED          you are in
    /entered ROOM SEQ PEOPLE FLAGS              you are in ROOM, whose last line is SEQ; up to 50 lines of it follow
    /say ROOM SEQ TIME NAME COLOR TEXT          a message
    /me ROOM SEQ TIME NAME COLOR TEXT           an action
    /msg TIME FROM COLOR TO TEXT                a private message
    /joined ROOM TIME NAME COLOR                somebody came
    /left ROOM TIME NAME COLOR TEXT             somebody went, and why
    /renamed ROOM TIME OLD COLOR NEW            somebody has a new name or colour
    /room ROOM PEOPLE FLAGS                     a row of /list
    /person NAME COLOR ROOM IDLE                a row of /who; IDLE in seconds
    /proven NAME                                a row of /who, after the others: NAME is used by its owner
    /end WORD                                   the answer to WORD is complete
    /ack N                                      all your posts up to N are kept
    /refused N CODE TEXT                        your post N was not said, and why; N is used up
    /gap ROOM FIRST LAST                        you did not get these lines, and they are no longer kept
    /notice TEXT                                the server speaks to you
    /error CODE TEXT                            your last line was not carried out; TEXT says what to do
    /ping TOKEN                                 are you there
    /pong TOKEN                                 I am
    /bye TEXT                                   the server closes this connection now, and why

TIME is in milliseconds since 1970-01-01 UTC; SEQ counts 1, 2, 3 … without a hole, one count for each room.

Who proves a secret of his own owns the names that he uses, and others get `name-taken`. The secret never crosses the
wire; the scheme is that of SCRAM (RFC 5802), with SHA-256 and a key for each server:

    SERVER     32 hexadecimal digits (0-9a-f), the server's own for as long as its journal lasts
    NONCE      32 hexadecimal digits, for one /prove of this connection
    K          = HMAC-SHA256(key: the client's secret, message: "chat-room name key" SERVER)
    VERIFIER   = SHA256(K), as 64 hexadecimal digits: who the client is to this server, which keeps it instead of K
    PROOF      = K xor HMAC-SHA256(key: the 32 bytes of VERIFIER, message: NONCE SERVER), as 64 hexadecimal digits

A right proof is not answered: /name or /resume may follow it at once. A wrong one is a `proof-wrong` error, as is one
without a NONCE; the connection then goes on as one that proved nothing.
"""

import dataclasses
import difflib
import operator
import re
import typing
import unicodedata
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import wcwidth

__version__ = "0.1.0"  # of this server and this client

VERSION = 1  # of the language; a client may meet a server of another `__version__`
LINE_BYTES = 16_384  # a line without its \n; the wire contract's figure
TEXT_CHARS = 2_000  # a message; the wire contract's figure
NAME_COLUMNS = 20  # terminal columns of a name
ROOM_COLUMNS = 32  # terminal columns of a room's name
MARKS_IN_A_ROW = 2  # combining marks after one letter: Thai needs two, and a column could else hold thousands
CHARS_IN_A_COLUMN = 8  # before NFKC: a letter of 4 and its marks; NFKC takes time with the square of a run of marks
HISTORY_LINES = 50  # what /entered and a bare /history show
HISTORY_LINES_MAX = 1_000  # what one /history may ask for
DURATION_SECONDS_MAX = 365 * 86_400  # of a ban or a mute: nobody is shut out for ever
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
# In a room of more nobody could read who comes and goes, so it is not sent; the wire contract's figure.
PRESENCE_PEOPLE = 200
_NUMBER_DIGITS = 15  # below 2**53: every language that clients are written in can hold it
NO_FLAGS = "-"
LOCKED = "locked"  # a flag of /entered and /room
LOBBY = "lobby"
RESERVED_NAMES = frozenset({"server", "system", "everyone"})
COLORS = (
    "black",
    "white",
    "pink",
    "red",
    "orange",
    "yellow",
    "green",
    "cyan",
    "teal",
    "light-blue",
    "blue",
    "purple",
)
ENCODING_ERRORS = "replace"  # bytes that are not UTF-8 become U+FFFD; they never end a session


class ProtocolError(Exception):
    """A line that cannot be carried out: `code` for a program, `text` telling a person what to do."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


class LineTooLongError(ProtocolError):
    """The other side sent more than a line may hold; `lines` are the whole ones that came before it."""

    def __init__(self, limit: int, lines: list[bytes]) -> None:
        super().__init__("line-too-long", f"a line has at most {limit} bytes; send shorter lines")
        self.lines = lines


# ---------------------------------------------------------------------------------------------------------------- lines


class LineDecoder:
    """Turns what arrives, however it is cut, into whole lines. It holds at most `limit` bytes between two feeds."""

    def __init__(self, limit: int = LINE_BYTES) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return every line that `data` completes, without its end.

        Raises LineTooLongError when a line is over the limit, finished or not. What was fed after its start is dropped.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > self._limit or (lines and max(map(len, lines)) > self._limit):
            self._rest = b""
            good = next((i for i, line in enumerate(lines) if len(line) > self._limit), len(lines))
            raise LineTooLongError(self._limit, [line.removesuffix(b"\r") for line in lines[:good]])
        return [line.removesuffix(b"\r") for line in lines]

    @property
    def unfinished(self) -> int:
        """How many bytes of a line without an end are held; when the connection ends they are dropped."""
        return len(self._rest)


# C0, DEL and C1 controls, line and paragraph separators, bidirectional overrides and isolates. The tab is not here.
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Return `text` without anything that could move a cursor, ring, colour, end a line or turn its direction."""
    if text.isprintable():  # the common case: every unsafe character is an unprintable one
        return text
    return _UNSAFE.sub("", text.replace("\t", " "))


def decode_line(line: bytes) -> str:
    """Return the text of one line as it may be shown to people: decoded and cleaned. Never raises."""
    return clean(line.decode("utf-8", ENCODING_ERRORS))


def decode_lines(lines: Sequence[bytes]) -> list[str]:
    """Return what `decode_line` does of each of many lines, much faster."""
    if not lines:
        return []
    texts = b"\n".join(lines).decode("utf-8", ENCODING_ERRORS).split("\n")  # no bad byte takes the next \n with it
    return texts if "".join(texts).isprintable() else [clean(text) for text in texts]


# ---------------------------------------------------------------------------------------------------------------- words


# Letters and marks that show nothing, so that two names could look the same: those that Unicode's
# DerivedCoreProperties.txt lists as Default_Ignorable_Code_Point and that have a category of letters or marks.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def _check_word(text: str, columns: int, what: str) -> str:
    """Return `text` normalised, or raise: letters and digits of any script, `_`, `-`, `.`, within `columns`."""
    code = f"{what}-invalid"
    if len(text) > columns * CHARS_IN_A_COLUMN:
        raise ProtocolError(code, f"a {what} has at most {columns} columns")
    word = unicodedata.normalize("NFKC", text)
    if not word:
        raise ProtocolError(code, f"a {what} is needed: 1 to {columns} columns of letters, digits, _, - and .")
    marks, letter = 0, " "
    for position, char in enumerate(word):
        category = "" if _INVISIBLE.match(char) else unicodedata.category(char)
        if category.startswith("M") and _is_written_on(char, letter):
            marks += 1
        else:
            marks, letter = 0, char
        alphanumeric = category.startswith("L") or category == "Nd"
        # A letter that takes no column (the Hangul fillers) cannot be seen.
        visible = alphanumeric and wcwidth.wcwidth(char) > 0
        if position == 0 and not visible:
            raise ProtocolError(code, f"a {what} starts with a letter or a digit")
        if not (visible or char in "_-." or 0 < marks <= MARKS_IN_A_ROW):
            raise ProtocolError(code, f"a {what} has only letters, digits, _, - and .")
    if wcwidth.wcswidth(word) > columns:
        raise ProtocolError(code, f"a {what} has at most {columns} columns")
    return word


def _is_written_on(mark: str, letter: str) -> bool:
    """Say whether a mark belongs to letters of this script, or to those of all: elsewhere many fonts show nothing."""
    script = unicodedata.name(mark, "").partition(" ")[0]
    return script in ("COMBINING", unicodedata.name(letter, "").partition(" ")[0])


def check_name(text: str) -> str:
    """Return the name that `text` stands for. Raises ProtocolError `name-invalid`, saying what is allowed."""
    name = _check_word(text, NAME_COLUMNS, "name")
    if same_key(name) in RESERVED_NAMES:
        raise ProtocolError("name-invalid", f"nobody may be called {name}; choose another name")
    return name


def check_room(text: str) -> str:
    """Return the room name that `text` stands for. Raises ProtocolError `room-invalid`."""
    return _check_word(text, ROOM_COLUMNS, "room")


def check_color(text: str) -> str:
    """Return the colour that a person means; `light blue` is `light-blue`. Raises ProtocolError `color-unknown`."""
    color = "-".join(text.lower().split())
    if color not in COLORS:
        raise ProtocolError("color-unknown", f"choose a colour of {', '.join(COLORS)}")
    return color


def check_text(text: str) -> str:
    """Return `text`. Raises ProtocolError `text-too-long`: a message is refused, never cut."""
    if len(text) > TEXT_CHARS:
        raise ProtocolError(
            "text-too-long",
            f"a message has at most {TEXT_CHARS} characters and this one has {len(text)}; send it in parts",
        )
    return text


def tidy_password(text: str) -> str:
    """Return a password as it arrives when somebody types it after `/pass`."""
    return clean(text).strip(" ")


def same_key(word: str) -> str:
    """Return what two names, or two rooms, have in common when they are the same: NFKC and case folding."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold())


def is_number(text: str) -> bool:
    """Say whether `text` is a number as the protocol has them: whole, in the digits 0 to 9, and not too many."""
    return text.isascii() and text.isdigit() and len(text) <= _NUMBER_DIGITS


def parse_duration(text: str) -> int:
    """Return the seconds of a time like `90s`, `30m`, `2h` or `7d`. Raises ValueError."""
    number, unit = text[:-1], _UNIT_SECONDS.get(text[-1:])
    if unit is None or not is_number(number):
        raise ValueError(f"{text!r} is no time like 90s, 30m, 2h or 7d")
    return int(number) * unit


def check_duration(text: str) -> int:
    """Return the seconds that a person means. Raises ProtocolError `argument-invalid`, saying what is allowed."""
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = 0
    if not 1 <= seconds <= DURATION_SECONDS_MAX:
        days = DURATION_SECONDS_MAX // 86_400
        raise ProtocolError("argument-invalid", f"DURATION is a time like 90s, 30m, 2h or 7d, from 1s to {days}d")
    return seconds


def default_color(name: str) -> str:
    """Return the colour of somebody who chose none: always the same for the same name, and never black or white."""
    shown = COLORS[2:]
    return shown[zlib.crc32(same_key(name).encode("utf-8", ENCODING_ERRORS)) % len(shown)]


# ------------------------------------------------------------------------------------------------------- what a line is

Text = Annotated[str, "text"]  # a last field that holds what a person wrote: it keeps every space


class Line:
    """One line of the protocol. Its subclasses are frozen dataclasses whose fields, in order, are those on the wire."""

    __slots__ = ()

    def encode(self) -> bytes:
        """Return the line as it goes over the wire, with its end. The fields must have been cleaned."""
        return self.pack(*LAYOUTS[type(self)].values(self))

    @classmethod
    def pack(cls, *values: str | int) -> bytes:
        """Return what `encode` of a line with these fields does, without making the line."""
        return (LAYOUTS[cls].template % values).encode("utf-8", ENCODING_ERRORS)


class Event(Line):
    """A line from the server."""

    __slots__ = ()


class Command(Line):
    """A line from the client."""

    __slots__ = ()

    def encode(self) -> bytes:
        """Return the line as it goes over the wire, with its end; fields left at their defaults are left out."""
        layout = LAYOUTS[type(self)]
        values = [getattr(self, name) for name in layout.names]
        while values and values[-1] == layout.defaults[len(values) - 1]:
            values.pop()
        words = [f"/{layout.word}", *map(str, values)]
        return (" ".join(words) + "\n").encode("utf-8", ENCODING_ERRORS)


# --------------------------------------------------------------------------------------------------------------- events


def _has_flag(flags: str, flag: str) -> bool:
    """Say whether `flag` is among FLAGS, of which a later version may send more, with spaces or commas between."""
    return flag in re.split("[ ,]", flags)


@dataclass(frozen=True, slots=True)
class Hello(Event):
    """The server's first line; `flags` is ``password`` or ``-``."""

    version: int
    flags: str

    @property
    def asks_password(self) -> bool:
        """Whether `/pass` must come first."""
        return _has_flag(self.flags, "password")


@dataclass(frozen=True, slots=True)
class Welcome(Event):
    """You have a name; `token` is a secret, `accepted` the highest numbered post of yours that is kept."""

    name: str
    color: str
    token: str
    accepted: int


@dataclass(frozen=True, slots=True)
class Entered(Event):
    """You are now in `room`, whose last line is `seq`, with `people` in it; `flags` is ``locked`` or ``-``."""

    room: str
    seq: int
    people: int
    flags: str

    @property
    def locked(self) -> bool:
        """Whether only a key lets people in."""
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
class Told(Event):
    """A private message, or the sender's copy of it."""

    time: int
    name: str
    color: str
    to: str
    text: Text


@dataclass(frozen=True, slots=True)
class Joined(Event):
    """Somebody else came into `room`."""

    room: str
    time: int
    name: str
    color: str


@dataclass(frozen=True, slots=True)
class Left(Event):
    """Somebody went; `text` is why: ``leave``, ``exit``, ``lost`` or another word."""

    room: str
    time: int
    name: str
    color: str
    text: Text


@dataclass(frozen=True, slots=True)
class Renamed(Event):
    """Somebody has a new name or a new colour; `old` and `new` may be equal."""

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
        """Whether only a key lets people in."""
        return _has_flag(self.flags, LOCKED)


@dataclass(frozen=True, slots=True)
class PersonRow(Event):
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
    """All your posts up to `number` are kept."""

    number: int


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """Your post `number` was not said; the number is used up."""

    number: int
    code: str
    text: Text


@dataclass(frozen=True, slots=True)
class Gap(Event):
    """Lines `first` to `last` of `room` did not reach you and are no longer kept."""

    room: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """The server speaks to you."""

    text: Text


@dataclass(frozen=True, slots=True)
class Error(Event):
    """Your last line was not carried out; `text` tells a person what to do."""

    code: str
    text: Text


@dataclass(frozen=True, slots=True)
class Bye(Event):
    """The server closes this connection now, and why."""

    text: Text


@dataclass(frozen=True, slots=True)
class Challenged(Event):
    """Prove who you are to `server`, with `nonce`; this module says how."""

    server: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Proven(Event):
    """A row of `/who`, after the others: `name` is used by its owner."""

    name: str


# ------------------------------------------------------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class Pass(Command):
    """Show that I may come in: the server's password, before anything else."""

    password: str = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True)
class Challenge(Command):
    """Ask for what a Prove is to be made for."""


@dataclass(frozen=True, slots=True)
class Prove(Command):
    """Prove to be who `verifier` stands for; this module says how."""

    verifier: str
    proof: str


@dataclass(frozen=True, slots=True)
class Name(Command):
    """Take a name, or another one; an empty `color` leaves the choice to the server."""

    name: str
    color: str = ""


@dataclass(frozen=True, slots=True)
class Resume(Command):
    """Come back to the session that `token` stands for, having every line of `room` up to `seq`."""

    token: str
    room: str
    seq: int


@dataclass(frozen=True, slots=True)
class Color(Command):
    """Show my name in another colour."""

    color: str


@dataclass(frozen=True, slots=True)
class Say(Command):
    """Say `text` in my room: the one command without a word."""

    text: Text

    def encode(self) -> bytes:
        """Return the text as a line; one that starts with ``/`` gets a second one."""
        return (("/" if self.text.startswith("/") else "") + self.text + "\n").encode("utf-8", ENCODING_ERRORS)


@dataclass(frozen=True, slots=True)
class Me(Command):
    """Do something in my room."""

    text: Text


@dataclass(frozen=True, slots=True)
class Post(Command):
    """Say `line`, what a Say or a Me would send, as the `number`-th of this session; never twice."""

    number: int
    line: Text


@dataclass(frozen=True, slots=True)
class Join(Command):
    """Go to `room`; `key` locks one that is new, and opens one that is locked."""

    room: str
    key: str = dataclasses.field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Leave(Command):
    """Go to the lobby."""


@dataclass(frozen=True, slots=True)
class List(Command):
    """Ask for the rooms."""


@dataclass(frozen=True, slots=True)
class Who(Command):
    """Ask for the members of `room`; empty: of mine."""

    room: str = ""


@dataclass(frozen=True, slots=True)
class Msg(Command):
    """Tell `name` alone."""

    name: str
    text: Text


@dataclass(frozen=True, slots=True)
class History(Command):
    """Ask for the `count` last lines before line `before`; 0 means the end of the room."""

    count: int = HISTORY_LINES
    before: int = 0


@dataclass(frozen=True, slots=True)
class Kick(Command):
    """End the stay of `name`, who may come back."""

    name: str
    why: Text = ""


@dataclass(frozen=True, slots=True)
class Ban(Command):
    """Keep `who`, a name or an address, out for `duration`."""

    who: str
    duration: str
    why: Text = ""


@dataclass(frozen=True, slots=True)
class Unban(Command):
    """Let `who`, a name or an address, in again."""

    who: str


@dataclass(frozen=True, slots=True)
class Bans(Command):
    """Ask who is banned or muted."""


@dataclass(frozen=True, slots=True)
class Mute(Command):
    """Let `name` tell nobody anything for `duration`."""

    name: str
    duration: str


@dataclass(frozen=True, slots=True)
class Unmute(Command):
    """Let `name` speak again."""

    name: str


@dataclass(frozen=True, slots=True)
class Help(Command):
    """Ask how commands are used."""

    command: str = ""


@dataclass(frozen=True, slots=True)
class Ping(Command, Event):
    """Are you there? Either side may ask."""

    token: str


@dataclass(frozen=True, slots=True)
class Pong(Command, Event):
    """I am: the answer to a ping with the same `token`."""

    token: str


@dataclass(frozen=True, slots=True)
class Exit(Command):
    """Go."""


# --------------------------------------------------------------------------------------------------------------- tables


def _values_getter(names: tuple[str, ...]) -> Callable[[Any], tuple[str | int, ...]]:
    """Return what `operator.attrgetter` is for two names and more, and for none and one as well."""
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda line: tuple(getattr(line, name) for name in names)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a kind of line stands on the wire, derived from its fields."""

    word: str
    names: tuple[str, ...]  # of its fields, in order
    types: tuple[type, ...]  # of its fields: int or str
    defaults: tuple[object, ...]  # of its fields; MISSING where one must be given
    ends_in_text: bool
    template: str  # for `%` with the fields in order
    values: Callable[[Any], tuple[str | int, ...]]  # of a line: its fields in order

    @classmethod
    def of(cls, kind: type[Line], word: str) -> "Layout":
        """Derive the layout of the dataclass `kind`."""
        fields = dataclasses.fields(kind)  # type: ignore[arg-type]  # every Line with a word is a dataclass
        hints = typing.get_type_hints(kind, include_extras=True)
        names = tuple(field.name for field in fields)
        types = tuple(int if hints[name] is int else str for name in names)
        return cls(
            word=word,
            names=names,
            types=types,
            defaults=tuple(field.default for field in fields),
            ends_in_text=bool(names) and hints[names[-1]] is Text,
            template=" ".join([f"/{word}", *("%d" if type_ is int else "%s" for type_ in types)]) + "\n",
            values=_values_getter(names),
        )


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A row of a command table."""

    kind: type[Command]
    arguments: str  # what follows the word: `ROOM`, `[COUNT [BEFORE]]`
    help: str  # one line, for `/help`, completion and the README
    layout: Layout

    @property
    def usage(self) -> str:
        """How the command is typed: `/join ROOM`."""
        return f"/{self.layout.word} {self.arguments}".rstrip()


def command_table(*rows: tuple[str, type[Command], str, str]) -> dict[str, CommandRow]:
    """Return by its word what each of `rows` tells: a word, the kind of command, its arguments and its help."""
    return {word: CommandRow(kind, arguments, text, Layout.of(kind, word)) for word, kind, arguments, text in rows}


# In the order in which `/help` shows them.
COMMANDS = command_table(
    ("pass", Pass, "PASSWORD", "first of all, where /hello says password"),
    ("challenge", Challenge, "", "before /name: let me prove who I am; a client does that by itself"),
    ("prove", Prove, "VERIFIER PROOF", "the answer to the server's /challenge"),
    ("name", Name, "NAME [COLOR]", "who I am; later: rename me, or change my colour"),
    ("resume", Resume, "TOKEN ROOM SEQ", "instead of /name: I am back; I have ROOM up to line SEQ"),
    ("color", Color, "COLOR", "change my colour"),
    ("me", Me, "TEXT", "an action: alice waves"),
    ("post", Post, "N LINE", "say LINE, text or /me TEXT, as my N-th; never twice"),
    ("join", Join, "ROOM [KEY]", "go to ROOM, or make it; KEY locks a new one"),
    ("leave", Leave, "", "back to the lobby"),
    ("list", List, "", "every room with its number of people, the lobby first"),
    ("who", Who, "[ROOM]", "who is in my room, or in ROOM"),
    ("msg", Msg, "NAME TEXT", "tell NAME alone, in whatever room"),
    ("history", History, "[COUNT [BEFORE]]", "the last COUNT lines of my room, or those before line BEFORE"),
    ("kick", Kick, "NAME [WHY]", "end the stay of NAME, who may come back; for operators"),
    ("ban", Ban, "NAME|ADDRESS DURATION [WHY]", "keep a name or an address out for 90s, 30m, 2h or 7d; for operators"),
    ("unban", Unban, "NAME|ADDRESS", "let a name or an address in again; for operators"),
    ("bans", Bans, "", "who is banned or muted; for operators"),
    ("mute", Mute, "NAME DURATION", "let NAME tell nobody anything for 90s, 30m, 2h or 7d; for operators"),
    ("unmute", Unmute, "NAME", "let NAME speak again; for operators"),
    ("help", Help, "[COMMAND]", "the commands, or one of them"),
    ("ping", Ping, "TOKEN", "answered by /pong TOKEN"),
    ("pong", Pong, "TOKEN", "the answer to a /ping of the server"),
    ("exit", Exit, "", "leave the chat"),
)

# What other programs call some of them. It is a hint for who comes from there: none of these words does anything here.
CALLED_ELSEWHERE = {
    **dict.fromkeys(("quit", "q", "bye", "logout", "disconnect"), "exit"),
    **dict.fromkeys(("part", "close"), "leave"),
    **dict.fromkeys(("j", "channel"), "join"),
    **dict.fromkeys(("rooms", "channels"), "list"),
    **dict.fromkeys(("names", "users", "whois"), "who"),
    **dict.fromkeys(("w", "whisper", "m", "query", "tell", "pm", "dm", "privmsg"), "msg"),
    **dict.fromkeys(("reply",), "r"),
    **dict.fromkeys(("action", "emote"), "me"),
    **dict.fromkeys(("nick", "rename"), "name"),
    **dict.fromkeys(("block", "squelch"), "ignore"),
    **dict.fromkeys(("unblock", "unsquelch"), "unignore"),
    **dict.fromkeys(("log", "lastlog", "scrollback"), "history"),
    **dict.fromkeys(("h", "?", "commands"), "help"),
}

EVENTS: dict[str, type[Event]] = {
    "hello": Hello,
    "challenge": Challenged,
    "welcome": Welcome,
    "entered": Entered,
    "say": Said,
    "me": Acted,
    "msg": Told,
    "joined": Joined,
    "left": Left,
    "renamed": Renamed,
    "room": RoomRow,
    "person": PersonRow,
    "proven": Proven,
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


LAYOUTS: dict[type[Line], Layout] = {
    **{kind: Layout.of(kind, word) for word, kind in EVENTS.items()},
    **{row.kind: row.layout for row in COMMANDS.values()},
}


def pack_run(
    kind: type[Said | Acted], room: str, first: int, time: int, name: str, color: str, texts: Sequence[str]
) -> bytes:
    """Return the lines of `texts` said one after another, from SEQ `first` on; each is what `pack` would return."""
    head, middle = f"/{LAYOUTS[kind].word} {room} ", f" {time} {name} {color} "
    lines = "".join([f"{head}{seq}{middle}{text}\n" for seq, text in enumerate(texts, first)])
    return lines.encode("utf-8", ENCODING_ERRORS)


# -------------------------------------------------------------------------------------------------------------- parsing


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
    return kind(*_values(layout, fields, "malformed"))


def parse_command(text: str, commands: Mapping[str, CommandRow] = COMMANDS) -> Command:
    """Return the command of the table `commands` in one cleaned line that is not empty.

    Raises ProtocolError `unknown-command`, `missing-argument` or `argument-invalid`, saying how it is done.
    """
    if not text.startswith("/"):
        return Say(text)
    if text.startswith("//"):
        return Say(text[1:])
    word, _, rest = text.partition(" ")
    row = find_command(word, commands)
    fields = _split(rest, row.layout)
    if dataclasses.MISSING in row.layout.defaults[len(fields) :]:
        raise ProtocolError("missing-argument", f"usage: {row.usage}")
    return row.kind(*_values(row.layout, fields, "argument-invalid"))


def find_command(word: str, commands: Mapping[str, CommandRow] = COMMANDS) -> CommandRow:
    """Return the row of the table `commands` that a person calls `word`, with or without its slash.

    Raises ProtocolError `unknown-command`, with the one that was probably meant.
    """
    word = word.removeprefix("/").lower()
    if word in commands:
        return commands[word]
    elsewhere = CALLED_ELSEWHERE.get(word)
    close = [elsewhere] if elsewhere in commands else difflib.get_close_matches(word[:ROOM_COLUMNS], commands, 1)
    meant = f"did you mean /{close[0]}? " if close else ""
    raise ProtocolError(
        "unknown-command",
        f"there is no command /{word[:ROOM_COLUMNS]}; {meant}/help shows them all, and //text says /text",
    )


def _split(rest: str, layout: Layout) -> list[str]:
    """Cut what follows a command's word into at most as many fields as it has; people may type more than one space."""
    fields: list[str] = []
    for left in range(len(layout.types), 0, -1):
        if left == 1:
            field = rest if layout.ends_in_text else rest.strip(" ")
        else:
            field, _, rest = rest.lstrip(" ").partition(" ")
        if not field:
            break
        fields.append(field)
    return fields


def _values(layout: Layout, fields: list[str], code: str) -> list[str | int]:
    """Return the fields as their types; `code` is the error of one that should be a number and is not."""
    values: list[str | int] = []
    for type_, field in zip(layout.types, fields, strict=False):
        if type_ is str:
            values.append(field)
        elif is_number(field):
            values.append(int(field))
        else:
            raise ProtocolError(code, f"/{layout.word}: {field[:ROOM_COLUMNS]!r} is not a whole number")
    return values
