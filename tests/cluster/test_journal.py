"""The shared journal."""

from hubbub.server.cluster.node import ClusterBackend
from testing.redis_server import RedisServer
from testing.server import serving
from testing.wire_client import WireClient
from tests.cluster.servers import needs_redis

pytestmark = needs_redis


def test_purge_removes_old_and_surplus_lines(redis_server: RedisServer, url: str) -> None:
    """They show as a gap."""
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
