"""The command line of the client."""

import argparse
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hubbub.client.commands import choose_color
from hubbub.client.network.address import DEFAULT_HOST, parse_addresses
from hubbub.client.network.tls_trust import parse_fingerprint
from hubbub.client.state.backlog import parse_since
from hubbub.client.state.private_files import config_folder, state_folder
from hubbub.options import DEFAULT_PORT, OptionParser, program_name
from hubbub.protocol import ProtocolError, check_room

PROGRAM = program_name("chat_client.py", "hubbub")
TIMEOUT_SECONDS = 60.0  # to notice that a server is gone, and to reconnect to one that restarts

T = TypeVar("T")


def parse_seconds(text: str) -> float:
    """Parse a time of more than 0 seconds. Raises ValueError."""
    seconds = float(text)
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise ValueError(f"{text!r} is not a time to wait; use seconds, more than 0")
    return seconds


def _checked(check: Callable[[str], T]) -> Callable[[str], T]:
    """Return `check` with its ValueError or ProtocolError turned into the error of argparse, with the same text."""

    def checked(text: str) -> T:
        try:
            return check(text)
        except (ValueError, ProtocolError) as error:
            raise argparse.ArgumentTypeError(error.args[-1]) from error

    return checked


def parse_options(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options. Raises SystemExit after `--help`, and after one line on standard error for a bad option."""
    parser = OptionParser(PROGRAM, "Join a chat.")
    for add in (_add_user_and_server, _add_input_and_output, _add_security, _add_files):
        add(parser)
    return parser.parse_args(argv)


def _add_user_and_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "address",
        nargs="?",
        type=_checked(parse_addresses),
        metavar="HOST[:PORT][,…]",
        help=f"the server (the last one, else {DEFAULT_HOST}:{DEFAULT_PORT}); IPv6 as [::1]:4242; "
        "several servers of one chat with commas between",
    )
    parser.add_argument("--name", help="your name (the last one, else you are asked)")
    parser.add_argument("--color", type=_checked(choose_color), help="the name or number of your colour")
    parser.add_argument("--room", type=_checked(check_room), help="a room to join at once")


def _add_input_and_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plain", action="store_true", help="in a terminal: a line for each event, and no line editor")
    parser.add_argument("--tail", action="store_true", help="read no input; show events until interrupted")
    parser.add_argument("--json", action="store_true", help="show each event as a JSON object on a line")
    parser.add_argument(
        "--since",
        type=_checked(parse_since),
        metavar="SEQ|TIME",
        help="show first the lines after line SEQ of the room, or of the last TIME: 90s, 30m, 2h, 7d",
    )
    parser.add_argument("--commands", action="store_true", help="in a pipe: lines that begin with / are commands")
    parser.add_argument(
        "--timeout",
        type=_checked(parse_seconds),
        default=TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="how long the lines of a pipe may wait while the server accepts none (%(default)g)",
    )


def _add_security(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tls",
        action="store_true",
        help="use TLS; a certificate that the authorities of this system do not verify is stored, and must not change",
    )
    known = parser.add_mutually_exclusive_group()
    known.add_argument("--ca", type=Path, metavar="FILE", help="use TLS with a server that these authorities verify")
    known.add_argument(
        "--pin",
        type=_checked(parse_fingerprint),
        metavar="FINGERPRINT",
        help="use TLS with the server whose certificate has this SHA-256",
    )
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="the server's password is its first line (else CHAT_PASSWORD, else you are asked)",
    )


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        default=config_folder(),
        metavar="FOLDER",
        help="where your settings and the lines that you typed are stored (%(default)s)",
    )
    # None by default: only a log that was asked for is a reason not to start.
    log = str(default_log()).replace("%", "%%")
    parser.add_argument("--log-file", type=Path, help=f"where to log ({log})")


def default_log() -> Path:
    """Return the path of the log, in the folder that this system has for the logs of a user."""
    return state_folder() / "chat_client.log"
