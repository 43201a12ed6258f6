"""Commands: the lines from the client, a frozen dataclass for each, and their table with the guards.

parse_command -> find_command -> a row of the table -> the command
"""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from hubbub.protocol.errors import ProtocolError
from hubbub.protocol.events import Ping, Pong
from hubbub.protocol.layout import LAYOUTS, Command, Layout, Text
from hubbub.protocol.lines import ENCODING_ERRORS
from hubbub.protocol.validation import ROOM_COLUMNS

HISTORY_LINES = 50  # what /entered and a bare /history show
HISTORY_LINES_MAX = 1_000  # what one /history may ask for


@dataclass(frozen=True, slots=True)
class Pass(Command):
    """Give the server's password, before anything else."""

    password: str = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True)
class Challenge(Command):
    """Ask for the nonce that a Prove answers."""


@dataclass(frozen=True, slots=True)
class Prove(Command):
    """Prove an identity; the docstring of hubbub.protocol says how."""

    verifier: str
    proof: str


@dataclass(frozen=True, slots=True)
class Name(Command):
    """Choose or change the name; an empty `color` leaves the choice to the server."""

    name: str
    color: str = ""


@dataclass(frozen=True, slots=True)
class Resume(Command):
    """Return to the session of `token`; `seq` is the last line received of `room`."""

    token: str
    room: str
    seq: int


@dataclass(frozen=True, slots=True)
class Color(Command):
    """Change the colour."""

    color: str


@dataclass(frozen=True, slots=True)
class Say(Command):
    """Send `text` to the room. It is the only command without a word."""

    text: Text

    def encode(self) -> bytes:
        """Return the text as a line; one that starts with ``/`` gets a second one."""
        return (("/" if self.text.startswith("/") else "") + self.text + "\n").encode("utf-8", ENCODING_ERRORS)


@dataclass(frozen=True, slots=True)
class Me(Command):
    """Send an action to the room."""

    text: Text


@dataclass(frozen=True, slots=True)
class Post(Command):
    """Send `line`, as a Say or a Me would, as post `number` of this session; it is stored only once."""

    number: int
    line: Text


@dataclass(frozen=True, slots=True)
class Join(Command):
    """Enter `room`; `key` locks a new one and opens a locked one."""

    room: str
    key: str = dataclasses.field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Leave(Command):
    """Return to the lobby."""


@dataclass(frozen=True, slots=True)
class List(Command):
    """List the rooms."""


@dataclass(frozen=True, slots=True)
class Who(Command):
    """List the members of `room`, or of the user's room if it is empty."""

    room: str = ""


@dataclass(frozen=True, slots=True)
class Msg(Command):
    """Send a private message to `name`."""

    name: str
    text: Text


@dataclass(frozen=True, slots=True)
class History(Command):
    """Show the last `count` lines before line `before`; 0 means the end of the room."""

    count: int = HISTORY_LINES
    before: int = 0


@dataclass(frozen=True, slots=True)
class Kick(Command):
    """Disconnect `name`, who may return."""

    name: str
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class Ban(Command):
    """Ban `target`, a name or an address, for `duration`."""

    target: str
    duration: str
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class Unban(Command):
    """Lift the ban of `target`, a name or an address."""

    target: str


@dataclass(frozen=True, slots=True)
class Bans(Command):
    """List the bans and mutes."""


@dataclass(frozen=True, slots=True)
class Mute(Command):
    """Stop `name` from sending for `duration`."""

    name: str
    duration: str


@dataclass(frozen=True, slots=True)
class Unmute(Command):
    """Allow `name` to send again."""

    name: str


@dataclass(frozen=True, slots=True)
class Release(Command):
    """Take `name` from its owner."""

    name: str


@dataclass(frozen=True, slots=True)
class Help(Command):
    """List the commands, or explain one."""

    command: str = ""


@dataclass(frozen=True, slots=True)
class Exit(Command):
    """Leave the chat."""


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A row of a command table: how a command is typed, what it does, and who may use it when."""

    word: str  # after the slash; empty for text, the one command without a word
    kind: type[Command]
    arguments: str  # after the word: `ROOM`, `[COUNT [BEFORE]]`
    help: str  # one line, for `/help`, completion and the documentation
    details: str = ""  # one line more, for `/help COMMAND`
    aliases: tuple[str, ...] = ()  # other words for it
    before_password: bool = False  # allowed while the server waits for its password
    before_name: bool = False  # allowed while the connection has no name
    operators_only: bool = False
    sends_text: bool = False  # what it carries is a message in the sender's room
    for_programs: bool = False  # client programs send it; `/help` does not list it
    layout: Layout = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", Layout.of(self.kind, self.word))

    @property
    def usage(self) -> str:
        """How the command is typed: `/join ROOM`."""
        return f"/{self.word} {self.arguments}".rstrip()

    @property
    def required_arguments(self) -> int:
        """The number of arguments that must be given."""
        return self.layout.defaults.count(dataclasses.MISSING)

    def explain(self) -> list[str]:
        """Return the lines that `/help COMMAND` shows."""
        also = f"also typed {', '.join(f'/{alias}' for alias in self.aliases)}" if self.aliases else ""
        operators = "for operators only" if self.operators_only else ""
        return [f"{self.usage}  {self.help}", *filter(None, (self.details, also, operators))]


def command_table(*rows: CommandRow) -> dict[str, CommandRow]:
    """Return `rows` by their words."""
    return {row.word: row for row in rows}


_DURATION = "DURATION is a number and a unit: 90s, 30m, 2h or 7d"

# In the order in which `/help` shows them. Their handlers are in hubbub/server/commands.
COMMANDS = command_table(
    CommandRow(
        "pass",
        Pass,
        "PASSWORD",
        "give the server's password, first of all",
        "Needed where the server's /hello says password.",
        before_password=True,
        before_name=True,
    ),
    CommandRow("challenge", Challenge, "", "ask for a challenge, before /name", before_name=True, for_programs=True),
    CommandRow("prove", Prove, "VERIFIER PROOF", "answer the server's /challenge", before_name=True, for_programs=True),
    CommandRow(
        "name",
        Name,
        "NAME [COLOR]",
        "choose a name, or change name and colour",
        aliases=("nick",),
        before_name=True,
    ),
    CommandRow(
        "resume",
        Resume,
        "TOKEN ROOM SEQ",
        "return to a lost session instead of /name; SEQ is the last line received of ROOM",
        before_name=True,
        for_programs=True,
    ),
    CommandRow("color", Color, "COLOR", "change your colour"),
    CommandRow("me", Me, "TEXT", "send an action: alice waves", sends_text=True),
    CommandRow(
        "post",
        Post,
        "N LINE",
        "send LINE, text or /me TEXT, as post number N; never stored twice",
        sends_text=True,
        for_programs=True,
    ),
    CommandRow(
        "join",
        Join,
        "ROOM [KEY]",
        "enter ROOM, or create it; KEY locks a new one",
        "A locked room opens with its KEY only.",
    ),
    CommandRow("leave", Leave, "", "return to the lobby", aliases=("part",)),
    CommandRow("list", List, "", "list the rooms and how many are in each"),
    CommandRow("who", Who, "[ROOM]", "list the members of your room, or of ROOM", aliases=("names",)),
    CommandRow("msg", Msg, "NAME TEXT", "send NAME a private message"),
    CommandRow(
        "history",
        History,
        "[COUNT [BEFORE]]",
        "show the last COUNT lines before line BEFORE",
        f"BEFORE is a line number. COUNT is {HISTORY_LINES} by default, at most {HISTORY_LINES_MAX}.",
    ),
    CommandRow(
        "kick",
        Kick,
        "NAME [REASON]",
        "disconnect NAME; they may return",
        "For operators, and for the owner of a locked room.",
    ),
    CommandRow(
        "ban",
        Ban,
        "NAME|ADDRESS DURATION [REASON]",
        "ban a name or address for DURATION",
        _DURATION,
        operators_only=True,
    ),
    CommandRow("unban", Unban, "NAME|ADDRESS", "lift the ban of a name or address", operators_only=True),
    CommandRow("bans", Bans, "", "list the bans and mutes", operators_only=True),
    CommandRow("mute", Mute, "NAME DURATION", "stop NAME from sending for DURATION", _DURATION, operators_only=True),
    CommandRow("unmute", Unmute, "NAME", "allow NAME to send again", operators_only=True),
    CommandRow("release", Release, "NAME", "take NAME from its owner", operators_only=True),
    CommandRow("help", Help, "[COMMAND]", "list the commands, or explain one", before_name=True),
    CommandRow("ping", Ping, "TOKEN", "answered by /pong TOKEN", before_name=True, for_programs=True),
    CommandRow("pong", Pong, "TOKEN", "answer a /ping of the server", before_name=True, for_programs=True),
    CommandRow("exit", Exit, "", "leave the chat", aliases=("quit",), before_password=True, before_name=True),
)

ROWS: dict[type[Command], CommandRow] = {
    Say: CommandRow("", Say, "TEXT", "send TEXT to your room", sends_text=True),
    **{row.kind: row for row in COMMANDS.values()},
}

LAYOUTS.update({row.kind: row.layout for row in COMMANDS.values()})

# The words of other programs for some commands. They are hints in an error: none of them is a command here.
FOREIGN_WORDS = {
    **dict.fromkeys(("q", "bye", "logout", "disconnect"), "exit"),
    **dict.fromkeys(("close",), "leave"),
    **dict.fromkeys(("j", "channel"), "join"),
    **dict.fromkeys(("rooms", "channels"), "list"),
    **dict.fromkeys(("users", "whois"), "who"),
    **dict.fromkeys(("w", "whisper", "m", "query", "tell", "pm", "dm", "privmsg"), "msg"),
    **dict.fromkeys(("reply",), "r"),
    **dict.fromkeys(("action", "emote"), "me"),
    **dict.fromkeys(("rename",), "name"),
    **dict.fromkeys(("block", "squelch"), "ignore"),
    **dict.fromkeys(("unblock", "unsquelch"), "unignore"),
    **dict.fromkeys(("log", "lastlog", "scrollback"), "history"),
    **dict.fromkeys(("h", "?", "commands"), "help"),
}


def parse_command(text: str, commands: Mapping[str, CommandRow] = COMMANDS) -> Command:
    """Return the command of the table `commands` in one cleaned line that is not empty.

    Raises ProtocolError `unknown-command`, `missing-argument` or `argument-invalid`; its text says what to type.
    """
    if not text.startswith("/"):
        return Say(text)
    if text.startswith("//"):
        return Say(text[1:])
    word, _, rest = text.partition(" ")
    row = find_command(word, commands)
    fields = _split(rest, row.layout)
    if len(fields) < row.required_arguments:
        raise ProtocolError("missing-argument", f"usage: {row.usage}")
    return row.kind(*row.layout.convert(fields, "argument-invalid"))


def get_command(word: str, commands: Mapping[str, CommandRow] = COMMANDS) -> CommandRow | None:
    """Return the row of the table `commands` with this word or alias, with or without its slash; None without one."""
    word = word.removeprefix("/").lower()
    return commands.get(word) or next((row for row in commands.values() if word in row.aliases), None)


def find_command(word: str, commands: Mapping[str, CommandRow] = COMMANDS) -> CommandRow:
    """Return what `get_command` returns.

    Raises ProtocolError `unknown-command`, which suggests the command that was probably meant.
    """
    if (row := get_command(word, commands)) is not None:
        return row
    word = word.removeprefix("/").lower()
    foreign = FOREIGN_WORDS.get(word)
    close = [foreign] if foreign in commands else difflib.get_close_matches(word[:ROOM_COLUMNS], commands, 1)
    meant = f"did you mean /{close[0]}? " if close else ""
    raise ProtocolError(
        "unknown-command",
        f"there is no command /{word[:ROOM_COLUMNS]}; {meant}/help lists the commands; type //text to send /text",
    )


def _split(rest: str, layout: Layout) -> list[str]:
    """Cut what follows a command's word into at most as many fields as it has; users may type more than one space."""
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
