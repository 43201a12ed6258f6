"""The sign-in conversation, event by event, without a connection."""

import pytest

from hubbub.client.login import PASSWORD_NEEDED, Login, NameRefusedError, PasswordRefusedError, SignInError
from hubbub.protocol import Challenge, Error, Hello, Name, Notice, Pass, Prove, Resume, ServerChallenge, Welcome

HELLO = Hello(1, "-")
PROOF = Prove("verifier", "proof")
CHALLENGED = ServerChallenge("server", "nonce")


def greeted(login: Login) -> Login:
    """Return `login` as alice, after the server's greeting."""
    login.rename("alice", "red")
    login.receive(HELLO)
    return login


def welcomed() -> Login:
    """Return a login that succeeded, and then lost its connection in line 7 of ops."""
    login = greeted(Login())
    login.receive(Welcome("alice", "red", "token", 0))
    login.restart("ops", 7)
    return login


def test_name_follows_the_greeting() -> None:
    """Later greetings on the same connection change nothing."""
    login = Login()
    login.rename("alice", "red")
    assert login.receive(HELLO) == [Name("alice", "red")]
    assert login.receive(HELLO) == []


def test_password_and_proof_come_before_the_name() -> None:
    """The proof answers the challenge."""
    login = Login("secret", proves_identity=True)
    login.rename("alice", "red")
    assert login.receive(Hello(1, "password")) == [Pass("secret"), Challenge()]
    assert login.awaits_challenge
    assert login.receive(CHALLENGED, PROOF) == [PROOF, Name("alice", "red")]
    assert login.receive(CHALLENGED, PROOF) == []


@pytest.mark.parametrize("event", [CHALLENGED, Error("unknown-command", ""), Error("name-needed", "")])
def test_name_is_sent_without_a_proof(event: ServerChallenge | Error) -> None:
    """If nothing can be proven, or the server has no challenges."""
    assert greeted(Login(proves_identity=True)).receive(event) == [Name("alice", "red")]


def test_password_is_not_sent_unasked() -> None:
    """Another server must not learn it."""
    assert Login("secret").receive(HELLO) == [Name("")]


def test_missing_password_is_reported() -> None:
    """The error says where it can be given."""
    with pytest.raises(PasswordRefusedError, match=PASSWORD_NEEDED):
        Login().receive(Hello(1, "password"))


@pytest.mark.parametrize("event", [Error("server-full", "full"), CHALLENGED, Welcome("alice", "red", "token", 0)])
def test_anything_but_a_greeting_ends_the_sign_in(event: Error | ServerChallenge | Welcome) -> None:
    """It is no chat server, or it is full."""
    with pytest.raises(SignInError):
        Login().receive(event)


def test_other_events_are_ignored() -> None:
    """They are no part of the conversation."""
    assert Login().receive(Notice("hello")) == []


def test_lost_session_is_resumed() -> None:
    """After the last line that was received; if the server has lost it, a new one begins under the same name."""
    login = welcomed()
    assert login.receive(HELLO) == [Resume("token", "ops", 7)]
    assert login.is_resuming
    assert login.receive(Error("resume-unknown", "")) == [Name("alice", "red")]
    assert not login.is_resuming


def test_refused_name_is_reported_once_for_each_name() -> None:
    """It is sent again on each connection, until the user chooses another in the same colour."""
    login = welcomed()
    login.receive(HELLO)
    with pytest.raises(NameRefusedError, match="taken"):
        login.receive(Error("name-taken", "taken"))
    assert login.receive(Error("name-taken", "taken")) == []
    assert login.needs_name
    assert login.choose_name(Name("alba")) == [Name("alba", "red")]
    with pytest.raises(NameRefusedError):
        login.receive(Error("name-invalid", "invalid"))
    assert login.receive(Welcome("alba", "red", "token", 0)) == []
    assert not login.needs_name


def test_new_name_waits_for_the_greeting_and_the_challenge() -> None:
    """It is sent in its turn."""
    login = Login(proves_identity=True)
    assert login.choose_name(Name("alba", "red")) == []
    assert login.receive(HELLO) == [Challenge()]
    assert login.choose_name(Name("eve")) == []
    assert login.receive(CHALLENGED, PROOF) == [PROOF, Name("eve", "red")]


@pytest.mark.parametrize(
    ("code", "first", "later"),
    [
        ("password-wrong", PasswordRefusedError, PasswordRefusedError),
        ("password-needed", PasswordRefusedError, PasswordRefusedError),
        ("too-fast", PasswordRefusedError, SignInError),
        ("server-full", SignInError, SignInError),
    ],
)
def test_kind_of_a_refusal(code: str, first: type[SignInError], later: type[SignInError]) -> None:
    """The limit of wrong passwords is final only at the first sign-in."""
    for login, kind in ((greeted(Login()), first), (welcomed(), later)):
        login.receive(HELLO)
        with pytest.raises(SignInError, match="no") as caught:
            login.receive(Error(code, "no"))
        assert type(caught.value) is kind
