"""The server's password: where it is read from, and a server that has one."""

import subprocess
import sys
from pathlib import Path

import pytest

from hubbub.options import PasswordError
from hubbub.server import cli as chat_server
from hubbub.server.access.hash_pool import HashPool
from hubbub.server.access.passwords import ServerPassword, load_password
from hubbub.server.access.scrypt import HashedSecret, ScryptHash
from testing.server import ServerProcess, captured_log, serving
from testing.waiting import ROOT
from testing.wire_client import WireClient

COMMAND = [sys.executable, str(ROOT / "chat_server.py")]
OPEN_SESAME = ScryptHash.create("open sesame")


@pytest.fixture
def password() -> ServerPassword:
    return ServerPassword(HashedSecret(OPEN_SESAME))


# ------------------------------------------------------------------------------------------------------ configuration


@pytest.mark.parametrize("text", ["open sesame\nmore\n", " open sesame \r\n", f"{OPEN_SESAME}\n"])
def test_password_from_a_file(tmp_path: Path, text: str, hash_pool: HashPool) -> None:
    """From its first line, hashed or not; plain text causes a warning."""
    path = tmp_path / "password"
    path.write_text(text)
    found = load_password(path, {"CHAT_PASSWORD": "other"})
    assert found is not None
    found.check("open sesame", "192.0.2.1", hash_pool)
    assert (str(path) in found.warning) == (not text.startswith("scrypt"))
    assert "--hash-password" in found.warning or not found.warning


def test_password_from_the_environment(hash_pool: HashPool) -> None:
    """If no file is given."""
    found = load_password(None, {"CHAT_PASSWORD": str(OPEN_SESAME)})
    assert found is not None
    found.check("open sesame", "192.0.2.1", hash_pool)
    assert load_password(None, {}) is None


@pytest.mark.parametrize("text", ["", "\n\nx", "  \n", "scrypt:1:1\n"])
def test_file_without_a_password(tmp_path: Path, text: str) -> None:
    """The server does not start; one line on standard error, exit code 2."""
    path = tmp_path / "password"
    path.write_text(text)
    with pytest.raises(PasswordError):
        load_password(path, {})
    run = subprocess.run(
        [*COMMAND, "--password-file", str(path)], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False
    )
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert str(path) in run.stderr


def test_unreadable_password(tmp_path: Path) -> None:
    """The error says why."""
    with pytest.raises(PasswordError, match="No such file"):
        load_password(tmp_path / "missing", {})
    with pytest.raises(PasswordError, match="no password in CHAT_PASSWORD"):
        load_password(None, {"CHAT_PASSWORD": ""})


@pytest.mark.parametrize(("given", "code"), [("open sesame\n", 0), ("\n", 2), ("", 2)])
def test_hash_password_option(tmp_path: Path, given: str, code: int) -> None:
    """It reads a line of standard input, prints the hash and nothing else, and creates no file."""
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


def test_client_with_the_password_signs_in(password: ServerPassword) -> None:
    """`/pass` comes first and has no reply; before it every command is refused with what to do."""
    with serving(password=password) as server, WireClient(server.address) as client:
        assert client.read_line() == "/hello 1 password"
        for line in ("/name alice", "/resume x lobby 0", "/help", "hello", "/nonsense", "/list"):
            client.send(line)
            assert client.read_line().startswith("/error password-needed ")
        client.send("/pass open  sesame")
        assert client.read_line().startswith("/error password-wrong ")
        client.send("/pass open sesame", "/name alice")
        assert client.read_line().startswith("/welcome alice")
        client.read_until("/entered")
        client.send("/pass open sesame")
        assert client.read_line().startswith("/error not-allowed ")


def test_five_wrong_passwords_block_the_address(password: ServerPassword) -> None:
    """On all connections, for the right password too, and from the loopback address."""
    with serving(password=password) as server:
        for _ in range(5):
            with WireClient(server.address) as client:
                client.read_line()
                client.send("/pass x")
                assert client.read_line().startswith("/error password-wrong ")
        with WireClient(server.address) as client:
            client.read_line()
            client.send("/pass open sesame", "/name alice")
            assert client.read_line().startswith("/error too-fast ")
            assert client.read_line().startswith("/error password-needed ")


def test_server_without_a_password() -> None:
    """Its greeting says so, and `/pass` is refused."""
    with serving() as server, WireClient(server.address) as client:
        assert client.read_line() == "/hello 1 -"
        client.send("/pass x", "/name alice")
        assert client.read_line().startswith("/error not-allowed ")
        assert client.read_line().startswith("/welcome")


def test_password_is_not_logged(password: ServerPassword) -> None:
    """Even if it is mistyped."""
    with captured_log() as lines, serving(password=password) as server, WireClient(server.address) as client:
        client.send("/pass hunter2", "/passhunter2", "/Pass hunter2", "pass hunter2", "/name hunter2", "/exit")
        client.read_to_end()
    assert any("password-wrong" in line for line in lines)
    assert not any("hunter2" in line for line in lines)


def test_server_process_with_a_password(tmp_path: Path) -> None:
    """The option works; a password in plain text causes one line on standard error."""
    (tmp_path / "password").write_text("open sesame\n")
    with ServerProcess(tmp_path, "--password-file", "password") as server:
        with WireClient(server.address) as client:
            client.send("/pass open sesame", "/name alice")
            client.read_until("/entered")
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
        ("0.0.0.0", False, True, ["read along"]),  # noqa: S104
        ("192.0.2.1", True, False, ["join"]),
        ("::", False, False, ["join", "read along"]),
    ],
)
def test_warning_about_an_open_port(host: str, encrypted: bool, guarded: bool, words: list[str]) -> None:
    """One line if other machines can reach the port without a password or encryption."""
    text = chat_server.exposure_warning(host, encrypted=encrypted, has_password=guarded)
    assert [word for word in ("join", "read along") if word in text] == words
    assert bool(text) == bool(words)


def test_open_port_is_warned_of_at_start(tmp_path: Path) -> None:
    """On standard error; standard output begins with the address as always."""
    with ServerProcess(tmp_path, "--host", "0.0.0.0") as server:  # noqa: S104
        assert server.first_line.startswith("listening on 0.0.0.0:")
        assert "anyone on this network can join and read along" in server.stop()[1]
