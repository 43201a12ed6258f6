"""The server's command: it builds the server from its options, and runs it until SIGINT or SIGTERM."""

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
from hubbub.server.options import limits_of, open_backend, open_certificate, parser
from hubbub.server.server import ChatServer

SESSION_STACK_BYTES = 262_144  # of a client's thread; address space, of which an idle one touches some 10 KB
# After so long, each thread that waits for the interpreter's lock asks the one that has it to give way: soon, so that
# what is sent waits little for those who compute; but when 10,000 left at the same moment, Python's own 5 ms were 2
# million wake-ups a second, and took minutes.
SWITCH_SECONDS = 0.001
SWITCH_SECONDS_PER_CLIENT = 0.00002
SPARE_DESCRIPTORS = 64  # for the log, the journal, the listener and what the libraries open
FREE_PORT = 1_024  # from here on anybody may listen
STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
RELOAD_SIGNALS = {signal.SIGHUP}  # of the certificate; without one, it is as with any program


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
        configure_log(options.log_file)
        certificate = open_certificate(options)
        if certificate:
            signal.pthread_sigmask(signal.SIG_BLOCK, RELOAD_SIGNALS)
        password = load_password(options.password_file, os.environ)
    except (LogFileError, CertificateError, PasswordError) as error:
        return _complain(str(error))
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
        print(prompt_and_hash())
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
