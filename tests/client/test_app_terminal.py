"""The whole client on a pseudo-terminal, with a server that the test plays."""

import contextlib
import re
from pathlib import Path

import pytest

from testing.client_runs import (
    NOON,
    client_in_lobby,
    client_on_terminal,
)
from testing.fake_server import FakeServer
from testing.terminal import CTRL_C, CTRL_D, ENTER, shown_color

COLORING = re.compile(rb"\x1b\[[0-9;]*m")


def test_own_message_appears_once(tmp_path: Path, server: FakeServer) -> None:
    """The line as the server sends it is shown, in its place."""
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
    """The text has none."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        peer.send(f"/say lobby 1 {NOON} bob purple with a voice", f"/me lobby 2 {NOON} carol orange waves")
        terminal.wait_for("12:00 * carol waves")
        assert terminal.color_of("bob") == shown_color("purple")
        assert terminal.color_of("carol") == shown_color("orange")
        assert terminal.color_of("voice") == "default"


def test_typing_is_not_broken_by_what_arrives(tmp_path: Path, server: FakeServer) -> None:
    """Half a line stays whole on the last row while messages appear above it."""
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


def test_message_as_wide_as_the_terminal_takes_one_row(tmp_path: Path, server: FakeServer) -> None:
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


def test_resize_keeps_the_line_being_typed(tmp_path: Path, server: FakeServer) -> None:
    """It is shown in the new size, and sent whole."""
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


def test_mistyped_command_is_not_sent(tmp_path: Path, server: FakeServer) -> None:
    """The right one is suggested at once."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("/jion ops" + ENTER)
        terminal.wait_for("there is no command /jion; did you mean /join?")
        terminal.type("next" + ENTER)
        assert peer.receive() == "/post 1 next"


def test_missing_argument_shows_the_usage(tmp_path: Path, server: FakeServer) -> None:
    """The error is the usage of the command."""
    with client_in_lobby(tmp_path, server) as (terminal, _):
        terminal.type("/msg bob" + ENTER)
        terminal.wait_for("usage: /msg NAME TEXT")


def test_tab_completes_a_command(tmp_path: Path, server: FakeServer) -> None:
    """The start of a command becomes the whole word."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("/hi\t5" + ENTER)
        assert peer.receive() == "/history 5"


def test_pasted_lines_are_sent_line_by_line(tmp_path: Path, server: FakeServer) -> None:
    """In their order."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("\x1b[200~one\ntwo\x1b[201~" + ENTER)
        assert [peer.receive(), peer.receive()] == ["/post 1 one", "/post 2 two"]


def test_line_too_long_is_not_sent(tmp_path: Path, server: FakeServer) -> None:
    """It would end the connection, so the client refuses it."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type(f"\x1b[200~{'x' * 17_000}\x1b[201~" + ENTER)
        terminal.wait_for("a message has at most 2000 characters and this one has 17000")
        terminal.type(f"/msg bob \x1b[200~{'x' * 17_000}\x1b[201~" + ENTER)
        terminal.wait_for("a line has at most 16384 bytes")
        terminal.type("next" + ENTER)
        assert peer.receive() == "/post 1 next"


def test_hostile_server_is_shown_clean(tmp_path: Path, server: FakeServer) -> None:
    """Escape codes, bells, overrides, bad UTF-8 and bad events do no harm."""
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


def test_endless_line_ends_the_connection(tmp_path: Path, server: FakeServer) -> None:
    """Ten megabytes take no memory: the client reconnects, and the line being typed stays."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("draft")
        with contextlib.suppress(ConnectionError):  # the client does not read it to the end
            peer.send(b"x" * 10_000_000)
        terminal.wait_for("reconnecting")
        server.accept().admit_resumed("/resume token lobby 0", 0, "/entered lobby 0 1 -")
        terminal.wait_for("connected")
        terminal.wait_for_input("lobby> draft")


def test_ping_of_the_server_is_answered(tmp_path: Path, server: FakeServer) -> None:
    """Nothing of it is shown."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        peer.send("/ping 7f3a")
        assert peer.receive() == "/pong 7f3a"
        assert "7f3a" not in terminal.text


def test_ctrl_c_empties_the_line_and_then_leaves(tmp_path: Path, server: FakeServer) -> None:
    """The first one clears the line, the second one asks, the third one leaves."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("never said")
        terminal.wait_for_input("lobby> never said")
        terminal.type(CTRL_C)
        terminal.wait_for_input("lobby> ")
        terminal.type(CTRL_C)
        terminal.wait_for("Press Ctrl-C again to leave")
        terminal.type(CTRL_C)
        peer.expect_exit()
        assert terminal.wait_for_exit() == 0
        assert terminal.settings() == terminal.settings_before


def test_ctrl_c_ends_a_search_first(tmp_path: Path, server: FakeServer) -> None:
    """The client does not leave."""
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
def test_leaving_sends_exit(tmp_path: Path, server: FakeServer, keys: str) -> None:
    """Ctrl-D and /exit leave with exit code 0."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type(keys)
        assert peer.receive() == "/exit"
        peer.send("/bye see you")
        peer.close()
        assert terminal.wait_for_exit() == 0


def test_no_color_variable_forbids_colors(tmp_path: Path, server: FakeServer) -> None:
    """NO_COLOR leaves the line editor its cursor, but no code of a colour."""
    with client_in_lobby(tmp_path, server, NO_COLOR="1") as (terminal, peer):
        peer.send(f"/say lobby 1 {NOON} bob purple quiet", "/error too-fast slower", f"/joined lobby {NOON} eve pink")
        terminal.wait_for("eve joined")
        terminal.type("text" + CTRL_C + CTRL_C + CTRL_C)
        peer.expect_exit()
        assert terminal.wait_for_exit() == 0
        assert not COLORING.search(terminal.raw)


def test_dumb_terminal_gets_plain_lines(tmp_path: Path, server: FakeServer) -> None:
    """A terminal that cannot move its cursor gets no escape code, and commands work."""
    with client_on_terminal(tmp_path, server.address, TERM="dumb") as terminal:
        server.accept_probe()
        terminal.wait_for("Choose a name:")
        terminal.type("alice\n")
        peer = server.accept()
        assert peer.greet() == "/name alice"
        peer.send("/welcome alice teal token 0", "/entered lobby 0 1 -", f"/say lobby 1 {NOON} bob blue hello")
        terminal.wait_for("Colour (name or number")
        terminal.type("red\n")
        peer.answer_command("/color red", f"/renamed lobby {NOON} alice red alice")
        terminal.wait_for("12:00 bob: hello")
        terminal.type("/exit\n")
        peer.answer_ping()
        peer.expect_exit()
        assert terminal.wait_for_exit() == 0
        assert b"\x1b" not in terminal.raw
