"""The chat server: `python3 chat_server.py`, and every other machine joins with chat_client.py or nc.

main -> ChatServer.start -> _accept_loop -> _welcome -> a thread with a server.session.Session for each client
     -> waits for SIGINT or SIGTERM -> ChatServer.stop
"""

import contextlib
import errno
import ipaddress
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from loguru import logger

from logfile import LogFileError, log_to
from protocol import Bye, Error, ProtocolError
from server.certificate import Certificate, CertificateError
from server.channel import Channel
from server.company import Alone, Company
from server.gate import Admission
from server.house import build
from server.journal import JournalError, MemoryJournal
from server.limits import Limits
from server.options import HOST, PORT, limits_of, open_certificate, open_company, parser
from server.password import Password, PasswordError, ask_and_hash, find_password
from server.session import Session

BACKLOG = 1_024  # connections that wait for accept
SESSION_STACK_BYTES = 262_144  # of a client's thread; address space, of which an idle one touches some 10 KB
# After so long, each thread that waits for the interpreter's lock asks the one that has it to give way: soon, so that
# what is sent waits little for those who compute; but when 10,000 left at the same moment, Python's own 5 ms were 2
# million wake-ups a second, and took minutes.
SWITCH_SECONDS = 0.001
SWITCH_SECONDS_PER_CLIENT = 0.00002
SPARE_DESCRIPTORS = 64  # for the log, the journal, the listener and what the libraries open
FREE_PORT = 1_024  # from here on anybody may listen
STOP_SECONDS = 3.0  # for everybody to be told and everything to be sent
STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
RELOAD_SIGNALS = {signal.SIGHUP}  # of the certificate; without one, it is as with any program
ACCEPT_PAUSE_SECONDS = 0.5  # when the system has no descriptor or thread left
SHORT = "the server's machine has no room for more people just now; try again in a minute"


class ChatServer:
    """A listening chat server; a context manager that starts and stops it. `start` and `stop` are for one thread."""

    def __init__(
        self,
        host: str = HOST,
        port: int = PORT,
        *,
        limits: Limits | None = None,
        company: Callable[[], Company] = lambda: Alone(MemoryJournal()),
        certificate: Certificate | None = None,
        password: Password | None = None,
        operators: Sequence[str] = (),
        reuse_port: bool = False,
        on_crowd: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Take the address; port 0 picks a free one. Raises OSError when it cannot be had, and what `company` raises.

        What is said is kept by what `company` returns, which is asked only when the address is had, and which `stop`
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
            self._company = company()
        except BaseException:
            self._close_sockets()
            raise
        self.warning = self._company.warning  # what whoever starts the server should know; empty for nothing
        self._house = build(
            self._company,
            limits or Limits(),
            password=password,
            operators=operators,
            guests=self._list_sessions,
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
        self._house.order.load()
        self._house.names.load()
        self._house.locks.load()
        self._house.registry.start()
        self._company.start()
        self._house.delivery.start()
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
        self._house.registry.stop()
        with self._lock:
            sessions = dict(self._sessions)
        for session in sessions:
            session.stop()
        for thread in sessions.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        self._house.delivery.stop(max(0.5, deadline - time.monotonic()))
        for thread in sessions.values():
            thread.join()
        self._company.stop()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for sock in (self._listener, self._stop_read, self._stop_write):
            sock.close()

    @property
    def unclaimed(self) -> list[str]:
        """The operators whose names are nobody's: whoever proves a secret under one first is that operator."""
        return [name for name in self._house.order.operators if not self._house.names.is_owned(name)]

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
            self._let_in(connection, self._house.gate.let_in(address))
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
            self._start(Session(self._channel(connection), self._house, admission), admission)
        except (OSError, RuntimeError, MemoryError):
            self._house.gate.let_go(admission)
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
        if (more := self._house.repeats.note(error.code)) is not None:
            logger.warning("refused {}: {}{}", address, error.code, more)
        with contextlib.suppress(OSError), connection:
            if self._certificate:  # there is no telling without a handshake, and nobody here who could wait for one
                return
            connection.setblocking(False)
            connection.send(Error(error.code, error.text).encode() + Bye(error.text).encode())

    def _channel(self, connection: socket.socket) -> Channel:
        return self._certificate.channel(connection) if self._certificate else Channel(connection)

    def _wait_out(self, error: OSError | RuntimeError | MemoryError) -> None:
        """Wait a moment when the system has no descriptor, thread or memory left; those inside go on."""
        if (more := self._house.repeats.note("short")) is not None:
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
            self._house.gate.let_go(admission)
            self._forget(session)

    def _list_sessions(self) -> list[Session]:
        with self._lock:
            return list(self._sessions)

    def _forget(self, session: Session) -> None:
        with self._lock:
            self._sessions.pop(session, None)
            people = len(self._sessions)
        self._on_crowd(people)


# ---------------------------------------------------------------------------------------------------- the front door


def raise_descriptor_limit(clients: int) -> str:
    """Raise this process's limit of descriptors as far as may be. Return a warning if `clients` do not fit."""
    import resource  # POSIX only, as the server is

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = clients + SPARE_DESCRIPTORS
    if soft < wanted:
        soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
        with contextlib.suppress(ValueError, OSError):  # macOS has a further limit; what counts is read back
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft >= wanted:
        return ""
    return (
        f"--max-clients {clients} does not fit: this system allows {soft} open files, enough for "
        f"{max(0, soft - SPARE_DESCRIPTORS)} clients; raise it with ulimit -n {wanted}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until SIGINT or SIGTERM. Return the exit code: 0, 1 after a bug, 2 when it cannot start."""
    options = parser().parse_args(arguments)
    if options.hash_password:
        return print_hash()
    # Blocked in every thread that is started from here on, and taken by sigwait: no handler runs at a bad moment.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        log_to(options.log_file)
        certificate = open_certificate(options)
        if certificate:
            signal.pthread_sigmask(signal.SIG_BLOCK, RELOAD_SIGNALS)
        password = find_password(options.password_file, os.environ)
    except (LogFileError, CertificateError, PasswordError) as error:
        return _complain(str(error))
    try:
        server = ChatServer(
            options.host,
            options.port,
            limits=limits_of(options),
            company=lambda: open_company(options),
            reuse_port=options.reuse_port,
            certificate=certificate,
            operators=options.operators,
            password=password,
            on_crowd=share_interpreter,
        )
    except JournalError as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(f"cannot listen on {options.host}:{options.port}: {_way_out(error)}")
    warnings = (
        server.warning,
        raise_descriptor_limit(options.max_clients),
        password.warning if password else "",
        exposure(server.address[0], encrypted=certificate is not None, guarded=password is not None),
    )
    for warning in filter(None, warnings):
        _warn(warning)
    return _serve_until_signal(server, certificate)


def _way_out(error: OSError) -> str:
    """Return why one cannot listen, in the system's own words, and what to do."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return f"{error.strerror or error}; choose another with --host"
    match error.errno:
        case errno.EADDRINUSE:
            advice = "stop what listens there, or choose another with --port"
        case errno.EACCES:
            advice = f"choose one of {FREE_PORT} or more with --port"
        case _:
            advice = "choose another with --host"
    return f"{os.strerror(error.errno)}; {advice}"  # `strerror` has Python's own words as well


def share_interpreter(clients: int) -> None:
    """Have the threads of so many clients share Python's lock well. Any thread."""
    sys.setswitchinterval(max(SWITCH_SECONDS, clients * SWITCH_SECONDS_PER_CLIENT))


def print_hash() -> int:
    """Print what to put into the file of `--password-file`; return the exit code."""
    try:
        print(ask_and_hash())
    except PasswordError as error:
        return _complain(str(error))
    except (EOFError, KeyboardInterrupt):
        return _complain("no password was given")
    return 0


def exposure(host: str, *, encrypted: bool, guarded: bool) -> str:
    """Return what it means that the server listens on the address `host`; empty where only this machine reaches it."""
    if ipaddress.ip_address(host).is_loopback:
        return ""
    means = []
    if not guarded:
        means.append("anybody who reaches this port may come in (--password-file)")
    if not encrypted:
        means.append("what is said crosses the network in the clear (--tls-self-signed, --tls-cert)")
    return "; ".join(means)


def _warn(text: str) -> None:
    logger.warning("{}", text)
    _complain(text)


def _complain(text: str) -> int:
    print(f"chat_server: {text}", file=sys.stderr)
    return 2


def _serve_until_signal(server: ChatServer, certificate: Certificate | None) -> int:
    threading.stack_size(SESSION_STACK_BYTES)
    try:
        with server:
            _announce(server, certificate)
            number = _wait_for_stop(certificate)
            logger.info("stopping on {}", signal.Signals(number).name)
    except JournalError as error:
        server.stop()
        return _complain(str(error))
    logger.info("stopped")
    return 1 if server.failed.is_set() else 0


def _announce(server: ChatServer, certificate: Certificate | None) -> None:
    if names := ", ".join(server.unclaimed):
        _warn(f"nobody owns the name of {names} yet; whoever is first to come under it, with our client, keeps order")
    host, port = server.address
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    logger.info("listening on {}", shown)
    print(f"listening on {shown}", flush=True)
    if certificate:
        logger.info("certificate SHA-256 {}", certificate.fingerprint)
        print(f"certificate SHA-256 {certificate.fingerprint}", flush=True)


def _wait_for_stop(certificate: Certificate | None) -> int:
    """Return the signal that ends it; others, until then, have the certificate read again."""
    awaited = STOP_SIGNALS | RELOAD_SIGNALS if certificate else STOP_SIGNALS
    while (number := signal.sigwait(awaited)) not in STOP_SIGNALS:
        if certificate:
            certificate.reload()
    return number


def run() -> None:
    """Be the console command `chat-server`."""
    sys.exit(main())


if __name__ == "__main__":
    run()
