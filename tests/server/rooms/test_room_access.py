"""Locked rooms, over real sockets."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from hubbub.protocol import LOBBY, ProtocolError
from hubbub.server.access import room_keys
from hubbub.server.access.hash_pool import HashPool
from hubbub.server.access.limits import Limits
from hubbub.server.access.room_keys import FACT_KIND, RoomKey
from hubbub.server.access.scrypt import HashedSecret, ScryptHash
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.journal.sqlite import SqliteJournal
from hubbub.server.rooms import room_access
from hubbub.server.rooms.membership import RoomSnapshot
from hubbub.server.rooms.room import Member
from hubbub.server.rooms.room_access import RoomAccess
from hubbub.server.server import ChatServer
from testing.server import FAST_LIMITS, ServerProcess, captured_log, serving
from testing.waiting import eventually
from testing.wire_client import WireClient
from tests.server.rooms.chat import Chat

WITH_GRACE = replace(FAST_LIMITS, grace_seconds=60)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serving(limits=WITH_GRACE) as made:
        yield made


@pytest.fixture
def alice(server: ChatServer) -> Iterator[WireClient]:
    """Connect a member, in a locked room that has history."""
    with WireClient(server.address, "alice") as made:
        made.send("/join ops secret key", "inside")
        made.read_until("/say")
        yield made


@pytest.fixture
def bob(server: ChatServer, alice: WireClient) -> Iterator[WireClient]:
    with WireClient(server.address, "bob") as made:
        yield made


def request(wire: WireClient, line: str) -> str:
    """Send a line, and return the first line of the answer."""
    wire.sync()
    wire.send(line)
    return wire.read_line()


def test_key_locks_a_new_room(server: ChatServer) -> None:
    """Its flags say so, to members inside and outside."""
    with WireClient(server.address, "alice") as alice, WireClient(server.address, "bob") as bob:
        assert request(alice, "/join Ops secret key") == "/entered Ops 0 1 locked"
        bob.send("/list")
        assert "/room Ops 1 locked" in bob.read_until("/end list")
        assert request(bob, "/join ops secret key") == "/entered Ops 0 2 locked"


def test_wrong_key_is_refused_as_none_is(bob: WireClient) -> None:
    """The error is the same, whatever is tried from outside."""
    refusals = {request(bob, line) for line in ("/join ops", "/join ops x", "/join ops secret", "/who ops")}
    assert len(refusals) == 1
    assert refusals.pop().startswith("/error room-locked ")


def test_wrong_key_takes_as_long_as_none(bob: WireClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """One scrypt each, so that the time of the answer tells nothing."""
    tried: list[str] = []
    matches = ScryptHash.matches

    def counted(self: ScryptHash, text: str) -> bool:
        tried.append(text)
        return matches(self, text)

    monkeypatch.setattr(ScryptHash, "matches", counted)
    for line in ("/join ops", "/join ops x"):
        request(bob, line)
    assert tried == ["", "x"]


def test_wrong_keys_are_limited(server: ChatServer, bob: WireClient) -> None:
    """By address, over all rooms; the right key is refused then, too, and open rooms stay open."""
    for _ in range(5):
        assert request(bob, "/join ops x").startswith("/error room-locked ")
    assert request(bob, "/join ops secret key").startswith("/error too-fast ")
    with WireClient(server.address, "carl") as carl:
        assert request(carl, "/join ops secret key").startswith("/error too-fast ")
    assert request(bob, "/join dev").startswith("/entered dev ")


def lock_rooms(server: ServerProcess, count: int) -> list[WireClient]:
    """Connect so many members at once; each locks a room."""
    wires = [WireClient(server.address, f"locker{number}") for number in range(count)]
    for number, wire in enumerate(wires):
        wire.send(f"/join room{number} key")
    return wires


def test_key_is_checked_while_many_rooms_are_locked(tmp_path: Path) -> None:
    """At once, and the server holds no memory for each thread that waits."""
    with ServerProcess(tmp_path) as server, WireClient(server.address, "alice") as alice, ExitStack() as stack:
        alice.send("/join ops secret")
        alice.read_until("/entered ops")
        bob = stack.enter_context(WireClient(server.address, "bob"))
        before = server.resident_bytes()
        lockers = [stack.enter_context(wire) for wire in lock_rooms(server, 60)]
        for _ in range(3):
            bob.send("/join ops wrong")
            assert bob.read_match("/error").startswith("/error room-locked ")
        for wire in lockers:
            wire.read_until("/entered room|/error too-fast")
        assert server.resident_bytes() - before < 50_000_000


def test_members_and_lines_stay_unknown_outside(alice: WireClient, bob: WireClient) -> None:
    """Whatever command is tried from outside."""
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


def test_members_of_a_locked_room_see_each_other(alice: WireClient) -> None:
    """As in any room; a second join is refused."""
    alice.send("/who", "/who ops")
    assert [line.split()[:2] for line in alice.read_until("/end") + alice.read_until("/end")] == [
        ["/person", "alice"],
        ["/end", "who"],
    ] * 2
    assert request(alice, "/join ops").startswith("/error not-allowed you are in ops already")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/join lobby key", "the lobby cannot be locked"),
        ("/join dev key", "without KEY"),
        ("/join old key", "has earlier lines"),
    ],
)
def test_rooms_that_cannot_be_locked(server: ChatServer, bob: WireClient, line: str, words: str) -> None:
    """The lobby, an open room with members, and a room with history."""
    with WireClient(server.address, "carl") as carl:
        carl.send("/join old", "hi")
        carl.read_until("/say")
        carl.send("/join dev")
        carl.read_until("/entered dev")
        bob.send("/join zoo")
        bob.read_until("/entered zoo")
        refusal = request(bob, line)
        assert refusal.startswith("/error not-allowed ")
        assert words in refusal


def test_empty_room_with_history_stays_locked(alice: WireClient, bob: WireClient) -> None:
    """It opens with its key alone, which shows the history."""
    alice.send("/leave")
    alice.read_until("/entered lobby")
    assert request(bob, "/join ops").startswith("/error room-locked ")
    assert request(bob, "/join ops other key").startswith("/error room-locked ")
    assert request(bob, "/join ops secret key") == "/entered ops 1 1 locked"
    assert bob.read_line().endswith(" inside")


def test_empty_room_without_history_is_unlocked(server: ChatServer) -> None:
    """The next member finds a new room, and may lock it."""
    with WireClient(server.address, "alice") as alice, WireClient(server.address, "bob") as bob:
        alice.send("/join ops one", "/leave")
        alice.read_until("/entered lobby")
        assert request(bob, "/join ops") == "/entered ops 0 1 -"
        bob.send("/leave")
        bob.read_until("/entered lobby")
        assert request(bob, "/join ops two") == "/entered ops 0 1 locked"


def test_room_is_unlocked_when_its_history_is_purged(tmp_path: Path) -> None:
    """As soon as no line of it is stored."""
    now = [1_000_000.0]
    journal = SqliteJournal(tmp_path / "journal.db", keep_days=1, clock=lambda: now[0])
    with serving(journal=journal) as server, WireClient(server.address, "alice") as alice:
        alice.send("/join ops key", "inside", "/leave")
        alice.read_until("/entered lobby")
        assert request(alice, "/join ops").startswith("/error room-locked ")
        now[0] = 4_000_000_000_000.0
        journal.purge_expired()
        assert request(alice, "/join ops") == "/entered ops 1 1 -"
        assert journal.list_facts(FACT_KIND) == {}


def test_unlocked_room_leaves_no_lines_in_memory(tmp_path: Path) -> None:
    """Purged lines are shown to no one, though the server still had them in memory."""
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


def test_room_that_looks_like_a_locked_one_is_refused(alice: WireClient, bob: WireClient) -> None:
    """Also while that one is empty, so no one with its key enters the wrong room."""
    alice.send("/leave")
    alice.read_until("/entered lobby")
    for line in ("/join \u043eps", "/join \u043eps other key"):
        assert request(bob, line).startswith("/error room-invalid \u043eps looks like ops, ")
    assert request(alice, "/join ops secret key") == "/entered ops 1 1 locked"


def test_confusable_room_is_made_after_the_room_is_unlocked() -> None:
    """So no one can block the names of rooms by locking one and leaving."""
    with serving() as server, WireClient(server.address, "alice") as alice, WireClient(server.address, "bob") as bob:
        alice.send("/join ops one", "/leave")
        alice.read_until("/entered lobby")
        assert request(bob, "/join \u043eps") == "/entered \u043eps 0 1 -"
        bob.send("/leave")
        bob.read_until("/entered lobby")
        alice.sync()
        assert request(alice, "/join ops two") == "/entered ops 0 1 locked"


def test_refused_room_leaves_no_key() -> None:
    """Where there can be no more rooms, no key stays."""
    journal = MemoryJournal()
    with (
        serving(limits=replace(FAST_LIMITS, max_rooms=1), journal=journal) as server,
        WireClient(server.address, "alice") as alice,
    ):
        assert request(alice, "/join ops key").startswith("/error too-many ")
        assert journal.list_facts(FACT_KIND) == {}


def test_unused_keys_make_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of empty rooms without history are removed when there can be no more."""
    monkeypatch.setattr(room_keys, "MAX_ROOM_KEYS", 2)
    with serving() as server, WireClient(server.address, "alice") as alice:
        alice.send("/join one key", "kept", "/join two key", "/leave", "/join three key")
        assert alice.read_until("/entered three")[-1] == "/entered three 0 1 locked"
        assert request(alice, "/join four key").startswith("/error too-many ")


def test_log_has_no_key(server: ChatServer) -> None:
    """Neither a right nor a wrong one."""
    with captured_log() as log, WireClient(server.address, "alice") as alice, WireClient(server.address, "bob") as bob:
        alice.send("/join ops hunter2")
        alice.read_until("/entered ops")
        request(bob, "/join ops hunter3")
    assert any("room-locked" in line for line in log)
    assert not any("hunter" in line for line in log)


# -------------------------------------------------------------------------------------------------------------- resume


def test_resume_in_a_locked_room(server: ChatServer, alice: WireClient) -> None:
    """A member is back without the key, and gets the lines they missed."""
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


def sign_in(wire: WireClient, name: str) -> str:
    """Sign in as `name`, and return the token."""
    wire.send(f"/name {name}")
    token = wire.read_until("/welcome")[-1].split()[3]
    wire.read_until("/entered")
    return token


def test_resume_into_a_locked_room_of_others(server: ChatServer, alice: WireClient) -> None:
    """The room that the client names changes nothing: the stored room counts."""
    with WireClient(server.address) as bob:
        token = sign_in(bob, "bob")
    with WireClient(server.address) as again:
        again.send(f"/resume {token} ops 0")
        assert again.read_until("/entered")[-1].startswith("/entered lobby ")
        assert again.sync() == []


def test_resume_in_a_room_locked_since() -> None:
    """The member was there while it was open, and has left."""
    with serving() as server, WireClient(server.address, "alice") as alice:
        with WireClient(server.address) as bob:
            token = sign_in(bob, "bob")
            bob.send("/join ops")
            bob.read_until("/entered ops")
        alice.read_until("/left lobby .* bob")
        assert eventually(lambda: request(alice, "/join ops key") == "/entered ops 0 1 locked")
        with WireClient(server.address) as again:
            again.send(f"/resume {token} ops 0")
            assert again.read_until("/entered")[-1].startswith("/entered lobby ")


def test_locked_room_survives_the_server(tmp_path: Path) -> None:
    """After a kill members are back, others need the key, and the journal holds no key in clear text."""
    with ServerProcess(tmp_path) as server:
        alice, bob = WireClient(server.address), WireClient(server.address, "bob")
        token = sign_in(alice, "alice")
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
        assert request(carl, "/join ops").startswith("/error room-locked ")
        again.send(f"/resume {token} ops 0")
        lines = again.read_until("/say ops 1")
        assert "/entered ops 1 1 locked" in lines
        assert request(carl, "/join ops hunter2").startswith("/entered ops 1 2 locked")
    assert not [path for path in tmp_path.iterdir() if b"hunter2" in path.read_bytes()]


# -------------------------------------------------------------------------------- what happens during the slow checks


def access_to(chat: Chat, hash_pool: HashPool, limits: Limits = FAST_LIMITS) -> RoomAccess:
    return RoomAccess(chat.membership, chat.delivery, chat.room_keys, hash_pool, limits)


def test_room_is_locked_while_a_member_joins(hash_pool: HashPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The snapshot does not hold any more, so the join is refused."""
    chat = Chat("alice", "bob")
    access = access_to(chat, hash_pool)
    inspect_room = chat.membership.inspect_room

    def inspect_then_lock(member: Member, name: str) -> RoomSnapshot:
        snapshot = inspect_room(member, name)
        monkeypatch.undo()
        access.join(chat.members["alice"], "ops", "key", "192.0.2.1")
        return snapshot

    monkeypatch.setattr(chat.membership, "inspect_room", inspect_then_lock)
    with pytest.raises(ProtocolError, match="room-locked"):
        access.join(chat.members["bob"], "ops", "", "192.0.2.2")


def test_room_is_made_while_another_member_locks_it(hash_pool: HashPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is refused, and no key stays."""
    chat = Chat("alice", "bob")
    access = access_to(chat, hash_pool)
    add = chat.room_keys.add

    def join_then_add(room_key: RoomKey) -> None:
        access.join(chat.members["bob"], "ops", "", "192.0.2.2")
        add(room_key)

    monkeypatch.setattr(chat.room_keys, "add", join_then_add)
    with pytest.raises(ProtocolError, match="not-allowed"):
        access.join(chat.members["alice"], "ops", "key", "192.0.2.1")
    assert chat.room_keys.find("ops") is None


def test_room_is_entered_while_its_key_is_removed(hash_pool: HashPool) -> None:
    """The key stays, though the room is empty again."""
    chat = Chat("alice")
    access = access_to(chat, hash_pool)
    access.join(chat.members["alice"], "ops", "key", "192.0.2.1")
    access.join(chat.members["alice"], LOBBY, "", "192.0.2.1")
    (unused,) = chat.membership.list_unused_keys(["ops"])
    room_key = chat.room_keys.find("ops")
    chat.membership.join_room(chat.members["alice"], "ops", room_key)
    assert not chat.membership.remove_unused_key(unused)
    chat.membership.join_room(chat.members["alice"], LOBBY)
    assert not chat.membership.remove_unused_key(unused)
    assert chat.room_keys.find("ops") is room_key


def test_locked_rooms_of_a_subnet_are_limited(hash_pool: HashPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused ones cost no hash; another subnet and this machine are not affected."""
    monkeypatch.setattr(room_access, "LOCKED_ROOMS_PER_HOUR", 2)
    chat = Chat("alice")
    access = access_to(chat, hash_pool)
    hashes: list[str] = []
    hash_secret = hash_pool.hash_secret

    def counted(text: str, address: str) -> HashedSecret:
        hashes.append(text)
        return hash_secret(text, address)

    monkeypatch.setattr(hash_pool, "hash_secret", counted)

    def lock(room: str, address: str) -> None:
        access.join(chat.members["alice"], room, room, address)

    lock("one", "2001:db8::1")
    lock("two", "2001:db8::2")
    with pytest.raises(ProtocolError, match="too-fast"):
        lock("three", "2001:db8::3")
    lock("four", "192.0.2.1")
    for number in range(5):
        lock(f"here{number}", "127.0.0.1")
    assert hashes == ["one", "two", "four", *(f"here{number}" for number in range(5))]
