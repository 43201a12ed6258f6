"""Plain lines in and plain lines out: for pipes and files, and for terminals that cannot move their cursor."""

import io
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from client.console import StoppedError
from client.status import Status
from protocol import LineDecoder, decode_line

CHUNK_BYTES = 65_536  # of one read: what a pipe holds
LINE_BYTES = 1_048_576  # of a line of input; a longer one is no text, and memory must not hold it


class Plain:
    """A console without an editor. `show` writes at once, so a reader that is slow makes its caller wait."""

    def __init__(self, source: TextIO, output: TextIO, asides: TextIO) -> None:
        """Read from the file below `source`, past its buffer; show on `output`, and ask on `asides`."""
        self.asks = source.isatty()
        # Unbuffered, for only then does `select` know whether there is something to read.
        self._source = open(source.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115 (closed in close)
        self._output = output
        self._asides = asides
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="replace")  # what people say must not fail for this system's encoding
        self._decoder = LineDecoder(LINE_BYTES)
        self._lines: deque[bytes] = deque()
        self._woken, self._waker = socket.socketpair()
        self._stopped = threading.Event()

    def ask(self, question: str) -> str:
        """Return the next line of input. Raises EOFError at its end, and StoppedError."""
        self._asides.write(question)
        self._asides.flush()
        line = self._next_line()
        if line is None:
            raise EOFError
        return line

    def read_lines(self, on_line: Callable[[str], bool], status: Callable[[], Status]) -> None:  # noqa: ARG002
        """Hand every line to `on_line` until that returns False or input ends.

        Raises StoppedError, and protocol.LineTooLongError for a line of more than LINE_BYTES.
        """
        while (line := self._next_line()) is not None and on_line(line):
            pass

    def refresh(self) -> None:
        """Do nothing: there is no status line."""

    def show(self, line: str, *, aside: bool = False) -> None:
        """Write `line`. Raises OSError when nobody reads any more."""
        stream = self._asides if aside else self._output
        stream.write(line + "\n")
        stream.flush()

    def stop(self) -> None:
        """End `ask` and `read_lines`, now and from now on. Any thread may call it."""
        self._stopped.set()
        with suppress(OSError):  # closed: there is nobody to wake
            self._waker.send(b"\0")

    def close(self) -> None:
        """Give up what could not be written: Python would try again at its end, and complain."""
        for thing in (self._source, self._woken, self._waker):
            thing.close()
        try:
            self._output.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._output.fileno())
            os.close(nowhere)

    def _next_line(self) -> str | None:
        """Return the next line, decoded and cleaned, or None at the end of input. One without an end is a line too."""
        while not self._lines:
            self._wait()
            data = self._source.read(CHUNK_BYTES)
            if data:
                self._lines.extend(self._decoder.feed(data))
            elif data == b"":
                if not self._decoder.unfinished:
                    return None
                self._lines.extend(self._decoder.feed(b"\n"))
        if self._stopped.is_set():
            raise StoppedError
        return decode_line(self._lines.popleft())

    def _wait(self) -> None:
        # Elsewhere `select` takes only sockets: there a server that goes is noticed with the next line of input.
        if os.name == "posix":
            select.select([self._source.fileno(), self._woken.fileno()], [], [])
        if self._stopped.is_set():
            raise StoppedError
