"""The bytes of the connection to the server. A transport is for one thread at a time, and never waits."""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from hubbub.tls import TlsConnection

CHUNK_BYTES = 65_536  # of one receive or send: more brings nothing on loopback


class SocketTransport:
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


class TlsTransport(SocketTransport):
    """A connected socket with TLS on it: the same promises. A certificate is for its opener to judge."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, host: str) -> None:
        super().__init__(sock)
        self._tls = TlsConnection(context, sock.send, server_hostname=host)
        self._goodbye = False  # we said it; what still comes counts for nothing

    def open(self, wait: Callable[[], None]) -> None:
        """Shake hands; `wait` waits until there is something to read, and what it raises goes on. Raises OSError.

        The server's first words may come with its last of the handshake: read once before waiting for more.
        """
        while not self._tls.do_handshake():
            wait()
            self._tls.feed(super().recv())

    @property
    def certificate(self) -> bytes:
        """The server's certificate in DER."""
        return self._tls.peer_certificate

    def recv(self) -> bytes:
        """Return what has arrived; ``b""`` is the end. Raises BlockingIOError for nothing yet, and OSError."""
        if self._goodbye:
            while super().recv():
                pass
            return b""
        text = self._tls.read()
        if text is None:
            self._tls.feed(super().recv())
            text = self._read_fed()
        if text is None:
            raise BlockingIOError
        return text

    def _read_fed(self) -> bytes | None:
        try:
            return self._tls.read()
        except ssl.SSLEOFError as error:
            raise ConnectionAbortedError("it was cut off") from error

    def send(self, data: bytes) -> int:
        """Return how many bytes were taken; the others must come first in the next call. Raises OSError."""
        return self._tls.write(data)

    def end_writing(self) -> None:
        """Tell the server that nothing more comes. Raises OSError."""
        self._say_goodbye()
        super().end_writing()

    def close(self) -> None:
        """Give the socket back. Idempotent."""
        if self.fileno() != -1:
            with suppress(OSError):  # it may be broken
                self._say_goodbye()
        super().close()

    def _say_goodbye(self) -> None:
        if not self._goodbye:
            self._goodbye = True
            self._tls.unwrap()
