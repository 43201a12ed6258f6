"""Lines: bytes to text. The decoder, the limits of a line, and the cleaning of text.

feed bytes -> LineDecoder -> whole lines -> decode_lines -> text without control characters
"""

import re
from collections.abc import Sequence

from hubbub.protocol.errors import ProtocolError

LINE_BYTES = 16_384  # a line without its \n; the protocol fixes this number
TEXT_CHARS = 2_000  # a message; the protocol fixes this number
ENCODING_ERRORS = "replace"  # bytes that are not UTF-8 become U+FFFD; they never end a session


class LineTooLongError(ProtocolError):
    """A line over the limit arrived; `lines` are the whole lines before it."""

    def __init__(self, limit: int, lines: list[bytes]) -> None:
        super().__init__("line-too-long", f"a line has at most {limit} bytes; send shorter lines")
        self.lines = lines


class LineDecoder:
    """A splitter of a byte stream into lines. It holds at most `limit` bytes between two feeds."""

    def __init__(self, limit: int = LINE_BYTES) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes, each without its end.

        Raises LineTooLongError when a line is over the limit, finished or not, and drops everything from its start.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > self._limit or (lines and max(map(len, lines)) > self._limit):
            self._rest = b""
            good = next((i for i, line in enumerate(lines) if len(line) > self._limit), len(lines))
            raise LineTooLongError(self._limit, [line.removesuffix(b"\r") for line in lines[:good]])
        return [line.removesuffix(b"\r") for line in lines]

    @property
    def buffered_bytes(self) -> int:
        """The number of bytes held of a line that has no end yet; they are dropped when the connection ends."""
        return len(self._rest)


# C0, DEL and C1 controls, line and paragraph separators, bidirectional overrides and isolates. The tab is not here.
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Return `text` without control characters: nothing in it moves a cursor, ends a line or changes its direction."""
    if text.isprintable():  # the common case: every unsafe character is an unprintable one
        return text
    return _UNSAFE.sub("", text.replace("\t", " "))


def decode_line(line: bytes) -> str:
    """Return the text of one line, decoded and cleaned. Never raises."""
    return clean(line.decode("utf-8", ENCODING_ERRORS))


def decode_lines(lines: Sequence[bytes]) -> list[str]:
    """Return the texts of many lines, as `decode_line` does for one, but much faster."""
    if not lines:
        return []
    texts = b"\n".join(lines).decode("utf-8", ENCODING_ERRORS).split("\n")  # a bad byte never swallows the next \n
    return texts if "".join(texts).isprintable() else [clean(text) for text in texts]
