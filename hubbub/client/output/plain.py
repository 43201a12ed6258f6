"""Plain lines in and plain lines out: for pipes, files and programs, and for terminals that move no cursor."""

import os
import select
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TextIO

from hubbub.client.output.render import render
from hubbub.client.output.styled_line import StyledLine
from hubbub.client.output.ui import StoppedError
from hubbub.client.state.notification import Notification
from hubbub.color import Palette
from hubbub.protocol import Error, LineDecoder, decode_line

if sys.platform != "win32":
    import termios

CHUNK_BYTES = 65_536  # of one read: what a pipe holds
LINE_BYTES = 1_048_576  # of a line of input; a longer one is no text, and memory must not hold it
PROGRAM_ENCODING = "utf-8"  # of what programs read, whatever people's language is set to


class PlainUi:
    """A console without an editor. `show` writes at once, so a reader that is slow makes its caller wait.

    Without a source it reads nothing, not even that its input ends.
    """

    def __init__(
        self,
        source: TextIO | None,
        output: TextIO,
        asides: TextIO,
        palette: Palette,
        aside_palette: Palette,
        to_line: Callable[[Notification], str | None] | None = None,
    ) -> None:
        """Read from the file below `source`, past its buffer; show on `output`, show errors and ask on `asides`.

        Each of the two is painted from its own palette. With `to_line`, all news go to `output` as what it returns,
        errors too, in UTF-8; nothing goes where that is None.
        """
        self.is_interactive = source is not None and source.isatty()
        # Unbuffered, for only then does `select` know whether there is something to read.
        self._source = None if source is None else os.fdopen(source.fileno(), "rb", 0, closefd=False)
        self._output = _Writer(output, palette, output.encoding if to_line is None else PROGRAM_ENCODING)
        self._asides = _Writer(asides, aside_palette, asides.encoding)
        self._to_line = to_line
        self._decoder = LineDecoder(LINE_BYTES)
        self._lines: deque[bytes] = deque()
        self._woken, self._waker = socket.socketpair()
        self._stopped = threading.Event()

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Return the next line of input; the terminal does not show what is `secret`.

        Raises EOFError at its end or without a source, StoppedError, and OSError.
        """
        if self._source is None:
            raise EOFError
        with _without_echo(self._source.fileno()) if secret else nullcontext():
            self._asides.write(prompt)
            line = self._next_line()
        if line is None:
            raise EOFError
        return line

    def show_line(self, line: StyledLine) -> None:
        """Show a line that belongs to a question. Raises OSError when nobody reads any more."""
        self._asides.write_row(line)

    def read_lines(self, on_line: Callable[[str], bool]) -> None:
        """Hand every line to `on_line` until that returns False or input ends; without a source, until `stop`.

        Raises StoppedError, OSError when input cannot be read, and protocol.LineTooLongError for a line of more than
        LINE_BYTES.
        """
        while (line := self._next_line()) is not None and on_line(line):
            pass

    def show(self, notification: Notification) -> None:
        """Write a line, if there is one for `notification`. Raises OSError when nobody reads any more."""
        if self._to_line is not None:
            line = self._to_line(notification)
            if line is not None:
                self._output.write(line + "\n")
            return
        row = render(notification.event, notification.me, mention=notification.mention)
        if row is not None:
            writer = self._asides if isinstance(notification.event, Error) else self._output
            writer.write_row(row)

    def clear(self) -> None:
        """Do nothing: what is written stays."""

    def refresh(self) -> None:
        """Do nothing: there is no status line."""

    def stop(self) -> None:
        """End `ask` and `read_lines`, now and from now on. Any thread may call it."""
        self._stopped.set()
        with suppress(OSError):  # closed: there is nobody to wake
            self._waker.send(b"\0")

    def close(self) -> None:
        """Give back what is held; everything is shown already."""
        if self._source is not None:
            self._source.close()
        self._woken.close()
        self._waker.close()

    def _next_line(self) -> str | None:
        """Return the next line, decoded and cleaned, or None at the end of input. One without an end is a line too."""
        while not self._lines:
            self._wait()
            data = self._source.read(CHUNK_BYTES) if self._source is not None else None
            if data:
                self._lines.extend(self._decoder.feed(data))
            elif data == b"":
                if not self._decoder.buffered_bytes:
                    return None
                self._lines.extend(self._decoder.feed(b"\n"))
        if self._stopped.is_set():
            raise StoppedError
        return decode_line(self._lines.popleft())

    def _wait(self) -> None:
        """Return when there is something to read. Raises StoppedError."""
        # Elsewhere `select` takes only sockets: there a server that goes is noticed with the next line of input.
        if self._source is None:
            self._wait_for_nobody()
        elif os.name == "posix":
            select.select([self._source.fileno(), self._woken.fileno()], [], [])
        if self._stopped.is_set():
            raise StoppedError

    def _wait_for_nobody(self) -> None:
        """Return when somebody wakes us. Raises BrokenPipeError when nobody reads any more, as `head` after its lines.

        Without input nothing else would end us there before the next thing is to be shown, which may be for ever.
        """
        if not hasattr(select, "poll"):
            select.select([self._woken], [], [])
            return
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        poll.register(self._output.number, 0)  # only for what the system tells unasked: that it is broken
        if any(events & select.POLLERR for _, events in poll.poll()):
            raise BrokenPipeError


@contextmanager
def _without_echo(descriptor: int) -> Iterator[None]:
    """Have a terminal show of what is typed only that a line ends; elsewhere than in POSIX it shows all."""
    if sys.platform == "win32":
        yield
        return
    before = termios.tcgetattr(descriptor)
    hidden = termios.tcgetattr(descriptor)
    hidden[3] = hidden[3] & ~termios.ECHO | termios.ECHONL
    termios.tcsetattr(descriptor, termios.TCSADRAIN, hidden)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class _Writer:
    """Writes text to the file below a stream, all of it and at once.

    The stream itself would hold back what nobody takes, try again when Python ends, and complain; or wait there for a
    thread that waits for a slow reader. Any thread may write.
    """

    def __init__(self, stream: TextIO, palette: Palette, encoding: str) -> None:
        self._file = os.fdopen(stream.fileno(), "wb", 0, closefd=False)
        self._palette = palette
        self._encoding = encoding
        self._lock = threading.Lock()  # guards the order of the bytes: a line may need more than one write

    @property
    def number(self) -> int:
        """The file's descriptor."""
        return self._file.fileno()

    def write_row(self, row: StyledLine) -> None:
        """Write a line and its end. Raises OSError when nobody reads any more."""
        self.write("".join(self._palette.paint(style, text) for text, style in (*row.prefix, *row.body)) + "\n")

    def write(self, text: str) -> None:
        """Write `text`. Raises OSError when nobody reads any more."""
        # What people say must not fail for this system's encoding.
        rest = memoryview(text.replace("\n", os.linesep).encode(self._encoding, errors="replace"))
        with self._lock:
            while rest:
                count = self._file.write(rest)
                if count is None:  # whoever shares the file has made it non-blocking
                    select.select([], [self._file], [])
                else:
                    rest = rest[count:]
