"""A server that a test plays line by line, on a loopback socket."""

import socket
import struct
from types import TracebackType
from typing import Self

WAIT_SECONDS = 10.0  # for a line of the client, on a slow machine with its start


class FakePeer:
    """The server's end of one connection. Every wait raises TimeoutError after WAIT_SECONDS."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(WAIT_SECONDS)
        self.sock = sock
        self._file = sock.makefile("rb")

    def send(self, *lines: str | bytes) -> None:
        """Send lines; bytes are sent unchanged."""
        self.sock.sendall(b"".join(line if isinstance(line, bytes) else f"{line}\n".encode() for line in lines))

    def receive(self) -> str:
        """Return the client's next line without its end, or an empty string at the end."""
        return self._file.readline().decode().removesuffix("\n")

    def admit(self, name: str = "alice", color: str = "red") -> None:
        """Sign the client in and put it into the lobby."""
        assert self.greet().startswith("/name ")
        self.send(f"/welcome {name} {color} token 0", "/entered lobby 0 1 -")

    def greet(self) -> str:
        """Send /hello, refuse a challenge, and return the client's next line."""
        self.send("/hello 1 -")
        return self.receive_after_challenge()

    def receive_after_challenge(self) -> str:
        """Return the client's next line; if it is /challenge, refuse it and return the one after it."""
        line = self.receive()
        if line != "/challenge":
            return line
        self.send("/error unknown-command there is no command /challenge")
        return self.receive()

    def admit_resumed(self, resume: str, accepted: int, *lines: str) -> None:
        """Check that the client resumes with the line `resume`; sign it in and send `lines`."""
        assert self.greet() == resume
        self.send(f"/welcome alice red token {accepted}", *lines)

    def acknowledge(self, *posts: str) -> None:
        """Check that the next lines are `posts`, each `N LINE`, and acknowledge them."""
        assert [self.receive() for _ in posts] == [f"/post {post}" for post in posts]
        self.send(f"/ack {posts[-1].partition(' ')[0]}")

    def answer_command(self, command: str, *answers: str) -> None:
        """Check that the next line is `command`, send `answers`, and answer the ping that follows."""
        received = self.receive()
        assert received == command, received
        self.send(*answers)
        self.answer_ping()

    def answer_ping(self) -> None:
        """Check that the next line is a ping, and answer it."""
        word, _, token = self.receive().partition(" ")
        assert word == "/ping"
        self.send(f"/pong {token}")

    def expect_exit(self) -> None:
        """Check that the client leaves, and close the connection."""
        assert self.receive() == "/exit"
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self.sock.close()

    def reset(self) -> None:
        """Reset the connection, as a machine that restarted does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class FakeServer:
    """Listens on 127.0.0.1, on a free port by default; a context manager that closes all connections."""

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
        """Close all accepted connections."""
        for peer in self._peers:
            peer.close()

    def accept(self) -> FakePeer:
        """Return the next connection."""
        peer = FakePeer(self._listener.accept()[0])
        self._peers.append(peer)
        return peer

    def accept_probe(self) -> None:
        """Accept a connection that the client closes at once: it only checks whether a server listens."""
        assert self.accept().receive() == ""
