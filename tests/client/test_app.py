"""The whole client as people use it: on a real pseudo-terminal, and in pipes."""

import contextlib
import json
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubbub import color, protocol
from hubbub.client import options
from hubbub.client.network.address import Address, parse_address
from testing.client_runs import (
    NOON,
    PIPE_SECONDS,
    client_in_lobby,
    client_in_pipe,
    client_on_terminal,
    real_server,
    run_client_in_pipe,
)
from testing.fake_server import FakeServer
from testing.terminal import CTRL_C, CTRL_D, ENTER, ROOT, environment

COLORING = re.compile(rb"\x1b\[[0-9;]*m")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """Open a server that the test plays."""
    with FakeServer() as server:
        yield server


def hexadecimal(name: str) -> str:
    """Return the colour as pyte shows it."""
    return "".join(f"{part:02x}" for part in color.COLORS[name].rgb)


def test_version(tmp_path: Path) -> None:
    """It is answered on standard output."""
    assert run_client_in_pipe(tmp_path, "--version") == (0, f"hubbub {protocol.__version__}\n", "")


# ------------------------------------------------------------------------------------------------------- getting in


def test_name_and_color_are_asked_for(tmp_path: Path, server: FakeServer) -> None:
    """Who gives no options is asked for a name, and for a colour by its number, and only then connects."""
    with client_on_terminal(tmp_path, server.address) as terminal:
        server.accept_probe()
        terminal.wait_for("Choose a name:")
        terminal.type("alice" + ENTER)
        terminal.wait_for("Colour (name or number")
        terminal.type("10" + ENTER)
        assert server.accept().greet() == "/name alice light-blue"


def test_each_color_is_shown_in_itself(tmp_path: Path, server: FakeServer) -> None:
    """The twelve names are painted in the colours they stand for."""
    with client_on_terminal(tmp_path, server.address, "--name", "alice") as terminal:
        terminal.wait_for("Colour (name or number")
        shown = {name: terminal.color_of(color.display_name(name)) for name in color.COLORS if name != "blue"}
        assert shown == {name: hexadecimal(name) for name in color.COLORS if name != "blue"}
        assert terminal.color_of("blue") == hexadecimal("light-blue")


def test_no_color_leaves_the_choice_to_the_server(tmp_path: Path, server: FakeServer) -> None:
    """Enter alone sends a name without a colour."""
    with client_on_terminal(tmp_path, server.address, "--name", "alice") as terminal:
        server.accept_probe()
        terminal.wait_for("Colour (name or number")
        terminal.type(ENTER)
        assert server.accept().greet() == "/name alice"


def test_unknown_color_is_asked_for_again(tmp_path: Path, server: FakeServer) -> None:
    """A colour that there is not is refused with those that there are."""
    with client_on_terminal(tmp_path, server.address, "--name", "alice") as terminal:
        server.accept_probe()
        terminal.wait_for("Colour (name or number")
        terminal.type("13" + ENTER)
        terminal.wait_for("choose a colour of black, white")
        terminal.type("Light Blue" + ENTER)
        assert server.accept().greet() == "/name alice light-blue"


def test_taken_name_is_asked_for_again_with_the_reason(tmp_path: Path, server: FakeServer) -> None:
    """The server's reason is shown, and the next name keeps the colour; no connection waits for the answer."""
    with client_on_terminal(tmp_path, server.address, "--name", "alice", "--color", "4") as terminal:
        peer = server.accept()
        assert peer.greet() == "/name alice red"
        peer.send("/error name-taken somebody is called alice; choose another name")
        peer.expect_exit()
        terminal.wait_for("somebody is called alice; choose another name")
        terminal.wait_for_input("Choose a name: ")
        terminal.type("bob" + ENTER)
        peer = server.accept()
        assert peer.greet() == "/name bob red"
        peer.send("/welcome bob red token 0", "/entered lobby 0 1 -")
        terminal.wait_for("you are bob")


def test_invalid_name_is_asked_for_again(tmp_path: Path, server: FakeServer) -> None:
    """A name that is no name never reaches the server."""
    with client_on_terminal(tmp_path, server.address, "--name", "al ice", "--color", "red") as terminal:
        terminal.wait_for("a name has only letters, digits")
        terminal.wait_for_input("Choose a name: ")
        terminal.type("alice" + ENTER)
        assert server.accept().greet() == "/name alice red"


def test_who_was_here_before_is_asked_nothing(tmp_path: Path, server: FakeServer) -> None:
    """Name, colour and server are those of the last time, with what became of them meanwhile."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("/nick alba" + ENTER)
        peer.answer_command("/name alba", f"/renamed lobby {NOON} alice pink alba")
        terminal.wait_for("you are now alba")
        terminal.type(CTRL_D)
        peer.expect_exit()
        assert terminal.wait_for_exit() == 0
    with client_on_terminal(tmp_path) as terminal:
        assert server.accept().greet() == "/name alba pink"


def test_pipe_is_not_remembered(tmp_path: Path, server: FakeServer) -> None:
    """Who a program is does not become who the person is."""
    with client_in_pipe(tmp_path, server.address, "--name", "bot") as process:
        server.accept().admit("bot")
        assert process.stdout is not None
        assert process.stdout.readline() == "--- you are in lobby: 1 person\n"
    assert not (tmp_path / ".config").exists()


def test_broken_settings_are_kept_aside_and_told_once(tmp_path: Path, server: FakeServer) -> None:
    """The person goes on without them."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "settings.json").write_text("{broken", encoding="utf-8")
    for times in (1, 0):
        with client_in_lobby(tmp_path, server, "--config", str(config)) as (terminal, peer):
            assert terminal.text.count("was broken") == times
            terminal.type(CTRL_D)
            peer.expect_exit()
            assert terminal.wait_for_exit() == 0
    assert (config / "settings.json.broken").read_text(encoding="utf-8") == "{broken"


def test_settings_that_break_meanwhile_are_kept_aside_and_told(tmp_path: Path, server: FakeServer) -> None:
    """What the person changes is remembered all the same."""
    settings = tmp_path / "config" / "settings.json"
    with client_in_lobby(tmp_path, server, "--config", str(settings.parent)) as (terminal, _):
        settings.write_text("{broken", encoding="utf-8")
        terminal.type("/ignore bob" + ENTER)
        terminal.wait_for("was broken")
    assert settings.with_name("settings.json.broken").read_text(encoding="utf-8") == "{broken"
    assert json.loads(settings.read_text(encoding="utf-8"))["ignored"] == ["bob"]


def test_history_that_cannot_be_written_is_told_once(tmp_path: Path, server: FakeServer) -> None:
    """Lines can be brought back all the same."""
    config = tmp_path / "config"
    (config / "history").mkdir(parents=True)
    with client_in_lobby(tmp_path, server, "--config", str(config)) as (terminal, peer):
        for number, line in enumerate(("one", "two"), start=1):
            terminal.type(line + ENTER)
            peer.acknowledge(f"{number} {line}")
        terminal.type("\x1b[A\x1b[A")
        terminal.wait_for_input("lobby> one")
        assert terminal.text.replace("\n", " ").count("not remembered") == 1


def test_lines_of_the_last_time_are_brought_back(tmp_path: Path, server: FakeServer) -> None:
    """But for those that hold a key, or might, for they are no commands."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("what I said" + ENTER)
        peer.acknowledge("1 what I said")
        for line in ("/pass hunter2", "/jion ops key"):
            terminal.type(line + ENTER)
            terminal.wait_for(f"there is no command {line.split()[0]}")
        terminal.type("/join ops key" + ENTER)
        peer.answer_command("/list", "/end list")  # to complete the room
        peer.answer_command("/join ops key", "/entered ops 0 1 -")
        terminal.wait_for_input("ops> ")
        terminal.type(CTRL_D)
        peer.expect_exit()
        assert terminal.wait_for_exit() == 0
    with client_in_lobby(tmp_path, server) as (terminal, _):
        terminal.type("\x1b[A")
        terminal.wait_for_input("lobby> what I said")


def test_room_is_joined_at_once(tmp_path: Path, server: FakeServer) -> None:
    """`--room` is joined after the lobby, and then stands in the prompt."""
    with client_on_terminal(tmp_path, server.address, "--name", "alice", "--color", "red", "--room", "ops") as terminal:
        peer = server.accept()
        peer.admit()
        peer.answer_command("/join ops", "/entered ops 0 1 -")
        terminal.wait_for_input("ops> ")


# ------------------------------------------------------------------------------------------------ talking and reading


def test_own_message_appears_once(tmp_path: Path, server: FakeServer) -> None:
    """What was typed goes, and what the server made of it comes, in its place."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("hello there" + ENTER)
        assert peer.receive() == "/post 1 hello there"
        terminal.wait_for_input("lobby> ")
        assert "hello there" not in terminal.text
        peer.send(f"/say lobby 1 {NOON} bob blue first", f"/say lobby 2 {NOON} alice red hello there", "/ack 1")
        terminal.wait_for("hello there")
        assert terminal.rows.count("12:00 alice: hello there") == 1
        assert terminal.text.count("hello there") == 1
        assert terminal.text.index("first") < terminal.text.index("hello there")


def test_names_are_shown_in_their_colors(tmp_path: Path, server: FakeServer) -> None:
    """Everybody's name has the colour that they chose, and the text has none."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        peer.send(f"/say lobby 1 {NOON} bob purple with a voice", f"/me lobby 2 {NOON} carol orange waves")
        terminal.wait_for("12:00 * carol waves")
        assert terminal.color_of("bob") == hexadecimal("purple")
        assert terminal.color_of("carol") == hexadecimal("orange")
        assert terminal.color_of("voice") == "default"


def test_typing_is_not_broken_by_what_arrives(tmp_path: Path, server: FakeServer) -> None:
    """Half a line stands on the last row, whole, while messages run past above it."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("half a li")
        terminal.wait_for_input("lobby> half a li")
        for number in range(1, 21):
            peer.send(f"/say lobby {number} {NOON} bob blue line {number}")
        terminal.wait_for("bob: line 20")
        terminal.wait_for_input("lobby> half a li")
        assert [row for row in terminal.rows if "bob" in row] == [f"12:00 bob: line {n}" for n in range(1, 21)]
        terminal.type("ne" + ENTER)
        assert peer.receive() == "/post 1 half a line"


def test_flood_loses_no_key_and_no_line(tmp_path: Path, server: FakeServer) -> None:
    """While thousands of lines arrive, every key counts, and the last line is shown last."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        for start in range(1, 5_000, 100):
            peer.send(*(f"/say lobby {n} {NOON} bob blue line {n}" for n in range(start, start + 100)))
            terminal.type("k")
            terminal.wait(lambda: b"bob" in terminal.raw, "a line")
        terminal.wait_for("bob: line 5000")
        terminal.type(ENTER)
        assert peer.receive() == f"/post 1 {'k' * 50}"
        numbers = [int(number) for number in re.findall(rb": line (\d+)", terminal.raw)]
        assert numbers == list(range(1, 5_001))


def test_wide_characters_keep_their_places(tmp_path: Path, server: FakeServer) -> None:
    """Emoji and letters of two columns are shown and typed like others."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("日本 🎉")
        terminal.wait_for_input("lobby> 日本 🎉")
        peer.send(f"/say lobby 1 {NOON} 花子 teal 🎉🎉 wide")
        terminal.wait_for("12:00 花子: 🎉🎉 wide")
        terminal.wait_for_input("lobby> 日本 🎉")
        terminal.type(ENTER)
        assert peer.receive() == "/post 1 日本 🎉"


def test_message_as_wide_as_the_terminal(tmp_path: Path, server: FakeServer) -> None:
    """No row is lost, and none is empty, where a line ends at the edge."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        text = "x" * (80 - len("12:00 bob: "))
        peer.send(f"/say lobby 1 {NOON} bob blue {text}", f"/say lobby 2 {NOON} bob blue {text}y")
        terminal.wait_for("           y")
        terminal.wait_for_input("lobby> ")
        assert terminal.rows[: terminal.screen.cursor.y + 1][-4:] == [
            f"12:00 bob: {text}",
            f"12:00 bob: {text}",
            "           y",
            "lobby>",
        ]


def test_resize_in_the_middle_of_a_line(tmp_path: Path, server: FakeServer) -> None:
    """A window of another size shows what is being typed, and it is sent whole."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("before ")
        terminal.wait_for_input("lobby> before")
        terminal.resize(12, 40)
        terminal.type("after")
        terminal.wait_for_input("lobby> before after")
        peer.send(f"/say lobby 1 {NOON} bob blue {'wide ' * 12}end")
        terminal.wait_for("end")
        terminal.wait_for_input("lobby> before after")
        terminal.type(ENTER)
        assert peer.receive() == "/post 1 before after"


def test_mistyped_command_is_not_said(tmp_path: Path, server: FakeServer) -> None:
    """It is answered at once, with the one that was meant, and nothing is sent."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("/jion ops" + ENTER)
        terminal.wait_for("there is no command /jion; did you mean /join?")
        terminal.type("next" + ENTER)
        assert peer.receive() == "/post 1 next"


def test_command_with_a_missing_argument_shows_its_usage(tmp_path: Path, server: FakeServer) -> None:
    """The person is told how it is typed."""
    with client_in_lobby(tmp_path, server) as (terminal, _):
        terminal.type("/msg bob" + ENTER)
        terminal.wait_for("usage: /msg NAME TEXT")


def test_tab_completes_a_command(tmp_path: Path, server: FakeServer) -> None:
    """The start of a command becomes the whole word."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("/hi\t5" + ENTER)
        assert peer.receive() == "/history 5"


def test_pasted_lines_are_lines(tmp_path: Path, server: FakeServer) -> None:
    """What is pasted in one go is said line by line."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("\x1b[200~one\ntwo\x1b[201~" + ENTER)
        assert [peer.receive(), peer.receive()] == ["/post 1 one", "/post 2 two"]


def test_line_longer_than_the_protocol_allows_is_refused_here(tmp_path: Path, server: FakeServer) -> None:
    """It would end the connection; so it is not sent, and the person told."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type(f"\x1b[200~{'x' * 17_000}\x1b[201~" + ENTER)
        terminal.wait_for("a message has at most 2000 characters and this one has 17000")
        terminal.type(f"/msg bob \x1b[200~{'x' * 17_000}\x1b[201~" + ENTER)
        terminal.wait_for("a line has at most 16384 bytes")
        terminal.type("next" + ENTER)
        assert peer.receive() == "/post 1 next"


def test_hostile_server_is_shown_clean(tmp_path: Path, server: FakeServer) -> None:
    """Escape codes, bells, overrides, bytes that are no text and lines that are no events do no harm."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        sent_before = len(terminal.raw)
        peer.send(
            f"/say lobby 1 {NOON} bob blue ".encode() + b"\x1b]0;title\x07\x1b[2Jno\xc2\x9b31m \xe2\x80\xaeoverride\n",
            f"/say lobby 2 {NOON} bob blue ".encode() + b"bytes \xff\xfe\n",
            "/unknown thing",
            "/say lobby 3",
            "/say lobby many noon bob blue text",
            "not an event at all",
            "",
            f"/say lobby 4 {NOON} bob no-such-color plain",
            "/say lobby 5 999999999999999 bob blue far away",
        )
        terminal.wait_for("far away")
        assert [row for row in terminal.rows if "bob" in row][:3] == [
            "12:00 bob: ]0;title[2Jno31m override",
            "12:00 bob: bytes \ufffd\ufffd",
            "12:00 bob: plain",
        ]
        written = terminal.raw[sent_before:]
        assert b"\x07" not in written
        assert b"\x1b]0" not in written
        assert b"\x1b[2J" not in written


def test_server_that_never_ends_a_line_is_left(tmp_path: Path, server: FakeServer) -> None:
    """Ten megabytes take no memory: the connection is made again, and what is being typed stays."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("draft")
        with contextlib.suppress(ConnectionError):  # the client does not read it to the end
            peer.send(b"x" * 10_000_000)
        terminal.wait_for("reconnecting")
        server.accept().admit_resumed("/resume token lobby 0", 0, "/entered lobby 0 1 -")
        terminal.wait_for("connected")
        terminal.wait_for_input("lobby> draft")


def test_ping_of_the_server_is_answered(tmp_path: Path, server: FakeServer) -> None:
    """Without the person noticing."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        peer.send("/ping 7f3a")
        assert peer.receive() == "/pong 7f3a"
        assert "7f3a" not in terminal.text


# ---------------------------------------------------------------------------------------------------------- leaving


def test_ctrl_c_empties_the_line_and_then_leaves(tmp_path: Path, server: FakeServer) -> None:
    """The first one takes the line away, the second one goes."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("never said")
        terminal.wait_for_input("lobby> never said")
        terminal.type(CTRL_C)
        terminal.wait_for_input("lobby> ")
        terminal.type(CTRL_C)
        peer.expect_exit()
        assert terminal.wait_for_exit() == 0
        assert terminal.settings() == terminal.settings_before


def test_ctrl_c_ends_a_search_first(tmp_path: Path, server: FakeServer) -> None:
    """Who looks for an old line and gives up stays in the room."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("old line" + ENTER)
        peer.acknowledge("1 old line")
        terminal.type("\x12")
        terminal.wait_for("I-search")
        terminal.type(CTRL_C)
        terminal.wait_for_input("lobby> ")
        terminal.type("\x1b[A" + ENTER)
        peer.acknowledge("2 old line")


@pytest.mark.parametrize("keys", [CTRL_D, "/exit" + ENTER], ids=["ctrl-d", "exit"])
def test_leaving_is_told_to_the_server(tmp_path: Path, server: FakeServer, keys: str) -> None:
    """Ctrl-D and /exit leave with exit code 0."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type(keys)
        assert peer.receive() == "/exit"
        peer.send("/bye see you")
        peer.close()
        assert terminal.wait_for_exit() == 0


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D], ids=["ctrl-c", "ctrl-d"])
def test_leaving_while_being_asked(tmp_path: Path, server: FakeServer, key: str) -> None:
    """Nobody has to choose a name."""
    with client_on_terminal(tmp_path, server.address) as terminal:
        terminal.wait_for("Choose a name:")
        terminal.type(key)
        assert terminal.wait_for_exit() == 0
        assert terminal.settings() == terminal.settings_before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_leaves_the_terminal_as_it_was(tmp_path: Path, server: FakeServer, number: signal.Signals) -> None:
    """Whoever is ended tells the server, and cleans up."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        assert terminal.settings() != terminal.settings_before
        terminal.kill(number)
        peer.expect_exit()
        assert terminal.wait_for_exit() == 128 + number
        assert terminal.settings() == terminal.settings_before
        assert "Traceback" not in terminal.text


# ------------------------------------------------------------------------------------------------ colours and dumbness


def test_no_color_variable_forbids_colors(tmp_path: Path, server: FakeServer) -> None:
    """NO_COLOR leaves the line editor its cursor, but not a single code of colour."""
    with client_in_lobby(tmp_path, server, NO_COLOR="1") as (terminal, peer):
        peer.send(f"/say lobby 1 {NOON} bob purple quiet", "/error too-fast slower", f"/joined lobby {NOON} eve pink")
        terminal.wait_for("eve joined")
        terminal.type("text" + CTRL_C + CTRL_C)
        peer.expect_exit()
        assert terminal.wait_for_exit() == 0
        assert not COLORING.search(terminal.raw)


def test_dumb_terminal_gets_plain_lines(tmp_path: Path, server: FakeServer) -> None:
    """A terminal that cannot move its cursor gets no escape code at all, and works, commands and all."""
    with client_on_terminal(tmp_path, server.address, TERM="dumb") as terminal:
        server.accept_probe()
        terminal.wait_for("Choose a name:")
        terminal.type("alice\n")
        terminal.wait_for("Colour (name or number")
        terminal.type("red\n")
        peer = server.accept()
        assert peer.greet() == "/name alice red"
        peer.send("/welcome alice red token 0", "/entered lobby 0 1 -", f"/say lobby 1 {NOON} bob blue hello")
        terminal.wait_for("12:00 bob: hello")
        terminal.type("/exit\n")
        peer.answer_ping()
        peer.expect_exit()
        assert terminal.wait_for_exit() == 0
        assert b"\x1b" not in terminal.raw


# ------------------------------------------------------------------------------------------------------------- pipes


def test_pipe_ends_when_everything_is_delivered(tmp_path: Path, server: FakeServer) -> None:
    """Every line goes, the last one without an end too, and every answer is written before the end."""
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
        output, asides = process.communicate(timeout=PIPE_SECONDS)
    lines = ["--- you are in lobby: 1 person", "12:00 bot: one", "12:00 * bot waves", "12:00 bot: last"]
    assert (process.returncode, output.splitlines(), asides) == (0, lines, "")


def test_pipe_shows_what_arrives_while_it_is_open(tmp_path: Path, server: FakeServer) -> None:
    """A line is written when it comes, not when a buffer is full."""
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
    """Whatever they begin with: a compiler's messages begin with a path."""
    with client_in_pipe(tmp_path, server.address, "--name", "bot") as process:
        assert process.stdin is not None
        process.stdin.write("/usr/bin/ld: not found\n/exit\n")
        process.stdin.flush()
        peer = server.accept()
        peer.admit("bot")
        peer.acknowledge("1 //usr/bin/ld: not found", "2 //exit")


def test_line_of_a_pipe_that_is_too_long(tmp_path: Path, server: FakeServer) -> None:
    """It is refused with the limit, the others go, and the exit code says that something was not sent."""
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


def test_past_is_not_shown_in_a_pipe(tmp_path: Path, server: FakeServer) -> None:
    """Only who asks for it gets it."""
    with client_in_pipe(tmp_path, server.address, "--name", "bot") as process:
        peer = server.accept()
        peer.greet()
        peer.send("/welcome bot red token 0", "/entered lobby 1 2 -", f"/say lobby 1 {NOON} bob blue past")
        peer.send(f"/say lobby 2 {NOON} bob blue now")
        assert process.stdout is not None
        assert process.stdout.readline() == "--- you are in lobby: 2 people\n"
        assert process.stdout.readline() == "12:00 bob: now\n"


# -------------------------------------------------------------------------------------------------------- tails


def test_tail_prints_events_as_json(tmp_path: Path, server: FakeServer) -> None:
    """One object a line, past the lobby, for ever, and under a name of its own; nothing is read."""
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


def test_tail_whose_reader_goes(tmp_path: Path, server: FakeServer) -> None:
    """It ends at once, and quietly, though nothing happens that it could show."""
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
def test_tail_begins_where_it_is_told(tmp_path: Path, since: str, expected: list[str]) -> None:
    """Behind a line or at a time, and goes on with what is said."""
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


def test_reader_that_goes_ends_the_client(tmp_path: Path, server: FakeServer) -> None:
    """As in `chat_client.py | head`: quietly, with the exit code of SIGPIPE."""
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
    """There is nobody to ask for another one."""
    with client_in_pipe(tmp_path, server.address, "--name", "bot") as process:
        peer = server.accept()
        peer.send("/hello 1 -")
        assert peer.receive_after_challenge() == "/name bot"
        peer.send("/error name-taken bot is taken")
        peer.expect_exit()
        assert process.wait(timeout=PIPE_SECONDS) == 2
        assert process.stderr is not None
        assert process.stderr.read() == "chat_client.py: bot is taken\n"


def test_line_without_an_end_in_a_pipe(tmp_path: Path, server: FakeServer) -> None:
    """A megabyte without a line's end is no text: the client says so and does not go on."""
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


# -------------------------------------------------------------------------------------------------- not even starting


def test_no_server_is_one_line_that_says_how_to_start_one(tmp_path: Path) -> None:
    """And exit code 2."""
    with FakeServer() as gone:
        port = gone.port
    told = f"no server at 127.0.0.1:{port} (Connection refused); start one with: python3 chat_server.py --port {port}"
    with client_on_terminal(tmp_path, f"127.0.0.1:{port}") as terminal:
        assert terminal.wait_for_exit() == 2
        assert terminal.raw.decode() == f"chat_client.py: {told}\r\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--name", "bot", "--color", "mauve"], "argument --color: choose a colour of black, white"),
        (["--name", "bot", "--room", "a b"], "argument --room: a room has only letters"),
        (["--name", "bot", "::1:x:"], "no server at"),
        (["--name", "bot", "host:x"], "'x' is not a port; use 1 to 65535"),
        (["--name", "bot", "host:0"], "'0' is not a port"),
        (["--name", "bot", "a..b:1"], "'a..b' is not a host name"),
        (["--name", "bot", "--since", "yesterday"], "argument --since: 'yesterday' is neither"),
        (["--colour"], "unrecognized arguments: --colour"),
        ([], "you cannot be asked for a name; give one with --name"),
    ],
)
def test_bad_option_is_one_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    """It says what is wrong, and the exit code is 2."""
    code, output, asides = run_client_in_pipe(tmp_path, *arguments)
    assert (code, output, asides.count("\n")) == (2, "", 1)
    assert told in asides


def test_closed_input_is_an_empty_one(tmp_path: Path, server: FakeServer) -> None:
    """Nothing is said, and that is no error."""
    command = [sys.executable, "chat_client.py", server.address, "--name", "bot", "--log-file", str(tmp_path / "log")]
    environ = environment(tmp_path)
    with subprocess.Popen(["/bin/sh", "-c", 'exec "$@" <&-', "sh", *command], cwd=ROOT, env=environ) as process:
        peer = server.accept()
        peer.admit("bot")
        peer.answer_ping()
        peer.expect_exit()
        assert process.wait(timeout=PIPE_SECONDS) == 0


def test_log_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """The client does not go on without the log that it was asked for."""
    (tmp_path / "client.log").mkdir()
    code, output, asides = run_client_in_pipe(tmp_path, "--name", "bot")
    assert (code, output, asides.count("\n")) == (2, "", 1)
    assert "cannot write the log" in asides


def test_log_that_nobody_asked_for_is_not_needed(tmp_path: Path) -> None:
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


# --------------------------------------------------------------------------------------------------- log and addresses


def test_log_is_private_and_silent_about_what_was_said(tmp_path: Path, server: FakeServer) -> None:
    """It is the owner's alone, and holds no message."""
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


def test_log_lives_in_the_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Unless told otherwise, nothing is written where the client was started."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert options.default_log() == tmp_path / "hubbub" / "chat_client.log"
    assert options.default_log().parent != Path.cwd()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("chat.example", Address("chat.example", 4242)),
        ("chat.example:80", Address("chat.example", 80)),
        ("::1", Address("::1", 4242)),
        ("[::1]", Address("::1", 4242)),
        ("[::1]:80", Address("::1", 80)),
    ],
)
def test_address_is_understood(text: str, address: Address) -> None:
    """HOST, HOST:PORT, and IPv6 with and without brackets."""
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", ":80", "[::1", "[::1]80", "host:", "host:-1", "host:65536", "[]:80"])
def test_no_address_is_refused(text: str) -> None:
    """With a ValueError, which says what is missing."""
    with pytest.raises(ValueError, match=r"is not|has no"):
        parse_address(text)


# ----------------------------------------------------------------------------------------------------- the real server


def test_two_people_talk(tmp_path: Path) -> None:
    """Each sees the other come, speak in the chosen colour, and go."""
    with (
        real_server(tmp_path) as (_, address),
        client_on_terminal(tmp_path, address, "--name", "alice", "--color", "red") as alice,
    ):
        alice.wait_for_input("lobby> ")
        with client_on_terminal(tmp_path, address, "--name", "bob", "--color", "light blue") as bob:
            alice.wait_for("bob joined")
            bob.wait_for_input("lobby> ")
            alice.type("hi bob" + ENTER)
            bob.wait_for("alice: hi bob")
            bob.type("/me waves" + ENTER)
            alice.wait_for("* bob waves")
            assert alice.color_of("bob") == hexadecimal("light-blue")
            assert bob.color_of("alice") == hexadecimal("red")
            bob.type("/exit" + ENTER)
            assert bob.wait_for_exit() == 0
        alice.wait_for("bob left")
        assert alice.text.count("alice: hi bob") == 1


def test_taken_name_is_refused_by_the_server(tmp_path: Path) -> None:
    """The second alice is told, and gets in under another name."""
    with (
        real_server(tmp_path) as (_, address),
        client_on_terminal(tmp_path, address, "--name", "alice", "--color", "red") as first,
    ):
        first.wait_for_input("lobby> ")
        with client_on_terminal(tmp_path, address, "--name", "Alice", "--color", "red") as second:
            second.wait_for_input("Choose a name: ")
            assert "!!! " in second.text
            second.type("bob" + ENTER)
            second.wait_for_input("lobby> ")


def test_help_is_shown(tmp_path: Path) -> None:
    """The general commands fit on one screen of 24 by 80; those of operators are shown apart."""
    with (
        real_server(tmp_path) as (_, address),
        client_on_terminal(tmp_path, address, "--name", "alice", "--color", "red") as terminal,
    ):
        terminal.wait_for_input("lobby> ")
        terminal.type("/help" + ENTER)
        terminal.wait_for("keys: Tab")
        shown = [row for row in terminal.rows if row.startswith(("--- /join ", "--- /exit ", "lobby>"))]
        assert shown == [
            "--- /join ROOM [KEY]           go to ROOM, or make it; KEY locks a new one",
            "--- /exit                      leave the chat",
            "lobby>",
        ]
        assert "/mute" not in terminal.text
        terminal.type("/help operators" + ENTER)
        terminal.wait_for("/mute NAME DURATION")


def test_pipe_delivers_every_line(tmp_path: Path) -> None:
    """A thousand lines go out, and come back in order, before the client ends."""
    lines = [f"line {number}" for number in range(1_000)]
    with real_server(tmp_path) as (_, address), client_in_pipe(tmp_path, address, "--name", "bot") as process:
        output, asides = process.communicate("\n".join(lines), timeout=PIPE_SECONDS)
    assert (process.returncode, asides) == (0, "")
    assert [row.partition("bot: ")[2] for row in output.splitlines()[1:]] == lines
