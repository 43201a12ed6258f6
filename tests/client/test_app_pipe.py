"""The whole client in a pipe, with a server that the test plays."""

import json
import re
import signal
from pathlib import Path

import pytest

from testing.client_runs import (
    NOON,
    PIPE_SECONDS,
    client_in_pipe,
    real_server,
)
from testing.fake_server import FakeServer


def test_pipe_ends_when_everything_is_delivered(tmp_path: Path, server: FakeServer) -> None:
    """Every line is sent, the last one without a line end too, and every answer is written."""
    with client_in_pipe(tmp_path, server.address, "--name", "bot", "--commands") as process:
        assert process.stdin is not None
        process.stdin.write("one\n\n/me waves\nlast")
        process.stdin.close()
        process.stdin = None
        peer = server.accept()
        peer.admit("bot")
        peer.acknowledge("1 one", "2 /me waves", "3 last")
        peer.send(
            f"/say lobby 1 {NOON} bot red one", f"/me lobby 2 {NOON} bot red waves", f"/say lobby 3 {NOON} bot red last"
        )
        peer.answer_ping()
        peer.expect_exit()
        output, errors = process.communicate(timeout=PIPE_SECONDS)
    lines = ["--- you are in lobby: 1 person", "12:00 bot: one", "12:00 * bot waves", "12:00 bot: last"]
    assert (process.returncode, output.splitlines(), errors) == (0, lines, "")


def test_pipe_writes_lines_when_they_arrive(tmp_path: Path, server: FakeServer) -> None:
    """Not only when a buffer is full."""
    with client_in_pipe(tmp_path, server.address, "--name", "bot") as process:
        peer = server.accept()
        peer.admit("bot")
        peer.send(f"/say lobby 1 {NOON} bob blue hello")
        assert process.stdout is not None
        assert process.stdout.readline() == "--- you are in lobby: 1 person\n"
        assert process.stdout.readline() == "12:00 bob: hello\n"


def test_refusals_in_a_pipe_go_to_standard_error(tmp_path: Path, server: FakeServer) -> None:
    """Those of the client and those of the server alike."""
    with client_in_pipe(tmp_path, server.address, "--name", "bot", "--commands") as process:
        assert process.stdin is not None
        process.stdin.write("/jion ops\n/join ops\n")
        process.stdin.close()
        process.stdin = None
        peer = server.accept()
        peer.admit("bot")
        peer.answer_command("/join ops", "/error room-locked ops is locked")
        peer.answer_ping()
        peer.expect_exit()
        assert process.stderr is not None
        assert process.stderr.readline().startswith("!!! there is no command /jion; did you mean /join?")
        assert process.stderr.readline() == "!!! ops is locked\n"
        assert process.wait(timeout=PIPE_SECONDS) == 3


def test_lines_of_a_pipe_are_text(tmp_path: Path, server: FakeServer) -> None:
    """A compiler's messages begin with a path, and are no commands."""
    with client_in_pipe(tmp_path, server.address, "--name", "bot") as process:
        assert process.stdin is not None
        process.stdin.write("/usr/bin/ld: not found\n/exit\n")
        process.stdin.flush()
        peer = server.accept()
        peer.admit("bot")
        peer.acknowledge("1 //usr/bin/ld: not found", "2 //exit")


def test_line_too_long_in_a_pipe_is_refused(tmp_path: Path, server: FakeServer) -> None:
    """The others are sent, and the exit code says that something was not."""
    with client_in_pipe(tmp_path, server.address, "--name", "bot") as process:
        assert process.stdin is not None
        process.stdin.write("x" * 2_001 + "\nnext\n")
        process.stdin.close()
        process.stdin = None
        peer = server.accept()
        peer.admit("bot")
        peer.acknowledge("1 next")
        peer.answer_ping()
        peer.expect_exit()
        assert process.stderr is not None
        assert process.stderr.read().startswith("!!! a message has at most 2000 characters")
        assert process.wait(timeout=PIPE_SECONDS) == 3


def test_room_option_is_no_unsent_line(tmp_path: Path, server: FakeServer) -> None:
    """A pipe reports only lines of its input."""
    options = ["--name", "bot", "--room", "build", "--timeout", "0.5"]
    with client_in_pipe(tmp_path, server.address, *options) as process:
        peer = server.accept()
        peer.admit("bot")
        assert peer.receive() == "/join build"
        _, errors = process.communicate("one\n", timeout=PIPE_SECONDS)
    assert "1 line was not sent; the first: one\n" in errors
    assert process.returncode == 3


def test_history_is_not_shown_in_a_pipe(tmp_path: Path, server: FakeServer) -> None:
    """Only --since asks for it."""
    with client_in_pipe(tmp_path, server.address, "--name", "bot") as process:
        peer = server.accept()
        peer.greet()
        peer.send("/welcome bot red token 0", "/entered lobby 1 2 -", f"/say lobby 1 {NOON} bob blue past")
        peer.send(f"/say lobby 2 {NOON} bob blue now")
        assert process.stdout is not None
        assert process.stdout.readline() == "--- you are in lobby: 2 people\n"
        assert process.stdout.readline() == "12:00 bob: now\n"


def test_tail_prints_events_as_json(tmp_path: Path, server: FakeServer) -> None:
    """One object a line, past the lobby, until interrupted, under a name of its own; nothing is read."""
    with client_in_pipe(tmp_path, server.address, "--room", "ops", "--tail", "--json") as process:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        peer = server.accept()
        assert re.fullmatch(r"/name tail-[0-9a-f]{4}", peer.greet())
        peer.send("/welcome tail red token 0", "/entered lobby 0 2 -", f"/say lobby 1 {NOON} bob blue not here")
        peer.answer_command("/join ops", "/entered ops 0 2 -", f"/say ops 1 {NOON} bob blue hi tail")
        assert process.stdout is not None
        entered, said = (json.loads(process.stdout.readline()) for _ in range(2))
        assert entered == {"event": "entered", "room": "ops", "seq": 0, "people": 2, "flags": "-", "age": "live"}
        sent = {
            "event": "say",
            "room": "ops",
            "seq": 1,
            "time": NOON,
            "name": "bob",
            "color": "blue",
            "text": "hi tail",
        }
        assert said == {**sent, "age": "live", "mention": True}
        process.send_signal(signal.SIGINT)
        peer.expect_exit()
        assert process.wait(timeout=PIPE_SECONDS) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_tail_ends_with_its_reader(tmp_path: Path, server: FakeServer) -> None:
    """At once and without a message, though no event arrives."""
    with client_in_pipe(tmp_path, server.address, "--tail") as process:
        peer = server.accept()
        peer.admit()
        assert process.stdout is not None
        assert process.stdout.readline() == "--- you are in lobby: 1 person\n"
        process.stdout.close()
        process.stdout = None
        peer.expect_exit()
        assert process.wait(timeout=PIPE_SECONDS) == 141
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize(("since", "expected"), [("3", ["4", "5", "6"]), ("1h", ["1", "2", "3", "4", "5", "6"])])
def test_tail_begins_at_a_line_or_a_time(tmp_path: Path, since: str, expected: list[str]) -> None:
    """And goes on with the live lines."""
    with real_server(tmp_path) as (_, address), client_in_pipe(tmp_path, address, "--name", "bot") as bot:
        bot.communicate("1\n2\n3\n4\n5\n", timeout=PIPE_SECONDS)
        with client_in_pipe(tmp_path, address, "--tail", "--since", since) as tail:
            assert tail.stdout is not None
            lines = [tail.stdout.readline().partition("bot: ")[2].strip() for _ in range(len(expected))][1:]
            with client_in_pipe(tmp_path, address, "--name", "bot") as again:
                again.communicate("6\n", timeout=PIPE_SECONDS)
            while "6" not in lines:
                lines += filter(None, [tail.stdout.readline().partition("bot: ")[2].strip()])
    assert lines == expected


def test_client_ends_with_its_reader(tmp_path: Path, server: FakeServer) -> None:
    """As in `chat_client.py | head`: without a message, with the exit code of SIGPIPE."""
    with client_in_pipe(tmp_path, server.address, "--name", "bot") as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        peer = server.accept()
        peer.admit("bot")
        peer.expect_exit()
        assert process.wait(timeout=PIPE_SECONDS) == 141
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_refused_name_in_a_pipe_is_final(tmp_path: Path, server: FakeServer) -> None:
    """There is no user to ask for another one."""
    with client_in_pipe(tmp_path, server.address, "--name", "bot") as process:
        peer = server.accept()
        peer.send("/hello 1 -")
        assert peer.receive_after_challenge() == "/name bot"
        peer.send("/error name-taken bot is taken")
        peer.expect_exit()
        assert process.wait(timeout=PIPE_SECONDS) == 2
        assert process.stderr is not None
        assert process.stderr.read() == "chat_client.py: bot is taken\n"


def test_megabyte_without_a_line_end_in_a_pipe(tmp_path: Path, server: FakeServer) -> None:
    """The client says so and ends."""
    with client_in_pipe(tmp_path, server.address, "--name", "bot") as process:
        assert process.stdin is not None
        peer = server.accept()
        peer.admit("bot")
        process.stdin.write("x" * 1_100_000)
        process.stdin.flush()
        peer.expect_exit()
        assert process.wait(timeout=PIPE_SECONDS) == 1
        assert process.stderr is not None
        assert process.stderr.read() == "chat_client.py: a line has at most 1048576 bytes; send shorter lines\n"


def test_pipe_delivers_every_line(tmp_path: Path) -> None:
    """A thousand lines go out, and come back in order, before the client ends."""
    lines = [f"line {number}" for number in range(1_000)]
    with real_server(tmp_path) as (_, address), client_in_pipe(tmp_path, address, "--name", "bot") as process:
        output, errors = process.communicate("\n".join(lines), timeout=PIPE_SECONDS)
    assert (process.returncode, errors) == (0, "")
    assert [row.partition("bot: ")[2] for row in output.splitlines()[1:]] == lines
