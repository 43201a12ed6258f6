"""The bytes of the connection to the server. A channel is for one thread at a time, and never waits."""

import socket
from contextlib import suppress

CHUNK_BYTES = 65_536  # of one receive or send: more brings nothing on loopback


class Channel:
    """A connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._sock.fileno()

    def recv(self) -> bytes:
        """Return what has arrived; ``b""`` is the end. Raises BlockingIOError for nothing yet, and OSError."""
        return self._sock.recv(CHUNK_BYTES)

    def send(self, data: bytes) -> int:
        """Return how many bytes were taken; the others must come first in the next call. Raises OSError."""
        with suppress(BlockingIOError):
            return self._sock.send(data)
        return 0

    def end_writing(self) -> None:
        """Tell the server that nothing more comes. Raises OSError."""
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Give the socket back. Idempotent."""
        self._sock.close()
