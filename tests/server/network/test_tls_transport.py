"""A server that speaks TLS, on real sockets: who gets in, who does not, and how it ends."""

import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from loguru import logger
from OpenSSL import SSL

from hubbub.client.session import ANSWER_SECONDS
from hubbub.protocol import TEXT_CHARS
from hubbub.server.access.limits import Limits
from hubbub.server.journal.sqlite import SqliteJournal
from hubbub.server.network.certificate import Certificate
from hubbub.server.network.tls_transport import FAST_HANDSHAKE_READS, FIRST_BYTE_SECONDS, SLOW_READ_PAUSE_SECONDS
from hubbub.server.network.transport import SocketTransport
from hubbub.server.server import ChatServer
from testing.certificates import Authority, Identity, trusting_context, unverified_context
from testing.server import FAST_LIMITS, serving
from testing.tls_records import Forger, KeyUpdater, Renegotiator
from testing.waiting import TIMEOUT_SECONDS, eventually
from testing.wire_client import WireClient

HASTY = Limits(rate=0, grace_seconds=0, handshake_seconds=0.3)
PEOPLE = 64  # at once
LINES = 20  # of each of them


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def identity(authority: Authority) -> Identity:
    return authority.issue()


@contextlib.contextmanager
def serving_tls(identity: Identity, limits: Limits = FAST_LIMITS) -> Iterator[ChatServer]:
    with serving(certificate=Certificate(identity.path, identity.path), limits=limits) as server:
        yield server


@pytest.fixture
def server(identity: Identity) -> Iterator[ChatServer]:
    with serving_tls(identity) as made:
        yield made


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "log"
    sink = logger.add(path, diagnose=False)
    yield path
    logger.remove(sink)


def limited_to(version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return what a client has who speaks this version alone."""
    context = unverified_context()
    context.set_ciphers("ALL:@SECLEVEL=0")  # or OpenSSL would not even offer the old ones
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


def rest(sock: socket.socket) -> bytes:
    """Return what comes until the end."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while more := sock.recv(65_536):
            data += more
    return data


# --------------------------------------------------------------------------------------------------------- who gets in


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_people_chat(server: ChatServer, version: ssl.TLSVersion) -> None:
    """As they do without TLS."""
    with (
        WireClient(server.address, "alice", context=limited_to(version)) as alice,
        WireClient(server.address, "bob", context=unverified_context()) as bob,
    ):
        alice.send("hello")
        assert bob.read_match() == alice.read_match()
        alice.send("/exit")
        assert alice.read_to_end() == ["/bye see you"]  # and the goodbye of TLS, or there would be an error


def test_the_certificate_is_verified(server: ChatServer, authority: Authority, tmp_path: Path) -> None:
    """Whoever trusts its authority gets in; whoever trusts another does not want to."""
    WireClient(server.address, "alice", context=trusting_context(authority.path)).socket.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        WireClient(server.address, context=trusting_context(Authority(tmp_path, "other").path))


def test_an_old_version_is_refused(server: ChatServer) -> None:
    """TLS 1.2 is the oldest."""
    with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"):
        WireClient(server.address, context=limited_to(ssl.TLSVersion.TLSv1_1))


def test_resume(server: ChatServer) -> None:
    """Nothing that was said meanwhile is missing."""
    with WireClient(server.address, "bob", context=unverified_context()) as bob:
        alice = WireClient(server.address, context=unverified_context())
        alice.send("/name alice")
        token = alice.read_match("/welcome").split()[3]
        bob.read_until("/joined")
        alice.socket.close()
        bob.read_until("/left")
        bob.send("one", "two")
        bob.read_until("/say lobby 2 ")
        with WireClient(server.address, context=unverified_context()) as again:
            again.send(f"/resume {token} lobby 0")
            assert [line.split()[-1] for line in again.read_until("/say lobby 2 ") if line.startswith("/say")] == [
                "one",
                "two",
            ]


def test_many_at_once(server: ChatServer) -> None:
    """Everybody gets every line, in one order; each of them reads and writes in a thread of his own."""
    start = threading.Barrier(PEOPLE)

    def chat(number: int) -> list[str]:
        with WireClient(server.address, f"p{number}", context=unverified_context()) as wire:
            start.wait(TIMEOUT_SECONDS)
            wire.send(*(f"{number} {line} {'x' * line * 50}" for line in range(LINES)))
            lines = wire.read_until(f"/say lobby {PEOPLE * LINES} ")
            start.wait(TIMEOUT_SECONDS * 3)
            return [line for line in lines if line.startswith("/say")]

    with ThreadPoolExecutor(PEOPLE) as pool:
        heard = list(pool.map(chat, range(PEOPLE)))
    assert len(heard[0]) == PEOPLE * LINES
    assert all(lines == heard[0] for lines in heard)


# ----------------------------------------------------------------------------------------------------- who does not


def test_a_silent_handshake_ends_while_others_chat(identity: Identity, log: Path) -> None:
    """It has its time and no more, and holds up nobody: not the chat, and not those who come."""
    with serving_tls(identity, HASTY) as server, socket.create_connection(server.address) as silent:
        silent.settimeout(TIMEOUT_SECONDS)
        silent.send(b"\x16\x03\x01")  # the beginning of a handshake
        with WireClient(server.address, "alice", context=unverified_context()) as alice:
            alice.send("hello")
            alice.read_match()
            assert rest(silent) == b""
            assert alice.sync() == []
    assert "no TLS handshake within 0.3 s" in log.read_text()


def test_a_handshake_that_drips_is_read_seldom(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some reads each waits first, so that bytes that come one by one do not keep the server busy."""
    waits: list[float] = []
    monkeypatch.setattr("hubbub.server.network.tls_transport.time.sleep", waits.append)
    bytes_ = iter([b"\x16", b"\x03", b"\x01", b"\x3f", *[b"\xff"] * 16, b""])
    monkeypatch.setattr(SocketTransport, "recv", lambda *_: next(bytes_))
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        channel = Certificate(identity.path, identity.path).wrap_connection(listener.accept()[0])
        with pytest.raises(ssl.SSLError):
            channel.handshake(TIMEOUT_SECONDS)
        channel.close()
    assert waits == [SLOW_READ_PAUSE_SECONDS] * (21 - FAST_HANDSHAKE_READS)


def test_a_slow_handshake_has_no_more_time(identity: Identity) -> None:
    """A byte now and then does not hold the connection beyond its time."""
    with serving_tls(identity, HASTY) as server, socket.create_connection(server.address) as slow:
        slow.send(b"\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb")  # the beginning of a long one
        over = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not over.wait(0.02):
                    slow.send(b"x")

        dripping = threading.Thread(target=drip)
        dripping.start()
        slow.settimeout(TIMEOUT_SECONDS)
        try:
            assert rest(slow) == b""
        finally:
            over.set()
            dripping.join()


def test_a_plain_client_is_told(identity: Identity, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waits for the first word, long before the time for a handshake is over."""
    monkeypatch.setattr("hubbub.server.network.tls_transport.FIRST_BYTE_SECONDS", 0.2)
    with serving_tls(identity) as server, WireClient(server.address) as plain:
        assert [line.split()[:2] for line in plain.read_to_end()] == [["/error", "tls-needed"], ["/bye", "This"]]
    assert "the client waits for the first byte, so it does not speak TLS" in log.read_text()


def test_a_handshake_that_has_begun_has_all_its_time(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only silence from the start is taken for a client without TLS."""
    monkeypatch.setattr("hubbub.server.network.tls_transport.FIRST_BYTE_SECONDS", 0.2)
    with serving_tls(identity) as server, socket.create_connection(server.address) as slow:
        slow.settimeout(0.5)
        slow.send(b"\x16\x03\x01")
        with pytest.raises(TimeoutError):
            slow.recv(1)


def test_our_client_learns_of_tls_in_time() -> None:
    """It is told before it gives up."""
    assert FIRST_BYTE_SECONDS < ANSWER_SECONDS / 2


@pytest.mark.parametrize("garbage", [b"/name alice\n", b"GET / HTTP/1.1\r\n\r\n", bytes(1_000)])
def test_garbage_instead_of_a_handshake(server: ChatServer, log: Path, garbage: bytes) -> None:
    """An end at once, and a line in the log."""
    with socket.create_connection(server.address) as plain:
        plain.settimeout(TIMEOUT_SECONDS)
        plain.send(garbage)
        assert rest(plain).startswith((b"/error tls-needed ", b""))
    assert eventually(lambda: "the client does not speak TLS" in log.read_text())


def test_a_handshake_that_breaks_off(server: ChatServer, log: Path) -> None:
    """Its thread and its descriptor are free at once."""
    with socket.create_connection(server.address) as plain:
        plain.send(b"\x16\x03\x01\x02\x00\x01")
    assert eventually(lambda: "lost 127.0.0.1" in log.read_text())
    assert eventually(lambda: not any(thread.name == "session" for thread in threading.enumerate()))


def test_a_full_server_shuts_the_door(identity: Identity) -> None:
    """Without a handshake there is no telling why."""
    certificate = Certificate(identity.path, identity.path)
    with (
        serving(certificate=certificate, limits=replace(FAST_LIMITS, max_clients=1)) as server,
        WireClient(server.address, "alice", context=unverified_context()),
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        WireClient(server.address, context=unverified_context())


def renegotiating(address: tuple[str, int]) -> tuple[socket.socket, SSL.Connection]:
    """Return a connection of TLS 1.2 that can ask for a new handshake."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    sock = socket.create_connection(address)
    connection = SSL.Connection(context, sock)
    connection.set_connect_state()
    connection.do_handshake()
    return sock, connection


def test_renegotiation_is_refused(server: ChatServer) -> None:
    """A new handshake on an old connection is not made; others do not notice."""
    with WireClient(server.address, "alice", context=unverified_context()) as alice:
        sock, connection = renegotiating(server.address)
        with sock:
            connection.send(b"/name bob\n")
            seen = b""
            while b"/entered" not in seen:
                seen += connection.recv(65_536)
            assert connection.renegotiate()
            with pytest.raises(SSL.Error, match="no renegotiation"):
                connection.do_handshake()
        alice.read_match("/left")
        assert alice.sync() == []


@pytest.mark.parametrize("kind", [Renegotiator, KeyUpdater])
def test_who_keeps_tls_busy_and_says_nothing(server: ChatServer, log: Path, kind: type[Forger]) -> None:
    """His connection ends, however fast he sends; others do not notice."""
    with (
        WireClient(server.address, "alice", context=unverified_context()) as alice,
        socket.create_connection(server.address) as bob,
    ):
        bob.settimeout(TIMEOUT_SECONDS)
        forger = kind(bob)
        bob.sendall(forger.say(b"/name bob\n"))
        alice.read_until("/joined")
        with contextlib.suppress(ConnectionError):
            bob.sendall(forger.flood(2_000))
        alice.read_until("/left")
        assert alice.sync() == []
    assert "the peer sends TLS messages without text" in log.read_text()


# --------------------------------------------------------------------------------------------------------- how it ends


def test_the_goodbye_of_a_client_ends_his_session(server: ChatServer, log: Path) -> None:
    """He gets what was on its way, and a goodbye in return."""
    with WireClient(server.address, "alice", context=unverified_context()) as alice:
        with WireClient(server.address, "bob", context=unverified_context()) as bob:
            alice.read_until("/joined")
            assert isinstance(bob.socket, ssl.SSLSocket)
            plain = bob.socket.unwrap()  # waits for the server's
            assert plain.recv(1) == b""
            plain.close()
        assert alice.read_match("/left").endswith("lost")
    assert "lost 127.0.0.1 'bob'" not in log.read_text()


def test_a_cut_ends_a_session(server: ChatServer, log: Path) -> None:
    """What has no end is no line; the log says that it was a cut."""
    with WireClient(server.address, "alice", context=unverified_context()) as alice:
        with WireClient(server.address, "bob", context=unverified_context()) as bob:
            alice.read_until("/joined")
            bob.send_bytes(b"whole\nnot who")
        assert alice.read_until("/left")[-2].endswith(" whole")
    assert "lost 127.0.0.1 'bob'" in log.read_text()


def test_a_stop_says_goodbye(identity: Identity) -> None:
    """With the reason, and with the goodbye of TLS."""
    with serving_tls(identity) as server:
        alice = WireClient(server.address, "alice", context=unverified_context())
    assert alice.read_to_end()[-1].startswith("/bye the server is stopping")
    alice.socket.close()


def test_a_stop_ends_a_handshake(identity: Identity) -> None:
    """It does not wait for the time limit."""
    with serving_tls(identity) as server, socket.create_connection(server.address) as silent:
        assert eventually(lambda: any(thread.name == "session" for thread in threading.enumerate()))
        server.stop()
        silent.settimeout(TIMEOUT_SECONDS)
        assert rest(silent)[:1] == b"\x15"  # an alert, and the end


# ------------------------------------------------------------------------------------------------------------- stalls


@pytest.fixture
def remembering_server(identity: Identity, tmp_path: Path) -> Iterator[ChatServer]:
    """One with a journal on disk, so that even who is far behind gets every line."""
    certificate = Certificate(identity.path, identity.path)
    with serving(certificate=certificate, journal=SqliteJournal(tmp_path / "journal.db")) as made:
        yield made


def test_a_reader_that_stalls_gets_all(remembering_server: ChatServer) -> None:
    """He is behind, his records are whole, nobody waits for him, and he has every line when he reads."""
    with (
        WireClient(remembering_server.address, "slow", receive_buffer=4_096, context=unverified_context()) as slow,
        WireClient(remembering_server.address, "alice", context=unverified_context()) as alice,
    ):
        for batch in range(10):
            alice.send(*[f"{'x' * (TEXT_CHARS - 10)}"] * 300)
            alice.read_until(f"/say lobby {300 * (batch + 1)} ")
            slow.send(f"/ping {batch}")  # the answer goes between lines, whatever is held
        heard = slow.read_until("/say lobby 3000 ")
        lines = [line for line in heard if line.startswith("/say")]
        assert [line.split()[1] for line in heard if line.startswith("/pong")] == [f"{batch}" for batch in range(10)]
        assert [int(line.split()[2]) for line in lines] == list(range(1, 3_001))
        assert {len(line.split()[-1]) for line in lines} == {TEXT_CHARS - 10}
        slow.send("back")
        assert alice.read_match().endswith(" back")


def test_both_talk_much_while_neither_reads(remembering_server: ChatServer) -> None:
    """What goes up does not wait for what goes down."""
    with WireClient(remembering_server.address, "alice", receive_buffer=4_096, context=unverified_context()) as alice:
        alice.send(*["x" * TEXT_CHARS] * 3_000)
        seen = [line for line in alice.read_until("/say lobby 3000 ") if line.startswith("/say")]
        assert [int(line.split()[2]) for line in seen] == list(range(1, 3_001))


# ------------------------------------------------------------------------------------------------- a new certificate


def test_a_new_certificate_disturbs_nobody(authority: Authority, identity: Identity) -> None:
    """Who is here stays and goes on; who comes sees the new one."""
    certificate = Certificate(identity.path, identity.path)
    with (
        serving(certificate=certificate, limits=FAST_LIMITS) as server,
        WireClient(server.address, "alice", context=unverified_context()) as alice,
    ):
        new = authority.issue()
        certificate.reload()
        assert certificate.fingerprint == new.fingerprint != identity.fingerprint
        with WireClient(server.address, "bob", context=trusting_context(authority.path)) as bob:
            assert isinstance(bob.socket, ssl.SSLSocket)
            assert bob.socket.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(
                identity.path.read_text().partition("-----END PRIVATE KEY-----\n")[2]
            )
            alice.send("still here")
            assert bob.read_match() == alice.read_match()
