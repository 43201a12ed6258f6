"""The server's certificate: its files, its options, and the self-signed one."""

import re
import signal
import ssl
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from loguru import logger

from hubbub.server.network.certificate import Certificate, CertificateError, load_or_create_self_signed
from hubbub.tls import fingerprint
from testing.certificates import PEM, Authority, make_key, trusting_context, unverified_context
from testing.server import ServerProcess, refused
from testing.waiting import eventually
from testing.wire_client import WireClient


def test_reload_of_a_broken_certificate_changes_nothing(tmp_path: Path) -> None:
    """The log says what is wrong."""
    identity = Authority(tmp_path).issue()
    certificate = Certificate(identity.path, identity.path)
    context = certificate.context
    sink = logger.add(tmp_path / "log", diagnose=False)
    identity.path.write_text("nonsense")
    certificate.reload()
    identity.path.unlink()
    certificate.reload()
    logger.remove(sink)
    assert certificate.context is context
    assert certificate.fingerprint == identity.fingerprint
    log = (tmp_path / "log").read_text()
    assert log.count("the old certificate stays in use: cannot load") == 2
    assert "No such file" in log


def test_unusable_certificate(tmp_path: Path) -> None:
    """The error names the files and the reason."""
    authority = Authority(tmp_path)
    one, other = authority.issue(file="one.pem"), authority.issue(file="other.pem")
    with pytest.raises(CertificateError, match=r"one\.pem and .*other\.pem: key values mismatch"):
        Certificate(one.path, other.path)
    encrypted = tmp_path / "encrypted.pem"
    protection = serialization.BestAvailableEncryption(b"secret")
    encrypted.write_bytes(make_key().private_bytes(PEM, serialization.PrivateFormat.PKCS8, protection))
    with pytest.raises(CertificateError, match=r"encrypted\.pem is encrypted"):
        Certificate(one.path, encrypted)


def test_self_signed_certificate_is_created_once(tmp_path: Path) -> None:
    """Only its owner can read the file."""
    path = tmp_path / "chat_tls.pem"
    created = load_or_create_self_signed(path, "chat.example")
    assert path.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", created.fingerprint)
    assert load_or_create_self_signed(path, "chat.example").fingerprint == created.fingerprint
    assert [file.name for file in tmp_path.iterdir()] == ["chat_tls.pem"]


def test_self_signed_certificate_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to install it; an existing certificate needs none."""
    load_or_create_self_signed(tmp_path / "existing.pem", "localhost")
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(CertificateError, match=r"pip install -e '\.\[tls\]'"):
        load_or_create_self_signed(tmp_path / "new.pem", "localhost")
    assert load_or_create_self_signed(tmp_path / "existing.pem", "localhost")


def test_certificate_in_a_missing_folder(tmp_path: Path) -> None:
    """The error says so."""
    with pytest.raises(CertificateError, match="cannot write the certificate"):
        load_or_create_self_signed(tmp_path / "missing" / "chat_tls.pem", "localhost")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ["--tls-cert", "missing.pem"],
            "cannot load missing.pem and missing.pem: No such file or directory",
        ),
        (["--tls-key", "key.pem"], "add --tls-cert"),
        (["--tls-self-signed", "--tls-cert", "x.pem"], "not both"),
    ],
)
def test_invalid_tls_options(tmp_path: Path, options: list[str], reason: str) -> None:
    """One line that says what is wrong; exit code 2."""
    error = refused(*options, cwd=tmp_path)
    assert reason in error
    assert error.count("\n") == 1


def test_fingerprint_is_printed(tmp_path: Path) -> None:
    """It is that of the certificate in use, also after a restart."""
    printed = []
    for _ in range(2):
        with ServerProcess(tmp_path, "--tls-self-signed") as server:
            assert server.process.stdout is not None
            line = server.process.stdout.readline()
            printed.append(line)
            with WireClient(server.address, context=trusting_context(tmp_path / "chat_tls.pem")) as alice:
                assert isinstance(alice.socket, ssl.SSLSocket)
                shown = fingerprint(alice.socket.getpeercert(binary_form=True) or b"")
                assert line == f"certificate SHA-256 {shown}\n"
            assert server.stop() == (0, "")
    assert printed[0] == printed[1]


def test_sighup_reloads_the_certificate(tmp_path: Path) -> None:
    """Open connections stay, new ones get the new certificate, and a broken one is ignored."""
    authority = Authority(tmp_path)
    old = authority.issue()
    log = tmp_path / "chat_server.log"
    with (
        ServerProcess(tmp_path, "--tls-cert", str(old.path), "--tls-key", str(old.path)) as server,
        WireClient(server.address, "alice", context=unverified_context()) as alice,
    ):
        new = authority.issue()
        server.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: f"reloaded the certificate, SHA-256 {new.fingerprint}" in log.read_text())
        new.path.write_text("nonsense")
        server.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "the old certificate stays" in log.read_text())
        with WireClient(server.address, "bob", context=trusting_context(authority.path)) as bob:
            assert isinstance(bob.socket, ssl.SSLSocket)
            assert fingerprint(bob.socket.getpeercert(binary_form=True) or b"") == new.fingerprint
            alice.send("still here")
            assert bob.read_match() == alice.read_match()
        assert server.stop() == (0, "")
