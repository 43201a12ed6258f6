"""The commands that a user can type: those of the protocol under familiar words, and those that need no server."""

from collections.abc import Collection
from dataclasses import dataclass

from hubbub.client.state.settings import LEVELS
from hubbub.protocol import (
    COLORS,
    COMMANDS as PROTOCOL_COMMANDS,
    Color,
    Command,
    CommandRow,
    Join,
    Name,
    ProtocolError,
    Text,
    Who,
    check_color,
    check_name,
    command_table,
    find_command,
    parse_command,
)


class LocalCommand(Command):
    """A command that the client carries out itself; it is never sent."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Reply(LocalCommand):
    """Send `text` to the sender of the last private message."""

    text: Text


@dataclass(frozen=True, slots=True)
class Ignore(LocalCommand):
    """Hide the messages of `name`; empty: list the ignored names."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Unignore(LocalCommand):
    """Show the messages of `name` again."""

    name: str


@dataclass(frozen=True, slots=True)
class Mentions(LocalCommand):
    """Show again the lines that mention the user."""


@dataclass(frozen=True, slots=True)
class Notify(LocalCommand):
    """Set when this room rings to `when`, one of LEVELS; empty: show it."""

    when: str = ""


@dataclass(frozen=True, slots=True)
class Colors(LocalCommand):
    """Show the colours, and the user's own: what `/color` alone means."""


@dataclass(frozen=True, slots=True)
class Clear(LocalCommand):
    """Empty the screen."""


def _from_protocol(*words: str) -> dict[str, CommandRow]:
    return {word: PROTOCOL_COMMANDS[word] for word in words}


OPERATOR_COMMANDS = _from_protocol("kick", "ban", "unban", "bans", "mute", "unmute", "release")

# In the order in which `/help` shows them. Completion goes by the placeholders of the arguments.
GENERAL_COMMANDS = {
    **_from_protocol("join", "leave", "list", "who", "msg"),
    **command_table(CommandRow("r", Reply, "TEXT", "reply to the last private message")),
    **_from_protocol("me"),
    **command_table(CommandRow("nick", Name, "NAME", "change your name")),
    **_from_protocol("color"),
    **command_table(
        CommandRow("ignore", Ignore, "[NAME]", "hide NAME's messages, or list the ignored names"),
        CommandRow("unignore", Unignore, "NAME", "show NAME's messages again"),
        CommandRow("mentions", Mentions, "", "show the last lines that mention you"),
        CommandRow("notify", Notify, f"[{'|'.join(LEVELS)}]", "choose when this room rings, or show it"),
    ),
    **_from_protocol("history"),
    **command_table(
        CommandRow("clear", Clear, "", "empty the screen"),
        CommandRow("name", Name, "NAME [COLOR]", "choose another name, if yours is refused"),
    ),
    **_from_protocol("help", "exit"),
}
COMMANDS = {**GENERAL_COMMANDS, **OPERATOR_COMMANDS}

OPERATORS = "operators"  # `/help operators` lists their commands
KEYS = "keys: Tab complete, Up last line, Ctrl-R search, Ctrl-L redraw, Ctrl-D exit"
MORE_HELP = f"/help COMMAND explains a command; /help {OPERATORS} lists operator commands"


def choose_color(text: str) -> str:
    """Return the colour for its name or its number in the chart. Raises ProtocolError."""
    number = text.strip()
    if number.isascii() and number.isdigit() and number.lstrip("0") and int(number) <= len(COLORS):
        return COLORS[int(number) - 1]
    return check_color(text)


def parse_line(line: str) -> Command:
    """Return the command in a cleaned line that is not empty.

    Raises ProtocolError as `protocol.parse_command` does, and for a bad name, colour or level.
    """
    if line.strip().lower() == "/color":
        return Colors()
    match parse_command(line, COMMANDS):
        case Name(color=color) if color and line.lower().startswith("/nick "):
            usage = COMMANDS["nick"].usage
            raise ProtocolError("argument-invalid", f"usage: {usage}; a name has no spaces, and /color sets the colour")
        case Name(name, color) if color:
            return Name(name, choose_color(color))
        case Color(color):
            return Color(choose_color(color))
        case Join(room, key):
            return Join(room.removeprefix("#"), key)
        case Who(room):
            return Who(room.removeprefix("#"))
        case Ignore(name) if name:
            return Ignore(check_name(name))
        case Unignore(name):
            return Unignore(check_name(name))
        case Notify(when):
            return Notify(_check_level(when))
        case command:
            return command


def help_lines(topic: str) -> list[str]:
    """Return what `/help topic` shows: one command, the operators' commands, or, if empty, the general ones.

    Raises ProtocolError for an unknown command.
    """
    if not topic:
        return [*_table(GENERAL_COMMANDS.values()), MORE_HELP, KEYS]
    if topic.lower() == OPERATORS:
        return _table(OPERATOR_COMMANDS.values())
    return find_command(topic, COMMANDS).explain()


def _table(rows: Collection[CommandRow]) -> list[str]:
    width = max(len(row.usage) for row in rows)
    return [f"{row.usage:{width}}  {row.help}" for row in rows]


def _check_level(when: str) -> str:
    level = when.lower()
    if level not in ("", *LEVELS):
        raise ProtocolError("argument-invalid", f"usage: {COMMANDS['notify'].usage}")
    return level
