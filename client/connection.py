"""The socket to the server, and the one thread that waits for it, reads it and writes to it."""

import math
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from loguru import logger

from protocol import (
    LINE_BYTES,
    Command,
    Event,
    LineDecoder,
    LineTooLongError,
    Ping,
    Pong,
    ProtocolError,
    decode_line,
    parse_event,
)

CONNECT_SECONDS = 10.0  # for one address; a server that is there answers in one
STALL_SECONDS = 60.0  # in which the server takes no byte of what waits; it may let a busy room's speakers wait a while
CLOSE_SECONDS = 2.0  # for what is queued, and for the server to see that we go
JOIN_SECONDS = 1.0  # beyond CLOSE_SECONDS, for a callback that is still at work
CHUNK_BYTES = 65_536  # of one receive or send: more brings nothing on loopback
OUTGOING_BYTES = 262_144  # what may wait to be sent before `wait_for_space` waits: some seconds of a slow line

SERVER_CLOSED = "the server has closed the connection"
SERVER_STALLED = "the server takes nothing any more"
SERVER_ENDLESS = f"the server sent a line of more than {LINE_BYTES} bytes: it does not speak this protocol"
CLIENT_FAILED = "the client failed; its log says where"


def connect(host: str, port: int) -> socket.socket:
    """Return a socket to the server. Raises OSError, within CONNECT_SECONDS for each address of `host`."""
    sock = socket.create_connection((host, port), CONNECT_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Connection:
    """Owns a connected socket from now on: commands go in from any thread, events come out on the socket thread.

    A `/ping` of the server is answered here, and lines that are no event are left out. `on_event` gets every other
    event in order; while it waits, nothing is read, and the server keeps what follows. `on_end` gets the reason, once,
    when the connection ends by itself; after `close` neither is called. As a context manager it starts and closes.
    """

    def __init__(self, sock: socket.socket, on_event: Callable[[Event], None], on_end: Callable[[str], None]) -> None:
        self._sock = sock
        self._on_event = on_event
        self._on_end = on_end
        self._woken, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="socket", daemon=True)  # must not outlive a crash
        # Of the socket thread alone:
        self._decoder = LineDecoder()
        self._ignored: set[str] = set()
        self._half_closed = False
        # Guarded by the lock, which is never held while waiting for the server:
        self._lock = threading.Lock()
        self._sent = threading.Condition(self._lock)
        self._outgoing = bytearray()
        self._moved_at = 0.0  # monotonic seconds: when bytes last left, or the first of them came to wait
        self._close_by: float | None = None  # monotonic seconds; None until `close`
        self._ended = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the socket thread. Called once."""
        for sock in (self._sock, self._woken, self._waker):
            sock.setblocking(False)
        self._thread.start()

    def send(self, command: Command) -> None:
        """Queue `command`. Never waits; after the end of the connection it does nothing."""
        with self._lock:
            if self._ended:
                return
            if not self._outgoing:
                self._moved_at = time.monotonic()
            self._outgoing += command.encode()
        self._wake()

    def wait_for_space(self) -> None:
        """Return when less than OUTGOING_BYTES wait to be sent, or none ever will: STALL_SECONDS bound the wait."""
        with self._sent:
            self._sent.wait_for(lambda: len(self._outgoing) < OUTGOING_BYTES or self._ended)

    def close(self, last: Command | None = None) -> None:
        """Send what is queued and `last`, and end the thread when the server has closed or after CLOSE_SECONDS.

        May be called again, from any thread but the socket thread.
        """
        with self._lock:
            if self._close_by is None:
                # In one step: a server that closes because of `last` is no end that anybody is told of.
                self._outgoing += last.encode() if last is not None and not self._ended else b""
                self._close_by = time.monotonic() + CLOSE_SECONDS
        self._wake()
        if self._thread.ident is None:
            self._close_sockets()
            return
        self._thread.join(CLOSE_SECONDS + JOIN_SECONDS)
        if self._thread.is_alive():
            logger.warning("the socket thread is still at work and is left behind")

    def _wake(self) -> None:
        # Full means that the thread will wake up anyway, closed that there is nobody to wake.
        with suppress(OSError):
            self._waker.send(b"\0")

    def _close_sockets(self) -> None:
        for sock in (self._sock, self._woken, self._waker):
            sock.close()

    # --------------------------------------------------------------------------------------------- the socket thread

    def _run(self) -> None:
        reason = CLIENT_FAILED
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._sock, selectors.EVENT_READ)
                selector.register(self._woken, selectors.EVENT_READ)
                reason = self._exchange(selector)
        except LineTooLongError:
            reason = SERVER_ENDLESS
        except OSError as error:
            reason = f"the connection to the server is lost: {error.strerror or error}"
        except Exception:  # noqa: BLE001  # the top of a thread: a bug ends the connection, and is logged
            logger.exception("the socket thread failed")
        self._finish(reason)

    def _exchange(self, selector: selectors.BaseSelector) -> str:
        """Read and write until the connection ends, and return why."""
        while True:
            seconds = self._seconds_left()
            selector.modify(self._sock, self._interest())
            for key, ready in selector.select(max(0.0, seconds) if seconds < math.inf else None):
                if key.fileobj is self._woken:
                    self._woken.recv(CHUNK_BYTES)
                elif ready & selectors.EVENT_WRITE:
                    self._write()
                elif not self._read():
                    return SERVER_CLOSED
            # The second look is for the server's sake: it was perhaps a callback of ours that took the time.
            if seconds <= 0 and self._seconds_left() <= 0:
                return SERVER_STALLED

    def _seconds_left(self) -> float:
        """Return how long the server may still take; infinite where nothing is asked of it."""
        with self._lock:
            if self._close_by is not None:
                return self._close_by - time.monotonic()
            return self._moved_at + STALL_SECONDS - time.monotonic() if self._outgoing else math.inf

    def _interest(self) -> int:
        """Return what to wait for, after telling the server that nothing follows if that is so."""
        with self._lock:
            waiting = bool(self._outgoing)
            closing = self._close_by is not None
        if waiting:
            return selectors.EVENT_READ | selectors.EVENT_WRITE
        if closing and not self._half_closed:
            # Closing at once would make the system reset the connection if something is unread, and what we sent
            # could be lost with it. So the server is told, and its end awaited.
            self._sock.shutdown(socket.SHUT_WR)
            self._half_closed = True
        return selectors.EVENT_READ

    def _write(self) -> None:
        with self._lock:
            chunk = bytes(self._outgoing[:CHUNK_BYTES])
        with suppress(BlockingIOError):
            sent = self._sock.send(chunk)
            with self._sent:
                del self._outgoing[:sent]
                self._moved_at = time.monotonic()
                self._sent.notify_all()

    def _read(self) -> bool:
        """Read once and hand on what that completes; False means that the server has closed."""
        try:
            data = self._sock.recv(CHUNK_BYTES)
        except BlockingIOError:
            return True
        try:
            lines = self._decoder.feed(data)
        except LineTooLongError as error:
            self._take(error.lines)
            raise
        self._take(lines)
        return data != b""

    def _take(self, lines: list[bytes]) -> None:
        for line in lines:
            with self._lock:
                if self._close_by is not None:
                    return
            try:
                event = parse_event(decode_line(line))
            except ProtocolError as error:
                self._ignore(error.code)
            else:
                self._hand_on(event)

    def _ignore(self, code: str) -> None:
        # Once for each code: a server could fill the disk otherwise.
        if code not in self._ignored:
            self._ignored.add(code)
            logger.info("ignoring what the server sends: {}", code)

    def _hand_on(self, event: Event) -> None:
        if not isinstance(event, Ping):
            self._on_event(event)
            return
        with self._lock:
            space = len(self._outgoing) < OUTGOING_BYTES
        if space:  # a server that asks and never reads must not fill the memory
            self.send(Pong(event.token))

    def _finish(self, reason: str) -> None:
        self._close_sockets()
        with self._sent:
            self._ended = True
            self._outgoing.clear()
            self._sent.notify_all()
            closing = self._close_by is not None
        if not closing:
            logger.info("the connection ended: {}", reason)
            self._on_end(reason)
