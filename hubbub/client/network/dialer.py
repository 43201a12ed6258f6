"""Connecting to the server: addresses, TLS, and several servers of one chat."""

import errno
import os
import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from hubbub.client.network.tls_trust import NoTlsError, TlsTrust, TrustError
from hubbub.client.network.transport import SocketTransport, TlsTransport
from hubbub.tls import HANDSHAKE_SECONDS

CONNECT_SECONDS = 10.0  # for one address; a reachable server answers in one
NOT_TLS = "WRONG_VERSION_NUMBER"  # what OpenSSL calls plain text

_CONNECTING = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)})

C = TypeVar("C", bound=SocketTransport)

Wait = Callable[[socket.socket, int, float], None]
"""Waits until a socket is ready for events of `selectors`; raises TimeoutError at a time in monotonic seconds.

Any other exception ends the attempt.
"""


def wait_here(sock: socket.socket, events: int, until: float) -> None:
    """Wait for one socket: the `Wait` of a thread that has nothing else to wait for."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, events)
        if not selector.select(max(0.0, until - time.monotonic())):
            raise timed_out()


def timed_out() -> TimeoutError:
    """Return the error that a `Wait` raises, with the system's message."""
    return TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


class Dialer:
    """Connects to the server at a host and port, for one thread at a time; with `trust`, through TLS."""

    def __init__(self, host: str, port: int, trust: TlsTrust | None = None) -> None:
        self._address = (host, port)
        self._trust = trust

    def connect(self, wait: Wait = wait_here) -> SocketTransport:
        """Return a transport to the server.

        Raises OSError, within CONNECT_SECONDS for each address of the host and tls.HANDSHAKE_SECONDS for the server;
        and TrustError where the server is not trusted.
        """
        if self._trust is None:
            return self._open(SocketTransport, wait)
        return self._trust.open_trusted(lambda context: self._open(partial(self._secure, context, wait), wait))

    def _open(self, make: Callable[[socket.socket], C], wait: Wait) -> C:
        """Return what `make` returns for the first socket that connects."""
        failure = OSError("no address")
        for family, kind, number, _, address in socket.getaddrinfo(*self._address, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, number)
            try:
                _reach(sock, address, wait)
                return make(sock)
            except BaseException as error:
                sock.close()
                if not isinstance(error, OSError) or isinstance(error, ssl.SSLError):
                    raise
                failure = error
        raise failure

    def _secure(self, context: ssl.SSLContext, wait: Wait, sock: socket.socket) -> TlsTransport:
        """Do the TLS handshake. Raises TrustError where the server does not speak TLS."""
        transport = TlsTransport(sock, context, self._address[0])
        until = time.monotonic() + HANDSHAKE_SECONDS
        try:
            transport.open(lambda: wait(sock, selectors.EVENT_READ, until))
        except ssl.SSLCertVerificationError:
            raise
        except ssl.SSLEOFError as error:
            raise ConnectionAbortedError(
                "the server closed the connection during the handshake; it may be full"
            ) from error
        except ssl.SSLError as error:
            if error.reason == NOT_TLS:
                raise NoTlsError from error
            reason = (error.reason or str(error)).replace("_", " ").lower()
            raise TrustError(f"the TLS handshake failed, and nothing was sent: {reason}") from error
        return transport


class AnyDialer(Dialer):
    """Connects to one of several servers of one chat: to the first, and each time to the next."""

    def __init__(self, dialers: Sequence[Dialer]) -> None:
        self._dialers = deque(dialers)

    def connect(self, wait: Wait = wait_here) -> SocketTransport:
        """Return a transport to the first server that answers, as `Dialer.connect` does, or raise the last error.

        A server that is not trusted ends the attempt: the next one is not tried.
        """
        failure: OSError = OSError("no address")
        for _ in range(len(self._dialers)):
            dialer = self._dialers[0]
            self._dialers.rotate(-1)
            try:
                return dialer.connect(wait)
            except OSError as error:
                failure = error
        raise failure


def _reach(sock: socket.socket, address: tuple[Any, ...], wait: Wait) -> None:
    """Connect `sock`. Raises OSError."""
    sock.setblocking(False)
    code = sock.connect_ex(address)
    if code in _CONNECTING:
        wait(sock, selectors.EVENT_WRITE, time.monotonic() + CONNECT_SECONDS)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
