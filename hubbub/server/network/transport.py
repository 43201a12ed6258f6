"""The socket of one client, read by the session's thread and written by the delivery thread."""

import contextlib
import socket
import struct

MIN_READ_BYTES = 256  # while little arrives: more than most lines, and every idle client needs so much memory
MAX_READ_BYTES = 65_536  # while much arrives
READ_GROWTH = 4  # after a read that was full, the next is so many times as large
KEEPALIVE_SECONDS = 60  # without traffic; then the kernel checks whether the peer still exists


class SocketTransport:
    """A connected socket. Each method says which thread may call it; only `recv` blocks."""

    __slots__ = ("_read_bytes", "_socket", "_timeout", "address", "broken")

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._read_bytes = MIN_READ_BYTES
        self._timeout = -1.0
        self.broken = False  # whether the peer is gone; set by the delivery thread
        self.address: str = connection.getpeername()[0]
        connection.setblocking(True)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)

    def handshake(self, seconds: float) -> None:
        """Do nothing: a plain socket has no handshake. Session thread only, before the first line is sent."""

    def recv(self, timeout: float) -> bytes:
        """Return the bytes that have arrived, after at most `timeout` seconds; ``b""`` is the end. Session thread only.

        Raises TimeoutError, and another OSError if the connection is broken.
        """
        self._set_timeout(timeout)
        try:
            data = self._socket.recv(self._read_bytes)
        except BlockingIOError:
            raise TimeoutError from None
        full = len(data) >= self._read_bytes
        self._read_bytes = min(READ_GROWTH * self._read_bytes, MAX_READ_BYTES) if full else MIN_READ_BYTES
        return data

    def reset_read_size(self) -> None:
        """Make the next read small, because what it returns cannot be handled yet. Session thread only."""
        self._read_bytes = MIN_READ_BYTES

    def _set_timeout(self, timeout: float) -> None:
        # The kernel's timeout: one system call for each read, where Python's timeout needs a poll() before it.
        if timeout != self._timeout:
            self._timeout = timeout
            microseconds = max(1, int(timeout * 1e6))  # 0 would mean no timeout
            limit = struct.pack("@ll", microseconds // 1_000_000, microseconds % 1_000_000)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)

    def send(self, data: bytes) -> int:
        """Return how many bytes the socket took at once; set `broken` if the peer is gone. Delivery thread only."""
        try:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError:
            self.broken = True
            return 0

    def fileno(self) -> int:
        """Return the file descriptor, for a selector."""
        return self._socket.fileno()

    def end_reading(self) -> None:
        """Make the current and every later `recv` return at once. Any thread."""
        with contextlib.suppress(OSError):  # the connection may be closed already
            self._socket.shutdown(socket.SHUT_RD)

    def end_writing(self) -> None:
        """Tell the peer that no more bytes follow. Delivery thread only."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket. Delivery thread only, after the session's thread has read for the last time."""
        self._socket.close()
