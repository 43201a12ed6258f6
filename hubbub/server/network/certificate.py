"""The server's certificate: read from files, read again without disturbing anybody, or made."""

import datetime
import ipaddress
import os
import re
import secrets
import socket
import ssl
from pathlib import Path
from typing import NoReturn

from loguru import logger

from hubbub.server.network.tls_transport import TlsTransport
from hubbub.tls import MIN_TLS_VERSION, fingerprint

SELF_SIGNED_DAYS = 3_650  # people compare its fingerprint once; what they remember should last
SELF_SIGNED_SKEW_DAYS = 1  # by which it is valid before it is made, for clocks that are behind
MODE = 0o600  # the key is in it

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class CertificateError(Exception):
    """There is no certificate to serve with; the text says why and what to do."""


class Certificate:
    """A certificate and its key in PEM files, and the connections that are opened with them."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read both files, which may be one. Raises CertificateError."""
        self._paths = certificate, key
        self.context, self.fingerprint = _read(certificate, key)

    def reload(self) -> None:
        """Use what the files hold now, for those who come from now on; if it is broken, log that and change nothing."""
        try:
            # Always a new context: one that connections use must not be changed.
            self.context, self.fingerprint = _read(*self._paths)
        except CertificateError as error:
            logger.error("the old certificate stays: {}", error)
        else:
            logger.info("certificate read again, SHA-256 {}", self.fingerprint)

    def wrap_connection(self, connection: socket.socket) -> TlsTransport:
        """Return the transport of a client who has just connected. Any thread."""
        return TlsTransport(connection, self.context)


def _read(certificate: Path, key: Path) -> tuple[ssl.SSLContext, str]:
    """Return a context that serves with the files, and the certificate's fingerprint. Raises CertificateError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = MIN_TLS_VERSION
    context.options |= ssl.OP_NO_RENEGOTIATION  # a peer's cheap question, a server's dear answer
    context.num_tickets = 0  # no client of a chat takes up an old TLS session
    try:
        context.load_cert_chain(certificate, key, password=lambda: _refuse_encrypted(key))
        # The first in the file is the server's own; the others are those of its authorities.
        own = _PEM.search(certificate.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise CertificateError(f"cannot serve with {certificate} and {key}: {_reason(error)}") from error
    assert own is not None  # OpenSSL has found it just before
    return context, fingerprint(ssl.PEM_cert_to_DER_cert(own[0]))


def _refuse_encrypted(key: Path) -> NoReturn:
    raise CertificateError(f"the key {key} is encrypted; a server needs one that it can read alone")


def _reason(error: OSError) -> str:
    if not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    return (error.reason or "no certificate or key in PEM").replace("_", " ").lower()


# ------------------------------------------------------------------------------------------------------- self-signed


def load_or_create_self_signed(path: Path, host: str) -> Certificate:
    """Return the certificate in `path`, made there the first time for one who listens on `host`.

    Raises CertificateError.
    """
    if not path.exists():
        _write(path, _make(host))
        logger.info("made the certificate {}", path)
    return Certificate(path, path)


def _write(path: Path, data: bytes) -> None:
    """Write a file for its owner alone, whole or not at all. Raises CertificateError."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb") as file:  # noqa: PTH123  # a descriptor
            file.write(data)
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise CertificateError(f"cannot write the certificate {path}: {error.strerror}") from error


def _make(host: str) -> bytes:
    """Return a new key and a certificate for it in PEM. Raises CertificateError without the library for it."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise CertificateError(
            f"--tls-self-signed needs a library; install it with: pip install -e '.[tls]' ({error})"
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "chat-room")])
    now = datetime.datetime.now(datetime.UTC)
    hosts = dict.fromkeys(["localhost", "127.0.0.1", "::1", socket.gethostname(), host])
    names = [x509.IPAddress(address) if (address := _address(one)) else x509.DNSName(one) for one in hosts]
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(SELF_SIGNED_SKEW_DAYS))
        .not_valid_after(now + datetime.timedelta(SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + certificate.public_bytes(pem)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that `host` is, or None if it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
