"""A Redis, and two servers of one chat."""

from collections.abc import Iterator

import pytest

from hubbub.server.server import ChatServer
from testing.redis_server import RedisServer
from testing.wire_client import WireClient
from tests.cluster.servers import cluster


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def url(redis_server: RedisServer) -> str:
    """Return the URL of an empty Redis."""
    redis_server.client().flushall()
    return redis_server.url


@pytest.fixture
def servers(url: str) -> Iterator[list[ChatServer]]:
    with cluster(url, url) as servers:
        yield servers


@pytest.fixture
def pair(servers: list[ChatServer]) -> Iterator[tuple[WireClient, WireClient]]:
    """Connect alice at the first server and bob at the second, who have seen each other."""
    with WireClient(servers[0].address, "alice") as alice, WireClient(servers[1].address, "bob") as bob:
        alice.read_until("/joined lobby .* bob")
        yield alice, bob
