"""The chat client for a terminal: `python3 chat_client.py [HOST[:PORT]]`.

The main thread reads the keyboard; the thread named `socket` reads and writes the connection. Where standard input or
output is no terminal, lines are read and written plainly, and the client ends when its input has ended and every line
is delivered. After a lost connection the client signs in again, and sends what was typed meanwhile, once.

The exit codes are those of `app.ExitCode`; a signal ends the client with 128 and its number.
"""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from loguru import logger

from hubbub.client.app import ClientApp, ExitCode, Mode, mode_of, print_error
from hubbub.client.options import default_log, parse_options
from hubbub.client.state.private_files import log_old_folders
from hubbub.log import LogFileError, configure_log


@contextmanager
def end_on_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise SystemExit, so that the terminal is restored. Needs the main thread."""
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
    signal.signal(number, signal.SIG_IGN)  # a second one must not disturb the shutdown
    raise SystemExit(128 + number)


def open_closed_streams() -> None:
    """Open an empty file for each standard stream that the parent process has closed, for which Python has None."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("r+"))  # noqa: SIM115  # for as long as the process lives


def main(argv: Sequence[str] | None = None) -> int:
    """Run the client and return its exit code. Needs the main thread."""
    open_closed_streams()
    options = parse_options(argv)
    mode = mode_of(options)
    if options.name is None and mode is Mode.PIPE:
        print_error("standard input is no terminal, so you cannot be asked for a name; give one with --name NAME")
        return ExitCode.NOT_STARTED
    try:
        configure_log(options.log_file or default_log())
    except LogFileError as error:
        if options.log_file:
            print_error(str(error))
            return ExitCode.NOT_STARTED
        print_error(f"{error}; going on without one")
    logger.info("starting")
    log_old_folders()
    code: int
    try:
        with end_on_signals():
            code = ClientApp(options).run()
    except KeyboardInterrupt:
        code = ExitCode.LEFT if mode.has_user else ExitCode.INTERRUPTED
    except SystemExit as ended:  # by a signal
        code = ended.code if isinstance(ended.code, int) else ExitCode.ENDED
    logger.info("ending with exit code {}", int(code))
    return code
