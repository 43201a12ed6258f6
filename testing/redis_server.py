"""A Redis for one test, on a free port, and a relay in front of it that can be paused."""

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
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class RedisServer:
    """A redis-server that writes every change to disk; it can be killed and started again with its data."""

    def __init__(self, folder: Path, *options: str, program: tuple[str, ...] = ()) -> None:
        """Store the data in `folder`; `program` replaces the whole command."""
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
        """Start it and wait until it answers."""
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
        """Kill it with SIGKILL."""
        self._process.kill()
        self._process.wait(TIMEOUT_SECONDS)

    def client(self) -> Any:
        """Return a client that is connected to it."""
        return redis.Redis(port=self.port)


class PausableRelay(Relay):
    """A relay to a port of this machine; while it is paused nothing passes, and no connection is closed."""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port))
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._running = threading.Event()
        self._running.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.resume()
        super().__exit__(kind, error, traceback)

    def pause(self) -> None:
        """Pass nothing on."""
        self._running.clear()

    def resume(self) -> None:
        """Pass everything on again, with the data that arrived meanwhile."""
        self._running.set()

    def _connect(self, near: socket.socket) -> None:
        self._running.wait()
        super()._connect(near)

    def _forward(self, end: socket.socket) -> None:
        self._running.wait()
        super()._forward(end)
