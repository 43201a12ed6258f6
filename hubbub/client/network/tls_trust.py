"""Verification of a server's certificate: by authorities, by a pinned fingerprint, or by trust on first use.

Nothing is sent to a server whose certificate is not trusted.
"""

import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from hubbub.client.network.transport import TlsTransport
from hubbub.client.state.private_files import make_folder, replace_private
from hubbub.tls import MIN_TLS_VERSION, fingerprint

KNOWN_SERVERS = "known_servers"  # the file, beside the settings
AUTHORITIES = "authorities"  # what is remembered of a server that the system's authorities verify

Open = Callable[[ssl.SSLContext], TlsTransport]
"""Opens a new connection; raises ssl.SSLCertVerificationError if the context refuses the certificate, NoTlsError where
there is none at all, and OSError."""

FIRST_VISIT = "First visit to {}. Compare this fingerprint with the one the server printed: {}"
INTERCEPTION = "Someone may be intercepting this connection."

_FINGERPRINT = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){31}")


class TrustError(Exception):
    """The server that answers cannot be trusted; the text says why and what to do."""


class NoTlsError(TrustError):
    """The server does not speak TLS."""

    def __init__(self, advice: str = "") -> None:
        super().__init__("this server does not speak TLS, and nothing was sent" + advice)


class TlsTrust(Protocol):
    """A way to verify a server. For one thread at a time."""

    def open_trusted(self, connect: Open) -> TlsTransport:
        """Return a transport to the verified server. Raises TrustError, and what `connect` raises."""


class Authorities:
    """Trusts the certificates that the authorities in a PEM file verify."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises TrustError."""
        try:
            self._context = _verifying(path)
        except OSError as error:
            reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise TrustError(f"cannot read the authorities in {path}: {reason}") from error

    def open_trusted(self, connect: Open) -> TlsTransport:
        """Return a transport to a server that they verify, under the host name of its address."""
        try:
            return connect(self._context)
        except ssl.SSLCertVerificationError as error:
            raise TrustError(
                f"the server's certificate is not trusted: {error.verify_message}; nothing was sent"
            ) from error


class Pin:
    """Trusts the certificate with a known fingerprint."""

    def __init__(self, pin: str) -> None:
        """`pin` is what `parse_fingerprint` returns."""
        self._pin = pin

    def open_trusted(self, connect: Open) -> TlsTransport:
        """Return a transport to the server with that certificate."""
        transport = connect(_unverified())
        shown = fingerprint(transport.certificate)
        if shown != self._pin:
            transport.close()
            raise TrustError(f"the server's certificate has SHA-256 {shown}, not {self._pin}; nothing was sent")
        return transport


class KnownServers:
    """The file of known servers: a line for each, with its address and its fingerprint, or AUTHORITIES."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> dict[str, str]:
        """Return what is known of each address. Raises TrustError: an unreadable file must not count as empty."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeError) as error:
            raise TrustError(f"cannot read the known servers in {self.path}: {error}") from error
        known = {}
        for line in lines:
            server, _, value = line.partition(" ")
            if value != AUTHORITIES and not _FINGERPRINT.fullmatch(value):
                raise TrustError(f"{self.path} has a bad line: {line!r}; correct or remove it")
            known[server] = value
        return known

    def is_known(self, server: str) -> bool:
        """Say whether the server at this address spoke TLS before. Raises TrustError."""
        return server.lower() in self.load()

    def save(self, known: dict[str, str]) -> None:
        """Write the file, whole or not at all. Raises TrustError.

        Of two clients that store new servers in the same moment, one entry may be lost; it is then shown again.
        """
        text = "".join(f"{server} {value}\n" for server, value in sorted(known.items()))
        try:
            make_folder(self.path.parent)
            replace_private(self.path, text.encode())
        except OSError as error:
            raise TrustError(f"cannot store the server in {self.path}: {error.strerror}") from error


class FirstUse:
    """Trusts a server that the system's authorities verify, and else the first one seen at its address."""

    def __init__(self, servers: KnownServers, server: str, tell: Callable[[str], None]) -> None:
        """`server` is its address as text; `tell` shows the user the fingerprint, the first time."""
        self._servers = servers
        self._server = server.lower()
        self._tell = tell
        self._known: str | None = None  # for as long as this run lasts, whatever happens to the file

    def open_trusted(self, connect: Open) -> TlsTransport:
        """Return a transport to the server that was seen before, or to a new one, which is stored."""
        if self._known is None:
            self._known = self._servers.load().get(self._server, "")
        try:
            return self._open(connect)
        except NoTlsError as error:
            if self._known:  # to go on without TLS is what an interceptor would want
                raise NoTlsError(self._tls_lost) from error
            raise NoTlsError("; leave out --tls to connect without encryption") from error

    def _open(self, connect: Open) -> TlsTransport:
        shown = ""
        if self._known not in ("", AUTHORITIES):
            transport = connect(_unverified())
            shown = fingerprint(transport.certificate)
            if shown == self._known:
                return transport
            transport.close()
        try:
            transport = connect(_verifying())
        except ssl.SSLCertVerificationError as error:
            if self._known:
                raise TrustError(self._changed(shown or error.verify_message)) from error
            return self._trust_new(connect(_unverified()))
        self._store(AUTHORITIES, transport)
        return transport

    def _trust_new(self, transport: TlsTransport) -> TlsTransport:
        shown = fingerprint(transport.certificate)
        self._store(shown, transport)
        self._tell(FIRST_VISIT.format(self._server, shown))
        return transport

    def _store(self, value: str, transport: TlsTransport) -> None:
        """Store `value` for all later connections. Where that fails, `transport` is closed."""
        try:
            if self._known != value:
                self._servers.save({**self._servers.load(), self._server: value})
        except TrustError:
            transport.close()
            raise
        self._known = value

    @property
    def _tls_lost(self) -> str:
        return (
            f", although it did before. {INTERCEPTION} If the owner of {self._server} confirms this, "
            f"remove its line from {self._servers.path}"
        )

    def _changed(self, shown: str) -> str:
        before = "verified by authorities" if self._known == AUTHORITIES else self._known
        return (
            f"the certificate of {self._server} has changed, and nothing was sent. Before: {before}. Now: {shown}. "
            f"{INTERCEPTION} If the owner of {self._server} confirms this, remove its line from {self._servers.path}"
        )


def parse_fingerprint(text: str) -> str:
    """Return a SHA-256 fingerprint, typed with or without colons, in its normal form. Raises ValueError."""
    try:
        digest = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise ValueError(f"{text!r} is not a SHA-256 fingerprint; use the 64 hexadecimal digits that the server prints")
    return digest.hex(":").upper()


def _verifying(path: Path | None = None) -> ssl.SSLContext:
    """Return a context that verifies a server and its host name, by the authorities in `path` or the system's."""
    context = ssl.create_default_context(cafile=str(path) if path else None)
    context.minimum_version = MIN_TLS_VERSION
    return context


def _unverified() -> ssl.SSLContext:
    """Return a context for a server whose certificate the caller checks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = MIN_TLS_VERSION
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
