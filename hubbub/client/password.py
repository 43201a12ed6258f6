"""The server's password, where nobody is asked for it."""

import os
from collections.abc import Mapping
from pathlib import Path

from hubbub.protocol import LINE_BYTES, clean_password

VARIABLE = "CHAT_PASSWORD"


class PasswordError(Exception):
    """There is no password where one should be; the text says why."""


def find_password(path: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """Return the first line of `path`, else what the environment has; empty where there is neither.

    Raises PasswordError.
    """
    if path is None:
        return clean_password(environment.get(VARIABLE, ""))
    try:
        with path.open("rb") as file:
            line = file.readline(LINE_BYTES)
    except OSError as error:
        raise PasswordError(f"cannot read the password in {path}: {error.strerror or error}") from error
    password = clean_password(line.decode("utf-8", "replace"))
    if not password:
        raise PasswordError(f"there is no password in the first line of {path}")
    return password
