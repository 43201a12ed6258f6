"""The server's password: how it is kept, and a server that has one."""

import subprocess
import sys
from pathlib import Path

import pytest

from hubbub.options import PasswordError
from hubbub.protocol import ProtocolError
from hubbub.server import cli as chat_server
from hubbub.server.access import scrypt
from hubbub.server.access.passwords import ServerPassword, load_password
from hubbub.server.access.scrypt import HashedSecret, HashError, ScryptHash
from testing.server import ServerProcess, captured_log, serving
from testing.waiting import ROOT
from testing.wire_client import WireClient

COMMAND = [sys.executable, str(ROOT / "chat_server.py")]
OPEN_SESAME = ScryptHash.create("open sesame")


@pytest.fixture
def password() -> ServerPassword:
    return ServerPassword(HashedSecret(OPEN_SESAME))


# ---------------------------------------------------------------------------------------------------------- the hash


def test_a_hash_is_of_one_secret() -> None:
    """Also after it was written and read; every hash has a salt of its own."""
    again = ScryptHash.parse(str(OPEN_SESAME))
    assert again == OPEN_SESAME
    assert (again.matches("open sesame"), again.matches("open sesam"), again.matches("")) == (True, False, False)
    assert ScryptHash.create("open sesame").salt != OPEN_SESAME.salt


def test_how_a_keyboard_spells_it_is_all_one() -> None:
    """An é is an é, composed or not."""
    assert HashedSecret(ScryptHash.create("caf\u00e9")).matches("cafe\u0301")


@pytest.mark.parametrize(
    "line",
    [
        "scrypt:1:2",
        "bcrypt:16384:8:1:00:" + "00" * 32,
        "scrypt:16383:8:1:00:" + "00" * 32,
        "scrypt:16384:8:99:00:" + "00" * 32,
        "scrypt:1048576:8:1:00:" + "00" * 32,
        "scrypt:16384:8:1::" + "00" * 32,
        "scrypt:16384:8:1:00:00",
        "scrypt:16384:8:1:00:zz",
    ],
)
def test_what_is_no_hash(line: str) -> None:
    """Bad numbers, a cost that nobody should pay, and what is cut short."""
    with pytest.raises(HashError):
        ScryptHash.parse(line)


def test_the_right_one_costs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong costs a scrypt each time, so that time tells nothing."""
    calls: list[str] = []
    real = scrypt._scrypt

    def counted(text: str, *rest: object) -> bytes:
        calls.append(text)
        return real(text, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(scrypt, "_scrypt", counted)
    secret = HashedSecret(OPEN_SESAME)
    assert [secret.matches(text) for text in ("no", "open sesame", "open sesame", "no", "")] == [False, True, True] + [
        False
    ] * 2
    assert calls == ["no", "open sesame", "no", ""]


def test_no_turn_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever cannot have one in time is told when to try again, and no hash is computed for him."""
    monkeypatch.setattr(scrypt, "SLOT_SECONDS", 0.01)
    for _ in range(scrypt.MAX_CONCURRENT):
        scrypt._slots.acquire()
    try:
        with pytest.raises(ProtocolError, match="too-fast"):
            HashedSecret(OPEN_SESAME).matches("x")
    finally:
        for _ in range(scrypt.MAX_CONCURRENT):
            scrypt._slots.release()


# ------------------------------------------------------------------------------------------------------ where it stands


@pytest.mark.parametrize("text", ["open sesame\nmore\n", " open sesame \r\n", f"{OPEN_SESAME}\n"])
def test_a_file(tmp_path: Path, text: str) -> None:
    """Its first line, hashed or not; where it is not, whoever starts the server is told."""
    path = tmp_path / "password"
    path.write_text(text)
    found = load_password(path, {"CHAT_PASSWORD": "other"})
    assert found is not None
    found.check("open sesame", "192.0.2.1")
    assert (str(path) in found.warning) == (not text.startswith("scrypt"))
    assert "--hash-password" in found.warning or not found.warning


def test_the_environment() -> None:
    """Where no file is named."""
    found = load_password(None, {"CHAT_PASSWORD": str(OPEN_SESAME)})
    assert found is not None
    found.check("open sesame", "192.0.2.1")
    assert load_password(None, {}) is None


@pytest.mark.parametrize("text", ["", "\n\nx", "  \n", "scrypt:1:1\n"])
def test_a_file_without_a_password(tmp_path: Path, text: str) -> None:
    """The server does not start open by mistake; one line, exit code 2."""
    path = tmp_path / "password"
    path.write_text(text)
    with pytest.raises(PasswordError):
        load_password(path, {})
    run = subprocess.run(
        [*COMMAND, "--password-file", str(path)], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False
    )
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert str(path) in run.stderr


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """The line says why."""
    with pytest.raises(PasswordError, match="No such file"):
        load_password(tmp_path / "missing", {})
    with pytest.raises(PasswordError, match="no password in CHAT_PASSWORD"):
        load_password(None, {"CHAT_PASSWORD": ""})


@pytest.mark.parametrize(("given", "code"), [("open sesame\n", 0), ("\n", 2), ("", 2)])
def test_making_a_hash(tmp_path: Path, given: str, code: int) -> None:
    """A line of standard input, and nothing else is printed or made."""
    run = subprocess.run(
        [*COMMAND, "--hash-password"],
        cwd=tmp_path,
        input=given,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert run.returncode == code
    assert list(tmp_path.iterdir()) == []
    if code == 0:
        assert ScryptHash.parse(run.stdout.strip()).matches("open sesame")
        assert run.stderr == ""


# ------------------------------------------------------------------------------------------------------------ sessions


def test_who_has_it_comes_in(password: ServerPassword) -> None:
    """`/pass` comes first, is not answered, and everything else says what to do until then."""
    with serving(password=password) as server, WireClient(server.address) as wire:
        assert wire.read_line() == "/hello 1 password"
        for line in ("/name alice", "/resume x lobby 0", "/help", "hello", "/nonsense", "/list"):
            wire.send(line)
            assert wire.read_line().startswith("/error password-needed ")
        wire.send("/pass open  sesame")
        assert wire.read_line().startswith("/error password-wrong ")
        wire.send("/pass open sesame", "/name alice")
        assert wire.read_line().startswith("/welcome alice")
        wire.read_until("/entered")
        wire.send("/pass open sesame")
        assert wire.read_line().startswith("/error not-allowed ")


def test_five_wrong_ones_and_the_address_waits(password: ServerPassword) -> None:
    """On whatever connections, with the right one too; this machine is no exception."""
    with serving(password=password) as server:
        for _ in range(5):
            with WireClient(server.address) as wire:
                wire.read_line()
                wire.send("/pass x")
                assert wire.read_line().startswith("/error password-wrong ")
        with WireClient(server.address) as wire:
            wire.read_line()
            wire.send("/pass open sesame", "/name alice")
            assert wire.read_line().startswith("/error too-fast ")
            assert wire.read_line().startswith("/error password-needed ")


def test_a_server_without_one() -> None:
    """It says so in its greeting, and to whoever brings one."""
    with serving() as server, WireClient(server.address) as wire:
        assert wire.read_line() == "/hello 1 -"
        wire.send("/pass x", "/name alice")
        assert wire.read_line().startswith("/error not-allowed ")
        assert wire.read_line().startswith("/welcome")


def test_the_log_has_no_password(password: ServerPassword) -> None:
    """However it is mistyped."""
    with captured_log() as log, serving(password=password) as server, WireClient(server.address) as wire:
        wire.send("/pass hunter2", "/passhunter2", "/Pass hunter2", "pass hunter2", "/name hunter2", "/exit")
        wire.read_to_end()
    assert any("password-wrong" in line for line in log)
    assert not any("hunter2" in line for line in log)


def test_a_process_with_one(tmp_path: Path) -> None:
    """The options reach the server; a password in the clear is one line on standard error."""
    (tmp_path / "password").write_text("open sesame\n")
    with ServerProcess(tmp_path, "--password-file", "password") as server:
        with WireClient(server.address) as wire:
            wire.send("/pass open sesame", "/name alice")
            wire.read_until("/entered")
        code, errors = server.stop()
    assert (code, errors.count("\n")) == (0, 1)
    assert "password has the password in plain text" in errors
    assert "sesame" not in errors + (tmp_path / "chat_server.log").read_text()


@pytest.mark.parametrize(
    ("host", "encrypted", "guarded", "words"),
    [
        ("127.0.0.1", False, False, []),
        ("::1", False, False, []),
        ("0.0.0.0", True, True, []),  # noqa: S104
        ("0.0.0.0", False, True, ["in the clear"]),  # noqa: S104
        ("192.0.2.1", True, False, ["may come in"]),
        ("::", False, False, ["may come in", "in the clear"]),
    ],
)
def test_what_an_open_port_means(host: str, encrypted: bool, guarded: bool, words: list[str]) -> None:
    """One line for whoever starts the server, where anything but this machine reaches it."""
    text = chat_server.exposure(host, encrypted=encrypted, guarded=guarded)
    assert [word for word in ("may come in", "in the clear") if word in text] == words
    assert bool(text) == bool(words)


def test_an_open_port_is_told_at_the_start(tmp_path: Path) -> None:
    """On standard error; the first line of standard output is where it listens, as ever."""
    with ServerProcess(tmp_path, "--host", "0.0.0.0") as server:  # noqa: S104
        assert server.first_line.startswith("listening on 0.0.0.0:")
        assert "anybody who reaches this port may come in" in server.stop()[1]
