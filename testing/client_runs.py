"""The client and the server as processes that a test starts."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testing.fake_server import FakePeer, FakeServer
from testing.terminal import Terminal, environment
from testing.waiting import ROOT

PIPE_SECONDS = 20.0  # for a whole run of the client
NOON = 1_763_812_800_000  # 2025-11-22 12:00 UTC; the programs of tests use this time zone


@contextmanager
def client_on_terminal(tmp_path: Path, *arguments: str, **changes: str) -> Iterator[Terminal]:
    """Run the client on a terminal."""
    log = ["--log-file", str(tmp_path / "client.log")]
    with Terminal("chat_client.py", [*arguments, *log], environment(tmp_path, **changes)) as terminal:
        yield terminal


@contextmanager
def client_in_lobby(
    tmp_path: Path, server: FakeServer, *arguments: str, **changes: str
) -> Iterator[tuple[Terminal, FakePeer]]:
    """Run the client on a terminal and sign `alice` in."""
    with client_on_terminal(
        tmp_path, server.address, "--name", "alice", "--color", "red", *arguments, **changes
    ) as terminal:
        peer = server.accept()
        peer.admit()
        terminal.wait_for("you are in lobby")
        terminal.wait_for_input("lobby> ")
        yield terminal, peer


@contextmanager
def client_in_pipe(tmp_path: Path, *arguments: str, **changes: str) -> Iterator[subprocess.Popen[str]]:
    """Run the client with pipes for its three streams."""
    command = [sys.executable, str(ROOT / "chat_client.py"), *arguments, "--log-file", str(tmp_path / "client.log")]
    pipe = subprocess.PIPE
    env = environment(tmp_path, **changes)
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


def run_client_in_pipe(tmp_path: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the client without input; return its exit code, output and errors."""
    with client_in_pipe(tmp_path, *arguments) as process:
        output, errors = process.communicate(timeout=PIPE_SECONDS)
    return process.returncode, output, errors


@contextmanager
def real_server(tmp_path: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the server, on a free port by default; yield its process and its address."""
    options = ["--port", str(port), "--rate", "0", "--log-file", str(tmp_path / "server.log")]
    command = [sys.executable, str(ROOT / "chat_server.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().removeprefix("listening on ").strip()
        finally:
            process.kill()
