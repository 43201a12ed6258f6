"""The lease of a server, and the adoption of members of others."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from hubbub.server.cluster.lease_keeper import LeaseKeeper
from hubbub.server.cluster.redis_client import RedisClient
from testing.redis_server import RedisServer
from testing.waiting import eventually
from tests.cluster.servers import needs_redis

pytestmark = needs_redis
SECONDS = 0.5


class Keeper(LeaseKeeper):
    """A lease keeper that counts what it reports."""

    def __init__(self, client: RedisClient) -> None:
        self.reports: list[str] = []
        super().__init__(
            client,
            SECONDS,
            on_attempt=lambda: None,
            on_renewal=lambda: self.reports.append("renewal"),
        )


@pytest.fixture
def keeper(url: str) -> Iterator[Keeper]:
    with closing(RedisClient(url, "chat", "here")) as client:
        keeper = Keeper(client)
        keeper.take()
        keeper.start()
        yield keeper
        keeper.stop()
        keeper.stop()


def test_lease_is_renewed(keeper: Keeper, redis_server: RedisServer) -> None:
    """Again and again, so that it never runs out."""
    assert eventually(lambda: keeper.reports.count("renewal") >= 8)
    assert redis_server.client().exists("{chat:chat}:lease:here")
    assert keeper.lapses == 0


def test_lapse_wakes_the_follower(keeper: Keeper, redis_server: RedisServer) -> None:
    """With a request in the inbox."""
    redis_server.client().delete("{chat:chat}:lease:here")
    assert eventually(lambda: keeper.lapses == 1)
    assert redis_server.client().xlen("{chat:chat}:inbox:here") == 1


def test_members_of_a_dead_server_are_adopted(keeper: Keeper, redis_server: RedisServer) -> None:
    """As soon as the own lease has held for a while."""
    client = redis_server.client()
    client.hset("{chat:chat}:home", "aa", "dead")
    client.hset("{chat:chat}:who", "aa", "{}")
    client.sadd("{chat:chat}:servers", "dead")
    assert eventually(lambda: client.hget("{chat:chat}:home", "aa") == b"here")
    assert client.sismember("{chat:chat}:held", "aa")
    assert eventually(lambda: not client.sismember("{chat:chat}:servers", "dead"))
