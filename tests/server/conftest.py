"""Fixtures of the server's tests."""

from collections.abc import Iterator

import pytest

from hubbub.server.access.hash_pool import HashPool


@pytest.fixture
def hash_pool() -> Iterator[HashPool]:
    """Run the threads that compute hashes."""
    pool = HashPool()
    pool.start()
    yield pool
    pool.stop()
