"""The bytes of one client through TLS."""

import ssl
import threading
import time
from contextlib import suppress
from socket import MSG_DONTWAIT, socket

from hubbub.protocol import Bye, Error
from hubbub.server.network.transport import SocketTransport
from hubbub.tls import TlsConnection

_HANDSHAKE = 0x16  # the first byte of every TLS connection: RFC 8446, section 5.1
# For the first byte. Who speaks TLS speaks first, and what is lost on the way is sent again after 3 s at the latest
# (RFC 6298, section 5.7); who waits longer, waits for us. Our own client would wait no longer than 10 s.
FIRST_BYTE_SECONDS = 4.0
HANDSHAKE_READS = 8  # of a handshake, which go on at once; most have two
DRIP_SECONDS = 0.1  # before each one more: bytes that come one by one would wake a thread for each
_TLS_ONLY = "here one speaks TLS; use chat_client.py --tls, or openssl s_client instead of nc"
PIECE_BYTES = 4_096  # that are fed at once: in 4 ms at most, when they are nothing but changes of keys
NOT_TLS = Error("tls-needed", _TLS_ONLY).encode() + Bye(_TLS_ONLY).encode()


class TlsTransport(SocketTransport):
    """A connected socket with TLS on it: the same promises, and the same threads.

    What the socket does not take of the records is held here, `tls.WRITE_BYTES` of text at most. Until the handshake is
    done the session's thread sends; from then on it sends only what TLS itself has to answer.
    """

    __slots__ = ("_goodbye", "_lock", "_reading_ended", "_tls")

    def __init__(self, connection: socket, context: ssl.SSLContext) -> None:
        super().__init__(connection)
        self._lock = threading.Lock()  # guards what is below; nobody waits for the socket while he holds it
        self._tls = TlsConnection(context, lambda data: connection.send(data, MSG_DONTWAIT), server_side=True)
        self._goodbye = False  # it is said; what still comes counts for nothing
        self._reading_ended = False

    def handshake(self, seconds: float) -> None:
        """Shake hands; whoever does not speak TLS is told so. Session thread only, before anything is sent."""
        until = time.monotonic() + seconds
        first_by = min(until, time.monotonic() + FIRST_BYTE_SECONDS)
        heard, reads = b"", 0
        while not self._continue_handshake():
            reads += 1
            if reads > HANDSHAKE_READS:
                time.sleep(DRIP_SECONDS)  # it ends with the time for the handshake
            try:
                data = self._recv_until(until if heard else first_by)
            except TimeoutError:
                if not heard:
                    super().send(NOT_TLS)  # somebody who waits for us to speak first
                    raise TimeoutError("it waits for the first word, so it does not speak TLS") from None
                raise TimeoutError(f"no TLS handshake within {seconds:g} s") from None
            if data and not heard and data[0] != _HANDSHAKE:
                super().send(NOT_TLS)
                raise ConnectionAbortedError("it does not speak TLS")
            heard = heard or data
            with self._lock:
                self._tls.feed(data)

    def _continue_handshake(self) -> bool:
        with self._lock:
            return self._tls.do_handshake()

    def _recv_until(self, until: float) -> bytes:
        if (seconds := until - time.monotonic()) <= 0:
            raise TimeoutError
        return super().recv(seconds)

    def recv(self, timeout: float) -> bytes:
        """Return what has arrived, as `SocketTransport.recv` does; after our goodbye in whatever form it comes.

        Raises ssl.SSLEOFError, an OSError, when the peer ends without a goodbye.
        """
        until = time.monotonic() + timeout
        text = self._read()
        while text is None:
            data = self._recv_until(until)
            if self._goodbye or (self._reading_ended and not data):
                return data
            text = self._decrypt(data)
        return text

    def _decrypt(self, data: bytes) -> bytes | None:
        """Return the text in what came, as `TlsConnection.read` does; between two pieces of it others can send."""
        texts: list[bytes] = []
        over = False
        for start in range(0, len(data) or 1, PIECE_BYTES):
            text = self._read(data[start : start + PIECE_BYTES])
            over = text == b""
            texts.append(text or b"")
        return b"".join(texts) or (b"" if over else None)

    def _read(self, data: bytes | None = None) -> bytes | None:
        """Feed `data` if there is any, and return what can be read."""
        with self._lock:
            if self._goodbye:
                return None
            if data is not None:
                self._tls.feed(data)
            return self._tls.read()

    def send(self, data: bytes) -> int:
        """Return how many bytes were taken; the others must come first in the next call. Delivery thread only."""
        try:
            with self._lock:
                return self._tls.write(data)
        except OSError:
            self.broken = True
            return 0

    def end_reading(self) -> None:
        """Make `recv` return, now and from now on. Any thread."""
        self._reading_ended = True  # before the end comes, so that it is not taken for a cut
        super().end_reading()

    def end_writing(self) -> None:
        """Tell the peer that nothing more comes. Delivery thread only."""
        self._say_goodbye()
        super().end_writing()

    def close(self) -> None:
        """Say goodbye and give the descriptor back. Delivery thread only, when the session's thread reads no more."""
        self._say_goodbye()
        super().close()

    def _say_goodbye(self) -> None:
        with self._lock, suppress(OSError):
            if not self._goodbye:
                self._goodbye = True
                self._tls.unwrap()
