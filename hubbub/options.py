"""Options that the command lines of the server and the client share."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from hubbub.protocol import LINE_BYTES, __version__, clean, clean_password

DEFAULT_PORT = 4242
BAD_OPTION = 2  # the exit code
PASSWORD_VARIABLE = "CHAT_PASSWORD"  # noqa: S105  # the name of a variable


def program_name(script: str, module: str) -> str:
    """Return how the user started this process: `script`, `python3 -m module` or a console command."""
    started = Path(sys.argv[0]).name
    if started == "__main__.py":
        return f"python3 -m {module}"
    return started if started.startswith("hubbub") else script


class OptionParser(argparse.ArgumentParser):
    """A parser without abbreviations, with `--version`, and with errors of one line."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)
        self.add_argument("--version", action="version", version=f"hubbub {__version__}")

    def error(self, message: str) -> NoReturn:
        """Print what is wrong in one line, and exit."""
        self.exit(BAD_OPTION, f"{self.prog}: {clean(message)}; see {self.prog} --help\n")


class PasswordError(Exception):
    """A configured password is missing or unusable; the text says why and what to do."""


class FoundPassword(NamedTuple):
    """A password from a file or from the environment, and its source."""

    text: str  # may be empty
    source: str  # the file, or the variable


def find_password(path: Path | None, environment: Mapping[str, str]) -> FoundPassword | None:
    """Return the first line of `path`, or PASSWORD_VARIABLE if `path` is None; None where there is neither.

    Raises PasswordError if the file cannot be read.
    """
    if path is None:
        text = environment.get(PASSWORD_VARIABLE)
        return None if text is None else FoundPassword(clean_password(text), PASSWORD_VARIABLE)
    try:
        with path.open("rb") as file:
            line = file.readline(LINE_BYTES)
    except OSError as error:
        reason = error.strerror or error
        raise PasswordError(f"cannot read the password file {path}: {reason}; create it, or name another") from error
    return FoundPassword(clean_password(line.decode("utf-8", "replace")), str(path))
