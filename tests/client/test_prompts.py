"""The prompts before the first line."""

from pathlib import Path

import pytest

from hubbub import color
from testing.client_runs import NOON, client_on_terminal
from testing.fake_server import FakePeer, FakeServer
from testing.terminal import CTRL_C, CTRL_D, ENTER, shown_color


def admit(server: FakeServer, name: str = "alice") -> FakePeer:
    """Accept a client that gives no colour, choose teal, and put it into the lobby."""
    peer = server.accept()
    assert peer.greet() == f"/name {name}"
    peer.send(f"/welcome {name} teal token 0", "/entered lobby 0 1 -")
    return peer


def test_color_is_asked_for_after_the_name_was_accepted(tmp_path: Path, server: FakeServer) -> None:
    """Without options, the client asks for a name, signs in, and then asks for a colour."""
    with client_on_terminal(tmp_path, server.address) as terminal:
        server.accept_probe()
        terminal.wait_for("Choose a name:")
        terminal.type("bob" + ENTER)
        peer = server.accept()
        assert peer.greet() == "/name bob"
        peer.send("/error name-taken the name bob is in use; choose another name")
        peer.expect_exit()
        terminal.wait_for("the name bob is in use; choose another name")
        assert "Colour" not in terminal.text
        terminal.type("alice" + ENTER)
        peer = admit(server)
        terminal.wait_for("Colour (name or number; Enter keeps teal):")
        terminal.type("10" + ENTER)
        peer.answer_command("/color light-blue", f"/renamed lobby {NOON} alice light-blue alice")
        terminal.wait_for("alice is now light blue")


def test_chart_shows_each_color_in_itself(tmp_path: Path, server: FakeServer) -> None:
    """The twelve names are painted in their colours."""
    with client_on_terminal(tmp_path, server.address, "--name", "alice") as terminal:
        admit(server)
        terminal.wait_for("Colour (name or number")
        shown = {name: terminal.color_of(color.display_name(name)) for name in color.COLORS if name != "blue"}
        assert shown == {name: shown_color(name) for name in color.COLORS if name != "blue"}
        assert terminal.color_of("blue") == shown_color("light-blue")


def test_no_color_leaves_the_choice_to_the_server(tmp_path: Path, server: FakeServer) -> None:
    """Enter alone sends nothing."""
    with client_on_terminal(tmp_path, server.address, "--name", "alice") as terminal:
        peer = admit(server)
        terminal.wait_for("Colour (name or number")
        terminal.type(ENTER)
        terminal.wait_for_input("lobby>")
        terminal.type("hello" + ENTER)
        assert peer.receive() == "/post 1 hello"


def test_unknown_color_is_asked_for_again(tmp_path: Path, server: FakeServer) -> None:
    """The prompt comes again, below the one chart."""
    with client_on_terminal(tmp_path, server.address, "--name", "alice") as terminal:
        peer = admit(server)
        terminal.wait_for("Colour (name or number")
        terminal.type("13" + ENTER)
        terminal.wait_for("there is no colour 13; type a name or a number of the chart above")
        terminal.type("Light Blue" + ENTER)
        assert peer.receive() == "/color light-blue"
        assert sum("orange" in row for row in terminal.all_rows) == 1


def test_taken_name_is_asked_for_again_with_the_reason(tmp_path: Path, server: FakeServer) -> None:
    """The next name gets the same colour, and no connection waits for the answer."""
    with client_on_terminal(tmp_path, server.address, "--name", "alice", "--color", "4") as terminal:
        peer = server.accept()
        assert peer.greet() == "/name alice red"
        peer.send("/error name-taken the name alice is in use; choose another name")
        peer.expect_exit()
        terminal.wait_for("the name alice is in use; choose another name")
        terminal.wait_for_input("Choose a name: ")
        terminal.type("bob" + ENTER)
        peer = server.accept()
        assert peer.greet() == "/name bob red"
        peer.send("/welcome bob red token 0", "/entered lobby 0 1 -")
        terminal.wait_for("you are bob")


def test_invalid_name_is_asked_for_again(tmp_path: Path, server: FakeServer) -> None:
    """An invalid name never reaches the server."""
    with client_on_terminal(tmp_path, server.address, "--name", "al ice", "--color", "red") as terminal:
        terminal.wait_for("Choose 1-20 letters, digits, _ - or . (no spaces)")
        terminal.wait_for_input("Choose a name: ")
        terminal.type("alice" + ENTER)
        assert server.accept().greet() == "/name alice red"


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D], ids=["ctrl-c", "ctrl-d"])
def test_leaving_at_a_prompt(tmp_path: Path, server: FakeServer, key: str) -> None:
    """Ctrl-C and Ctrl-D leave with exit code 0."""
    with client_on_terminal(tmp_path, server.address) as terminal:
        terminal.wait_for("Choose a name:")
        terminal.type(key)
        assert terminal.wait_for_exit() == 0
        assert terminal.settings() == terminal.settings_before
