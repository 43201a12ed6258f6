"""Keeping order: sentences alone, and on real sockets what they do to people."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubbub.client.network.identity import make_proof
from hubbub.protocol import Challenged, ProtocolError, check_duration
from hubbub.server.access import moderation as order_module
from hubbub.server.access.moderation import MAX_REASON_CHARS, Moderation, parse_subnet
from hubbub.server.journal.journal import JournalError
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.journal.sqlite import SqliteJournal
from hubbub.server.server import ChatServer
from testing.server import ServerProcess, captured_log, serving
from testing.waiting import eventually
from testing.wire_client import WireClient
from tests.server.access.test_limits import Clock

HOUR = 3_600


def refusal(act: Callable[[], object]) -> tuple[str, str]:
    """Return the code and the text with which something is refused."""
    with pytest.raises(ProtocolError) as caught:
        act()
    return caught.value.code, caught.value.text


# --------------------------------------------------------------------------------------------------------- alone


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("90s", 90), ("30m", 1_800), ("2h", 7_200), ("365d", 31_536_000)]
)
def test_a_duration(text: str, seconds: int) -> None:
    """A number and a unit."""
    assert check_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "90", "0s", "-1s", "1.5h", "2H", "366d", "9" * 16 + "s", "٣s", "for ever"])
def test_what_is_no_duration(text: str) -> None:
    """From a second to a year, and never for ever."""
    assert refusal(lambda: check_duration(text))[0] == "argument-invalid"


def test_a_banned_name_and_all_that_looks_like_it() -> None:
    """Until the time is over, and the text says when that is."""
    clock = Clock()
    order = Moderation(MemoryJournal(), clock=clock)
    order.ban("Bob", HOUR, "op", "spam")
    text = "BOB is banned by op until 1970-01-01 01:00:00 UTC: spam"
    assert refusal(lambda: order.refuse_banned("BOB")) == ("not-allowed", text)
    assert refusal(lambda: order.refuse_banned("b0b"))[1].startswith("b0b looks like Bob, which is banned by op")
    order.refuse_banned("bobby")
    clock.now = HOUR
    order.refuse_banned("bob")


def test_two_bans_of_names_that_look_alike() -> None:
    """When one is lifted the other holds."""
    order = Moderation(MemoryJournal())
    order.ban("bob", HOUR, "op")
    order.ban("b0b", HOUR, "op")
    assert order.unban("BOB") == "bob"
    assert refusal(lambda: order.refuse_banned("bob"))[1].startswith("bob looks like b0b")
    order.unban("b0b")
    order.refuse_banned("bob")
    assert refusal(lambda: order.unban("bob"))[0] == "no-such-person"


@pytest.mark.parametrize(
    ("banned", "address", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::/64", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_a_banned_address(banned: str, address: str, same: bool) -> None:
    """What the gate counts as one address is banned as one; unban understands every spelling of it."""
    order = Moderation(MemoryJournal())
    order.ban(banned, HOUR, "op")
    assert (order.find_address_ban(address) is not None) == same
    order.unban(parse_subnet(banned))
    order.refuse_banned_address(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_not_banned(address: str) -> None:
    """Nobody can lock the server's owner out of it."""
    assert refusal(lambda: Moderation(MemoryJournal()).ban(address, HOUR, "op"))[0] == "not-allowed"


def test_operators_are_not_sentenced() -> None:
    """Nor kept out by a look-alike's ban, nor by one from before they were operators."""
    journal = MemoryJournal()
    Moderation(journal).ban("Op", HOUR, "boss")
    Moderation(journal).mute("op", HOUR, "boss")
    order = Moderation(journal, ["op"])
    order.load()
    order.refuse_banned("OP")
    order.refuse_muted("op")
    order.ban("0p", HOUR, "boss")
    order.refuse_banned("op")
    for act in (lambda: order.ban("OP", HOUR, "boss"), lambda: order.mute("op", HOUR, "boss")):
        assert refusal(act)[0] == "not-allowed"


def test_sentences_survive_and_those_that_are_over_go() -> None:
    """What the journal has is JSON with whom, until when in milliseconds, by whom and why."""
    clock, journal = Clock(), MemoryJournal()
    before = Moderation(journal, clock=clock)
    before.ban("Bob", HOUR, "op", "späm")
    before.ban("192.0.2.1", 2 * HOUR, "op")
    before.mute("carl", 2 * HOUR, "op")
    bob = json.loads(journal.list_facts("ban")["bob"])
    assert bob == {"whom": "Bob", "until": 3_600_000, "by": "op", "why": "späm"}
    clock.now = HOUR
    after = Moderation(journal, clock=clock)
    after.load()
    assert after.list_restrictions() == [
        "192.0.2.1 was banned by op until 1970-01-01 02:00:00 UTC",
        "carl was muted by op until 1970-01-01 02:00:00 UTC",
    ]
    assert set(journal.list_facts("ban")) == {"192.0.2.1"}
    assert (refusal(lambda: after.refuse_muted("CARL"))[0], after.find_name_ban("bob")) == ("not-allowed", None)


def test_a_damaged_fact_is_an_error() -> None:
    """The server says which, rather than let somebody in."""
    journal = MemoryJournal()
    journal.store_fact("ban", "bob", "{")
    with pytest.raises(JournalError, match="ban of 'bob'"):
        Moderation(journal).load()


def test_a_ban_that_cannot_be_kept_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here and in the journal it is the same."""
    journal = MemoryJournal()
    order = Moderation(journal)

    def fail(*_: object) -> None:
        raise JournalError("full")

    monkeypatch.setattr(journal, "store_fact", fail)
    with pytest.raises(JournalError):
        order.ban("bob", HOUR, "op")
    order.refuse_banned("bob")


def test_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ban may be changed, and those that are over make room."""
    monkeypatch.setattr(order_module, "MAX_RESTRICTIONS", 2)
    clock = Clock()
    order = Moderation(MemoryJournal(), clock=clock)
    order.ban("ann", HOUR, "op")
    order.ban("bob", 2 * HOUR, "op")
    assert refusal(lambda: order.ban("carl", HOUR, "op"))[0] == "too-many"
    order.ban("bob", 3 * HOUR, "op")
    order.mute("carl", HOUR, "op")
    clock.now = HOUR
    order.ban("carl", HOUR, "op")


def test_many_threads_leave_the_tables_right() -> None:
    """Nobody stays banned whose ban was lifted, and no look is left over."""
    order = Moderation(MemoryJournal())

    def ban_and_unban(name: str) -> None:
        for _ in range(50):
            order.ban(name, HOUR, "op")
            order.refuse_banned("zoe")
            order.unban(name)

    threads = [threading.Thread(target=ban_and_unban, args=(name,)) for name in ("bob", "b0b", "B-b", "ann")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (order.list_restrictions(), dict(order._banned_keys)) == ([], {})


# ---------------------------------------------------------------------------------------------------- on real sockets


def prove(server: ChatServer, name: str) -> None:
    """Have the name of somebody who is here be his, as a proof would."""
    member = server._context.membership.find(name)
    member.verifier = f"verifier of {name}"
    server._context.ownership.claim_name(name, member.verifier)


def come_as(wire: WireClient, name: str, secret: bytes) -> None:
    """Come in with a proof."""
    wire.send("/challenge")
    _, identity, nonce = wire.read_match("/challenge").split()
    answer = make_proof(secret, Challenged(identity, nonce))
    wire.send(f"/prove {answer.verifier} {answer.proof}", f"/name {name}")
    wire.read_until("/entered")


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serving(operators=["op", "Boss"]) as made:
        yield made


@pytest.fixture
def op(server: ChatServer) -> Iterator[WireClient]:
    with WireClient(server.address, "op") as made:
        prove(server, "op")
        yield made


@pytest.fixture
def bob(server: ChatServer, op: WireClient) -> Iterator[WireClient]:
    with WireClient(server.address, "bob") as made:
        op.read_until("/joined")
        yield made


@pytest.fixture
def carl(server: ChatServer, op: WireClient, bob: WireClient) -> Iterator[WireClient]:
    with WireClient(server.address, "carl") as made:
        op.read_until("/joined")
        bob.read_until("/joined")
        yield made


def test_a_kick(server: ChatServer, op: WireClient, bob: WireClient, carl: WireClient) -> None:
    """He is told by whom and why, the room sees it in order, and the name is free at once."""
    op.send("/kick BOB  be nice", "after")
    assert bob.read_to_end() == ["/error kicked you were kicked by op: be nice", "/bye you were kicked by op: be nice"]
    for wire in (op, carl):
        left, notice, after = wire.read_until("/say")
        assert left.startswith("/left lobby ")
        assert left.endswith(" kicked")
        assert notice == "/notice bob was kicked by op: be nice"
        assert after.endswith("after")
    WireClient(server.address, "bob").socket.close()


def test_a_kicked_session_is_over(server: ChatServer, op: WireClient) -> None:
    """Its token is worth nothing; who was kicked may come back with /name."""
    with WireClient(server.address) as bob, WireClient(server.address) as back:
        bob.send("/name bob")
        token = bob.read_match("/welcome").split()[3]
        op.send("/kick bob")
        bob.read_to_end()
        back.send(f"/resume {token} lobby 0", "/name bob")
        assert back.read_match("/error").startswith("/error resume-unknown")
        back.read_until("/entered")


def test_who_is_in_another_room(op: WireClient, bob: WireClient, carl: WireClient) -> None:
    """His room is told, the operator is, and nobody else."""
    bob.send("/join den")
    carl.read_until("/left")
    op.send("/mute bob 1h")
    assert bob.read_match("/notice").startswith("/notice bob was muted by op until ")
    assert op.read_match("/notice").startswith("/notice bob was muted by op until ")
    assert carl.sync() == []


EVERY = ["/kick carl", "/ban carl 1h", "/ban 192.0.2.1 1h", "/unban carl", "/bans", "/mute carl 1h", "/unmute carl"]


@pytest.mark.parametrize("line", [*EVERY, "/kick nobody"])
def test_somebody_proven_who_is_no_operator(server: ChatServer, bob: WireClient, carl: WireClient, line: str) -> None:
    """He is told whom to ask, and nothing happens."""
    prove(server, "bob")
    bob.send(line)
    assert bob.read_line() == "/error not-allowed that is for operators; ask one of them: op, Boss"
    assert carl.sync() == []


@pytest.mark.parametrize("line", EVERY)
def test_an_unproven_namesake_of_an_operator(server: ChatServer, carl: WireClient, line: str) -> None:
    """The name alone is worth nothing."""
    with WireClient(server.address, "boss") as boss:
        boss.send(line)
        assert boss.read_match("/error").startswith("/error not-allowed boss is an operator, but you have not proven")
        assert [text for text in carl.sync() if not text.startswith("/joined")] == []


def test_a_server_without_operators() -> None:
    """Says what to do about it."""
    with serving() as server, WireClient(server.address, "op") as op:
        prove(server, "op")
        op.send("/bans")
        assert op.read_match("/error").endswith("--operators")


def test_an_operator_whom_anybody_could_be(tmp_path: Path) -> None:
    """Whoever starts the server is told whose name is still nobody's, until its owner has come."""
    options = ("--operators", "op,Boss")
    with ServerProcess(tmp_path, *options) as server:
        with WireClient(server.address) as op:
            come_as(op, "op", b"the secret of op")
        assert "nobody owns the name of op, Boss yet" in server.stop()[1]
    with ServerProcess(tmp_path, *options) as server:
        assert "nobody owns the name of Boss yet" in server.stop()[1]


def test_operators_cannot_touch_each_other(server: ChatServer, op: WireClient) -> None:
    """Nor themselves; an unproven namesake can be kicked."""
    with WireClient(server.address, "boss") as boss:
        op.read_until("/joined")
        prove(server, "boss")
        op.send("/kick boss", "/ban boss 1h", "/mute boss 1h", "/kick op")
        assert {line.partition(";")[0] for line in op.sync()} == {
            "/error not-allowed boss is an operator",
            "/error not-allowed op is an operator",
        }
        server._context.membership.find("boss").verifier = ""
        op.send("/kick boss")
        assert boss.read_to_end()[-1] == "/bye you were kicked by op"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("/kick nobody", "no-such-person"),
        ("/kick bob " + "x" * (MAX_REASON_CHARS + 1), "text-too-long"),
        ("/ban bob", "missing-argument"),
        ("/ban bob spam", "argument-invalid"),
        ("/ban bob 0s", "argument-invalid"),
        ("/ban 127.0.0.1 1h", "not-allowed"),
        ("/ban - 1h", "name-invalid"),
        ("/mute 192.0.2.1/8 1h", "name-invalid"),
        ("/unban bob", "no-such-person"),
        ("/unmute bob", "no-such-person"),
    ],
)
def test_what_an_operator_is_refused(op: WireClient, bob: WireClient, line: str, code: str) -> None:
    """Each with its code, and nobody else notices."""
    op.send(line)
    assert op.read_line().startswith(f"/error {code} ")
    assert bob.sync() == []


def test_a_banned_name(server: ChatServer, op: WireClient, bob: WireClient, carl: WireClient) -> None:
    """Who bears it goes, and nobody comes in under it: new, as a look-alike or by another name; until /unban."""
    op.send("/ban bob 2h spam")
    assert bob.read_to_end()[-1].startswith("/bye you were banned by op until ")
    notice = carl.read_match("/notice")
    assert notice.startswith("/notice bob was banned by op until ")
    assert notice.endswith(" UTC: spam")
    with WireClient(server.address) as wire:
        wire.read_line()
        wire.send("/name bob", "/name b0b")
        refusals = [wire.read_line(), wire.read_line()]
    carl.send("/name Bob")
    refusals.append(carl.read_match("/error"))
    assert [line.split(" until")[0] for line in refusals] == [
        "/error not-allowed bob is banned by op",
        "/error not-allowed b0b looks like bob, which is banned by op",
        "/error not-allowed Bob is banned by op",
    ]
    op.send("/bans", "/unban BOB", "/bans")
    assert [line.split(" until")[0] for line in op.read_until("/end bans")][-2] == "/notice bob was banned by op"
    assert op.read_until("/end bans")[:2] == ["/notice bob was unbanned by op", "/notice nobody is banned or muted"]
    carl.send("/name Bob")
    carl.read_until("/renamed")


def test_a_ban_survives_a_restart(tmp_path: Path) -> None:
    """And who was seen last before it cannot resume; neither can a muted one speak."""
    path = tmp_path / "journal.db"
    with serving(journal=SqliteJournal(path), operators=["op"]) as server, WireClient(server.address) as bob:
        bob.send("/name bob")
        token = bob.read_match("/welcome").split()[3]
        with WireClient(server.address, "op") as op:
            bob.socket.close()
            op.read_until("/left")
            prove(server, "op")
            op.send("/ban bob 1h", "/mute carl 1h")
            op.read_until("/notice carl")
    with serving(journal=SqliteJournal(path), operators=["op"]) as server, WireClient(server.address, "carl") as carl:
        carl.send("hi")
        assert carl.read_match("/error").startswith("/error not-allowed you are muted by op until ")
        with WireClient(server.address) as bob:
            bob.read_line()
            bob.send(f"/resume {token} lobby 0", "/name bob")
            assert bob.read_line().startswith("/error not-allowed bob is banned by op until ")
            assert bob.read_line().startswith("/error not-allowed bob is banned by op until ")


def test_who_comes_from_a_banned_address(
    server: ChatServer, op: WireClient, bob: WireClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is connected from it goes, named or not, but an operator; newcomers are told at the gate."""
    monkeypatch.setattr("hubbub.server.session.parse_subnet", lambda _: "192.0.2.1")
    monkeypatch.setattr(Moderation, "find_address_ban", lambda self, _: self._find("ban", "192.0.2.1"))
    with WireClient(server.address) as nameless:
        nameless.read_line()
        op.send("/ban 192.0.2.1 1h")
        for wire in (bob, nameless):
            assert wire.read_to_end()[-1].startswith("/bye you were banned by op until ")
        assert eventually(lambda: server._context.membership.count().people == 1)
        with WireClient(server.address) as wire:
            error, bye = wire.read_to_end()
            assert error.startswith("/error not-allowed your address is banned by op until ")
            assert bye.startswith("/bye your address is banned")
        op.send("/unban 192.0.2.1")
        op.read_until("/notice 192.0.2.1 was unbanned")
    with WireClient(server.address, "bob"):
        pass


def test_a_muted_one(server: ChatServer, op: WireClient, bob: WireClient, carl: WireClient) -> None:
    """He can say nothing in any way, in any room or under another name; he reads, and after /unmute he speaks."""
    op.send("/mute Bob 1h")
    bob.read_until("/notice")
    bob.send("x", "/me x", "/post 1 x", "/post 2 /me x", "/msg carl x", "/name rob", "/color red", "/join den", "x")
    muted = "not-allowed you are muted by op until "
    assert [line.split(muted)[0] for line in bob.sync() if muted in line] == [
        *["/error "] * 2,
        "/refused 1 ",
        "/refused 2 ",
        *["/error "] * 3,
    ]
    assert not [line for line in carl.sync() if line.split()[0] in ("/say", "/me", "/msg") or " rob" in line]
    op.send("/unmute bob")
    assert bob.read_match("/notice") == "/notice bob was unmuted by op"
    bob.send("/post 3 x")
    assert bob.read_until("/say den 1 ")


def test_a_mute_ends_by_itself() -> None:
    """When its time is over."""
    with serving(operators=["op"]) as server, WireClient(server.address, "op") as op:
        prove(server, "op")
        with WireClient(server.address, "bob") as bob:
            clock = Clock()
            server._context.moderation._clock = clock
            op.send("/mute bob 1h")
            bob.read_until("/notice")
            bob.send("x")
            bob.read_until("/error not-allowed")
            clock.now = HOUR
            bob.send("y")
            assert bob.read_match().endswith(" y")


def test_the_maker_of_a_room_may_kick_in_it(
    server: ChatServer, op: WireClient, bob: WireClient, carl: WireClient
) -> None:
    """There and nowhere else, and nothing but kick; an operator in it stays."""
    prove(server, "bob")
    bob.send("/join den key", "/kick carl", "/ban carl 1h")
    assert [line for line in bob.sync() if line.startswith("/error not-allowed")] == [
        "/error not-allowed that is for operators; ask one of them: op, Boss"
    ] * 2
    for wire in (carl, op):
        wire.send("/join den key")
        wire.read_until("/entered den")
    bob.send("/kick op", "/kick carl", "/list")
    bob.read_until("/error not-allowed op is an operator")
    assert carl.read_to_end()[-1] == "/bye you were kicked by bob"
    assert op.read_match("/notice") == "/notice carl was kicked by bob"


@pytest.mark.parametrize("maker_is_proven", [False, True])
def test_a_namesake_of_the_maker_may_not_kick(server: ChatServer, carl: WireClient, maker_is_proven: bool) -> None:
    """The maker has gone, and whoever comes under the name, with a proof or without, learns not even who is there."""
    with WireClient(server.address) as dan:
        if maker_is_proven:
            come_as(dan, "dan", b"the secret of dan")
        dan.send("/name dan", "/join den key")
        dan.read_until("/entered den")
        carl.send("/join den key", "/me waits")
        carl.read_until("/me")
        dan.send("/exit")
        dan.read_to_end()
    server._context.ownership._clock = lambda: time.time() + 91 * 24 * HOUR
    with WireClient(server.address) as namesake, WireClient(server.address) as proven:
        namesake.send("/name dan", "/kick carl", "/kick nobody", "/exit")
        refusals = [line for line in namesake.read_to_end() if line.startswith("/error")]
        come_as(proven, "dan", b"the secret of mallory")
        proven.send("/kick carl", "/kick nobody")
        refusals += [line for line in proven.sync() if line.startswith("/error")]
    assert refusals == ["/error not-allowed that is for operators; ask one of them: op, Boss"] * 4
    assert not [line for line in carl.sync() if "kicked" in line]


def test_a_lost_connection_is_kicked_too() -> None:
    """Whose name is held for him is not kept in the room by that."""
    with serving(operators=["op"], limits=None) as server, WireClient(server.address, "op") as op:
        prove(server, "op")
        with WireClient(server.address, "bob"):
            op.read_until("/joined")
        assert eventually(lambda: server._context.membership._names["bob"].away)
        op.send("/kick bob")
        assert op.read_match("/left").endswith(" kicked")
        with WireClient(server.address, "bob"):
            pass


def test_every_act_is_logged(server: ChatServer, op: WireClient, bob: WireClient) -> None:
    """Who, what, whom and until when; not why."""
    with captured_log() as lines:
        op.send("/mute bob 1h", "/unmute bob", "/kick bob secret", "/ban bob 1h secret", "/unban bob", "/bans")
        op.read_until("/end")
        acts = [line.strip().partition(" until")[0] for line in lines if line.startswith("'op' ")]
    assert acts == [
        "'op' muted 'bob'",
        "'op' unmuted 'bob'",
        "'op' kicked 'bob'",
        "'op' banned 'bob'",
        "'op' unbanned 'bob'",
    ]
    assert not any("secret" in line for line in lines)


def test_a_flood_of_kicks_while_others_chat(server: ChatServer, op: WireClient, carl: WireClient) -> None:
    """Everybody who comes again and again goes again and again; those who chat lose no line and no order."""
    rounds = 30

    def come_and_flood() -> None:
        for _ in range(rounds):
            with WireClient(server.address, "flood") as wire:
                wire.send_bytes(b"spam\n" * 200)
                wire.read_to_end()

    thread = threading.Thread(target=come_and_flood)
    thread.start()
    kicked = 0
    while kicked < rounds:
        op.send("/kick flood")
        kicked += op.read_until("/notice flood|/error no-such-person")[-1].startswith("/notice")
        carl.send(f"line {kicked}")
    thread.join()
    carl.send("end")
    seqs = [int(line.split()[2]) for line in carl.read_until("/say lobby .* carl .* end") if line.startswith("/say")]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert server._context.membership.count().people == 3  # with bob, who never noticed
