"""Sessions on real sockets: every command, and every kind of bad input."""

import contextlib
import itertools
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from hubbub.protocol import COMMANDS, LINE_BYTES, TEXT_CHARS
from hubbub.server.access import limits as limits_module
from hubbub.server.access.limits import Limits, TokenBucket
from hubbub.server.delivery import slow_consumers
from hubbub.server.journal.memory import MEMORY_LINES
from hubbub.server.network.transport import SocketTransport
from hubbub.server.rooms.membership import Counts
from hubbub.server.server import ChatServer
from hubbub.server.session import Session
from testing.delivery import covered
from testing.server import FAST_LIMITS, captured_log, serving
from testing.waiting import eventually
from testing.wire_client import WireClient


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serving() as made:
        yield made


@pytest.fixture
def alice(server: ChatServer) -> Iterator[WireClient]:
    with WireClient(server.address, "alice red") as made:
        yield made


@pytest.fixture
def bob(server: ChatServer, alice: WireClient) -> Iterator[WireClient]:
    with WireClient(server.address, "bob light blue") as made:
        alice.read_until("/joined")
        yield made


def fields(line: str, *indexes: int) -> list[str]:
    """Return some fields of a line."""
    return [line.split(" ")[index] for index in indexes]


# ------------------------------------------------------------------------------------------------------------ commands


def test_the_session_of_the_contract(server: ChatServer, alice: WireClient) -> None:
    """What the wire contract shows, typed by hand, is answered as it shows."""
    with WireClient(server.address) as wire:
        assert wire.read_line() == "/hello 1 -"
        wire.send("/name Bob Light Blue")
        name, color, token, accepted = wire.read_line().split()[1:]
        assert (name, color, len(token), accepted) == ("Bob", "light-blue", 32, "0")
        assert wire.read_line() == "/entered lobby 0 2 -"
        wire.send("hi alice")
        said = wire.read_line()
        assert fields(said, 0, 1, 2, 4, 5) == ["/say", "lobby", "1", "Bob", "light-blue"]
        assert said.endswith(" hi alice")
        wire.send("/join ops", "/exit")
        assert wire.read_to_end() == ["/entered ops 0 1 -", "/bye see you"]


def test_all_members_of_a_room_get_the_same_line(alice: WireClient, bob: WireClient) -> None:
    """The speaker too, and TIME is the time."""
    alice.send("  two spaces, kept  ")
    line = alice.read_match()
    assert line == bob.read_match()
    assert line.endswith("alice red   two spaces, kept  ")
    assert abs(int(line.split()[3]) / 1000 - time.time()) < 60


def test_an_action(alice: WireClient, bob: WireClient) -> None:
    """`/me` is numbered like a message."""
    alice.send("/me waves")
    assert fields(bob.read_match("/me"), 0, 1, 2, 4, 5, 6) == ["/me", "lobby", "1", "alice", "red", "waves"]


def test_a_slash_is_said_with_two(alice: WireClient) -> None:
    """`//x` says `/x`."""
    alice.send("//exit")
    assert alice.read_match().endswith("red /exit")


def test_an_empty_line_does_nothing(alice: WireClient) -> None:
    """Nothing is said and nothing is answered."""
    alice.send("", "\x07\x1b", "")
    assert alice.sync() == []


def test_a_private_room_hears_only_its_own(alice: WireClient, bob: WireClient) -> None:
    """What is said in a room stays in it, and `/leave` goes back to the lobby."""
    bob.send("/join ops", "secret")
    assert alice.read_match("/left").endswith("bob light-blue leave")
    bob.send("/leave", "back")
    assert [line.split()[0] for line in alice.read_until("/say")] == ["/joined", "/say"]
    assert bob.read_match("/entered lobby").split()[2:] == ["0", "2", "-"]


def test_list_counts_people(alice: WireClient, bob: WireClient) -> None:
    """The lobby first, then by name, then the end."""
    bob.send("/join ops", "/list")
    assert bob.read_until("/end")[-3:] == ["/room lobby 1 -", "/room ops 1 -", "/end list"]


def test_who_lists_the_members_of_this_room_and_of_another(alice: WireClient, bob: WireClient) -> None:
    """One row for each member, of my room or of another."""
    bob.send("/join ops", "/who", "/who lobby")
    assert bob.read_until("/end")[1:] == ["/person bob light-blue ops 0", "/end who"]
    assert bob.read_until("/end") == ["/person alice red lobby 0", "/end who"]


def test_a_private_message_reaches_two(server: ChatServer, alice: WireClient, bob: WireClient) -> None:
    """Its recipient gets it, in any room, and its sender; no other member does."""
    with WireClient(server.address, "carl") as carl:
        bob.send("/join ops", "/msg ALICE  psst ")
        line = bob.read_match("/msg")
        assert line == alice.read_match("/msg")
        assert fields(line, 0, 2, 3, 4) == ["/msg", "bob", "light-blue", "alice"]
        assert line.endswith("alice  psst ")
        assert not any("psst" in seen for seen in carl.sync())


def test_a_private_message_to_oneself_comes_once(alice: WireClient) -> None:
    """There is no copy of a copy."""
    alice.send("/msg alice note")
    assert len([line for line in alice.sync() if line.startswith("/msg")]) == 1


def test_a_private_message_to_a_missing_name(alice: WireClient) -> None:
    """The error has the missing name."""
    alice.send("/msg zoe hi")
    assert alice.read_line().startswith("/error no-such-person there is no member called zoe")


def test_unread_private_messages_are_refused(server: ChatServer, alice: WireClient) -> None:
    """Messages beyond what the recipient reads are refused; the recipient gets the others once they read."""
    with WireClient(server.address, "bob", receive_buffer=4_096) as bob:
        alice.read_until("/joined")
        told, refused = 0, 0
        while not refused:
            alice.send(*["/msg bob " + "🎈" * TEXT_CHARS] * 20)
            answers = [line.split(" ", 2)[0] for line in alice.sync()]
            told, refused = told + answers.count("/msg"), answers.count("/error")
            assert told + refused > 0
        alice.send("/msg alice hi")
        alice.read_until("/msg")
        bob.send("here")
        assert sum(line.startswith("/msg") for line in bob.read_until("/say")) == told
        assert alice.read_match().endswith(" here")


def test_a_new_name_and_a_new_colour(alice: WireClient, bob: WireClient) -> None:
    """A second `/name` renames; without a colour the old one stays; `/color` changes it alone."""
    alice.send("/name Alicia", "/color teal", "hi")
    renamed, recolored, said = bob.read_until("/say")
    assert fields(renamed, 1, 3, 4, 5) == ["lobby", "alice", "red", "Alicia"]
    assert fields(recolored, 3, 4, 5) == ["Alicia", "teal", "Alicia"]
    assert fields(said, 4, 5) == ["Alicia", "teal"]


def test_history(alice: WireClient) -> None:
    """The last COUNT lines, or those before a SEQ, oldest first; what was said just before is among them."""
    alice.send(*map(str, range(60)), "/history", "/history 2", "/history 2 10")
    full = alice.read_until("/end history")
    assert [line.split()[-1] for line in full[60:]] == [*map(str, range(10, 60)), "history"]
    assert [line.split()[-1] for line in alice.read_until("/end")] == ["58", "59", "history"]
    assert [line.split()[2] for line in alice.read_until("/end")[:-1]] == ["8", "9"]


@pytest.mark.parametrize("command", ["/history 0", "/history 1001", "/history x", "/history 5 x", "/history -1"])
def test_history_that_makes_no_sense(alice: WireClient, command: str) -> None:
    """A COUNT outside 1 to 1,000 and what is not a number are refused."""
    alice.send(command)
    assert alice.read_line().startswith("/error argument-invalid")


def test_history_beyond_what_is_stored(alice: WireClient) -> None:
    """What is gone is named, not passed over."""
    alice.send(*["x"] * 10)
    alice.sync()
    alice.send(*["x"] * MEMORY_LINES, "/history 1000 500")
    answer = [line for line in alice.read_until("/end history") if line.startswith("/gap")]
    assert answer == ["/gap lobby 1 10"]


def test_help_lists_what_a_user_may_type(alice: WireClient) -> None:
    """`/help` is made from the command table, without the commands of operators and of programs."""
    alice.send("/help")
    notices = alice.read_until("/end help")[:-1]
    rows = [row for row in COMMANDS.values() if not row.operators_only and not row.for_programs]
    assert [line.split()[1] for line in notices] == [*(f"/{row.word}" for row in rows), "/help"]


@pytest.mark.parametrize("word", ["join", "/join"])
def test_help_for_one_command(alice: WireClient, word: str) -> None:
    """With or without its slash."""
    alice.send(f"/help {word}")
    assert alice.read_until("/end help") == [
        "/notice /join ROOM [KEY]  enter ROOM, or create it; KEY locks a new one",
        "/notice A locked room opens with its KEY only.",
        "/end help",
    ]


def test_help_tells_the_other_words_for_a_command(alice: WireClient) -> None:
    """`/quit` is `/exit`."""
    alice.send("/help quit")
    assert alice.read_until("/end help")[1] == "/notice also typed /quit"


@pytest.mark.parametrize(
    ("line", "answer"),
    [("/names", "/person alice"), ("/part", "/error not-allowed you are in lobby"), ("/quit", "/bye see you")],
)
def test_words_of_irc_are_commands(alice: WireClient, line: str, answer: str) -> None:
    """A user of nc types what they know from IRC."""
    alice.send(line)
    assert alice.read_line().startswith(answer)


def test_a_room_may_be_typed_with_the_sign_of_irc(alice: WireClient) -> None:
    """`/join #ops` enters `ops`."""
    alice.send("/join #ops")
    assert alice.read_line().startswith("/entered ops 0 1")


def test_exit_works_before_naming(server: ChatServer) -> None:
    """`/exit` works from anywhere."""
    with WireClient(server.address) as wire:
        wire.send("/exit")
        assert wire.read_to_end() == ["/hello 1 -", "/bye see you"]


def test_a_new_member_sees_the_history(server: ChatServer, alice: WireClient) -> None:
    """Up to 50 lines, without arrivals and departures."""
    alice.send(*map(str, range(70)))
    alice.sync()
    with WireClient(server.address) as bob:
        bob.send("/name bob")
        assert bob.read_match("/entered") == "/entered lobby 70 2 -"
        assert [line.split()[-1] for line in bob.sync()] == [str(number) for number in range(20, 70)]


def test_a_room_has_one_spelling(alice: WireClient, bob: WireClient) -> None:
    """The spelling of its first member, also if it had another one a moment ago."""
    alice.send("/join Ops", "/leave")
    alice.read_until("/entered lobby")
    bob.send("/join OPS", "hi", "/list")
    lines = [line for line in bob.read_until("/end list") if "lobby" not in line]
    assert {line.split()[1] for line in lines if line.startswith(("/entered", "/say", "/room"))} == {"OPS"}


# ----------------------------------------------------------------------------------------------------------- bad input


def test_a_line_that_arrives_byte_by_byte(alice: WireClient, bob: WireClient) -> None:
    """However a line is cut, it is one line."""
    for byte in "grüße 🎈\r\n".encode():
        alice.send_bytes(bytes([byte]))
    assert bob.read_match().endswith("red grüße 🎈")


def test_many_lines_in_one_read(alice: WireClient, bob: WireClient) -> None:
    """However lines are joined, they are many lines, in order."""
    alice.send_bytes(b"".join(b"%d\n" % number for number in range(500)))
    assert [line.split()[-1] for line in bob.read_until(".* 499$")] == [str(number) for number in range(500)]


def test_bytes_that_are_not_utf8(alice: WireClient) -> None:
    """They become U+FFFD and end nothing."""
    alice.send_bytes(b"a\xff\xfeb\n")
    assert alice.read_match().endswith("red a��b")


def test_control_characters_are_gone(alice: WireClient, bob: WireClient) -> None:
    """NUL, ESC, bells, C1 and bidi overrides reach no member; a tab is a space."""
    alice.send_bytes("a\0b\x1b[31mc\x07\x9b\u202e\u2066d\te\n".encode())
    assert bob.read_match().endswith("red ab[31mcd e")


def test_control_characters_in_a_name_and_a_room(server: ChatServer) -> None:
    """They are removed before the name is checked."""
    with WireClient(server.address) as wire:
        wire.send("/name e\x1bv\0e\u202e", "/join o\x1bps")
        assert wire.read_match("/welcome").split()[1] == "eve"
        assert wire.read_match("/entered ops")


def test_a_line_of_17000_bytes(alice: WireClient) -> None:
    """It gets the error with the limit, the goodbye, and the end; the lines before it are said."""
    alice.send_bytes(b"before\n" + b"x" * 17_000 + b"\nafter\n")
    said, error, bye = alice.read_to_end()
    assert said.endswith("before")
    assert error.startswith(f"/error line-too-long a line has at most {LINE_BYTES} bytes")
    assert bye.startswith("/bye")


def test_nothing_that_is_typed_makes_a_line_of_the_log(server: ChatServer) -> None:
    """Whatever clients send, the log is printable and in the server's own words."""
    with captured_log() as lines, WireClient(server.address) as wire:
        forged = "x\r\x1b[31m came 192.0.2.1 'root'\x85\u2028went {0} {member}"
        wire.send_bytes(b"\xff\xfe\x9b" + forged.encode() + b"\n")
        for word in ("name", "join", "color", "who", "msg", "post 1 /join", "history", "resume t", "help", forged):
            wire.send(f"/{word} {forged}")
        wire.send(
            "/name {0}", "/name Зоя\u0301\u202e", "/join \u0661\u06f2-{}", "/join комната", forged, "/me " + forged
        )
        wire.read_until("/me")
        wire.send("/exit")
        wire.read_to_end()
    assert {line.split()[0] for line in lines} == {"refused", "signed", "joined", "left"}
    assert all(line.removesuffix("\n").isprintable() and line.count("\n") == 1 for line in lines)
    assert not any("192.0.2.1" in line or "root" in line for line in lines)


def test_a_message_of_2001_characters(alice: WireClient) -> None:
    """It is refused with the limit, never cut, and the session goes on; 2,000 of any width are fine."""
    alice.send("🎈" * (TEXT_CHARS + 1), "🎈" * TEXT_CHARS)
    assert str(TEXT_CHARS) in alice.read_match("/error text-too-long")
    assert alice.read_match().endswith("🎈" * TEXT_CHARS)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("/name", "missing-argument"),
        ("/name " + "x" * 21, "name-invalid"),
        ("/name ALICE", "name-taken"),
        ("/name Server", "name-invalid"),
        ("/name a b", "color-unknown"),
        ("/name -x", "name-invalid"),
        ("hello?", "name-needed"),
        ("/join ops", "name-needed"),
        ("/nmae bob", "unknown-command"),
        ("/pass secret", "not-allowed"),
        ("/post 1 hi", "name-needed"),
        ("/resume x lobby 1", "resume-unknown"),
    ],
)
def test_what_a_nameless_client_is_refused(server: ChatServer, alice: WireClient, line: str, code: str) -> None:
    """Each with its code; the client may try again."""
    with WireClient(server.address) as wire:
        wire.send(line, "/name bob")
        assert [seen.split()[0] for seen in wire.read_until("/entered")[1:3]] == ["/error", "/welcome"]
        wire.send(line)
    with WireClient(server.address) as wire:
        wire.send(line)
        assert wire.read_match("/error").split()[1] == code


def test_a_refused_rename_keeps_the_name(alice: WireClient, bob: WireClient) -> None:
    """Only the sender gets the error, and no member sees a change."""
    alice.send("/name BOB", "hi")
    assert alice.read_match("/error").startswith("/error name-taken")
    assert bob.read_match().split()[4] == "alice"


def test_a_web_browser_is_sent_away(server: ChatServer) -> None:
    """`GET / HTTP/1.1` ends the session, so that no web page can make a browser chat."""
    with WireClient(server.address) as wire:
        wire.send_bytes(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n/name mallory\nhi\n")
        lines = wire.read_to_end()
        assert lines[-1].startswith("/bye this is a chat server")
        assert not any(line.startswith("/welcome") for line in lines)


def test_a_client_that_says_nothing() -> None:
    """It is closed when its time to name itself is over; others are unaffected, and accept goes on."""
    limits = Limits(rate=0, grace_seconds=0, sign_in_seconds=0.2)
    with (
        serving(limits=limits) as server,
        WireClient(server.address) as silent,
        WireClient(server.address, "alice") as alice,
    ):
        assert silent.read_to_end()[-1].startswith("/bye no /name NAME arrived")
        with WireClient(server.address, "bob"):
            alice.read_until("/joined")


def test_a_nameless_client_that_never_stops_sending() -> None:
    """The time to sign in ends all the same, however much the client sends."""
    limits = Limits(rate=0, sign_in_seconds=0.2, sign_in_bytes=1_000_000_000)
    with serving(limits=limits) as server, WireClient(server.address) as wire, pytest.raises(OSError):
        while True:
            wire.send_bytes(b"\n" * 4_096)


def test_a_nameless_client_that_sends_too_much() -> None:
    """The error has the limit, then the server closes; a name in the first of many bytes counts."""
    with serving(limits=replace(FAST_LIMITS, sign_in_bytes=1_000)) as server:
        with WireClient(server.address) as wire:
            wire.send(*["/ping x"] * 200)
            error, bye = wire.read_to_end()[-2:]
            assert error.startswith("/error name-needed 1000 bytes")
            assert bye.startswith("/bye")
        with WireClient(server.address) as wire:
            wire.send("/name bob", *["hi"] * 1_000)
            wire.read_until("/say lobby 1000 ")


def test_a_slow_name_is_no_reason_to_wait_longer() -> None:
    """A byte now and then does not hold the connection beyond its time."""
    with (
        serving(limits=Limits(rate=0, grace_seconds=0, sign_in_seconds=0.3)) as server,
        WireClient(server.address) as slow,
    ):
        stop = threading.Event()

        def drip() -> None:
            try:
                while not stop.wait(0.02):
                    slow.send_bytes(b"x")
            except OSError:
                return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert slow.read_to_end()[-1].startswith("/bye")
        finally:
            stop.set()
            thread.join()


def test_a_silent_member_is_pinged_and_then_disconnected() -> None:
    """A client that answers, with any line, stays; one that does not is lost to its room."""
    limits = Limits(rate=0, grace_seconds=0, ping_seconds=0.1, idle_timeout_seconds=0.3)
    with (
        serving(limits=limits) as server,
        WireClient(server.address, "alice") as alice,
        WireClient(server.address, "mute"),
    ):
        for _ in itertools.count():
            line = alice.read_match("/ping|/left")
            if line.startswith("/left"):
                break
            alice.send("/pong " + line.split()[1])
        assert fields(line, 3, 5) == ["mute", "lost"]


def test_a_member_who_never_reads(server: ChatServer, alice: WireClient) -> None:
    """100,000 lines pass without slowing any member; then the reader gets those stored and a /gap for the rest."""
    with WireClient(server.address, "stalled", receive_buffer=4_096) as stalled:
        alice.read_until("/joined")
        lines = 100_000
        for number in range(1_000, lines + 1, 1_000):
            alice.send(*["x" * 40] * 1_000)
            alice.read_until(f"/say lobby {number} ")
        seen = stalled.read_until(f"/say lobby {lines} ")
        assert any(line.startswith("/gap") for line in seen)
        assert covered(seen) == list(range(1, lines + 1))


def test_a_member_that_reads_nothing_for_too_long(
    alice: WireClient, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is lost to its room, although it sends on and on; a client that reads is not affected."""
    monkeypatch.setattr(slow_consumers, "PROGRESS_SECONDS", 0.3)
    monkeypatch.setattr(slow_consumers, "CHECK_SECONDS", 0.05)
    with WireClient(server.address, "stalled", receive_buffer=4_096) as stalled:
        alice.read_until("/joined")
        left = threading.Event()

        def ask() -> None:
            with contextlib.suppress(OSError):
                while not left.wait(0.02):
                    stalled.send("/ping x")

        asking = threading.Thread(target=ask)
        asking.start()
        for _ in range(10):
            alice.send(*["x" * 1_900] * 500)
            alice.read_until("/say lobby \\d*[05]00 |/left")
        assert eventually(lambda: server._context.membership.count().members == 1)
        left.set()
        asking.join()


def test_a_connection_reset_in_the_middle_of_a_line(server: ChatServer, alice: WireClient) -> None:
    """The half line is not sent, the room sees the member lost, and the name is free."""
    bob = WireClient(server.address, "bob")
    alice.read_until("/joined")
    bob.send_bytes(b"half a li")
    bob.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    bob.socket.close()
    assert fields(alice.read_line(), 0, 3, 5) == ["/left", "bob", "lost"]
    with WireClient(server.address, "bob"):
        alice.read_until("/joined")


def test_a_client_that_ends_its_side_gets_its_answers(server: ChatServer) -> None:
    """`printf … | nc -N` sees everything that it asked for."""
    with WireClient(server.address) as wire:
        wire.send("/name bob", "hi", "/list")
        wire.socket.shutdown(socket.SHUT_WR)
        said, *answer = wire.read_to_end()[-3:]
        assert said.endswith(" hi")
        assert answer == ["/room lobby 1 -", "/end list"]


def test_two_hundred_come_and_go_at_once(server: ChatServer, alice: WireClient) -> None:
    """At the end the counts are right; the server's threads are counted by `serving`."""

    def visit(number: int) -> None:
        with WireClient(server.address, f"v{number}") as wire:
            wire.send(f"/join room{number % 7}", "hi", "/leave", "/list", "/exit" if number % 2 else "")
            wire.read_until("/end list")

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(200)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert eventually(lambda: server._context.membership.count() == Counts(1, 1))
    alice.send("/list")
    assert alice.read_until("/end list")[-2:] == ["/room lobby 1 -", "/end list"]


# ---------------------------------------------------------------------------------------------------------- the limits


def test_empty_lines_are_lines() -> None:
    """A client that sends nothing but line ends is slowed down, too."""
    with serving(limits=Limits(rate=1, burst=5)) as server, WireClient(server.address, "alice") as alice:
        start = time.monotonic()
        alice.send("", "", "", "", "hi")
        alice.read_until("/say")
        assert time.monotonic() - start > 0.5


def test_a_client_that_is_too_fast_loses_nothing() -> None:
    """Lines beyond the rate are sent later, all of them and in order."""
    with serving(limits=Limits(rate=200, burst=10)) as server, WireClient(server.address, "alice") as alice:
        start = time.monotonic()
        alice.send(*map(str, range(60)))
        assert [line.split()[-1] for line in alice.read_until(".* 59$")] == [str(number) for number in range(60)]
        assert time.monotonic() - start > 0.2


def test_long_lines_count_as_several() -> None:
    """So that no client can make the server send thousands of characters a second to every member."""
    with serving(limits=Limits(rate=20, burst=11)) as server, WireClient(server.address, "alice") as alice:
        start = time.monotonic()
        alice.send("x" * TEXT_CHARS, "y" * TEXT_CHARS)
        assert len(alice.read_until("/say .* y+$")) == 2
        assert time.monotonic() - start > 0.4


def test_in_one_read_every_line_has_its_own_answer(alice: WireClient) -> None:
    """What can be said of a run is said, in order; what cannot has an error each, and commands stay in their place."""
    alice.send("a", "x" * (TEXT_CHARS + 1), "b", "", "/me c", "//d", "/ping one", "e", "y" * (TEXT_CHARS + 1))
    lines = alice.read_until("/error") + alice.read_until("/error")
    assert [line.split()[-1] for line in lines if line[:4] in ("/say", "/me ", "/pon")] == [
        "a",
        "b",
        "c",
        "/d",
        "one",
        "e",
    ]
    assert [line.split()[1] for line in lines if line.startswith("/error")] == ["text-too-long"] * 2


def test_what_follows_a_name_in_one_read_is_said(server: ChatServer) -> None:
    """Before it nothing can be said, each line of it."""
    with WireClient(server.address) as wire:
        wire.send("a", "b", "/name bob", "c", "d")
        lines = wire.read_until(".* d$")
    assert [line.split()[0] for line in lines[1:]] == ["/error", "/error", "/welcome", "/entered", "/say", "/say"]


def test_a_slowed_client_does_not_slow_the_stop() -> None:
    """A stop does not wait for a line whose time has not come."""
    with serving(limits=Limits(rate=0.01, burst=2)) as server:
        wire = WireClient(server.address, "alice")
        wire.send("1", "2", "3")
        wire.read_until("/say lobby 1 ")
    with wire:
        assert wire.read_to_end()[-1].startswith("/bye")


def test_the_server_is_full() -> None:
    """One too many gets the reason and the end; when a client leaves there is room again."""
    with serving(limits=Limits(max_clients=1)) as server:
        with WireClient(server.address, "alice") as alice:
            with WireClient(server.address) as late:
                error, bye = late.read_to_end()
                assert (error.split()[1], bye.split()[0]) == ("server-full", "/bye")
            alice.send("/exit")
            alice.read_to_end()
        assert eventually(lambda: lets_in(server.address))


def turned_away(address: tuple[str, int]) -> str:
    """Return the code with which a connection is refused, after a whole refusal and the end."""
    with WireClient(address) as wire:
        error, bye = wire.read_to_end()
        assert bye.startswith("/bye ")
        return error.split()[1]


def lets_in(address: tuple[str, int]) -> bool:
    """Return whether a newcomer is greeted."""
    with WireClient(address) as wire:
        return wire.read_line() == "/hello 1 -"


def test_too_many_from_one_address() -> None:
    """The client gets the reason, the sessions go on, and the log has one line for all refusals."""
    limits = replace(FAST_LIMITS, max_clients_per_address=1, loopback_exempt=False)
    with serving(limits=limits) as server, WireClient(server.address, "alice") as alice, captured_log() as lines:
        assert {turned_away(server.address) for _ in range(20)} == {"too-many"}
        alice.send("still here")
        alice.read_until("/say")
    assert len([line for line in lines if "too-many" in line]) == 1


def test_too_many_at_once_from_one_address() -> None:
    """After so many in one go, one must wait."""
    limits = replace(FAST_LIMITS, max_clients_per_address=2, connections_per_second=0.001, loopback_exempt=False)
    with serving(limits=limits) as server, WireClient(server.address, "alice") as alice:
        WireClient(server.address).socket.close()
        assert eventually(lambda: turned_away(server.address) == "too-fast")
        alice.send("still here")
        alice.read_until("/say")


def test_too_many_without_a_name() -> None:
    """They block new connections but no members; when they sign in there is room again."""
    with (
        serving(limits=replace(FAST_LIMITS, max_unnamed=1)) as server,
        WireClient(server.address, "alice") as alice,
        WireClient(server.address) as nameless,
    ):
        assert turned_away(server.address) == "server-full"
        alice.send("still here")
        alice.read_until("/say")
        nameless.send("/name bob")
        assert eventually(lambda: lets_in(server.address))


def test_silent_connections_of_a_few_addresses_keep_nobody_out() -> None:
    """The oldest of them make way, and are told why; who has a name stays."""
    limits = replace(FAST_LIMITS, loopback_exempt=False, max_clients_per_address=3, max_unnamed=6)
    with serving(limits=limits) as server, contextlib.ExitStack() as stack:

        def connect(source: str) -> WireClient:
            return stack.enter_context(WireClient(server.address, source=source))

        member = connect("127.0.0.2")
        member.send("/name alice")
        member.read_until("/entered")
        silent = [connect(f"127.0.0.{number}") for _ in range(3) for number in (3, 4)]
        newcomer = connect("127.0.0.5")
        newcomer.send("/name bob")
        newcomer.read_until("/entered")
        assert silent[0].read_to_end()[-1].startswith("/bye too many clients are signing in")
        member.sync()
        silent[1].send("/name carl")
        silent[1].read_until("/entered")


def test_single_bytes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends a line byte by byte soon waits, and the server reads the rest of it together."""
    reads: list[int] = []
    recv = SocketTransport.recv

    def counted(self: SocketTransport, timeout: float) -> bytes:
        data = recv(self, timeout)
        reads.append(len(data))
        return data

    with serving(limits=replace(FAST_LIMITS, rate=2, burst=2)) as server, WireClient(server.address, "alice") as alice:
        monkeypatch.setattr(SocketTransport, "recv", counted)
        for _ in range(300):
            alice.send_bytes(b"x")
            time.sleep(0.002)
        alice.send_bytes(b"\n")
        assert alice.read_match("/say").endswith(" " + "x" * 300)
    assert len(reads) < 100


@pytest.mark.parametrize(
    ("line", "cost"),
    [
        ("/ping x", 0.0),
        ("hello", 0.0),
        ("/nonsense", limits_module.REFUSAL_COST),
        ("/join ?", limits_module.REFUSAL_COST),
        ("/join ops", limits_module.CHANGE_COST),
        ("/name anna", limits_module.CHANGE_COST),
        ("/history 200", 200 / limits_module.HISTORY_LINES_PER_TOKEN),
        ("/who", 2 / limits_module.ROWS_PER_TOKEN),
    ],
)
def test_commands_cost_what_they_make_the_server_do(line: str, cost: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the token of their line: for rows, stored lines, changes and refusals."""
    charged: list[float] = []
    monkeypatch.setattr(TokenBucket, "charge", lambda _, cost: charged.append(cost))
    with serving() as server, WireClient(server.address, "alice") as alice:
        alice.sync()
        charged.clear()
        alice.send(line)
        alice.sync()
    assert sum(charged) == pytest.approx(cost, abs=0.021)  # a reply of one line costs a row, too


def test_client_waits_after_a_long_reply() -> None:
    """The next line is read when the tokens are back."""
    with serving(limits=replace(FAST_LIMITS, rate=10, burst=3)) as server, WireClient(server.address, "alice") as alice:
        start = time.monotonic()
        alice.send("/history 200")
        alice.read_until("/end history")
        alice.sync()
        assert time.monotonic() - start > 0.5


def test_repeated_refusals_do_not_fill_the_log(server: ChatServer, alice: WireClient) -> None:
    """Of one address and one reason there is one line, and another for another reason."""
    with captured_log() as lines, WireClient(server.address) as wire:
        wire.send(*["/name ALICE", "/name ?"] * 50)
        assert len([line for line in wire.sync() if line.startswith("/error")]) == 100
    assert sorted(line.split()[-1] for line in lines if line.startswith("refused")) == ["name-invalid", "name-taken"]


def test_changes_of_room_are_counted() -> None:
    """Beyond so many a minute they are refused with the time to wait; what is said goes on."""
    with (
        serving(limits=replace(FAST_LIMITS, room_changes_per_minute=4)) as server,
        WireClient(server.address, "alice") as alice,
    ):
        alice.send("/join a", "/leave", "/join b", "/leave", "/join c", "still here")
        assert alice.read_match("/error") == "/error too-fast you may change rooms 4 times a minute; try again in 15 s"
        assert alice.read_match().split()[1] == "lobby"


def test_changes_of_name_are_counted() -> None:
    """And of colour; no member sees one too many."""
    limits = replace(FAST_LIMITS, name_changes_per_minute=2)
    with (
        serving(limits=limits) as server,
        WireClient(server.address, "alice") as alice,
        WireClient(server.address, "bob") as bob,
    ):
        alice.send("/name al", "/color red", "/color teal", "/name ali", "still here")
        assert [line.split()[1] for line in alice.read_until("/say") if line.startswith("/error")] == ["too-fast"] * 2
        assert [line.split()[0] for line in bob.read_until("/say")] == ["/renamed", "/renamed", "/say"]


def test_a_stop_does_not_wait_for_commands_that_were_read() -> None:
    """Whatever a client has sent in one go, the rest of it is not carried out when the server stops."""
    with serving() as server:
        wire = WireClient(server.address, "alice")
        drain = threading.Thread(target=wire.read_to_end)
        wire.send(*["x"] * 1_000)
        wire.read_until("/say lobby 1000 ")
        drain.start()
        wire.send(*["/history 1000"] * 4_500)
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 5
        drain.join()
    wire.socket.close()


def test_what_was_read_before_a_stop_is_said(
    alice: WireClient, bob: WireClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that is stopped between two lines of one read has said the first of them."""
    take = Session._send_messages

    def take_and_stop(session: Session, *arguments: Any) -> None:
        take(session, *arguments)
        session.stop()

    monkeypatch.setattr(Session, "_send_messages", take_and_stop)
    bob.send("first", "/me second")
    assert alice.read_match("/say|/left").endswith("first")
    assert bob.read_to_end()[-1].startswith("/bye")


def test_stopping_says_goodbye_to_all() -> None:
    """Named or not, and what was said before comes before."""
    with serving(limits=FAST_LIMITS) as server:
        alice, nameless = WireClient(server.address, "alice"), WireClient(server.address)
        nameless.read_until("/hello")  # before that it may still wait to be accepted
        alice.send("last words")
        alice.read_until("/say")
    with alice, nameless:
        assert alice.read_to_end() == ["/bye the server is stopping; reconnect later"]
        assert nameless.read_to_end()[-1].startswith("/bye")


def test_stopping_twice_and_without_a_start() -> None:
    """Stop is idempotent, and a server that never started stops too."""
    with serving() as server:
        server.stop()
    ChatServer("127.0.0.1", 0).stop()
