"""Pasted text: its lines, and how they stand in the input without becoming commands."""

import re

from hubbub.protocol import clean

MAX_UNCONFIRMED_LINES = 5  # more may have been pasted by mistake, so the editor asks first

_LINE_ENDS = re.compile("\r\n|\r|\n")


def split_paste(text: str) -> list[str]:
    """Return the lines of pasted text, cleaned; blank ones are left out if there are several."""
    lines = [clean(line) for line in _LINE_ENDS.split(text)]
    return lines if len(lines) == 1 else [line for line in lines if line.strip()]


def escape_command(line: str) -> str:
    """Return `line` with a second slash if it would be a command."""
    return f"/{line}" if line.startswith("/") else line


def unescape_command(line: str) -> str:
    """Return `line` without the slash that `escape_command` adds."""
    return line[1:] if line.startswith("//") else line
