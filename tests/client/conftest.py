"""Fixtures of the client's tests."""

from collections.abc import Iterator

import pytest

from hubbub.client.network import connection
from testing.fake_server import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """Open a server that the test plays."""
    with FakeServer() as server:
        yield server


@pytest.fixture
def fast_reconnect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect at once."""
    monkeypatch.setattr(connection, "RETRY_SECONDS", 0.01)
