"""A server with TLS, on real sockets: handshakes, sessions, and how they end."""

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

SHORT_HANDSHAKE = Limits(rate=0, grace_seconds=0, handshake_seconds=0.3)
CLIENTS = 64
LINES = 20  # of each client


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


def context_for_version(version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return the context of a client that supports only this version."""
    context = unverified_context()
    context.set_ciphers("ALL:@SECLEVEL=0")  # otherwise OpenSSL does not offer old versions
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


def read_to_end(sock: socket.socket) -> bytes:
    """Return all bytes until the end."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while more := sock.recv(65_536):
            data += more
    return data


# ------------------------------------------------------------------------------------------------------------- sessions


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_clients_chat_over_tls(server: ChatServer, version: ssl.TLSVersion) -> None:
    """As they do without TLS."""
    with (
        WireClient(server.address, "alice", context=context_for_version(version)) as alice,
        WireClient(server.address, "bob", context=unverified_context()) as bob,
    ):
        alice.send("hello")
        assert bob.read_match() == alice.read_match()
        alice.send("/exit")
        assert alice.read_to_end() == ["/bye see you"]  # and close_notify, otherwise there would be an error


def test_client_verifies_the_certificate(server: ChatServer, authority: Authority, tmp_path: Path) -> None:
    """A client that trusts its authority connects; one that trusts another refuses it."""
    WireClient(server.address, "alice", context=trusting_context(authority.path)).socket.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        WireClient(server.address, context=trusting_context(Authority(tmp_path, "other").path))


def test_old_tls_version_is_refused(server: ChatServer) -> None:
    """TLS 1.2 is the oldest."""
    with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"):
        WireClient(server.address, context=context_for_version(ssl.TLSVersion.TLSv1_1))


def test_resume_over_tls(server: ChatServer) -> None:
    """The client gets every line posted meanwhile."""
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


def test_many_clients_at_once(server: ChatServer) -> None:
    """Every client gets every line, all in one order."""
    start = threading.Barrier(CLIENTS)

    def chat(number: int) -> list[str]:
        with WireClient(server.address, f"p{number}", context=unverified_context()) as client:
            start.wait(TIMEOUT_SECONDS)
            client.send(*(f"{number} {line} {'x' * line * 50}" for line in range(LINES)))
            lines = client.read_until(f"/say lobby {CLIENTS * LINES} ")
            start.wait(TIMEOUT_SECONDS * 3)
            return [line for line in lines if line.startswith("/say")]

    with ThreadPoolExecutor(CLIENTS) as pool:
        received = list(pool.map(chat, range(CLIENTS)))
    assert len(received[0]) == CLIENTS * LINES
    assert all(lines == received[0] for lines in received)


# ----------------------------------------------------------------------------------------------------------- handshakes


def test_stalled_handshake_ends_while_others_chat(identity: Identity, log: Path) -> None:
    """It ends after its timeout and delays no other client."""
    with serving_tls(identity, SHORT_HANDSHAKE) as server, socket.create_connection(server.address) as silent:
        silent.settimeout(TIMEOUT_SECONDS)
        silent.send(b"\x16\x03\x01")  # the start of a handshake
        with WireClient(server.address, "alice", context=unverified_context()) as alice:
            alice.send("hello")
            alice.read_match()
            assert read_to_end(silent) == b""
            assert alice.sync() == []
    assert "no TLS handshake within 0.3 s" in log.read_text()


def test_slow_handshake_is_read_with_pauses(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some reads each waits first, so that single bytes do not keep the server busy."""
    waits: list[float] = []
    monkeypatch.setattr("hubbub.server.network.tls_transport.time.sleep", waits.append)
    bytes_ = iter([b"\x16", b"\x03", b"\x01", b"\x3f", *[b"\xff"] * 16, b""])
    monkeypatch.setattr(SocketTransport, "recv", lambda *_: next(bytes_))
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        transport = Certificate(identity.path, identity.path).wrap_connection(listener.accept()[0])
        with pytest.raises(ssl.SSLError):
            transport.handshake(TIMEOUT_SECONDS)
        transport.close()
    assert waits == [SLOW_READ_PAUSE_SECONDS] * (21 - FAST_HANDSHAKE_READS)


def test_slow_handshake_has_the_same_timeout(identity: Identity) -> None:
    """Sending a byte now and then does not extend it."""
    with serving_tls(identity, SHORT_HANDSHAKE) as server, socket.create_connection(server.address) as slow:
        slow.send(b"\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb")  # the start of a long handshake
        over = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not over.wait(0.02):
                    slow.send(b"x")

        dripping = threading.Thread(target=drip)
        dripping.start()
        slow.settimeout(TIMEOUT_SECONDS)
        try:
            assert read_to_end(slow) == b""
        finally:
            over.set()
            dripping.join()


def test_client_that_waits_is_told_to_use_tls(identity: Identity, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before the timeout of the handshake."""
    monkeypatch.setattr("hubbub.server.network.tls_transport.FIRST_BYTE_SECONDS", 0.2)
    with serving_tls(identity) as server, WireClient(server.address) as plain:
        assert [line.split()[:2] for line in plain.read_to_end()] == [["/error", "tls-needed"], ["/bye", "this"]]
    assert "the client waits for the first byte, so it does not speak TLS" in log.read_text()


def test_handshake_that_has_begun_has_the_full_timeout(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only silence from the start counts as a client without TLS."""
    monkeypatch.setattr("hubbub.server.network.tls_transport.FIRST_BYTE_SECONDS", 0.2)
    with serving_tls(identity) as server, socket.create_connection(server.address) as slow:
        slow.settimeout(0.5)
        slow.send(b"\x16\x03\x01")
        with pytest.raises(TimeoutError):
            slow.recv(1)


def test_own_client_is_told_in_time() -> None:
    """Before it gives up."""
    assert FIRST_BYTE_SECONDS < ANSWER_SECONDS / 2


@pytest.mark.parametrize("garbage", [b"/name alice\n", b"GET / HTTP/1.1\r\n\r\n", bytes(1_000)])
def test_no_tls_handshake(server: ChatServer, log: Path, garbage: bytes) -> None:
    """The connection ends at once, with a line in the log."""
    with socket.create_connection(server.address) as plain:
        plain.settimeout(TIMEOUT_SECONDS)
        plain.send(garbage)
        assert read_to_end(plain).startswith((b"/error tls-needed ", b""))
    assert eventually(lambda: "the client does not speak TLS" in log.read_text())


def test_aborted_handshake(server: ChatServer, log: Path) -> None:
    """Its thread and its file descriptor are free at once."""
    with socket.create_connection(server.address) as plain:
        plain.send(b"\x16\x03\x01\x02\x00\x01")
    assert eventually(lambda: "lost 127.0.0.1" in log.read_text())
    assert eventually(lambda: not any(thread.name == "session" for thread in threading.enumerate()))


def test_full_server_closes_the_connection(identity: Identity) -> None:
    """Without a handshake it cannot say why."""
    certificate = Certificate(identity.path, identity.path)
    with (
        serving(certificate=certificate, limits=replace(FAST_LIMITS, max_clients=1)) as server,
        WireClient(server.address, "alice", context=unverified_context()),
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        WireClient(server.address, context=unverified_context())


def connect_for_renegotiation(address: tuple[str, int]) -> tuple[socket.socket, SSL.Connection]:
    """Return a TLS 1.2 connection that can ask for a new handshake."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    sock = socket.create_connection(address)
    connection = SSL.Connection(context, sock)
    connection.set_connect_state()
    connection.do_handshake()
    return sock, connection


def test_renegotiation_is_refused(server: ChatServer) -> None:
    """Other clients do not notice."""
    with WireClient(server.address, "alice", context=unverified_context()) as alice:
        sock, connection = connect_for_renegotiation(server.address)
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
def test_flood_of_tls_messages_without_text(server: ChatServer, log: Path, kind: type[Forger]) -> None:
    """The connection ends; other clients do not notice."""
    with (
        WireClient(server.address, "alice", context=unverified_context()) as alice,
        socket.create_connection(server.address) as bob,
    ):
        bob.settimeout(TIMEOUT_SECONDS)
        forger = kind(bob)
        bob.sendall(forger.encrypt(b"/name bob\n"))
        alice.read_until("/joined")
        with contextlib.suppress(ConnectionError):
            bob.sendall(forger.flood(2_000))
        alice.read_until("/left")
        assert alice.sync() == []
    assert "the peer sends TLS messages without text" in log.read_text()


# -------------------------------------------------------------------------------------------------------------- endings


def test_close_notify_ends_the_session(server: ChatServer, log: Path) -> None:
    """The client gets what was on its way, and a close_notify in return."""
    with WireClient(server.address, "alice", context=unverified_context()) as alice:
        with WireClient(server.address, "bob", context=unverified_context()) as bob:
            alice.read_until("/joined")
            assert isinstance(bob.socket, ssl.SSLSocket)
            plain = bob.socket.unwrap()  # waits for the server's close_notify
            assert plain.recv(1) == b""
            plain.close()
        assert alice.read_match("/left").endswith("lost")
    assert "lost 127.0.0.1 'bob'" not in log.read_text()


def test_connection_cut_ends_the_session(server: ChatServer, log: Path) -> None:
    """A line without its end is dropped; the log says that the connection was lost."""
    with WireClient(server.address, "alice", context=unverified_context()) as alice:
        with WireClient(server.address, "bob", context=unverified_context()) as bob:
            alice.read_until("/joined")
            bob.send_bytes(b"whole\nnot who")
        assert alice.read_until("/left")[-2].endswith(" whole")
    assert "lost 127.0.0.1 'bob'" in log.read_text()


def test_stop_sends_bye_and_close_notify(identity: Identity) -> None:
    """With the reason."""
    with serving_tls(identity) as server:
        alice = WireClient(server.address, "alice", context=unverified_context())
    assert alice.read_to_end()[-1].startswith("/bye the server is stopping")
    alice.socket.close()


def test_stop_ends_a_handshake(identity: Identity) -> None:
    """It does not wait for the timeout."""
    with serving_tls(identity) as server, socket.create_connection(server.address) as silent:
        assert eventually(lambda: any(thread.name == "session" for thread in threading.enumerate()))
        server.stop()
        silent.settimeout(TIMEOUT_SECONDS)
        assert read_to_end(silent)[:1] == b"\x15"  # an alert, and the end


# ------------------------------------------------------------------------------------------------------------- stalls


@pytest.fixture
def durable_server(identity: Identity, tmp_path: Path) -> Iterator[ChatServer]:
    """Run a server with a journal on disk, from which lagging clients get every line."""
    certificate = Certificate(identity.path, identity.path)
    with serving(certificate=certificate, journal=SqliteJournal(tmp_path / "journal.db")) as made:
        yield made


def test_stalled_client_gets_every_line(durable_server: ChatServer) -> None:
    """It is lagging, its records stay whole, and no other client waits for it."""
    with (
        WireClient(durable_server.address, "slow", receive_buffer=4_096, context=unverified_context()) as slow,
        WireClient(durable_server.address, "alice", context=unverified_context()) as alice,
    ):
        for batch in range(10):
            alice.send(*[f"{'x' * (TEXT_CHARS - 10)}"] * 300)
            alice.read_until(f"/say lobby {300 * (batch + 1)} ")
            slow.send(f"/ping {batch}")  # the reply is sent between whole lines
        received = slow.read_until("/say lobby 3000 ")
        lines = [line for line in received if line.startswith("/say")]
        assert [line.split()[1] for line in received if line.startswith("/pong")] == [f"{batch}" for batch in range(10)]
        assert [int(line.split()[2]) for line in lines] == list(range(1, 3_001))
        assert {len(line.split()[-1]) for line in lines} == {TEXT_CHARS - 10}
        slow.send("back")
        assert alice.read_match().endswith(" back")


def test_client_that_sends_much_and_reads_nothing(durable_server: ChatServer) -> None:
    """The server reads on while its own bytes wait."""
    with WireClient(durable_server.address, "alice", receive_buffer=4_096, context=unverified_context()) as alice:
        alice.send(*["x" * TEXT_CHARS] * 3_000)
        seen = [line for line in alice.read_until("/say lobby 3000 ") if line.startswith("/say")]
        assert [int(line.split()[2]) for line in seen] == list(range(1, 3_001))


# --------------------------------------------------------------------------------------------------------------- reload


def test_reload_keeps_connections(authority: Authority, identity: Identity) -> None:
    """Open connections stay and work; new ones get the new certificate."""
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
