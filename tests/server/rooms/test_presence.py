"""Coming back: nothing that was said is lost, nothing is said twice, and nobody sees a short cut."""

import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hubbub.server.access.limits import Limits
from hubbub.server.journal.journal import JournalError, Page
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.journal.sqlite import SqliteJournal
from hubbub.server.server import ChatServer
from testing.delivery import covered
from testing.server import serving
from testing.waiting import eventually
from testing.wire_client import WireClient

HOLDING = Limits(rate=0)  # a lost connection keeps its name for a minute
SHORT = Limits(rate=0, grace_seconds=0.2)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serving(limits=HOLDING) as made:
        yield made


@pytest.fixture
def alice(server: ChatServer) -> Iterator[WireClient]:
    with WireClient(server.address, "alice red") as made:
        yield made


def come(server: ChatServer, name: str) -> tuple[WireClient, str]:
    """Return a connection that is in, and its token."""
    wire = WireClient(server.address)
    wire.send(f"/name {name}")
    token = wire.read_match("/welcome").split()[3]
    wire.read_until("/entered")
    return wire, token


def cut(wire: WireClient) -> None:
    """Lose a connection without a word."""
    wire.socket.close()


def resume(server: ChatServer, token: str, room: str, seq: int) -> WireClient:
    wire = WireClient(server.address)
    assert wire.read_line() == "/hello 1 -"
    wire.send(f"/resume {token} {room} {seq}")
    return wire


# ------------------------------------------------------------------------------------------------------------ resume


def test_who_comes_back_gets_exactly_what_he_missed(server: ChatServer, alice: WireClient) -> None:
    """Name, colour, room and the lines after his SEQ; nobody sees him go or come."""
    bob, token = come(server, "bob teal")
    alice.read_until("/joined")
    alice.send("1", "2")
    bob.read_until("/say lobby 2 ")
    cut(bob)
    alice.send("3", "4", *["/me nods"] * 60)
    alice.read_until("/me lobby 64 ")
    with resume(server, token, "lobby", 2) as back:
        assert back.read_line() == f"/welcome bob teal {token} 0"
        assert back.read_line() == "/entered lobby 64 2 -"
        assert [int(line.split()[2]) for line in back.sync()] == list(range(3, 65))
        back.send("hi")
        assert [line.split()[0] for line in alice.read_until("/say")] == ["/say"]


def test_in_another_room_than_he_thinks(server: ChatServer, alice: WireClient) -> None:
    """Who moved without seeing it is where he moved, and gets that room's last lines."""
    bob, token = come(server, "bob")
    bob.send("/join ops", "hi")
    bob.read_until("/say ops")
    cut(bob)
    with resume(server, token, "lobby", 0) as back:
        assert back.read_until("/say ops")[1] == "/entered ops 1 1 -"


def test_a_half_open_connection_is_taken_over(server: ChatServer, alice: WireClient) -> None:
    """The old connection is told and ended; the new one goes on."""
    bob, token = come(server, "bob")
    alice.read_until("/joined")
    with resume(server, token, "lobby", 0) as back:
        back.read_until("/entered")
        assert bob.read_to_end()[-1] == "/bye Signed in elsewhere"
        bob.socket.close()
        back.send("still here", "/who")
        assert alice.read_line().endswith("still here")
        assert [line.split()[1] for line in back.read_until("/end")][-3:-1] == ["alice", "bob"]


def test_the_old_connection_can_do_no_more(server: ChatServer) -> None:
    """What still comes on the old connection moves nobody."""
    bob, token = come(server, "bob")
    with resume(server, token, "lobby", 0) as back, bob:
        back.read_until("/entered")
        bob.send("/join ops")
        bob.read_to_end()
        back.send("/who")
        assert back.read_until("/end who")[-2].split()[1:4:2] == ["bob", "lobby"]


@pytest.mark.parametrize("token", ["nonsense", "0" * 32])
def test_an_unknown_token(server: ChatServer, token: str) -> None:
    """It is refused, and one goes on with /name."""
    with resume(server, token, "lobby", 0) as wire:
        assert wire.read_line().startswith("/error resume-unknown")
        wire.send("/name bob")
        assert wire.read_match("/welcome")


def test_who_said_exit_does_not_come_back(server: ChatServer) -> None:
    """The session is over and the name free at once."""
    bob, token = come(server, "bob")
    bob.send("/exit")
    bob.read_to_end()
    bob.socket.close()
    with resume(server, token, "lobby", 0) as wire:
        assert wire.read_line().startswith("/error resume-unknown")
        wire.send("/name bob")
        assert wire.read_match("/welcome")


def test_resume_is_for_who_has_no_name(server: ChatServer, alice: WireClient) -> None:
    """One is one person on one connection."""
    alice.send("/resume x lobby 0")
    assert alice.read_line().startswith("/error not-allowed")


def test_a_name_is_held_and_then_free() -> None:
    """Within the grace it is taken, after it everybody sees `/left … lost`, and the session can still come back."""
    with serving(limits=SHORT) as server, WireClient(server.address, "alice") as alice:
        bob, token = come(server, "bob")
        alice.read_until("/joined")
        cut(bob)
        with WireClient(server.address) as other:
            other.send("/name BOB", "/list")
            assert other.read_match("/error").startswith("/error name-taken")
        assert alice.read_match("/left").split()[3:] == ["bob", alice_color(server, token), "lost"]
        with resume(server, token, "lobby", 0) as back:
            assert back.read_match("/entered") == "/entered lobby 0 2 -"
            assert alice.read_match("/joined").split()[3] == "bob"


def alice_color(server: ChatServer, token: str) -> str:
    """Return the colour that the session of `token` has."""
    with resume(server, token, "lobby", 0) as wire:
        color = wire.read_match("/welcome").split()[2]
        wire.read_until("/entered")
        wire.send("/join away")
        wire.read_until("/entered")
        wire.send("/leave")
        wire.read_until("/entered lobby")
    return color


def test_a_name_taken_meanwhile() -> None:
    """Who comes back after the grace to a name that somebody else has is told so."""
    with serving(limits=SHORT) as server, WireClient(server.address, "alice") as alice:
        bob, token = come(server, "bob")
        cut(bob)
        alice.read_until("/left")
        with WireClient(server.address, "bob"), resume(server, token, "lobby", 0) as wire:
            assert wire.read_line().startswith("/error name-taken")


def test_a_message_to_one_who_is_away(server: ChatServer, alice: WireClient) -> None:
    """It is refused rather than lost."""
    bob, _ = come(server, "bob")
    cut(bob)

    def refused() -> bool:
        alice.send("/msg bob hi")
        return alice.read_match("/msg|/error").startswith("/error no-such-person bob has just lost")

    assert eventually(refused)


def test_after_a_restart_everything_is_as_it_was(tmp_path: Path) -> None:
    """Sessions, rooms, pasts, and numbers that go on without a hole."""
    path = tmp_path / "j.db"
    with serving(limits=HOLDING, journal=SqliteJournal(path)) as server:
        bob, token = come(server, "bob teal")
        bob.send("/join Ops", "/post 1 one", "/post 2 two")
        bob.read_until("/ack 2")
    bob.socket.close()
    with serving(limits=HOLDING, journal=SqliteJournal(path)) as server, resume(server, token, "ops", 1) as back:
        assert back.read_line() == f"/welcome bob teal {token} 2"
        assert back.read_line() == "/entered Ops 2 1 -"
        assert back.read_match().endswith("teal two")
        back.send("/post 3 three")
        assert back.read_match().split()[2] == "3"
        back.send("/list")
        assert back.read_until("/end list")[-3:-1] == ["/room lobby 0 -", "/room Ops 1 -"]


def test_nobody_sees_a_restart(tmp_path: Path) -> None:
    """Who was here is here, away, until he is back or his grace is over; his name is held meanwhile."""
    path = tmp_path / "j.db"
    with serving(limits=HOLDING, journal=SqliteJournal(path)) as server:
        people = {name: come(server, name) for name in ("alice", "bob", "carl")}
        people["carl"][0].send("/exit")
        people["carl"][0].read_to_end()
    for wire, _ in people.values():
        wire.socket.close()
    with serving(limits=Limits(rate=0, grace_seconds=1.0), journal=SqliteJournal(path)) as server:
        with WireClient(server.address) as thief:
            thief.send("/name BOB")
            assert thief.read_match("/error").startswith("/error name-taken")
        with resume(server, people["alice"][1], "lobby", 0) as alice:
            assert alice.read_match("/entered") == "/entered lobby 0 2 -"
            assert alice.read_match("/left").split()[3:6:2] == ["bob", "lost"]
    with serving(limits=HOLDING, journal=SqliteJournal(path)) as server, WireClient(server.address, "bob") as bob:
        bob.send("/who")
        assert [line.split()[1] for line in bob.read_until("/end who")] == ["alice", "bob", "who"]


def test_a_room_with_a_past_is_not_listed_until_somebody_is_in_it(tmp_path: Path) -> None:
    """It has its past, in the spelling that it had."""
    path = tmp_path / "j.db"
    with serving(journal=SqliteJournal(path)) as server, WireClient(server.address, "bob") as bob:
        bob.send("/join Ops", "hi")
        bob.read_until("/say Ops")
    with serving(journal=SqliteJournal(path)) as server, WireClient(server.address, "bob") as bob:
        bob.send("/list", "/join ops")
        assert bob.read_until("/end list")[-2:] == ["/room lobby 1 -", "/end list"]
        assert bob.read_line() == "/entered Ops 1 1 -"
        assert bob.read_line().endswith(" hi")


def test_history_reaches_behind_what_is_in_memory(tmp_path: Path) -> None:
    """`/history`, the lines on entering and a long absence are served from the journal."""
    with serving(limits=HOLDING, journal=SqliteJournal(tmp_path / "j.db")) as server:
        carl, token = come(server, "carl")
        cut(carl)
        with WireClient(server.address, "alice") as alice:
            alice.send(*map(str, range(1, 3_001)))
            alice.read_until("/say lobby 3000 ")
            alice.send("/history 2 100")
            assert [line.split()[-1] for line in alice.read_until("/end")] == ["98", "99", "history"]
            with resume(server, token, "lobby", 7) as back:
                lines = back.read_until("/say lobby 3000 ")
                assert [int(line.split()[2]) for line in lines[2:]] == list(range(8, 3_001))


def test_what_is_no_longer_kept_is_a_gap(tmp_path: Path) -> None:
    """A long absence beyond what is kept is named."""
    with serving(limits=HOLDING) as server, WireClient(server.address, "alice") as alice:
        carl, token = come(server, "carl")
        cut(carl)
        alice.send(*["x" * 1_000] * 3_000)
        alice.read_until("/say lobby 3000 ")
        with resume(server, token, "lobby", 7) as back:
            lines = back.read_until("/say lobby 3000 ")[2:]
            assert lines[0].startswith("/gap lobby 8 ")
            assert covered(lines) == list(range(8, 3_001))


# ------------------------------------------------------------------------------------------------------------- posts


def test_a_post_is_said_and_acknowledged(alice: WireClient) -> None:
    """Text and actions; the acknowledgement names the last that is kept."""
    alice.send("/post 1 hi", "/post 2 /me waves", "/post 3 //x")
    lines = alice.read_until("/ack 3")
    assert [line.split(" ", 6)[-1] for line in lines if line[:4] in ("/say", "/me ")] == ["hi", "waves", "/x"]


def test_a_post_that_is_kept_is_not_said_twice(server: ChatServer, alice: WireClient) -> None:
    """On the same connection and on the next; it is acknowledged again."""
    bob, token = come(server, "bob")
    alice.read_until("/joined")
    bob.send("/post 1 a", "/post 2 b", "/post 1 a", "/post 2 b")
    bob.read_until("/ack 2")
    bob.sync()
    cut(bob)
    with resume(server, token, "lobby", 2) as back:
        assert back.read_line().endswith(" 2")
        back.send("/post 2 b", "/post 3 c")
        back.read_until("/ack 3")
        assert [line.split()[-1] for line in alice.read_until(".* c$")] == ["a", "b", "c"]


def test_a_run_of_posts_that_is_kept_in_part(server: ChatServer, alice: WireClient) -> None:
    """Of posts that come together, those that are kept already are left out, and the others are said."""
    bob, token = come(server, "bob")
    bob.send("/post 1 a", "/post 2 b", "/post 3 c")
    bob.read_until("/ack 3")
    cut(bob)
    with resume(server, token, "lobby", 3) as back:
        back.send("/post 2 b", "/post 3 c", "/post 4 d", "/post 5 e", "/post 9 f", "/post 7 no", "/post 10 /me g")
        back.read_until("/ack 10")
        assert [line.split()[-1] for line in alice.read_until(".* g$") if "/joined" not in line] == list("abcdefg")


def test_a_post_before_exit_is_acknowledged(alice: WireClient) -> None:
    """Whoever leaves knows what is kept of him."""
    alice.send("/post 1 bye all", "/exit")
    assert [line.split()[0] for line in alice.read_to_end()] == ["/say", "/ack", "/bye"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("x" * 2_001, "text-too-long"),
        ("/join ops", "not-allowed"),
        ("/jion ops", "unknown-command"),
        ("/me", "missing-argument"),
    ],
)
def test_a_post_that_cannot_be_said(alice: WireClient, line: str, code: str) -> None:
    """It is refused under its number, which is used up; the next one is said."""
    alice.send(f"/post 1 {line}", "/post 2 fine")
    lines = alice.read_until("/ack 2")
    assert lines[0].split()[:3] == ["/refused", "1", code]
    assert lines[1].endswith(" fine")
    alice.send("/post 1 again")
    assert alice.read_line() == "/ack 2"


def test_posts_count_from_one(alice: WireClient) -> None:
    """A post 0 is an error, not a message."""
    alice.send("/post 0 hi", "/post x hi")
    assert [alice.read_line().split()[1] for _ in range(2)] == ["argument-invalid"] * 2


# ------------------------------------------------------------------------------------- a journal that cannot be written


class Failing(MemoryJournal):
    """A journal that can be made to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = threading.Event()

    def append(self, lines: object, sessions: object, ended: object) -> None:
        if self.fails.is_set():
            raise JournalError("cannot write the journal: disk full")
        super().append(lines, sessions, ended)  # type: ignore[arg-type]


def test_what_cannot_be_kept_is_held_and_then_said(tmp_path: Path) -> None:
    """One notice when it stops, nothing said meanwhile, answers go on, and then all of it in order."""
    journal = Failing()
    with (
        serving(journal=journal) as server,
        WireClient(server.address, "alice") as alice,
        WireClient(server.address, "bob") as bob,
    ):
        alice.read_until("/joined")
        journal.fails.set()
        alice.send("/post 1 a")
        assert alice.read_line().startswith("/notice the server cannot write its journal")
        bob.send("b", "/who")
        assert bob.read_until("/end who")[0].startswith("/notice the server cannot write its journal")
        alice.send("/post 2 c")
        assert alice.sync() == []
        journal.fails.clear()
        seen = alice.read_until("/ack 2")
        assert seen[0].startswith("/notice the server can write its journal again")
        assert sorted(line.split()[-1] for line in seen if line.startswith("/say")) == ["a", "b", "c"]
        assert [line.split()[2] for line in bob.read_until("/say lobby 3")[1:]] == ["1", "2", "3"]


def test_who_waited_for_space_goes_on(tmp_path: Path) -> None:
    """When the journal can be written again, a speaker who had filled his room's queue is not forgotten."""
    journal = Failing()
    with serving(journal=journal) as server, WireClient(server.address, "alice") as alice:
        journal.fails.set()
        alice.send("first")
        alice.read_until("/notice")
        lines = b"x\n" * 4_000
        flood = threading.Thread(target=alice.send_bytes, args=(lines,))
        flood.start()
        assert eventually(lambda: sum(server._context.delivery._queue._lines.values()) >= 1_000)
        journal.fails.clear()
        alice.read_until("/say lobby 4001 ")
        flood.join()


def test_nobody_holds_a_descriptor_while_the_journal_fails() -> None:
    """Connections that come and go are closed, journal or not."""
    journal = Failing()
    with serving(journal=journal) as server, WireClient(server.address, "alice") as alice:
        journal.fails.set()
        alice.send("/post 1 a")
        alice.read_until("/notice")
        before = psutil.Process().num_fds()
        for number in range(50):
            with WireClient(server.address) as wire:
                wire.send(f"/name n{number}")
                wire.read_line()
        assert eventually(lambda: psutil.Process().num_fds() - before < 5)
        journal.fails.clear()
        alice.read_until("/ack 1")


class Awkward(SqliteJournal):
    """A journal that reads slowly, or not at all the first time."""

    seconds = 0.0
    failures = 0

    def read_pages(self, key: str, after: int, upto: int, size: int) -> list[Page]:
        threading.Event().wait(self.seconds)
        if self.failures:
            self.failures -= 1
            raise JournalError("cannot read the journal")
        return super().read_pages(key, after, upto, size)


def filled(path: Path, lines: int) -> Path:
    """Make a journal with a past."""
    with serving(journal=SqliteJournal(path)) as server, WireClient(server.address, "alice") as alice:
        alice.send(*["x"] * lines)
        alice.read_until(f"/say lobby {lines} ")
    return path


def test_a_stop_while_the_past_is_read(tmp_path: Path) -> None:
    """Who is being caught up gets it, and the goodbye, and the end."""
    journal = Awkward(filled(tmp_path / "j.db", 20))
    journal.seconds = 0.5
    with serving(journal=journal) as server:
        bob = WireClient(server.address, "bob")
        server.stop()
    with bob:
        assert [line.split()[0] for line in bob.read_to_end()] == ["/say"] * 20 + ["/bye"]


def test_a_past_that_cannot_be_read_at_once_is_read_again(tmp_path: Path) -> None:
    """What is kept is never shown as a gap."""
    journal = Awkward(filled(tmp_path / "j.db", 20))
    journal.failures = 1
    with serving(journal=journal) as server, WireClient(server.address, "bob") as bob:
        assert [line.split()[0] for line in bob.read_until("/say lobby 20 ")] == ["/say"] * 20


def test_a_past_that_cannot_be_read_is_not_given_up(tmp_path: Path) -> None:
    """Who cannot be caught up loses the connection, and gets it all when he comes back."""
    journal = Awkward(filled(tmp_path / "j.db", 20))
    journal.failures = 2
    with serving(limits=HOLDING, journal=journal) as server:
        bob, token = come(server, "bob")
        assert not any(line.startswith("/gap") for line in bob.read_to_end())
        bob.socket.close()
        with resume(server, token, "lobby", 0) as back:
            assert [line.split()[0] for line in back.read_until("/say lobby 20 ")[2:]] == ["/say"] * 20


def test_a_server_stops_with_a_journal_that_cannot_be_written() -> None:
    """It says how much was not kept, in the log, and ends in time."""
    journal = Failing()
    with serving(journal=journal) as server:
        alice = WireClient(server.address, "alice")
        journal.fails.set()
        alice.send("/post 1 a")
        alice.read_until("/notice")
    alice.socket.close()


def test_who_comes_while_the_journal_fails_waits(tmp_path: Path) -> None:
    """He is let in when it can be written again."""
    journal = Failing()
    with (
        serving(journal=journal) as server,
        WireClient(server.address, "alice") as alice,
        WireClient(server.address) as bob,
    ):
        journal.fails.set()
        alice.send("/post 1 a")
        alice.read_until("/notice")
        bob.send("/name bob")
        threading.Timer(0.2, journal.fails.clear).start()
        assert bob.read_match("/entered") == "/entered lobby 1 2 -"
        assert alice.read_match("/joined")
