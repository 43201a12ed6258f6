"""The chat server, in this process or as a process of its own."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from loguru import logger

from hubbub.server.access.limits import Limits
from hubbub.server.backend import LocalBackend
from hubbub.server.server import ChatServer
from testing.waiting import ROOT, TIMEOUT_SECONDS

# No rate limit, and no grace after a lost connection.
FAST_LIMITS = Limits(rate=0, room_changes_per_minute=0, name_changes_per_minute=0, grace_seconds=0)


@contextmanager
def serving(**options: Any) -> Iterator[ChatServer]:
    """Run a server in this process, with a local backend on `journal` if given, and check that its threads end.

    With nested servers only the outermost one checks: its sessions may still be ending when an inner server stops.
    """
    before = threading.active_count()
    options.setdefault("limits", FAST_LIMITS)
    if journal := options.pop("journal", None):
        options["backend"] = LocalBackend(journal)
    if backend := options.pop("backend", None):
        options["backend"] = lambda: backend
    with ChatServer("127.0.0.1", 0, **options) as server:
        yield server
    threads = threading.enumerate()
    assert len(threads) <= before or any(thread.name == "acceptor" for thread in threads), threads


@contextmanager
def captured_log() -> Iterator[list[str]]:
    """Collect the messages of the log."""
    lines: list[str] = []
    number = logger.add(lines.append, format="{message}")
    try:
        yield lines
    finally:
        logger.remove(number)


def refused(*options: str, cwd: Path) -> str:
    """Run a server that cannot start, check its exit code 2, and return its standard error.

    Its port is a free one unless `options` name another.
    """
    command = [sys.executable, str(ROOT / "chat_server.py"), "--port", "0", *options]
    run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    return run.stderr


class ServerProcess:
    """`chat_server.py` as a process in `folder`.

    `faulty` has the first arguments of `testing.crashing_server`, which then runs; `module` is another module to run.
    """

    def __init__(self, folder: Path, *options: str, faulty: tuple[str, ...] = (), module: str = "") -> None:
        module = "testing.crashing_server" if faulty else module
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
        self.process.communicate(timeout=TIMEOUT_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Stop it with a signal; return its exit code and its standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=TIMEOUT_SECONDS)
        return self.process.returncode, errors

    def resident_bytes(self) -> int:
        """Return the resident memory of the process."""
        return int(psutil.Process(self.process.pid).memory_info().rss)
