"""A client of the wire protocol: it sends and reads single lines, and every read has a deadline."""

import re
import socket
import ssl
import time
from types import TracebackType
from typing import Self

from hubbub.protocol import LineDecoder
from testing.waiting import TIMEOUT_SECONDS


class WireClient:
    """A connection to a server that sends and reads lines."""

    def __init__(
        self,
        address: tuple[str, int],
        name: str = "",
        *,
        receive_buffer: int = 0,
        context: ssl.SSLContext | None = None,
        source: str = "",
    ) -> None:
        """Connect, with TLS if there is a `context`; with a `name`, sign in and join the lobby."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:  # an address of this machine, as which the client counts
            self.socket.bind((source, 0))
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.connect(address)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self._decoder = LineDecoder(1_000_000)
        self._lines: list[str] = []
        if name:
            self.send(f"/name {name}")
            self.read_until("/entered")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, *lines: str) -> None:
        """Send whole lines."""
        self.send_bytes("".join(f"{line}\n" for line in lines).encode())

    def send_bytes(self, data: bytes) -> None:
        """Send bytes unchanged."""
        self.socket.sendall(data)

    def read_line(self) -> str:
        """Return the next line. Raises EOFError if the server closed the connection."""
        while not self._lines:
            data = self.socket.recv(65_536)
            if not data:
                raise EOFError
            self._lines = [line.decode() for line in self._decoder.feed(data)]
        return self._lines.pop(0)

    def read_until(self, pattern: str) -> list[str]:
        """Return the lines up to the first whose start matches the regular expression `pattern`."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        lines: list[str] = []
        while not lines or not re.match(pattern, lines[-1]):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {pattern!r} in {lines}")
            lines.append(self.read_line())
        return lines

    def read_match(self, pattern: str = "/say") -> str:
        """Return the first line whose start matches `pattern`, dropping those before it."""
        return self.read_until(pattern)[-1]

    def read_to_end(self) -> list[str]:
        """Return all lines until the server closes or resets the connection."""
        lines = []
        while True:
            try:
                lines.append(self.read_line())
            except (EOFError, ConnectionResetError):
                return lines

    def sync(self) -> list[str]:
        """Return the lines that the server sent before its answer to a ping."""
        self.send("/ping sync")
        return self.read_until("/pong sync")[:-1]
