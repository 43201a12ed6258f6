"""TLS without a socket, for server and client: encrypted bytes in, text out, and the other way round.

This is an `ssl.SSLObject` over two `ssl.MemoryBIO`s instead of an SSLSocket. Two threads must never use one OpenSSL
object at the same time (python/cpython issue 151508). An SSLSocket would hold a lock while it waits for the peer. Here
a caller waits for bytes without the lock, and takes it only to encrypt or decrypt.
"""

import hashlib
import ssl
from collections.abc import Callable
from contextlib import suppress

MIN_TLS_VERSION = ssl.TLSVersion.TLSv1_2  # earlier versions have known weaknesses, RFC 8996
HANDSHAKE_SECONDS = 10.0  # for the whole handshake, which takes two round trips
RECORD_BYTES = 16_384  # the most text in one record: RFC 8446, section 5.1
WRITE_BYTES = 65_536  # of text encrypted at a time: no more text is held when the socket takes nothing
MAX_HELD_BYTES = 2 * WRITE_BYTES  # the records of one write, and TLS's replies to the peer; more is an attack
RECORD_OVERHEAD_BYTES = 32  # of a record beside its text: 22 or 29
# The most input without text: one unfinished record, and as many bytes of TLS's own messages, of which a peer needs
# hardly any. A key update has 27 bytes and costs 25 µs (OpenSSL 3.0).
MAX_TEXTLESS_BYTES = 32_768


class TlsConnection:
    """One end of a TLS connection. It is not thread-safe: threads that share it need a lock.

    `send` sends bytes and returns how many it took; it may raise BlockingIOError for none. Records that it does not
    take are held and go first the next time, so no record is cut off or sent twice. Each method may raise OSError (of
    which ssl.SSLError is a subclass) when the peer breaks the rules or `send` fails; the connection is then over.
    """

    __slots__ = ("_ended", "_held", "_incoming", "_outgoing", "_send", "_textless", "_tls", "_unreported")

    def __init__(
        self,
        context: ssl.SSLContext,
        send: Callable[[bytes], int],
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        """Create a connection before its handshake. A client gives the `server_hostname`, which `context` may check."""
        self._send = send
        # A stream that ends without close_notify was cut. Some versions of Python ignore that by default (3.11.2 does).
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self._held = b""  # records that `send` has not taken yet
        self._unreported = 0  # bytes that are encrypted already, but not counted in what `write` returned
        self._ended = False  # the peer sent its close_notify
        self._textless = 0  # bytes since the handshake that brought no text yet

    def do_handshake(self) -> bool:
        """Continue the handshake; return whether it is done. If not, feed the peer's next bytes and call again."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise _classify(error) from None
        finally:
            self.flush()  # after a failure this sends the alert that says why
        self._textless = 0
        return True

    @property
    def peer_certificate(self) -> bytes:
        """The peer's certificate in DER, after the handshake; empty if it sent none."""
        return self._tls.getpeercert(binary_form=True) or b""

    def feed(self, data: bytes) -> None:
        """Add bytes that came from the peer; ``b""`` is the end of the stream."""
        if data:
            self._incoming.write(data)
            self._textless += len(data)
        else:
            self._incoming.write_eof()

    def read(self) -> bytes | None:
        """Return the text of all complete records: None if there is none yet, ``b""`` after the peer's close_notify.

        Raises ssl.SSLEOFError if the stream ended without a close_notify, and ConnectionAbortedError if the peer sends
        much without any text.
        """
        texts: list[bytes] = []
        try:
            while text := self._tls.read(RECORD_BYTES):
                texts.append(text)
            self._ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # `read` raises this instead of returning b"" after our own close_notify
            self._ended = True
        except ssl.SSLError as error:
            raise _classify(error) from None
        self.flush()
        if len(self._held) > MAX_HELD_BYTES:
            raise ConnectionAbortedError("the peer requests TLS replies and does not receive them")
        text = b"".join(texts)
        # Each byte of text may be a record of its own.
        self._textless = max(0, self._textless - len(text) * (1 + RECORD_OVERHEAD_BYTES))
        if self._textless > MAX_TEXTLESS_BYTES:
            raise ConnectionAbortedError("the peer sends TLS messages without text")
        return text if text or self._ended else None

    def write(self, data: bytes) -> int:
        """Encrypt and send `data`; return how many bytes were taken. The next call must start with the others.

        If records are still held at the end, the last byte counts as not taken, although a record contains it. So the
        caller knows to call again; this method then skips the byte.
        """
        if not self.flush():
            return 0
        taken, self._unreported = self._unreported, 0
        text = memoryview(data)
        while taken < len(data):
            taken += self._tls.write(text[taken : taken + WRITE_BYTES])
            if not self.flush():
                self._unreported = 1
                return taken - 1
        return taken

    def flush(self) -> bool:
        """Send what is held; return whether nothing is held any more."""
        self._held += self._outgoing.read()
        if self._held:
            with suppress(BlockingIOError):
                self._held = self._held[self._send(self._held) :]
        return not self._held

    def unwrap(self) -> None:
        """Send the close_notify as far as the socket takes it: it tells the peer that no bytes are missing."""
        with suppress(ssl.SSLError):  # the peer's close_notify is not here yet, or the connection is broken
            self._tls.unwrap()
        self.flush()


def fingerprint(certificate: bytes) -> str:
    """Return the SHA-256 of a certificate in DER, as `openssl x509 -fingerprint -sha256` shows it."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def _classify(error: ssl.SSLError) -> ssl.SSLError:
    """Return an SSLEOFError for a stream that was cut, for which Python 3.11.2 raises its base class."""
    if error.reason == "UNEXPECTED_EOF_WHILE_READING" and not isinstance(error, ssl.SSLEOFError):
        return ssl.SSLEOFError(*error.args)
    return error
