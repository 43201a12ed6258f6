"""A session between a user interface and a server that the test plays: sign-in, reconnecting, status."""

import pytest

from hubbub.client import session as session_module
from hubbub.client.login import NameRefusedError, SignInError
from hubbub.client.network import connection
from hubbub.client.output.ui import StoppedError
from hubbub.client.state.status import Status
from hubbub.protocol import Name
from testing.client_runs import NOON
from testing.fake_server import WAIT_SECONDS
from testing.waiting import eventually
from tests.client.session_driver import connected, said, signed_in, signed_in_server


def test_silent_server_ends_the_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may listen there."""
    monkeypatch.setattr(session_module, "ANSWER_SECONDS", 0.2)
    with connected() as (session, _, _):
        with pytest.raises(StoppedError):
            session.sign_in(Name("alice", "red"))
        assert session.reason.startswith("the server did not answer within")


def test_reason_why_the_sign_in_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what the server said, not its silence."""
    monkeypatch.setattr(session_module, "ANSWER_SECONDS", 0.2)
    with connected() as (session, peer, _):
        peer.send("/hello 1 -", "/notice the journal is away")
        with pytest.raises(StoppedError):
            session.sign_in(Name("alice", "red"))
        assert session.reason == "not signed in after 0 s: the journal is away; try again later"


def test_server_of_another_protocol_ends_the_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines are no events."""
    monkeypatch.setattr(session_module, "ANSWER_SECONDS", 0.2)
    with connected() as (session, peer, _):
        peer.send("SSH-2.0-OpenSSH_9.2")
        with pytest.raises(StoppedError):
            session.sign_in(Name("alice", "red"))


def test_other_version_of_the_protocol_ends_the_sign_in() -> None:
    """The error names both versions."""
    with connected() as (session, peer, _):
        peer.send("/hello 2 -")
        with pytest.raises(SignInError, match="the server speaks version 2 of the protocol, and this client 1"):
            session.sign_in(Name("alice", "red"))


@pytest.mark.parametrize("greeting", [[], ["/hello 1 -"]])
def test_refusal_of_the_server_ends_the_sign_in(greeting: list[str]) -> None:
    """The user gets its reason, whether it greets first or not."""
    with connected() as (session, peer, _):
        peer.send(*greeting, "/error server-full 10 people are here; try again later")
        with pytest.raises(SignInError, match="10 people are here; try again later"):
            session.sign_in(Name("alice", "red"))


def test_refused_post_is_shown_with_the_reason() -> None:
    """It is no longer unsent."""
    with signed_in() as (session, peer, ui):
        session.input.handle_line("/me shouts")
        peer.send("/refused 1 not-allowed do not shout")
        assert ui.next_line() == "!!! do not shout; not sent: /me shouts"
        assert session.unsent == []


def test_line_for_a_room_that_cannot_be_entered_is_not_sent() -> None:
    """It is shown after the refusal of the room."""
    with signed_in() as (session, peer, ui):
        session.input.handle_line("/join ops")
        session.input.handle_line("secret")
        peer.answer_command("/join ops", "/error room-locked ops is locked")
        assert ui.next_line() == "!!! ops is locked"
        assert ui.next_line() == "!!! not sent, because you could not enter its room: secret"
        session.input.handle_line("hello")
        peer.acknowledge("1 hello")


@pytest.mark.usefixtures("fast_reconnect")
def test_missed_lines_are_shown_after_a_reconnect() -> None:
    """No line is shown twice, and no heading."""
    with signed_in_server() as (_, server, peer, ui):
        peer.send(said(1, "one"), said(2, "two"), said(3, "half a li").encode())
        ui.skip_to("bob: two")
        peer.close()
        server.accept().admit_resumed("/resume token lobby 2", 0, "/entered lobby 4 2 -", *map(said, (2, 3, 4), "234"))
        assert [ui.next_line()[6:] for _ in range(2)] == ["bob: 3", "bob: 4"]


@pytest.mark.usefixtures("fast_reconnect")
def test_gap_is_shown_once() -> None:
    """The lines are not asked for again."""
    with signed_in_server() as (_, server, peer, ui):
        peer.close()
        peer = server.accept()
        peer.admit_resumed("/resume token lobby 0", 0, "/entered lobby 900 1 -", "/gap lobby 1 899", said(900, "late"))
        assert ui.next_line() == "--- lines 1 to 899 of lobby are no longer stored"
        ui.skip_to("bob: late")
        peer.reset()
        server.accept().admit_resumed("/resume token lobby 900", 0)


@pytest.mark.usefixtures("fast_reconnect")
def test_history_that_was_cut_off_is_resumed() -> None:
    """The rest of the last 50 lines of a room counts as missed."""
    with signed_in_server() as (session, server, peer, ui):
        session.input.handle_line("/join ops")
        peer.answer_command("/join ops", "/entered ops 300 2 -", said(251, "first", "ops"))
        ui.skip_to("bob: first")
        peer.close()
        peer = server.accept()
        peer.admit_resumed("/resume token ops 251", 0, "/entered ops 300 2 -", said(252, "second", "ops"))
        ui.skip_to("bob: second")
        peer.close()
        server.accept().admit_resumed("/resume token ops 252", 0)


@pytest.mark.usefixtures("fast_reconnect")
def test_posts_that_are_not_stored_are_sent_again() -> None:
    """Once, with their numbers; those that are stored are not."""
    with signed_in_server() as (session, server, peer, _):
        for line in ("one", "two", "three"):
            session.input.handle_line(line)
        peer.acknowledge("1 one")
        assert peer.receive() == "/post 2 two"
        peer.reset()
        peer = server.accept()
        session.input.handle_line("four")
        peer.admit_resumed("/resume token lobby 0", 2, "/entered lobby 0 1 -")
        peer.acknowledge("3 three", "4 four")
        session.input.handle_line("five")
        peer.acknowledge("5 five")


@pytest.mark.usefixtures("fast_reconnect")
def test_join_whose_answer_was_lost() -> None:
    """The server says where we are; lines typed for that room are sent there."""
    with signed_in_server() as (session, server, peer, ui):
        session.input.handle_line("/join ops")
        session.input.handle_line("hello ops")
        assert peer.receive() == "/join ops"
        peer.close()
        peer = server.accept()
        peer.admit_resumed("/resume token lobby 0", 0, "/entered ops 1 2 -", said(1, "welcome", "ops"))
        peer.acknowledge("1 hello ops")
        assert ui.next_line() == "--- you are in ops: 2 people"
        ui.skip_to("bob: welcome")


@pytest.mark.usefixtures("fast_reconnect")
def test_session_that_the_server_lost_is_replaced() -> None:
    """Under the same name and colour, in the same room, and with new numbers."""
    with signed_in_server() as (session, server, peer, ui):
        session.input.handle_line("/join ops")
        peer.answer_command("/join ops", "/entered ops 0 1 -", f"/renamed ops {NOON} alice pink eve")
        ui.skip_to("you are now eve")
        session.input.handle_line("one")
        peer.acknowledge("1 one")
        session.input.handle_line("two")
        peer.close()
        peer = server.accept()
        assert peer.greet() == "/resume token ops 0"
        peer.send("/error resume-unknown no such session")
        assert peer.receive() == "/name eve pink"
        peer.send("/welcome eve pink token2 0", "/entered lobby 9 5 -", said(9, "not for eve"))
        peer.answer_command("/join ops", "/entered ops 1 1 -", said(1, "for eve", "ops"))
        peer.acknowledge("1 two")
        assert ui.next_line().endswith("bob: for eve")
        peer.close()
        assert server.accept().greet() == "/resume token2 ops 1"


@pytest.mark.usefixtures("fast_reconnect")
def test_room_that_was_created_again_is_shown_again() -> None:
    """A server without its journal counts lines from 1."""
    with signed_in_server() as (_, server, peer, ui):
        peer.send(said(40, "old"))
        ui.skip_to("bob: old")
        peer.close()
        peer = server.accept()
        assert peer.greet() == "/resume token lobby 40"
        peer.send("/error resume-unknown no such session")
        assert peer.receive() == "/name alice red"
        later = f"{NOON + 1_000} bob blue"
        peer.send("/welcome alice red token 0", "/entered lobby 1 2 -", f"/say lobby 1 {later} new")
        peer.send(f"/say lobby 2 {later} newer")
        assert [ui.next_line()[6:] for _ in range(2)] == ["bob: new", "bob: newer"]
        peer.close()
        server.accept().admit_resumed("/resume token lobby 2", 0)


@pytest.mark.usefixtures("fast_reconnect")
def test_name_taken_meanwhile_is_reported_once() -> None:
    """However often the client tries; under another name what waits is sent."""
    with signed_in_server() as (session, server, peer, ui):
        peer.close()
        peer = server.accept()
        session.input.handle_line("hello")
        assert peer.greet() == "/resume token lobby 0"
        peer.send("/error resume-unknown no such session")
        for _ in range(2):
            assert peer.receive() == "/name alice red"
            peer.send("/error name-taken alice is taken")
            peer.close()
            peer = server.accept()
            peer.send("/hello 1 -")
        assert ui.next_line() == "!!! alice is taken; not signed in: type /name NAME"
        assert peer.receive() == "/name alice red"
        peer.send("/error name-taken alice is taken", "/ping done")
        assert peer.receive() == "/pong done"
        assert session.status().connection == "not signed in: type /name NAME"
        session.input.handle_line("/name alba")
        assert peer.receive() == "/name alba red"
        peer.send("/welcome alba red token2 0", "/entered lobby 0 1 -")
        peer.acknowledge("1 hello")
        assert ui.shown.empty()


def test_kick_ends_the_session() -> None:
    """The client does not reconnect, and shows the reason."""
    with signed_in() as (session, peer, ui):
        peer.send("/error kicked you were kicked by op: spam", "/bye you were kicked by op: spam")
        assert ui.stopped.wait(WAIT_SECONDS)
        assert session.reason == "you were kicked by op: spam"


@pytest.mark.usefixtures("fast_reconnect")
def test_name_taken_meanwhile_ends_a_pipe() -> None:
    """There is no user to choose another; the unsent lines are known."""
    with signed_in_server(interactive=False) as (session, server, peer, _):
        session.input.handle_line_and_wait("hello")
        peer.close()
        peer = server.accept()
        assert peer.greet() == "/resume token lobby 0"
        peer.send("/error name-taken alice is taken")
        with pytest.raises(StoppedError):
            session.wait_until_delivered()
        assert session.reason == "alice is taken"
        assert session.unsent == ["hello"]


@pytest.mark.usefixtures("fast_reconnect")
def test_full_server_is_asked_again() -> None:
    """Not every attempt is shown."""
    with signed_in_server() as (_, server, peer, ui):
        peer.close()
        peer = server.accept()
        assert peer.greet() == "/resume token lobby 0"
        peer.send("/error server-full 10 people are here")
        server.accept().admit_resumed("/resume token lobby 0", 0, "/notice back")
        assert ui.next_line() == "--- back"


@pytest.mark.usefixtures("fast_reconnect")
def test_private_message_on_its_way_is_not_sent_twice() -> None:
    """It could arrive twice; the user is told, and decides."""
    with signed_in_server() as (session, server, peer, ui):
        session.input.handle_line("/msg bob psst")
        assert peer.receive() == "/msg bob psst"
        peer.close()
        expected = "!!! the connection was lost; check whether this was carried out: /msg bob psst"
        assert ui.next_line() == expected
        peer = server.accept()
        peer.admit_resumed("/resume token lobby 0", 0, "/entered lobby 0 1 -")
        session.input.handle_line("next")
        assert peer.receive() == "/post 1 next"


@pytest.mark.usefixtures("fast_reconnect")
def test_silent_server_loses_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """After one ping."""
    monkeypatch.setattr(connection, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(connection, "ALIVE_SECONDS", 0.05)
    with signed_in_server() as (_, server, peer, _):
        assert peer.receive() == "/ping alive"
        assert peer.receive() == ""
        assert server.accept().greet() == "/resume token lobby 0"


def test_status_shows_the_room_and_its_members() -> None:
    """As far as the server says how many."""
    with signed_in() as (session, peer, ui):
        assert session.status().line() == "lobby · 1 person · connected"
        peer.send(f"/joined lobby {NOON} bob red", f"/joined lobby {NOON} eve red", f"/left lobby {NOON} eve red exit")
        ui.skip_to("eve left")
        assert session.status().line() == "lobby · 2 people · connected"
        session.input.handle_line("/join crowd")
        peer.answer_command("/join crowd", "/entered crowd 0 201 -")
        ui.skip_to("201 people")
        assert session.status().line() == "crowd · connected"


def test_status_shows_unsent_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once without a connection, and with one after a moment."""
    with signed_in() as (session, peer, _):
        session.input.handle_line("hello")
        assert session.status().unsent == ()
        monkeypatch.setattr(session_module, "UNSENT_SECONDS", 0.0)
        assert session.status().line() == "lobby · 1 person · connected · 1 unsent"
        monkeypatch.undo()
        peer.close()
        assert eventually(lambda: session.status().connection != "connected")
        session.input.handle_line("/join ops")
        assert session.status() == Status("ops", None, "reconnecting in 1 s", ("hello", "/join ops"), 2)


@pytest.mark.parametrize("code", ["name-taken", "name-invalid"])
def test_refused_name_ends_the_sign_in(code: str) -> None:
    """Another name may be accepted."""
    with connected() as (session, peer, _):
        peer.send("/hello 1 -", f"/error {code} choose another name")
        with pytest.raises(NameRefusedError, match="choose another name"):
            session.sign_in(Name("alice"))
