"""The password of the whole server: where it stands, and who has it."""

import getpass
import sys
from collections.abc import Mapping
from pathlib import Path

from hubbub.protocol import ProtocolError, tidy_password
from hubbub.server.access.scrypt import SCHEME, HashedSecret, HashError, ScryptHash
from hubbub.server.network.admission import AttemptLimiter

VARIABLE = "CHAT_PASSWORD"
FILE_BYTES = 4_096  # a hash takes 150
HOW_TO_HASH = "python3 chat_server.py --hash-password"


class PasswordError(Exception):
    """There is no password where one should be; the text says why and what to do."""


class ServerPassword:
    """What `/pass` must bring. Any thread."""

    def __init__(
        self, secret: HashedSecret, *, plaintext_source: str = "", attempts: AttemptLimiter | None = None
    ) -> None:
        """`plaintext_source` tells where it can be read in the clear; empty where only its hash stands."""
        self._secret = secret
        self._attempts = attempts or AttemptLimiter()
        self.plaintext_source = plaintext_source

    @property
    def warning(self) -> str:
        """What whoever starts the server should know; empty where there is nothing."""
        if not self.plaintext_source:
            return ""
        return (
            f"the password can be read in {self.plaintext_source}; put there what {HOW_TO_HASH} prints, and it cannot"
        )

    def check(self, text: str, address: str) -> None:
        """Return if `text` is right. Raises ProtocolError `password-wrong`, and `too-fast` without looking."""
        if not self._attempts.attempt(address, lambda: self._secret.matches(text)):
            raise ProtocolError("password-wrong", "that is not the password; try again")


def load_password(path: Path | None, environment: Mapping[str, str]) -> ServerPassword | None:
    """Return the password in the first line of `path`, else in the environment; None where there is neither.

    Raises PasswordError.
    """
    if path is not None:
        return _password(_first_line(path), str(path))
    if VARIABLE in environment:
        return _password(environment[VARIABLE], VARIABLE)
    return None


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES)
    except OSError as error:
        reason = error.strerror or error
        raise PasswordError(
            f"cannot read the password in {path}: {reason}; make the file, or choose another"
        ) from error
    return data.decode("utf-8", "replace").partition("\n")[0]


def _password(line: str, place: str) -> ServerPassword:
    text = tidy_password(line)
    if not text:
        raise PasswordError(f"there is no password in {place}; put there what {HOW_TO_HASH} prints")
    if not text.startswith(f"{SCHEME}:"):
        return ServerPassword(HashedSecret.create(text), plaintext_source=place)
    try:
        return ServerPassword(HashedSecret(ScryptHash.parse(text)))
    except HashError as error:
        raise PasswordError(f"the password in {place} cannot be used: {error}; {HOW_TO_HASH} prints one") from error


def prompt_and_hash() -> str:
    """Ask for a password twice, or take a line of standard input where that is no terminal, and return its hash.

    Raises PasswordError, and EOFError and KeyboardInterrupt when nobody wants to answer.
    """
    if sys.stdin.isatty():
        text = tidy_password(getpass.getpass("Password: "))
        if text != tidy_password(getpass.getpass("Once more: ")):
            raise PasswordError("the two are not the same; try again")
    else:
        text = tidy_password(sys.stdin.readline())
    if not text:
        raise PasswordError("an empty password keeps nobody out; choose another")
    return str(ScryptHash.create(text))
