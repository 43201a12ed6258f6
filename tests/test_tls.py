"""TLS without sockets: two connected ends, between which the test carries the bytes."""

import ssl
from pathlib import Path

import pytest

from hubbub import tls
from hubbub.server.network.certificate import Certificate
from hubbub.tls import RECORD_BYTES, WRITE_BYTES, TlsConnection
from testing.certificates import Authority, unverified_context


class Wire:
    """The bytes on their way from one end to the other. It takes at most `space` more."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.space = 1 << 30

    def send(self, data: bytes) -> int:
        """Take as many bytes as there is space for. Raises BlockingIOError for none."""
        taken = data[: self.space]
        if not taken:
            raise BlockingIOError
        self.space -= len(taken)
        self.bytes += taken
        return len(taken)

    def take(self) -> bytes:
        """Remove and return the bytes."""
        data = bytes(self.bytes)
        self.bytes.clear()
        return data


class Pair:
    """A server's and a client's end after the handshake."""

    def __init__(self, folder: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        identity = Authority(folder).issue()
        context = unverified_context()
        context.maximum_version = version
        self.down, self.up = Wire(), Wire()
        self.server = TlsConnection(Certificate(identity.path, identity.path).context, self.down.send, server_side=True)
        self.client = TlsConnection(context, self.up.send, server_hostname="localhost")
        self.client.do_handshake()
        while not (self._step(self.server, self.up) & self._step(self.client, self.down)):
            pass
        assert self.client.peer_certificate
        assert tls.fingerprint(self.client.peer_certificate) == identity.fingerprint

    @staticmethod
    def _step(end: TlsConnection, wire: Wire) -> bool:
        if data := wire.take():
            end.feed(data)
        return end.do_handshake()

    def received(self) -> bytes:
        """Return the text that the client can read."""
        if data := self.down.take():
            self.client.feed(data)
        return self.client.read() or b""

    def send_all(self, data: bytes, *, space: int) -> bytes:
        """Send from the server through a socket that takes `space` at a time; return what arrives."""
        arrived = b""
        while data:
            self.down.space = space
            data = data[self.server.write(data) :]
            arrived += self.received()
        return arrived


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def pair(tmp_path: Path, request: pytest.FixtureRequest) -> Pair:
    return Pair(tmp_path, request.param)


def test_text_arrives(pair: Pair) -> None:
    """One read returns the text of several records."""
    for text in (b"one\n", b"two\n"):
        assert pair.server.write(text) == 4
    assert pair.received() == b"one\ntwo\n"
    assert pair.client.read() is None


def test_records_cut_anywhere(pair: Pair) -> None:
    """A record is read when its last byte has arrived."""
    pair.server.write(b"a line\n")
    data = pair.down.take()
    for position in range(len(data) - 1):
        pair.client.feed(data[position : position + 1])
        assert pair.client.read() is None
    pair.client.feed(data[-1:])
    assert pair.client.read() == b"a line\n"


@pytest.mark.parametrize("space", [1, 7, 100, 20_000, 70_000, 1_000_000])
def test_partial_sends(pair: Pair, space: int) -> None:
    """No byte is lost or sent twice, however little is taken each time."""
    size = 300 if space < 100 else 3 * WRITE_BYTES + 5
    data = bytes(number % 251 for number in range(size))
    assert pair.send_all(data, space=space) == data


def test_held_records_are_reported(pair: Pair) -> None:
    """The last byte counts as not taken; the next write, which starts with it, sends the records."""
    pair.down.space = 10
    assert pair.server.write(b"a line\n") == 6
    assert pair.server.write(b"\n") == 0
    pair.down.space = 1_000
    assert pair.server.write(b"\nmore\n") == 6
    assert pair.received() == b"a line\nmore\n"


def test_a_socket_that_takes_nothing_holds_one_write(pair: Pair) -> None:
    """The held bytes are limited, whatever is written."""
    pair.down.space = 0
    assert pair.server.write(bytes(10_000_000)) == WRITE_BYTES - 1
    pair.down.space = 1 << 30
    assert pair.server.flush()
    assert WRITE_BYTES < len(pair.down.bytes) < WRITE_BYTES + 1_000


def test_peer_that_requests_replies_and_receives_none(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The held bytes have a limit, beyond which reading fails."""
    monkeypatch.setattr(tls, "MAX_HELD_BYTES", 100)
    pair.down.space = 0
    pair.server.write(bytes(100))
    pair.client.write(b"and more\n")
    pair.server.feed(pair.up.take())
    with pytest.raises(ConnectionAbortedError, match="does not receive them"):
        pair.server.read()


def test_many_small_records(pair: Pair) -> None:
    """A peer that sends each byte in a record of its own is slow, but not an attacker."""
    for _ in range(5_000):
        pair.client.write(b"x")
    pair.server.feed(pair.up.take())
    assert pair.server.read() == b"x" * 5_000


def test_close_notify_ends_the_text(pair: Pair) -> None:
    """It comes after all text, and every later read returns it again."""
    pair.server.write(b"last words\n")
    pair.server.unwrap()
    assert pair.received() == b"last words\n"
    assert pair.client.read() == b""
    pair.client.feed(b"")
    assert pair.client.read() == b""


def test_end_without_close_notify(pair: Pair) -> None:
    """The text before it is read."""
    pair.server.write(b"a line\n")
    assert pair.received() == b"a line\n"
    pair.client.feed(b"")
    with pytest.raises(ssl.SSLEOFError):
        pair.client.read()


def test_changed_record_is_an_error(pair: Pair) -> None:
    """Its text is not returned."""
    pair.server.write(b"a line\n")
    data = bytearray(pair.down.take())
    data[-1] ^= 1
    pair.client.feed(bytes(data))
    with pytest.raises(ssl.SSLError, match=r"(?i)bad record mac|decryption failed"):
        pair.client.read()


def test_failed_handshake_sends_an_alert(tmp_path: Path) -> None:
    """The alert is sent before the error is raised."""
    identity = Authority(tmp_path).issue()
    wire = Wire()
    server = TlsConnection(Certificate(identity.path, identity.path).context, wire.send, server_side=True)
    server.feed(b"\x16\x03\x01" + b"x" * RECORD_BYTES)
    with pytest.raises(ssl.SSLError):
        server.do_handshake()
    assert wire.bytes[0] == 0x15  # an alert
