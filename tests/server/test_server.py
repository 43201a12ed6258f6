"""hubbub.server.server: a server under load, out of resources, and its log."""

import errno
import os
import resource
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from hubbub.server import server as server_module
from hubbub.server.backend import Backend
from hubbub.server.journal.journal import JournalError
from hubbub.server.server import ChatServer
from testing.server import FAST_LIMITS, ServerProcess, captured_log, serving
from testing.waiting import TIMEOUT_SECONDS, eventually
from testing.wire_client import WireClient


def test_the_address_is_free_again_when_there_is_no_journal() -> None:
    """Nothing of a server that could not be is left."""

    def refuse() -> Backend:
        raise JournalError("not today")

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(JournalError):
        ChatServer("127.0.0.1", port, backend=refuse)
    socket.create_server(("127.0.0.1", port)).close()


def test_the_log_has_names_and_no_messages(tmp_path: Path) -> None:
    """It has sign-ins, joins, refusals and departures, with mode 600; it has no messages."""
    with ServerProcess(tmp_path) as server:
        with WireClient(server.address, "alice") as alice, WireClient(server.address) as bob:
            bob.send("/name ALICE", "/name bob")
            bob.read_until("/entered")
            alice.send("top secret", "/me secretly", "/msg bob a secret", "/join ops")
            alice.read_until("/entered ops")
        assert eventually(lambda: "left 127" in (tmp_path / "chat_server.log").read_text())
        server.stop()
    path = tmp_path / "chat_server.log"
    log = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    for words in ("signed in 127.0.0.1 'alice'", "refused", "name-taken", "joined 'alice' 'ops'", "left", "stopped"):
        assert words in log
    assert "secret" not in log


def test_memory_stays_flat_under_an_endless_line(tmp_path: Path) -> None:
    """10 MB without a newline: refused at the limit, and none of it is held."""
    with ServerProcess(tmp_path) as server, WireClient(server.address, "alice") as alice:
        before = server.resident_bytes()
        with pytest.raises(OSError):  # reset or broken pipe, as it happens
            for _ in range(10_000):
                alice.send_bytes(b"x" * 1_024)
                if not eventually_open(alice):
                    raise BrokenPipeError
        assert server.resident_bytes() - before < 5_000_000


def eventually_open(wire: WireClient) -> bool:
    """Return whether the server has not yet said goodbye."""
    wire.socket.setblocking(False)
    try:
        return b"/bye" not in wire.socket.recv(65_536)
    except BlockingIOError:
        return True
    finally:
        wire.socket.settimeout(TIMEOUT_SECONDS)


def test_memory_is_bounded_when_a_client_never_reads(tmp_path: Path) -> None:
    """100,000 lines past a stalled reader cost the server no more than its limits name."""
    with (
        ServerProcess(tmp_path, "--rate", "0") as server,
        WireClient(server.address, "stalled", receive_buffer=4_096),
        WireClient(server.address, "alice") as alice,
    ):
        before = server.resident_bytes()
        for batch in range(100):
            alice.send(*["x" * 40] * 1_000)
            alice.read_until(f"/say lobby {1_000 * (batch + 1)} ")
        assert server.resident_bytes() - before < 16_000_000


class FailingListener:
    """A listening socket whose accept fails some times."""

    def __init__(self, listener: socket.socket, code: int, times: int) -> None:
        self._listener = listener
        self._error = OSError(code, os.strerror(code))
        self._times = times

    def accept(self) -> tuple[socket.socket, Any]:
        if self._times:
            self._times -= 1
            raise self._error
        return self._listener.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)


@pytest.mark.parametrize(
    ("code", "lines"),
    [(errno.EMFILE, 1), (errno.ENFILE, 1), (errno.ENOBUFS, 1), (errno.ENOMEM, 1), (errno.ECONNABORTED, 0)],
)
def test_accept_fails_for_a_while(code: int, lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting connections are accepted when it works again; the log says each once."""
    monkeypatch.setattr(server_module, "ACCEPT_PAUSE_SECONDS", 0.01)
    server = ChatServer("127.0.0.1", 0, limits=FAST_LIMITS)
    monkeypatch.setattr(server, "_listener", FailingListener(server._listener, code, 5))
    with captured_log() as log, server, WireClient(server.address, "alice"):
        assert len([line for line in log if "cannot accept connections" in line and os.strerror(code) in line]) == lines
        # The acceptor logs it when alice's session has started; she may be signed in by then.
        assert eventually(lambda: len([line for line in log if "accepting connections again" in line]) == lines)


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_no_thread_is_to_be_had(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newcomer is told to come later, those inside go on, and the next is let in when there is one again."""
    monkeypatch.setattr(server_module, "ACCEPT_PAUSE_SECONDS", 0.01)
    start, failing = threading.Thread.start, threading.Event()

    def start_or_fail(thread: threading.Thread) -> None:
        if failing.is_set() and thread.name == "session":
            raise error
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_fail)
    with (
        captured_log() as log,
        serving(limits=replace(FAST_LIMITS, max_clients=2)) as server,
        WireClient(server.address, "alice") as alice,
    ):
        failing.set()
        for _ in range(5):
            with WireClient(server.address) as late:
                assert [line.split()[0] for line in late.read_to_end()] == ["/error", "/bye"]
        alice.send("still here")
        alice.read_until("/say")
        failing.clear()
        with WireClient(server.address, "bob"):
            alice.read_until("/joined")
    assert len([line for line in log if "cannot accept connections" in line]) == 1
    assert len([line for line in log if "accepting connections again" in line]) == 1


def test_descriptors_run_out(tmp_path: Path) -> None:
    """Those inside go on, newcomers wait, the log says so once, and when there are some again all is as before."""
    with ServerProcess(tmp_path) as server, WireClient(server.address, "alice") as alice:
        alice.send("before", "/join ops")
        alice.read_until("/entered ops")
        limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        here = psutil.Process(server.process.pid).num_fds()
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (here, limits[1]))
        with WireClient(server.address) as late, WireClient(server.address) as later:
            assert eventually(lambda: "cannot accept connections" in (tmp_path / "chat_server.log").read_text())
            for number in range(1, 6):
                alice.send("still here", "/history 1", "/list")
                alice.read_until(f"/say ops {number} ")
                alice.read_until("/end list")
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)
            for wire, name in ((late, "bob"), (later, "carl")):
                wire.send(f"/name {name}")
                wire.read_until("/entered lobby 1")
        assert server.stop() == (0, "")
    log = (tmp_path / "chat_server.log").read_text()
    assert log.count("cannot accept connections") == 1
    assert "Too many open files" in log
    assert log.count("accepting connections again") == 1
