"""How a client enters, joins, says and leaves: in our protocol, and in IRC."""

import re
from dataclasses import dataclass

MARK = b"^"  # once in each message that is said, and in nothing else that a server sends after everybody is in
STAMP_DIGITS = 19  # of the nanoseconds since 1970 that a paced message carries
TEXT_BYTES = 63  # of a message; its line's end makes it 64
NOWHERE = -1  # a room's number for who joins none
FILLER = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def text(stamp: int = 0) -> bytes:
    """Return what is said: the mark, when it was said, and filler."""
    return (MARK + b"%0*d" % (STAMP_DIGITS, stamp) + FILLER)[:TEXT_BYTES]


@dataclass(frozen=True, slots=True)
class Ours:
    """The protocol of protocol.py. Room 0 is the lobby, where everybody is at first."""

    welcomed: bytes = b"/entered lobby "
    refused: re.Pattern[bytes] = re.compile(rb"^/(?:error|bye) [^\n]*", re.MULTILINE)
    asked: re.Pattern[bytes] = re.compile(rb"^/ping ([^\n]*)\n", re.MULTILINE)

    def greet(self, name: str) -> bytes:
        """Say who one is."""
        return f"/name {name} red\n".encode()

    def join(self, room: int) -> bytes:
        """Go to a room; nothing where that needs nothing."""
        return f"/join r{room}\n".encode() if room > 0 else b""

    def joined(self, room: int) -> bytes:
        """Return what the server says when one is in."""
        return f"/entered r{room} ".encode()

    def say(self, room: int, said: bytes) -> bytes:  # noqa: ARG002  # IRC needs the room
        """Say something in the room where one is."""
        return said + b"\n"

    def pong(self, token: bytes) -> bytes:
        """Answer the server's question whether one is there."""
        return b"/pong " + token + b"\n"

    def leave(self) -> bytes:
        """Leave for good."""
        return b"/exit\n"


@dataclass(frozen=True, slots=True)
class Irc:
    """RFC 2812, as far as it is needed."""

    welcomed: bytes = b" 001 "
    refused: re.Pattern[bytes] = re.compile(rb"^(?:ERROR |:\S+ 4(?!22)\d\d )[^\r\n]*", re.MULTILINE)  # 422: no MOTD
    asked: re.Pattern[bytes] = re.compile(rb"^(?::\S+ )?PING ([^\r\n]*)\r?\n", re.MULTILINE)

    def greet(self, name: str) -> bytes:
        """Say who one is."""
        return f"NICK {name}\r\nUSER {name} 0 * :{name}\r\n".encode()

    def join(self, room: int) -> bytes:
        """Go to a channel."""
        return f"JOIN #r{room}\r\n".encode() if room != NOWHERE else b""

    def joined(self, room: int) -> bytes:
        """Return the end of the list of names, which only who joined is told."""
        return f" #r{room} :End of".encode()

    def say(self, room: int, said: bytes) -> bytes:
        """Say something in a channel."""
        return b"PRIVMSG #r%d :%b\r\n" % (room, said)

    def pong(self, token: bytes) -> bytes:
        """Answer the server's question whether one is there."""
        return b"PONG " + token + b"\r\n"

    def leave(self) -> bytes:
        """Leave for good."""
        return b"QUIT :bye\r\n"


Dialect = Ours | Irc
DIALECTS: dict[str, Dialect] = {"ours": Ours(), "irc": Irc()}
