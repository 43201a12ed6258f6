"""How the client verifies the server's certificate, on real sockets."""

import contextlib
import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from loguru import logger

from hubbub.client.network import connection
from hubbub.client.network.connection import Callbacks, Connection
from hubbub.client.network.dialer import Dialer
from hubbub.client.network.tls_trust import (
    AUTHORITIES,
    Authorities,
    FirstUse,
    KnownServers,
    Pin,
    TlsTrust,
    TrustError,
    parse_fingerprint,
)
from hubbub.client.network.transport import TlsTransport
from hubbub.protocol import Event, Hello, Say
from hubbub.server.network.certificate import Certificate
from hubbub.server.server import ChatServer
from testing.certificates import Authority, Identity
from testing.client_runs import run_client_in_pipe
from testing.fake_server import WAIT_SECONDS, FakeServer
from testing.server import FAST_LIMITS
from testing.waiting import eventually
from tests.client.network.test_connection import running

HOST = "localhost"
OTHER = ":".join(["AB"] * 32)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def identity(authority: Authority) -> Identity:
    return authority.issue()


ROOMY = replace(FAST_LIMITS, sign_in_bytes=100_000_000)  # a client without a name may send much


@contextlib.contextmanager
def serving_on(identity: Identity | None, port: int = 0) -> Iterator[ChatServer]:
    """Run a server, through TLS if it has an identity."""
    certificate = Certificate(identity.path, identity.path) if identity else None
    with ChatServer("127.0.0.1", port, limits=ROOMY, certificate=certificate) as server:
        yield server


@pytest.fixture
def server(identity: Identity) -> Iterator[ChatServer]:
    with serving_on(identity) as server:
        yield server


@pytest.fixture
def verified(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the authority one of the system's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))


def connect_to(server: ChatServer, trust: TlsTrust, host: str = HOST) -> None:
    """Connect and see that there is a chat server."""
    transport = Dialer(host, server.address[1], trust).connect()
    assert isinstance(transport, TlsTransport)
    greeting: list[bytes] = []

    def greeted() -> bool:
        with contextlib.suppress(BlockingIOError):
            greeting.append(transport.recv())
        return b"".join(greeting) == b"/hello 1 -\n"

    assert eventually(greeted)
    transport.close()


class User:
    """A user with a file of known servers, and the messages shown to them."""

    def __init__(self, folder: Path, server: str = "chat:4242") -> None:
        self.told: list[str] = []
        self.servers = KnownServers(folder / "state" / "known_servers")
        self.server = server

    def trust(self) -> FirstUse:
        """Return the trust of a client that starts."""
        return FirstUse(self.servers, self.server, self.told.append)


# --------------------------------------------------------------------------------------------------------- authorities


def test_certificate_of_the_authority_is_trusted(server: ChatServer, authority: Authority) -> None:
    """With `--ca`, under each of its host names."""
    connect_to(server, Authorities(authority.path))
    connect_to(server, Authorities(authority.path), "127.0.0.1")


def test_certificate_of_another_authority_is_refused(server: ChatServer, tmp_path: Path) -> None:
    """The reason is OpenSSL's."""
    with pytest.raises(TrustError, match="not trusted: unable to get local issuer certificate"):
        connect_to(server, Authorities(Authority(tmp_path, "other").path))


def test_certificate_for_another_host_is_refused(authority: Authority) -> None:
    """Even if the authority verifies it."""
    with (
        serving_on(authority.issue("elsewhere.example")) as server,
        pytest.raises(TrustError, match="not valid for 'localhost'"),
    ):
        connect_to(server, Authorities(authority.path))


def test_file_without_authorities(tmp_path: Path) -> None:
    """The error names it, and comes before any connection."""
    (tmp_path / "empty.pem").write_text("nothing")
    for name, reason in (("empty.pem", "it holds no certificate"), ("none.pem", "No such file")):
        with pytest.raises(TrustError, match=rf"{name}: {reason}"):
            Authorities(tmp_path / name)


# ---------------------------------------------------------------------------------------------------------------- pins


def test_right_pin(server: ChatServer, identity: Identity) -> None:
    """In any spelling."""
    for spelling in (identity.fingerprint, identity.fingerprint.replace(":", "").lower()):
        connect_to(server, Pin(parse_fingerprint(spelling)))


def test_wrong_pin(server: ChatServer, identity: Identity) -> None:
    """Both fingerprints are named."""
    with pytest.raises(TrustError, match=f"{identity.fingerprint}, not {OTHER}"):
        connect_to(server, Pin(OTHER))


@pytest.mark.parametrize("text", ["", "AB", "x" * 64, OTHER + ":AB"])
def test_bad_fingerprint(text: str) -> None:
    """The error says what one looks like."""
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        parse_fingerprint(text)


# ------------------------------------------------------------------------------------------------------------ first use


def test_new_server_is_shown_once_and_stored(server: ChatServer, identity: Identity, tmp_path: Path) -> None:
    """In a file that only its owner can read; no other file is left."""
    user = User(tmp_path)
    for _ in range(2):
        connect_to(server, user.trust())
    assert len(user.told) == 1
    assert identity.fingerprint in user.told[0]
    assert user.servers.load() == {"chat:4242": identity.fingerprint}
    assert user.servers.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in user.servers.path.parent.iterdir()] == ["known_servers"]


def test_changed_certificate_is_refused(authority: Authority, identity: Identity, tmp_path: Path) -> None:
    """Each time, with both fingerprints, and the file stays as it is."""
    user = User(tmp_path)
    user.servers.save({"chat:4242": OTHER, "other:4242": OTHER})
    with serving_on(identity) as server:
        for _ in range(2):
            with pytest.raises(TrustError, match=r"has changed.* Someone may be intercepting") as raised:
                connect_to(server, user.trust())
    assert OTHER in str(raised.value)
    assert identity.fingerprint in str(raised.value)
    assert user.servers.load() == {"chat:4242": OTHER, "other:4242": OTHER}
    assert user.told == []


def test_verified_server_is_stored_without_a_message(server: ChatServer, verified: None, tmp_path: Path) -> None:
    """Its certificates may change, as long as authorities verify them."""
    user = User(tmp_path)
    connect_to(server, user.trust())
    assert user.told == []
    assert user.servers.load() == {"chat:4242": AUTHORITIES}


def test_known_server_may_become_verified(server: ChatServer, verified: None, tmp_path: Path) -> None:
    """Its new certificate differs, but authorities verify it."""
    user = User(tmp_path)
    user.servers.save({"chat:4242": OTHER})
    connect_to(server, user.trust())
    assert user.servers.load() == {"chat:4242": AUTHORITIES}


def test_verified_server_must_stay_verified(server: ChatServer, tmp_path: Path) -> None:
    """Otherwise an interceptor would count as a new server."""
    user = User(tmp_path)
    user.servers.save({"chat:4242": AUTHORITIES})
    with pytest.raises(TrustError, match=r"has changed.*verified by authorities"):
        connect_to(server, user.trust())


@pytest.mark.parametrize("text", ["chat:4242\n", "chat:4242 AB:CD\n", "\n", "chat:4242  authorities\n"])
def test_broken_file_of_known_servers(tmp_path: Path, text: str) -> None:
    """It is no reason to trust a server."""
    path = tmp_path / "known_servers"
    path.write_text(text)
    with pytest.raises(TrustError, match="correct or remove it"):
        KnownServers(path).load()


def test_server_that_cannot_be_stored_is_refused(server: ChatServer, tmp_path: Path) -> None:
    """It is not trusted for one time either."""
    (tmp_path / "file").write_text("")
    user = User(tmp_path)
    user.servers.path = tmp_path / "file" / "known_servers"
    with pytest.raises(TrustError, match="Not a directory"):
        connect_to(server, user.trust())
    assert user.told == []


# ------------------------------------------------------------------------------------------------------- no TLS at all


def test_server_without_tls(tmp_path: Path) -> None:
    """Nothing is sent, and the error says how to go on without TLS."""
    user = User(tmp_path)
    with serving_on(None) as server, pytest.raises(TrustError) as raised:
        connect_to(server, user.trust())
    told = "this server does not speak TLS, and nothing was sent; leave out --tls to connect without encryption"
    assert str(raised.value) == told
    assert user.servers.load() == {}


@pytest.mark.parametrize("known", [OTHER, AUTHORITIES])
def test_server_without_tls_that_spoke_it_before(tmp_path: Path, known: str) -> None:
    """The error does not suggest to go on without TLS: it may be an interceptor."""
    user = User(tmp_path)
    user.servers.save({"chat:4242": known})
    with serving_on(None) as server, pytest.raises(TrustError) as raised:
        connect_to(server, user.trust())
    assert "although it did before. Someone may be intercepting this connection." in str(raised.value)
    assert "--tls" not in str(raised.value)
    assert user.servers.load() == {"chat:4242": known}


def test_server_that_loses_tls_during_a_run(server: ChatServer, tmp_path: Path) -> None:
    """It stays known, whatever happens to the file."""
    user = User(tmp_path)
    trust = user.trust()
    connect_to(server, trust)
    user.servers.path.unlink()
    with serving_on(None) as plain, pytest.raises(TrustError, match="although it did before"):
        connect_to(plain, trust)


def test_pinned_server_without_tls() -> None:
    """The error does not suggest to go on without TLS."""
    with serving_on(None) as server, pytest.raises(TrustError) as raised:
        connect_to(server, Pin(OTHER))
    assert str(raised.value) == "this server does not speak TLS, and nothing was sent"


def test_server_with_other_tls_versions(identity: Identity, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error does not suggest to go on without TLS."""
    monkeypatch.setattr("hubbub.client.network.tls_trust.MIN_TLS_VERSION", ssl.TLSVersion.TLSv1_3)
    certificate = Certificate(identity.path, identity.path)
    certificate.context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        ChatServer("127.0.0.1", 0, certificate=certificate) as server,
        pytest.raises(TrustError, match=r"the TLS handshake failed.*protocol version"),
    ):
        connect_to(server, User(tmp_path).trust())


def test_server_that_ends_the_handshake(tmp_path: Path) -> None:
    """It may come back, so this is not a matter of trust."""
    with FakeServer() as server:
        closer = threading.Thread(target=lambda: server.accept().close())
        closer.start()
        with pytest.raises(ConnectionError):
            Dialer(HOST, server.port, Pin(OTHER)).connect()
        closer.join()


def test_silent_server_ends_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for it is bounded."""
    monkeypatch.setattr("hubbub.client.network.dialer.HANDSHAKE_SECONDS", 0.1)
    with FakeServer() as server, pytest.raises(TimeoutError):
        Dialer("127.0.0.1", server.port, Pin(OTHER)).connect()


# ------------------------------------------------------------------------------------------------------- the connection


class Client:
    """A connection whose events and reasons are noted."""

    def __init__(self, port: int, trust: TlsTrust) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.refused: queue.Queue[str] = queue.Queue()
        self.lost: queue.Queue[str] = queue.Queue()
        dialer = Dialer(HOST, port, trust)
        callbacks = Callbacks(self.events.put, lambda reason, _: self.lost.put(reason), self.lost.put, self.refused.put)
        self.connection = Connection(dialer.connect(), dialer, callbacks)


def test_much_data_both_ways(server: ChatServer, identity: Identity) -> None:
    """Records that the socket accepts only in part, and records that come in pieces."""
    client = Client(server.address[1], Pin(identity.fingerprint))
    with running(client.connection):
        assert client.events.get(timeout=WAIT_SECONDS) == Hello(1, "-")
        for number in range(3_000):
            client.connection.send(Say(f"{number} {'x' * 1_900}"))
        errors = [client.events.get(timeout=WAIT_SECONDS) for _ in range(3_000)]
        assert {getattr(error, "code", "") for error in errors} == {"name-needed"}


def test_changed_server_gets_nothing_after_a_reconnect(
    authority: Authority, identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported once; the right server is found when it is back."""
    monkeypatch.setattr(connection, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(connection, "RETRY_SECONDS_MAX", 0.01)
    log: list[str] = []
    sink = logger.add(log.append, format="{message}")
    with serving_on(identity) as server:
        port = server.address[1]
        client = Client(port, User(tmp_path).trust())
        client.connection.start()
        assert client.events.get(timeout=WAIT_SECONDS) == Hello(1, "-")
    other = authority.issue(file="other.pem")
    with serving_on(other, port):
        assert "has changed" in client.refused.get(timeout=WAIT_SECONDS)
        assert eventually(lambda: sum("has changed" in reason for reason in client.lost.queue) >= 3)
        client.connection.send(Say("secret"))
    assert client.refused.empty()
    assert [event for event in client.events.queue if isinstance(event, Hello)] == []
    with serving_on(identity, port):
        while client.events.get(timeout=WAIT_SECONDS) != Hello(1, "-"):
            pass
        client.connection.close()
    logger.remove(sink)
    assert not any("unknown-command" in line or "name-needed" in line for line in log)


def test_first_lines_that_come_with_the_handshake(identity: Identity) -> None:
    """They are passed on, though no socket becomes ready for them."""
    context = Certificate(identity.path, identity.path).context
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # where the server has the last word of the handshake
    done = threading.Event()

    def greet(listener: socket.socket) -> None:
        plain = listener.accept()[0]
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        end = context.wrap_bio(incoming, outgoing, server_side=True)
        for _ in range(2):
            with contextlib.suppress(ssl.SSLWantReadError):
                incoming.write(plain.recv(65_536))
                end.do_handshake()
                end.write(b"/hello 1 -\n")
            plain.sendall(outgoing.read())
        done.wait(WAIT_SECONDS)
        plain.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet, args=(listener,))
        thread.start()
        client = Client(listener.getsockname()[1], Pin(identity.fingerprint))
        with running(client.connection):
            assert client.events.get(timeout=WAIT_SECONDS) == Hello(1, "-")
            done.set()
        thread.join()


# --------------------------------------------------------------------------------------------------------- the program


def test_program_connects_with_each_option(
    server: ChatServer, authority: Authority, identity: Identity, tmp_path: Path
) -> None:
    """The fingerprint is shown the first time."""
    address = f"localhost:{server.address[1]}"
    for options, told in (
        (["--ca", str(authority.path)], ""),
        (["--pin", identity.fingerprint], ""),
        (["--tls"], identity.fingerprint),
        (["--tls"], ""),
    ):
        code, _, asides = run_client_in_pipe(tmp_path, address, "--name", "alice", *options)
        assert code == 0
        assert told in asides
        assert bool(told) == ("First visit to" in asides)


def test_program_refuses(server: ChatServer, tmp_path: Path) -> None:
    """One line that says why, and exit code 2."""
    address = f"localhost:{server.address[1]}"
    for options, reason in (
        (["--pin", OTHER], "not AB:AB"),
        (["--ca", str(Authority(tmp_path, "other").path)], "certificate is not trusted"),
        (["--ca", str(tmp_path / "none.pem")], "No such file"),
    ):
        code, output, asides = run_client_in_pipe(tmp_path, address, "--name", "alice", *options)
        assert (code, output) == (2, "")
        assert reason in asides
        assert asides.count("\n") == 1
