"""The chat client for a terminal: `python3 chat_client.py [HOST[:PORT]]`.

The main thread reads the keyboard, the thread named `socket` reads and writes the connection. Where standard input or
output is no terminal, lines go in and out plainly, and the client ends when input does and all of it was delivered.

A connection that is lost is made again, and what was typed meanwhile is said then, once.

Exit codes: 0 after leaving, in a pipe after everything was delivered; 1 when the server went before it let us in, or
would not let us in again, or when nothing more could be read or shown; 2 when it could not start: a bad option, no
server, no way in; 3 when a pipe's lines could not be delivered; 130 when a pipe was interrupted; 128 and its number for
a signal.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn, TypeVar

import platformdirs
from loguru import logger

import color
from client.connection import connect
from client.console import Console, StoppedError
from client.plain import Plain
from client.questions import SignInError, choose_color
from client.screen import Screen
from client.session import NotSentError, Session
from logfile import LogFileError, log_to
from protocol import ProtocolError, check_room, clean

PROGRAM = "chat_client.py"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 4242
PORTS = range(1, 65_536)
TIMEOUT_SECONDS = 60.0  # as long as a server that is gone takes to be noticed, and one that starts again to be there

LEFT = 0
ENDED = 1
NOT_STARTED = 2
NOT_SENT = 3
INTERRUPTED = 130  # as a shell tells it: 128 and the number of SIGINT


T = TypeVar("T")


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Return what `HOST`, `HOST:PORT`, `::1`, `[::1]` or `[::1]:PORT` means. Raises ValueError."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is no address; an IPv6 address looks like [::1]:{DEFAULT_PORT}")
        port = rest[1:] if rest else str(DEFAULT_PORT)
    elif text.count(":") == 1:
        host, port = text.split(":")
    else:
        host, port = text, str(DEFAULT_PORT)
    if not host:
        raise ValueError(f"{text!r} has no host; use HOST or HOST:PORT")
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ValueError(f"{host!r} is no host name") from error
    if not (port.isascii() and port.isdigit() and int(port) in PORTS):
        raise ValueError(f"{port!r} is no port; use {PORTS.start} to {PORTS.stop - 1}")
    return Address(host, int(port))


def parse_seconds(text: str) -> float:
    """Return a time of more than 0 seconds. Raises ValueError."""
    seconds = float(text)
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise ValueError(f"{text!r} is no time to wait; use seconds, more than 0")
    return seconds


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, and exit."""
        self.exit(NOT_STARTED, f"{self.prog}: {clean(message)}; see {self.prog} --help\n")


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
    parser = _Parser(prog=PROGRAM, description="Enter a chat room.", allow_abbrev=False)
    parser.add_argument(
        "address",
        nargs="?",
        default=f"{DEFAULT_HOST}:{DEFAULT_PORT}",
        type=_checked(parse_address),
        metavar="HOST[:PORT]",
        help="where the server listens (%(default)s); IPv6 as [::1]:4242",
    )
    parser.add_argument("--name", help="your name, which you are asked for otherwise")
    parser.add_argument("--color", type=_checked(choose_color), help="the name or number of your colour")
    parser.add_argument("--room", type=_checked(check_room), help="a room to join at once")
    parser.add_argument(
        "--timeout",
        type=_checked(parse_seconds),
        default=TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="how long a pipe's lines may wait while the server takes none (%(default)g)",
    )
    parser.add_argument("--log-file", type=Path, default=default_log(), help="where to log (%(default)s)")
    return parser.parse_args(argv)


def default_log() -> Path:
    """Return the log's place in the folder that this system has for a user's logs and histories."""
    return platformdirs.user_state_path("chat-room", appauthor=False) / "chat_client.log"


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise SystemExit, so that the terminal is left as it was. Needs the main thread."""
    # Windows has no SIGHUP; and one that is ignored, as under nohup, stays so.
    numbers = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]
    before = {number: signal.getsignal(number) for number in numbers if signal.getsignal(number) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, _exit_by_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_by_signal(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (what a handler is called with)
    signal.signal(number, signal.SIG_IGN)  # a second one must not disturb the leaving
    raise SystemExit(128 + number)


def open_console() -> Console:
    """Return the editor where there is a terminal that can move its cursor, else plain lines."""
    if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        return Screen(colored=color.wants_color(sys.stdout))
    return Plain(sys.stdin, sys.stdout, sys.stderr)


def open_closed_streams() -> None:
    """Give None, which Python has for a stream that whoever started us has closed, the meaning of an empty file."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("r+"))  # noqa: SIM115  # for as long as the process lives


def say(text: str) -> None:
    """Tell the person one line, on standard error."""
    sys.stderr.write(f"{PROGRAM}: {text}\n")


def chat(session: Session, console: Console, options: argparse.Namespace) -> int:
    """Get in, stay until somebody ends it, and return the exit code."""
    try:
        session.sign_in(options.name, options.color)
        if options.room is not None:
            session.join(options.room)
        if isinstance(console, Screen):
            console.read_lines(session.take_line, session.status)
        else:
            console.read_lines(session.take_line_in_turn, session.status)
            session.wait_until_delivered()
    except EOFError:
        return LEFT
    except SignInError as error:
        say(str(error))
        return NOT_STARTED
    except ProtocolError as error:
        say(error.text)
        return ENDED
    except NotSentError as error:
        if not session.unsent:  # only the last answers are missing
            return LEFT
        say(str(error))
        return NOT_SENT
    except StoppedError:
        return ENDED
    return LEFT


def visit(options: argparse.Namespace) -> int:
    """Connect, chat and leave; return the exit code."""
    try:
        sock = connect(*options.address)
    except OSError as error:
        say(no_server(options.address, error))
        return NOT_STARTED
    console = open_console()
    colored = color.wants_color(sys.stdout)
    session = Session(sock, options.address, console, colored=colored, timeout=options.timeout)
    code = ENDED
    try:
        session.start()
        code = chat(session, console, options)
    finally:
        unsent = [] if code == LEFT else session.unsent
        session.close()
        console.close()
        for text in filter(None, (session.reason, not_sent(unsent))):
            say(text)
    return code


def not_sent(lines: Sequence[str]) -> str:
    """Return a line that tells how many lines were not sent; empty for none."""
    if not lines:
        return ""
    count = "1 line was" if len(lines) == 1 else f"{len(lines)} lines were"
    return f"{count} not sent; the first: {lines[0]}"


def no_server(address: Address, error: OSError) -> str:
    """Return a line that says what is missing and how to start it."""
    port = "" if address.port == DEFAULT_PORT else f" --port {address.port}"
    return f"no server at {address} ({error.strerror or error}); start one with: python3 chat_server.py{port}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the client and return its exit code. Needs the main thread."""
    open_closed_streams()
    options = parse_options(argv)
    if options.name is None and not sys.stdin.isatty():
        say("standard input is no terminal, so nobody can be asked for a name; give one with --name")
        return NOT_STARTED
    try:
        log_to(options.log_file)
    except LogFileError as error:
        say(str(error))
        return NOT_STARTED
    logger.info("starting, for {!r}", str(options.address))
    try:
        with ended_by_signals():
            code = visit(options)
    except KeyboardInterrupt:
        code = LEFT if sys.stdin.isatty() else INTERRUPTED
    except SystemExit as ended:  # by a signal
        code = ended.code if isinstance(ended.code, int) else ENDED
    logger.info("ending with exit code {}", code)
    return code


def run() -> NoReturn:
    """Be the `chat-client` command."""
    sys.exit(main())


if __name__ == "__main__":
    run()
