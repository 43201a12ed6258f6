"""Sessions that are resumed at another server, and members of servers that are gone."""

from pathlib import Path

from hubbub.server.server import ChatServer
from testing.server import ServerProcess
from testing.waiting import eventually
from testing.wire_client import WireClient
from tests.cluster.servers import WITH_GRACE, cluster, connect_seen_by, is_local, needs_redis

pytestmark = needs_redis


def test_resume_at_another_server(pair: tuple[WireClient, WireClient], servers: list[ChatServer]) -> None:
    """No one sees it, posts sent again are not repeated, and the old connection ends."""
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


def test_members_of_a_dead_server_leave_after_the_grace(tmp_path: Path, url: str) -> None:
    """Unless they resume at another server before."""
    options = ("--cluster", url, "--grace", "1")
    module = "testing.cluster_server"
    (tmp_path / "a").mkdir()
    with ServerProcess(tmp_path, *options, module=module) as stays, WireClient(stays.address, "alice") as alice:
        with ServerProcess(tmp_path / "a", *options, module=module) as dies, WireClient(dies.address) as bob:
            bob.send("/name bob")
            token = bob.read_match("/welcome").split()[3]
            with connect_seen_by(alice, dies.address, "carl"):
                dies.process.kill()
        with WireClient(stays.address) as bob:
            bob.send(f"/resume {token} lobby 0")
            bob.read_until("/welcome bob")
            assert alice.read_until("/left lobby .* carl")[-1].endswith("lost")
            alice.send("/who")
            assert [line.split()[1] for line in alice.read_until("/end who")] == ["alice", "bob", "who"]


def test_members_of_a_stopped_server_are_held(url: str) -> None:
    """At once, for its lease ends with it."""
    with cluster(url, limits=WITH_GRACE) as (stays,), WireClient(stays.address, "alice") as alice:
        with cluster(url, limits=WITH_GRACE) as (stops,), WireClient(stops.address) as bob:
            bob.send("/name bob")
            token = bob.read_match("/welcome").split()[3]
            alice.read_until("/joined")
        assert eventually(lambda: is_local(stays, "bob"))
        with WireClient(stays.address) as bob:
            bob.send(f"/resume {token} lobby 0", "back")
            assert [line.split()[0] for line in alice.read_until("/say")] == ["/say"]
