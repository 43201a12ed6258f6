"""TLS without sockets: two ends whose bytes a test carries to and fro."""

import ssl
from pathlib import Path

import pytest

from hubbub import tls
from hubbub.server.network.certificate import Certificate
from hubbub.tls import RECORD_BYTES, WRITE_BYTES, TlsConnection
from testing.certificates import Authority, unverified_context


class WireClient:
    """What one end puts on its way to the other: at most `space` bytes."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.space = 1 << 30

    def put(self, data: bytes) -> int:
        """Take what there is space for."""
        taken = data[: self.space]
        if not taken:
            raise BlockingIOError
        self.space -= len(taken)
        self.bytes += taken
        return len(taken)

    def take(self) -> bytes:
        """Return what has come, and forget it."""
        data = bytes(self.bytes)
        self.bytes.clear()
        return data


class Pair:
    """A server's end and a client's, after the handshake."""

    def __init__(self, folder: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        identity = Authority(folder).issue()
        context = unverified_context()
        context.maximum_version = version
        self.down, self.up = WireClient(), WireClient()
        self.server = TlsConnection(Certificate(identity.path, identity.path).context, self.down.put, server_side=True)
        self.client = TlsConnection(context, self.up.put, server_hostname="localhost")
        self.client.do_handshake()
        while not (self._step(self.server, self.up) & self._step(self.client, self.down)):
            pass
        assert self.client.peer_certificate
        assert tls.fingerprint(self.client.peer_certificate) == identity.fingerprint

    @staticmethod
    def _step(end: TlsConnection, wire: WireClient) -> bool:
        if data := wire.take():
            end.feed(data)
        return end.do_handshake()

    def received(self) -> bytes:
        """Return what the client can read of what came."""
        if data := self.down.take():
            self.client.feed(data)
        return self.client.read() or b""

    def send_all(self, data: bytes, *, space: int) -> bytes:
        """Send from the server, as its sender does, through a socket with `space` at a time; return what arrives."""
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
    """All that was sent, in however many records, in one go."""
    for text in (b"one\n", b"two\n"):
        assert pair.server.write(text) == 4
    assert pair.received() == b"one\ntwo\n"
    assert pair.client.read() is None


def test_records_cut_anywhere(pair: Pair) -> None:
    """A record counts when its last byte is here."""
    pair.server.write(b"a line\n")
    data = pair.down.take()
    for position in range(len(data) - 1):
        pair.client.feed(data[position : position + 1])
        assert pair.client.read() is None
    pair.client.feed(data[-1:])
    assert pair.client.read() == b"a line\n"


@pytest.mark.parametrize("space", [1, 7, 100, 20_000, 70_000, 1_000_000])
def test_what_the_socket_does_not_take_goes_first(pair: Pair, space: int) -> None:
    """No byte is lost or doubled, however little is taken each time."""
    size = 300 if space < 100 else 3 * WRITE_BYTES + 5
    data = bytes(number % 251 for number in range(size))
    assert pair.send_all(data, space=space) == data


def test_records_that_are_held_are_told(pair: Pair) -> None:
    """The last byte is not told as taken, though it is in them; with it, alone or before others, they go."""
    pair.down.space = 10
    assert pair.server.write(b"a line\n") == 6
    assert pair.server.write(b"\n") == 0
    pair.down.space = 1_000
    assert pair.server.write(b"\nmore\n") == 6
    assert pair.received() == b"a line\nmore\n"


def test_a_socket_that_takes_nothing_holds_one_write(pair: Pair) -> None:
    """What is held is bounded, whatever is offered."""
    pair.down.space = 0
    assert pair.server.write(bytes(10_000_000)) == WRITE_BYTES - 1
    pair.down.space = 1 << 30
    assert pair.server.flush()
    assert WRITE_BYTES < len(pair.down.bytes) < WRITE_BYTES + 1_000


def test_a_peer_that_makes_us_answer_and_takes_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held for him has a limit, beyond which nothing more of his is read."""
    monkeypatch.setattr(tls, "MAX_HELD_BYTES", 100)
    pair.down.space = 0
    pair.server.write(bytes(100))
    pair.client.write(b"and more\n")
    pair.server.feed(pair.up.take())
    with pytest.raises(ConnectionAbortedError, match="does not receive them"):
        pair.server.read()


def test_many_small_records_say_something(pair: Pair) -> None:
    """Who sends each byte in a record of its own is as slow as that, but no attacker."""
    for _ in range(5_000):
        pair.client.write(b"x")
    pair.server.feed(pair.up.take())
    assert pair.server.read() == b"x" * 5_000


def test_the_goodbye_ends_the_text(pair: Pair) -> None:
    """After all that was sent, once and for all."""
    pair.server.write(b"last words\n")
    pair.server.unwrap()
    assert pair.received() == b"last words\n"
    assert pair.client.read() == b""
    pair.client.feed(b"")
    assert pair.client.read() == b""


def test_an_end_without_goodbye_is_a_cut(pair: Pair) -> None:
    """What came before it counts."""
    pair.server.write(b"a line\n")
    assert pair.received() == b"a line\n"
    pair.client.feed(b"")
    with pytest.raises(ssl.SSLEOFError):
        pair.client.read()


def test_a_forged_byte_ends_it(pair: Pair) -> None:
    """A record that was changed on its way is not read."""
    pair.server.write(b"a line\n")
    data = bytearray(pair.down.take())
    data[-1] ^= 1
    pair.client.feed(bytes(data))
    with pytest.raises(ssl.SSLError, match=r"(?i)bad record mac|decryption failed"):
        pair.client.read()


def test_a_failed_handshake_tells_the_peer_why(tmp_path: Path) -> None:
    """Its alert goes out before the error is raised."""
    identity = Authority(tmp_path).issue()
    wire = WireClient()
    server = TlsConnection(Certificate(identity.path, identity.path).context, wire.put, server_side=True)
    server.feed(b"\x16\x03\x01" + b"x" * RECORD_BYTES)
    with pytest.raises(ssl.SSLError):
        server.do_handshake()
    assert wire.bytes[0] == 0x15  # an alert
