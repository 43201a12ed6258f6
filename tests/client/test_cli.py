"""The command line of the client as a program: version, streams, signals, and the log."""

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hubbub import protocol
from testing.client_runs import (
    NOON,
    PIPE_SECONDS,
    client_in_lobby,
    run_client_in_pipe,
)
from testing.fake_server import FakeServer
from testing.terminal import CTRL_D, ENTER, environment
from testing.waiting import ROOT


def test_version_is_printed(tmp_path: Path) -> None:
    """On standard output."""
    assert run_client_in_pipe(tmp_path, "--version") == (0, f"hubbub {protocol.__version__}\n", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_restores_the_terminal(tmp_path: Path, server: FakeServer, number: signal.Signals) -> None:
    """The client sends /exit, and its exit code names the signal."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        assert terminal.settings() != terminal.settings_before
        terminal.kill(number)
        peer.expect_exit()
        assert terminal.wait_for_exit() == 128 + number
        assert terminal.settings() == terminal.settings_before
        assert "Traceback" not in terminal.text


def test_sighup_that_the_parent_ignores_stays_ignored(tmp_path: Path, server: FakeServer) -> None:
    """As under nohup: the client goes on."""
    command = [sys.executable, "chat_client.py", server.address, "--name", "bot", "--log-file", str(tmp_path / "log")]
    script = ["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command]
    with subprocess.Popen(script, cwd=ROOT, env=environment(tmp_path), stdin=subprocess.PIPE, text=True) as process:
        peer = server.accept()
        peer.admit("bot")
        process.send_signal(signal.SIGHUP)
        assert process.stdin is not None
        process.stdin.write("still here\n")
        process.stdin.close()
        peer.acknowledge("1 still here")
        peer.answer_ping()
        peer.expect_exit()
        assert process.wait(timeout=PIPE_SECONDS) == 0


def test_closed_input_is_an_empty_one(tmp_path: Path, server: FakeServer) -> None:
    """Nothing is sent, and that is no error."""
    command = [sys.executable, "chat_client.py", server.address, "--name", "bot", "--log-file", str(tmp_path / "log")]
    environ = environment(tmp_path)
    with subprocess.Popen(["/bin/sh", "-c", 'exec "$@" <&-', "sh", *command], cwd=ROOT, env=environ) as process:
        peer = server.accept()
        peer.admit("bot")
        peer.answer_ping()
        peer.expect_exit()
        assert process.wait(timeout=PIPE_SECONDS) == 0


def test_unwritable_log_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    """The client does not start without it."""
    (tmp_path / "client.log").mkdir()
    code, output, errors = run_client_in_pipe(tmp_path, "--name", "bot")
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert "cannot write the log" in errors


def test_unwritable_default_log_is_a_warning(tmp_path: Path) -> None:
    """The client says so in one line, and goes on: here to where it finds no server."""
    (tmp_path / "file").touch()
    run = subprocess.run(
        [sys.executable, "chat_client.py", "--name", "bot", "127.0.0.1:1"],
        cwd=ROOT,
        env=environment(tmp_path, XDG_STATE_HOME=str(tmp_path / "file")),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PIPE_SECONDS,
        check=False,
    )
    warning, failure = run.stderr.splitlines()
    assert warning.startswith("chat_client.py: cannot write the log ")
    assert warning.endswith("; going on without one")
    assert failure.startswith("chat_client.py: no server at 127.0.0.1:1")


def test_log_is_private_and_has_no_messages(tmp_path: Path, server: FakeServer) -> None:
    """Only its owner can read it."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("my secret" + ENTER)
        peer.acknowledge("1 my secret")
        peer.send(f"/say lobby 1 {NOON} bob blue their secret", "/unknown secret")
        terminal.wait_for("their secret")
        terminal.type(CTRL_D)
        peer.expect_exit()
        assert terminal.wait_for_exit() == 0
    log = tmp_path / "client.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "secret" not in log.read_text(encoding="utf-8")
    assert "signed in as 'alice'" in log.read_text(encoding="utf-8")
