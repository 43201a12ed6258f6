"""TLS without a socket, the same for server and client: bytes in, bytes out.

An SSLObject over two memory buffers, and not an SSLSocket: one OpenSSL object must never be used by two threads at once
(python/cpython issue 151508), and here whoever shares it can hold a lock just for that, and wait for bytes without it.
"""

import hashlib
import ssl
from collections.abc import Callable
from contextlib import suppress

OLDEST = ssl.TLSVersion.TLSv1_2  # what came before has known weaknesses, RFC 8996
HANDSHAKE_SECONDS = 10.0  # for the whole of it; it takes two round trips
RECORD_BYTES = 16_384  # of text in one record, at most: RFC 8446, section 5.1
WRITE_BYTES = 65_536  # of text that are encrypted in one go, and so what is held for a socket that takes no more
HELD_BYTES = 2 * WRITE_BYTES  # of one write as records, and of what the peer makes us answer; more is malice
OVERHEAD_BYTES = 32  # of a record beside its text: 22 or 29
SILENT_BYTES = 32_768  # that came and are no text nor its overhead: a record of which the end is missing, and as much
# of TLS's own, of which a peer needs next to nothing. A change of keys has 27 bytes and costs 25 µs (OpenSSL 3.0).


class Tls:
    """One end of a connection. It is not for two threads at once: whoever shares it brings the lock.

    `put` sends bytes and returns how many it took; it may raise BlockingIOError for none. What it does not take is held
    and goes first the next time, so that no record is ever torn or sent twice. Each method may raise OSError, of which
    ssl.SSLError is one, when the peer breaks the rules or `put` fails; the connection is then over.
    """

    __slots__ = ("_ahead", "_held", "_incoming", "_outgoing", "_over", "_put", "_silent", "_tls")

    def __init__(
        self,
        context: ssl.SSLContext,
        put: Callable[[bytes], int],
        *,
        server_side: bool = False,
        host: str | None = None,
    ) -> None:
        """`host` is what a client calls the server, and what the certificate has to say if `context` checks that."""
        self._put = put
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side, server_hostname=host)
        self._held = b""  # records that `put` has not taken yet
        self._ahead = 0  # bytes that are encrypted already, though `send` has not told so
        self._over = False  # the peer said goodbye
        self._silent = 0  # bytes since the handshake that brought no text yet

    def shake_hands(self) -> bool:
        """Go on with the handshake; return whether it is done. If not, the peer's next bytes must be fed."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self.flush()  # where it failed, the alert that says why
        self._silent = 0
        return True

    @property
    def certificate(self) -> bytes:
        """The peer's certificate in DER, after the handshake; empty if it showed none."""
        return self._tls.getpeercert(binary_form=True) or b""

    def feed(self, data: bytes) -> None:
        """Take what came from the peer; ``b""`` is the end of the stream."""
        if data:
            self._incoming.write(data)
            self._silent += len(data)
        else:
            self._incoming.write_eof()

    def read(self) -> bytes | None:
        """Return all the text that was fed, None if there is none yet, and ``b""`` once the peer has said goodbye.

        Raises ssl.SSLEOFError where the stream ended without a goodbye, ConnectionAbortedError where the peer keeps us
        busy and says nothing.
        """
        texts: list[bytes] = []
        try:
            while text := self._tls.read(RECORD_BYTES):
                texts.append(text)
            self._over = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # what `read` raises instead of returning b"" where we said goodbye ourselves
            self._over = True
        self.flush()
        if len(self._held) > HELD_BYTES:
            raise ConnectionAbortedError("the peer makes us answer and takes no answer")
        text = b"".join(texts)
        self._silent = max(0, self._silent - len(text) * (1 + OVERHEAD_BYTES))  # each byte may be a record of its own
        if self._silent > SILENT_BYTES:
            raise ConnectionAbortedError("the peer sends much and says nothing")
        return text if text or self._over else None

    def send(self, data: bytes) -> int:
        """Encrypt and send; return how many bytes were taken. The others must come first in the next call.

        Where records are held in the end, the last byte is not told as taken, though it is in them: so whoever sends
        knows that something is left to do, and when he comes with that byte again, it is passed over.
        """
        if not self.flush():
            return 0
        taken, self._ahead = self._ahead, 0
        text = memoryview(data)
        while taken < len(data):
            taken += self._tls.write(text[taken : taken + WRITE_BYTES])
            if not self.flush():
                self._ahead = 1
                return taken - 1
        return taken

    def flush(self) -> bool:
        """Send what is held; return whether nothing is held any more."""
        self._held += self._outgoing.read()
        if self._held:
            with suppress(BlockingIOError):
                self._held = self._held[self._put(self._held) :]
        return not self._held

    def say_goodbye(self) -> None:
        """Tell the peer, as far as the socket takes it, that this is the end and not a cut."""
        with suppress(ssl.SSLError):  # the peer's goodbye is not here yet, or something is wrong with the connection
            self._tls.unwrap()
        self.flush()


def fingerprint(certificate: bytes) -> str:
    """Return the SHA-256 of a certificate in DER, as `openssl x509 -fingerprint -sha256` shows it."""
    return hashlib.sha256(certificate).digest().hex(":").upper()
