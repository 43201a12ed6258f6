"""Resume and grace: no line is lost or repeated, and no one sees a short break."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from hubbub.server.access.limits import Limits
from hubbub.server.delivery.batch_writer import SIGN_IN_STALLED
from hubbub.server.journal.journal import JournalError, Page
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.journal.sqlite import SqliteJournal
from hubbub.server.server import ChatServer
from testing.delivery import covered
from testing.server import serving
from testing.waiting import eventually
from testing.wire_client import WireClient

WITH_GRACE = Limits(rate=0)  # the name of a lost connection is held for a minute
SHORT_GRACE = Limits(rate=0, grace_seconds=0.2)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serving(limits=WITH_GRACE) as made:
        yield made


@pytest.fixture
def alice(server: ChatServer) -> Iterator[WireClient]:
    with WireClient(server.address, "alice red") as made:
        yield made


def sign_in(server: ChatServer, name: str) -> tuple[WireClient, str]:
    """Return the connection of a member, and the token."""
    wire = WireClient(server.address)
    wire.send(f"/name {name}")
    token = wire.read_match("/welcome").split()[3]
    wire.read_until("/entered")
    return wire, token


def cut(wire: WireClient) -> None:
    """Close a connection without /exit."""
    wire.socket.close()


def resume(server: ChatServer, token: str, room: str, seq: int) -> WireClient:
    wire = WireClient(server.address)
    assert wire.read_line() == "/hello 1 -"
    wire.send(f"/resume {token} {room} {seq}")
    return wire


# ------------------------------------------------------------------------------------------------------------ resume


def test_resume_brings_the_missed_lines(server: ChatServer, alice: WireClient) -> None:
    """With name, color and room; no one sees the member leave or join."""
    bob, token = sign_in(server, "bob teal")
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


def test_resume_in_another_room_than_the_client_names(server: ChatServer, alice: WireClient) -> None:
    """The stored room counts, and its last lines are sent."""
    bob, token = sign_in(server, "bob")
    bob.send("/join ops", "hi")
    bob.read_until("/say ops")
    cut(bob)
    with resume(server, token, "lobby", 0) as back:
        assert back.read_until("/say ops")[1] == "/entered ops 1 1 -"


def test_resume_replaces_a_half_open_connection(server: ChatServer, alice: WireClient) -> None:
    """The old connection is told and ended."""
    bob, token = sign_in(server, "bob")
    alice.read_until("/joined")
    with resume(server, token, "lobby", 0) as back:
        back.read_until("/entered")
        assert bob.read_to_end()[-1] == "/bye Signed in elsewhere"
        bob.socket.close()
        back.send("still here", "/who")
        assert alice.read_line().endswith("still here")
        assert [line.split()[1] for line in back.read_until("/end")][-3:-1] == ["alice", "bob"]


def test_replaced_connection_moves_no_one(server: ChatServer) -> None:
    """What still comes on it is ignored."""
    bob, token = sign_in(server, "bob")
    with resume(server, token, "lobby", 0) as back, bob:
        back.read_until("/entered")
        bob.send("/join ops")
        bob.read_to_end()
        back.send("/who")
        assert back.read_until("/end who")[-2].split()[1:4:2] == ["bob", "lobby"]


@pytest.mark.parametrize("token", ["nonsense", "0" * 32])
def test_unknown_token(server: ChatServer, token: str) -> None:
    """It is refused, and the client can go on with /name."""
    with resume(server, token, "lobby", 0) as wire:
        assert wire.read_line().startswith("/error resume-unknown")
        wire.send("/name bob")
        assert wire.read_match("/welcome")


def test_exit_ends_the_session(server: ChatServer) -> None:
    """It cannot be resumed, and the name is free at once."""
    bob, token = sign_in(server, "bob")
    bob.send("/exit")
    bob.read_to_end()
    bob.socket.close()
    with resume(server, token, "lobby", 0) as wire:
        assert wire.read_line().startswith("/error resume-unknown")
        wire.send("/name bob")
        assert wire.read_match("/welcome")


def test_resume_after_name(server: ChatServer, alice: WireClient) -> None:
    """It is refused: a connection has one member."""
    alice.send("/resume x lobby 0")
    assert alice.read_line().startswith("/error not-allowed")


def test_name_is_held_during_the_grace() -> None:
    """Afterwards the room sees `/left ... lost`, and the session can still be resumed."""
    with serving(limits=SHORT_GRACE) as server, WireClient(server.address, "alice") as alice:
        bob, token = sign_in(server, "bob")
        alice.read_until("/joined")
        cut(bob)
        with WireClient(server.address) as other:
            other.send("/name BOB", "/list")
            assert other.read_match("/error").startswith("/error name-taken")
        assert alice.read_match("/left").split()[3:] == ["bob", color_of(server, token), "lost"]
        with resume(server, token, "lobby", 0) as back:
            assert back.read_match("/entered") == "/entered lobby 0 2 -"
            assert alice.read_match("/joined").split()[3] == "bob"


def color_of(server: ChatServer, token: str) -> str:
    """Resume a session, and return its color."""
    with resume(server, token, "lobby", 0) as wire:
        color = wire.read_match("/welcome").split()[2]
        wire.read_until("/entered")
        wire.send("/join away")
        wire.read_until("/entered")
        wire.send("/leave")
        wire.read_until("/entered lobby")
    return color


def test_resume_after_the_name_was_taken() -> None:
    """After the grace another member may take the name."""
    with serving(limits=SHORT_GRACE) as server, WireClient(server.address, "alice") as alice:
        bob, token = sign_in(server, "bob")
        cut(bob)
        alice.read_until("/left")
        with WireClient(server.address, "bob"), resume(server, token, "lobby", 0) as wire:
            assert wire.read_line().startswith("/error name-taken")


def test_private_message_to_an_absent_member(server: ChatServer, alice: WireClient) -> None:
    """It is refused, so that it is not lost."""
    bob, _ = sign_in(server, "bob")
    cut(bob)

    def refused() -> bool:
        alice.send("/msg bob hi")
        return alice.read_match("/msg|/error").startswith("/error no-such-person bob has just lost")

    assert eventually(refused)


def test_restart_keeps_sessions_rooms_and_numbers(tmp_path: Path) -> None:
    """A member resumes with the lines they missed, and the numbers continue."""
    path = tmp_path / "j.db"
    with serving(limits=WITH_GRACE, journal=SqliteJournal(path)) as server:
        bob, token = sign_in(server, "bob teal")
        bob.send("/join Ops", "/post 1 one", "/post 2 two")
        bob.read_until("/ack 2")
    bob.socket.close()
    with serving(limits=WITH_GRACE, journal=SqliteJournal(path)) as server, resume(server, token, "ops", 1) as back:
        assert back.read_line() == f"/welcome bob teal {token} 2"
        assert back.read_line() == "/entered Ops 2 1 -"
        assert back.read_match().endswith("teal two")
        back.send("/post 3 three")
        assert back.read_match().split()[2] == "3"
        back.send("/list")
        assert back.read_until("/end list")[-3:-1] == ["/room lobby 0 -", "/room Ops 1 -"]


def test_restart_holds_the_places_of_members(tmp_path: Path) -> None:
    """Until they resume, or their grace ends."""
    path = tmp_path / "j.db"
    with serving(limits=WITH_GRACE, journal=SqliteJournal(path)) as server:
        members = {name: sign_in(server, name) for name in ("alice", "bob", "carl")}
        members["carl"][0].send("/exit")
        members["carl"][0].read_to_end()
    for wire, _ in members.values():
        wire.socket.close()
    with serving(limits=Limits(rate=0, grace_seconds=1.0), journal=SqliteJournal(path)) as server:
        with WireClient(server.address) as other:
            other.send("/name BOB")
            assert other.read_match("/error").startswith("/error name-taken")
        with resume(server, members["alice"][1], "lobby", 0) as alice:
            assert alice.read_match("/entered") == "/entered lobby 0 2 -"
            assert alice.read_match("/left").split()[3:6:2] == ["bob", "lost"]
    with serving(limits=WITH_GRACE, journal=SqliteJournal(path)) as server, WireClient(server.address, "bob") as bob:
        bob.send("/who")
        assert [line.split()[1] for line in bob.read_until("/end who")] == ["alice", "bob", "who"]


def test_room_with_history_is_listed_when_a_member_is_in_it(tmp_path: Path) -> None:
    """It has its history, and its first spelling."""
    path = tmp_path / "j.db"
    with serving(journal=SqliteJournal(path)) as server, WireClient(server.address, "bob") as bob:
        bob.send("/join Ops", "hi")
        bob.read_until("/say Ops")
    with serving(journal=SqliteJournal(path)) as server, WireClient(server.address, "bob") as bob:
        bob.send("/list", "/join ops")
        assert bob.read_until("/end list")[-2:] == ["/room lobby 1 -", "/end list"]
        assert bob.read_line() == "/entered Ops 1 1 -"
        assert bob.read_line().endswith(" hi")


def test_history_is_read_from_the_journal(tmp_path: Path) -> None:
    """`/history`, the lines after a join, and those after a long absence."""
    with serving(limits=WITH_GRACE, journal=SqliteJournal(tmp_path / "j.db")) as server:
        carl, token = sign_in(server, "carl")
        cut(carl)
        with WireClient(server.address, "alice") as alice:
            alice.send(*map(str, range(1, 3_001)))
            alice.read_until("/say lobby 3000 ")
            alice.send("/history 2 100")
            assert [line.split()[-1] for line in alice.read_until("/end")] == ["98", "99", "history"]
            with resume(server, token, "lobby", 7) as back:
                lines = back.read_until("/say lobby 3000 ")
                assert [int(line.split()[2]) for line in lines[2:]] == list(range(8, 3_001))


def test_purged_lines_are_a_gap(tmp_path: Path) -> None:
    """A long absence shows which lines are missing."""
    with serving(limits=WITH_GRACE) as server, WireClient(server.address, "alice") as alice:
        carl, token = sign_in(server, "carl")
        cut(carl)
        alice.send(*["x" * 1_000] * 6_000)
        alice.read_until("/say lobby 6000 ")
        with resume(server, token, "lobby", 7) as back:
            lines = back.read_until("/say lobby 6000 ")[2:]
            assert lines[0].startswith("/gap lobby 8 ")
            assert covered(lines) == list(range(8, 6_001))


# ------------------------------------------------------------------------------------------------------------- posts


def test_posts_are_acknowledged(alice: WireClient) -> None:
    """Text and actions; the acknowledgement names the last that is stored."""
    alice.send("/post 1 hi", "/post 2 /me waves", "/post 3 //x")
    lines = alice.read_until("/ack 3")
    assert [line.split(" ", 6)[-1] for line in lines if line[:4] in ("/say", "/me ")] == ["hi", "waves", "/x"]


def test_repeated_post_is_not_published_again(server: ChatServer, alice: WireClient) -> None:
    """On the same connection and after a resume; it is acknowledged again."""
    bob, token = sign_in(server, "bob")
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


def test_posts_of_which_some_are_stored(server: ChatServer, alice: WireClient) -> None:
    """Those are left out, and the others published."""
    bob, token = sign_in(server, "bob")
    bob.send("/post 1 a", "/post 2 b", "/post 3 c")
    bob.read_until("/ack 3")
    cut(bob)
    with resume(server, token, "lobby", 3) as back:
        back.send("/post 2 b", "/post 3 c", "/post 4 d", "/post 5 e", "/post 9 f", "/post 7 no", "/post 10 /me g")
        back.read_until("/ack 10")
        assert [line.split()[-1] for line in alice.read_until(".* g$") if "/joined" not in line] == list("abcdefg")


def test_post_before_exit_is_acknowledged(alice: WireClient) -> None:
    """A client that leaves knows what is stored."""
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
def test_refused_post(alice: WireClient, line: str, code: str) -> None:
    """It is refused under its number, which is used; the next one is published."""
    alice.send(f"/post 1 {line}", "/post 2 fine")
    lines = alice.read_until("/ack 2")
    assert lines[0].split()[:3] == ["/refused", "1", code]
    assert lines[1].endswith(" fine")
    alice.send("/post 1 again")
    assert alice.read_line() == "/ack 2"


def test_posts_count_from_one(alice: WireClient) -> None:
    """Post 0 is an error."""
    alice.send("/post 0 hi", "/post x hi")
    assert [alice.read_line().split()[1] for _ in range(2)] == ["argument-invalid"] * 2


def test_post_number_far_ahead_is_not_counted(alice: WireClient) -> None:
    """Otherwise every later post would count as stored already. A smaller jump is allowed."""
    alice.send("/post 1 one", "/post 1000002 lost", "/post 999999999999999 lost", "/post 2 two", "/post 1000002 three")
    lines = alice.read_until("/ack 1000002")
    assert [line.split()[-1] for line in lines if line.startswith("/say")] == ["one", "two", "three"]
    assert [line.split()[1] for line in lines if line.startswith("/error")] == ["argument-invalid"] * 2


# ------------------------------------------------------------------------------------- a journal that cannot be written


class FailingJournal(MemoryJournal):
    """A journal that can be made to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = threading.Event()

    def append(self, lines: object, sessions: object, ended: object) -> None:
        if self.fails.is_set():
            raise JournalError("cannot write the journal: disk full")
        super().append(lines, sessions, ended)  # type: ignore[arg-type]


def test_lines_wait_for_a_failed_journal(tmp_path: Path) -> None:
    """One notice, no line meanwhile, replies go on, and then all lines in order."""
    journal = FailingJournal()
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


def test_flooding_session_goes_on_after_a_failed_journal(tmp_path: Path) -> None:
    """A session that waited for space in the queue of its room is woken."""
    journal = FailingJournal()
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


def test_connections_are_closed_while_the_journal_fails() -> None:
    """No descriptor is left."""
    journal = FailingJournal()
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


class SlowJournal(SqliteJournal):
    """A journal that reads slowly, or not at all the first time."""

    seconds = 0.0
    failures = 0

    def read_pages(self, key: str, after: int, upto: int, size: int) -> list[Page]:
        threading.Event().wait(self.seconds)
        if self.failures:
            self.failures -= 1
            raise JournalError("cannot read the journal")
        return super().read_pages(key, after, upto, size)


def make_journal(path: Path, lines: int) -> Path:
    """Make a journal with lines in the lobby."""
    with serving(journal=SqliteJournal(path)) as server, WireClient(server.address, "alice") as alice:
        alice.send(*["x"] * lines)
        alice.read_until(f"/say lobby {lines} ")
    return path


def test_stop_while_history_is_read(tmp_path: Path) -> None:
    """A subscriber that catches up gets the lines, and then /bye."""
    journal = SlowJournal(make_journal(tmp_path / "j.db", 20))
    journal.seconds = 0.5
    with serving(journal=journal) as server:
        bob = WireClient(server.address, "bob")
        server.stop()
    with bob:
        assert [line.split()[0] for line in bob.read_to_end()] == ["/say"] * 20 + ["/bye"]


def test_failed_read_of_history_is_repeated(tmp_path: Path) -> None:
    """Stored lines are never shown as a gap."""
    journal = SlowJournal(make_journal(tmp_path / "j.db", 20))
    journal.failures = 1
    with serving(journal=journal) as server, WireClient(server.address, "bob") as bob:
        assert [line.split()[0] for line in bob.read_until("/say lobby 20 ")] == ["/say"] * 20


def test_unreadable_history_ends_the_connection(tmp_path: Path) -> None:
    """After a resume the client gets all lines."""
    journal = SlowJournal(make_journal(tmp_path / "j.db", 20))
    journal.failures = 2
    with serving(limits=WITH_GRACE, journal=journal) as server:
        bob, token = sign_in(server, "bob")
        assert not any(line.startswith("/gap") for line in bob.read_to_end())
        bob.socket.close()
        with resume(server, token, "lobby", 0) as back:
            assert [line.split()[0] for line in back.read_until("/say lobby 20 ")[2:]] == ["/say"] * 20


def test_stop_with_a_failed_journal() -> None:
    """It ends in time."""
    journal = FailingJournal()
    with serving(journal=journal) as server:
        alice = WireClient(server.address, "alice")
        journal.fails.set()
        alice.send("/post 1 a")
        alice.read_until("/notice")
    alice.socket.close()


@pytest.mark.parametrize("fails_before", [True, False])
def test_sign_in_waits_for_a_failed_journal(fails_before: bool) -> None:
    """Until it can be written again; the user is told, even if their sign-in is the first write that fails."""
    journal = FailingJournal()
    with (
        serving(journal=journal) as server,
        WireClient(server.address, "alice") as alice,
        WireClient(server.address) as bob,
    ):
        journal.fails.set()
        if fails_before:
            alice.send("/post 1 a")
            alice.read_until("/notice")
        bob.send("/name bob")
        assert bob.read_match("/notice") == f"/notice {SIGN_IN_STALLED}"
        journal.fails.clear()
        assert bob.read_match("/entered").startswith("/entered lobby ")
        assert alice.read_match("/joined")


def test_deleted_journal_is_noticed_within_a_second(tmp_path: Path) -> None:
    """Users are told, new lines are held, and stored when the file is back."""
    path = tmp_path / "j.db"
    with serving(journal=SqliteJournal(path)) as server, WireClient(server.address, "alice") as alice:
        path.rename(tmp_path / "away")
        deleted_at = time.monotonic()
        alice.read_match("/notice the server cannot write its journal")
        assert time.monotonic() - deleted_at < 1.5
        alice.send("/post 1 held")
        assert alice.sync() == []
        (tmp_path / "away").rename(path)
        seen = alice.read_until("/ack 1")
        assert seen[0].startswith("/notice the server can write its journal again")
        assert seen[1].endswith(" held")
    with closing(SqliteJournal(path)) as journal:
        assert journal.last_seq("lobby") == 1
