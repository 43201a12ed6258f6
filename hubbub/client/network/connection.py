"""The socket to the server, and the one thread that waits for it, reads it, writes to it and opens it again.

_run -> _stay: _use a transport -> _exchange until the connection is lost
               _come_back: tell, wait, dial, as often as it takes
"""

import random
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from loguru import logger

from hubbub.client.network.dialer import Dialer, timed_out
from hubbub.client.network.tls_trust import TrustError
from hubbub.client.network.transport import CHUNK_BYTES, SocketTransport
from hubbub.protocol import (
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

RETRY_SECONDS = 1.0  # before the first try to come back
RETRY_SECONDS_MAX = 30.0  # before any try; the time doubles from one to the next
RETRY_JITTER = 0.5  # of that time, taken off at random: those whom a server lost must not all come at once
QUIET_SECONDS = 45.0  # without a byte from the server, then we ask whether it is there
ALIVE_SECONDS = 15.0  # for a byte of an answer to that
STALL_SECONDS = 60.0  # in which the server takes no byte of what waits; it may let a busy room's speakers wait a while
CLOSE_SECONDS = 2.0  # for what is queued, and for the server to see that we go
JOIN_SECONDS = 1.0  # beyond CLOSE_SECONDS, for a callback that is still at work
PONG_BYTES = 262_144  # what may wait to be sent before a question of the server is left unanswered

SERVER_CLOSED = "the server has closed the connection"
SERVER_STALLED = "the server takes nothing any more"
SERVER_SILENT = "the server does not answer any more"
SERVER_ENDLESS = f"the server sent a line of more than {LINE_BYTES} bytes: it does not speak this protocol"
CLIENT_FAILED = "the client failed; its log says where"

_ALIVE = Ping("alive")


class UselessError(Exception):
    """What `on_event` may raise: this connection leads nowhere, and the text says why. Another is tried later."""


class ClosingError(Exception):
    """We are closing: no connection is wanted any more."""


class Backoff:
    """How long to wait before each try; `uniform` is `random.uniform`, or a test's."""

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._seconds = RETRY_SECONDS

    def next(self) -> float:
        """Return the seconds to wait now."""
        seconds, self._seconds = self._seconds, min(2 * self._seconds, RETRY_SECONDS_MAX)
        return seconds * self._uniform(1 - RETRY_JITTER, 1)

    def reset(self) -> None:
        """Start again with the shortest wait."""
        self._seconds = RETRY_SECONDS


class Connection:
    """Keeps connected to the server, from `transport` on: commands go in, events come out on its own thread.

    When a connection is lost, `dialer` makes the next. A `/ping` of the server is answered here, and lines that are
    no event are left out. `on_event` gets every other event in order; while it waits, nothing is read, and the
    server keeps what follows. `on_lost` gets the reason and the seconds until the next try, each time that a
    connection is lost or does not come about; the next `/hello` tells that there is one again. `on_refused` gets
    the reason when another server answers, to whom nothing is sent; it goes on trying. `on_end` gets the reason
    when a bug has ended the thread. After `close` none is called.
    """

    def __init__(
        self,
        transport: SocketTransport,
        dialer: Dialer,
        on_event: Callable[[Event], None],
        on_lost: Callable[[str, float], None],
        on_end: Callable[[str], None],
        on_refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._dialer = dialer
        self._on_event = on_event
        self._on_lost = on_lost
        self._on_end = on_end
        self._on_refused = on_refused
        self._woken, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="socket", daemon=True)  # must not outlive a crash
        # Of the socket thread alone, once it runs:
        self._selector = selectors.DefaultSelector()
        self._transport = transport
        self._decoder = LineDecoder()
        self._backoff = Backoff()
        self._ignored: set[str] = set()
        self._refused = ""  # why we did not talk to who answered last, as it was told
        self._half_closed = False
        self._heard_at = 0.0  # monotonic seconds: when the last bytes came and were dealt with
        self._asked = False  # whether the server is there
        # Guarded by the lock, which is never held while waiting for the server:
        self._lock = threading.Lock()
        self._online = True
        self._outgoing = bytearray()
        self._moved_at = 0.0  # monotonic seconds: when bytes last left, or the first of them came to wait
        self._close_by: float | None = None  # monotonic seconds; None until `close`

    def start(self) -> None:
        """Start the socket thread. Called once."""
        for sock in (self._woken, self._waker):
            sock.setblocking(False)
        self._thread.start()

    def send(self, command: Command) -> None:
        """Queue `command`. Never waits; without a connection it does nothing. Any thread may call it."""
        with self._lock:
            if not self._online:
                return
            if not self._outgoing:
                self._moved_at = time.monotonic()
            self._outgoing += command.encode()
        self._wake()

    def reset_backoff(self) -> None:
        """Take the connection for a good one: if it is lost, the first try comes soon. For the socket thread."""
        self._backoff.reset()

    def close(self, last: Command | None = None) -> None:
        """Send what is queued and `last`, and end the thread when the server has closed or after CLOSE_SECONDS.

        May be called again, from any thread but the socket thread.
        """
        with self._lock:
            if self._close_by is None:
                # In one step: a server that closes because of `last` is no loss that anybody is told of.
                self._outgoing += last.encode() if last is not None and self._online else b""
                self._close_by = time.monotonic() + CLOSE_SECONDS
        self._wake()
        if self._thread.ident is None:
            self._transport.close()
            self._close_rest()
            return
        self._thread.join(CLOSE_SECONDS + JOIN_SECONDS)
        if self._thread.is_alive():
            logger.warning("the socket thread is still at work and is left behind")

    def _wake(self) -> None:
        # Full means that the thread will wake up anyway, closed that there is nobody to wake.
        with suppress(OSError):
            self._waker.send(b"\0")

    def _closing(self) -> bool:
        with self._lock:
            return self._close_by is not None

    def _close_rest(self) -> None:
        self._selector.close()
        for sock in (self._woken, self._waker):
            sock.close()

    # --------------------------------------------------------------------------------------------- the socket thread

    def _run(self) -> None:
        failed = False
        try:
            self._selector.register(self._woken, selectors.EVENT_READ)
            self._stay()
        except Exception:  # noqa: BLE001  # the top of a thread: a bug ends the client, and is logged
            logger.exception("the socket thread failed")
            failed = True
        self._close_rest()
        if failed and not self._closing():
            self._on_end(CLIENT_FAILED)

    def _stay(self) -> None:
        """Be connected, again and again, until `close`."""
        connected = True
        while connected:
            reason = self._use()
            connected = self._come_back(reason)

    def _use(self) -> str:
        """Exchange lines until the connection is lost, and return why."""
        self._selector.register(self._transport, selectors.EVENT_READ)
        try:
            return self._exchange()
        except LineTooLongError:
            return SERVER_ENDLESS
        except UselessError as error:
            return str(error)
        except OSError as error:
            return f"the connection to the server is lost: {_words(error)}"
        finally:
            self._drop()

    def _drop(self) -> None:
        self._selector.unregister(self._transport)
        self._transport.close()
        with self._lock:
            self._online = False
            self._outgoing.clear()

    # ------------------------------------------------------------------------------------------------- coming back

    def _come_back(self, reason: str) -> bool:
        """Tell the loss and connect again, as often as it takes; False means that we are closing."""
        while not self._closing():
            seconds = self._backoff.next()
            logger.info("not connected: {}; trying again in {:.1f} s", reason, seconds)
            self._on_lost(reason, seconds)
            if not self._pause(seconds):
                break
            try:
                transport = self._dialer.connect(self._wait)
            except ClosingError:
                break
            except OSError as error:
                reason = _words(error)
            except TrustError as error:
                reason = str(error)
                self._tell_refused(reason)
            else:
                self._begin(transport)
                return True
        return False

    def _tell_refused(self, reason: str) -> None:
        # Once: it will be the same at the next try, which is made because another network may lead to the right server.
        if reason != self._refused:
            self._refused = reason
            self._on_refused(reason)

    def _begin(self, transport: SocketTransport) -> None:
        logger.info("connected again")
        self._refused = ""
        self._transport = transport
        self._decoder = LineDecoder()
        with self._lock:
            self._online = True

    def _pause(self, seconds: float) -> bool:
        """Wait, unless `close` ends that: then return False."""
        until = time.monotonic() + seconds
        while not self._closing() and (left := until - time.monotonic()) > 0:
            self._select(left)
        return not self._closing()

    def _wait(self, sock: socket.socket, events: int, until: float) -> None:
        """Be the dialer's `Wait`. Raises ClosingError when closing."""
        self._selector.register(sock, events)
        try:
            while not self._closing():
                if self._select(until - time.monotonic()):
                    return
                if time.monotonic() >= until:
                    raise timed_out()
        finally:
            self._selector.unregister(sock)
        raise ClosingError

    def _select(self, seconds: float) -> int:
        """Wait until the server's socket is ready and return for what; 0 if `close` or `send` wakes us before."""
        ready = 0
        for key, events in self._selector.select(max(0.0, seconds)):
            if key.fileobj is self._woken:
                self._woken.recv(CHUNK_BYTES)
            else:
                ready = events
        return ready

    # ------------------------------------------------------------------------------------------------- being connected

    def _exchange(self) -> str:
        """Read and write until the connection ends, and return why."""
        self._hear()
        if not self._read():  # what came with the handshake of TLS makes no socket ready
            return SERVER_CLOSED
        while True:
            limit, _ = self._limit()
            late = time.monotonic() >= limit
            self._selector.modify(self._transport, self._interest())
            ready = self._select(limit - time.monotonic())
            if ready & selectors.EVENT_WRITE:
                self._write()
            elif ready and not self._read():
                return SERVER_CLOSED
            # The second look is for the server's sake: it was perhaps a callback of ours that took the time.
            limit, reason = self._limit()
            if late and time.monotonic() >= limit:
                if reason != SERVER_SILENT or self._asked:
                    return reason
                self._asked = True
                self.send(_ALIVE)

    def _limit(self) -> tuple[float, str]:
        """Return until when, in monotonic seconds, the server may do nothing, and what it means if it does not."""
        with self._lock:
            if self._close_by is not None:
                return self._close_by, SERVER_STALLED
            silent = self._heard_at + QUIET_SECONDS + (ALIVE_SECONDS if self._asked else 0.0)
            stalled = [(self._moved_at + STALL_SECONDS, SERVER_STALLED)] if self._outgoing else []
            return min([(silent, SERVER_SILENT), *stalled])

    def _hear(self) -> None:
        self._heard_at = time.monotonic()
        self._asked = False

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
            self._transport.end_writing()
            self._half_closed = True
        return selectors.EVENT_READ

    def _write(self) -> None:
        with self._lock:
            chunk = bytes(self._outgoing[:CHUNK_BYTES])
        if sent := self._transport.send(chunk):
            with self._lock:
                del self._outgoing[:sent]
                self._moved_at = time.monotonic()

    def _read(self) -> bool:
        """Read once and hand on what that completes; False means that the server has closed."""
        try:
            data = self._transport.recv()
        except BlockingIOError:
            return True
        try:
            lines = self._decoder.feed(data)
        except LineTooLongError as error:
            self._take(error.lines)
            raise
        self._take(lines)
        self._hear()
        return data != b""

    def _take(self, lines: list[bytes]) -> None:
        for line in lines:
            if self._closing():
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
            space = len(self._outgoing) < PONG_BYTES
        if space:  # a server that asks and never reads must not fill the memory
            self.send(Pong(event.token))


def _words(error: OSError) -> str:
    return error.strerror or str(error)
