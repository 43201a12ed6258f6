"""The transports of the client: a socket, with or without TLS. They never wait, and are for one thread at a time."""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from hubbub.tls import TlsConnection

CHUNK_BYTES = 65_536  # of one receive or send: more is no faster on loopback


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
        """Send some of `data`; return how many bytes. The rest must come first in the next call. Raises OSError."""
        with suppress(BlockingIOError):
            return self._sock.send(data)
        return 0

    def end_writing(self) -> None:
        """End our side of the connection. Raises OSError."""
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket. Idempotent."""
        self._sock.close()


class TlsTransport(SocketTransport):
    """A connected socket with TLS. The caller of `open` checks the certificate."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, host: str) -> None:
        super().__init__(sock)
        self._tls = TlsConnection(context, sock.send, server_hostname=host)
        self._goodbye_sent = False  # it is sent; what still arrives is dropped

    def open(self, wait: Callable[[], None]) -> None:
        """Do the handshake; `wait` waits until the socket is readable, and may raise. Raises OSError.

        The server's first line may come with its last bytes of the handshake: read once before waiting for more.
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
        if self._goodbye_sent:
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
            raise ConnectionAbortedError("it was cut off without a TLS goodbye") from error

    def send(self, data: bytes) -> int:
        """Send some of `data`; return how many bytes. The rest must come first in the next call. Raises OSError."""
        return self._tls.write(data)

    def end_writing(self) -> None:
        """End our side of the connection. Raises OSError."""
        self._send_goodbye()
        super().end_writing()

    def close(self) -> None:
        """Close the socket. Idempotent."""
        if self.fileno() != -1:
            with suppress(OSError):  # it may be broken
                self._send_goodbye()
        super().close()

    def _send_goodbye(self) -> None:
        if not self._goodbye_sent:
            self._goodbye_sent = True
            self._tls.unwrap()
