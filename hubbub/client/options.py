"""The command line of the client. Only text; any thread may call it."""

import argparse
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hubbub.client.network.address import DEFAULT_HOST, parse_addresses
from hubbub.client.network.tls_trust import parse_fingerprint
from hubbub.client.prompts import choose_color
from hubbub.client.state.backlog import parse_since
from hubbub.client.state.private_files import config_folder, state_folder
from hubbub.options import DEFAULT_PORT, OptionParser
from hubbub.protocol import ProtocolError, check_room

PROGRAM = "chat_client.py"
TIMEOUT_SECONDS = 60.0  # as long as a server that is gone takes to be noticed, and one that starts again to be there

T = TypeVar("T")


def parse_seconds(text: str) -> float:
    """Return a time of more than 0 seconds. Raises ValueError."""
    seconds = float(text)
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise ValueError(f"{text!r} is no time to wait; use seconds, more than 0")
    return seconds


def _checked(check: Callable[[str], T]) -> Callable[[str], T]:
    """Make `check` tell argparse, in its own words, why it raises ValueError or ProtocolError."""

    def checked(text: str) -> T:
        try:
            return check(text)
        except (ValueError, ProtocolError) as error:
            raise argparse.ArgumentTypeError(error.args[-1]) from error

    return checked


def parse_options(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options. Raises SystemExit after one line on standard error if one is bad, and after `--help`."""
    parser = OptionParser(PROGRAM, "Join a chat.")
    for add in (_add_who_and_where, _add_ways_to_show, _add_trust, _add_places):
        add(parser)
    return parser.parse_args(argv)


def _add_who_and_where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "address",
        nargs="?",
        type=_checked(parse_addresses),
        metavar="HOST[:PORT][,…]",
        help=f"where the server listens (the last one, else {DEFAULT_HOST}:{DEFAULT_PORT}); IPv6 as [::1]:4242; "
        "several, with commas between, where they are one chat",
    )
    parser.add_argument("--name", help="your name (the last one, else you are asked)")
    parser.add_argument("--color", type=_checked(choose_color), help="the name or number of your colour")
    parser.add_argument("--room", type=_checked(check_room), help="a room to join at once")


def _add_ways_to_show(parser: argparse.ArgumentParser) -> None:
    # And in which lines come in.
    parser.add_argument("--plain", action="store_true", help="in a terminal: a line for each event, and no editor")
    parser.add_argument("--tail", action="store_true", help="read no input; show what happens, for ever")
    parser.add_argument("--json", action="store_true", help="show each event as a JSON object in a line")
    parser.add_argument(
        "--since",
        type=_checked(parse_since),
        metavar="SEQ|TIME",
        help="show first what was said after line SEQ of the room, or in the last TIME: 90s, 30m, 2h, 7d",
    )
    parser.add_argument("--commands", action="store_true", help="in a pipe: lines that begin with / are commands")
    parser.add_argument(
        "--timeout",
        type=_checked(parse_seconds),
        default=TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="how long a pipe's lines may wait while the server takes none (%(default)g)",
    )


def _add_trust(parser: argparse.ArgumentParser) -> None:
    # Which server it may be, and what it wants to know.
    parser.add_argument(
        "--tls",
        action="store_true",
        help="speak TLS; a server that this system's authorities do not verify is remembered, and must not change",
    )
    known = parser.add_mutually_exclusive_group()
    known.add_argument("--ca", type=Path, metavar="FILE", help="speak TLS with a server that these authorities verify")
    known.add_argument(
        "--pin",
        type=_checked(parse_fingerprint),
        metavar="FINGERPRINT",
        help="speak TLS with the server that has this certificate, by its SHA-256",
    )
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="the server's password is its first line (CHAT_PASSWORD, else you are asked)",
    )


def _add_places(parser: argparse.ArgumentParser) -> None:
    # Of what is kept on this machine.
    parser.add_argument(
        "--config",
        type=Path,
        default=config_folder(),
        metavar="FOLDER",
        help="where your settings and the lines that you typed are kept (%(default)s)",
    )
    # None by default: only a log that somebody asked for is a reason not to start.
    log = str(default_log()).replace("%", "%%")
    parser.add_argument("--log-file", type=Path, help=f"where to log ({log})")


def default_log() -> Path:
    """Return the log's place in the folder that this system has for a user's logs and histories."""
    return state_folder() / "chat_client.log"
