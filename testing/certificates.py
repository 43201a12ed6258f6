"""Short-lived certificates, and TLS contexts for clients."""

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hubbub.tls import fingerprint

VALID = datetime.timedelta(1)
PEM = serialization.Encoding.PEM


def make_key() -> ec.EllipticCurvePrivateKey:
    """Return a new key."""
    return ec.generate_private_key(ec.SECP256R1())


def common_name(text: str) -> x509.Name:
    """Return a name that has only a common name."""
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


@dataclass(frozen=True)
class Identity:
    """A certificate and its key in one PEM file, as a server uses it."""

    path: Path
    certificate: x509.Certificate

    @cached_property
    def fingerprint(self) -> str:
        """Its SHA-256 fingerprint, as it is shown."""
        return fingerprint(self.certificate.public_bytes(serialization.Encoding.DER))


class Authority:
    """A certificate authority; `path` holds its own certificate."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._name = common_name(name)
        self._key = make_key()
        self._key_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            self._start(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(self._key_id, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(certificate.public_bytes(PEM))

    def issue(self, *hosts: str, file: str = "server.pem") -> Identity:
        """Return a new certificate for the names and addresses `hosts`, by default those of loopback."""
        key = make_key()
        names = [_general_name(host) for host in hosts or ("localhost", "127.0.0.1")]
        authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._key_id)
        certificate = (
            self._start(common_name("server"), key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(authority, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path = self._folder / file
        path.write_bytes(private + certificate.public_bytes(PEM))
        return Identity(path, certificate)

    def _start(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - VALID,
            not_valid_after=now + VALID,
        )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def trusting_context(path: Path) -> ssl.SSLContext:
    """Return a client context that trusts only the certificate in `path`."""
    return ssl.create_default_context(cafile=str(path))


def unverified_context() -> ssl.SSLContext:
    """Return a client context that checks no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
