"""The user's identity: the secret, the proof, and which servers get one."""

import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubbub.client.login import SignInError
from hubbub.client.network import connection
from hubbub.client.network.dialer import Dialer
from hubbub.client.network.identity import SECRET_FILE, SERVERS, SERVERS_FILE, Identity
from hubbub.client.session import Session
from hubbub.client.state.highlights import Highlights
from hubbub.protocol import Name, Prove, ServerChallenge
from testing.client_runs import client_in_pipe, real_server, run_client_in_pipe
from testing.fake_server import WAIT_SECONDS, FakePeer, FakeServer
from testing.server import serving
from testing.wire_client import WireClient
from tests.client.session_driver import FakeUi

# What OpenSSL makes of this secret for this server and this nonce.
SECRET = bytes(range(32)).hex()
SERVER = "0123456789abcdef0123456789abcdef"
NONCE = "fedcba9876543210fedcba9876543210"
VERIFIER = "ded89962699177d62af33fcb8e3d2a94f4c55af04751e16d3dea9771d6ea2230"
PROOF = "e821574e05aa6e8667da0d88b6f6529de2a17de246446032f75cf8ebf4b06394"
CHALLENGE = ServerChallenge(SERVER, NONCE)
PROVE = Prove(VERIFIER, PROOF)


class User:
    """A user with a config folder, and the messages shown to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "config"
        self.told: list[str] = []

    def at(self, address: str = "chat.example:4242") -> Identity:
        """Return their identity towards the server at an address."""
        return Identity(self.folder, address, self.told.append)

    def write(self, name: str, text: str) -> Path:
        """Write a file in the folder, and return its path."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / name
        path.write_text(text)
        return path


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


@pytest.fixture
def known(user: User) -> User:
    """Return a user with a secret."""
    user.write(SECRET_FILE, SECRET + "\n")
    return user


# ---------------------------------------------------------------------------------------------------------- the secret


def test_proof_equals_that_of_another_program(known: User) -> None:
    """For the same secret, server and nonce."""
    assert known.at().prove(CHALLENGE) == PROVE
    assert known.told == []


def test_secret_is_created_once_for_its_owner_alone(user: User) -> None:
    """It is random, and the next run has the same."""
    first = user.at().prove(CHALLENGE)
    path = user.folder / SECRET_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.fullmatch("[0-9a-f]{64}\n", path.read_text())
    assert user.at().prove(CHALLENGE) == first
    path.unlink()
    assert user.at().prove(CHALLENGE) != first
    assert user.told == []


def test_secret_that_others_can_read_is_restricted(known: User) -> None:
    """When it is used next."""
    path = known.folder / SECRET_FILE
    path.chmod(0o644)
    assert known.at().prove(CHALLENGE) == PROVE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_clients_that_start_at_once_have_one_secret(user: User) -> None:
    """Whichever creates it, the other reads it."""
    barrier = threading.Barrier(4)
    proofs: list[Prove | None] = []

    def prove() -> None:
        barrier.wait()
        proofs.append(user.at().prove(CHALLENGE))

    threads = [threading.Thread(target=prove) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(proofs) == 4
    assert len(set(proofs)) == 1


@pytest.mark.parametrize("text", ["", SECRET[1:], SECRET + "0", "g" + SECRET[1:], SECRET.upper(), f"{SECRET}\nmore"])
def test_broken_secret(user: User, text: str) -> None:
    """Nothing is proven, the user is told once, and the file stays."""
    path = user.write(SECRET_FILE, text)
    identity = user.at()
    assert [identity.prove(CHALLENGE) for _ in range(2)] == [None, None]
    assert len(user.told) == 1
    assert f"the secret in {path} is broken; so your identity is not proven" in user.told[0]
    assert path.read_text() == text


@pytest.mark.parametrize("name", [SECRET_FILE, SERVERS_FILE])
def test_unreadable_file(known: User, name: str) -> None:
    """Nothing is proven, and the user is told once which file it is."""
    (known.folder / name).unlink(missing_ok=True)
    (known.folder / name).mkdir()
    identity = known.at()
    assert [identity.prove(CHALLENGE) for _ in range(2)] == [None, None]
    assert len(known.told) == 1
    assert f"{known.folder / name} cannot be read: Is a directory" in known.told[0]


def test_folder_that_cannot_be_created(user: User) -> None:
    """Nothing is proven, and the user is told once."""
    user.folder.write_text("a file")
    identity = user.at()
    assert [identity.prove(CHALLENGE) for _ in range(2)] == [None, None]
    assert len(user.told) == 1


@pytest.mark.parametrize(
    "challenge", [ServerChallenge("x", NONCE), ServerChallenge(SERVER, ""), ServerChallenge(SERVER + "0", NONCE)]
)
def test_challenge_of_another_scheme(user: User, challenge: ServerChallenge) -> None:
    """It is not answered, and no file is created."""
    assert user.at().prove(challenge) is None
    assert not user.folder.exists()


# --------------------------------------------------------------------------------------------------------- the servers


def test_known_server_at_an_unknown_address_gets_no_proof(known: User) -> None:
    """The user is told once, with the line that allows it; and it does."""
    assert known.at("good.example:4242").prove(CHALLENGE) is not None
    bad = known.at("Bad.example:1")
    assert [bad.prove(CHALLENGE) for _ in range(2)] == [None, None]
    path = known.folder / SERVERS_FILE
    line = f"bad.example:1 {SERVER}"
    assert len(known.told) == 1
    assert "bad.example:1 claims to be the server that you know as good.example:4242" in known.told[0]
    assert known.told[0].endswith(f"add this line to {path}: {line}")
    with path.open("a") as file:
        file.write(line + "\n")
    assert known.at("bad.example:1").prove(CHALLENGE) == PROVE
    assert len(known.told) == 1


def test_other_server_at_a_known_address_is_a_new_one(known: User) -> None:
    """The one before stays known."""
    other = ServerChallenge(NONCE, NONCE)
    assert all(known.at().prove(challenge) is not None for challenge in (CHALLENGE, other, CHALLENGE))
    assert known.at("bad.example:1").prove(CHALLENGE) is None
    assert known.at("bad.example:1").prove(other) is None


def test_each_server_gets_another_verifier(known: User) -> None:
    """What one server stores is useless at another."""
    proofs = [known.at().prove(ServerChallenge(server, NONCE)) for server in (SERVER, NONCE)]
    assert None not in proofs
    assert len({proof.verifier for proof in proofs if proof}) == 2


@pytest.mark.parametrize("text", ["no server\n", f"chat {SERVER}\n\n", "\xff\n", f"a {SERVER}\n" * 20_000])
def test_broken_list_of_servers(known: User, text: str) -> None:
    """It must not count as empty: no proof, and the file stays."""
    path = known.folder / SERVERS_FILE
    path.write_text(text, encoding="latin-1")
    assert known.at().prove(CHALLENGE) is None
    assert f"{path} has a line that is not" in known.told[0]
    assert path.read_text(encoding="latin-1") == text


def test_oldest_server_is_dropped_beyond_the_limit(known: User) -> None:
    """The others stay known."""
    path = known.write(SERVERS_FILE, "".join(f"old:{number} {number:032x}\n" for number in range(SERVERS)))
    assert known.at().prove(CHALLENGE) is not None
    lines = path.read_text().splitlines()
    assert (lines[0], lines[-1], len(lines)) == (f"old:1 {1:032x}", f"chat.example:4242 {SERVER}", SERVERS)


# ---------------------------------------------------------------------------------------------------------- the session


@contextmanager
def connected(user: User) -> Iterator[tuple[Session, FakeServer, FakePeer, FakeUi]]:
    """Connect a session with an identity to a server that the test plays."""
    ui = FakeUi(interactive=True)
    with FakeServer() as server:
        dialer = Dialer("127.0.0.1", server.port)
        session = Session(
            dialer.connect(), dialer, ui, Highlights(), timeout=WAIT_SECONDS, identity=user.at(server.address)
        )
        try:
            yield session, server, server.accept(), ui
        finally:
            server.close_peers()
            session.close()


@contextmanager
def signing_in(session: Session) -> Iterator[None]:
    """Sign in on another thread, while the test plays the server."""
    thread = threading.Thread(target=lambda: session.sign_in(Name("alice", "red")))
    thread.start()
    yield
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()


def sign_in_with_proof(peer: FakePeer) -> None:
    peer.send("/hello 1 -")
    assert peer.receive() == "/challenge"
    peer.send(f"/challenge {SERVER} {NONCE}")
    assert peer.receive() == f"/prove {VERIFIER} {PROOF}"
    assert peer.receive() == "/name alice red"
    peer.send("/welcome alice red token 0", "/entered lobby 0 1 -")


def test_identity_is_proven_before_the_name(known: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first time, and after a loss before `/resume`."""
    monkeypatch.setattr(connection, "RETRY_SECONDS", 0.01)
    with connected(known) as (session, server, peer, _):
        with signing_in(session):
            sign_in_with_proof(peer)
        peer.close()
        peer = server.accept()
        peer.send("/hello 1 -")
        assert peer.receive() == "/challenge"
        peer.send(f"/challenge {SERVER} {SERVER}")
        assert peer.receive().startswith(f"/prove {VERIFIER} ")
        assert peer.receive() == "/resume token lobby 0"


@pytest.mark.parametrize("code", ["unknown-command", "name-needed"])
def test_server_without_challenges_accepts_the_name(known: User, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No error is shown; also after a loss."""
    monkeypatch.setattr(connection, "RETRY_SECONDS", 0.01)
    with connected(known) as (session, server, peer, ui):
        with signing_in(session):
            peer.send("/hello 1 -")
            assert peer.receive() == "/challenge"
            peer.send(f"/error {code} what is that?")
            assert peer.receive() == "/name alice red"
            peer.send("/welcome alice red token 0", "/entered lobby 0 1 -")
        peer.close()
        peer = server.accept()
        peer.send("/hello 1 -")
        assert peer.receive() == "/challenge"
        peer.send(f"/error {code} what is that?")
        assert peer.receive() == "/resume token lobby 0"
        peer.send("/welcome alice red token 0", "/entered lobby 0 1 -", "/notice here")
        ui.skip_to("here")
        assert not any("what is that" in news for news in ui.shown.queue)


def test_refusal_instead_of_a_challenge_ends_the_sign_in(known: User) -> None:
    """The user gets its reason."""
    with connected(known) as (session, _, peer, _):
        peer.send("/hello 1 -", "/error server-full 10 people are here; try again later")
        with pytest.raises(SignInError, match="10 people are here; try again later"):
            session.sign_in(Name("alice", "red"))


def test_wrong_proof_is_shown_and_the_sign_in_goes_on(known: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may accept the name; also after a loss."""
    monkeypatch.setattr(connection, "RETRY_SECONDS", 0.01)
    with connected(known) as (session, server, peer, ui):
        with signing_in(session):
            peer.send("/hello 1 -")
            peer.receive()
            peer.send(f"/challenge {SERVER} {NONCE}")
            peer.receive()
            peer.send("/error proof-wrong this is not you", "/welcome alice red token 0", "/entered lobby 0 1 -")
        ui.skip_to("!!! this is not you")
        peer.close()
        peer = server.accept()
        peer.send("/hello 1 -")
        peer.receive()
        peer.send(f"/challenge {SERVER} {NONCE}")
        peer.receive()
        peer.send("/error proof-wrong still not you", "/welcome alice red token 0", "/entered lobby 0 1 -")
        ui.skip_to("!!! still not you")


def test_another_name_waits_for_the_challenge(known: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name typed meanwhile is not sent without the proof."""
    monkeypatch.setattr(connection, "RETRY_SECONDS", 0.01)
    with connected(known) as (session, server, peer, ui):
        with signing_in(session):
            sign_in_with_proof(peer)
        peer.close()
        peer = server.accept()
        assert peer.greet() == "/resume token lobby 0"
        peer.send("/error resume-unknown no such session")
        assert peer.receive() == "/name alice red"
        peer.send("/error name-taken alice is taken")
        ui.skip_to("type /name NAME")
        peer.close()
        peer = server.accept()
        peer.send("/hello 1 -")
        assert peer.receive() == "/challenge"
        session.submit(Name("alba"))
        peer.send(f"/challenge {SERVER} {NONCE}")
        assert peer.receive() == f"/prove {VERIFIER} {PROOF}"
        assert peer.receive() == "/name alba red"


# --------------------------------------------------------------------------------------------------- the whole program


def test_bot_owns_its_name(tmp_path: Path) -> None:
    """Another folder, and a client without a secret, do not get it."""
    config, other = ("--config", str(tmp_path / "mine")), ("--config", str(tmp_path / "theirs"))
    with serving() as server:
        address = f"127.0.0.1:{server.address[1]}"
        assert run_client_in_pipe(tmp_path, address, "--name", "bot", *config)[0] == 0
        code, _, errors = run_client_in_pipe(tmp_path, address, "--name", "bot", *other)
        assert code == 2
        assert "bot belongs to someone else" in errors
        with WireClient(server.address) as stranger:
            stranger.send("/name bot")
            assert "name-taken" in stranger.read_match("/error")
        assert run_client_in_pipe(tmp_path, address, "--name", "bot", *config)[0] == 0


def test_tail_proves_nothing(tmp_path: Path) -> None:
    """It owns no name, and leaves no secret."""
    config = tmp_path / "config"
    with (
        FakeServer() as server,
        client_in_pipe(tmp_path, server.address, "--tail", "--name", "t", "--config", str(config)),
    ):
        peer = server.accept()
        peer.send("/hello 1 -")
        assert peer.receive() == "/name t"
    assert not (config / SECRET_FILE).exists()


def test_interceptor_gets_no_proof(tmp_path: Path) -> None:
    """A relayed challenge is not answered; the name is sent without a proof, and the user is told why."""
    config = ("--config", str(tmp_path / "config"))
    with real_server(tmp_path) as (_, address):
        assert run_client_in_pipe(tmp_path, address, "--name", "bot", *config)[0] == 0
        host, _, port = address.rpartition(":")
        with WireClient((host, int(port))) as real, FakeServer() as between:
            real.send("/challenge")
            challenge = real.read_match("/challenge")
            with client_in_pipe(tmp_path, between.address, "--name", "bot", *config) as process:
                peer = between.accept()
                peer.send("/hello 1 -")
                assert peer.receive() == "/challenge"
                peer.send(challenge)
                assert peer.receive() == "/name bot"
                peer.send("/error name-taken no")
                output, errors = process.communicate(timeout=WAIT_SECONDS)
    assert f"claims to be the server that you know as {address}" in output + errors
