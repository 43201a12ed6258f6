"""How a connection to the server comes about, the first time and again."""

import errno
import os
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

from client.channel import Channel

CONNECT_SECONDS = 10.0  # for one address; a server that is there answers in one

_CONNECTING = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)})

Wait = Callable[[socket.socket, int, float], None]
"""Waits until a socket is ready for events of `selectors`; raises TimeoutError at a time in monotonic seconds.

What else it raises ends the dialling.
"""


def wait_here(sock: socket.socket, events: int, until: float) -> None:
    """Be the `Wait` of a thread that has nothing else to wait for."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, events)
        if not selector.select(max(0.0, until - time.monotonic())):
            raise timed_out()


def timed_out() -> TimeoutError:
    """Return what a `Wait` raises, with the system's own words."""
    return TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


class Dialer:
    """Connects to the server at a host and port, for one thread at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)

    def connect(self, wait: Wait = wait_here) -> Channel:
        """Return a channel to the server. Raises OSError, within CONNECT_SECONDS for each address of the host."""
        failure = OSError("no address")
        for family, kind, number, _, address in socket.getaddrinfo(*self._address, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, number)
            try:
                _reach(sock, address, wait)
                return Channel(sock)
            except BaseException as error:
                sock.close()
                if not isinstance(error, OSError):
                    raise
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
