"""The clients of the load generator: many connections in one thread, over epoll.

They receive into one big buffer and count the marks in it, so that a client costs next to nothing; with numpy (which
matplotlib brings) the counting is ten times as fast. A `TimedCrowd` also reads each message's time stamp: the delay is
from there to when the kernel had the message for the client, so how late this process reads it does not count.
"""

import contextlib
import select
import socket
import ssl
import struct
import time
from array import array
from collections.abc import Iterable
from enum import Enum
from types import TracebackType
from typing import Any, Self

from benchmarks.wire_formats import MARK, NOWHERE, STAMP_DIGITS, Dialect

try:
    import numpy as np
except ImportError:
    np = None  # type: ignore[assignment,unused-ignore]

BUFFER_BYTES = 1_048_576
TAIL_BYTES = 512  # of what was read, kept while one enters, for a word that is cut
SMALL_BYTES = 4_096  # below that the plain count is the faster one
WAIT_SECONDS = 0.1
SO_TIMESTAMPNS = 35  # Linux: with each read the kernel tells when the data arrived
STAMP_BYTES = 64  # room for that
IN, OUT = select.EPOLLIN, select.EPOLLOUT


class Stage(Enum):
    """How far a client has come."""

    GREETING = 1
    JOINING = 2
    INSIDE = 3
    LEAVING = 4


class Client:
    """One connection."""

    __slots__ = ("endless", "name", "rest", "room", "socket", "stage", "unsent")

    def __init__(self, connection: socket.socket, name: str, room: int) -> None:
        self.socket = connection
        self.name = name
        self.room = room
        self.stage = Stage.GREETING
        self.rest = b""
        self.unsent = memoryview(b"")
        self.endless = memoryview(b"")  # what one who floods says again and again


class Counter:
    """A buffer that counts the marks in it."""

    def __init__(self) -> None:
        self.buffer = bytearray(BUFFER_BYTES)
        if np is not None:
            self._view: Any = np.frombuffer(self.buffer, dtype=np.uint8)
            self._mask: Any = np.empty(BUFFER_BYTES, dtype=bool)

    def count(self, size: int) -> int:
        """Return how many there are in the first `size` bytes."""
        if size < SMALL_BYTES or np is None:
            return self.buffer.count(MARK, 0, size)
        np.equal(self._view[:size], MARK[0], out=self._mask[:size])
        return int(np.count_nonzero(self._mask[:size]))


class Crowd:
    """Clients that enter, and then count what arrives. A context manager that closes them."""

    def __init__(self, address: tuple[str, int], dialect: Dialect, context: ssl.SSLContext | None = None) -> None:
        self.address = address
        self.dialect = dialect
        self.messages = 0  # arrived, marked
        self.bytes = 0  # arrived
        self.inside: list[Client] = []
        self.dropped = 0  # whose connection the server ended
        self.complaint = ""  # the first thing a server said against one of them
        self._context = context
        self._counter = Counter()
        self._clients: dict[int, Client] = {}
        self._epoll = select.epoll()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            client.socket.close()
        self._epoll.close()

    # ------------------------------------------------------------------------------------------------- coming

    def enter(self, count: int, rooms: int, in_flight: int, seconds: float) -> float:
        """Bring `count` clients in, into `rooms` in turns, at most `in_flight` at a time; return how long it took.

        Without rooms they join none. Those who are not in after `seconds`, or were refused, are missing from `inside`.
        """
        start = time.monotonic()
        wanted = iter(range(count))
        begun = 0
        while len(self.inside) + self.dropped < count and time.monotonic() < start + seconds:
            while begun < count and begun - len(self.inside) - self.dropped < in_flight:
                number = next(wanted)
                self.begin(f"c{number}", number % rooms if rooms else NOWHERE)
                begun += 1
            self.pump(WAIT_SECONDS)
        return time.monotonic() - start

    def begin(self, name: str, room: int) -> None:
        """Have one more client connect and enter."""
        self.connect(name, room).unsent = memoryview(self.dialect.greet(name))

    def connect(self, name: str, room: int) -> Client:
        """Have one more client connect."""
        client = Client(self._connect(), name, room)
        self._clients[client.socket.fileno()] = client
        self._epoll.register(client.socket, IN | OUT)
        return client

    @property
    def people(self) -> int:
        """How many are connected, or about to be."""
        return len(self._clients)

    def _connect(self) -> socket.socket:
        connection = socket.socket()
        if self._context:
            connection.settimeout(10)
            connection.connect(self.address)
            connection = self._context.wrap_socket(connection)
        connection.setblocking(False)
        if not self._context:
            connection.connect_ex(self.address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _go_on(self, client: Client, data: bytes) -> None:
        """Take the next step of entering, if the server has said so."""
        seen = client.rest + data
        client.rest = seen[-TAIL_BYTES:]
        if client.stage is Stage.GREETING and self.dialect.welcomed in seen:
            self._note_complaint(seen)  # only before: what others said comes after
            client.rest = b""
            client.stage = Stage.JOINING
            if not (join := self.dialect.join(client.room)):
                self._arrive(client)
            else:
                self.say(client, join)
        elif client.stage is Stage.JOINING and self.dialect.joined(client.room) in seen:
            self._arrive(client)
        elif client.stage is not Stage.LEAVING:
            self._note_complaint(seen)

    def _arrive(self, client: Client) -> None:
        client.stage = Stage.INSIDE
        client.rest = b""
        self.inside.append(client)

    def _note_complaint(self, data: bytes) -> None:
        if not self.complaint and (found := self.dialect.refused.search(data)):
            self.complaint = found[0].decode(errors="replace")

    # ------------------------------------------------------------------------------------------------- being there

    def say(self, client: Client, data: bytes) -> None:
        """Send as much as goes at once, and the rest when it can be sent."""
        if client.unsent:
            client.unsent = memoryview(bytes(client.unsent) + data)
            return
        client.unsent = memoryview(data)
        self._send(client)
        if client.unsent:
            self._epoll.modify(client.socket, IN | OUT)

    def flood(self, client: Client, block: bytes) -> None:
        """Have a client say whole lines as fast as the server takes them, from here on."""
        client.unsent = client.endless = memoryview(block)
        self._epoll.modify(client.socket, IN | OUT)

    def go_deaf(self, clients: Iterable[Client]) -> None:
        """Have clients never read again."""
        for client in clients:
            self._epoll.unregister(client.socket)
            self.inside.remove(client)

    def pump(self, seconds: float) -> None:
        """Wait at most `seconds` for something to arrive or to be sendable, and take it."""
        for descriptor, event in self._epoll.poll(seconds):
            client = self._clients.get(descriptor)
            if client is None:
                continue
            if event & OUT:
                self._send(client)
                if not client.unsent:
                    client.unsent = client.endless
                    if not client.endless:
                        self._epoll.modify(descriptor, IN)
            if event & ~OUT:
                self._receive(client)

    def _send(self, client: Client) -> None:
        try:
            sent = client.socket.send(client.unsent)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return
        except OSError:
            client.unsent = memoryview(b"")  # reading tells that it is over
            return
        client.unsent = client.unsent[sent:]

    def _receive(self, client: Client) -> None:
        try:
            size = client.socket.recv_into(self._counter.buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            size = 0
        if not size:
            self._lose(client)
            return
        self.bytes += size
        if client.stage is Stage.INSIDE:
            self.messages += self._counter.count(size)
        else:
            self._go_on(client, bytes(memoryview(self._counter.buffer)[:size]))

    def leave(self, client: Client) -> None:
        """Have a client leave; his connection is closed when the server has closed it."""
        if client.stage is Stage.INSIDE:
            self.inside.remove(client)
        client.stage = Stage.LEAVING
        self.say(client, self.dialect.leave())

    def close(self, client: Client, *, abruptly: bool = False) -> None:
        """Close a client's connection without a word; abruptly, with a reset."""
        if abruptly:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if client.stage is Stage.INSIDE:
            self.inside.remove(client)
        client.stage = Stage.LEAVING
        self._lose(client)

    def half_close(self, client: Client) -> None:
        """End a client's own side; his connection is closed when the server has closed it."""
        self.inside.remove(client)
        client.stage = Stage.LEAVING
        client.socket.shutdown(socket.SHUT_WR)

    def _lose(self, client: Client) -> None:
        del self._clients[client.socket.fileno()]
        self._epoll.unregister(client.socket)
        client.socket.close()
        if client.stage is not Stage.LEAVING:
            self.dropped += 1
            with contextlib.suppress(ValueError):
                self.inside.remove(client)


class TimedCrowd(Crowd):
    """Clients that also note each message's delay, and answer pings. With `own_clock` the reader's time is arrival."""

    def __init__(
        self,
        address: tuple[str, int],
        dialect: Dialect,
        context: ssl.SSLContext | None = None,
        *,
        own_clock: bool = False,
    ) -> None:
        super().__init__(address, dialect, context)
        self.delays = array("q")  # ns
        self._own_clock = own_clock or context is not None
        self._whole = memoryview(self._counter.buffer)
        self._buffers = [self._counter.buffer]

    def _connect(self) -> socket.socket:
        connection = super()._connect()
        if not self._own_clock:
            connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        return connection

    def _receive(self, client: Client) -> None:
        try:
            data, arrived = self._read(client.socket)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            data, arrived = b"", 0
        if not data:
            self._lose(client)
            return
        self.bytes += len(data)
        if client.stage is not Stage.INSIDE:
            self._go_on(client, data)
            return
        lines = client.rest + data
        end = lines.rfind(b"\n") + 1
        client.rest = lines[end:]
        self._note_delays(lines, end, arrived)
        for asked in self.dialect.asked.finditer(lines, 0, end):
            self.say(client, self.dialect.pong(asked[1]))

    def _read(self, connection: socket.socket) -> tuple[bytes, int]:
        """Return what there is, and when the last of it had arrived."""
        if self._own_clock:
            size = connection.recv_into(self._counter.buffer)
            return bytes(self._whole[:size]), time.time_ns()
        size, extra, _, _ = connection.recvmsg_into(self._buffers, STAMP_BYTES)
        data = bytes(self._whole[:size])
        if not extra:
            return data, time.time_ns()
        stamp = extra[0][2]
        return data, int.from_bytes(stamp[:8], "little") * 1_000_000_000 + int.from_bytes(stamp[8:16], "little")

    def _note_delays(self, lines: bytes, end: int, arrived: int) -> None:
        at = lines.find(MARK, 0, end)
        while at >= 0:
            self.messages += 1
            self.delays.append(arrived - int(lines[at + 1 : at + 1 + STAMP_DIGITS]))
            at = lines.find(MARK, at + 1, end)
