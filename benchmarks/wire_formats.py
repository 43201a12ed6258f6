"""The lines with which a client signs in, joins, sends and leaves: in hubbub's protocol and in IRC."""

import re
from dataclasses import dataclass

MARKER = b"^"  # once in each chat message, and in nothing else that a server sends after all clients have joined
STAMP_DIGITS = 19  # of the nanoseconds since 1970 in a paced message
TEXT_BYTES = 63  # of a message; its line end makes it 64
NO_ROOM = -1  # the room number of a client that joins none
FILLER = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def message_text(stamp: int = 0) -> bytes:
    """Return the text of a message: the marker, the time it is sent at, and filler."""
    return (MARKER + b"%0*d" % (STAMP_DIGITS, stamp) + FILLER)[:TEXT_BYTES]


@dataclass(frozen=True, slots=True)
class HubbubFormat:
    """The protocol of protocol.py. Room 0 is the lobby, where every client starts."""

    welcome: bytes = b"/entered lobby "
    refusal: re.Pattern[bytes] = re.compile(rb"^/(?:error|bye) [^\n]*", re.MULTILINE)
    ping: re.Pattern[bytes] = re.compile(rb"^/ping ([^\n]*)\n", re.MULTILINE)

    def encode_sign_in(self, name: str) -> bytes:
        """Return the lines that sign a client in."""
        return f"/name {name} red\n".encode()

    def encode_join(self, room: int) -> bytes:
        """Return the line that joins a room, empty if none is needed."""
        return f"/join r{room}\n".encode() if room > 0 else b""

    def joined(self, room: int) -> bytes:
        """Return what the server sends when the client has joined."""
        return f"/entered r{room} ".encode()

    def encode_message(self, room: int, text: bytes) -> bytes:  # noqa: ARG002  # IRC needs the room
        """Return the line that sends a message to the client's room."""
        return text + b"\n"

    def encode_pong(self, token: bytes) -> bytes:
        """Return the answer to a ping of the server."""
        return b"/pong " + token + b"\n"

    def encode_leave(self) -> bytes:
        """Return the line that ends the session."""
        return b"/exit\n"


@dataclass(frozen=True, slots=True)
class IrcFormat:
    """The part of RFC 2812 that the benchmark needs."""

    welcome: bytes = b" 001 "
    refusal: re.Pattern[bytes] = re.compile(rb"^(?:ERROR |:\S+ 4(?!22)\d\d )[^\r\n]*", re.MULTILINE)  # 422: no MOTD
    ping: re.Pattern[bytes] = re.compile(rb"^(?::\S+ )?PING ([^\r\n]*)\r?\n", re.MULTILINE)

    def encode_sign_in(self, name: str) -> bytes:
        """Return the lines that sign a client in."""
        return f"NICK {name}\r\nUSER {name} 0 * :{name}\r\n".encode()

    def encode_join(self, room: int) -> bytes:
        """Return the line that joins a channel, empty for none."""
        return f"JOIN #r{room}\r\n".encode() if room != NO_ROOM else b""

    def joined(self, room: int) -> bytes:
        """Return the end of the list of names, which the server sends only to the client that joined."""
        return f" #r{room} :End of".encode()

    def encode_message(self, room: int, text: bytes) -> bytes:
        """Return the line that sends a message to a channel."""
        return b"PRIVMSG #r%d :%b\r\n" % (room, text)

    def encode_pong(self, token: bytes) -> bytes:
        """Return the answer to a ping of the server."""
        return b"PONG " + token + b"\r\n"

    def encode_leave(self) -> bytes:
        """Return the line that ends the session."""
        return b"QUIT :bye\r\n"


WireFormat = HubbubFormat | IrcFormat
WIRE_FORMATS: dict[str, WireFormat] = {"hubbub": HubbubFormat(), "irc": IrcFormat()}
