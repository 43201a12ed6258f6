"""Security tests of whole programs: on disk, on the screen and in the log."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hubbub.client.network.identity import make_proof
from hubbub.protocol import ServerChallenge
from testing.certificates import unverified_context
from testing.client_runs import client_on_terminal
from testing.server import ServerProcess
from testing.terminal import CTRL_D, ENTER, Terminal, environment
from testing.waiting import ROOT
from testing.wire_client import WireClient

SECRET = bytes(range(32))


@contextmanager
def lax_umask() -> Iterator[None]:
    """Set a umask that leaves new files readable and writable for all users, unless a program restricts them."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """Return the mode of each file below `folder` by its name."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


def test_files_of_the_server_are_private_to_its_user(tmp_path: Path) -> None:
    """The log, the files of the journal, and the certificate, with any umask."""
    with (
        lax_umask(),
        ServerProcess(tmp_path, "--tls-self-signed") as server,
        WireClient(server.address, "alice", context=unverified_context()) as alice,
    ):
        alice.send("hello")
        alice.read_until("/say")
        found = modes(tmp_path)
    journal = [f"chat_journal.db{end}" for end in ("", ".lock", "-shm", "-wal")]
    assert found == dict.fromkeys([*journal, "chat_server.log", "chat_tls.pem"], 0o600)


def test_files_of_the_client_are_private_to_its_user(tmp_path: Path) -> None:
    """The secret, the settings, the typed history and the log, with any umask."""
    with ServerProcess(tmp_path, "--tls-self-signed", "--log-file", "server/log") as server, lax_umask():
        host, port = server.address
        options = (f"{host}:{port}", "--tls", "--name", "alice", "--color", "red", "--config", str(tmp_path / "config"))
        with client_on_terminal(tmp_path, *options) as terminal:
            terminal.wait_for("you are in lobby")
            terminal.type("/ignore bob" + ENTER + "hello" + ENTER)
            terminal.wait_for("alice: hello")
            terminal.type(CTRL_D)
            assert terminal.wait_for_exit() == 0
    found = modes(tmp_path / "config")
    assert {"history", "known_servers", "secret", "server_ids", "settings.json"} <= set(found)
    assert set(found.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "config").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "client.log").stat().st_mode) == 0o600


def test_no_file_of_the_server_contains_a_secret(tmp_path: Path) -> None:
    """No password, room key, resume token or name proof."""
    hashed = subprocess.run(
        [sys.executable, str(ROOT / "chat_server.py"), "--hash-password"],
        input="hunter2\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    (tmp_path / "password").write_text(hashed.stdout)
    with ServerProcess(tmp_path, "--password-file", "password") as server, WireClient(server.address) as alice:
        alice.send("/pass hunter2", "/challenge")
        _, identity, nonce = alice.read_match("/challenge").split()
        answer = make_proof(SECRET, ServerChallenge(identity, nonce))
        alice.send(f"/prove {answer.verifier} {answer.proof}", "/name alice", "/join ops swordfish", "hello")
        token = alice.read_match("/welcome").split()[3]
        alice.read_until("/say ops")
        server.process.kill()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"hello" in stored
    assert answer.verifier.encode() in stored
    for secret in ("hunter2", "swordfish", token, answer.proof):
        assert secret.encode() not in stored
    assert bytes.fromhex(token) not in stored


def test_a_password_is_not_shown_while_it_is_hashed(tmp_path: Path) -> None:
    """The screen and the scrollback show only the hash."""
    with Terminal("chat_server.py", ["--hash-password"], environment(tmp_path)) as terminal:
        for prompt in ("Password: ", "Once more: "):
            terminal.wait_for(prompt.strip())
            terminal.type("hunter2" + ENTER)
        assert terminal.wait_for_exit() == 0
        assert b"scrypt:" in terminal.raw
        assert b"hunter2" not in terminal.raw


def test_a_traceback_in_the_log_has_no_values(tmp_path: Path) -> None:
    """A password in a variable stays out of the log; the place of the error is in it."""
    (tmp_path / "program.py").write_text(
        "from pathlib import Path; from loguru import logger; from hubbub.log import configure_log\n"
        "def fail(password): int(password[:0])\n"
        "configure_log(Path('log'))\n"
        "try: fail('hunter2')\n"
        "except ValueError: logger.exception('it failed')\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "program.py"], cwd=tmp_path, env=env, timeout=20, check=True)
    log = (tmp_path / "log").read_text()
    assert "in fail" in log
    assert log.count("hunter2") == 1  # in the program's own source line
