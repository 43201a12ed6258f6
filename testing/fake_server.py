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

    def admit(self, name: str = "alice", color: str = "red") -> None:
        """Play a whole sign-in, and show the lobby."""
        assert self.greet().startswith("/name ")
        self.send(f"/welcome {name} {color} token 0", "/entered lobby 0 1 -")

    def greet(self) -> str:
        """Say hello, and return what the client answers; a server that knows no challenges says so before."""
        self.send("/hello 1 -")
        return self.receive_after_challenge()

    def receive_after_challenge(self) -> str:
        """Return the client's next line; if it asks for a challenge, say that there is none, and return the next."""
        line = self.receive()
        if line != "/challenge":
            return line
        self.send("/error unknown-command there is no command /challenge")
        return self.receive()

    def admit_resumed(self, resume: str, accepted: int, *lines: str) -> None:
        """See that the client comes back with the line `resume`; let it in, and send it `lines`."""
        assert self.greet() == resume
        self.send(f"/welcome alice red token {accepted}", *lines)

    def acknowledge(self, *posts: str) -> None:
        """See that the next lines are `posts`, each `N LINE`, and acknowledge them."""
        assert [self.receive() for _ in posts] == [f"/post {post}" for post in posts]
        self.send(f"/ack {posts[-1].partition(' ')[0]}")

    def answer_command(self, command: str, *answers: str) -> None:
        """See that the next line is `command`, send `answers`, and say that it is carried out."""
        received = self.receive()
        assert received == command, received
        self.send(*answers)
        self.answer_ping()

    def answer_ping(self) -> None:
        """See that the client asks whether we are there, and say so."""
        word, _, token = self.receive().partition(" ")
        assert word == "/ping"
        self.send(f"/pong {token}")

    def expect_exit(self) -> None:
        """See that the client leaves, and close."""
        assert self.receive() == "/exit"
        self.close()

    def close(self) -> None:
        """Close in order."""
        self._file.close()
        self.sock.close()

    def reset(self) -> None:
        """Close as a machine does that lost its power and came back."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class FakeServer:
    """Listens on a port of 127.0.0.1, a free one by default; a context manager that closes whatever it accepted."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(WAIT_SECONDS)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._peers: list[FakePeer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_peers()
        self._listener.close()

    def close_peers(self) -> None:
        """Close whatever was accepted."""
        for peer in self._peers:
            peer.close()

    def accept(self) -> FakePeer:
        """Return the next connection."""
        peer = FakePeer(self._listener.accept()[0])
        self._peers.append(peer)
        return peer

    def accept_probe(self) -> None:
        """Take a connection on which the client only looks whether we are there."""
        assert self.accept().receive() == ""
