"""Whose a name is: the table alone, and on real sockets."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubbub.protocol import ProtocolError
from hubbub.server.access import ownership as names_module
from hubbub.server.access.limits import Limits
from hubbub.server.access.ownership import MAX_NAMES_PER_OWNER, NAME_EXPIRY_DAYS, NameOwnership, verify_client_proof
from hubbub.server.journal.journal import JournalError
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.journal.sqlite import SqliteJournal
from hubbub.server.server import ChatServer
from testing.server import ServerProcess, captured_log, serving
from testing.waiting import eventually
from testing.wire_client import WireClient

DAY = 86_400.0
HOLDING = Limits(rate=0)  # a lost connection keeps its name for a minute
ALICE = bytes(range(32))  # a secret
MALLORY = bytes(range(32, 64))
# What OpenSSL makes of ALICE for this server and this nonce.
SERVER = "0123456789abcdef0123456789abcdef"
NONCE = "fedcba9876543210fedcba9876543210"
VERIFIER = "ded89962699177d62af33fcb8e3d2a94f4c55af04751e16d3dea9771d6ea2230"
PROOF = "e821574e05aa6e8667da0d88b6f6529de2a17de246446032f75cf8ebf4b06394"


class Clock:
    """Seconds since 1970, as a test says."""

    def __init__(self) -> None:
        self.now = 1_763_812_800.0

    def __call__(self) -> float:
        return self.now


class FullDisk(MemoryJournal):
    """Keeps no fact while it is full."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.writes = 0

    def store_fact(self, kind: str, key: str, fact: str | None) -> None:
        if self.full:
            raise JournalError("the disk is full")
        self.writes += 1
        super().store_fact(kind, key, fact)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal() -> FullDisk:
    return FullDisk()


@pytest.fixture
def names(journal: FullDisk, clock: Clock) -> NameOwnership:
    return started(journal, clock)


def started(journal: MemoryJournal, clock: Clock) -> NameOwnership:
    made = NameOwnership(journal, clock)
    made.load()
    return made


def is_free(names: NameOwnership, name: str, verifier: str) -> bool:
    """Say whether somebody may be called `name`."""
    try:
        names.check_available(name, verifier)
    except ProtocolError as error:
        assert error.code == "name-taken"
        return False
    return True


# ------------------------------------------------------------------------------------------------------------- a proof


def test_a_right_proof() -> None:
    """The verifier and the proof are those that another program makes."""
    assert verify_client_proof(VERIFIER, PROOF, NONCE, SERVER)


@pytest.mark.parametrize(
    ("verifier", "proof", "nonce", "server"),
    [
        (VERIFIER, PROOF, SERVER, SERVER),  # another nonce
        (VERIFIER, PROOF, NONCE, NONCE),  # another server
        (VERIFIER, "0" + PROOF[1:], NONCE, SERVER),
        ("0" + VERIFIER[1:], PROOF, NONCE, SERVER),
        (VERIFIER, VERIFIER, NONCE, SERVER),
        (VERIFIER, PROOF[:-2], NONCE, SERVER),
        (VERIFIER[:-1], PROOF, NONCE, SERVER),
        (VERIFIER.upper(), PROOF, NONCE, SERVER),  # or one would be two
        (" " + VERIFIER[1:], PROOF, NONCE, SERVER),
        ("é" * 64, PROOF, NONCE, SERVER),
        (VERIFIER, PROOF + "\n", NONCE, SERVER),
    ],
)
def test_a_wrong_proof(verifier: str, proof: str, nonce: str, server: str) -> None:
    """Whatever is wrong with it, that is all that it is."""
    assert not verify_client_proof(verifier, proof, nonce, server)


# ----------------------------------------------------------------------------------------------------------- the table


def test_who_uses_a_name_first_owns_it(names: NameOwnership) -> None:
    """However it is spelt, and what looks like it; to others and to who proved nothing it is taken."""
    names.claim_name("Alice", "a")
    names.claim_name("alice", "b")
    assert names.is_owner("ALICE", "a")
    assert not names.is_owner("alice", "b")
    for same in ("alice", "ＡＬＩＣＥ", "аlice"):
        assert [is_free(names, same, verifier) for verifier in ("a", "b", "")] == [True, False, False]
    assert is_free(names, "bob", "")


def test_a_name_used_without_a_proof_is_nobodys(names: NameOwnership) -> None:
    """The empty verifier is no one."""
    names.claim_name("alice", "")
    assert not names.is_owner("alice", "")
    assert is_free(names, "alice", "b")


def test_what_looks_like_a_name_of_somebody_is_not_taken(names: NameOwnership) -> None:
    """Who came by another way, as with `/resume`, does not come to own it."""
    names.claim_name("alice", "a")
    names.claim_name("аlice", "b")
    assert not names.is_owner("аlice", "b")


def test_an_owner_has_names_that_look_the_same(names: NameOwnership, clock: Clock) -> None:
    """And when one of them is given up, the looks are still those of the other."""
    names.claim_name("alice", "a")
    clock.now += 2 * DAY
    names.claim_name("аlice", "a")
    clock.now += (NAME_EXPIRY_DAYS - 1) * DAY
    assert not is_free(names, "аlice", "b")
    assert not names.is_owner("alice", "a")
    assert not is_free(names, "alice", "b")


def test_a_name_is_owned_for_90_days(names: NameOwnership, journal: FullDisk, clock: Clock) -> None:
    """Not a moment less; then it is anybody's, and the journal forgets it."""
    names.claim_name("alice", "a")
    names.store_changes()
    clock.now += NAME_EXPIRY_DAYS * DAY
    assert not is_free(names, "alice", "b")
    clock.now += 0.001
    assert is_free(names, "alice", "b")
    names.store_changes()
    assert journal.list_facts("name") == {}


@pytest.mark.parametrize("how", [NameOwnership.record_use, NameOwnership.claim_name])
def test_a_use_begins_the_90_days_anew(names: NameOwnership, clock: Clock, how: object) -> None:
    """By whoever owns it, and by nobody else."""
    names.claim_name("alice", "a")
    names.claim_name("bob", "b")
    clock.now += 2 * DAY
    assert callable(how)
    how(names, "alice", "a")
    how(names, "bob", "a")
    clock.now += (NAME_EXPIRY_DAYS - 1) * DAY
    assert not is_free(names, "alice", "x")
    assert is_free(names, "bob", "x")


def test_a_use_is_written_once_a_day(names: NameOwnership, journal: FullDisk, clock: Clock) -> None:
    """A name that is used all day long costs two writes."""
    before = journal.writes
    for _ in range(30):
        names.claim_name("alice", "a")
        names.record_use("alice", "a")
        names.store_changes()
        clock.now += DAY / 24
    assert journal.writes == before + 2


def test_one_name_too_many(names: NameOwnership, clock: Clock) -> None:
    """The one longest unused is given up; another's stays."""
    names.claim_name("other", "b")
    for number in range(MAX_NAMES_PER_OWNER):
        clock.now += 2 * DAY
        names.claim_name(f"n{number}", "a")
    clock.now += 2 * DAY
    names.record_use("n0", "a")
    names.claim_name("more", "a")
    assert not names.is_owner("n1", "a")
    assert all(names.is_owner(name, "a") for name in ("n0", "n2", "more"))
    assert names.is_owner("other", "b")


def test_the_name_of_an_operator_stays_his(journal: FullDisk, clock: Clock) -> None:
    """Unused for years, over a restart, and whatever else he is called: who came by it could keep order."""
    names = NameOwnership(journal, clock, operators=["Op"])
    names.load()
    names.claim_name("op", "a")
    names.claim_name("alice", "a")
    clock.now += 2 * DAY
    for number in range(MAX_NAMES_PER_OWNER):
        names.claim_name(f"n{number}", "a")
        names.store_changes()
    assert names.is_owner("op", "a")
    assert not names.is_owned("alice")
    for _ in range(2):
        clock.now += 10 * NAME_EXPIRY_DAYS * DAY
        names = NameOwnership(journal, clock, operators=["Op"])
        names.load()
        assert not is_free(names, "OP", "b")
        assert [name for name in ("op", "n1") if names.is_owned(name)] == ["op"]


def test_nobody_looks_like_an_operator(journal: FullDisk, clock: Clock) -> None:
    """Also before he came for the first time, or he could never come."""
    names = NameOwnership(journal, clock, operators=["Op"])
    names.load()
    assert [is_free(names, name, "b") for name in ("0p", "\u043ep", "OP", "opa")] == [False, False, True, True]


def test_so_many_names_and_no_more(names: NameOwnership, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody loses his to a newcomer, until one is free again."""
    monkeypatch.setattr(names_module, "MAX_OWNED_NAMES", 2)
    for name in ("alice", "bob", "carol"):
        names.claim_name(name, f"v {name}")
    assert names.is_owner("alice", "v alice")
    assert is_free(names, "carol", "anybody")
    clock.now += (NAME_EXPIRY_DAYS + 1) * DAY
    names.claim_name("carol", "v carol")
    assert names.is_owner("carol", "v carol")


def test_what_is_owned_survives(names: NameOwnership, journal: FullDisk, clock: Clock) -> None:
    """So does when it was last used, and who the server is."""
    names.claim_name("Alice", "a")
    names.store_changes()
    clock.now += 2 * DAY
    names.claim_name("bob", "b")
    names.store_changes()
    again = started(journal, clock)
    assert again.server_id == names.server_id
    assert len(again.server_id) == 32
    assert again.is_owner("alice", "a")
    assert not is_free(again, "аlice", "b")
    clock.now += (NAME_EXPIRY_DAYS - 1) * DAY
    again = started(journal, clock)
    assert not again.is_owner("alice", "a")
    assert again.is_owner("bob", "b")
    assert list(journal.list_facts("name")) == ["bob"]


def test_every_server_is_another() -> None:
    """Nothing that is proven to one can be used at the other."""
    assert started(MemoryJournal(), Clock()).server_id != started(MemoryJournal(), Clock()).server_id


def test_a_journal_that_cannot_be_written(names: NameOwnership, journal: FullDisk, clock: Clock) -> None:
    """The name is owned all the same, the log says so, and what is to be kept is kept later."""
    journal.full = True
    names.claim_name("alice", "a")
    with captured_log() as lines:
        names.store_changes()
    assert "cannot store the owners of names: the disk is full" in lines[0]
    assert names.is_owner("alice", "a")
    journal.full = False
    names.store_changes()
    assert started(journal, clock).is_owner("alice", "a")


def test_a_name_changes_hands_while_it_is_written(journal: FullDisk, clock: Clock) -> None:
    """What is kept in the end is what is true in the end."""
    names = started(journal, clock)
    names.claim_name("alice", "a")

    def keep_slowly(kind: str, key: str, fact: str | None) -> None:
        del journal.store_fact  # the next one goes the usual way
        clock.now += (NAME_EXPIRY_DAYS + 1) * DAY
        names.claim_name("alice", "b")
        journal.store_fact(kind, key, fact)

    journal.store_fact = keep_slowly  # type: ignore[method-assign]
    names.store_changes()
    assert json.loads(journal.list_facts("name")["alice"])["verifier"] == "b"


def test_many_threads_agree_on_one_owner(names: NameOwnership) -> None:
    """Of many who use a name in the same moment, one owns it."""
    barrier = threading.Barrier(8)

    def use(verifier: str) -> None:
        barrier.wait()
        names.claim_name("alice", verifier)
        names.store_changes()

    threads = [threading.Thread(target=use, args=(f"v{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(names.is_owner("alice", f"v{number}") for number in range(8)) == 1


# -------------------------------------------------------------------------------------------------------- real sockets


@pytest.fixture
def server(journal: FullDisk) -> Iterator[ChatServer]:
    with serving(journal=journal) as made:
        yield made


def answer(secret: bytes, server: str, nonce: str) -> str:
    """Return the `/prove` of somebody with this secret."""
    key = hmac.digest(secret, b"chat-room name key" + server.encode(), "sha256")
    verifier = hashlib.sha256(key).digest()
    mask = hmac.digest(verifier, (nonce + server).encode(), "sha256")
    return f"/prove {verifier.hex()} {bytes(a ^ b for a, b in zip(key, mask, strict=True)).hex()}"


def challenge(wire: WireClient) -> tuple[str, str]:
    """Return whom to prove it to, and the nonce."""
    wire.send("/challenge")
    _, server, nonce = wire.read_match("/challenge").split()
    return server, nonce


def proven(address: tuple[str, int], secret: bytes) -> WireClient:
    """Return a connection on which somebody has proven who he is, and not yet his name."""
    wire = WireClient(address)
    wire.send(answer(secret, *challenge(wire)))
    return wire


def owner(server: ChatServer, secret: bytes, name: str) -> WireClient:
    """Return somebody who is in."""
    wire = proven(server.address, secret)
    wire.send(f"/name {name}")
    wire.read_until("/entered")
    return wire


def leave(wire: WireClient) -> None:
    with wire:
        wire.send("/exit")
        wire.read_to_end()


def who(wire: WireClient) -> list[str]:
    """Return who is proven to be who he is."""
    wire.send("/who")
    return [line for line in wire.read_until("/end who") if line.startswith("/proven")]


def test_others_cannot_have_the_name_of_somebody_who_is_not_here(server: ChatServer) -> None:
    """Neither with a proof of their own, nor without, nor one that looks like it; its owner can."""
    leave(owner(server, ALICE, "alice"))
    with WireClient(server.address) as nobody, proven(server.address, MALLORY) as mallory:
        for wire in (nobody, mallory):
            for name in ("alice", "ALICE", "аlice", "a1ice"):
                wire.send(f"/name {name}")
                assert wire.read_match("/error").startswith("/error name-taken ")
        with owner(server, ALICE, "alice") as alice:
            mallory.send("/name mallory")
            mallory.read_until("/entered")
            mallory.send("/name alice")
            assert "name-taken" in mallory.read_match("/error")
            assert who(alice) == ["/proven alice", "/proven mallory"]


def test_who_has_no_secret_may_have_what_nobody_owns(server: ChatServer) -> None:
    """As ever; he is not proven, and leaves nothing behind."""
    with WireClient(server.address, "bob") as bob:
        assert who(bob) == []
        leave(bob)
    with owner(server, MALLORY, "bob") as bob:
        assert who(bob) == ["/proven bob"]


def test_rows_of_who_are_in_order(server: ChatServer) -> None:
    """First everybody, then who is proven; the fields of a `/person` are what they were."""
    with owner(server, ALICE, "alice") as alice, WireClient(server.address, "bob"):
        alice.read_until("/joined")
        alice.send("/who")
        rows = alice.read_until("/end who")
        assert [row.split()[0] for row in rows] == ["/person", "/person", "/proven", "/end"]
        assert len(rows[0].split()) == 5


def test_a_new_name_is_owned_and_the_old_one_stays_so(server: ChatServer) -> None:
    """The ten last ones are somebody's."""
    with owner(server, ALICE, "alice") as alice, proven(server.address, MALLORY) as mallory:
        alice.send("/name alba")
        alice.read_until("/renamed")
        assert who(alice) == ["/proven alba"]
        for name in ("alice", "alba"):
            mallory.send(f"/name {name}")
            assert "name-taken" in mallory.read_match("/error")


def test_who_is_refused_owns_nothing(server: ChatServer) -> None:
    """A name that is in use becomes nobody's by asking for it."""
    with WireClient(server.address, "bob") as bob, proven(server.address, MALLORY) as mallory:
        mallory.send("/name bob")
        assert "name-taken" in mallory.read_match("/error")
        leave(bob)
        with WireClient(server.address, "bob") as again:
            assert who(again) == []


def test_an_owner_may_wait_for_a_name_that_is_in_use(server: ChatServer) -> None:
    """His own on another connection, too: it is not torn from him."""
    with owner(server, ALICE, "alice"), proven(server.address, ALICE) as other:
        other.send("/name alice")
        assert "name-taken" in other.read_match("/error")


def test_what_is_owned_survives_the_server(tmp_path: Path) -> None:
    """Its end by force, too: what was welcome is kept."""
    options = ("--journal", str(tmp_path / "journal.db"), "--grace", "0")
    with ServerProcess(tmp_path, *options) as first, proven(first.address, ALICE) as wire:
        wire.send("/name alice", "/ping kept")
        wire.read_until("/pong kept")
        first.process.kill()
        first.process.wait()
    with ServerProcess(tmp_path, *options) as second:
        with WireClient(second.address) as thief:
            thief.send("/name alice")
            assert "name-taken" in thief.read_match("/error")
        with proven(second.address, ALICE) as wire:
            wire.send("/name alice")
            wire.read_until("/entered")


def test_a_name_that_was_not_used_for_90_days_is_anybodys(journal: FullDisk) -> None:
    """Even after the server was not there when that time was over."""
    with serving(journal=journal) as server:
        leave(owner(server, ALICE, "alice"))
        fact = json.loads(journal.list_facts("name")["alice"])
    fact["used"] -= int((NAME_EXPIRY_DAYS + 1) * DAY * 1000)
    journal.store_fact("name", "alice", json.dumps(fact))
    with serving(journal=journal) as server, WireClient(server.address, "alice") as nobody:
        assert who(nobody) == []


def test_leaving_is_a_use(journal: FullDisk) -> None:
    """Who stays for days is gone from then on."""
    with serving(journal=journal) as server, owner(server, ALICE, "alice") as alice:
        server._context.ownership._clock = lambda: 4e9
        leave(alice)
        assert eventually(lambda: json.loads(journal.list_facts("name")["alice"])["used"] == 4_000_000_000_000)


def test_an_owner_does_not_meet_his_own_ghost() -> None:
    """Whose connection is lost is gone as soon as he comes back on another, without `/resume`; nobody else can."""
    with serving(limits=HOLDING) as server, WireClient(server.address, "bob") as bob:
        owner(server, ALICE, "alice").socket.close()
        bob.read_until("/joined")
        assert eventually(lambda: is_away(server, bob))
        with proven(server.address, MALLORY) as mallory:
            mallory.send("/name alice")
            assert "name-taken" in mallory.read_match("/error")
        with owner(server, ALICE, "alice") as alice:
            left, joined = bob.read_until("/joined")
            assert left.startswith("/left lobby ")
            assert left.endswith(" lost")
            assert joined.startswith("/joined lobby ")
            assert who(alice) == ["/proven alice"]


def test_an_owner_does_not_meet_his_ghost_of_before_the_restart(tmp_path: Path) -> None:
    """The server holds his place, and does not know for whom but by the name."""
    path = tmp_path / "journal.db"
    with serving(limits=HOLDING, journal=SqliteJournal(path)) as server, owner(server, ALICE, "alice"):
        server.stop()
    with serving(limits=HOLDING, journal=SqliteJournal(path)) as server, owner(server, ALICE, "alice") as alice:
        assert who(alice) == ["/proven alice"]


def test_the_ghost_of_somebody_without_a_secret_stays() -> None:
    """His name is nobody's own, and held for him."""
    with serving(limits=HOLDING) as server, WireClient(server.address, "bob") as bob:
        WireClient(server.address, "alice").socket.close()
        assert eventually(lambda: is_away(server, bob))
        with proven(server.address, ALICE) as alice:
            alice.send("/name alice")
            assert "name-taken" in alice.read_match("/error")


def is_away(server: ChatServer, wire: WireClient) -> bool:
    wire.send("/msg alice hello")
    return "just lost" in wire.read_until("/error|/msg")[-1]


@pytest.mark.parametrize("grace", [0, 60])
def test_who_resumes_is_who_he_was(grace: float) -> None:
    """The token says so; without it the name is its owner's alone."""
    with serving(limits=Limits(rate=0, grace_seconds=grace)) as server:
        wire = proven(server.address, ALICE)
        wire.send("/name alice")
        token = wire.read_match("/welcome").split()[3]
        wire.read_until("/entered")
        wire.socket.close()
        with WireClient(server.address) as back:
            back.send(f"/resume {token} lobby 0")
            back.read_until("/entered")
            assert who(back) == ["/proven alice"]


def test_who_resumes_with_a_proof_owns_his_name(server: ChatServer) -> None:
    """He came without one; it was nobody's."""
    with WireClient(server.address) as nobody:
        nobody.send("/name alice")
        token = nobody.read_match("/welcome").split()[3]
        with proven(server.address, ALICE) as alice:
            alice.send(f"/resume {token} lobby 0")
            alice.read_until("/entered")
            assert who(alice) == ["/proven alice"]


def test_one_cannot_resume_what_is_anothers_by_now(server: ChatServer) -> None:
    """The token is good, the name is owned."""
    with WireClient(server.address) as nobody:
        nobody.send("/name alice")
        token = nobody.read_match("/welcome").split()[3]
    eventually(lambda: server._context.membership.count().people == 0)
    leave(owner(server, ALICE, "alice"))
    with WireClient(server.address) as nobody:
        nobody.send(f"/resume {token} lobby 0")
        assert "name-taken" in nobody.read_match("/error")


def test_a_wrong_proof_proves_nothing(server: ChatServer) -> None:
    """It is an error, and one may still come as anybody."""
    with WireClient(server.address) as wire:
        challenge(wire)
        wire.send(f"/prove {VERIFIER} {PROOF}")
        assert wire.read_match("/error").startswith("/error proof-wrong ")
        wire.send("/name alice")
        wire.read_until("/entered")
        assert who(wire) == []


def test_a_proof_is_good_for_one_challenge(server: ChatServer) -> None:
    """Who hears one can use it neither on the same connection nor on another, nor at another server."""
    leave(owner(server, ALICE, "alice"))
    with serving() as elsewhere, WireClient(server.address) as heard, WireClient(server.address) as thief:
        proof = answer(ALICE, *challenge(heard))
        heard.send(proof, proof)
        assert heard.read_match("/error").startswith("/error proof-wrong ")
        challenge(heard)
        heard.send(proof)
        assert heard.read_match("/error").startswith("/error proof-wrong ")
        thief.send(proof)
        assert thief.read_match("/error").startswith("/error proof-wrong ")
        challenge(thief)
        thief.send(proof, "/name alice")
        assert thief.read_match("/error").startswith("/error proof-wrong ")
        assert thief.read_match("/error").startswith("/error name-taken ")
        with WireClient(elsewhere.address) as other:
            challenge(other)
            other.send(proof)
            assert other.read_match("/error").startswith("/error proof-wrong ")


def test_a_proof_for_another_server(server: ChatServer) -> None:
    """What is made for one's own nonce, but for another server, proves nothing."""
    with WireClient(server.address) as wire:
        _, nonce = challenge(wire)
        wire.send(answer(ALICE, SERVER, nonce))
        assert wire.read_match("/error").startswith("/error proof-wrong ")


@pytest.mark.parametrize("line", ["/challenge", f"/prove {VERIFIER} {PROOF}"])
def test_who_is_in_proves_nothing_more(server: ChatServer, line: str) -> None:
    """Who one is comes before what one is called."""
    with WireClient(server.address, "bob") as bob:
        bob.send(line)
        assert bob.read_match("/error").startswith("/error not-allowed ")


def test_nonces_differ(server: ChatServer) -> None:
    """The server is the same, the nonce never."""
    with WireClient(server.address) as wire:
        (server_1, nonce_1), (server_2, nonce_2) = challenge(wire), challenge(wire)
        assert server_1 == server_2
        assert nonce_1 != nonce_2


def test_no_secret_is_logged(server: ChatServer) -> None:
    """Neither a proof nor a verifier."""
    with captured_log() as lines, WireClient(server.address) as wire:
        proof = answer(ALICE, *challenge(wire))
        wire.send(proof, proof, "/name alice")
        wire.read_until("/entered")
    assert lines
    assert not any(word in line for word in proof.split()[1:] for line in lines)
