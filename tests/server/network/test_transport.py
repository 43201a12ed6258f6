"""The plain socket of a client: reads, sends, and how it ends."""

import socket
import threading
from collections.abc import Iterator

import pytest

from hubbub.server.network.transport import MAX_READ_BYTES, MIN_READ_BYTES, READ_GROWTH, SocketTransport
from testing.waiting import TIMEOUT_SECONDS, eventually


@pytest.fixture
def pair() -> Iterator[tuple[SocketTransport, socket.socket]]:
    """Return a transport and the socket of its peer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        transport = SocketTransport(listener.accept()[0])
    with peer:
        peer.settimeout(TIMEOUT_SECONDS)
        yield transport, peer
    transport.close()


def read_sizes(transport: SocketTransport, total: int) -> list[int]:
    """Return the sizes of the reads that it takes to read `total` bytes."""
    sizes: list[int] = []
    while sum(sizes) < total:
        sizes.append(len(transport.recv(TIMEOUT_SECONDS)))
    return sizes


def test_recv_returns_what_has_arrived(pair: tuple[SocketTransport, socket.socket]) -> None:
    """Without waiting for more."""
    transport, peer = pair
    peer.sendall(b"hello\n")
    assert transport.recv(TIMEOUT_SECONDS) == b"hello\n"
    assert transport.address == "127.0.0.1"


def test_recv_times_out(pair: tuple[SocketTransport, socket.socket]) -> None:
    """The timeout can differ from read to read."""
    transport, peer = pair
    with pytest.raises(TimeoutError):
        transport.recv(0.01)
    peer.sendall(b"late\n")
    assert transport.recv(TIMEOUT_SECONDS) == b"late\n"
    with pytest.raises(TimeoutError):
        transport.recv(0)


def test_reads_grow_while_they_are_full(pair: tuple[SocketTransport, socket.socket]) -> None:
    """Up to a maximum; after a read that was not full they are small again."""
    transport, peer = pair
    growing = [MIN_READ_BYTES]
    while growing[-1] < MAX_READ_BYTES:
        growing.append(min(READ_GROWTH * growing[-1], MAX_READ_BYTES))
    sent = sum(growing) + 1
    peer.sendall(bytes(sent))
    assert eventually(lambda: len(transport._socket.recv(sent, socket.MSG_PEEK)) == sent)
    assert read_sizes(transport, sent) == [*growing, 1]
    peer.sendall(bytes(2 * MIN_READ_BYTES))
    assert len(transport.recv(TIMEOUT_SECONDS)) == MIN_READ_BYTES


def test_reset_read_size(pair: tuple[SocketTransport, socket.socket]) -> None:
    """The next read is small, although the last one was full."""
    transport, peer = pair
    peer.sendall(bytes(4 * MIN_READ_BYTES))
    assert len(transport.recv(TIMEOUT_SECONDS)) == MIN_READ_BYTES
    transport.reset_read_size()
    assert len(transport.recv(TIMEOUT_SECONDS)) == MIN_READ_BYTES


def test_send_to_a_full_socket(pair: tuple[SocketTransport, socket.socket]) -> None:
    """It takes what fits and then 0 bytes, and does not wait."""
    transport, _ = pair
    while transport.send(bytes(1_000_000)):
        pass
    assert transport.send(b"more") == 0
    assert not transport.broken


def test_send_to_a_peer_that_is_gone(pair: tuple[SocketTransport, socket.socket]) -> None:
    """It takes nothing, and the transport is broken."""
    transport, peer = pair
    peer.close()
    assert eventually(lambda: transport.send(b"x") == 0)
    assert transport.broken


def test_end_reading_wakes_recv(pair: tuple[SocketTransport, socket.socket]) -> None:
    """Another thread may call it, also when the socket is closed already."""
    transport, _ = pair
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(transport.recv(TIMEOUT_SECONDS)))
    reader.start()
    transport.end_reading()
    reader.join()
    assert received == [b""]
    transport.close()
    transport.end_reading()


def test_end_writing_ends_the_stream_of_the_peer(pair: tuple[SocketTransport, socket.socket]) -> None:
    """The peer can still send."""
    transport, peer = pair
    transport.end_writing()
    assert peer.recv(1) == b""
    peer.sendall(b"last\n")
    assert transport.recv(TIMEOUT_SECONDS) == b"last\n"
