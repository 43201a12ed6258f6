"""Which server's certificate is the right one: that of an authority, one that was told, or the one seen first.

Nothing is sent to a server whose certificate is refused.
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

_FINGERPRINT = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){31}")


class TrustError(Exception):
    """Another server answers than the one we look for, or there is no telling; the text says why and what to do."""


class NoTlsError(TrustError):
    """What answers does not speak TLS at all."""

    def __init__(self, advice: str = "") -> None:
        super().__init__("this server does not speak TLS, and nothing was sent" + advice)


class TlsTrust(Protocol):
    """A way to know a server. For one thread at a time."""

    def admit(self, connect: Open) -> TlsTransport:
        """Return a transport to the right server. Raises TrustError, and what `connect` raises."""


class Authorities:
    """Verifies by the authorities in a PEM file."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises TrustError."""
        try:
            self._context = _verifying(path)
        except OSError as error:
            reason = "there is no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
            raise TrustError(f"cannot use the authorities in {path}: {reason}") from error

    def admit(self, connect: Open) -> TlsTransport:
        """Return a transport to a server that they verify, under the name that we call it."""
        try:
            return connect(self._context)
        except ssl.SSLCertVerificationError as error:
            raise TrustError(f"the server's certificate is refused: {error.verify_message}") from error


class Pin:
    """Knows the fingerprint beforehand."""

    def __init__(self, pin: str) -> None:
        """Take what `parse_fingerprint` returns."""
        self._pin = pin

    def admit(self, connect: Open) -> TlsTransport:
        """Return a transport to the server with that certificate."""
        transport = connect(_unverified())
        shown = fingerprint(transport.certificate)
        if shown != self._pin:
            transport.close()
            raise TrustError(f"the server's certificate has SHA-256 {shown}, and not {self._pin}; nothing was sent")
        return transport


class KnownServers:
    """A small file that remembers servers: a line for each, its address and its fingerprint, or AUTHORITIES."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> dict[str, str]:
        """Return what is known of each address. Raises TrustError: what cannot be read must not count as nothing."""
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
                raise TrustError(f"{self.path} has a line that is none of a known server: {line!r}; mend or remove it")
            known[server] = value
        return known

    def is_known(self, server: str) -> bool:
        """Say whether this server, as its address is written, spoke TLS before. Raises TrustError."""
        return server.lower() in self.load()

    def save(self, known: dict[str, str]) -> None:
        """Write the file, whole or not at all. Raises TrustError.

        Of two clients that meet new servers in the same moment, one may forget; it then shows its server again.
        """
        text = "".join(f"{server} {value}\n" for server, value in sorted(known.items()))
        try:
            make_folder(self.path.parent)
            replace_private(self.path, text.encode())
        except OSError as error:
            raise TrustError(f"cannot remember the server in {self.path}: {error.strerror}") from error


class FirstUse:
    """Takes a server that the system's authorities verify, and else the one that was seen first under its address."""

    def __init__(self, servers: KnownServers, server: str, tell: Callable[[str], None]) -> None:
        """`server` is how its address is written; `tell` shows the person a fingerprint, the first time."""
        self._servers = servers
        self._server = server.lower()
        self._tell = tell
        self._known: str | None = None  # what we hold to as long as we live, whatever becomes of the file

    def admit(self, connect: Open) -> TlsTransport:
        """Return a transport to the server that was here before, or to a new one, which is remembered."""
        if self._known is None:
            self._known = self._servers.load().get(self._server, "")
        try:
            return self._admit(connect)
        except NoTlsError as error:
            if self._known:  # to go on without it is just what somebody in between would want
                raise NoTlsError(self._spoke_it) from error
            raise NoTlsError("; leave out --tls to speak with it in the clear") from error

    def _admit(self, connect: Open) -> TlsTransport:
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
            return self._meet(connect(_unverified()))
        self._remember(AUTHORITIES, transport)
        return transport

    def _meet(self, transport: TlsTransport) -> TlsTransport:
        shown = fingerprint(transport.certificate)
        self._remember(shown, transport)
        self._tell(f"{self._server} is new here; its certificate has SHA-256 {shown}: compare that with its owner's")
        return transport

    def _remember(self, value: str, transport: TlsTransport) -> None:
        """Remember `value` for all future. Where that fails, `transport` is closed."""
        try:
            if self._known != value:
                self._servers.save({**self._servers.load(), self._server: value})
        except TrustError:
            transport.close()
            raise
        self._known = value

    @property
    def _spoke_it(self) -> str:
        return (
            f"; {self._server} spoke it before, so somebody may be in between. If its owner says that this is right, "
            f"remove its line from {self._servers.path}"
        )

    def _changed(self, shown: str) -> str:
        before = "verified by authorities" if self._known == AUTHORITIES else self._known
        return (
            f"THE CERTIFICATE OF {self._server} HAS CHANGED; somebody may be in between, and nothing was sent. "
            f"Before: {before}. Now: {shown}. If its owner says that this is right, "
            f"remove its line from {self._servers.path}"
        )


def parse_fingerprint(text: str) -> str:
    """Return a SHA-256 fingerprint, with or without colons, in our spelling. Raises ValueError."""
    try:
        digest = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise ValueError(f"{text!r} is no SHA-256 fingerprint; it has 64 hexadecimal digits, as the server prints it")
    return digest.hex(":").upper()


def _verifying(path: Path | None = None) -> ssl.SSLContext:
    """Return a context that verifies a server and its name, by the authorities in `path` or those of the system."""
    context = ssl.create_default_context(cafile=str(path) if path else None)
    context.minimum_version = MIN_TLS_VERSION
    return context


def _unverified() -> ssl.SSLContext:
    """Return a context for a server whose certificate its caller will look at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = MIN_TLS_VERSION
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
