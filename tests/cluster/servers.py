"""Servers of one chat for the tests of the cluster."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from hubbub.server.cluster.node import ClusterBackend
from hubbub.server.cluster.remote_members import RemoteMember
from hubbub.server.server import ChatServer
from testing.cluster_server import LEASE_SECONDS
from testing.required_programs import may_skip_without
from testing.server import FAST_LIMITS, serving
from testing.wire_client import WireClient

needs_redis = pytest.mark.skipif(
    may_skip_without("redis-server"), reason="needs redis-server, from Debian's package redis-server"
)
WITH_GRACE = replace(FAST_LIMITS, grace_seconds=60.0)


@contextmanager
def cluster(*urls: str, lease_seconds: float = LEASE_SECONDS, **options: object) -> Iterator[list[ChatServer]]:
    """Run a server of one chat for each URL."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(serving(backend=ClusterBackend(url, "chat", lease_seconds=lease_seconds), **options))
            for url in urls
        ]


def is_local(server: ChatServer, name: str) -> bool:
    """Return whether a server serves a member, or holds their place."""
    return not isinstance(server._context.membership._directory.find(name), RemoteMember)


def list_members(wire: WireClient) -> list[str]:
    """Return the answer to /who."""
    wire.send("/who")
    return wire.read_until("/end who")


def connect_seen_by(wire: WireClient, address: tuple[str, int], name: str) -> WireClient:
    """Connect `name`, and wait until `wire` has seen them join."""
    made = WireClient(address, name)
    wire.read_until(f"/joined \\S+ \\d+ {name} ")
    return made
