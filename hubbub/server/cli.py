"""The entry point of the server: it builds a ChatServer from the options and runs it until SIGINT or SIGTERM."""

import contextlib
import errno
import ipaddress
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence

from loguru import logger

from hubbub.log import LogFileError, configure_log
from hubbub.options import PasswordError
from hubbub.server.access.passwords import load_password, prompt_and_hash
from hubbub.server.journal.journal import JournalError
from hubbub.server.network.certificate import Certificate, CertificateError
from hubbub.server.options import PROGRAM, build_parser, limits_of, open_backend, open_certificate
from hubbub.server.server import ChatServer

SESSION_STACK_BYTES = 262_144  # of a client's thread: address space, of which an idle thread uses some 10 KB
# The switch interval of Python's lock. A short one keeps the delivery thread from waiting for sessions that compute.
# But each waiting thread wakes up once per interval: with 10,000 clients leaving at once, Python's default of 5 ms
# meant 2 million wake-ups a second, and took minutes. So the interval grows with the number of clients.
SWITCH_SECONDS = 0.001
SWITCH_SECONDS_PER_CLIENT = 0.00002
SPARE_DESCRIPTORS = 64  # for the log, the journal, the listener and what the libraries open
FREE_PORT = 1_024  # lower ports need privileges
STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
SIGNALS = STOP_SIGNALS | {signal.SIGHUP}  # SIGHUP reloads the certificate


def raise_descriptor_limit(clients: int) -> str:
    """Raise the limit of open files for `clients`. Return a warning if they do not fit; else an empty text."""
    import resource  # POSIX only, as the server is

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = clients + SPARE_DESCRIPTORS
    if soft < wanted:
        soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
        with contextlib.suppress(ValueError, OSError):  # macOS has a lower limit of its own; the result is read back
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
    options = build_parser().parse_args(arguments)
    if options.hash_password:
        return print_hash()
    # All threads started from here on block these signals, and sigwait receives them: no handler interrupts a thread.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        configure_log(options.log_file)
        certificate = open_certificate(options)
        password = load_password(options.password_file, os.environ)
    except (LogFileError, CertificateError, PasswordError) as error:
        return _fail(str(error))
    try:
        server = ChatServer(
            options.host,
            options.port,
            limits=limits_of(options),
            backend=lambda: open_backend(options),
            reuse_port=options.reuse_port,
            certificate=certificate,
            operators=options.operators,
            password=password,
            on_client_count=set_switch_interval,
        )
    except JournalError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"cannot listen on {options.host}:{options.port}: {_advise(error)}")
    warnings = (
        server.warning,
        raise_descriptor_limit(options.max_clients),
        password.warning if password else "",
        exposure_warning(server.address[0], encrypted=certificate is not None, has_password=password is not None),
    )
    for warning in filter(None, warnings):
        _print_warning(warning)
    return _serve_until_signal(server, certificate)


def _advise(error: OSError) -> str:
    """Return why the server cannot listen, in the system's words, and what to do."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return f"{error.strerror or error}; choose another with --host"
    match error.errno:
        case errno.EADDRINUSE:
            advice = "stop what listens there, or choose another with --port"
        case errno.EACCES:
            advice = f"choose one of {FREE_PORT} or more with --port"
        case _:
            advice = "choose another with --host"
    return f"{os.strerror(error.errno)}; {advice}"  # `error.strerror` has Python's additions


def set_switch_interval(clients: int) -> None:
    """Set after how many seconds a running thread gives Python's lock to another. Any thread."""
    sys.setswitchinterval(max(SWITCH_SECONDS, clients * SWITCH_SECONDS_PER_CLIENT))


def print_hash() -> int:
    """Ask for a password and print its hash for `--password-file`; return the exit code."""
    try:
        print(prompt_and_hash())
    except PasswordError as error:
        return _fail(str(error))
    except (EOFError, KeyboardInterrupt):
        return _fail("no password entered; try again")
    return 0


def exposure_warning(host: str, *, encrypted: bool, has_password: bool) -> str:
    """Return a warning if a server on the address `host` has no password or no TLS; empty if `host` is local."""
    if ipaddress.ip_address(host).is_loopback:
        return ""
    lacks = [  # each with its consequence and its remedy
        *([] if has_password else [("no password", "join", "--password-file")]),
        *([] if encrypted else [("no encryption", "read along", "--tls-self-signed")]),
    ]
    if not lacks:
        return ""
    names, consequences, options = zip(*lacks, strict=True)
    return (
        f"Warning: {', '.join(names)}: anyone on this network can {' and '.join(consequences)}"
        f" (add {' and '.join(options)})"
    )


def _print_warning(text: str) -> None:
    logger.warning("{}", text)
    _fail(text)


def _fail(text: str) -> int:
    print(f"{PROGRAM}: {text}", file=sys.stderr)
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
        return _fail(str(error))
    logger.info("stopped")
    return 1 if server.failed.is_set() else 0


def _announce(server: ChatServer, certificate: Certificate | None) -> None:
    if names := server.unowned_operators:
        _print_warning(unowned_warning(names))
    host, port = server.address
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    logger.info("listening on {}", shown)
    print(f"listening on {shown}", flush=True)
    if certificate:
        logger.info("certificate SHA-256 {}", certificate.fingerprint)
        print(f"certificate SHA-256 {certificate.fingerprint}", flush=True)


def unowned_warning(names: Sequence[str]) -> str:
    """Return a warning about operators whose names nobody owns yet."""
    if len(names) == 1:
        return f"Operator {names[0]} has not signed in yet: the first user of this name becomes operator"
    return f"Operators {', '.join(names)} have not signed in yet: the first users of these names become operators"


def _wait_for_stop(certificate: Certificate | None) -> int:
    """Wait for a stop signal and return it. Reload the certificate, if there is one, at each SIGHUP."""
    while (number := signal.sigwait(SIGNALS)) not in STOP_SIGNALS:
        if certificate:
            certificate.reload()
        else:
            logger.info("ignored {}: there is no certificate to load", signal.Signals(number).name)
    return number
