"""The clients of the load generator: many connections in one thread, over epoll.

They receive into one big buffer and count the markers in it, so that a client costs next to nothing. With numpy (which
matplotlib installs) counting is ten times as fast. `TimedLoadClients` also reads the time stamp of each message: the
delay ends when the kernel has the message for the client, so it does not depend on how late this process reads it.
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

from benchmarks.wire_formats import MARKER, NO_ROOM, STAMP_DIGITS, WireFormat

try:
    import numpy as np
except ImportError:
    np = None  # type: ignore[assignment,unused-ignore]

BUFFER_BYTES = 1_048_576
TAIL_BYTES = 512  # of earlier data, stored during sign-in because a word may arrive in two pieces
SMALL_BYTES = 4_096  # below that the plain count is faster
POLL_SECONDS = 0.1
CONNECT_SECONDS = 10.0  # with TLS, for the handshake too
SO_TIMESTAMPNS = 35  # Linux: with each read the kernel says when the data arrived
STAMP_BYTES = 64  # room for that
IN, OUT = select.EPOLLIN, select.EPOLLOUT


class Stage(Enum):
    """The stage of a client's session."""

    SIGNING_IN = 1
    JOINING = 2
    JOINED = 3
    LEAVING = 4


class LoadClient:
    """One connection."""

    __slots__ = ("flood_block", "name", "partial", "room", "socket", "stage", "unsent")

    def __init__(self, connection: socket.socket, name: str, room: int) -> None:
        self.socket = connection
        self.name = name
        self.room = room
        self.stage = Stage.SIGNING_IN
        self.partial = b""  # received data that is not yet parsed
        self.unsent = memoryview(b"")
        self.flood_block = memoryview(b"")  # what a flooding client sends again and again


class MarkerCounter:
    """A receive buffer that counts the markers in it."""

    def __init__(self) -> None:
        self.buffer = bytearray(BUFFER_BYTES)
        if np is not None:
            self._view: Any = np.frombuffer(self.buffer, dtype=np.uint8)
            self._mask: Any = np.empty(BUFFER_BYTES, dtype=bool)

    def count(self, size: int) -> int:
        """Return the number of markers in the first `size` bytes."""
        if size < SMALL_BYTES or np is None:
            return self.buffer.count(MARKER, 0, size)
        np.equal(self._view[:size], MARKER[0], out=self._mask[:size])
        return int(np.count_nonzero(self._mask[:size]))


class LoadClients:
    """Clients that sign in and then count the messages that arrive; a context manager that closes them."""

    def __init__(
        self, address: tuple[str, int], wire_format: WireFormat, context: ssl.SSLContext | None = None
    ) -> None:
        self.address = address
        self.wire_format = wire_format
        self.messages = 0  # that arrived, with a marker
        self.bytes = 0  # that arrived
        self.joined: list[LoadClient] = []
        self.dropped = 0  # clients whose connection the server ended
        self.refusal = ""  # the first error that the server sent to one of them
        self._context = context
        self._counter = MarkerCounter()
        self._by_descriptor: dict[int, LoadClient] = {}
        self._epoll = select.epoll()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for client in self._by_descriptor.values():
            client.socket.close()
        self._epoll.close()

    @property
    def connected(self) -> int:
        """The number of clients that are connected, or about to be."""
        return len(self._by_descriptor)

    # ------------------------------------------------------------------------------------------------- sign-in

    def join_all(self, count: int, rooms: int, max_pending: int, seconds: float) -> float:
        """Connect `count` clients, spread over `rooms`, at most `max_pending` at a time; return the seconds it took.

        Without rooms they join none. A client that did not join within `seconds` is missing from `joined`.
        """
        start = time.monotonic()
        started = 0
        while len(self.joined) + self.dropped < count and time.monotonic() < start + seconds:
            while started < count and started - len(self.joined) - self.dropped < max_pending:
                self.sign_in(f"c{started}", started % rooms if rooms else NO_ROOM)
                started += 1
            self.poll(POLL_SECONDS)
        return time.monotonic() - start

    def sign_in(self, name: str, room: int) -> None:
        """Connect one more client, which signs in and joins `room`."""
        self.connect(name, room).unsent = memoryview(self.wire_format.encode_sign_in(name))

    def connect(self, name: str, room: int) -> LoadClient:
        """Connect one more client, which sends nothing."""
        client = LoadClient(self._connect(), name, room)
        self._by_descriptor[client.socket.fileno()] = client
        self._epoll.register(client.socket, IN | OUT)
        return client

    def _connect(self) -> socket.socket:
        connection = socket.socket()
        if self._context:
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(self.address)
            connection = self._context.wrap_socket(connection)
        connection.setblocking(False)
        if not self._context:
            connection.connect_ex(self.address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _advance_sign_in(self, client: LoadClient, data: bytes) -> None:
        """Take the next step of signing in if the server allows it."""
        seen = client.partial + data
        client.partial = seen[-TAIL_BYTES:]
        if client.stage is Stage.SIGNING_IN and self.wire_format.welcome in seen:
            self._record_refusal(seen)  # only now: later, messages of other clients may look like one
            client.partial = b""
            client.stage = Stage.JOINING
            if join := self.wire_format.encode_join(client.room):
                self.send(client, join)
            else:
                self._mark_joined(client)
        elif client.stage is Stage.JOINING and self.wire_format.joined(client.room) in seen:
            self._mark_joined(client)
        elif client.stage is not Stage.LEAVING:
            self._record_refusal(seen)

    def _mark_joined(self, client: LoadClient) -> None:
        client.stage = Stage.JOINED
        client.partial = b""
        self.joined.append(client)

    def _record_refusal(self, data: bytes) -> None:
        if not self.refusal and (found := self.wire_format.refusal.search(data)):
            self.refusal = found[0].decode(errors="replace")

    # ------------------------------------------------------------------------------------------------- traffic

    def send(self, client: LoadClient, data: bytes) -> None:
        """Send what the socket takes now, and the rest when it is writable."""
        if client.unsent:
            client.unsent = memoryview(bytes(client.unsent) + data)
            return
        client.unsent = memoryview(data)
        self._flush(client)
        if client.unsent:
            self._epoll.modify(client.socket, IN | OUT)

    def start_flood(self, client: LoadClient, block: bytes) -> None:
        """Make a client send `block`, whole lines, again and again, as fast as the server reads it."""
        client.unsent = client.flood_block = memoryview(block)
        self._epoll.modify(client.socket, IN | OUT)

    def stop_reading(self, clients: Iterable[LoadClient]) -> None:
        """Make clients never read again."""
        for client in clients:
            self._epoll.unregister(client.socket)
            self.joined.remove(client)

    def poll(self, seconds: float) -> None:
        """Wait at most `seconds` for sockets that are readable or writable, then read and send."""
        for descriptor, event in self._epoll.poll(seconds):
            client = self._by_descriptor.get(descriptor)
            if client is None:
                continue
            if event & OUT:
                self._flush(client)
                if not client.unsent:
                    client.unsent = client.flood_block
                    if not client.flood_block:
                        self._epoll.modify(descriptor, IN)
            if event & ~OUT:
                self._receive(client)

    def _flush(self, client: LoadClient) -> None:
        try:
            sent = client.socket.send(client.unsent)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return
        except OSError:
            client.unsent = memoryview(b"")  # the next read finds that the connection has ended
            return
        client.unsent = client.unsent[sent:]

    def _receive(self, client: LoadClient) -> None:
        try:
            size = client.socket.recv_into(self._counter.buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            size = 0
        if not size:
            self._remove(client)
            return
        self.bytes += size
        if client.stage is Stage.JOINED:
            self.messages += self._counter.count(size)
        else:
            self._advance_sign_in(client, bytes(memoryview(self._counter.buffer)[:size]))

    # ------------------------------------------------------------------------------------------------- leaving

    def leave(self, client: LoadClient) -> None:
        """Make a client leave; its connection is closed when the server has closed it."""
        self._mark_leaving(client)
        self.send(client, self.wire_format.encode_leave())

    def close(self, client: LoadClient, *, reset: bool = False) -> None:
        """Close a client's connection without leaving first; with `reset`, by a TCP reset."""
        if reset:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._mark_leaving(client)
        self._remove(client)

    def half_close(self, client: LoadClient) -> None:
        """End the client's sending side; its connection is closed when the server has closed it."""
        self._mark_leaving(client)
        client.socket.shutdown(socket.SHUT_WR)

    def _mark_leaving(self, client: LoadClient) -> None:
        if client.stage is Stage.JOINED:
            self.joined.remove(client)
        client.stage = Stage.LEAVING

    def _remove(self, client: LoadClient) -> None:
        del self._by_descriptor[client.socket.fileno()]
        self._epoll.unregister(client.socket)
        client.socket.close()
        if client.stage is not Stage.LEAVING:
            self.dropped += 1
            with contextlib.suppress(ValueError):
                self.joined.remove(client)


class TimedLoadClients(LoadClients):
    """Load clients that also record the delay of each message and answer pings.

    A delay ends when the kernel has the message; with `own_clock` or TLS, when this process reads it.
    """

    def __init__(
        self,
        address: tuple[str, int],
        wire_format: WireFormat,
        context: ssl.SSLContext | None = None,
        *,
        own_clock: bool = False,
    ) -> None:
        super().__init__(address, wire_format, context)
        self.delays = array("q")  # ns
        self._own_clock = own_clock or context is not None
        self._view = memoryview(self._counter.buffer)
        self._buffers = [self._counter.buffer]

    def _connect(self) -> socket.socket:
        connection = super()._connect()
        if not self._own_clock:
            connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        return connection

    def _receive(self, client: LoadClient) -> None:
        try:
            data, arrived = self._read(client.socket)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            data, arrived = b"", 0
        if not data:
            self._remove(client)
            return
        self.bytes += len(data)
        if client.stage is not Stage.JOINED:
            self._advance_sign_in(client, data)
            return
        lines = client.partial + data
        end = lines.rfind(b"\n") + 1
        client.partial = lines[end:]
        self._record_delays(lines, end, arrived)
        for ping in self.wire_format.ping.finditer(lines, 0, end):
            self.send(client, self.wire_format.encode_pong(ping[1]))

    def _read(self, connection: socket.socket) -> tuple[bytes, int]:
        """Return the data that is there, and the time in ns when the last of it arrived."""
        if self._own_clock:
            size = connection.recv_into(self._counter.buffer)
            return bytes(self._view[:size]), time.time_ns()
        size, extra, _, _ = connection.recvmsg_into(self._buffers, STAMP_BYTES)
        data = bytes(self._view[:size])
        if not extra:
            return data, time.time_ns()
        stamp = extra[0][2]
        return data, int.from_bytes(stamp[:8], "little") * 1_000_000_000 + int.from_bytes(stamp[8:16], "little")

    def _record_delays(self, lines: bytes, end: int, arrived: int) -> None:
        at = lines.find(MARKER, 0, end)
        while at >= 0:
            self.messages += 1
            self.delays.append(arrived - int(lines[at + 1 : at + 1 + STAMP_DIGITS]))
            at = lines.find(MARKER, at + 1, end)
