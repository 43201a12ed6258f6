"""Many servers, one chat: two and three of them on a real Redis."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hubbub.server.cluster.node import ClusterBackend
from hubbub.server.cluster.redis_client import RedisClient, without_password
from hubbub.server.cluster.remote_members import RemoteMember
from hubbub.server.journal.journal import JournalError
from hubbub.server.server import ChatServer
from testing.cluster_server import LEASE_SECONDS
from testing.programs import may_skip_without
from testing.proofs import sign_in_as_owner
from testing.redis_server import PausableRelay, RedisServer
from testing.server import FAST_LIMITS, ServerProcess, serving
from testing.waiting import eventually
from testing.wire_client import WireClient
from tests.server.test_server import refused
from tests.stories.cluster_story import ClusterStory

REASON = "needs redis-server, from Debian's package redis-server"
pytestmark = pytest.mark.skipif(may_skip_without("redis-server"), reason=REASON)
HOLDING = replace(FAST_LIMITS, grace_seconds=60.0)


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def url(redis_server: RedisServer) -> str:
    redis_server.client().flushall()
    return redis_server.url


@contextmanager
def cluster(*urls: str, **options: object) -> Iterator[list[ChatServer]]:
    """Run a server of one chat for each URL."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(serving(backend=ClusterBackend(url, "chat", lease_seconds=LEASE_SECONDS), **options))
            for url in urls
        ]


@pytest.fixture
def servers(url: str) -> Iterator[list[ChatServer]]:
    with cluster(url, url) as made:
        yield made


@pytest.fixture
def pair(servers: list[ChatServer]) -> Iterator[tuple[WireClient, WireClient]]:
    """Return alice at the first server and bob at the second, who have seen each other."""
    with WireClient(servers[0].address, "alice") as alice, WireClient(servers[1].address, "bob") as bob:
        alice.read_until("/joined lobby .* bob")
        yield alice, bob


def is_local(server: ChatServer, name: str) -> bool:
    """Return whether a server serves a member, or holds their place."""
    return not isinstance(server._context.membership._directory.find(name), RemoteMember)


def who(wire: WireClient) -> list[str]:
    """Return who is in one's room."""
    wire.send("/who")
    return wire.read_until("/end who")


def came(wire: WireClient, address: tuple[str, int], name: str) -> WireClient:
    """Return `name`, whom `wire` has seen coming."""
    made = WireClient(address, name)
    wire.read_until(f"/joined \\S+ \\d+ {name} ")
    return made


# ------------------------------------------------------------------------------------------------------- one chat


def test_what_is_said_has_one_order_and_the_same_bytes(pair: tuple[WireClient, WireClient]) -> None:
    """Whoever says it at whichever server, also when both do at the same time."""
    for _ in range(50):
        for wire in pair:
            wire.send("a", "/me b", "c")
    heard = [[line for line in wire.read_until("/(say|me) lobby 300 ") if "lobby" in line] for wire in pair]
    said = [[line for line in lines if line.startswith(("/say", "/me"))] for lines in heard]
    assert said[0] == said[1]
    assert [int(line.split()[2]) for line in said[0]] == list(range(1, 301))


def test_who_and_list_know_everybody(pair: tuple[WireClient, WireClient]) -> None:
    """With the same counts at every server."""
    alice, bob = pair
    bob.send("/join ops")
    alice.read_until("/left lobby .* bob green leave")
    alice.send("/list", "/who ops")
    assert alice.read_until("/end who") == [
        *("/room lobby 1 -", "/room ops 1 -", "/end list"),
        *("/person bob green ops 0", "/end who"),
    ]


def test_who_comes_sees_the_past_of_other_servers(pair: tuple[WireClient, WireClient]) -> None:
    """The last lines of a room that nobody here was in before."""
    alice, bob = pair
    bob.send("/join ops", "one", "two", "/leave")
    bob.read_until("/entered lobby")
    alice.send("/join ops", "/history")
    assert [line.split()[-1] for line in alice.read_until("/end history") if line.startswith("/say")] == [
        "one",
        "two",
    ] * 2


def test_a_name_is_had_once_in_all(pair: tuple[WireClient, WireClient], servers: list[ChatServer]) -> None:
    """Also one that looks like it; and when it is free, it is everywhere."""
    alice, bob = pair
    bob.send("/name alice")
    assert bob.read_match("/error").startswith("/error name-taken")
    with WireClient(servers[1].address) as other:
        other.send("/name аlice")
        assert other.read_match("/error").startswith("/error name-taken")
        alice.send("/name carol")
        bob.read_until("/renamed lobby .* alice cyan carol")
        other.send("/name alice")
        other.read_until("/welcome alice")


def test_of_many_who_want_a_name_at_once_one_has_it(servers: list[ChatServer]) -> None:
    """However they are spread over the servers."""
    wires = [WireClient(servers[number % 2].address) for number in range(20)]
    start = threading.Barrier(len(wires))
    answers: list[str] = []

    def ask(wire: WireClient) -> None:
        start.wait()
        wire.send("/name same")
        answers.append(wire.read_match("/(welcome|error)").split()[1])

    threads = [threading.Thread(target=ask, args=(wire,)) for wire in wires]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for wire in wires:
        wire.socket.close()
    assert sorted(answers) == ["name-taken"] * 19 + ["same"]


def test_a_private_message_reaches_everybody(pair: tuple[WireClient, WireClient]) -> None:
    """And its author gets the same line as a copy."""
    alice, bob = pair
    bob.send("/msg alice psst")
    assert alice.read_match("/msg") == bob.read_match("/msg")
    bob.send("/msg nobody psst")
    assert bob.read_match("/error").startswith("/error no-such-person")


def test_a_locked_room_is_locked_everywhere(pair: tuple[WireClient, WireClient]) -> None:
    """From its first member on."""
    alice, bob = pair
    alice.send("/join den key")
    alice.read_until("/entered den 0 1 locked")
    bob.read_until("/left lobby .* alice")
    bob.send("/join den", "/who den", "/join den wrong")
    assert [bob.read_match("/error").split()[1] for _ in range(3)] == ["room-locked"] * 3
    bob.send("/join den key")
    bob.read_until("/entered den 0 2 locked")


def test_operators_keep_order_everywhere(url: str) -> None:
    """Kicked, muted and banned at the other server, with the same words as at one's own."""
    with cluster(url, url, operators=["op"]) as servers, WireClient(servers[0].address) as op:
        sign_in_as_owner(op, "op", b"the secret of op")
        with came(op, servers[1].address, "bob") as bob, came(op, servers[1].address, "carl") as carl:
            op.send("/mute bob 1h")
            bob.read_until("/notice bob was muted by op until ")
            bob.send("hi")
            assert bob.read_match("/error").startswith("/error not-allowed you are muted by op")
            op.send("/kick carl go")
            assert carl.read_to_end()[-1] == "/bye you were kicked by op: go"
            bob.read_until("/notice carl was kicked by op: go")
            op.send("/ban bob 1h")
            assert bob.read_to_end()[-1].startswith("/bye you were banned by op until ")
            op.read_until("/left lobby .* bob green kicked")
        for server in servers:
            with WireClient(server.address) as again:
                again.send("/name bob")
                assert again.read_match("/error").startswith("/error not-allowed bob is banned by op")


def test_a_name_is_its_owners_everywhere(servers: list[ChatServer]) -> None:
    """Who proved himself at one server is known at all, also when he is not there."""
    with WireClient(servers[0].address) as alice, WireClient(servers[1].address, "bob") as bob:
        sign_in_as_owner(alice, "alice", b"the secret of alice")
        bob.read_until("/joined lobby .* alice")
        assert eventually(lambda: "/proven alice" in who(bob))  # the news of it are a moment later than he
        alice.send("/exit")
        bob.read_until("/left lobby .* alice \\S+ exit")
        bob.send("/name alice")
        assert bob.read_match("/error") == (
            "/error name-taken alice belongs to someone else. "
            "If it is yours, copy your secret file to this machine (see docs/client.md)"
        )


def test_who_says_something_and_goes_is_heard_first(
    pair: tuple[WireClient, WireClient], servers: list[ChatServer]
) -> None:
    """At his own server, where the line has to come back from Redis, and at the other."""
    for _ in range(5):
        with WireClient(servers[0].address, "carl") as carl:
            carl.send("bye", "/exit")
            for wire in pair:
                seen = wire.read_until("/left lobby .* carl")
                assert [line.split()[0] for line in seen] == ["/joined", "/say", "/left"]


def test_a_name_is_had_once_beside_what_is_still_to_be_kept(
    pair: tuple[WireClient, WireClient], servers: list[ChatServer]
) -> None:
    """Somebody says something and takes a name; meanwhile somebody else asks for it."""
    alice, _ = pair
    for number in range(10):
        with WireClient(servers[1].address) as other:
            alice.send("said under the old one", f"/name wanted{number}")
            other.send(f"/name wanted{number}")
            has_it = other.read_match("/welcome|/error").startswith("/welcome")
            answer = alice.read_match(f"/renamed .* wanted{number}|/error name-taken")
            assert answer.startswith("/renamed") is not has_it


def test_of_what_two_operators_pass_at_once_one_holds_everywhere(url: str) -> None:
    """Whichever it is."""
    with cluster(url, url, operators=["op", "po"]) as servers, WireClient(servers[0].address) as op:
        sign_in_as_owner(op, "op", b"the secret of op")
        with WireClient(servers[1].address) as po:
            sign_in_as_owner(po, "po", b"the secret of po")
            op.read_until("/joined .* po")
            for number in range(10):
                op.send(f"/mute dora{number} 1h")
                po.send(f"/mute dora{number} 2h")
        lists = [server._context.moderation.list_restrictions for server in servers]
        assert eventually(lambda: len(lists[0]()) == 10 and lists[0]() == lists[1]())


def test_what_was_said_behind_a_lock_is_gone_with_it(
    pair: tuple[WireClient, WireClient], servers: list[ChatServer]
) -> None:
    """Also where it was said, when another server takes the lock off."""
    alice, bob = pair
    bob.send("/join den key", "the secret")
    bob.read_until("/say den 1 .* the secret")  # it is in the memory of his server
    bob.send("/leave")
    bob.read_until("/entered lobby")
    journal = servers[0]._context.journal
    journal._clock = lambda: 1e10  # type: ignore[attr-defined]  # much later
    journal.purge()  # type: ignore[attr-defined]
    alice.send("/join den")
    alice.read_until("/entered den 1 1 -")
    alice.send("/leave")
    assert eventually(lambda: servers[1]._context.room_keys.find("den") is None)
    bob.send("/join den", "/ping x")
    assert "/gap den 1 1" in (seen := bob.read_until("/pong x"))
    assert not any("secret" in line for line in seen)


def test_a_message_to_who_reads_nothing_has_no_copy(pair: tuple[WireClient, WireClient]) -> None:
    """What he was not told, at another server, its author is told that he was not."""
    alice, bob = pair
    answers = []
    for _ in range(25):  # more than his socket and the server hold for him
        alice.send(*[f"/msg bob {'x' * 1_900}"] * 100)
        answers += alice.sync()
    alice.send("/msg bob enough")
    while len(answers) < 2_501:
        answers.append(alice.read_line())
    copies = sum(line.startswith("/msg") for line in answers)
    # Under load a lease may be renewed late; then the server says so of messages that may have arrived.
    unknown = sum(line.startswith("/error no-such-person") for line in answers)
    arrived = sum(line.startswith("/msg") for line in bob.sync())
    assert copies <= arrived <= copies + unknown, answers[-3:]
    assert arrived < 2_500
    assert sum(line.startswith("/error too-fast") for line in answers) == 2_501 - copies - unknown


# ----------------------------------------------------------------------------------------- coming back elsewhere


def test_a_session_is_resumed_at_another_server(pair: tuple[WireClient, WireClient], servers: list[ChatServer]) -> None:
    """Nobody sees it, what is posted again is not said again, and the old connection is told."""
    alice, bob = pair
    with WireClient(servers[0].address) as carl:
        carl.send("/name carl")
        token = carl.read_match("/welcome").split()[3]
        carl.send("/post 1 eins", "/post 2 zwei")
        carl.read_until("/ack 2")
        for wire in pair:
            wire.read_until("/say .* zwei$")
        with WireClient(servers[1].address) as again:
            again.send(f"/resume {token} lobby 0")
            assert again.read_match("/welcome").split()[4] == "2"
            again.send("/post 1 eins", "/post 2 zwei", "/post 3 drei")
            assert [line.split()[-1] for line in again.read_until("/say .* drei$") if line.startswith("/say")] == [
                *("eins", "zwei", "drei")
            ]
            assert carl.read_to_end()[-1] == "/bye Signed in elsewhere"
            for wire in pair:
                assert [line.split()[0] for line in wire.read_until("/say .* drei$")] == ["/say"]
            alice.send("/who")
            assert len(alice.read_until("/end who")) == 4
            again.send("/exit")
            bob.read_until("/left lobby .* carl \\S+ exit")


def test_the_people_of_a_dead_server_go_after_the_grace(tmp_path: Path, url: str) -> None:
    """Or come back elsewhere before, and nobody sees it."""
    options = ("--cluster", url, "--grace", "1")
    module = "testing.cluster_server"
    (tmp_path / "a").mkdir()
    with ServerProcess(tmp_path, *options, module=module) as stays, WireClient(stays.address, "alice") as alice:
        with ServerProcess(tmp_path / "a", *options, module=module) as dies, WireClient(dies.address) as bob:
            bob.send("/name bob")
            token = bob.read_match("/welcome").split()[3]
            with came(alice, dies.address, "carl"):
                dies.process.kill()
        with WireClient(stays.address) as bob:
            bob.send(f"/resume {token} lobby 0")
            bob.read_until("/welcome bob")
            assert alice.read_until("/left lobby .* carl")[-1].endswith("lost")
            alice.send("/who")
            assert [line.split()[1] for line in alice.read_until("/end who")] == ["alice", "bob", "who"]


def test_the_people_of_a_stopped_server_are_held(url: str) -> None:
    """Its lease ends with it, so that nobody has to wait for that."""
    with cluster(url, limits=HOLDING) as (stays,), WireClient(stays.address, "alice") as alice:
        with cluster(url, limits=HOLDING) as (stops,), WireClient(stops.address) as bob:
            bob.send("/name bob")
            token = bob.read_match("/welcome").split()[3]
            alice.read_until("/joined")
        assert eventually(lambda: is_local(stays, "bob"))
        with WireClient(stays.address) as bob:
            bob.send(f"/resume {token} lobby 0", "back")
            assert [line.split()[0] for line in alice.read_until("/say")] == ["/say"]


# ------------------------------------------------------------------------------------------------ Redis away


def test_redis_is_away_for_a_while(tmp_path: Path) -> None:
    """Everybody stays, one notice tells it, and what was said meanwhile is said once, in order, when it is back."""
    with (
        RedisServer(tmp_path) as redis_server,
        cluster(redis_server.url, redis_server.url) as servers,
        WireClient(servers[0].address, "alice") as alice,
        came(alice, servers[1].address, "bob") as bob,
    ):
        alice.send("before")
        bob.read_until("/say .* before")
        redis_server.kill()
        alice.send("/post 1 eins", "plain", "/post 2 zwei")
        alice.read_until("/notice the server cannot write its journal")
        assert alice.sync() == []  # the server answers
        redis_server.start()
        for wire in (alice, bob):
            lines = wire.read_until("/say .* zwei$")
            assert [line.split()[-1] for line in lines if line.startswith("/say")][-3:] == ["eins", "plain", "zwei"]
        assert eventually(lambda: _is_steady(servers))
        bob.send("after")
        alice.read_until("/say lobby 5 .* after")


def _is_steady(servers: list[ChatServer]) -> bool:
    return all(
        isinstance(server._backend, ClusterBackend) and server._backend._lease_keeper.steady_since > 0
        for server in servers
    )


def test_a_redis_that_has_lost_everything(tmp_path: Path) -> None:
    """Numbers go on, names and locks are whose they were, and everybody is where he was."""
    with (
        RedisServer(tmp_path, "--appendonly", "no") as redis_server,
        cluster(redis_server.url, redis_server.url, limits=HOLDING) as servers,
        WireClient(servers[0].address, "alice") as alice,
        came(alice, servers[1].address, "bob") as bob,
    ):
        alice.send("/join den key", "eins", "zwei")
        alice.read_until("/say den 2 .* zwei")
        redis_server.kill()
        redis_server.start()
        assert eventually(lambda: all(server._backend._recovery.lapses_recovered for server in servers))  # type: ignore[attr-defined]
        alice.send("drei")
        alice.read_until("/say den 3 .* drei")
        bob.send("/join den")
        assert bob.read_match("/error").startswith("/error room-locked")
        bob.send("/join den key")
        assert bob.read_until("/entered den 3 2 locked")
        with WireClient(servers[1].address) as other:
            other.send("/name alice")
            assert other.read_match("/error").startswith("/error name-taken")


def test_a_server_that_was_cut_off_takes_its_people_back(redis_server: RedisServer, url: str) -> None:
    """The others held their places meanwhile; those who stayed connected notice nothing but the wait."""
    with (
        PausableRelay(redis_server.port) as cable,
        cluster(url, cable.url, limits=HOLDING) as servers,
        WireClient(servers[0].address, "alice") as alice,
        came(alice, servers[1].address, "bob") as bob,
    ):
        cable.pause()
        alice.send("/msg bob psst")  # which nobody takes out of the inbox of his server any more
        bob.send("held")
        assert eventually(lambda: is_local(servers[0], "bob"))  # adopted
        assert alice.read_match("/error").startswith("/error no-such-person that member's server does not answer")
        cable.resume()
        assert alice.read_until("/say")[-1].endswith("bob green held")
        assert eventually(lambda: not is_local(servers[0], "bob"))  # his own server's again
        bob.send("/msg alice psst")
        assert alice.read_until("/msg")[-1].endswith("psst")
        alice.send("/who")
        assert len(alice.read_until("/end who")) == 3


def test_a_server_that_was_cut_off_for_too_long_learns_what_is_kept(redis_server: RedisServer, url: str) -> None:
    """Also when the news that told it are dropped by then: bans and those lifted, locks, names, and who is where."""
    with (
        PausableRelay(redis_server.port) as cable,
        cluster(url, cable.url, limits=HOLDING, operators=["op"]) as servers,
        WireClient(servers[0].address) as op,
        WireClient(servers[1].address, "bob") as bob,
    ):
        sign_in_as_owner(op, "op", b"the secret of op")
        bob.read_until("/joined .* op")
        op.send("/ban carl 1h", "/mute dora 1h")
        order = servers[1]._context.moderation
        assert eventually(lambda: order.find_mute("dora") is not None)
        cable.pause()
        assert eventually(lambda: is_local(servers[0], "bob"))  # adopted
        op.send("/unban carl", "/unmute dora", "/ban erin 1h", "/mute frank 1h", "/join den key")
        op.read_until("/entered den 0 1 locked")
        redis_server.client().xtrim("{chat:chat}:news", maxlen=0)
        cable.resume()
        bob.read_until("/left lobby .* op")
        assert eventually(lambda: order.find_mute("frank") is not None)
        assert not order.find_mute("dora")
        assert order.find_name_ban("erin")
        assert not order.find_name_ban("carl")
        bob.send("/join den")
        assert bob.read_match("/error").startswith("/error room-locked")


# ------------------------------------------------------------------------------------------------ the start


def test_what_is_no_redis_is_told_in_one_line(tmp_path: Path) -> None:
    """With exit code 2."""
    assert "cannot reach Redis at redis://127.0.0.1:1/0" in refused(
        "--port", "0", "--cluster", "redis://127.0.0.1:1/0", cwd=tmp_path
    )
    assert "no URL of a Redis" in refused("--port", "0", "--cluster", "nonsense", cwd=tmp_path)
    assert "not both" in refused("--port", "0", "--cluster", "redis://127.0.0.1:1/0", "--journal", "x.db", cwd=tmp_path)


def test_a_password_is_needed_and_never_shown(tmp_path: Path) -> None:
    """A wrong one is one line, in which it does not stand."""
    with RedisServer(tmp_path, "--requirepass", "right") as server:
        line = refused("--cluster", f"redis://:wrong@127.0.0.1:{server.port}/0", cwd=tmp_path)
        assert line.count("\n") == 1
        assert "wrong@" not in line
        assert "invalid username-password pair" in line
        RedisClient(f"redis://:right@127.0.0.1:{server.port}/0", "chat", "id").open_chat("identity")


def test_a_password_in_a_url_is_hidden() -> None:
    """The rest of it is shown."""
    assert without_password("redis://me:secret@host:1/0") == "redis://me:***@host:1/0"
    assert without_password("redis://host:1/0") == "redis://host:1/0"


def test_a_redis_that_is_not_fit(tmp_path: Path) -> None:
    """One that drops what it holds, one that is full, one that forgets."""
    with RedisServer(tmp_path, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as server:
        assert "maxmemory-policy to noeviction" in refused("--port", "0", "--cluster", server.url, cwd=tmp_path)
        server.client().config_set("maxmemory-policy", "noeviction")
        server.client().config_set("maxmemory", "1mb")
        assert "of its maxmemory of 1 MB in use" in refused("--port", "0", "--cluster", server.url, cwd=tmp_path)
        server.client().config_set("maxmemory", "0")
        server.client().config_set("appendonly", "no")
        (tmp_path / "a").mkdir()
        with ServerProcess(tmp_path / "a", "--cluster", server.url) as started:
            assert "loses everything when it restarts" in started.stop()[1]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("application", "another", "belong to another program"), ("format", "2", "has format 2")],
)
def test_other_data(redis_server: RedisServer, url: str, key: str, value: str, words: str) -> None:
    """What is not this chat's, or of a later version, is left alone."""
    RedisClient(url, "chat", "id").open_chat("identity")
    redis_server.client().hset("{chat:chat}:meta", key, value)
    with pytest.raises(JournalError, match=words):
        ClusterBackend(url, "chat")


def test_chats_of_different_names_do_not_meet(url: str) -> None:
    """In one Redis there may be many."""
    with (
        serving(backend=ClusterBackend(url, "one")) as one,
        serving(backend=ClusterBackend(url, "two")) as two,
        WireClient(one.address, "alice") as alice,
        WireClient(two.address, "alice") as other,
    ):
        other.send("hi")
        other.read_until("/say lobby 1 .* hi")
        assert alice.sync() == []


@pytest.mark.parametrize("scheme", ["redis+cluster", "redis+sentinel"])
def test_other_ways_to_redis(tmp_path: Path, scheme: str) -> None:
    """A Redis ClusterBackend, in which a chat is in one slot, and one whose master a Sentinel knows."""
    with ExitStack() as stack:
        made = clustered(tmp_path) if scheme == "redis+cluster" else watched(tmp_path)
        target, redis_server = stack.enter_context(made)
        url = f"{scheme}://{target}"
        cluster = ClusterBackend(url, "chat", lease_seconds=LEASE_SECONDS)
        with serving(backend=cluster) as server, WireClient(server.address, "alice") as alice:
            alice.send("/post 1 hi", "/join ops", "there", "/history")
            alice.read_until("/say lobby 1 .* hi")
            alice.read_until("/say ops 1 .* there")
            alice.read_until("/end history")
            redis_server.kill()
            with pytest.raises(JournalError, match="cannot reach Redis"):
                ClusterBackend(url, "chat")
            alice.send("/post 2 held")
            alice.read_until("/notice the server cannot write its journal")
            redis_server.start()
            alice.read_until("/say ops 2 .* held")


@contextmanager
def clustered(folder: Path) -> Iterator[tuple[str, RedisServer]]:
    """Run a Redis Cluster of one node."""
    with RedisServer(folder, "--cluster-enabled", "yes") as server:
        client = server.client()
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        assert eventually(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        yield f"127.0.0.1:{server.port}", server


@contextmanager
def watched(folder: Path) -> Iterator[tuple[str, RedisServer]]:
    """Run a Redis and a Sentinel that knows it as `mine`."""
    sentinel = folder / "sentinel"
    sentinel.mkdir()
    config = sentinel / "sentinel.conf"
    with RedisServer(folder) as master:
        config.write_text(f"sentinel monitor mine 127.0.0.1 {master.port} 1\n", encoding="utf-8")
        with RedisServer(sentinel, program=("redis-server", str(config), "--sentinel")) as server:
            yield f"127.0.0.1:{server.port}/mine", master


# ---------------------------------------------------------------------------------------------------- the past


def test_what_is_too_old_or_too_much_is_gone(redis_server: RedisServer, url: str) -> None:
    """It shows as a gap."""
    with (
        serving(backend=ClusterBackend(url, "chat", keep_lines=3)) as server,
        WireClient(server.address, "alice") as alice,
    ):
        for number in range(300):
            alice.send(str(number))
        alice.read_until("/say .* 299$")
        redis_server.client().delete("{chat:chat}:purge")
        server._context.journal.purge()  # type: ignore[attr-defined]
        alice.send("/history 1000")
        lines = alice.read_until("/end history")
        assert lines[0].startswith("/gap lobby 1 ")
        assert len(lines) < 250
        journal = server._context.journal
        journal._clock = lambda: 1e10  # type: ignore[attr-defined]  # much later
        redis_server.client().delete("{chat:chat}:purge")
        journal.purge()  # type: ignore[attr-defined]
        alice.send("/history 1000", "next")
        assert alice.read_until("/end history") == ["/gap lobby 1 300", "/end history"]
        alice.read_until("/say lobby 301 .* next")


@pytest.mark.timeout(180)
def test_nothing_is_lost_and_nothing_doubled_over_three_servers(tmp_path: Path) -> None:
    """Servers killed in turn, Redis killed and started again, a network cut: everybody has everything once."""
    outcome = ClusterStory(tmp_path, kills=4, seed=7).play()
    assert outcome.is_clean, outcome
