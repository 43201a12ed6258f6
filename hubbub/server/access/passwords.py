"""The password of the server, read from a file or the environment."""

import getpass
import sys
from collections.abc import Mapping
from pathlib import Path

from hubbub.options import PasswordError, find_password
from hubbub.protocol import ProtocolError, clean_password
from hubbub.server.access.hash_pool import HashPool
from hubbub.server.access.scrypt import SCHEME, HashedSecret, HashError, ScryptHash
from hubbub.server.network.admission import AttemptLimiter

HASH_COMMAND = "python3 chat_server.py --hash-password"


class ServerPassword:
    """The password that clients send with `/pass`. Any thread."""

    def __init__(
        self, secret: HashedSecret, *, plaintext_source: str = "", attempts: AttemptLimiter | None = None
    ) -> None:
        """`plaintext_source` is the file or variable with the password in plain text; empty if it has a hash."""
        self._secret = secret
        self._attempts = attempts or AttemptLimiter()
        self._plaintext_source = plaintext_source

    @property
    def warning(self) -> str:
        """A warning for the administrator; empty if there is none."""
        if not self._plaintext_source:
            return ""
        return f"{self._plaintext_source} has the password in plain text; replace it with the output of {HASH_COMMAND}"

    def check(self, text: str, address: str, hash_pool: HashPool) -> None:
        """Raise ProtocolError `password-wrong`, `too-fast` after too many wrong passwords, or what HashPool raises."""
        if not self._attempts.attempt(address, lambda: hash_pool.matches(self._secret, text, address)):
            raise ProtocolError("password-wrong", "that is not the password; try again")


def load_password(path: Path | None, environment: Mapping[str, str]) -> ServerPassword | None:
    """Return the password in the first line of `path`, or in the environment if `path` is None; None if in neither.

    Raises PasswordError.
    """
    found = find_password(path, environment)
    if found is None:
        return None
    text, source = found
    if not text:
        raise PasswordError(f"there is no password in {source}; write the output of {HASH_COMMAND} there")
    if not text.startswith(f"{SCHEME}:"):
        return ServerPassword(HashedSecret.create(text), plaintext_source=source)
    try:
        return ServerPassword(HashedSecret(ScryptHash.parse(text)))
    except HashError as error:
        raise PasswordError(f"cannot use the password in {source}: {error}; make one with {HASH_COMMAND}") from error


def prompt_and_hash() -> str:
    """Ask for a password twice, or read a line if standard input is not a terminal, and return its hash.

    Raises PasswordError, and EOFError and KeyboardInterrupt if the user cancels.
    """
    if sys.stdin.isatty():
        text = clean_password(getpass.getpass("Password: "))
        if text != clean_password(getpass.getpass("Once more: ")):
            raise PasswordError("the two passwords are not the same; try again")
    else:
        text = clean_password(sys.stdin.readline())
    if not text:
        raise PasswordError("the password is empty; choose another")
    return str(ScryptHash.create(text))
