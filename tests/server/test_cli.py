"""hubbub.server.cli: the server as a process: exit codes, signals, and what it prints."""

import errno
import os
import re
import resource
import signal
import socket
import time
from pathlib import Path

import pytest

from hubbub.server import cli as chat_server
from testing.server import ServerProcess, refused
from testing.waiting import eventually
from testing.wire_client import WireClient


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_with_a_goodbye(tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 0, nothing on standard error, and every client gets a /bye."""
    with ServerProcess(tmp_path) as server, WireClient(server.address, "alice") as alice:
        assert server.stop(number) == (0, "")
        assert alice.read_to_end()[-1].startswith("/bye the server is stopping")


def test_sighup_without_a_certificate_changes_nothing(tmp_path: Path) -> None:
    """There is nothing to load anew; the server neither ends nor disturbs a client."""
    with ServerProcess(tmp_path) as server, WireClient(server.address, "alice") as alice:
        server.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "SIGHUP" in (tmp_path / "chat_server.log").read_text())
        assert alice.sync() == []
        assert server.stop() == (0, "")
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
