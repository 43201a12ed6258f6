"""The socket of one client, encrypted with TLS."""

import ssl
import threading
import time
from contextlib import suppress
from socket import MSG_DONTWAIT, socket

from hubbub.protocol import Bye, Error
from hubbub.server.network.transport import SocketTransport
from hubbub.tls import TlsConnection

_HANDSHAKE_RECORD = 0x16  # the first byte of every TLS connection: RFC 8446, section 5.1
# A TLS client speaks first, and a lost packet is sent again after 3 s at the latest (RFC 6298, section 5.7). A client
# that waits longer waits for the server to speak first; hubbub's own client would wait at most 10 s.
FIRST_BYTE_SECONDS = 4.0
FAST_HANDSHAKE_READS = 8  # without a pause between them; most handshakes have two
SLOW_READ_PAUSE_SECONDS = 0.1  # before each further read: single bytes would wake the thread for each of them
DECRYPT_BYTES = 4_096  # decrypted at a time under the lock: 4 ms at most, if all of it is key updates
_TLS_NEEDED = "this server needs TLS; add --tls"
TLS_NEEDED_REPLY = Error("tls-needed", _TLS_NEEDED).encode() + Bye(_TLS_NEEDED).encode()


class TlsTransport(SocketTransport):
    """A connected socket with TLS, used by the same threads as a SocketTransport.

    It holds the records that the socket does not take, at most `tls.WRITE_BYTES` of text. The session's thread sends
    during the handshake, and later only the replies of TLS itself.
    """

    __slots__ = ("_close_notified", "_lock", "_reading_ended", "_tls")

    def __init__(self, connection: socket, context: ssl.SSLContext) -> None:
        super().__init__(connection)
        self._lock = threading.Lock()  # guards the two attributes below; never held while waiting for the socket
        self._tls = TlsConnection(context, lambda data: connection.send(data, MSG_DONTWAIT), server_side=True)
        self._close_notified = False  # whether close_notify was sent, after which input is ignored
        self._reading_ended = False

    def handshake(self, seconds: float) -> None:
        """Do the TLS handshake within `seconds`. Session thread only, before anything is sent.

        A client that does not speak TLS is told that it must. Raises TimeoutError, ConnectionAbortedError, or another
        OSError.
        """
        deadline = time.monotonic() + seconds
        first_byte_deadline = min(deadline, time.monotonic() + FIRST_BYTE_SECONDS)
        received, reads = False, 0
        while not self._continue_handshake():
            reads += 1
            if reads > FAST_HANDSHAKE_READS:
                time.sleep(SLOW_READ_PAUSE_SECONDS)  # the deadline ends this
            try:
                data = self._recv_until(deadline if received else first_byte_deadline)
            except TimeoutError:
                if not received:
                    super().send(TLS_NEEDED_REPLY)
                    raise TimeoutError("the client waits for the first byte, so it does not speak TLS") from None
                raise TimeoutError(f"no TLS handshake within {seconds:g} s") from None
            if data and not received and data[0] != _HANDSHAKE_RECORD:
                super().send(TLS_NEEDED_REPLY)
                raise ConnectionAbortedError("the client does not speak TLS")
            received = received or bool(data)
            with self._lock:
                self._tls.feed(data)

    def _continue_handshake(self) -> bool:
        with self._lock:
            return self._tls.do_handshake()

    def _recv_until(self, deadline: float) -> bytes:
        if (seconds := deadline - time.monotonic()) <= 0:
            raise TimeoutError
        return super().recv(seconds)

    def recv(self, timeout: float) -> bytes:
        """Return decrypted bytes, as `SocketTransport.recv` does; after our close_notify return them undecrypted.

        Raises ssl.SSLEOFError, an OSError, if the peer ends the connection without close_notify.
        """
        deadline = time.monotonic() + timeout
        text = self._read()
        while text is None:
            data = self._recv_until(deadline)
            if self._close_notified or (self._reading_ended and not data):
                return data
            text = self._decrypt(data)
        return text

    def _decrypt(self, data: bytes) -> bytes | None:
        """Return the text in `data` as `TlsConnection.read` does, in pieces, between which other threads can send."""
        texts: list[bytes] = []
        ended = False
        for start in range(0, len(data) or 1, DECRYPT_BYTES):
            text = self._read(data[start : start + DECRYPT_BYTES])
            ended = text == b""
            texts.append(text or b"")
        return b"".join(texts) or (b"" if ended else None)

    def _read(self, data: bytes | None = None) -> bytes | None:
        """Feed `data`, if given, and return the text that can be read."""
        with self._lock:
            if self._close_notified:
                return None
            if data is not None:
                self._tls.feed(data)
            return self._tls.read()

    def send(self, data: bytes) -> int:
        """Return how many bytes were taken; the next call must begin with the others. Delivery thread only."""
        try:
            with self._lock:
                return self._tls.write(data)
        except OSError:
            self.broken = True
            return 0

    def end_reading(self) -> None:
        """Make the current and every later `recv` return at once. Any thread."""
        self._reading_ended = True  # before the end arrives, which would be an error without close_notify
        super().end_reading()

    def end_writing(self) -> None:
        """Tell the peer that no more bytes follow. Delivery thread only."""
        self._send_close_notify()
        super().end_writing()

    def close(self) -> None:
        """Send close_notify and close the socket. Delivery thread only, after the session's thread has read last."""
        self._send_close_notify()
        super().close()

    def _send_close_notify(self) -> None:
        with self._lock, suppress(OSError):
            if not self._close_notified:
                self._close_notified = True
                self._tls.unwrap()
