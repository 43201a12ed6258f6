"""A server that does what a test tells it, line by line, on a real loopback socket."""

import socket
import struct
from types import TracebackType
from typing import Self

WAIT_SECONDS = 10.0  # for anything that the client owes: a slow machine's start included


class FakePeer:
    """The server's end of one connection. Whatever does not come within WAIT_SECONDS raises TimeoutError."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(WAIT_SECONDS)
        self.sock = sock
        self._file = sock.makefile("rb")

    def send(self, *lines: str | bytes) -> None:
        """Send lines; one in bytes is sent as it is."""
        self.sock.sendall(b"".join(line if isinstance(line, bytes) else f"{line}\n".encode() for line in lines))

    def receive(self) -> str:
        """Return the client's next line without its end, or an empty string at the end."""
        return self._file.readline().decode().removesuffix("\n")

    def let_in(self, name: str = "alice", color: str = "red") -> None:
        """Play a whole sign-in, and show the lobby."""
        self.send("/hello 1 -")
        assert self.receive().startswith("/name ")
        self.send(f"/welcome {name} {color} token 0", "/entered lobby 0 1 -")

    def close(self) -> None:
        """Close in order."""
        self._file.close()
        self.sock.close()

    def reset(self) -> None:
        """Close as a machine does that lost its power and came back."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class FakeServer:
    """Listens on a free port of 127.0.0.1; a context manager that closes whatever it accepted."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(WAIT_SECONDS)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._peers: list[FakePeer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for peer in self._peers:
            peer.close()
        self._listener.close()

    def accept(self) -> FakePeer:
        """Return the next connection."""
        peer = FakePeer(self._listener.accept()[0])
        self._peers.append(peer)
        return peer
