"""The bytes of one client: a transport is read by its session's thread and written by the delivery thread."""

import contextlib
import socket
import struct

RECV_BYTES = 256  # a read while little arrives: more than most lines, and held by every client who is silent
RECV_BYTES_BUSY = 65_536  # a read while much arrives: after a few that were full, each four times as large
RECV_GROWTH = 4
KEEPALIVE_SECONDS = 60  # the kernel's own question to a peer that is silent, for peers that vanish without a word


class SocketTransport:
    """A connected socket. Each method says which thread may call it; none of them blocks but `recv`."""

    __slots__ = ("_recv_bytes", "_socket", "_timeout", "address", "broken")

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._recv_bytes = RECV_BYTES
        self._timeout = -1.0
        self.broken = False  # set by the delivery thread: the peer takes nothing any more
        self.address: str = connection.getpeername()[0]
        connection.setblocking(True)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)

    def handshake(self, seconds: float) -> None:
        """Do what comes before the first line, within `seconds`: nothing. Session thread only. Raises OSError."""

    def recv(self, timeout: float) -> bytes:
        """Return what has arrived, waiting for it at most `timeout` seconds; ``b""`` is the end. Session thread only.

        Raises TimeoutError, and OSError when the connection broke.
        """
        self._set_timeout(timeout)
        try:
            data = self._socket.recv(self._recv_bytes)
        except BlockingIOError:
            raise TimeoutError from None
        full = len(data) >= self._recv_bytes
        self._recv_bytes = min(RECV_GROWTH * self._recv_bytes, RECV_BYTES_BUSY) if full else RECV_BYTES
        return data

    def reset_read_size(self) -> None:
        """Have the next read be a small one: what cannot be carried out yet is better left where it is.

        Session thread only.
        """
        self._recv_bytes = RECV_BYTES

    def _set_timeout(self, timeout: float) -> None:
        # The kernel's own time limit: one system call a read, where Python's needs a poll() before each.
        if timeout != self._timeout:
            self._timeout = timeout
            microseconds = max(1, int(timeout * 1e6))  # 0 would mean for ever
            limit = struct.pack("@ll", microseconds // 1_000_000, microseconds % 1_000_000)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)

    def send(self, data: bytes) -> int:
        """Return how many bytes the socket took at once. Sets `broken` when the peer is gone. Delivery thread only."""
        try:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError:
            self.broken = True
            return 0

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._socket.fileno()

    def end_reading(self) -> None:
        """Make `recv` return, now and from now on. Any thread."""
        with contextlib.suppress(OSError):  # it may be gone already
            self._socket.shutdown(socket.SHUT_RD)

    def end_writing(self) -> None:
        """Tell the peer that nothing more comes. Delivery thread only."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Give the descriptor back. Delivery thread only, after the session's thread has read its last."""
        self._socket.close()
