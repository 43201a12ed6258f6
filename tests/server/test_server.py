"""The server as a process: options, exit codes, signals, its log."""

import errno
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from hubbub import protocol
from hubbub.server import cli as chat_server
from hubbub.server import server as server_module
from hubbub.server.access.limits import Limits
from hubbub.server.backend import Backend
from hubbub.server.journal.journal import JournalError
from hubbub.server.options import build_parser, limits_of
from hubbub.server.server import ChatServer
from testing.server import FAST_LIMITS, ServerProcess, captured_log, serving
from testing.waiting import ROOT, TIMEOUT_SECONDS, eventually
from testing.wire_client import WireClient

COMMAND = [sys.executable, str(ROOT / "chat_server.py")]


def refused(*options: str, cwd: Path) -> str:
    """Run a server that cannot start; return the one line that it says."""
    run = subprocess.run([*COMMAND, *options], cwd=cwd, capture_output=True, text=True, timeout=20, check=False)
    assert run.returncode == 2
    assert run.stdout == ""
    return run.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_with_a_goodbye(tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 0, silence on standard error, and everybody is told."""
    with ServerProcess(tmp_path) as server, WireClient(server.address, "alice") as alice:
        assert server.stop(number) == (0, "")
        assert alice.read_to_end()[-1].startswith("/bye the server is stopping")


def test_the_line_that_it_prints_has_the_real_port(tmp_path: Path) -> None:
    """Port 0 picks a free one, and the line says which."""
    with ServerProcess(tmp_path) as server:
        assert re.fullmatch(r"listening on 127\.0\.0\.1:[1-9]\d*\n", server.first_line)
        assert server.stop() == (0, "")


def test_ipv6(tmp_path: Path) -> None:
    """It listens where it is told to."""
    with ServerProcess(tmp_path, "--host", "::1") as server, WireClient(server.address, "alice"):
        assert server.first_line.startswith("listening on [::1]:")


def test_it_stops_within_five_seconds_with_clients_that_do_not_read(tmp_path: Path) -> None:
    """Whatever its clients do."""
    with ServerProcess(tmp_path, "--rate", "0") as server:
        stalled = [WireClient(server.address, f"s{number}", receive_buffer=4_096) for number in range(20)]
        with WireClient(server.address, "alice") as alice:
            for batch in range(10):
                alice.send(*["x" * 1_900] * 500)
                alice.read_until(f"/say lobby {500 * (batch + 1)} ")
            start = time.monotonic()
            assert server.stop()[0] == 0
            assert time.monotonic() - start < 5
        for wire in stalled:
            wire.socket.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_changes_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """An impatient Ctrl-C during the stop neither hangs nor tears it."""
    with (
        ServerProcess(tmp_path, "--rate", "0") as server,
        WireClient(server.address, "alice", receive_buffer=4_096) as alice,
    ):
        alice.send(*["x" * 1_900] * 3_000)
        alice.read_until("/say lobby 100 ")
        server.process.send_signal(number)
        assert eventually(lambda: "stopping on" in (tmp_path / "chat_server.log").read_text())
        assert server.stop(number)[0] == 0


def test_the_port_is_in_use(tmp_path: Path) -> None:
    """One line that says so and what to do, and exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = refused("--port", str(port), cwd=tmp_path)
    reason = os.strerror(errno.EADDRINUSE)
    assert error == (
        f"chat_server.py: cannot listen on 127.0.0.1:{port}: {reason}; "
        "stop what listens there, or choose another with --port\n"
    )


def test_a_second_server_in_the_same_folder(tmp_path: Path) -> None:
    """It is told of the address, not of the journal, which the first one has as well."""
    with ServerProcess(tmp_path) as server:
        error = refused("--port", str(server.address[1]), cwd=tmp_path)
    assert error.startswith(f"chat_server.py: cannot listen on 127.0.0.1:{server.address[1]}: ")


def test_an_address_that_is_in_use_leaves_no_files(tmp_path: Path) -> None:
    """No journal is made for a server that cannot be."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        refused("--port", str(other.getsockname()[1]), cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["chat_server.log"]


def test_the_address_is_free_again_when_there_is_no_journal() -> None:
    """Nothing of a server that could not be is left."""

    def refuse() -> Backend:
        raise JournalError("not today")

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(JournalError):
        ChatServer("127.0.0.1", port, backend=refuse)
    socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--port", "70000"], "choose one from 0 to 65535"),
        (["--port", "x"], "choose one from 0 to 65535"),
        (["--rate", "-1"], "lines per second"),
        (["--rate", "nan"], "lines per second"),
        (["--burst", "0"], "whole number"),
        (["--max-clients", "0"], "whole number"),
        (["--max-per-address", "none"], "whole number"),
        (["--operators", "bob,,carl"], "Choose 1-20 letters"),
        (["--operators", "server"], "the name server is reserved"),
        (["--host", "nowhere.invalid"], "cannot listen on nowhere.invalid:4242"),
        (["--host", "nowhere.invalid"], "; choose another with --host"),
        (["--host", "192.0.2.1"], f"{os.strerror(errno.EADDRNOTAVAIL)}; choose another with --host"),
        (["--log-file", "missing.txt/x.log"], "choose another with --log-file"),
        (["--prot", "1"], "unrecognized arguments: --prot"),
    ],
)
def test_a_bad_option(tmp_path: Path, options: list[str], reason: str) -> None:
    """One line names what is wrong; exit code 2."""
    (tmp_path / "missing.txt").write_text("a file, not a folder")
    (line,) = refused(*options, cwd=tmp_path).splitlines()
    assert reason in line


def test_a_bad_option_points_to_the_help(tmp_path: Path) -> None:
    """Instead of telling all options there are."""
    assert refused("--port", "x", cwd=tmp_path) == (
        "chat_server.py: argument --port: 'x' is not a port; choose one from 0 to 65535; see chat_server.py --help\n"
    )


def test_the_options_are_the_limits() -> None:
    """Each that bounds something reaches it, and without any the limits are the named ones."""
    given = [
        "--max-clients",
        "1",
        "--max-per-address",
        "2",
        "--max-unnamed",
        "3",
        "--max-rooms",
        "4",
        "--rate",
        "5",
        "--burst",
        "6",
        "--grace",
        "7",
    ]
    expected = Limits(
        max_clients=1, max_clients_per_address=2, max_unnamed=3, max_rooms=4, rate=5, burst=6, grace_seconds=7
    )
    assert limits_of(build_parser().parse_args(given)) == expected
    assert limits_of(build_parser().parse_args([])) == Limits()


@pytest.mark.parametrize(("option", "text"), [("--help", "--max-clients"), ("--version", protocol.__version__)])
def test_help_and_version(tmp_path: Path, option: str, text: str) -> None:
    """They answer on standard output."""
    run = subprocess.run([*COMMAND, option], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=True)
    assert text in run.stdout


def test_the_log_tells_who_and_never_what(tmp_path: Path) -> None:
    """Who signed in, joined, was refused and left is in it, with mode 600; what people said is not."""
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


def test_memory_is_bounded_when_somebody_never_reads(tmp_path: Path) -> None:
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


def test_a_limit_of_descriptors_that_does_not_fit_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning names the limit, how many clients fit, and what to do."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    warning = chat_server.raise_descriptor_limit(1_000)
    assert "256 open files" in warning
    assert "192 clients" in warning
    assert "ulimit -n 1064" in warning


def test_the_limit_of_descriptors_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as is needed, and no warning then."""
    limits = [(256, 4_096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    assert chat_server.raise_descriptor_limit(1_000) == ""
    assert limits[-1] == (1_064, 4_096)


# ------------------------------------------------------------------------------------------------- running out


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
    """Whoever waits is let in when it works again; the log says once that it does not, and once that it does."""
    monkeypatch.setattr(server_module, "ACCEPT_PAUSE_SECONDS", 0.01)
    server = ChatServer("127.0.0.1", 0, limits=FAST_LIMITS)
    monkeypatch.setattr(server, "_listener", FailingListener(server._listener, code, 5))
    with captured_log() as log, server, WireClient(server.address, "alice"):
        assert len([line for line in log if "cannot accept connections" in line and os.strerror(code) in line]) == lines
        # The acceptor says it when alice's session has begun, who may be in by then.
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
