"""A Redis of a test's own, on a free port, with its data in a folder; and a network between it and a server."""

import socket
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from testing.relay import Relay
from testing.waiting import TIMEOUT_SECONDS, eventually


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class RedisServer:
    """A redis-server that writes down what it is told; it can be killed and started again with what it has."""

    def __init__(self, folder: Path, *options: str, program: tuple[str, ...] = ()) -> None:
        """`program` is to be run instead of a Redis that keeps its data."""
        files = ("--dir", str(folder), "--save", "", "--appendonly", "yes", "--appendfsync", "always")
        self._command = program or ("redis-server", "--bind", "127.0.0.1", *files, *options)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [*self._command, "--port", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert eventually(self._answers)

    def _answers(self) -> bool:
        with redis.Redis(port=self.port) as client:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:
                return True
            except redis.RedisError:
                return False

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait(TIMEOUT_SECONDS)

    def client(self) -> Any:
        """Return a connection of the test's own."""
        return redis.Redis(port=self.port)


class PausableRelay(Relay):
    """A network to a port of this machine that can be cut: nothing passes then, and nobody is told."""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port))
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._whole = threading.Event()
        self._whole.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.mend()
        super().__exit__(kind, error, traceback)

    def cut(self) -> None:
        """Let nothing pass."""
        self._whole.clear()

    def mend(self) -> None:
        """Let everything pass, with what has come meanwhile."""
        self._whole.set()

    def _join(self, near: socket.socket) -> None:
        self._whole.wait()
        super()._join(near)

    def _pass_on(self, end: socket.socket) -> None:
        self._whole.wait()
        super()._pass_on(end)
