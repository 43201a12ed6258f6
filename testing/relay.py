"""A relay that forwards connections from its own port to another one, on one thread; tests disturb it."""

import selectors
import socket
import threading
from types import TracebackType
from typing import Self

POLL_SECONDS = 0.02  # between two checks whether to stop
PIECE_BYTES = 65_536
CONNECT_SECONDS = 5.0


class Relay:
    """Forwards bytes between its clients and `target`; a context manager that closes all connections."""

    def __init__(self, target: tuple[str, int] | None = None) -> None:
        """Listen; without a `target`, or if it refuses, a client's connection is closed."""
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay")

    def __enter__(self) -> Self:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        for end in list(self._peers):
            self._close(end)
        self._selector.close()
        self._listener.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select(POLL_SECONDS):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._listener:
                    self._connect(sock.accept()[0])
                elif sock in self._peers:
                    self._forward(sock)

    def _connect(self, near: socket.socket) -> None:
        try:
            if self.target is None:
                raise ConnectionRefusedError
            far = socket.create_connection(self.target, CONNECT_SECONDS)
        except OSError:
            near.close()
            return
        for end, peer in ((near, far), (far, near)):
            self._peers[end] = peer
            self._selector.register(end, selectors.EVENT_READ)

    def _forward(self, end: socket.socket) -> None:
        try:
            data = end.recv(PIECE_BYTES)
            self._peers[end].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._close(end)

    def _close(self, end: socket.socket) -> None:
        for sock in (end, self._peers[end]):
            if self._peers.pop(sock, None) is not None:
                self._selector.unregister(sock)
                sock.close()
