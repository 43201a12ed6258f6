"""Connecting to one server, or to one of several."""

import pytest

from hubbub.client.network.dialer import AnyDialer, Dialer
from testing.fake_server import FakeServer

HOST = "127.0.0.1"


def unused_port() -> int:
    """Return a port on which no server listens."""
    with FakeServer() as gone:
        return gone.port


def test_no_server_raises() -> None:
    """OSError, at once."""
    with pytest.raises(ConnectionRefusedError):
        Dialer(HOST, unused_port()).connect()


def test_next_of_several_servers_is_used() -> None:
    """First in the given order, and each time from the one after the last."""
    with FakeServer() as first, FakeServer() as second:
        dialer = AnyDialer([Dialer(HOST, port) for port in (unused_port(), first.port, second.port)])
        for server in (first, second, first):
            dialer.connect().close()
            server.accept().close()


def test_no_server_of_several_answers() -> None:
    """The error is the last one's."""
    dialer = AnyDialer([Dialer(HOST, unused_port()), Dialer(HOST, unused_port())])
    with pytest.raises(ConnectionRefusedError):
        dialer.connect()
