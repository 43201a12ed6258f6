"""Name ownership: the table alone, and on real sockets."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hubbub.protocol import ProtocolError, fold_name
from hubbub.server import session as session_module
from hubbub.server.access import ownership as ownership_module
from hubbub.server.access.limits import Limits
from hubbub.server.access.ownership import (
    BRIEF_NAME_EXPIRY_DAYS,
    MAX_NAMES_PER_OWNER,
    MAX_NEW_NAMES_PER_SUBNET,
    NAME_EXPIRY_DAYS,
    NameOwnership,
    verify_client_proof,
)
from hubbub.server.journal.journal import JournalError
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.journal.sqlite import SqliteJournal
from hubbub.server.server import ChatServer
from testing.clock import FakeClock
from testing.lookalikes import LOOKALIKES
from testing.proofs import make_prove_command, prove_identity, request_challenge, sign_in_as_owner
from testing.server import FAST_LIMITS, ServerProcess, captured_log, serving
from testing.waiting import eventually
from testing.wire_client import WireClient

DAY = 86_400.0
HOUR = 3_600.0
SUBNET = "192.0.2.1"
START = 1_763_812_800.0  # seconds since 1970
WITH_GRACE = Limits(rate=0)  # a lost connection holds its name for a minute
ALICE = bytes(range(32))  # a secret
MALLORY = bytes(range(32, 64))
# What OpenSSL makes of ALICE for this server and this nonce.
SERVER_ID = "0123456789abcdef0123456789abcdef"
NONCE = "fedcba9876543210fedcba9876543210"
VERIFIER = "ded89962699177d62af33fcb8e3d2a94f4c55af04751e16d3dea9771d6ea2230"
PROOF = "e821574e05aa6e8667da0d88b6f6529de2a17de246446032f75cf8ebf4b06394"


class JournalOnFullDisk(MemoryJournal):
    """A journal that stores no fact while `is_full`."""

    def __init__(self) -> None:
        super().__init__()
        self.is_full = False
        self.writes = 0

    def store_fact(self, kind: str, key: str, fact: str | None) -> None:
        if self.is_full:
            raise JournalError("the disk is full")
        self.writes += 1
        super().store_fact(kind, key, fact)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def journal() -> JournalOnFullDisk:
    return JournalOnFullDisk()


@pytest.fixture
def ownership(journal: JournalOnFullDisk, clock: FakeClock) -> NameOwnership:
    return load_ownership(journal, clock)


def load_ownership(journal: MemoryJournal, clock: FakeClock) -> NameOwnership:
    ownership = NameOwnership(journal, clock)
    ownership.load()
    return ownership


def is_available(ownership: NameOwnership, name: str, verifier: str) -> bool:
    """Return whether `verifier` may use `name`."""
    try:
        ownership.check_available(name, verifier)
    except ProtocolError as error:
        assert error.code == "name-taken"
        return False
    return True


def own_for_an_hour(ownership: NameOwnership, clock: FakeClock, name: str, verifier: str = "a") -> None:
    """Claim a name and use it until an hour has passed, so that it is not brief."""
    ownership.claim_name(name, verifier)
    clock.now += HOUR
    ownership.record_use(name, verifier)


# ------------------------------------------------------------------------------------------------------------- a proof


def test_right_proof() -> None:
    """The verifier and the proof were computed with OpenSSL."""
    assert verify_client_proof(VERIFIER, PROOF, NONCE, SERVER_ID)


@pytest.mark.parametrize(
    ("verifier", "proof", "nonce", "server"),
    [
        (VERIFIER, PROOF, SERVER_ID, SERVER_ID),  # another nonce
        (VERIFIER, PROOF, NONCE, NONCE),  # another server
        (VERIFIER, "0" + PROOF[1:], NONCE, SERVER_ID),
        ("0" + VERIFIER[1:], PROOF, NONCE, SERVER_ID),
        (VERIFIER, VERIFIER, NONCE, SERVER_ID),
        (VERIFIER, PROOF[:-2], NONCE, SERVER_ID),
        (VERIFIER[:-1], PROOF, NONCE, SERVER_ID),
        (VERIFIER.upper(), PROOF, NONCE, SERVER_ID),  # or one would be two
        (" " + VERIFIER[1:], PROOF, NONCE, SERVER_ID),
        ("é" * 64, PROOF, NONCE, SERVER_ID),
        (VERIFIER, PROOF + "\n", NONCE, SERVER_ID),
    ],
)
def test_wrong_proof(verifier: str, proof: str, nonce: str, server: str) -> None:
    """Whatever is wrong with it, it is not accepted."""
    assert not verify_client_proof(verifier, proof, nonce, server)


# ----------------------------------------------------------------------------------------------------------- the table


def test_first_user_owns_the_name(ownership: NameOwnership) -> None:
    """In any spelling, with all confusable names; for other users it is taken."""
    ownership.claim_name("Alice", "a")
    ownership.claim_name("alice", "b")
    assert ownership.is_owner("ALICE", "a")
    assert not ownership.is_owner("alice", "b")
    for same in ("alice", "ＡＬＩＣＥ", "аlice"):
        assert [is_available(ownership, same, verifier) for verifier in ("a", "b", "")] == [True, False, False]
    assert is_available(ownership, "bob", "")


def test_name_used_without_a_proof_has_no_owner(ownership: NameOwnership) -> None:
    """The empty verifier owns nothing."""
    ownership.claim_name("alice", "")
    assert not ownership.is_owner("alice", "")
    assert is_available(ownership, "alice", "b")


def test_claim_of_a_confusable_name_is_ignored(ownership: NameOwnership) -> None:
    """A member who has it in another way, as with `/resume`, does not own it."""
    ownership.claim_name("alice", "a")
    ownership.claim_name("аlice", "b")
    assert not ownership.is_owner("аlice", "b")


def test_owner_of_confusable_names(ownership: NameOwnership, clock: FakeClock) -> None:
    """If one expires, the other still protects the skeleton."""
    own_for_an_hour(ownership, clock, "alice")
    clock.now += 2 * DAY
    own_for_an_hour(ownership, clock, "аlice")
    clock.now += (NAME_EXPIRY_DAYS - 1) * DAY
    assert not is_available(ownership, "аlice", "b")
    assert not ownership.is_owner("alice", "a")
    assert not is_available(ownership, "alice", "b")


def test_name_expires_after_90_days(ownership: NameOwnership, journal: JournalOnFullDisk, clock: FakeClock) -> None:
    """Not a moment earlier; then it is free, and deleted from the journal."""
    own_for_an_hour(ownership, clock, "alice")
    ownership.store_changes()
    clock.now += NAME_EXPIRY_DAYS * DAY
    assert not is_available(ownership, "alice", "b")
    clock.now += 0.001
    assert is_available(ownership, "alice", "b")
    ownership.store_changes()
    assert journal.list_facts("name") == {}


@pytest.mark.parametrize("how", [NameOwnership.record_use, NameOwnership.claim_name])
def test_use_restarts_the_90_days(ownership: NameOwnership, clock: FakeClock, how: object) -> None:
    """If it is a use by the owner."""
    own_for_an_hour(ownership, clock, "alice")
    own_for_an_hour(ownership, clock, "bob", "b")
    clock.now += 2 * DAY
    assert callable(how)
    how(ownership, "alice", "a")
    how(ownership, "bob", "a")
    clock.now += (NAME_EXPIRY_DAYS - 1) * DAY
    assert not is_available(ownership, "alice", "x")
    assert is_available(ownership, "bob", "x")


def test_use_is_stored_once_a_day(ownership: NameOwnership, journal: JournalOnFullDisk, clock: FakeClock) -> None:
    """A name that is used all day costs three writes: the second says that it was used for an hour."""
    before = journal.writes
    for _ in range(30):
        ownership.claim_name("alice", "a")
        ownership.record_use("alice", "a")
        ownership.store_changes()
        clock.now += DAY / 24
    assert journal.writes == before + 3


def test_names_of_an_owner_are_limited(ownership: NameOwnership, clock: FakeClock) -> None:
    """The name unused for longest is given up; names of other owners stay."""
    ownership.claim_name("other", "b")
    for number in range(MAX_NAMES_PER_OWNER):
        clock.now += DAY / 2
        ownership.claim_name(f"n{number}", "a")
    ownership.record_use("n0", "a")
    ownership.claim_name("more", "a")
    assert not ownership.is_owner("n1", "a")
    assert all(ownership.is_owner(name, "a") for name in ("n0", "n2", "more"))
    assert ownership.is_owner("other", "b")


def test_operator_name_does_not_expire(journal: JournalOnFullDisk, clock: FakeClock) -> None:
    """Not over years, a restart or further names: its next owner would be an operator."""
    ownership = NameOwnership(journal, clock, operators=["Op"])
    ownership.load()
    ownership.claim_name("op", "a")
    ownership.claim_name("alice", "a")
    clock.now += 2 * DAY
    for number in range(MAX_NAMES_PER_OWNER):
        ownership.claim_name(f"n{number}", "a")
        ownership.store_changes()
    assert ownership.is_owner("op", "a")
    assert not ownership.is_owned("alice")
    for _ in range(2):
        clock.now += 10 * NAME_EXPIRY_DAYS * DAY
        ownership = NameOwnership(journal, clock, operators=["Op"])
        ownership.load()
        assert not is_available(ownership, "OP", "b")
        assert [name for name in ("op", "n1") if ownership.is_owned(name)] == ["op"]


@pytest.mark.parametrize(("name", "lookalike"), LOOKALIKES)
def test_lookalike_of_an_operator_is_taken(name: str, lookalike: str, journal: JournalOnFullDisk) -> None:
    """In every script, before the operator has come for the first time."""
    ownership = NameOwnership(journal, operators=[name])
    assert not is_available(ownership, lookalike, "")
    assert not is_available(ownership, lookalike, "m")
    assert is_available(ownership, name, "a")


@pytest.mark.parametrize(("name", "lookalike"), LOOKALIKES)
def test_lookalike_of_an_owned_name_is_taken(name: str, lookalike: str, journal: JournalOnFullDisk) -> None:
    """In every script, after a restart, too."""
    ownership = NameOwnership(journal)
    ownership.claim_name(name, "a")
    ownership.store_changes()
    later = NameOwnership(journal)
    later.load()
    assert not is_available(later, lookalike, "m")


def test_names_confusable_with_an_operator_are_taken(journal: JournalOnFullDisk, clock: FakeClock) -> None:
    """Even before the operator has signed in for the first time."""
    ownership = NameOwnership(journal, clock, operators=["Op"])
    ownership.load()
    assert [is_available(ownership, name, "b") for name in ("0p", "\u043ep", "OP", "opa")] == [False, False, True, True]


def test_number_of_owned_names_is_limited(
    ownership: NameOwnership, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No owner loses a name to a new one."""
    monkeypatch.setattr(ownership_module, "MAX_OWNED_NAMES", 2)
    for name in ("alice", "bob", "carol"):
        ownership.claim_name(name, f"v {name}")
    assert ownership.is_owner("alice", "v alice")
    assert is_available(ownership, "carol", "anybody")
    clock.now += (NAME_EXPIRY_DAYS + 1) * DAY
    ownership.claim_name("carol", "v carol")
    assert ownership.is_owner("carol", "v carol")


def test_operator_owns_a_name_when_there_are_too_many(
    journal: JournalOnFullDisk, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No limit is for an operator's name: neither of all names nor of a subnet."""
    monkeypatch.setattr(ownership_module, "MAX_OWNED_NAMES", 1)
    monkeypatch.setattr(ownership_module, "MAX_NAMES_PER_SUBNET", 1)
    monkeypatch.setattr(ownership_module, "MAX_NEW_NAMES_PER_SUBNET", 1)
    ownership = NameOwnership(journal, clock, operators=["op"])
    ownership.claim_name("alice", "a", SUBNET)
    ownership.claim_name("bob", "b", SUBNET)
    ownership.claim_name("op", "o", SUBNET)
    assert [name for name in ("alice", "bob", "op") if ownership.is_owned(name)] == ["alice", "op"]


def test_stored_lookalike_keeps_out_neither_an_owner_nor_an_operator(
    journal: JournalOnFullDisk, clock: FakeClock
) -> None:
    """Version 0.1.0 gave names to different owners that are confusable by now; each owner can use theirs."""
    for number, name in enumerate(("kim", "КІМ", "ADMlN")):
        fact = {"name": name, "verifier": f"v{number}", "used": int(START * 1000) + number}
        journal.store_fact("name", fold_name(name), json.dumps(fact))
    ownership = NameOwnership(journal, clock, operators=["admin"])
    ownership.load()
    assert is_available(ownership, "kim", "v0")
    assert is_available(ownership, "КІМ", "v1")
    assert not is_available(ownership, "kіm", "x")
    assert is_available(ownership, "admin", "x")
    ownership.claim_name("admin", "x")
    assert ownership.is_owner("admin", "x")
    ownership.release("КІМ")
    assert not is_available(ownership, "КІМ", "v1")  # for kim still has its owner


def test_new_names_of_a_subnet_are_limited_for_an_hour(ownership: NameOwnership, clock: FakeClock) -> None:
    """Beyond that a name can be used but not owned; other subnets, and addresses that are exempt, go on."""
    for number in range(MAX_NEW_NAMES_PER_SUBNET + 1):
        ownership.claim_name(f"n{number}", f"v{number}", SUBNET)
    last = f"n{MAX_NEW_NAMES_PER_SUBNET}"
    assert ownership.is_owned(f"n{MAX_NEW_NAMES_PER_SUBNET - 1}")
    assert not ownership.is_owned(last)
    assert is_available(ownership, last, "anybody")
    ownership.claim_name("exempt", "e", "")
    ownership.claim_name("other", "o", "2001:db8::/64")
    assert ownership.is_owned("exempt")
    assert ownership.is_owned("other")
    clock.now += HOUR
    ownership.claim_name(last, "v", SUBNET)
    assert ownership.is_owned(last)


def test_names_of_a_subnet_are_limited_in_total(
    ownership: NameOwnership, journal: JournalOnFullDisk, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over days and restarts, until one of them expires or is released. No fact shows the address."""
    monkeypatch.setattr(ownership_module, "MAX_NAMES_PER_SUBNET", 3)
    for number in range(4):
        ownership.claim_name(f"n{number}", f"v{number}", SUBNET)
        clock.now += DAY
    ownership.store_changes()
    later = load_ownership(journal, clock)
    later.claim_name("more", "m", SUBNET)
    assert [name for name in ("n0", "n1", "n2", "n3", "more") if later.is_owned(name)] == ["n0", "n1", "n2"]
    assert SUBNET not in str(journal.list_facts("name"))
    later.release("n1")
    later.claim_name("more", "m", SUBNET)
    assert later.is_owned("more")


def test_names_that_an_address_owns_at_another_server_count(
    ownership: NameOwnership, journal: JournalOnFullDisk, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The servers of a chat share the facts, so an address gets no more from several."""
    monkeypatch.setattr(ownership_module, "MAX_NAMES_PER_SUBNET", 1)
    other = load_ownership(journal, clock)
    ownership.claim_name("alice", "a", SUBNET)
    ownership.store_changes()
    other.apply_fact("alice", journal.list_facts("name")["alice"])
    other.claim_name("bob", "b", SUBNET)
    assert not other.is_owned("bob")
    ownership.release("alice")
    other.apply_fact("alice", None)
    other.claim_name("bob", "b", SUBNET)
    assert other.is_owned("bob")


def test_use_of_an_owned_name_is_not_limited_by_the_subnet(
    ownership: NameOwnership, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner uses theirs from everywhere."""
    monkeypatch.setattr(ownership_module, "MAX_NAMES_PER_SUBNET", 1)
    ownership.claim_name("alice", "a")
    ownership.claim_name("bob", "b", SUBNET)
    clock.now += 2 * DAY
    ownership.claim_name("alice", "a", SUBNET)
    clock.now += (BRIEF_NAME_EXPIRY_DAYS - 1) * DAY
    assert ownership.is_owner("alice", "a")


def test_briefly_used_name_expires_after_7_days(
    ownership: NameOwnership, journal: JournalOnFullDisk, clock: FakeClock
) -> None:
    """One that was used for an hour, over a restart too, does not."""
    own_for_an_hour(ownership, clock, "alice")
    ownership.claim_name("bob", "b")
    clock.now += HOUR - 1
    ownership.record_use("bob", "b")
    ownership.store_changes()
    ownership = load_ownership(journal, clock)
    clock.now += BRIEF_NAME_EXPIRY_DAYS * DAY - HOUR + 1
    assert not is_available(ownership, "bob", "x")
    clock.now += 0.001
    assert is_available(ownership, "bob", "x")
    assert ownership.is_owner("alice", "a")


def test_brief_name_of_an_operator_does_not_expire(journal: JournalOnFullDisk, clock: FakeClock) -> None:
    """Its next owner would be an operator."""
    ownership = NameOwnership(journal, clock, operators=["op"])
    ownership.claim_name("op", "a")
    clock.now += (BRIEF_NAME_EXPIRY_DAYS + 1) * DAY
    assert not is_available(ownership, "op", "b")


def test_names_of_version_0_1_0_are_not_brief(journal: JournalOnFullDisk, clock: FakeClock) -> None:
    """Their facts do not say since when they are owned, and are not written again when they are loaded."""
    fact = '{"name": "Alice", "verifier": "a", "used": ' + str(int(START * 1000)) + "}"
    journal.store_fact("name", "alice", fact)
    ownership = load_ownership(journal, clock)
    assert ownership.stored_facts() == {"alice": fact}
    clock.now += NAME_EXPIRY_DAYS * DAY
    assert not is_available(ownership, "alice", "b")


def test_release(journal: JournalOnFullDisk, clock: FakeClock) -> None:
    """The name is free at once, after a restart too; an operator's name has to be taken off the list first."""
    ownership = NameOwnership(journal, clock, operators=["op"])
    ownership.claim_name("Alice", "a")
    ownership.claim_name("op", "o")
    assert ownership.release("ALICE") == "Alice"
    ownership.store_changes()
    assert list(journal.list_facts("name")) == ["op"]
    assert is_available(ownership, "аlice", "b")
    for name, code in (("alice", "no-such-person"), ("OP", "not-allowed")):
        with pytest.raises(ProtocolError, match=code):
            ownership.release(name)


def test_ownership_survives_a_restart(ownership: NameOwnership, journal: JournalOnFullDisk, clock: FakeClock) -> None:
    """So do the time of the last use and the ID of the server."""
    own_for_an_hour(ownership, clock, "Alice")
    ownership.store_changes()
    clock.now += 2 * DAY
    own_for_an_hour(ownership, clock, "bob", "b")
    ownership.store_changes()
    restarted = load_ownership(journal, clock)
    assert restarted.server_id == ownership.server_id
    assert len(restarted.server_id) == 32
    assert restarted.is_owner("alice", "a")
    assert not is_available(restarted, "аlice", "b")
    clock.now += (NAME_EXPIRY_DAYS - 1) * DAY
    restarted = load_ownership(journal, clock)
    assert not restarted.is_owner("alice", "a")
    assert restarted.is_owner("bob", "b")
    assert list(journal.list_facts("name")) == ["bob"]


def test_server_ids_differ() -> None:
    """So a proof for one server is useless at another."""
    one, other = (load_ownership(MemoryJournal(), FakeClock(START)) for _ in range(2))
    assert one.server_id != other.server_id


def test_journal_that_cannot_be_written(ownership: NameOwnership, journal: JournalOnFullDisk, clock: FakeClock) -> None:
    """The name is owned all the same, the log has an error, and the change is stored later."""
    journal.is_full = True
    ownership.claim_name("alice", "a")
    with captured_log() as lines:
        ownership.store_changes()
    assert "cannot store the owners of names: the disk is full" in lines[0]
    assert ownership.is_owner("alice", "a")
    journal.is_full = False
    ownership.store_changes()
    assert load_ownership(journal, clock).is_owner("alice", "a")


def test_name_changes_owner_while_it_is_stored(journal: JournalOnFullDisk, clock: FakeClock) -> None:
    """The journal ends with the last owner."""
    ownership = load_ownership(journal, clock)
    ownership.claim_name("alice", "a")

    def store_slowly(kind: str, key: str, fact: str | None) -> None:
        del journal.store_fact  # the next one goes the usual way
        clock.now += (NAME_EXPIRY_DAYS + 1) * DAY
        ownership.claim_name("alice", "b")
        journal.store_fact(kind, key, fact)

    journal.store_fact = store_slowly  # type: ignore[method-assign]
    ownership.store_changes()
    assert json.loads(journal.list_facts("name")["alice"])["verifier"] == "b"


def test_concurrent_claims_have_one_owner(ownership: NameOwnership) -> None:
    """However many claim a name in the same moment."""
    barrier = threading.Barrier(8)

    def claim(verifier: str) -> None:
        barrier.wait()
        ownership.claim_name("alice", verifier)
        ownership.store_changes()

    threads = [threading.Thread(target=claim, args=(f"v{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(ownership.is_owner("alice", f"v{number}") for number in range(8)) == 1


# -------------------------------------------------------------------------------------------------------- real sockets


@pytest.fixture
def server(journal: JournalOnFullDisk) -> Iterator[ChatServer]:
    with serving(journal=journal) as made:
        yield made


def connect_and_prove(address: tuple[str, int], secret: bytes) -> WireClient:
    """Return a connection whose client has proven its identity and has no name yet."""
    client = WireClient(address)
    prove_identity(client, secret)
    return client


def connect_as_owner(server: ChatServer, secret: bytes, name: str) -> WireClient:
    """Return a connection whose client has signed in under a name that it owns."""
    client = WireClient(server.address)
    sign_in_as_owner(client, name, secret)
    return client


def exit_chat(client: WireClient) -> None:
    with client:
        client.send("/exit")
        client.read_to_end()


def list_proven(client: WireClient) -> list[str]:
    """Return the `/proven` rows of the current room."""
    client.send("/who")
    return [line for line in client.read_until("/end who") if line.startswith("/proven")]


def test_owned_name_is_reserved_while_its_owner_is_offline(server: ChatServer) -> None:
    """Also from owners of other names and in confusable spellings; its owner can use it."""
    exit_chat(connect_as_owner(server, ALICE, "alice"))
    with WireClient(server.address) as anonymous, connect_and_prove(server.address, MALLORY) as mallory:
        for client in (anonymous, mallory):
            for name in ("alice", "ALICE", "аlice", "a1ice"):
                client.send(f"/name {name}")
                assert client.read_match("/error").startswith("/error name-taken ")
        with connect_as_owner(server, ALICE, "alice") as alice:
            mallory.send("/name mallory")
            mallory.read_until("/entered")
            mallory.send("/name alice")
            assert "name-taken" in mallory.read_match("/error")
            assert list_proven(alice) == ["/proven alice", "/proven mallory"]


def test_client_without_a_secret_may_use_an_unowned_name(server: ChatServer) -> None:
    """It is not shown as proven, and does not own the name."""
    with WireClient(server.address, "bob") as bob:
        assert list_proven(bob) == []
        exit_chat(bob)
    with connect_as_owner(server, MALLORY, "bob") as bob:
        assert list_proven(bob) == ["/proven bob"]


def test_order_of_who_rows(server: ChatServer) -> None:
    """First all members, then the proven ones; the fields of `/person` are unchanged."""
    with connect_as_owner(server, ALICE, "alice") as alice, WireClient(server.address, "bob"):
        alice.read_until("/joined")
        alice.send("/who")
        rows = alice.read_until("/end who")
        assert [row.split()[0] for row in rows] == ["/person", "/person", "/proven", "/end"]
        assert len(rows[0].split()) == 5


def test_owner_keeps_the_old_name_after_a_rename(server: ChatServer) -> None:
    """Both names are owned."""
    with connect_as_owner(server, ALICE, "alice") as alice, connect_and_prove(server.address, MALLORY) as mallory:
        alice.send("/name alba")
        alice.read_until("/renamed")
        assert list_proven(alice) == ["/proven alba"]
        for name in ("alice", "alba"):
            mallory.send(f"/name {name}")
            assert "name-taken" in mallory.read_match("/error")


def test_owner_beyond_the_limit_of_an_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """When they sign in and when they change the name."""
    monkeypatch.setattr(ownership_module, "MAX_NEW_NAMES_PER_SUBNET", 1)
    with serving(limits=replace(FAST_LIMITS, loopback_exempt=False)) as server:
        exit_chat(connect_as_owner(server, ALICE, "alice"))
        with connect_as_owner(server, MALLORY, "mallory") as mallory:
            assert mallory.read_match("/notice").startswith("/notice mallory is not yours when you leave: ")
            mallory.send("/name bob")
            assert mallory.read_match("/notice").startswith("/notice bob is not yours when you leave: ")
            assert list_proven(mallory) == []


def test_use_is_recorded_while_a_member_sends(monkeypatch: pytest.MonkeyPatch, journal: JournalOnFullDisk) -> None:
    """So the name of a bot that never leaves, and is never silent until a /ping, does not expire."""
    monkeypatch.setattr(session_module, "RECORD_USE_SECONDS", 0.0)
    monkeypatch.setattr(ownership_module, "BRIEF_USE_MS", 1)
    monkeypatch.setattr(ownership_module, "USE_INTERVAL_MS", 1)
    with serving(journal=journal) as server, connect_as_owner(server, ALICE, "bot") as bot:
        bot.send("first")
        bot.read_until("/say")  # the use at the sign-in is stored by then
        before = journal.list_facts("name")

        def is_recorded() -> bool:
            bot.send("more")
            return journal.list_facts("name") != before

        assert eventually(is_recorded)


def test_operator_releases_a_name() -> None:
    """It is free for the next user who proves an identity; the operator and the log are told."""
    with serving(operators=["op"]) as server, captured_log() as lines, connect_as_owner(server, ALICE, "op") as op:
        exit_chat(connect_as_owner(server, MALLORY, "Alice"))
        op.read_until("/left")
        op.send("/release alice", "/release alice", "/release op")
        assert op.read_match("/notice").startswith("/notice Alice was released by op")
        assert op.read_match("/error").startswith("/error no-such-person alice has no owner")
        assert op.read_match("/error").startswith("/error not-allowed op is an operator's name")
        assert any("'op' released 'Alice'" in line for line in lines)
        with connect_as_owner(server, bytes(32), "alice"):
            op.send("/who")
            assert "/proven alice" in op.read_until("/end who")


def test_refused_claim_creates_no_owner(server: ChatServer) -> None:
    """A name in use has no owner because another user asked for it."""
    with WireClient(server.address, "bob") as bob, connect_and_prove(server.address, MALLORY) as mallory:
        mallory.send("/name bob")
        assert "name-taken" in mallory.read_match("/error")
        exit_chat(bob)
        with WireClient(server.address, "bob") as bob_again:
            assert list_proven(bob_again) == []


def test_owner_is_refused_while_the_name_is_in_use(server: ChatServer) -> None:
    """Also on a second connection of their own."""
    with connect_as_owner(server, ALICE, "alice"), connect_and_prove(server.address, ALICE) as other:
        other.send("/name alice")
        assert "name-taken" in other.read_match("/error")


def test_ownership_survives_a_killed_server(tmp_path: Path) -> None:
    """From the reply to `/name` on."""
    options = ("--journal", str(tmp_path / "journal.db"), "--grace", "0")
    with ServerProcess(tmp_path, *options) as first, connect_and_prove(first.address, ALICE) as client:
        client.send("/name alice", "/ping stored")
        client.read_until("/pong stored")
        first.process.kill()
        first.process.wait()
    with ServerProcess(tmp_path, *options) as second:
        with WireClient(second.address) as mallory:
            mallory.send("/name alice")
            assert "name-taken" in mallory.read_match("/error")
        with connect_and_prove(second.address, ALICE) as client:
            client.send("/name alice")
            client.read_until("/entered")


def test_name_expires_while_the_server_is_stopped(journal: JournalOnFullDisk) -> None:
    """Then any user may have it."""
    with serving(journal=journal) as server:
        exit_chat(connect_as_owner(server, ALICE, "alice"))
        fact = json.loads(journal.list_facts("name")["alice"])
    fact["used"] -= int((NAME_EXPIRY_DAYS + 1) * DAY * 1000)
    journal.store_fact("name", "alice", json.dumps(fact))
    with serving(journal=journal) as server, WireClient(server.address, "alice") as anonymous:
        assert list_proven(anonymous) == []


def test_leaving_is_a_use(journal: JournalOnFullDisk) -> None:
    """The 90 days of a member who stays for days begin when they leave."""
    with serving(journal=journal) as server, connect_as_owner(server, ALICE, "alice") as alice:
        server._context.ownership._clock = lambda: 4e9
        exit_chat(alice)
        assert eventually(lambda: json.loads(journal.list_facts("name")["alice"])["used"] == 4_000_000_000_000)


def test_owner_takes_over_from_their_lost_connection() -> None:
    """Without `/resume`, and without waiting for the grace; other users cannot."""
    with serving(limits=WITH_GRACE) as server, WireClient(server.address, "bob") as bob:
        connect_as_owner(server, ALICE, "alice").socket.close()
        bob.read_until("/joined")
        assert eventually(lambda: is_absent(server, bob))
        with connect_and_prove(server.address, MALLORY) as mallory:
            mallory.send("/name alice")
            assert "name-taken" in mallory.read_match("/error")
        with connect_as_owner(server, ALICE, "alice") as alice:
            left, joined = bob.read_until("/joined")
            assert left.startswith("/left lobby ")
            assert left.endswith(" lost")
            assert joined.startswith("/joined lobby ")
            assert list_proven(alice) == ["/proven alice"]


def test_owner_takes_over_after_a_restart(tmp_path: Path) -> None:
    """The server holds the place of the absent member; it knows them only by name."""
    path = tmp_path / "journal.db"
    with serving(limits=WITH_GRACE, journal=SqliteJournal(path)) as server, connect_as_owner(server, ALICE, "alice"):
        server.stop()
    with (
        serving(limits=WITH_GRACE, journal=SqliteJournal(path)) as server,
        connect_as_owner(server, ALICE, "alice") as alice,
    ):
        assert list_proven(alice) == ["/proven alice"]


def test_place_of_an_absent_member_without_a_secret_is_held() -> None:
    """Their name has no owner who could take it over."""
    with serving(limits=WITH_GRACE) as server, WireClient(server.address, "bob") as bob:
        WireClient(server.address, "alice").socket.close()
        assert eventually(lambda: is_absent(server, bob))
        with connect_and_prove(server.address, ALICE) as alice:
            alice.send("/name alice")
            assert "name-taken" in alice.read_match("/error")


def is_absent(server: ChatServer, client: WireClient) -> bool:
    client.send("/msg alice hello")
    return "just lost" in client.read_until("/error|/msg")[-1]


@pytest.mark.parametrize("grace", [0, 60])
def test_resume_restores_the_identity(grace: float) -> None:
    """The token is enough; without it only the owner gets the name."""
    with serving(limits=Limits(rate=0, grace_seconds=grace)) as server:
        client = connect_and_prove(server.address, ALICE)
        client.send("/name alice")
        token = client.read_match("/welcome").split()[3]
        client.read_until("/entered")
        client.socket.close()
        with WireClient(server.address) as back:
            back.send(f"/resume {token} lobby 0")
            back.read_until("/entered")
            assert list_proven(back) == ["/proven alice"]


def test_resume_with_a_proof_claims_the_name(server: ChatServer) -> None:
    """If it had no owner."""
    with WireClient(server.address) as anonymous:
        anonymous.send("/name alice")
        token = anonymous.read_match("/welcome").split()[3]
        with connect_and_prove(server.address, ALICE) as alice:
            alice.send(f"/resume {token} lobby 0")
            alice.read_until("/entered")
            assert list_proven(alice) == ["/proven alice"]


def test_resume_of_a_name_that_has_a_new_owner(server: ChatServer) -> None:
    """The token is valid, but the name is taken."""
    with WireClient(server.address) as anonymous:
        anonymous.send("/name alice")
        token = anonymous.read_match("/welcome").split()[3]
    eventually(lambda: server._context.membership.count().members == 0)
    exit_chat(connect_as_owner(server, ALICE, "alice"))
    with WireClient(server.address) as anonymous:
        anonymous.send(f"/resume {token} lobby 0")
        assert "name-taken" in anonymous.read_match("/error")


def test_wrong_proof_over_the_wire(server: ChatServer) -> None:
    """It is an error, and the client may sign in without a proof."""
    with WireClient(server.address) as client:
        request_challenge(client)
        client.send(f"/prove {VERIFIER} {PROOF}")
        assert client.read_match("/error").startswith("/error proof-wrong ")
        client.send("/name alice")
        client.read_until("/entered")
        assert list_proven(client) == []


def test_proof_cannot_be_used_again(server: ChatServer) -> None:
    """Neither on the same connection nor on another, nor at another server."""
    exit_chat(connect_as_owner(server, ALICE, "alice"))
    with serving() as elsewhere, WireClient(server.address) as alice, WireClient(server.address) as mallory:
        proof = make_prove_command(ALICE, *request_challenge(alice))
        alice.send(proof, proof)
        assert alice.read_match("/error").startswith("/error proof-wrong ")
        request_challenge(alice)
        alice.send(proof)
        assert alice.read_match("/error").startswith("/error proof-wrong ")
        mallory.send(proof)
        assert mallory.read_match("/error").startswith("/error proof-wrong ")
        request_challenge(mallory)
        mallory.send(proof, "/name alice")
        assert mallory.read_match("/error").startswith("/error proof-wrong ")
        assert mallory.read_match("/error").startswith("/error name-taken ")
        with WireClient(elsewhere.address) as other:
            request_challenge(other)
            other.send(proof)
            assert other.read_match("/error").startswith("/error proof-wrong ")


def test_proof_for_another_server(server: ChatServer) -> None:
    """Even if it answers the nonce of this one."""
    with WireClient(server.address) as client:
        _, nonce = request_challenge(client)
        client.send(make_prove_command(ALICE, SERVER_ID, nonce))
        assert client.read_match("/error").startswith("/error proof-wrong ")


@pytest.mark.parametrize("line", ["/challenge", f"/prove {VERIFIER} {PROOF}"])
def test_proof_after_sign_in_is_refused(server: ChatServer, line: str) -> None:
    """The proof comes before the name."""
    with WireClient(server.address, "bob") as bob:
        bob.send(line)
        assert bob.read_match("/error").startswith("/error not-allowed ")


def test_nonces_differ(server: ChatServer) -> None:
    """The ID of the server stays the same."""
    with WireClient(server.address) as client:
        (server_1, nonce_1), (server_2, nonce_2) = request_challenge(client), request_challenge(client)
        assert server_1 == server_2
        assert nonce_1 != nonce_2


def test_no_proof_is_logged(server: ChatServer) -> None:
    """Neither a proof nor a verifier."""
    with captured_log() as lines, WireClient(server.address) as client:
        proof = make_prove_command(ALICE, *request_challenge(client))
        client.send(proof, proof, "/name alice")
        client.read_until("/entered")
    assert lines
    assert not any(word in line for word in proof.split()[1:] for line in lines)
