"""The bytes of a connection to the server, without TLS; test_tls_trust.py has those with TLS."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from hubbub.client.network.transport import SocketTransport
from testing.waiting import eventually

WAIT_SECONDS = 10.0


@pytest.fixture
def pair() -> Iterator[tuple[SocketTransport, socket.socket]]:
    """Connect a transport to a socket that the test plays."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport = SocketTransport(socket.create_connection(listener.getsockname()))
        peer = listener.accept()[0]
        peer.settimeout(WAIT_SECONDS)
        with peer:
            yield transport, peer
            transport.close()


def receive_all(transport: SocketTransport) -> bytes:
    """Return what arrives until the end."""
    received: list[bytes] = []

    def has_ended() -> bool:
        with contextlib.suppress(BlockingIOError):
            received.append(transport.recv())
        return received[-1:] == [b""]

    assert eventually(has_ended)
    return b"".join(received)


def test_receive_never_waits(pair: tuple[SocketTransport, socket.socket]) -> None:
    """Nothing yet is an error, and the end is empty."""
    transport, peer = pair
    with pytest.raises(BlockingIOError):
        transport.recv()
    peer.close()
    assert receive_all(transport) == b""


def test_send_accepts_what_the_socket_accepts(pair: tuple[SocketTransport, socket.socket]) -> None:
    """At last nothing, and it does not wait."""
    transport, peer = pair
    sent = 0
    while count := transport.send(b"x" * 1_000_000):
        sent += count
    received = 0
    while received < sent:
        received += len(peer.recv(1_000_000))
    assert received == sent > 0


def test_end_of_writing_reaches_the_peer(pair: tuple[SocketTransport, socket.socket]) -> None:
    """The other direction stays open."""
    transport, peer = pair
    transport.send(b"last")
    transport.end_writing()
    assert peer.recv(9) + peer.recv(9) == b"last"
    peer.send(b"answer")
    peer.close()
    assert receive_all(transport) == b"answer"


def test_close_is_idempotent(pair: tuple[SocketTransport, socket.socket]) -> None:
    """The peer sees the end."""
    transport, peer = pair
    transport.close()
    transport.close()
    assert peer.recv(9) == b""
