"""The socket to the server, and the one thread that waits for it, reads, writes and reconnects.

_run -> _run_connections: _use a transport -> _exchange until the connection is lost
                          _reconnect: report the loss, wait, dial, as often as it takes
"""

import math
import random
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from loguru import logger

from hubbub.client.network.dialer import Dialer, timed_out
from hubbub.client.network.event_decoder import EventDecoder
from hubbub.client.network.send_buffer import SendBuffer
from hubbub.client.network.tls_trust import TrustError
from hubbub.client.network.transport import CHUNK_BYTES, SocketTransport
from hubbub.protocol import LINE_BYTES, Command, Event, LineTooLongError, Ping, Pong

RETRY_SECONDS = 1.0  # before the first attempt to reconnect
RETRY_SECONDS_MAX = 30.0  # before any attempt; the time doubles from one to the next
STABLE_SECONDS = 60.0  # of a good connection, until its loss is no sign of a server that lets clients in and drops them
RETRY_JITTER = 0.5  # of that time, taken off at random: the clients of a lost server must not all return at once
QUIET_SECONDS = 45.0  # without a byte from the server, before it is asked whether it is there
ALIVE_SECONDS = 15.0  # for a byte of an answer to that
STALL_SECONDS = 60.0  # in which the server reads no byte of what waits; it may make the senders of a busy room wait
CLOSE_SECONDS = 2.0  # to send what is queued, and for the server to close its side
JOIN_SECONDS = 1.0  # beyond CLOSE_SECONDS, for a callback that is still running
PONG_BYTES = 262_144  # that may wait to be sent before a ping of the server stays unanswered

SERVER_CLOSED = "the server closed the connection"
SERVER_STALLED = "the server does not read what is sent"
SERVER_SILENT = "the server does not answer"
SERVER_ENDLESS = f"the server sent a line of more than {LINE_BYTES} bytes: it does not speak this protocol"
CLIENT_FAILED = "internal error of the client; see its log"

_ALIVE = Ping("alive")


class UselessError(Exception):
    """Raised by `on_event`: this connection leads nowhere, and the text says why. Another is made later."""


class ClosingError(Exception):
    """The connection is being closed, so no other is needed."""


class Backoff:
    """The time to wait before each attempt; `uniform` is `random.uniform`, or a test's."""

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


class _Waker:
    """A pair of sockets with which any thread wakes the one that selects this object."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        for sock in (self._receiver, self._sender):
            sock.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._receiver.fileno()

    def wake(self) -> None:
        """Wake the thread, now or when it selects next."""
        # If the pair is full, the thread wakes anyway; if it is closed, the thread has ended.
        with suppress(OSError):
            self._sender.send(b"\0")

    def drain(self) -> None:
        """Forget the wake-ups so far."""
        self._receiver.recv(CHUNK_BYTES)

    def close(self) -> None:
        """Close both sockets."""
        self._receiver.close()
        self._sender.close()


class Callbacks(NamedTuple):
    """The callbacks of the socket thread, which it never calls after `Connection.close`.

    While a callback runs, nothing is read, and the server holds back what follows.
    """

    on_event: Callable[[Event], None]  # with every event, in order; a ping of the server is answered here
    # With the reason and the seconds until the next attempt, each time that a connection is lost or not established.
    # The next /hello shows that there is one again.
    on_lost: Callable[[str, float], None]
    on_failed: Callable[[str], None]  # with the reason, when a bug has ended the thread
    on_untrusted: Callable[[str], None] = lambda _: None  # with the reason, when another server answers; attempts go on


class Connection:
    """Stays connected to the server, from `transport` on: commands go in, events come out on a thread of its own.

    When a connection is lost, `dialer` makes the next.
    """

    def __init__(self, transport: SocketTransport, dialer: Dialer, callbacks: Callbacks) -> None:
        self._dialer = dialer
        self._callbacks = callbacks
        self._buffer = SendBuffer()
        self._waker = _Waker()
        self._thread = threading.Thread(target=self._run, name="socket", daemon=True)  # must not outlive a crash
        # Of the socket thread alone, once it runs:
        self._selector = selectors.DefaultSelector()
        self._transport = transport
        self._decoder = EventDecoder()
        self._backoff = Backoff()
        self._good_since = math.inf  # monotonic seconds
        self._is_half_closed = False
        self._heard_at = 0.0  # monotonic seconds: when the last bytes had been received and handled
        self._was_asked = False  # whether the server is there

    def start(self) -> None:
        """Start the socket thread. Called once."""
        self._thread.start()

    def send(self, command: Command) -> None:
        """Queue `command`. Never waits; without a connection it does nothing. Any thread may call it."""
        self._buffer.add(command.encode())
        self._waker.wake()

    def note_good(self) -> None:
        """Make the first attempt soon if this connection is lost after STABLE_SECONDS. For the socket thread."""
        self._good_since = time.monotonic()

    def close(self, last: Command | None = None) -> None:
        """Send what is queued and `last`, and end the thread when the server has closed or after CLOSE_SECONDS.

        Idempotent; any thread but the socket thread may call it.
        """
        self._buffer.finish(last.encode() if last is not None else b"", time.monotonic() + CLOSE_SECONDS)
        self._waker.wake()
        if self._thread.ident is None:
            self._transport.close()
            self._close_rest()
            return
        self._thread.join(CLOSE_SECONDS + JOIN_SECONDS)
        if self._thread.is_alive():
            logger.warning("the socket thread is still running and is abandoned")

    def _is_closing(self) -> bool:
        return self._buffer.finish_by is not None

    def _close_rest(self) -> None:
        self._selector.close()
        self._waker.close()

    # --------------------------------------------------------------------------------------------- the socket thread

    def _run(self) -> None:
        failed = False
        try:
            self._selector.register(self._waker, selectors.EVENT_READ)
            self._run_connections()
        except Exception:  # noqa: BLE001  # the top of a thread: a bug ends the client, and is logged
            logger.exception("the socket thread failed")
            failed = True
        self._close_rest()
        if failed and not self._is_closing():
            self._callbacks.on_failed(CLIENT_FAILED)

    def _run_connections(self) -> None:
        """Use one connection after the other, until `close`."""
        connected = True
        while connected:
            reason = self._use()
            connected = self._reconnect(reason)

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
            return f"the connection to the server is lost: {_describe(error)}"
        finally:
            self._selector.unregister(self._transport)
            self._transport.close()
            self._buffer.go_offline()

    # ------------------------------------------------------------------------------------------------- reconnecting

    def _reconnect(self, reason: str) -> bool:
        """Report the loss and connect again, as often as it takes; return False when closing."""
        reported = ""
        if time.monotonic() >= self._good_since + STABLE_SECONDS:
            self._backoff.reset()
        self._good_since = math.inf
        while not self._is_closing():
            seconds = self._backoff.next()
            logger.info("not connected: {}; next attempt in {:.1f} s", reason, seconds)
            self._callbacks.on_lost(reason, seconds)
            if not self._pause(seconds):
                break
            try:
                transport = self._dialer.connect(self._wait)
            except ClosingError:
                break
            except OSError as error:
                reason = _describe(error)
            except TrustError as error:
                reason = str(error)
                if reason != reported:  # the attempts go on, because another network may lead to the right server
                    reported = reason
                    self._callbacks.on_untrusted(reason)
            else:
                logger.info("connected again")
                self._transport = transport
                self._decoder.reset()
                self._buffer.go_online()
                return True
        return False

    def _pause(self, seconds: float) -> bool:
        """Wait; return False as soon as `close` is called."""
        until = time.monotonic() + seconds
        while not self._is_closing() and (left := until - time.monotonic()) > 0:
            self._select(left)
        return not self._is_closing()

    def _wait(self, sock: socket.socket, events: int, until: float) -> None:
        """Wait for a socket of the dialer. Raises TimeoutError, and ClosingError when closing."""
        self._selector.register(sock, events)
        try:
            while not self._is_closing():
                if self._select(until - time.monotonic()):
                    return
                if time.monotonic() >= until:
                    raise timed_out()
        finally:
            self._selector.unregister(sock)
        raise ClosingError

    def _select(self, seconds: float) -> int:
        """Wait until the server's socket is ready, and return for what; 0 if `close` or `send` wakes us before."""
        ready = 0
        for key, events in self._selector.select(max(0.0, seconds)):
            if key.fileobj is self._waker:
                self._waker.drain()
            else:
                ready = events
        return ready

    # ------------------------------------------------------------------------------------------------- while connected

    def _exchange(self) -> str:
        """Read and write until the connection ends, and return why."""
        self._note_heard()
        if not self._receive():  # what came with the TLS handshake makes no socket ready
            return SERVER_CLOSED
        while True:
            limit, _ = self._deadline()
            is_late = time.monotonic() >= limit
            self._selector.modify(self._transport, self._interest())
            ready = self._select(limit - time.monotonic())
            if ready & selectors.EVENT_WRITE:
                self._write()
            elif ready and not self._receive():
                return SERVER_CLOSED
            # Checked twice, because a slow callback of ours may have taken the time, and not the server.
            limit, reason = self._deadline()
            if is_late and time.monotonic() >= limit:
                if reason != SERVER_SILENT or self._was_asked:
                    return reason
                self._was_asked = True
                self.send(_ALIVE)

    def _deadline(self) -> tuple[float, str]:
        """Return until when, in monotonic seconds, the server may do nothing, and what it means if it does not."""
        if (finish_by := self._buffer.finish_by) is not None:
            return finish_by, SERVER_STALLED
        silent = self._heard_at + QUIET_SECONDS + (ALIVE_SECONDS if self._was_asked else 0.0)
        waiting_since = self._buffer.waiting_since
        stalled = [(waiting_since + STALL_SECONDS, SERVER_STALLED)] if waiting_since is not None else []
        return min([(silent, SERVER_SILENT), *stalled])

    def _note_heard(self) -> None:
        self._heard_at = time.monotonic()
        self._was_asked = False

    def _interest(self) -> int:
        """Return what to wait for; once all is sent while closing, end our side of the connection."""
        is_closing = self._is_closing()  # read before the length, so that the last command is not missed
        if len(self._buffer):
            return selectors.EVENT_READ | selectors.EVENT_WRITE
        if is_closing and not self._is_half_closed:
            # If we closed at once with something unread, the system would reset the connection, and what we sent
            # could be lost. So only our side ends, and the server's end is awaited.
            self._transport.end_writing()
            self._is_half_closed = True
        return selectors.EVENT_READ

    def _write(self) -> None:
        if sent := self._transport.send(self._buffer.peek(CHUNK_BYTES)):
            self._buffer.remove(sent)

    def _receive(self) -> bool:
        """Read once and handle the events in it; return False when the server has closed."""
        try:
            data = self._transport.recv()
        except BlockingIOError:
            return True
        for event in self._decoder.feed(data):
            if self._is_closing():
                break
            self._handle(event)
        self._note_heard()
        return data != b""

    def _handle(self, event: Event) -> None:
        if not isinstance(event, Ping):
            self._callbacks.on_event(event)
        elif len(self._buffer) < PONG_BYTES:  # a server that asks and never reads must not fill the memory
            self.send(Pong(event.token))


def _describe(error: OSError) -> str:
    return error.strerror or str(error)
