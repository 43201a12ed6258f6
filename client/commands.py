"""What a person can type: the wire's commands under the words people use, and those that need no server."""

from dataclasses import dataclass

from client.settings import LEVELS
from protocol import (
    Ban,
    Bans,
    Color,
    Command,
    Exit,
    Help,
    History,
    Join,
    Kick,
    Leave,
    List,
    Me,
    Msg,
    Mute,
    Name,
    ProtocolError,
    Text,
    Unban,
    Unmute,
    Who,
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
class Clear(Local):
    """Empty the screen."""


# In the order in which `/help` shows them. What stands for an argument is also what completion goes by.
COMMANDS = command_table(
    ("join", Join, "ROOM [KEY]", "go to ROOM, or make it; KEY locks a new one"),
    ("leave", Leave, "", "back to the lobby"),
    ("list", List, "", "every room with its number of people, the lobby first"),
    ("who", Who, "[ROOM]", "who is in my room, or in ROOM"),
    ("msg", Msg, "NAME TEXT", "tell NAME alone, in whatever room"),
    ("r", Reply, "TEXT", "answer whoever last told me something alone"),
    ("me", Me, "TEXT", "an action: alice waves"),
    ("nick", Name, "NAME", "change my name"),
    ("color", Color, "COLOR", "change my colour"),
    ("ignore", Ignore, "[NAME]", "see no line of NAME any more, or list whom I ignore"),
    ("unignore", Unignore, "NAME", "see what NAME says again"),
    ("mentions", Mentions, "", "the last lines that mentioned me, once more"),
    ("notify", Notify, f"[{'|'.join(LEVELS)}]", "what of this room may ring, or what does now"),
    ("history", History, "[COUNT [BEFORE]]", "the last COUNT lines of my room, or those before line BEFORE"),
    ("clear", Clear, "", "empty the screen"),
    ("name", Name, "NAME [COLOR]", "who I am, after my name was taken; or change name and colour"),
    ("kick", Kick, "NAME [WHY]", "end the stay of NAME, who may come back; for operators"),
    ("ban", Ban, "NAME|ADDRESS DURATION [WHY]", "keep a name or an address out for 90s, 30m, 2h or 7d; for operators"),
    ("unban", Unban, "NAME|ADDRESS", "let a name or an address in again; for operators"),
    ("bans", Bans, "", "who is banned or muted; for operators"),
    ("mute", Mute, "NAME DURATION", "let NAME tell nobody anything for 90s, 30m, 2h or 7d; for operators"),
    ("unmute", Unmute, "NAME", "let NAME speak again; for operators"),
    ("help", Help, "[COMMAND]", "the commands, or one of them"),
    ("exit", Exit, "", "leave the chat"),
)


def understand(line: str) -> Command:
    """Return what a cleaned line means that is not empty.

    Raises ProtocolError as `protocol.parse_command` does, and for a name or a level that is none.
    """
    match parse_command(line, COMMANDS):
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
