"""Locked rooms: the locks without sockets, and sessions on real ones."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from hubbub.protocol import ProtocolError
from hubbub.server.access import room_keys as locks_module
from hubbub.server.access.room_keys import FACTS, RoomKey, RoomKeys
from hubbub.server.access.scrypt import HashedSecret, ScryptHash
from hubbub.server.journal.journal import JournalError
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.journal.sqlite import SqliteJournal
from hubbub.server.server import ChatServer
from testing.server import FAST_LIMITS, ServerProcess, captured_log, serving
from testing.waiting import eventually
from testing.wire_client import WireClient

HELD = replace(FAST_LIMITS, grace_seconds=60)
HASH = ScryptHash.create("key")


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serving(limits=HELD) as made:
        yield made


@pytest.fixture
def alice(server: ChatServer) -> Iterator[WireClient]:
    """In a locked room, of which something is kept."""
    with WireClient(server.address, "alice") as made:
        made.send("/join ops secret key", "inside")
        made.read_until("/say")
        yield made


@pytest.fixture
def bob(server: ChatServer, alice: WireClient) -> Iterator[WireClient]:
    with WireClient(server.address, "bob") as made:
        yield made


def answer(wire: WireClient, line: str) -> str:
    """Return the first line that the server answers."""
    wire.sync()
    wire.send(line)
    return wire.read_line()


# ----------------------------------------------------------------------------------------------------------- the table


def lock(room: str = "ops") -> RoomKey:
    return RoomKey(room, HashedSecret(HASH), "alice")


def test_a_lock_is_kept() -> None:
    """With who made it; a later server has it, and when it is off, the one after that has none."""
    journal = MemoryJournal()
    first = RoomKeys(journal)
    first.add(made := lock())
    later = RoomKeys(journal)
    later.load()
    assert (later.maker_of("ops"), later.id_of("ops"), later.flags_of("ops")) == ("alice", made.id, "locked")
    first.remove(made)
    first.store("ops")
    assert journal.list_facts(FACTS) == {}
    assert (first.maker_of("ops"), first.id_of("ops"), first.flags_of("ops")) == ("", "", "-")


def test_a_second_lock_is_refused() -> None:
    """The first one stays, and is not taken off with the other."""
    locks = RoomKeys(MemoryJournal())
    locks.add(first := lock())
    with pytest.raises(ProtocolError, match="room-locked"):
        locks.add(second := lock())
    locks.remove(second)
    assert locks.find("ops") is first


def test_locks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused."""
    monkeypatch.setattr(locks_module, "LOCKS", 1)
    locks = RoomKeys(MemoryJournal())
    locks.add(lock())
    assert locks.list_if_full() == ["ops"]
    with pytest.raises(ProtocolError, match="too-many"):
        locks.add(lock("dev"))


class Full(MemoryJournal):
    """Keeps no fact."""

    def add_fact(self, kind: str, key: str, fact: str) -> bool:
        raise JournalError("full")


def test_of_two_who_lock_a_room_at_two_servers_one_does() -> None:
    """Neither had heard of the other; the second one takes over what is on the room."""
    journal = MemoryJournal()
    one, two = RoomKeys(journal), RoomKeys(journal)
    one.add(first := lock())
    with pytest.raises(ProtocolError, match="room-locked"):
        two.add(lock())
    assert two.id_of("ops") == one.id_of("ops") == first.id


def test_a_lock_that_cannot_be_kept_is_none() -> None:
    """Nobody is locked out by what the next start would not know."""
    locks = RoomKeys(Full())
    with pytest.raises(JournalError):
        locks.add(lock())
    assert locks.find("ops") is None


@pytest.mark.parametrize("fact", ["{}", "x", '{"hash": "scrypt:1", "maker": "a"}', "[]"])
def test_a_damaged_lock(fact: str) -> None:
    """The server does not start with the room open."""
    journal = MemoryJournal()
    journal.store_fact(FACTS, "ops", fact)
    with pytest.raises(JournalError, match="ops"):
        RoomKeys(journal).load()


# ------------------------------------------------------------------------------------------------------------ sessions


def test_a_key_locks_a_new_room(server: ChatServer) -> None:
    """Its flags say so, to those inside and outside."""
    with WireClient(server.address, "alice") as alice, WireClient(server.address, "bob") as bob:
        assert answer(alice, "/join Ops secret key") == "/entered Ops 0 1 locked"
        bob.send("/list")
        assert "/room Ops 1 locked" in bob.read_until("/end list")
        assert answer(bob, "/join ops secret key") == "/entered Ops 0 2 locked"


def test_a_wrong_key_is_as_none(bob: WireClient) -> None:
    """The same words, for whatever is tried from outside."""
    refusals = {answer(bob, line) for line in ("/join ops", "/join ops x", "/join ops secret", "/who ops")}
    assert len(refusals) == 1
    assert refusals.pop().startswith("/error room-locked ")


def test_a_wrong_key_costs_as_much_as_none(bob: WireClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """One scrypt each, so that time tells nothing."""
    tried: list[str] = []
    matches = ScryptHash.matches

    def counted(self: ScryptHash, text: str) -> bool:
        tried.append(text)
        return matches(self, text)

    monkeypatch.setattr(ScryptHash, "matches", counted)
    for line in ("/join ops", "/join ops x"):
        answer(bob, line)
    assert tried == ["", "x"]


def test_wrong_keys_are_limited(server: ChatServer, bob: WireClient) -> None:
    """By address, in all rooms together; the right one waits, too, and other rooms are open."""
    for _ in range(5):
        assert answer(bob, "/join ops x").startswith("/error room-locked ")
    assert answer(bob, "/join ops secret key").startswith("/error too-fast ")
    with WireClient(server.address, "carl") as carl:
        assert answer(carl, "/join ops secret key").startswith("/error too-fast ")
    assert answer(bob, "/join dev").startswith("/entered dev ")


def test_who_is_inside_stays_unknown(alice: WireClient, bob: WireClient) -> None:
    """And what is said there, in whatever command from outside."""
    alice.send("psst", "/me whispers")
    alice.read_until("/me")
    bob.send("/who ops", "/who", "/history", "/list", "/join ops", "/join ops x", "/name alice", "/help", "/leave")
    bob.send(
        "/history 1000 2", "/kick alice", "/ban alice 1h", "/mute alice 1h", "/bans", "/resume x ops 0", "/color red"
    )
    seen = [line for line in bob.sync() if not line.startswith("/error name-taken")]
    assert not [line for line in seen if "alice" in line.split()[1:2] or "psst" in line or "whispers" in line]
    assert [line for line in seen if line.startswith("/person")] == [
        line for line in seen if line.startswith("/person bob")
    ]


def test_members_see_each_other(alice: WireClient) -> None:
    """Inside all is as in any room; who asks to come in once more is told that he is there."""
    alice.send("/who", "/who ops")
    assert [line.split()[:2] for line in alice.read_until("/end") + alice.read_until("/end")] == [
        ["/person", "alice"],
        ["/end", "who"],
    ] * 2
    assert answer(alice, "/join ops").startswith("/error not-allowed you are in ops already")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/join lobby key", "the lobby cannot be locked"),
        ("/join dev key", "without KEY"),
        ("/join old key", "are still stored"),
    ],
)
def test_what_cannot_be_locked(server: ChatServer, bob: WireClient, line: str, words: str) -> None:
    """The lobby, a room with people in it, and one whose past anybody may read."""
    with WireClient(server.address, "carl") as carl:
        carl.send("/join old", "hi")
        carl.read_until("/say")
        carl.send("/join dev")
        carl.read_until("/entered dev")
        bob.send("/join zoo")
        bob.read_until("/entered zoo")
        refusal = answer(bob, line)
        assert refusal.startswith("/error not-allowed ")
        assert words in refusal


def test_a_lock_outlives_its_members_as_long_as_the_past(alice: WireClient, bob: WireClient) -> None:
    """While a line is kept, the empty room opens with its key alone, whose bearer sees it."""
    alice.send("/leave")
    alice.read_until("/entered lobby")
    assert answer(bob, "/join ops").startswith("/error room-locked ")
    assert answer(bob, "/join ops other key").startswith("/error room-locked ")
    assert answer(bob, "/join ops secret key") == "/entered ops 1 1 locked"
    assert bob.read_line().endswith(" inside")


def test_a_lock_with_nothing_behind_it_is_gone(server: ChatServer) -> None:
    """Nobody there and nothing said: the next one finds a new room, and may lock it himself."""
    with WireClient(server.address, "alice") as alice, WireClient(server.address, "bob") as bob:
        alice.send("/join ops one", "/leave")
        alice.read_until("/entered lobby")
        assert answer(bob, "/join ops") == "/entered ops 0 1 -"
        bob.send("/leave")
        bob.read_until("/entered lobby")
        assert answer(bob, "/join ops two") == "/entered ops 0 1 locked"


def test_a_purged_past_takes_the_lock_with_it(tmp_path: Path) -> None:
    """As soon as none of it is kept."""
    now = [1_000_000.0]
    journal = SqliteJournal(tmp_path / "journal.db", keep_days=1, clock=lambda: now[0])
    with serving(journal=journal) as server, WireClient(server.address, "alice") as alice:
        alice.send("/join ops key", "inside", "/leave")
        alice.read_until("/entered lobby")
        assert answer(alice, "/join ops").startswith("/error room-locked ")
        now[0] = 4_000_000_000_000.0
        journal.purge_expired()
        assert answer(alice, "/join ops") == "/entered ops 1 1 -"
        assert journal.list_facts(FACTS) == {}


def test_a_lock_that_is_off_leaves_no_past_in_memory(tmp_path: Path) -> None:
    """What was said behind it and is purged is shown to nobody, though the server still had it at hand."""
    now = [1_000_000.0]
    journal = SqliteJournal(tmp_path / "journal.db", keep_days=1, clock=lambda: now[0])
    with (
        serving(journal=journal) as server,
        WireClient(server.address, "alice") as alice,
        WireClient(server.address, "bob") as bob,
    ):
        alice.send("/join ops key", "inside", "/leave")
        alice.read_until("/entered lobby")
        now[0] = 4_000_000_000_000.0
        journal.purge_expired()
        bob.sync()
        bob.send("/join ops", "mine")
        assert bob.read_until("/say")[:-1] == ["/entered ops 1 1 -", "/gap ops 1 1"]
        bob.send("/history")
        assert [line.split()[:3] for line in bob.read_until("/end")] == [
            ["/gap", "ops", "1"],
            ["/say", "ops", "2"],
            ["/end", "history"],
        ]


def test_nobody_makes_a_room_that_looks_like_a_locked_one(alice: WireClient, bob: WireClient) -> None:
    """While it is empty, too: who has the key is not kept out by a look-alike, nor led into one."""
    alice.send("/leave")
    alice.read_until("/entered lobby")
    for line in ("/join \u043eps", "/join \u043eps other key"):
        assert answer(bob, line).startswith("/error room-invalid \u043eps looks like ops, ")
    assert answer(alice, "/join ops secret key") == "/entered ops 1 1 locked"


def test_a_look_alike_may_be_made_when_nothing_is_left_behind_a_lock() -> None:
    """So that nobody can block the names of rooms by locking one and going."""
    with serving() as server, WireClient(server.address, "alice") as alice, WireClient(server.address, "bob") as bob:
        alice.send("/join ops one", "/leave")
        alice.read_until("/entered lobby")
        assert answer(bob, "/join \u043eps") == "/entered \u043eps 0 1 -"
        bob.send("/leave")
        bob.read_until("/entered lobby")
        alice.sync()
        assert answer(alice, "/join ops two") == "/entered ops 0 1 locked"


def test_a_look_alike_of_a_locked_room_is_refused_after_a_restart() -> None:
    """The locks that the journal keeps count like the new ones, until they are off."""
    journal = MemoryJournal()
    RoomKeys(journal).add(made := lock())
    later = RoomKeys(journal)
    later.load()
    assert [later.find_confusable(room) for room in ("\u043eps", "ops", "dev")] == ["ops", "", ""]
    with pytest.raises(ProtocolError, match="room-invalid"):
        later.add(lock("\u043eps"))
    found = later.find(made.room)
    assert found is not None
    later.remove(found)
    assert later.find_confusable("\u043eps") == ""


def test_a_room_that_cannot_be_made_leaves_no_lock() -> None:
    """Where there can be no more rooms, nothing of it stays."""
    journal = MemoryJournal()
    with (
        serving(limits=replace(FAST_LIMITS, max_rooms=1), journal=journal) as server,
        WireClient(server.address, "alice") as alice,
    ):
        assert answer(alice, "/join ops key").startswith("/error too-many ")
        assert journal.list_facts(FACTS) == {}


def test_old_locks_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with nothing behind them are looked for when there can be no more."""
    monkeypatch.setattr(locks_module, "LOCKS", 2)
    with serving() as server, WireClient(server.address, "alice") as alice:
        alice.send("/join one key", "kept", "/join two key", "/leave", "/join three key")
        assert alice.read_until("/entered three")[-1] == "/entered three 0 1 locked"
        assert answer(alice, "/join four key").startswith("/error too-many ")


def test_the_log_has_no_key(server: ChatServer) -> None:
    """Neither a right nor a wrong one."""
    with captured_log() as log, WireClient(server.address, "alice") as alice, WireClient(server.address, "bob") as bob:
        alice.send("/join ops hunter2")
        alice.read_until("/entered ops")
        answer(bob, "/join ops hunter3")
    assert any("room-locked" in line for line in log)
    assert not any("hunter" in line for line in log)


# ---------------------------------------------------------------------------------------------------------- coming back


def test_coming_back_into_a_locked_room(server: ChatServer, alice: WireClient) -> None:
    """Who was in is in again, without the key, with what he missed."""
    alice.sync()
    with WireClient(server.address) as wire, WireClient(server.address, "carl") as carl:
        carl.send("/join dev")
        carl.read_until("/entered dev")
        with WireClient(server.address) as dora:
            dora.send("/name dora", "/join ops secret key")
            token = dora.read_until("/welcome")[-1].split()[3]
            dora.read_until("/entered ops")
        alice.send("missed")
        alice.read_until("/say ops 2")
        wire.send(f"/resume {token} ops 1")
        assert wire.read_until("/entered")[-1] == "/entered ops 2 2 locked"
        assert wire.read_line().endswith(" missed")


def token_of(wire: WireClient, name: str) -> str:
    """Be `name`, and return the token to come back with."""
    wire.send(f"/name {name}")
    token = wire.read_until("/welcome")[-1].split()[3]
    wire.read_until("/entered")
    return token


def test_a_stranger_does_not_come_back_into_a_locked_room(server: ChatServer, alice: WireClient) -> None:
    """What he says of the room changes nothing: he is where the server has him."""
    with WireClient(server.address) as bob:
        token = token_of(bob, "bob")
    with WireClient(server.address) as again:
        again.send(f"/resume {token} ops 0")
        assert again.read_until("/entered")[-1].startswith("/entered lobby ")
        assert again.sync() == []


def test_who_was_there_before_the_lock_does_not_come_back_behind_it() -> None:
    """He was in the room when it was open, and everybody saw him leave."""
    with serving() as server, WireClient(server.address, "alice") as alice:
        with WireClient(server.address) as bob:
            token = token_of(bob, "bob")
            bob.send("/join ops")
            bob.read_until("/entered ops")
        alice.read_until("/left lobby .* bob")
        assert eventually(lambda: answer(alice, "/join ops key") == "/entered ops 0 1 locked")
        with WireClient(server.address) as again:
            again.send(f"/resume {token} ops 0")
            assert again.read_until("/entered")[-1].startswith("/entered lobby ")


def test_a_lock_survives_the_server(tmp_path: Path) -> None:
    """Killed: who was in is still in, who was not needs the key, and the journal holds no key in the clear."""
    with ServerProcess(tmp_path) as server:
        alice, bob = WireClient(server.address), WireClient(server.address, "bob")
        token = token_of(alice, "alice")
        alice.send("/join ops hunter2", "inside")
        alice.read_until("/say ops 1")
        server.process.kill()
        for wire in (alice, bob):
            wire.socket.close()
    with (
        ServerProcess(tmp_path) as server,
        WireClient(server.address, "carl") as carl,
        WireClient(server.address) as again,
    ):
        assert answer(carl, "/join ops").startswith("/error room-locked ")
        again.send(f"/resume {token} ops 0")
        lines = again.read_until("/say ops 1")
        assert "/entered ops 1 1 locked" in lines
        assert answer(carl, "/join ops hunter2").startswith("/entered ops 1 2 locked")
    assert not [path for path in tmp_path.iterdir() if b"hunter2" in path.read_bytes()]


def test_a_journal_of_before_the_locks(tmp_path: Path) -> None:
    """It is converted, with its sessions."""
    path = tmp_path / "journal.db"
    SqliteJournal(path).close()
    with closing(sqlite3.connect(path)) as old:
        old.execute("ALTER TABLE sessions DROP COLUMN lock")
        old.execute("INSERT INTO sessions VALUES (x'00', 'bob', 'red', 'ops', 7, 1, 1000)")
        old.execute("PRAGMA user_version = 1")
        old.commit()
    journal = SqliteJournal(path)
    assert [(row.name, row.lock) for row in journal.list_present()] == [("bob", "")]
    journal.close()
    SqliteJournal(path).close()
