"""The server's certificate: loaded from files, reloaded while the server runs, or created."""

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

SELF_SIGNED_DAYS = 3_650  # valid so long, because users compare the fingerprint only once
SELF_SIGNED_SKEW_DAYS = 1  # valid so long before it is created, for clients whose clock is behind
FILE_MODE = 0o600  # the file contains the key

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class CertificateError(Exception):
    """A certificate cannot be loaded or created; the text says why and what to do."""


class Certificate:
    """A certificate and its key, loaded from PEM files."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load both files, which may be the same. Raises CertificateError."""
        self._paths = certificate, key
        self.context, self.fingerprint = _load(certificate, key)

    def reload(self) -> None:
        """Load the files again, for new connections. If that fails, log the error and keep the old certificate."""
        try:
            # A new context, because a context in use must not be changed.
            self.context, self.fingerprint = _load(*self._paths)
        except CertificateError as error:
            logger.error("the old certificate stays in use: {}", error)
        else:
            logger.info("reloaded the certificate, SHA-256 {}", self.fingerprint)

    def wrap_connection(self, connection: socket.socket) -> TlsTransport:
        """Return the transport of a new connection. Any thread."""
        return TlsTransport(connection, self.context)


def _load(certificate: Path, key: Path) -> tuple[ssl.SSLContext, str]:
    """Return a TLS context with a certificate, and its fingerprint. Raises CertificateError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = MIN_TLS_VERSION
    context.options |= ssl.OP_NO_RENEGOTIATION  # it costs the server much more than the client
    context.num_tickets = 0  # clients of a chat do not resume TLS sessions
    try:
        context.load_cert_chain(certificate, key, password=lambda: _refuse_encrypted(key))
        # The first certificate in the file is the server's, the others are those of its authorities.
        own = _PEM.search(certificate.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise CertificateError(f"cannot load {certificate} and {key}: {_reason(error)}") from error
    assert own is not None  # OpenSSL has just loaded it
    return context, fingerprint(ssl.PEM_cert_to_DER_cert(own[0]))


def _refuse_encrypted(key: Path) -> NoReturn:
    raise CertificateError(f"the key {key} is encrypted; use one without a passphrase")


def _reason(error: OSError) -> str:
    if not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    return (error.reason or "no certificate or key in PEM format").replace("_", " ").lower()


# ------------------------------------------------------------------------------------------------------- self-signed


def load_or_create_self_signed(path: Path, host: str) -> Certificate:
    """Return the certificate in `path`; if there is none, create it for a server that listens on `host`.

    Raises CertificateError.
    """
    if not path.exists():
        _write_file(path, _create_self_signed(host))
        logger.info("created the certificate {}", path)
    return Certificate(path, path)


def _write_file(path: Path, data: bytes) -> None:
    """Write a file atomically, readable by its owner only. Raises CertificateError."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor has no path
            file.write(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CertificateError(f"cannot write the certificate {path}: {error.strerror}") from error


def _create_self_signed(host: str) -> bytes:
    """Return a new key and certificate in PEM format. Raises CertificateError if `cryptography` is not installed."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise CertificateError(
            f"--tls-self-signed needs a library; install it with: pip install -e '.[tls]' ({error})"
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "chat-room")])
    now = datetime.datetime.now(datetime.UTC)
    hosts = dict.fromkeys(["localhost", "127.0.0.1", "::1", socket.gethostname(), host])
    names = [x509.IPAddress(address) if (address := _parse_ip(text)) else x509.DNSName(text) for text in hosts]
    certificate = (
        x509.CertificateBuilder(issuer_name=subject, subject_name=subject, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(SELF_SIGNED_SKEW_DAYS))
        .not_valid_after(now + datetime.timedelta(SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private_key = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private_key + certificate.public_bytes(pem)


def _parse_ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address in `host`; None if it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
