"""Helpers for tests of the delivery: transports that are lists or slow sockets, and a running delivery thread."""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hubbub.protocol import Said
from hubbub.server.delivery.actions import Post
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.delivery.sequencer import LocalSequencer
from hubbub.server.journal.journal import LocalJournal
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.network.transport import SocketTransport
from hubbub.server.rooms.room import Member, Room
from testing.waiting import TIMEOUT_SECONDS

ROOM = Room("ops", "ops")
LINES = 1_000  # of `long_posts`: they just fit into a tail


class ListTransport:
    """A transport that takes everything."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.broken = False
        self.ended: list[str] = []

    def send(self, data: bytes) -> int:
        self.sent.append(data)
        return len(data)

    def fileno(self) -> int:
        raise AssertionError("nobody waits for a transport that takes everything")

    def end_reading(self) -> None:
        self.ended.append("reading")

    def end_writing(self) -> None:
        self.ended.append("writing")

    def close(self) -> None:
        self.ended.append("closed")

    @property
    def lines(self) -> list[str]:
        return b"".join(self.sent).decode().splitlines()


class SocketPairTransport(SocketTransport):
    """A transport over a socket pair, which has no TCP options to set."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.broken = False


class SlowReader:
    """A member whose client reads only when it is told to."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        for end in (self.near, self.far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        self.far.settimeout(TIMEOUT_SECONDS)
        self.member = Member(SocketPairTransport(self.near))

    def read_until(self, end: bytes) -> list[str]:
        """Read until `end` has come, and return all lines."""
        data = b""
        while end not in data:
            data += self.far.recv(65_536)
        return data.decode().splitlines()

    def close(self) -> None:
        self.near.close()
        self.far.close()


def local_delivery(journal: LocalJournal, **options: Any) -> Delivery:
    """Return the delivery of a single server."""
    clock = options.pop("clock", time.time)
    return Delivery(journal, LocalSequencer(journal, clock), **options)


@contextmanager
def running_delivery(journal: LocalJournal | None = None) -> Iterator[Delivery]:
    """Run a delivery thread whose clock stands at one second, and stop it at the end."""
    delivery = local_delivery(journal or MemoryJournal(), clock=lambda: 1.0)
    delivery.start()
    try:
        yield delivery
    finally:
        delivery.stop(1.0)


def new_member() -> tuple[Member, ListTransport]:
    """Return a member, and their transport."""
    transport = ListTransport()
    return Member(transport), transport


def post(room: Room, text: str) -> Post:
    """Return a post of one line."""
    return Post(room, Said, "bob", "red", [text])


def long_posts(room: Room, count: int) -> list[Post]:
    """Return posts of one long line each."""
    return [post(room, f"{number} " + "x" * 900) for number in range(count)]


def covered(lines: Sequence[str]) -> list[int]:
    """Return the SEQs of `lines`, those in a `/gap` included, in their order."""
    seqs: list[int] = []
    for word, _, first, last, *_ in (line.split() for line in lines):
        seqs += [int(first)] if word == "/say" else range(int(first), int(last) + 1)
    return seqs
