"""Promises about what others can find out that are no one module's: on disks, on screens and in the log."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hubbub.client.network.identity import make_proof
from hubbub.protocol import Challenged
from testing.certificates import unverified_context
from testing.client_runs import client_on_terminal
from testing.server import ServerProcess
from testing.terminal import CTRL_D, ENTER, Terminal, environment
from testing.waiting import ROOT
from testing.wire_client import WireClient

SECRET = bytes(range(32))


@contextmanager
def lax_umask() -> Iterator[None]:
    """Have all that is made be for everybody, unless its maker says otherwise."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """Return by its name who may do what with a file below `folder`."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


def test_what_the_server_writes_is_its_owners_alone(tmp_path: Path) -> None:
    """The log, the journal and all that belongs to it, and the certificate, whatever the system's umask."""
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


def test_what_the_client_writes_is_its_persons_alone(tmp_path: Path) -> None:
    """The secret, what is remembered, what was typed and the log, whatever the system's umask."""
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


def test_no_disk_of_the_server_opens_anything(tmp_path: Path) -> None:
    """Neither password nor key, nor what resumes a session or proves a name, is in any of its files."""
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
        answer = make_proof(SECRET, Challenged(identity, nonce))
        alice.send(f"/prove {answer.verifier} {answer.proof}", "/name alice", "/join ops swordfish", "hello")
        token = alice.read_match("/welcome").split()[3]
        alice.read_until("/say ops")
        server.process.kill()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"hello" in kept
    assert answer.verifier.encode() in kept
    for secret in ("hunter2", "swordfish", token, answer.proof):
        assert secret.encode() not in kept
    assert bytes.fromhex(token) not in kept


def test_a_password_that_is_hashed_is_not_shown(tmp_path: Path) -> None:
    """Whoever looks over a shoulder, or scrolls back, sees the hash alone."""
    with Terminal("chat_server.py", ["--hash-password"], environment(tmp_path)) as terminal:
        for question in ("Password: ", "Once more: "):
            terminal.wait_for(question.strip())
            terminal.type("hunter2" + ENTER)
        assert terminal.wait_for_exit() == 0
        assert b"scrypt:" in terminal.raw
        assert b"hunter2" not in terminal.raw


def test_a_traceback_in_the_log_has_no_values(tmp_path: Path) -> None:
    """What a bug had in its hands, a password maybe, stays out; where the bug is stands there."""
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
    assert log.count("hunter2") == 1  # where the program has it
