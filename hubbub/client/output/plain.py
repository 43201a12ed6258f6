"""The user interface without an editor: for pipes, files and programs, and for terminals without cursor movement."""

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
from hubbub.client.output.who_reply import WhoReply
from hubbub.client.state.notification import Notification
from hubbub.color import Palette
from hubbub.protocol import Error, LineDecoder, decode_line

if sys.platform != "win32":
    import termios

CHUNK_BYTES = 65_536  # of one read: the capacity of a pipe
LINE_BYTES = 1_048_576  # the longest line of input; a longer one is no text, and would fill the memory
PROGRAM_ENCODING = "utf-8"  # of output for programs, whatever the locale is


class PlainUi:
    """A user interface that reads and writes plain lines. `show` writes at once, so a slow reader blocks its caller.

    Without a source it reads nothing, not even the end of the input.
    """

    def __init__(
        self,
        source: TextIO | None,
        output: TextIO,
        errors: TextIO,
        palette: Palette,
        error_palette: Palette,
        to_line: Callable[[Notification], str | None] | None = None,
    ) -> None:
        """Read from the descriptor of `source`; write events to `output`, and errors and prompts to `errors`.

        Each of the two outputs has its own palette. With `to_line`, what it returns for a notification is written to
        `output` in UTF-8, also for errors; for None nothing is written.
        """
        self.is_interactive = source is not None and source.isatty()
        # Unbuffered, because `select` knows nothing of data in Python's buffer.
        self._source = None if source is None else os.fdopen(source.fileno(), "rb", 0, closefd=False)
        self._output = _Writer(output, palette, output.encoding if to_line is None else PROGRAM_ENCODING)
        self._errors = _Writer(errors, error_palette, errors.encoding)
        self._to_line = to_line
        self._who_reply = WhoReply()
        self._decoder = LineDecoder(LINE_BYTES)
        self._lines: deque[bytes] = deque()
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._stopped = threading.Event()

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Return the next line of input; the terminal does not echo a `secret` one.

        Raises EOFError at the end of the input or without a source, StoppedError, and OSError.
        """
        if self._source is None:
            raise EOFError
        with _without_echo(self._source.fileno()) if secret else nullcontext():
            self._errors.write(prompt)
            line = self._next_line()
        if line is None:
            raise EOFError
        return line

    def show_line(self, line: StyledLine) -> None:
        """Write a line that belongs to a prompt. Raises OSError when the reader is gone."""
        self._errors.write_line(line)

    def read_lines(self, on_line: Callable[[str], bool]) -> None:
        """Pass every line to `on_line` until that returns False or the input ends; without a source, until `stop`.

        Raises StoppedError, OSError when the input cannot be read, and protocol.LineTooLongError for a line of more
        than LINE_BYTES.
        """
        while (line := self._next_line()) is not None and on_line(line):
            pass

    def show(self, notification: Notification) -> None:
        """Write the line for `notification`, if it has one. Raises OSError when the reader is gone."""
        if self._to_line is not None:
            text = self._to_line(notification)
            if text is not None:
                self._output.write(text + "\n")
            return
        if self._who_reply.hold(notification.event):
            return
        for row in self._who_reply.release():
            self._output.write_line(row)
        line = render(notification.event, notification.me, mention=notification.mention)
        if line is not None:
            writer = self._errors if isinstance(notification.event, Error) else self._output
            writer.write_line(line)

    def clear(self) -> None:
        """Do nothing: written lines stay."""

    def refresh(self) -> None:
        """Do nothing: there is no status line."""

    def stop(self) -> None:
        """End `ask` and `read_lines`, now and from now on. Any thread may call it."""
        self._stopped.set()
        with suppress(OSError):  # it is closed, and nothing waits any more
            self._wake_sender.send(b"\0")

    def close(self) -> None:
        """Close the descriptors of this object. It writes nothing, because a slow reader would block it."""
        if self._source is not None:
            self._source.close()
        self._wake_receiver.close()
        self._wake_sender.close()

    def _next_line(self) -> str | None:
        """Return the next line, decoded and cleaned, or None at the end of the input. The last may have no end."""
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
        # Outside of POSIX `select` accepts only sockets: there a `stop` is noticed with the next line of input.
        if self._source is None:
            self._wait_without_source()
        elif os.name == "posix":
            select.select([self._source.fileno(), self._wake_receiver.fileno()], [], [])
        if self._stopped.is_set():
            raise StoppedError

    def _wait_without_source(self) -> None:
        """Return after `stop`. Raises BrokenPipeError when the reader of the output is gone, as `head` after its lines.

        Otherwise the process would notice that only at the next event, which may never come.
        """
        if not hasattr(select, "poll"):
            select.select([self._wake_receiver], [], [])
            return
        poll = select.poll()
        poll.register(self._wake_receiver, select.POLLIN)
        poll.register(self._output.fileno(), 0)  # only for errors, which are always reported
        if any(events & select.POLLERR for _, events in poll.poll()):
            raise BrokenPipeError


@contextmanager
def _without_echo(descriptor: int) -> Iterator[None]:
    """Turn off the terminal's echo of everything but line ends. Does nothing outside of POSIX."""
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
    """An unbuffered writer to the descriptor of a stream. Any thread may write.

    The stream itself would buffer data that a slow reader does not take. When Python ends, it would wait for that
    reader, or report an error if the reader is gone.
    """

    def __init__(self, stream: TextIO, palette: Palette, encoding: str) -> None:
        self._file = os.fdopen(stream.fileno(), "wb", 0, closefd=False)
        self._palette = palette
        self._encoding = encoding
        self._lock = threading.Lock()  # guards the order of the bytes: a line may need more than one write

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._file.fileno()

    def write_line(self, line: StyledLine) -> None:
        """Write a line and its end. Raises OSError when the reader is gone."""
        self.write("".join(self._palette.paint(style, text) for text, style in (*line.prefix, *line.body)) + "\n")

    def write(self, text: str) -> None:
        """Write `text`. Raises OSError when the reader is gone."""
        # A message may have characters that the encoding of this system lacks.
        rest = memoryview(text.replace("\n", os.linesep).encode(self._encoding, errors="replace"))
        with self._lock:
            while rest:
                count = self._file.write(rest)
                if count is None:  # another process that shares the file has made it non-blocking
                    select.select([], [self._file], [])
                else:
                    rest = rest[count:]
