"""The command line of the server; builds the limits, the certificate and the backend from its options."""

import argparse
import contextlib
import re
from pathlib import Path

from hubbub.options import DEFAULT_PORT, OptionParser, program_name
from hubbub.protocol import ProtocolError, check_name
from hubbub.server.access.limits import (
    BURST,
    GRACE_SECONDS,
    MAX_CLIENTS,
    MAX_CLIENTS_PER_ADDRESS,
    MAX_ROOMS,
    MAX_UNNAMED,
    RATE,
    Limits,
)
from hubbub.server.backend import Backend, LocalBackend
from hubbub.server.journal.journal import KEEP_DAYS, KEEP_LINES, JournalError
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.journal.sqlite import SqliteJournal
from hubbub.server.network.certificate import Certificate, CertificateError, load_or_create_self_signed

PROGRAM = program_name("chat_server.py", "hubbub.server")
HOST = "127.0.0.1"  # only clients on this machine can connect, unless the administrator chooses another
JOURNAL = "chat_journal.db"  # beside the log
NO_JOURNAL = "none"
CLUSTER_NAME = "chat"
CERTIFICATE = "chat_tls.pem"  # beside the journal


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = OptionParser(PROGRAM, "Start a chat server.")
    for add in (_add_address, _add_limits, _add_storage, _add_access):
        add(options)
    return options


def _add_address(options: argparse.ArgumentParser) -> None:
    options.add_argument("--host", default=HOST, help=f"address to listen on ({HOST}; 0.0.0.0 opens it to the network)")
    options.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help=f"port to listen on ({DEFAULT_PORT}; 0 picks a free one)"
    )
    options.add_argument(
        "--reuse-port",
        action="store_true",
        help="share the port with other servers on this machine, for example one per core",
    )
    options.add_argument(
        "--log-file", type=Path, default=Path("chat_server.log"), help="the log file (chat_server.log)"
    )


def _add_limits(options: argparse.ArgumentParser) -> None:
    options.add_argument(
        "--max-clients", type=_at_least_one, default=MAX_CLIENTS, help=f"number of connections ({MAX_CLIENTS})"
    )
    options.add_argument(
        "--max-per-address",
        type=_at_least_one,
        default=MAX_CLIENTS_PER_ADDRESS,
        help=f"number of connections from one address other than this machine ({MAX_CLIENTS_PER_ADDRESS})",
    )
    options.add_argument(
        "--max-unnamed",
        type=_at_least_one,
        default=MAX_UNNAMED,
        help=f"number of connections without a name ({MAX_UNNAMED})",
    )
    options.add_argument("--max-rooms", type=_at_least_one, default=MAX_ROOMS, help=f"number of rooms ({MAX_ROOMS})")
    options.add_argument(
        "--rate",
        type=_rate,
        default=RATE,
        help=f"lines per second before a client is slowed down ({RATE:g}; 0: no limit)",
    )
    options.add_argument("--burst", type=_at_least_one, default=BURST, help=f"lines at once before that ({BURST})")
    options.add_argument(
        "--grace",
        type=_seconds,
        default=GRACE_SECONDS,
        help=f"seconds to hold the name of a lost connection ({GRACE_SECONDS:g})",
    )


def _add_storage(options: argparse.ArgumentParser) -> None:
    options.add_argument(
        "--journal", metavar="FILE", help=f"where to store messages ({JOURNAL} beside the log; {NO_JOURNAL}: memory)"
    )
    options.add_argument(
        "--cluster",
        metavar="URL",
        help="be one chat with all servers on this Redis: redis://HOST:PORT/0 (single server)",
    )
    options.add_argument(
        "--cluster-name",
        type=_cluster_name,
        default=CLUSTER_NAME,
        metavar="NAME",
        help=f"name of the chat in that Redis ({CLUSTER_NAME})",
    )
    options.add_argument("--fsync", action="store_true", help="flush to disk: messages survive a power cut (slower)")
    options.add_argument("--keep-days", type=_positive, default=KEEP_DAYS, help=f"days to store messages ({KEEP_DAYS})")
    options.add_argument(
        "--keep-lines", type=_at_least_one, default=KEEP_LINES, help=f"lines to store of each room ({KEEP_LINES})"
    )


def _add_access(options: argparse.ArgumentParser) -> None:
    options.add_argument(
        "--operators",
        type=_names,
        default=(),
        metavar="NAME,…",
        help="names that may /kick, /ban and /mute once their owners have signed in (none)",
    )
    options.add_argument("--tls-cert", type=Path, metavar="FILE", help="use TLS with this certificate, in PEM")
    options.add_argument(
        "--tls-key", type=Path, metavar="FILE", help="its key, in PEM (in the file of the certificate)"
    )
    options.add_argument(
        "--tls-self-signed",
        action="store_true",
        help=f"use TLS with a self-signed certificate, created the first time ({CERTIFICATE} beside the journal)",
    )
    options.add_argument(
        "--password-file", type=Path, metavar="FILE", help="require the password in FILE (CHAT_PASSWORD)"
    )
    options.add_argument(
        "--hash-password", action="store_true", help="ask for a password, print its hash for that file, and exit"
    )


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 65_535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port; choose one from 0 to 65535")


def _at_least_one(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 1_000_000:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000000")


def _cluster_name(text: str) -> str:
    if re.fullmatch("[A-Za-z0-9._-]{1,64}", text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not a name of 1 to 64 letters, digits, '.', '_' and '-'")


def _names(text: str) -> tuple[str, ...]:
    try:
        return tuple(check_name(name) for name in text.split(","))
    except ProtocolError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of names with commas between: {error.text}") from None


def _rate(text: str) -> float:
    return _number(text, 0, 1e6, "lines per second")


def _positive(text: str) -> float:
    return _number(text, 0.001, 36_500, "days")


def _seconds(text: str) -> float:
    return _number(text, 0, 86_400, "seconds")


def _number(text: str, least: float, most: float, unit: str) -> float:
    with contextlib.suppress(ValueError):
        if least <= (number := float(text)) <= most:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of {unit} from {least:g} to {most:g}")


def journal_path(options: argparse.Namespace) -> Path:
    """Return the path of the journal, even without a journal: the certificate is stored beside it."""
    given = options.journal and options.journal != NO_JOURNAL
    return Path(options.journal) if given else options.log_file.with_name(JOURNAL)


def open_certificate(options: argparse.Namespace) -> Certificate | None:
    """Return the certificate that the options ask for, None without TLS. Raises CertificateError."""
    if options.tls_self_signed:
        if options.tls_cert or options.tls_key:
            raise CertificateError("--tls-self-signed creates a certificate; use it or --tls-cert, not both")
        return load_or_create_self_signed(journal_path(options).with_name(CERTIFICATE), options.host)
    if options.tls_cert:
        return Certificate(options.tls_cert, options.tls_key or options.tls_cert)
    if options.tls_key:
        raise CertificateError("--tls-key needs the certificate, too; add --tls-cert")
    return None


def open_backend(options: argparse.Namespace) -> Backend:
    """Return the backend that the options ask for. Raises JournalError."""
    if options.cluster:
        return _open_cluster(options)
    if options.journal == NO_JOURNAL:
        return LocalBackend(MemoryJournal())
    path = journal_path(options)
    return LocalBackend(
        SqliteJournal(path, fsync=options.fsync, keep_days=options.keep_days, keep_lines=options.keep_lines)
    )


def _open_cluster(options: argparse.Namespace) -> Backend:
    if options.journal:
        raise JournalError("--cluster stores messages in Redis; use it or --journal, not both")
    try:
        from hubbub.server.cluster.node import ClusterBackend  # needs a library that a single server does not need
    except ImportError as error:
        raise JournalError(
            f"--cluster needs a library; install it with: pip install -e '.[cluster]' ({error})"
        ) from error
    return ClusterBackend(
        options.cluster, options.cluster_name, keep_days=options.keep_days, keep_lines=options.keep_lines
    )


def limits_of(options: argparse.Namespace) -> Limits:
    """Return the limits that the options ask for."""
    return Limits(
        max_clients=options.max_clients,
        max_clients_per_address=options.max_per_address,
        max_unnamed=options.max_unnamed,
        rate=options.rate,
        burst=options.burst,
        grace_seconds=options.grace,
        max_rooms=options.max_rooms,
    )
