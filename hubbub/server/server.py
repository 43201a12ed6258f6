"""The chat server: `python3 chat_server.py`, and every other machine joins with chat_client.py or nc.

main -> ChatServer.start -> _accept_loop -> _welcome -> a thread with a server.session.Session for each client
     -> waits for SIGINT or SIGTERM -> ChatServer.stop
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
STOP_SECONDS = 3.0  # for everybody to be told and everything to be sent
ACCEPT_PAUSE_SECONDS = 0.5  # when the system has no descriptor or thread left
SHORT = "the server's machine has no room for more people just now; try again in a minute"


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
        on_crowd: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Take the address; port 0 picks a free one. Raises OSError when it cannot be had, and what `backend` raises.

        What is said is kept by what `backend` returns, which is asked only when the address is had, and which `stop`
        leaves; in memory if none is given. With `reuse_port` other processes may listen there, too. With a
        `certificate` one speaks TLS, with a `password` only who has it comes in. `operators` are the names of those who
        keep order, if they prove them. `on_crowd` is called with the number of clients when it has changed; any thread.
        """
        self._on_crowd = on_crowd
        self._certificate = certificate
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        self._listener = socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=reuse_port)
        self._listener.setblocking(False)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self.failed = threading.Event()  # the server stopped by itself, of a bug
        self._stopping = threading.Event()
        self._stop_read, self._stop_write = socket.socketpair()
        try:
            self._backend = backend()
        except BaseException:
            self._close_sockets()
            raise
        self.warning = self._backend.warning  # what whoever starts the server should know; empty for nothing
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
        self._short = False  # of what it takes to let somebody in, and the log says so; the acceptor's own
        self._acceptor = threading.Thread(target=self._accept_loop, name="acceptor")  # joined by stop

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Serve from here on.

        Raises JournalError, before anything is started, if who was here or whose the names are cannot be read.
        """
        self._context.moderation.load()
        self._context.ownership.load()
        self._context.room_keys.load()
        self._context.presence.start()
        self._backend.start()
        self._context.delivery.start()
        self._acceptor.start()

    def stop(self) -> None:
        """Stop accepting, say /bye, send what is kept, close, and join every thread, within 5 s. Idempotent."""
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
    def unclaimed(self) -> list[str]:
        """The operators whose names are nobody's: whoever proves a secret under one first is that operator."""
        return [name for name in self._context.moderation.operators if not self._context.ownership.is_owned(name)]

    def _fail(self) -> None:
        """Have the main thread stop a server whose delivery died."""
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
        """Take every connection that waits."""
        while not self._stopping.is_set():
            try:
                connection, address = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue  # it ended while it waited
            except OSError as error:
                self._wait_out(error)
                return
            self._welcome(connection, address[0])

    def _welcome(self, connection: socket.socket, address: str) -> None:
        """Let a client in, or tell him why not."""
        try:
            self._let_in(connection, self._context.connection_limiter.admit_connection(address))
        except ProtocolError as error:
            self._refuse(connection, address, error)
        except (RuntimeError, MemoryError) as error:  # no thread is to be had
            self._refuse(connection, address, ProtocolError("server-full", SHORT))
            self._wait_out(error)
        except OSError:
            connection.close()  # it is gone already
        else:
            self._note_recovery()

    def _let_in(self, connection: socket.socket, admission: Admission) -> None:
        """Give a client a session on a thread of his own, or take his admission back and raise."""
        try:
            self._start(Session(self._transport(connection), self._context, admission), admission)
        except (OSError, RuntimeError, MemoryError):
            self._context.connection_limiter.release(admission)
            raise

    def _start(self, session: Session, admission: Admission) -> None:
        # A daemon, so that a bug in a session can never keep the process from ending; stop joins it all the same.
        thread = threading.Thread(target=self._serve, args=(session, admission), name="session", daemon=True)
        with self._lock:
            self._sessions[session] = thread
            people = len(self._sessions)
        self._on_crowd(people)
        try:
            thread.start()
        except (RuntimeError, MemoryError):
            self._forget(session)
            raise

    def _refuse(self, connection: socket.socket, address: str, error: ProtocolError) -> None:
        """Say why, as far as that can be done at once, and close."""
        if (more := self._context.log_throttle.allow(error.code)) is not None:
            logger.warning("refused {}: {}{}", address, error.code, more)
        with contextlib.suppress(OSError), connection:
            if self._certificate:  # there is no telling without a handshake, and nobody here who could wait for one
                return
            connection.setblocking(False)
            connection.send(Error(error.code, error.text).encode() + Bye(error.text).encode())

    def _transport(self, connection: socket.socket) -> SocketTransport:
        return self._certificate.wrap_connection(connection) if self._certificate else SocketTransport(connection)

    def _wait_out(self, error: OSError | RuntimeError | MemoryError) -> None:
        """Wait a moment when the system has no descriptor, thread or memory left; those inside go on."""
        if (more := self._context.log_throttle.allow("short")) is not None:
            self._short = True
            logger.error("cannot let anybody in: {}; trying again until it can be done{}", error, more)
        self._stopping.wait(ACCEPT_PAUSE_SECONDS)

    def _note_recovery(self) -> None:
        if self._short:
            self._short = False
            logger.info("can let people in again")

    def _serve(self, session: Session, admission: Admission) -> None:
        try:
            session.run()
        finally:
            self._context.connection_limiter.release(admission)
            self._forget(session)

    def _list_sessions(self) -> list[Session]:
        with self._lock:
            return list(self._sessions)

    def _forget(self, session: Session) -> None:
        with self._lock:
            self._sessions.pop(session, None)
            people = len(self._sessions)
        self._on_crowd(people)
