"""What a person can type: the wire's commands under the words people use, and those that need no server."""

from dataclasses import dataclass

from hubbub.client.state.settings import LEVELS
from hubbub.protocol import COMMANDS as WIRE_COMMANDS
from hubbub.protocol import (
    Command,
    CommandRow,
    Name,
    ProtocolError,
    Text,
    check_name,
    command_table,
    parse_command,
)


class Local(Command):
    """A command that the client carries out itself; it never goes over the wire."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Reply(Local):
    """Tell `text` to whoever last told the person something."""

    text: Text


@dataclass(frozen=True, slots=True)
class Ignore(Local):
    """Show no line of `name` any more; empty: list who is ignored."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Unignore(Local):
    """Show what `name` says again."""

    name: str


@dataclass(frozen=True, slots=True)
class Mentions(Local):
    """Show the lines again that mentioned the person."""


@dataclass(frozen=True, slots=True)
class Notify(Local):
    """Let of this room ring what `when`, one of LEVELS, says; empty: tell what does."""

    when: str = ""


@dataclass(frozen=True, slots=True)
class Colors(Local):
    """Tell which colours there are, and which is mine: what `/color` alone means."""


@dataclass(frozen=True, slots=True)
class Clear(Local):
    """Empty the screen."""


def _as_on_the_wire(*words: str) -> dict[str, CommandRow]:
    return {word: WIRE_COMMANDS[word] for word in words}


# In the order in which `/help` shows them. What stands for an argument is also what completion goes by.
COMMANDS = {
    **_as_on_the_wire("join", "leave", "list", "who", "msg"),
    **command_table(("r", Reply, "TEXT", "answer whoever last told me something alone")),
    **_as_on_the_wire("me"),
    **command_table(("nick", Name, "NAME", "change my name")),
    **_as_on_the_wire("color"),
    **command_table(
        ("ignore", Ignore, "[NAME]", "see no line of NAME any more, or list whom I ignore"),
        ("unignore", Unignore, "NAME", "see what NAME says again"),
        ("mentions", Mentions, "", "the last lines that mentioned me, once more"),
        ("notify", Notify, f"[{'|'.join(LEVELS)}]", "what of this room may ring, or what does now"),
    ),
    **_as_on_the_wire("history"),
    **command_table(
        ("clear", Clear, "", "empty the screen"),
        ("name", Name, "NAME [COLOR]", "who I am, after my name was taken; or change name and colour"),
    ),
    **_as_on_the_wire("kick", "ban", "unban", "bans", "mute", "unmute", "help", "exit"),
}


def understand(line: str) -> Command:
    """Return what a cleaned line means that is not empty.

    Raises ProtocolError as `protocol.parse_command` does, and for a name or a level that is none.
    """
    if line.strip().lower() == "/color":
        return Colors()
    match parse_command(line, COMMANDS):
        case Name(color=color) if color and line.lower().startswith("/nick "):
            usage = COMMANDS["nick"].usage
            raise ProtocolError("argument-invalid", f"usage: {usage}; a name has no spaces, and /color sets the colour")
        case Ignore(name) if name:
            return Ignore(check_name(name))
        case Unignore(name):
            return Unignore(check_name(name))
        case Notify(when):
            return Notify(_check_level(when))
        case command:
            return command


def _check_level(when: str) -> str:
    level = when.lower()
    if level not in ("", *LEVELS):
        raise ProtocolError("argument-invalid", f"usage: {COMMANDS['notify'].usage}")
    return level
