"""The server's password, in whole runs of the client."""

from pathlib import Path

import pytest

from testing.client_runs import PIPE_SECONDS, client_in_pipe, client_on_terminal
from testing.fake_server import FakeServer
from testing.server import ServerProcess
from testing.terminal import CTRL_D, ENTER, Terminal

SECRET = "hunter2 and 3"  # noqa: S105  # of no server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{SECRET} \r\nmore\n")
    return path


def test_password_is_sent_first(tmp_path: Path, file: Path) -> None:
    """Before the name, and before resuming."""
    with (
        FakeServer() as server,
        client_in_pipe(tmp_path, server.address, "--name", "alice", "--password-file", str(file)) as process,
    ):
        assert process.stdin is not None
        peer = server.accept()
        peer.send("/hello 1 password")
        assert [peer.receive(), peer.receive_after_challenge()] == [f"/pass {SECRET}", "/name alice"]
        peer.send("/welcome alice red token 0", "/entered lobby 0 1 -")
        process.stdin.write("one\n")
        process.stdin.flush()
        peer.acknowledge("1 one")
        peer.reset()
        peer = server.accept()
        peer.send("/hello 1 password")
        assert [peer.receive(), peer.receive_after_challenge()] == [f"/pass {SECRET}", "/resume token lobby 0"]


def test_server_that_asks_for_no_password_gets_none(tmp_path: Path, file: Path) -> None:
    """Another server must not learn it."""
    with (
        FakeServer() as server,
        client_in_pipe(tmp_path, server.address, "--name", "alice", "--password-file", str(file)) as process,
    ):
        server.accept().admit()
        assert process.poll() is None


def test_changed_password_ends_the_session(tmp_path: Path, file: Path) -> None:
    """Whether to come back is the user's decision; exit code 1."""
    with (
        FakeServer() as server,
        client_in_pipe(tmp_path, server.address, "--name", "alice", "--password-file", str(file)) as process,
    ):
        peer = server.accept()
        peer.send("/hello 1 password")
        assert [peer.receive(), peer.receive_after_challenge()] == [f"/pass {SECRET}", "/name alice"]
        peer.send("/welcome alice red token 0", "/entered lobby 0 1 -")
        peer.reset()
        peer = server.accept()
        peer.send("/hello 1 password", "/error password-wrong that is not it", "/error password-needed first")
        _, errors = process.communicate(timeout=PIPE_SECONDS)
    assert (process.returncode, errors) == (1, "chat_client.py: that is not it\n")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "give it with --password-file FILE or in CHAT_PASSWORD"),
        ({"CHAT_PASSWORD": "x"}, "that is not the password"),
    ],
)
def test_pipe_without_the_password(tmp_path: Path, environment: dict[str, str], words: str) -> None:
    """Exit code 2 and one line that says what to do."""
    (tmp_path / "secret").write_text(SECRET)
    with ServerProcess(tmp_path, "--password-file", "secret") as server:
        address = f"127.0.0.1:{server.address[1]}"
        with client_in_pipe(tmp_path, address, "--name", "alice", **environment) as process:
            output, errors = process.communicate(timeout=PIPE_SECONDS)
    assert (process.returncode, output, errors.count("\n")) == (2, "", 1)
    assert words in errors


@pytest.mark.parametrize("options", [[], ["--plain"]], ids=["editor", "plain"])
def test_user_is_asked_for_the_password(tmp_path: Path, options: list[str]) -> None:
    """Again after a wrong one; it is not on the screen, in a file or in a log."""
    config, folder = tmp_path / "config", tmp_path / "server"
    folder.mkdir()
    (folder / "password").write_text(SECRET)
    arguments = ["--name", "alice", "--color", "red", "--config", str(config), *options]
    with ServerProcess(folder, "--password-file", "password") as server:
        address = f"127.0.0.1:{server.address[1]}"
        with client_on_terminal(tmp_path, address, *arguments) as terminal:
            terminal.wait_for("Password of the server:")
            _type(terminal, "wrong hunter2" + ENTER)
            terminal.wait_for("that is not the password; try again\n")
            terminal.wait(lambda: terminal.input_row.startswith("Password of the server:"), "the second question")
            _type(terminal, SECRET + ENTER)
            terminal.wait_for("you are in lobby")
            terminal.type("hello" + ENTER)
            terminal.wait_for("alice: hello")
            terminal.type(CTRL_D)
            assert terminal.wait_for_exit() == 0
            assert b"hunter2" not in terminal.raw
            assert terminal.settings() == terminal.settings_before
    (folder / "password").unlink()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert config / "settings.json" in files
    assert [path for path in files if b"hunter2" in path.read_bytes()] == []


def _type(terminal: Terminal, text: str) -> None:
    """Type once the terminal shows nothing of it by itself."""
    echo = 8  # termios.ECHO among the local modes
    terminal.wait(lambda: not terminal.settings()[3] & echo, "a terminal that hides what is typed")
    terminal.type(text)
