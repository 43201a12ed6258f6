"""A Redis that is away, cut off, or has lost its data."""

from pathlib import Path

from hubbub.server.cluster.node import ClusterBackend
from hubbub.server.server import ChatServer
from testing.proofs import sign_in_as_owner
from testing.redis_server import PausableRelay, RedisServer
from testing.waiting import eventually
from testing.wire_client import WireClient
from tests.cluster.servers import WITH_GRACE, cluster, connect_seen_by, is_local, needs_redis

pytestmark = needs_redis


def test_redis_is_away(tmp_path: Path) -> None:
    """Members stay, see one notice, and their lines are published once and in order afterwards."""
    with (
        RedisServer(tmp_path) as redis_server,
        cluster(redis_server.url, redis_server.url) as servers,
        WireClient(servers[0].address, "alice") as alice,
        connect_seen_by(alice, servers[1].address, "bob") as bob,
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


def test_redis_has_lost_everything(tmp_path: Path) -> None:
    """Numbers continue, names and room keys stay, and members are where they were."""
    with (
        RedisServer(tmp_path, "--appendonly", "no") as redis_server,
        cluster(redis_server.url, redis_server.url, limits=WITH_GRACE) as servers,
        WireClient(servers[0].address, "alice") as alice,
        connect_seen_by(alice, servers[1].address, "bob") as bob,
    ):
        alice.send("/join ops", "one", "/join den key", "eins", "zwei")
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
        bob.send("/join ops")  # which the other server alone knew
        assert bob.read_until("/entered ops 1 1 -")
        with WireClient(servers[1].address) as other:
            other.send("/name alice")
            assert other.read_match("/error").startswith("/error name-taken")


def test_server_that_was_cut_off_claims_its_members_again(redis_server: RedisServer, url: str) -> None:
    """The others held their places; the members notice nothing but the wait."""
    with (
        PausableRelay(redis_server.port) as cable,
        cluster(url, cable.url, limits=WITH_GRACE) as servers,
        WireClient(servers[0].address, "alice") as alice,
        connect_seen_by(alice, servers[1].address, "bob") as bob,
    ):
        cable.pause()
        alice.send("/msg bob psst")  # it stays in the inbox of bob's server
        bob.send("held")
        assert eventually(lambda: is_local(servers[0], "bob"))  # adopted
        assert alice.read_match("/error").startswith("/error no-such-person that member's server does not answer")
        cable.resume()
        assert alice.read_until("/say")[-1].endswith("bob green held")
        assert eventually(lambda: not is_local(servers[0], "bob"))  # served by the second server again
        bob.send("/msg alice psst")
        assert alice.read_until("/msg")[-1].endswith("psst")
        alice.send("/who")
        assert len(alice.read_until("/end who")) == 3


def test_server_that_has_missed_events_loads_everything(redis_server: RedisServer, url: str) -> None:
    """Bans and unbans, room keys, names, and where members are."""
    with (
        PausableRelay(redis_server.port) as cable,
        cluster(url, cable.url, limits=WITH_GRACE, operators=["op"]) as servers,
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
