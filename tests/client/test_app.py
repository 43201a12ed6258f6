"""Whole runs of the client: what it stores from one run to the next, and chats with a real server."""

import json
from pathlib import Path

from testing.client_runs import (
    NOON,
    client_in_lobby,
    client_in_pipe,
    client_on_terminal,
    real_server,
)
from testing.fake_server import FakeServer
from testing.terminal import CTRL_D, ENTER, shown_color


def test_user_of_the_last_run_is_not_asked(tmp_path: Path, server: FakeServer) -> None:
    """Name, colour and server are those of the last run, with their last changes."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("/nick alba" + ENTER)
        peer.answer_command("/name alba", f"/renamed lobby {NOON} alice pink alba")
        terminal.wait_for("you are now alba")
        terminal.type(CTRL_D)
        peer.expect_exit()
        assert terminal.wait_for_exit() == 0
    with client_on_terminal(tmp_path) as terminal:
        assert server.accept().greet() == "/name alba pink"


def test_settings_of_version_0_1_0_are_used(tmp_path: Path, server: FakeServer) -> None:
    """They are in a folder of another name, and the log says so."""
    folder = tmp_path / ".config" / "chat-room"
    folder.mkdir(parents=True)
    settings = {"name": "alice", "color": "red", "server": server.address, "ignored": ["bob"], "notify": {}}
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "history").write_text("\n#\n+what I wrote\n", encoding="utf-8")
    (folder / "secret").write_text("00" * 32 + "\n", encoding="utf-8")
    with client_on_terminal(tmp_path) as terminal:
        peer = server.accept()
        assert peer.greet() == "/name alice red"
        peer.send("/welcome alice red token 0", "/entered lobby 0 1 -")
        terminal.wait_for_input("lobby> ")
        terminal.type("\x1b[A")
        terminal.wait_for_input("lobby> what I wrote")
    assert not (tmp_path / ".config" / "hubbub").exists()
    assert f"folder of an earlier version: {folder}" in (tmp_path / "client.log").read_text(encoding="utf-8")


def test_user_of_a_pipe_is_not_stored(tmp_path: Path, server: FakeServer) -> None:
    """The name of a program does not become the name of the user."""
    with client_in_pipe(tmp_path, server.address, "--name", "bot") as process:
        server.accept().admit("bot")
        assert process.stdout is not None
        assert process.stdout.readline() == "--- you are in lobby: 1 person\n"
    assert not (tmp_path / ".config").exists()


def test_broken_settings_are_set_aside_and_reported_once(tmp_path: Path, server: FakeServer) -> None:
    """The client goes on without them."""
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


def test_settings_that_break_meanwhile_are_set_aside_and_reported(tmp_path: Path, server: FakeServer) -> None:
    """What the user changes is stored all the same."""
    settings = tmp_path / "config" / "settings.json"
    with client_in_lobby(tmp_path, server, "--config", str(settings.parent)) as (terminal, _):
        settings.write_text("{broken", encoding="utf-8")
        terminal.type("/ignore bob" + ENTER)
        terminal.wait_for("was broken")
    assert settings.with_name("settings.json.broken").read_text(encoding="utf-8") == "{broken"
    assert json.loads(settings.read_text(encoding="utf-8"))["ignored"] == ["bob"]


def test_unwritable_history_is_reported_once(tmp_path: Path, server: FakeServer) -> None:
    """Up brings lines back all the same."""
    config = tmp_path / "config"
    (config / "history").mkdir(parents=True)
    with client_in_lobby(tmp_path, server, "--config", str(config)) as (terminal, peer):
        for number, line in enumerate(("one", "two"), start=1):
            terminal.type(line + ENTER)
            peer.acknowledge(f"{number} {line}")
        terminal.type("\x1b[A\x1b[A")
        terminal.wait_for_input("lobby> one")
        assert terminal.text.replace("\n", " ").count("not remembered") == 1


def test_up_brings_back_lines_of_the_last_run(tmp_path: Path, server: FakeServer) -> None:
    """But not those that hold a room key, or may hold one."""
    with client_in_lobby(tmp_path, server) as (terminal, peer):
        terminal.type("what I said" + ENTER)
        peer.acknowledge("1 what I said")
        for line in ("/pass hunter2", "/jion ops key"):
            terminal.type(line + ENTER)
            terminal.wait_for(f"there is no command {line.split()[0]}")
        terminal.type("/join ops key" + ENTER)
        terminal.wait_for("if ops is new, this locks it with a key; send the line again to go on")
        terminal.wait_for_input("lobby> /join ops key")
        terminal.type(ENTER)
        peer.answer_command("/list", "/end list")  # to complete the room
        peer.answer_command("/join ops key", "/entered ops 0 1 -")
        terminal.wait_for_input("ops> ")
        terminal.type(CTRL_D)
        peer.expect_exit()
        assert terminal.wait_for_exit() == 0
    with client_in_lobby(tmp_path, server) as (terminal, _):
        terminal.type("\x1b[A")
        terminal.wait_for_input("lobby> what I said")


def test_room_option_is_joined_at_once(tmp_path: Path, server: FakeServer) -> None:
    """After the lobby; then it is in the prompt."""
    with client_on_terminal(tmp_path, server.address, "--name", "alice", "--color", "red", "--room", "ops") as terminal:
        peer = server.accept()
        peer.admit()
        peer.answer_command("/join ops", "/entered ops 0 1 -")
        terminal.wait_for_input("ops> ")


def test_no_server_is_one_line_that_says_how_to_start_one(tmp_path: Path) -> None:
    """And exit code 2."""
    with FakeServer() as gone:
        port = gone.port
    told = f"no server at 127.0.0.1:{port} (Connection refused); start one with: python3 chat_server.py --port {port}"
    with client_on_terminal(tmp_path, f"127.0.0.1:{port}") as terminal:
        assert terminal.wait_for_exit() == 2
        assert terminal.raw.decode() == f"chat_client.py: {told}\r\n"


def test_no_server_on_another_machine_gives_no_advice_to_start_one(tmp_path: Path) -> None:
    """It would not be the server that the user means."""
    with client_on_terminal(tmp_path, "nosuch.invalid:4300") as terminal:
        assert terminal.wait_for_exit() == 2
        text = terminal.raw.decode()
        assert text.startswith("chat_client.py: no server at nosuch.invalid:4300 (")
        assert text.endswith("); check the host and the port\r\n")


def test_two_users_chat(tmp_path: Path) -> None:
    """Each sees the other join, write in the chosen colour, and leave."""
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
            assert alice.color_of("bob") == shown_color("light-blue")
            assert bob.color_of("alice") == shown_color("red")
            bob.type("/exit" + ENTER)
            assert bob.wait_for_exit() == 0
        alice.wait_for("bob left")
        assert alice.text.count("alice: hi bob") == 1


def test_taken_name_is_refused_by_the_server(tmp_path: Path) -> None:
    """The second alice signs in under another name."""
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


def test_help_fits_on_the_screen(tmp_path: Path) -> None:
    """The general commands fit on 24 by 80; those of operators are shown apart."""
    with (
        real_server(tmp_path) as (_, address),
        client_on_terminal(tmp_path, address, "--name", "alice", "--color", "red") as terminal,
    ):
        terminal.wait_for_input("lobby> ")
        terminal.type("/help" + ENTER)
        terminal.wait_for("keys: Tab")
        terminal.wait_for_input("lobby> ")
        shown = [row for row in terminal.rows if row.startswith(("--- /join ", "--- /exit ", "lobby>"))]
        assert shown == [
            "--- /join ROOM [KEY]           enter ROOM, or create it; KEY locks a new one",
            "--- /exit                      leave the chat",
            "lobby>",
        ]
        assert "/mute" not in terminal.text
        terminal.type("/help operators" + ENTER)
        terminal.wait_for("/mute NAME DURATION")
