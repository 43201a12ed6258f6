"""Bans, mutes and kicks: the tables alone, and their effect on real sockets."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubbub.protocol import ROWS, CommandRow, ProtocolError, check_duration
from hubbub.server.access import moderation as moderation_module
from hubbub.server.access.moderation import MAX_REASON_CHARS, Moderation, parse_subnet
from hubbub.server.journal.journal import JournalError
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.journal.sqlite import SqliteJournal
from hubbub.server.server import ChatServer
from testing.clock import FakeClock
from testing.lookalikes import LOOKALIKES
from testing.proofs import sign_in_as_owner
from testing.server import ServerProcess, captured_log, serving
from testing.waiting import eventually
from testing.wire_client import WireClient

HOUR = 3_600


def catch_refusal(act: Callable[[], object]) -> tuple[str, str]:
    """Return the code and the text of the refusal that `act` raises."""
    with pytest.raises(ProtocolError) as caught:
        act()
    return caught.value.code, caught.value.text


# ------------------------------------------------------------------------------------------------------------ tables


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("90s", 90), ("30m", 1_800), ("2h", 7_200), ("365d", 31_536_000)]
)
def test_duration(text: str, seconds: int) -> None:
    """A number and a unit."""
    assert check_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "90", "0s", "-1s", "1.5h", "2H", "366d", "9" * 16 + "s", "٣s", "for ever"])
def test_invalid_duration(text: str) -> None:
    """A ban lasts from a second to a year."""
    assert catch_refusal(lambda: check_duration(text))[0] == "argument-invalid"


def test_ban_covers_confusable_names() -> None:
    """Until it ends; the text says when."""
    clock = FakeClock()
    moderation = Moderation(MemoryJournal(), clock=clock)
    moderation.ban("Bob", HOUR, "op", "spam")
    text = "BOB is banned by op until 1970-01-01 01:00:00 UTC: spam"
    assert catch_refusal(lambda: moderation.refuse_banned("BOB")) == ("not-allowed", text)
    assert catch_refusal(lambda: moderation.refuse_banned("b0b"))[1].startswith(
        "b0b looks like Bob, which is banned by op"
    )
    moderation.refuse_banned("bobby")
    clock.now = HOUR
    moderation.refuse_banned("bob")


@pytest.mark.parametrize(("name", "lookalike"), LOOKALIKES)
def test_ban_covers_lookalikes(name: str, lookalike: str) -> None:
    """In every script, until the ban is lifted."""
    moderation = Moderation(MemoryJournal())
    moderation.ban(name, HOUR, "op")
    assert catch_refusal(lambda: moderation.refuse_banned(lookalike))[0] == "not-allowed"
    moderation.unban(name)
    moderation.refuse_banned(lookalike)


def test_ban_covers_what_looks_like_the_name_as_it_was_banned() -> None:
    """In its mixture of capitals and small letters; a later ban of the name in another spelling replaces it."""
    moderation = Moderation(MemoryJournal())
    moderation.ban("BigIvan", HOUR, "op")
    assert catch_refusal(lambda: moderation.refuse_banned("Biglvan"))[0] == "not-allowed"
    moderation.ban("bigivan", HOUR, "op")
    moderation.refuse_banned("Biglvan")


def test_two_bans_of_confusable_names() -> None:
    """If one is lifted, the other still applies."""
    moderation = Moderation(MemoryJournal())
    moderation.ban("bob", HOUR, "op")
    moderation.ban("b0b", HOUR, "op")
    assert moderation.unban("BOB") == "bob"
    assert catch_refusal(lambda: moderation.refuse_banned("bob"))[1].startswith("bob looks like b0b")
    moderation.unban("b0b")
    moderation.refuse_banned("bob")
    assert catch_refusal(lambda: moderation.unban("bob"))[0] == "no-such-person"


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
def test_ban_covers_the_subnet_of_an_address(banned: str, address: str, same: bool) -> None:
    """As ConnectionLimiter counts it; `unban` accepts every spelling of it."""
    moderation = Moderation(MemoryJournal())
    moderation.ban(banned, HOUR, "op")
    assert (moderation.find_address_ban(address) is not None) == same
    moderation.unban(parse_subnet(banned))
    moderation.refuse_banned_address(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_cannot_be_banned(address: str) -> None:
    """So operators cannot lock out the owner of the server."""
    assert catch_refusal(lambda: Moderation(MemoryJournal()).ban(address, HOUR, "op"))[0] == "not-allowed"


def test_operators_cannot_be_banned_or_muted() -> None:
    """Nor by the ban of a confusable name, nor by a ban from before they were operators."""
    journal = MemoryJournal()
    Moderation(journal).ban("Op", HOUR, "boss")
    Moderation(journal).mute("op", HOUR, "boss")
    moderation = Moderation(journal, ["op"])
    moderation.load()
    moderation.refuse_banned("OP")
    moderation.refuse_muted("op")
    moderation.ban("0p", HOUR, "boss")
    moderation.refuse_banned("op")
    for act in (lambda: moderation.ban("OP", HOUR, "boss"), lambda: moderation.mute("op", HOUR, "boss")):
        assert catch_refusal(act)[0] == "not-allowed"


def test_bans_and_mutes_survive_until_they_expire() -> None:
    """The journal has JSON with the target, the end in milliseconds, the operator and the reason."""
    clock, journal = FakeClock(), MemoryJournal()
    before = Moderation(journal, clock=clock)
    before.ban("Bob", HOUR, "op", "späm")
    before.ban("192.0.2.1", 2 * HOUR, "op")
    before.mute("carl", 2 * HOUR, "op")
    bob = json.loads(journal.list_facts("ban")["bob"])
    assert bob == {"whom": "Bob", "until": 3_600_000, "by": "op", "why": "späm"}
    clock.now = HOUR
    after = Moderation(journal, clock=clock)
    after.load()
    assert list(after.list_restrictions()) == [
        "192.0.2.1 was banned by op until 1970-01-01 02:00:00 UTC",
        "carl was muted by op until 1970-01-01 02:00:00 UTC",
    ]
    assert set(journal.list_facts("ban")) == {"192.0.2.1"}
    assert (catch_refusal(lambda: after.refuse_muted("CARL"))[0], after.find_name_ban("bob")) == ("not-allowed", None)


def test_damaged_fact_is_an_error() -> None:
    """The server names it and does not start without the ban."""
    journal = MemoryJournal()
    journal.store_fact("ban", "bob", "{")
    with pytest.raises(JournalError, match="ban of 'bob'"):
        Moderation(journal).load()


def test_ban_that_cannot_be_stored_does_not_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory and journal stay the same."""
    journal = MemoryJournal()
    moderation = Moderation(journal)

    def fail(*_: object) -> None:
        raise JournalError("full")

    monkeypatch.setattr(journal, "store_fact", fail)
    with pytest.raises(JournalError):
        moderation.ban("bob", HOUR, "op")
    moderation.refuse_banned("bob")


def test_number_of_bans_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ban can still be replaced, and expired ones make space."""
    monkeypatch.setattr(moderation_module, "MAX_RESTRICTIONS", 2)
    clock = FakeClock()
    moderation = Moderation(MemoryJournal(), clock=clock)
    moderation.ban("ann", HOUR, "op")
    moderation.ban("bob", 2 * HOUR, "op")
    assert catch_refusal(lambda: moderation.ban("carl", HOUR, "op"))[0] == "too-many"
    moderation.ban("bob", 3 * HOUR, "op")
    moderation.mute("carl", HOUR, "op")
    clock.now = HOUR
    moderation.ban("carl", HOUR, "op")


def test_tables_after_many_threads() -> None:
    """No lifted ban and no skeleton is left."""
    moderation = Moderation(MemoryJournal())

    def ban_and_unban(name: str) -> None:
        for _ in range(50):
            moderation.ban(name, HOUR, "op")
            moderation.refuse_banned("zoe")
            moderation.unban(name)

    threads = [threading.Thread(target=ban_and_unban, args=(name,)) for name in ("bob", "b0b", "B-b", "ann")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (list(moderation.list_restrictions()), dict(moderation._banned_keys)) == ([], {})


# ------------------------------------------------------------------------------------------------------ real sockets


def make_owner(server: ChatServer, name: str) -> None:
    """Make a member the owner of their name, as a proof would."""
    member = server._context.membership.find(name)
    member.verifier = f"verifier of {name}"
    server._context.ownership.claim_name(name, member.verifier)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serving(operators=["op", "Boss"]) as made:
        yield made


@pytest.fixture
def op(server: ChatServer) -> Iterator[WireClient]:
    with WireClient(server.address, "op") as made:
        make_owner(server, "op")
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


def test_kick(server: ChatServer, op: WireClient, bob: WireClient, carl: WireClient) -> None:
    """The member gets the reason, the room sees it in order, and the name is free at once."""
    op.send("/kick BOB  be nice", "after")
    assert bob.read_to_end() == ["/error kicked you were kicked by op: be nice", "/bye you were kicked by op: be nice"]
    for client in (op, carl):
        left, notice, after = client.read_until("/say")
        assert left.startswith("/left lobby ")
        assert left.endswith(" kicked")
        assert notice == "/notice bob was kicked by op: be nice"
        assert after.endswith("after")
    WireClient(server.address, "bob").socket.close()


def test_kicked_session_cannot_be_resumed(server: ChatServer, op: WireClient) -> None:
    """The user may sign in again."""
    with WireClient(server.address) as bob, WireClient(server.address) as back:
        bob.send("/name bob")
        token = bob.read_match("/welcome").split()[3]
        op.send("/kick bob")
        bob.read_to_end()
        back.send(f"/resume {token} lobby 0", "/name bob")
        assert back.read_match("/error").startswith("/error resume-unknown")
        back.read_until("/entered")


def test_mute_of_a_member_in_another_room(op: WireClient, bob: WireClient, carl: WireClient) -> None:
    """That room and the operator see it, and no other room."""
    bob.send("/join den")
    carl.read_until("/left")
    op.send("/mute bob 1h")
    assert bob.read_match("/notice").startswith("/notice bob was muted by op until ")
    assert op.read_match("/notice").startswith("/notice bob was muted by op until ")
    assert carl.sync() == []


OPERATOR_COMMANDS = [
    "/kick carl",
    "/ban carl 1h",
    "/ban 192.0.2.1 1h",
    "/unban carl",
    "/bans",
    "/mute carl 1h",
    "/unmute carl",
]


@pytest.mark.parametrize("line", [*OPERATOR_COMMANDS, "/kick nobody"])
def test_owner_who_is_not_an_operator(server: ChatServer, bob: WireClient, carl: WireClient, line: str) -> None:
    """They are told to ask an operator, and nothing happens."""
    make_owner(server, "bob")
    bob.send(line)
    assert bob.read_line() == "/error not-allowed only operators may do that; ask one of them: op, Boss"
    assert carl.sync() == []


@pytest.mark.parametrize("line", OPERATOR_COMMANDS)
def test_operator_name_without_a_proof(server: ChatServer, carl: WireClient, line: str) -> None:
    """The name alone gives no rights."""
    with WireClient(server.address, "boss") as boss:
        boss.send(line)
        assert boss.read_match("/error").startswith("/error not-allowed boss is an operator, but you have not proven")
        assert [text for text in carl.sync() if not text.startswith("/joined")] == []


def test_server_without_operators() -> None:
    """The refusal says how to name one."""
    with serving() as server, WireClient(server.address, "op") as op:
        make_owner(server, "op")
        op.send("/bans")
        assert op.read_match("/error").endswith("--operators NAME")


def test_unowned_operator_name_is_warned_of_at_start(tmp_path: Path) -> None:
    """Until its user has signed in once."""
    options = ("--operators", "op,Boss")
    with ServerProcess(tmp_path, *options) as server:
        with WireClient(server.address) as op:
            sign_in_as_owner(op, "op", b"the secret of op")
        assert "Operators op, Boss have not signed in yet" in server.stop()[1]
    with ServerProcess(tmp_path, *options) as server:
        assert "Operator Boss has not signed in yet" in server.stop()[1]


def test_operators_cannot_moderate_operators(server: ChatServer, op: WireClient) -> None:
    """Nor themselves; a member with such a name but without a proof can be kicked."""
    with WireClient(server.address, "boss") as boss:
        op.read_until("/joined")
        make_owner(server, "boss")
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
def test_invalid_operator_commands(op: WireClient, bob: WireClient, line: str, code: str) -> None:
    """Each has its error code, and other members do not notice."""
    op.send(line)
    assert op.read_line().startswith(f"/error {code} ")
    assert bob.sync() == []


def test_ban_of_a_name(server: ChatServer, op: WireClient, bob: WireClient, carl: WireClient) -> None:
    """The member is disconnected, and the name and confusable names are refused until /unban."""
    op.send("/ban bob 2h spam")
    assert bob.read_to_end()[-1].startswith("/bye you were banned by op until ")
    notice = carl.read_match("/notice")
    assert notice.startswith("/notice bob was banned by op until ")
    assert notice.endswith(" UTC: spam")
    with WireClient(server.address) as client:
        client.read_line()
        client.send("/name bob", "/name b0b")
        refusals = [client.read_line(), client.read_line()]
    carl.send("/name Bob")
    refusals.append(carl.read_match("/error"))
    assert [line.split(" until")[0] for line in refusals] == [
        "/error not-allowed bob is banned by op",
        "/error not-allowed b0b looks like bob, which is banned by op",
        "/error not-allowed Bob is banned by op",
    ]
    op.send("/bans", "/unban BOB", "/bans")
    assert [line.split(" until")[0] for line in op.read_until("/end bans")][-2] == "/notice bob was banned by op"
    assert op.read_until("/end bans")[:2] == [
        "/notice bob was unbanned by op",
        "/notice there are no bans and no mutes",
    ]
    carl.send("/name Bob")
    carl.read_until("/renamed")


def test_ban_and_mute_survive_a_restart(tmp_path: Path) -> None:
    """A banned member cannot resume, and a muted one cannot post."""
    path = tmp_path / "journal.db"
    with serving(journal=SqliteJournal(path), operators=["op"]) as server, WireClient(server.address) as bob:
        bob.send("/name bob")
        token = bob.read_match("/welcome").split()[3]
        with WireClient(server.address, "op") as op:
            bob.socket.close()
            op.read_until("/left")
            make_owner(server, "op")
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


def test_ban_of_an_address(
    server: ChatServer, op: WireClient, bob: WireClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clients are disconnected, named or not, except operators; new connections are refused."""
    monkeypatch.setattr("hubbub.server.session.parse_subnet", lambda _: "192.0.2.1")
    monkeypatch.setattr(Moderation, "find_address_ban", lambda self, _: self._find("ban", "192.0.2.1"))
    with WireClient(server.address) as unnamed:
        unnamed.read_line()
        op.send("/ban 192.0.2.1 1h")
        for client in (bob, unnamed):
            assert client.read_to_end()[-1].startswith("/bye you were banned by op until ")
        assert eventually(lambda: server._context.membership.count().members == 1)
        with WireClient(server.address) as client:
            error, bye = client.read_to_end()
            assert error.startswith("/error not-allowed your address is banned by op until ")
            assert bye.startswith("/bye your address is banned")
        op.send("/unban 192.0.2.1")
        op.read_until("/notice 192.0.2.1 was unbanned")
    with WireClient(server.address, "bob"):
        pass


def test_ban_of_an_address_between_connection_and_sign_in(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a new member nor one who resumes gets in."""
    with WireClient(server.address) as wire:
        wire.send("/name carl")
        token = wire.read_match("/welcome").split()[3]
    with WireClient(server.address) as wire:
        wire.read_line()
        ban = moderation_module.Ban("192.0.2.1", 0, "op", "")
        monkeypatch.setattr(Moderation, "find_address_ban", lambda *_: ban)
        for line in ("/name dora", f"/resume {token} lobby 0"):
            wire.send(line)
            assert wire.read_line().startswith("/error not-allowed your address is banned by op until ")


def test_muted_member(server: ChatServer, op: WireClient, bob: WireClient, carl: WireClient) -> None:
    """They can post in no way, room or name; they can read, and post again after /unmute."""
    bob.send("/join den", "/leave")
    bob.read_until("/entered lobby")
    carl.send("/join den")
    carl.read_until("/entered den")
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


@pytest.fixture
def dave(server: ChatServer, op: WireClient, carl: WireClient) -> Iterator[WireClient]:
    """Return a muted member who owns a locked room, in which Carl is, too."""
    with WireClient(server.address) as made:
        sign_in_as_owner(made, "dave", bytes(32))
        made.send("/join den key")
        made.read_until("/entered den")
        carl.send("/join den key")
        carl.read_until("/entered den")
        op.send("/mute dave 1h")
        carl.read_until("/notice dave was muted")
        yield made


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.layout.ends_in_text and not row.operators_only])
def test_no_command_carries_the_text_of_a_muted_member(dave: WireClient, carl: WireClient, row: CommandRow) -> None:
    """Neither a message nor the reason of a /kick in their own room."""
    line = row.usage.removeprefix("/ ")  # for text, the one command without a word
    for argument, value in {
        "NAME": "carl",
        "N ": "1 ",
        "[REASON]": "insult",
        "LINE": "insult",
        "TEXT": "insult",
    }.items():
        line = line.replace(argument, value)
    dave.send(line)
    assert [answer for answer in dave.sync() if "you are muted by op" in answer]
    assert not [heard for heard in carl.sync() if "insult" in heard]


def test_muted_owner_of_a_room_kicks_without_a_reason(dave: WireClient, carl: WireClient) -> None:
    """The room stays in order, and they say nothing."""
    dave.send("/kick carl")
    assert carl.read_to_end()[-1] == "/bye you were kicked by dave"


def test_muted_member_creates_no_room(op: WireClient, bob: WireClient) -> None:
    """Everybody reads its name in /list; a muted member can enter what others have created."""
    op.send("/mute bob 1h", "/join den")
    bob.read_until("/notice bob was muted")
    op.read_until("/entered den")
    bob.send("/join insult", "/join den")
    assert bob.read_match("/error").startswith("/error not-allowed you are muted by op until ")
    assert bob.read_match("/entered").startswith("/entered den ")


def test_mute_expires() -> None:
    """When its time is over."""
    with serving(operators=["op"]) as server, WireClient(server.address, "op") as op:
        make_owner(server, "op")
        with WireClient(server.address, "bob") as bob:
            clock = FakeClock()
            server._context.moderation._clock = clock
            op.send("/mute bob 1h")
            bob.read_until("/notice")
            bob.send("x")
            bob.read_until("/error not-allowed")
            clock.now = HOUR
            bob.send("y")
            assert bob.read_match().endswith(" y")


def test_creator_of_a_locked_room_may_kick_in_it(
    server: ChatServer, op: WireClient, bob: WireClient, carl: WireClient
) -> None:
    """Only there, only kick, and no operator."""
    make_owner(server, "bob")
    bob.send("/join den key", "/kick carl", "/ban carl 1h")
    assert [line for line in bob.sync() if line.startswith("/error not-allowed")] == [
        "/error not-allowed only operators may do that; ask one of them: op, Boss"
    ] * 2
    for client in (carl, op):
        client.send("/join den key")
        client.read_until("/entered den")
    bob.send("/kick op", "/kick carl", "/list")
    bob.read_until("/error not-allowed op is an operator")
    assert carl.read_to_end()[-1] == "/bye you were kicked by bob"
    assert op.read_match("/notice") == "/notice carl was kicked by bob"


@pytest.mark.parametrize("creator_is_proven", [False, True])
def test_user_with_the_name_of_the_creator_may_not_kick(
    server: ChatServer, carl: WireClient, creator_is_proven: bool
) -> None:
    """With a proof or without; the refusal does not reveal who is in the room."""
    with WireClient(server.address) as dan:
        if creator_is_proven:
            sign_in_as_owner(dan, "dan", b"the secret of dan")
        dan.send("/name dan", "/join den key")
        dan.read_until("/entered den")
        carl.send("/join den key", "/me waits")
        carl.read_until("/me")
        dan.send("/exit")
        dan.read_to_end()
    server._context.ownership._clock = lambda: time.time() + 91 * 24 * HOUR
    with WireClient(server.address) as unproven, WireClient(server.address) as proven:
        unproven.send("/name dan", "/kick carl", "/kick nobody", "/exit")
        refusals = [line for line in unproven.read_to_end() if line.startswith("/error")]
        sign_in_as_owner(proven, "dan", b"the secret of mallory")
        proven.send("/kick carl", "/kick nobody")
        refusals += [line for line in proven.sync() if line.startswith("/error")]
    assert refusals == ["/error not-allowed only operators may do that; ask one of them: op, Boss"] * 4
    assert not [line for line in carl.sync() if "kicked" in line]


def test_kick_of_an_absent_member() -> None:
    """Their place in the room is not held any longer."""
    with serving(operators=["op"], limits=None) as server, WireClient(server.address, "op") as op:
        make_owner(server, "op")
        with WireClient(server.address, "bob"):
            op.read_until("/joined")
        assert eventually(lambda: server._context.membership._directory.names["bob"].absent)
        op.send("/kick bob")
        assert op.read_match("/left").endswith(" kicked")
        with WireClient(server.address, "bob"):
            pass


def test_moderation_is_logged(server: ChatServer, op: WireClient, bob: WireClient) -> None:
    """Operator, action, target and end, but not the reason."""
    with captured_log() as lines:
        op.send("/mute bob 1h", "/unmute bob", "/kick bob secret", "/ban bob 1h secret", "/unban bob", "/bans")
        op.read_until("/end")
        actions = [line.strip().partition(" until")[0] for line in lines if line.startswith("'op' ")]
    assert actions == [
        "'op' muted 'bob'",
        "'op' unmuted 'bob'",
        "'op' kicked 'bob'",
        "'op' banned 'bob'",
        "'op' unbanned 'bob'",
    ]
    assert not any("secret" in line for line in lines)


def test_flood_of_kicks_while_others_chat(server: ChatServer, op: WireClient, carl: WireClient) -> None:
    """The flooding client is kicked each time; other members lose no line, and the order stays."""
    rounds = 30

    def come_and_flood() -> None:
        for _ in range(rounds):
            with WireClient(server.address, "flood") as client:
                client.send_bytes(b"spam\n" * 200)
                client.read_to_end()

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
    assert server._context.membership.count().members == 3  # with bob
