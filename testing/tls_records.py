"""TLS records that no library sends: OpenSSL does the handshake, then this module makes records with its keys.

TLS 1.2 as in RFC 5246 and RFC 5288, TLS 1.3 as in RFC 8446, each with only the cipher that the handshake offers.
"""

import hmac
import select
import socket
from collections import Counter
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from OpenSSL import SSL

ALERT, HANDSHAKE, TEXT = 0x15, 0x16, 0x17  # kinds of records
_VERSION = b"\x03\x03"
_HEADER_BYTES = 5
_TAG_BYTES = 16
_CLIENT_HELLO = b"\x01\x00\x00\x00"  # the header of a ClientHello, of which OpenSSL reads nothing else
_KEY_UPDATE = b"\x18\x00\x00\x01\x01"  # update_requested: the peer updates its keys, too


def _header(kind: int, size: int) -> bytes:
    return bytes([kind]) + _VERSION + size.to_bytes(2, "big")


class _Direction12:
    """The record layer of one direction, TLS 1.2."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._key, self._salt = AESGCM(key), salt
        self._number = 1  # of the next record; the handshake's last was 0

    def seal(self, kind: int, text: bytes) -> bytes:
        """Return a record."""
        number = self._count()
        sealed = number + self._key.encrypt(self._salt + number, text, number + _header(kind, len(text)))
        return _header(kind, len(sealed)) + sealed

    def open(self, record: bytes) -> tuple[int, bytes]:
        """Return the kind and the text of a record. Raises InvalidTag."""
        kind, nonce, sealed = record[0], record[_HEADER_BYTES : _HEADER_BYTES + 8], record[_HEADER_BYTES + 8 :]
        known = self._count() + _header(kind, len(sealed) - _TAG_BYTES)
        return kind, self._key.decrypt(self._salt + nonce, sealed, known)

    def _count(self) -> bytes:
        self._number += 1
        return (self._number - 1).to_bytes(8, "big")


class _Direction13:
    """The record layer of one direction, TLS 1.3."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._key, self._salt = AESGCM(_expand_13(secret, b"key", 32)), _expand_13(secret, b"iv", 12)
        self._number = 0  # of the next record

    def next(self) -> "_Direction13":
        """Return the record layer after a key update."""
        return _Direction13(_expand_13(self._secret, b"traffic upd", 48))

    def seal(self, kind: int, text: bytes) -> bytes:
        """Return a record."""
        header = _header(TEXT, len(text) + 1 + _TAG_BYTES)
        return header + self._key.encrypt(self._count(), text + bytes([kind]), header)

    def open(self, record: bytes) -> tuple[int, bytes]:
        """Return the kind and the text of a record. Raises InvalidTag."""
        text = self._key.decrypt(self._count(), record[_HEADER_BYTES:], record[:_HEADER_BYTES])
        return text[-1], text[:-1]

    def _count(self) -> bytes:
        nonce = int.from_bytes(self._salt, "big") ^ self._number
        self._number += 1
        return nonce.to_bytes(len(self._salt), "big")


def _expand_12(secret: bytes, seed: bytes, size: int) -> bytes:
    """Return the output of the PRF of RFC 5246, section 5."""
    made, link = b"", seed
    while len(made) < size:
        link = hmac.digest(secret, link, "sha256")
        made += hmac.digest(secret, link + seed, "sha256")
    return made[:size]


def _expand_13(secret: bytes, label: bytes, size: int) -> bytes:
    """Return HKDF-Expand-Label of RFC 8446, section 7.1; `size` is at most one block."""
    info = size.to_bytes(2, "big") + bytes([len(label) + 6]) + b"tls13 " + label + b"\0"
    return hmac.digest(secret, info + b"\1", "sha384")[:size]


class Forger:
    """A TLS connection whose records are made here; `flood` makes the records of an attack."""

    _sending: _Direction12 | _Direction13
    _receiving: _Direction12 | _Direction13

    def __init__(self, connection: socket.socket) -> None:
        """Do the handshake within the socket's timeout. Raises OSError or SSL.Error."""
        self.kinds: Counter[int] = Counter()  # kinds of received records
        self._rest = b""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        self._prepare(context)
        tls = SSL.Connection(context, connection)
        tls.set_connect_state()
        self._handshake(tls, connection)
        self._derive_keys(tls)

    @staticmethod
    def _handshake(tls: SSL.Connection, connection: socket.socket) -> None:
        while True:
            try:
                tls.do_handshake()
            except SSL.WantReadError:
                if not select.select([connection], [], [], connection.gettimeout())[0]:
                    raise TimeoutError("no TLS handshake") from None
            else:
                return

    def _prepare(self, context: SSL.Context) -> None:
        raise NotImplementedError

    def _derive_keys(self, tls: SSL.Connection) -> None:
        raise NotImplementedError

    def flood(self, count: int) -> bytes:
        """Return `count` records of the attack."""
        raise NotImplementedError

    def encrypt(self, text: bytes) -> bytes:
        """Return a record with application data."""
        return self._sending.seal(TEXT, text)

    def read(self, data: bytes) -> bytes:
        """Return the application data in `data` from the server; none after a record that cannot be decrypted."""
        text = b""
        for record in self._split(data):
            try:
                kind, content = self._receiving.open(record)
            except InvalidTag:
                break
            self.kinds[kind] += 1
            if kind == TEXT:
                text += content
            elif kind == HANDSHAKE and isinstance(self._receiving, _Direction13):
                self._receiving = self._receiving.next()
        return text

    def _split(self, data: bytes) -> Iterator[bytes]:
        self._rest += data
        while len(self._rest) >= _HEADER_BYTES:
            end = _HEADER_BYTES + int.from_bytes(self._rest[3:_HEADER_BYTES], "big")
            if len(self._rest) < end:
                return
            record, self._rest = self._rest[:end], self._rest[end:]
            yield record


class Renegotiator(Forger):
    """A TLS 1.2 connection that requests renegotiation."""

    def _prepare(self, context: SSL.Context) -> None:
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(b"ECDHE-ECDSA-AES128-GCM-SHA256")

    def _derive_keys(self, tls: SSL.Connection) -> None:
        master, client, server = tls.master_key(), tls.client_random(), tls.server_random()
        assert master is not None and client is not None and server is not None  # the handshake is complete
        keys = _expand_12(master, b"key expansion" + server + client, 40)
        self._sending, self._receiving = _Direction12(keys[:16], keys[32:36]), _Direction12(keys[16:32], keys[36:])

    def flood(self, count: int) -> bytes:
        """Return `count` requests for renegotiation."""
        return b"".join(self._sending.seal(HANDSHAKE, _CLIENT_HELLO) for _ in range(count))


class KeyUpdater(Forger):
    """A TLS 1.3 connection that updates its keys and requests that the server does so, too."""

    def _prepare(self, context: SSL.Context) -> None:
        self._secrets: dict[bytes, bytes] = {}
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.set_keylog_callback(self._record_secret)

    def _record_secret(self, _: SSL.Connection, line: bytes) -> None:
        label, _client_random, secret = line.split()
        self._secrets[label] = bytes.fromhex(secret.decode())

    def _derive_keys(self, tls: SSL.Connection) -> None:
        assert tls.get_cipher_name() == "TLS_AES_256_GCM_SHA384"  # OpenSSL's first choice
        self._sending, self._receiving = (
            _Direction13(self._secrets[who + b"_TRAFFIC_SECRET_0"]) for who in (b"CLIENT", b"SERVER")
        )

    def flood(self, count: int) -> bytes:
        """Return `count` key updates."""
        records = []
        for _ in range(count):
            assert isinstance(self._sending, _Direction13)
            records.append(self._sending.seal(HANDSHAKE, _KEY_UPDATE))
            self._sending = self._sending.next()
        return b"".join(records)
