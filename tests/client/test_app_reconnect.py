"""The whole client when its connection is lost: on a real pseudo-terminal, and in pipes."""

import re
import threading
from pathlib import Path

import pytest

from testing.client_runs import NOON, PIPE_SECONDS, client_in_lobby, client_in_pipe, client_on_terminal, real_server
from testing.fake_server import FakeServer
from testing.terminal import CTRL_C, CTRL_D, ENTER
from testing.waiting import eventually


def test_lost_connection_is_shown_in_the_status_line(tmp_path: Path) -> None:
    """The line being typed stays as it is, and is sent over the new connection."""
    with FakeServer() as server, client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.wait_for("lobby · 1 person · connected")
        terminal.type("half a li")
        terminal.wait_for_input("lobby> half a li")
        above = terminal.rows[: terminal.screen.cursor.y]
        peer.reset()
        terminal.wait_for("lobby · reconnecting in 1 s")
        peer = server.accept()
        peer.admit_resumed("/resume token lobby 0", 0, "/entered lobby 0 2 -")
        peer.answer_command("/who", "/end who")  # to complete names
        terminal.wait_for("lobby · 2 people · connected")
        terminal.wait_for_input("lobby> half a li")
        assert terminal.rows[: terminal.screen.cursor.y] == above
        terminal.type("ne" + ENTER)
        peer.acknowledge("1 half a line")


def test_lines_typed_without_a_connection_wait_above_the_input(tmp_path: Path) -> None:
    """In order, with a /join between them, until they are sent."""
    with FakeServer() as server, client_in_lobby(tmp_path, server) as (terminal, peer):
        peer.send(f"/say lobby 1 {NOON} bob blue hi")
        terminal.wait_for("bob: hi")
        peer.close()
        terminal.wait_for("reconnecting")
        terminal.type("hello" + ENTER + "/join ops" + ENTER + "hello ops" + ENTER + "draft")
        terminal.wait_for_input("ops> draft")
        row = terminal.screen.cursor.y
        assert terminal.rows[row - 3 : row] == ["… hello", "… /join ops", "… hello ops"]
        assert "3 unsent" in terminal.rows[row + 1]
        assert terminal.color_of("… hello ops") != "default"
        peer = server.accept()
        peer.admit_resumed("/resume token lobby 1", 0, "/entered lobby 1 2 -")
        peer.acknowledge("1 hello")
        peer.send(f"/say lobby 2 {NOON} alice red hello")
        peer.answer_command("/join ops", "/entered ops 0 1 -")
        peer.acknowledge("2 hello ops")
        peer.send(f"/say ops 1 {NOON} alice red hello ops")
        terminal.wait_for("ops · 1 person · connected")
        terminal.wait_for("12:00 alice: hello ops")
        terminal.wait_for_input("ops> draft")
        row = terminal.screen.cursor.y
        assert terminal.rows[row - 4 : row + 1] == [
            "12:00 bob: hi",
            "12:00 alice: hello",
            "--- you are in ops: 1 person",
            "12:00 alice: hello ops",
            "ops> draft",
        ]
        assert terminal.rows[row + 1].startswith("ops · 1 person · connected")
        assert "".join(terminal.rows[row + 2 :]) == ""


def test_many_unsent_lines_are_counted(tmp_path: Path) -> None:
    """Five are shown; /exit names their number, and leaves the second time."""
    with FakeServer() as server, client_in_lobby(tmp_path, server) as (terminal, peer):
        peer.close()
        terminal.wait_for("reconnecting")
        terminal.type("".join(f"line {number}{ENTER}" for number in range(1, 13)))
        terminal.wait_for("12 unsent")
        row = terminal.screen.cursor.y
        assert terminal.rows[row - 6 : row] == [*(f"… line {n}" for n in range(1, 6)), "… and 7 more"]
        terminal.type(CTRL_D)
        terminal.wait_for("!!! 12 lines are unsent. /exit again discards them")
        terminal.type(CTRL_C + CTRL_C)
        assert terminal.wait_for_exit() == 0
        assert terminal.settings() == terminal.settings_before


@pytest.mark.parametrize("keys", [CTRL_D, CTRL_C + CTRL_C, "/exit" + ENTER], ids=["ctrl-d", "ctrl-c", "exit"])
def test_leaving_does_not_wait_for_a_connection(tmp_path: Path, keys: str) -> None:
    """With nothing unsent."""
    with FakeServer() as server, client_in_lobby(tmp_path, server) as (terminal, peer):
        peer.close()
        terminal.wait_for("reconnecting")
        terminal.type(keys)
        assert terminal.wait_for_exit() == 0


def test_rejected_paste_stays_in_the_input_line(tmp_path: Path) -> None:
    """Nothing of it is lost."""
    with FakeServer() as server, client_in_lobby(tmp_path, server) as (terminal, peer):
        peer.close()
        terminal.wait_for("reconnecting")
        terminal.type("\x1b[200~" + "\n".join(f"line {number}" for number in range(1, 1_002)) + "\x1b[201~s")
        terminal.wait_for("!!! not accepted: at most 1000 lines can be sent at once, and these are 1001")
        terminal.wait(lambda: terminal.input_row.endswith("line 1001"), "the paste in the input line")


def test_line_without_an_acknowledgement_is_shown_after_a_moment(tmp_path: Path) -> None:
    """Until the acknowledgement comes."""
    with FakeServer() as server, client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("hello" + ENTER)
        assert peer.receive() == "/post 1 hello"
        delayed = re.compile(r"lobby · 1 person · connected · [\d.]+ m?s · 1 unsent")
        terminal.wait(lambda: delayed.search(terminal.text) is not None, "the delay")
        assert "… hello" in terminal.rows
        peer.send("/ack 1")
        terminal.wait(lambda: "hello" not in terminal.text.replace("/help", ""), "the end of the unsent line")
        terminal.wait_for("lobby · 1 person · connected")
        row = terminal.screen.cursor.y
        assert terminal.rows[row] == "lobby>"
        assert re.fullmatch(r"lobby · 1 person · connected( · [\d.]+ m?s)?", terminal.rows[row + 1])


def test_pipe_reconnects(tmp_path: Path) -> None:
    """What is not stored is sent again, and the exit code is 0."""
    with FakeServer() as server, client_in_pipe(tmp_path, server.address, "--name", "bot", "--room", "ops") as process:
        assert process.stdin is not None
        process.stdin.write("one\ntwo\nthree\n")
        process.stdin.close()
        process.stdin = None
        peer = server.accept()
        peer.admit("bot")
        peer.answer_command("/join ops", "/entered ops 0 1 -")
        peer.acknowledge("1 one")
        peer.reset()
        peer = server.accept()
        peer.admit_resumed("/resume token ops 0", 2, "/entered ops 0 1 -", f"/say ops 1 {NOON} bot red one")
        peer.acknowledge("3 three")
        peer.answer_ping()
        peer.expect_exit()
        output, errors = process.communicate(timeout=PIPE_SECONDS)
    lines = ["--- you are in ops: 1 person", "12:00 bot: one"]
    assert (process.returncode, output.splitlines(), errors) == (0, lines, "")


def test_pipe_without_a_server_ends_after_its_timeout(tmp_path: Path) -> None:
    """It prints how many lines were not sent. The text and the exit code are not those of unconfirmed lines."""
    with FakeServer() as server, client_in_pipe(tmp_path, server.address, "--name", "bot", "--timeout", "1") as process:
        peer = server.accept()
        peer.admit("bot")
        server.__exit__(None, None, None)
        assert eventually(lambda: "not connected" in (tmp_path / "client.log").read_text(encoding="utf-8"))
        _, errors = process.communicate("one\ntwo\nthree\n", timeout=PIPE_SECONDS)
    assert process.returncode == 3
    assert errors.splitlines() == [
        "chat_client.py: the server accepted nothing for 1 s; everything was read",
        "chat_client.py: 3 lines were not sent; the first: one",
    ]


@pytest.mark.parametrize("is_lost", [False, True])
def test_pipe_tells_lines_that_may_still_appear(tmp_path: Path, *, is_lost: bool) -> None:
    """They were sent, and the server may have stored them, whether the connection is lost or not."""
    with FakeServer() as server, client_in_pipe(tmp_path, server.address, "--name", "bot", "--timeout", "1") as process:
        peer = server.accept()
        peer.admit("bot")
        assert process.stdin is not None
        process.stdin.write("one\ntwo\nthree\n")
        process.stdin.flush()
        assert [peer.receive() for _ in range(3)] == ["/post 1 one", "/post 2 two", "/post 3 three"]
        peer.send("/ack 1")
        if is_lost:
            server.__exit__(None, None, None)
        _, errors = process.communicate(timeout=PIPE_SECONDS)
    assert process.returncode == 4
    assert errors.splitlines()[1] == "chat_client.py: 2 lines are not confirmed, may still appear; the first: two"


def test_pipe_survives_a_server_that_is_killed(tmp_path: Path) -> None:
    """Every line is posted once and in order."""
    lines = [f"line {number}" for number in range(1, 3_001)]
    with real_server(tmp_path) as (first, address), client_in_pipe(tmp_path, address, "--name", "bot") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        writer = threading.Thread(target=lambda: print(*lines, sep="\n", file=process.stdin, flush=True))
        writer.start()
        shown = [process.stdout.readline() for _ in range(500)]
        first.kill()
        first.wait()
        with real_server(tmp_path, port=int(address.rpartition(":")[2])):
            writer.join()
            process.stdin.close()
            shown += process.stdout.readlines()
            assert (process.wait(PIPE_SECONDS), process.stderr.read()) == (0, "")
    assert [row.partition("bot: ")[2].strip() for row in shown if "bot: " in row] == lines


def test_terminal_survives_a_restart_of_the_server(tmp_path: Path) -> None:
    """The user sees every line once."""
    with (
        real_server(tmp_path) as (first, address),
        client_on_terminal(tmp_path, address, "--name", "alice", "--color", "red") as terminal,
    ):
        terminal.wait_for_input("lobby> ")
        terminal.type("before" + ENTER)
        terminal.wait_for("alice: before")
        first.terminate()
        first.wait()
        terminal.wait_for("reconnecting")
        terminal.type("after" + ENTER)
        terminal.wait_for("… after")
        with real_server(tmp_path, port=int(address.rpartition(":")[2])):
            terminal.wait_for("alice: after")
            terminal.wait_for("lobby · 1 person · connected")
            assert [terminal.text.count(text) for text in ("alice: before", "alice: after", "… after")] == [1, 1, 0]
            terminal.type(CTRL_D)
            assert terminal.wait_for_exit() == 0
