"""Helpers: a client of the wire protocol as a test needs it, and a server around it."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from loguru import logger

from hubbub.protocol import LineDecoder
from hubbub.server.access.limits import Limits
from hubbub.server.backend import LocalBackend
from hubbub.server.server import ChatServer

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 10.0  # for anything that should happen at once, on a busy machine
# A server that slows nobody down and lets the lost go at once.
FAST = Limits(rate=0, room_changes=0, name_changes=0, grace_seconds=0)


class Wire:
    """A connection to a server: lines out, lines in, with a deadline on every wait."""

    def __init__(
        self,
        address: tuple[str, int],
        name: str = "",
        *,
        receive_buffer: int = 0,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Connect, with TLS if there is a `context`; with a `name`, enter the lobby."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_SECONDS)
        self.socket.connect(address)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self._decoder = LineDecoder(1_000_000)
        self._lines: list[str] = []
        if name:
            self.send(f"/name {name}")
            self.until("/entered")

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
        """Send bytes as they are."""
        self.socket.sendall(data)

    def line(self) -> str:
        """Return the next line; EOFError when the server closed."""
        while not self._lines:
            data = self.socket.recv(65_536)
            if not data:
                raise EOFError
            self._lines = [line.decode() for line in self._decoder.feed(data)]
        return self._lines.pop(0)

    def until(self, pattern: str) -> list[str]:
        """Return the lines up to the first that the regular expression `pattern` matches at its start."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        lines: list[str] = []
        while not lines or not re.match(pattern, lines[-1]):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {pattern!r} in {lines}")
            lines.append(self.line())
        return lines

    def said(self, pattern: str = "/say") -> str:
        """Return the first line that matches."""
        return self.until(pattern)[-1]

    def rest(self) -> list[str]:
        """Return all lines until the server closes, or is killed with something of ours unread."""
        lines = []
        while True:
            try:
                lines.append(self.line())
            except (EOFError, ConnectionResetError):
                return lines

    def sync(self) -> list[str]:
        """Return what the server sent before it answered a ping."""
        self.send("/ping sync")
        return self.until("/pong sync")[:-1]


@contextmanager
def serving(**options: Any) -> Iterator[ChatServer]:
    """Run a server in this process, alone with its `journal` if one is given; none of their threads outlives it.

    Of servers inside each other, the outermost answers for all: sessions of it may be ending when an inner one stops.
    """
    before = threading.active_count()
    options.setdefault("limits", FAST)
    if journal := options.pop("journal", None):
        options["backend"] = LocalBackend(journal)
    if backend := options.pop("backend", None):
        options["backend"] = lambda: backend
    with ChatServer("127.0.0.1", 0, **options) as server:
        yield server
    threads = threading.enumerate()
    assert len(threads) <= before or any(thread.name == "acceptor" for thread in threads), threads


@contextmanager
def logged() -> Iterator[list[str]]:
    """Gather the lines of the log."""
    lines: list[str] = []
    number = logger.add(lines.append, format="{message}")
    try:
        yield lines
    finally:
        logger.remove(number)


def eventually(fact: Callable[[], bool]) -> bool:
    """Return whether `fact` becomes true within the patience."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not fact():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.01)
    return True


class ServerProcess:
    """`chat_server.py` as a process of its own, in `folder`.

    `faulty` is what `testing.faulty_server` takes first; `module` is another one to run in its stead.
    """

    def __init__(self, folder: Path, *options: str, faulty: tuple[str, ...] = (), module: str = "") -> None:
        module = "testing.faulty_server" if faulty else module
        program = ["-m", module, *faulty] if module else [str(ROOT / "chat_server.py")]
        command = [sys.executable, *program, "--port", "0", *options]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True, env=env)
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        host, _, port = self.first_line.removeprefix("listening on ").strip().rpartition(":")
        self.address = (host.strip("[]"), int(port))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=PATIENCE_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """End it with a signal; return its exit code and what it wrote to standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, errors

    def resident_bytes(self) -> int:
        """Return the memory that the process holds."""
        return int(psutil.Process(self.process.pid).memory_info().rss)
