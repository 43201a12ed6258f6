"""What the client knows of the chat: which lines and headings are shown, which queries are made."""

import pytest

from hubbub.client.state.backlog import Since
from hubbub.protocol import Name
from testing.waiting import eventually
from tests.client.session_driver import connected, connected_server, said, signed_in, signing_in


def test_history_repeats_lines() -> None:
    """Only those that were asked for, between two lines that frame them."""
    with signed_in() as (session, peer, ui):
        peer.send(said(1, "zero"), said(2, "one"))
        ui.skip_to("bob: one")
        session.input.handle_line("/history")
        peer.answer_command("/history", said(1, "zero"), said(2, "one"), "/end history")
        assert ui.next_line() == "--- history of lobby:"
        assert [ui.next_line().rpartition(" ")[2] for _ in range(2)] == ["zero", "one"]
        assert ui.next_line() == "--- end of the history"
        session.input.handle_line("hello")
        peer.acknowledge("1 hello")
        peer.send(said(2, "one"), said(3, "two"))
        assert ui.next_line().endswith("bob: two")


def test_missing_lines_are_reported() -> None:
    """Before the next line."""
    with signed_in() as (_, peer, ui):
        peer.send(said(1, "one"), said(5, "five"))
        ui.skip_to("one")
        assert ui.next_line() == "--- lines 2 to 4 of this room are missing; /history shows those that are stored"
        assert ui.next_line().endswith("five")


def test_lobby_is_not_shown_on_the_way_to_a_room() -> None:
    """What is typed meanwhile is sent to the room."""
    with connected(interactive=True) as (session, peer, ui):
        with signing_in(session, Name("alice", "red"), "ops"):
            assert peer.greet() == "/name alice red"
            peer.send("/welcome alice red token 0", "/entered lobby 1 2 -", said(1, "not for alice"))
        session.input.handle_line("hello ops")
        peer.answer_command("/join ops", "/entered ops 0 1 -")
        peer.acknowledge("1 hello ops")
        assert [ui.next_line() for _ in range(2)] == [
            "--- you are alice; /help shows the commands, /exit leaves",
            "--- you are in ops: 1 person",
        ]


def test_lobby_is_shown_if_the_room_cannot_be_entered() -> None:
    """After the refusal."""
    with connected(interactive=True) as (session, peer, ui):
        with signing_in(session, Name("alice", "red"), "ops"):
            assert peer.greet() == "/name alice red"
            peer.send("/welcome alice red token 0", "/entered lobby 1 2 -", said(1, "before"))
        peer.answer_command("/join ops", "/error room-locked ops is locked")
        ui.skip_to("!!! ops is locked")
        assert ui.next_line() == "--- you are in lobby: 2 people"
        peer.send(said(2, "now"))
        assert ui.next_line().endswith("bob: now")


def test_members_are_looked_up_silently() -> None:
    """Neither the query nor its answer is shown; a /who of the user is."""
    with connected_server(interactive=True, look_up_names=True) as (session, server, ui):
        peer = server.accept()
        with signing_in(session, Name("alice", "red")):
            peer.greet()
            peer.send("/welcome alice red token 0", "/entered lobby 0 3 -")
        rows = [
            "/person alice red lobby 0",
            "/person bob blue lobby 5",
            "/person carol pink lobby 9",
            "/proven bob",
            "/end who",
        ]
        peer.answer_command("/who", *rows)
        ui.skip_to("3 people")
        assert eventually(lambda: len(session.members()) == 2)
        assert [candidate.text for candidate in session.input.complete("ca").candidates] == ["carol: "]
        session.input.handle_line("/who")
        peer.answer_command("/who", *rows)
        assert ui.next_line() == "--- alice in lobby, idle 0 s"


def test_rooms_are_looked_up_when_one_is_typed() -> None:
    """Once in a while, and silently."""
    with connected_server(interactive=True, look_up_names=True) as (session, server, ui):
        peer = server.accept()
        with signing_in(session, Name("alice", "red")):
            peer.admit()
        ui.skip_to("1 person")
        session.input.complete("hello")
        session.input.complete("/join o")
        peer.answer_command("/list", "/room lobby 1 -", "/room ops 2 locked", "/end list")
        assert eventually(lambda: session.input.complete("/join o").candidates != ())
        assert [candidate.text for candidate in session.input.complete("/join o").candidates] == ["ops"]
        session.input.handle_line("hello")
        assert peer.receive() == "/post 1 hello"
        assert ui.shown.empty()


def test_past_is_not_shown_without_show_past() -> None:
    """History that is asked for is shown, and so is what is missed."""
    with connected_server(show_past=False) as (session, server, ui):
        peer = server.accept()
        with signing_in(session, Name("alice", "red")):
            peer.greet()
            peer.send("/welcome alice red token 0", "/entered lobby 1 2 -", said(1, "past"), said(2, "now"))
        ui.skip_to("2 people")
        assert ui.next_line().endswith("bob: now")
        session.input.handle_line("/history")
        peer.answer_command("/history", said(1, "past"), said(2, "now"), "/end history")
        assert [ui.next_line()[6:] for _ in range(2)] == ["bob: past", "bob: now"]


@pytest.mark.usefixtures("fast_reconnect")
def test_backlog_is_fetched() -> None:
    """All of it, in order, once, despite a lost connection."""
    with connected_server(show_past=False, since=Since(seq=1)) as (session, server, ui):
        peer = server.accept()
        with signing_in(session, Name("alice", "red")):
            peer.greet()
            peer.send("/welcome alice red token 0", "/entered lobby 4 2 -", said(3, "three"), said(4, "four"))
        assert peer.receive() == "/history 3 5"
        peer.close()
        peer = server.accept()
        peer.admit_resumed("/resume token lobby 4", 0, "/entered lobby 5 2 -", said(5, "five"))
        peer.answer_command("/history 4 6", *(said(seq, f"line {seq}") for seq in range(2, 6)), "/end history")
        ui.skip_to("2 people")
        assert [ui.next_line()[6:] for _ in range(4)] == [f"bob: line {seq}" for seq in range(2, 6)]
        peer.send(said(6, "now"))
        assert ui.next_line().endswith("bob: now")
