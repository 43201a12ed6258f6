"""The chat server: listens, accepts connections, and stops.

ChatServer.start -> _accept_loop -> _admit -> a thread with a Session for each client -> ChatServer.stop
"""

import contextlib
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from loguru import logger

from hubbub.options import DEFAULT_PORT
from hubbub.protocol import Bye, Error, ProtocolError
from hubbub.server.access.limits import Limits
from hubbub.server.access.passwords import ServerPassword
from hubbub.server.backend import Backend, LocalBackend
from hubbub.server.context import build_context
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.network.admission import Admission
from hubbub.server.network.certificate import Certificate
from hubbub.server.network.transport import SocketTransport
from hubbub.server.options import HOST
from hubbub.server.session import Session

BACKLOG = 1_024  # connections that wait for accept
STOP_SECONDS = 3.0  # for the /bye of each client and everything pending
ACCEPT_PAUSE_SECONDS = 0.5  # while the system has no descriptor or thread left
OUT_OF_RESOURCES = "the server cannot accept more connections; try again in a minute"


class ChatServer:
    """A listening chat server; a context manager that starts and stops it. `start` and `stop` are for one thread."""

    def __init__(
        self,
        host: str = HOST,
        port: int = DEFAULT_PORT,
        *,
        limits: Limits | None = None,
        backend: Callable[[], Backend] = lambda: LocalBackend(MemoryJournal()),
        certificate: Certificate | None = None,
        password: ServerPassword | None = None,
        operators: Sequence[str] = (),
        reuse_port: bool = False,
        on_client_count: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Bind the address; port 0 picks a free one. Raises OSError if that fails, and what `backend` raises.

        `backend` is called after the address is bound; its default stores messages in memory. `stop` stops the backend.
        With `reuse_port` other processes may listen on the port, too. With a `certificate` the server speaks TLS; with
        a `password` clients need it. `operators` are the names of the operators. `on_client_count` is called with the
        number of clients whenever that has changed, by any thread.
        """
        self._on_client_count = on_client_count
        self._certificate = certificate
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        self._listener = socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=reuse_port)
        self._listener.setblocking(False)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self.failed = threading.Event()  # a bug stopped the server
        self._stopping = threading.Event()
        self._stop_read, self._stop_write = socket.socketpair()
        try:
            self._backend = backend()
        except BaseException:
            self._close_sockets()
            raise
        self.warning = self._backend.warning  # for the administrator; empty if there is none
        self._context = build_context(
            self._backend,
            limits or Limits(),
            password=password,
            operators=operators,
            list_connections=self._list_sessions,
            stopping=self._stopping,
            on_failure=self._fail,
        )
        self._lock = threading.Lock()  # guards the table of sessions
        self._sessions: dict[Session, threading.Thread] = {}
        self._out_of_resources = False  # the log says so; used by the acceptor thread only
        self._acceptor = threading.Thread(target=self._accept_loop, name="acceptor")  # joined by stop

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start to serve. Raises JournalError before anything is started, if the journal cannot be read."""
        self._context.moderation.load()
        self._context.ownership.load()
        self._context.room_keys.load()
        self._context.presence.start()
        self._backend.start()
        self._context.delivery.start()
        self._context.hash_pool.start()
        self._acceptor.start()

    def stop(self) -> None:
        """Stop accepting, send /bye and what is stored, close, and join every thread, within 5 s. Idempotent."""
        deadline = time.monotonic() + STOP_SECONDS
        if not self._stopping.is_set():
            self._stopping.set()
            self._stop_write.send(b"\0")
        if self._acceptor.ident is not None:
            self._acceptor.join()
        self._listener.close()
        self._context.presence.stop()
        with self._lock:
            sessions = dict(self._sessions)
        for session in sessions:
            session.stop()
        self._context.hash_pool.stop()
        for thread in sessions.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        self._context.delivery.stop(max(0.5, deadline - time.monotonic()))
        for thread in sessions.values():
            thread.join()
        self._backend.stop()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for sock in (self._listener, self._stop_read, self._stop_write):
            sock.close()

    @property
    def unowned_operators(self) -> list[str]:
        """The operators whose names have no owner: the first to use such a name becomes that operator."""
        return [name for name in self._context.moderation.operators if not self._context.ownership.is_owned(name)]

    def _fail(self) -> None:
        """Make the main thread stop the server, after the delivery thread has died."""
        self.failed.set()
        os.kill(os.getpid(), signal.SIGTERM)

    # ----------------------------------------------------------------------------------------------- accepting

    def _accept_loop(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._stop_read, selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                self._accept_waiting()

    def _accept_waiting(self) -> None:
        """Accept every connection that waits."""
        while not self._stopping.is_set():
            try:
                connection, address = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue  # the client closed it
            except OSError as error:
                self._pause_accepting(error)
                return
            self._admit(connection, address[0])

    def _admit(self, connection: socket.socket, address: str) -> None:
        """Start a session for a connection, or refuse it."""
        try:
            self._start_session(connection, self._context.connection_limiter.admit_connection(address))
        except ProtocolError as error:
            self._refuse(connection, address, error)
        except (RuntimeError, MemoryError) as error:  # no thread or memory is left
            self._refuse(connection, address, ProtocolError("server-full", OUT_OF_RESOURCES))
            self._pause_accepting(error)
        except OSError:
            connection.close()  # the client has closed it
        else:
            self._log_recovery()

    def _start_session(self, connection: socket.socket, admission: Admission) -> None:
        """Start a session on its own thread; if that fails, release the admission and raise."""
        try:
            self._start_thread(Session(self._transport(connection), self._context, admission), admission)
        except (OSError, RuntimeError, MemoryError):
            self._context.connection_limiter.release(admission)
            raise

    def _start_thread(self, session: Session, admission: Admission) -> None:
        # A daemon thread: a bug in a session cannot keep the process alive. `stop` joins it nevertheless.
        thread = threading.Thread(target=self._serve, args=(session, admission), name="session", daemon=True)
        with self._lock:
            self._sessions[session] = thread
            count = len(self._sessions)
        self._on_client_count(count)
        try:
            thread.start()
        except (RuntimeError, MemoryError):
            self._remove(session)
            raise

    def _refuse(self, connection: socket.socket, address: str, error: ProtocolError) -> None:
        """Send the reason, if that is possible without waiting, and close."""
        if (more := self._context.log_throttle.allow(error.code)) is not None:
            logger.warning("refused {}: {}{}", address, error.code, more)
        with contextlib.suppress(OSError), connection:
            if self._certificate:  # the acceptor cannot wait for the handshake that must come before any text
                return
            connection.setblocking(False)
            connection.send(Error(error.code, error.text).encode() + Bye(error.text).encode())

    def _transport(self, connection: socket.socket) -> SocketTransport:
        return self._certificate.wrap_connection(connection) if self._certificate else SocketTransport(connection)

    def _pause_accepting(self, error: OSError | RuntimeError | MemoryError) -> None:
        """Pause while the system has no descriptor, thread or memory left; the sessions go on."""
        if (more := self._context.log_throttle.allow("out of resources")) is not None:
            self._out_of_resources = True
            logger.error("cannot accept connections: {}; trying again{}", error, more)
        self._stopping.wait(ACCEPT_PAUSE_SECONDS)

    def _log_recovery(self) -> None:
        if self._out_of_resources:
            self._out_of_resources = False
            logger.info("accepting connections again")

    def _serve(self, session: Session, admission: Admission) -> None:
        try:
            session.run()
        finally:
            self._context.connection_limiter.release(admission)
            self._remove(session)

    def _list_sessions(self) -> list[Session]:
        with self._lock:
            return list(self._sessions)

    def _remove(self, session: Session) -> None:
        with self._lock:
            self._sessions.pop(session, None)
            count = len(self._sessions)
        self._on_client_count(count)
