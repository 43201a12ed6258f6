"""Who the person is to a server: a secret that never leaves this machine, and what is proven with it.

A server keeps a name for whoever proves the same secret again. The scheme is that of SCRAM (RFC 5802) and stands in the
docstring of protocol.py: each server gets a proof made with a key of its own, so that what one of them knows opens no
other. A server could still claim to be another and pass on what it is asked to have proven; so the client remembers
under which address it met each server, and proves nothing to one that it knows from elsewhere.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hubbub.client.state.private_files import locked, make_folder, open_private, replace_private
from hubbub.protocol import Challenged, Prove

SECRET_FILE = "secret"  # noqa: S105  # the name of a file
SECRET_BYTES = 32  # 256 random bits; in the file as hexadecimal digits and an end of line
SERVERS_FILE = "server_ids"
SERVERS = 1_000  # that are remembered; beyond that the one first met is forgotten
SERVERS_BYTES = 512 * SERVERS  # of their file, whose lines have at most 300 and 33; a larger one is not ours

_SECRET = re.compile(rb"[0-9a-f]{64}\n?")
_ID = re.compile(r"[0-9a-f]{32}")
UNPROVEN = "so you prove to nobody who you are, and own no name"
RELAY = (
    "{address} says that it is the server which you know as {known}. If it is not, it could use what you prove to it "
    "there, so nothing is proven, and names that you own may be taken for you. If it is the same server, "
    "add this line to {path}: {address} {server}"
)


class IdentityError(Exception):
    """Nothing can be proven; the text says why, and what can be done."""


class Identity:
    """The person, to the server at one address. For one thread at a time."""

    def __init__(self, folder: Path, address: str, tell: Callable[[str], None]) -> None:
        """Keep what must be remembered in `folder`; `tell` shows the person, once, why something is not proven."""
        self._folder = folder
        self._address = address.lower()
        self._tell = tell
        self._told: set[str] = set()

    def prove(self, challenge: Challenged) -> Prove | None:
        """Return the answer to a server's challenge, or None where nothing is proven. Never raises."""
        if not (_ID.fullmatch(challenge.server) and _ID.fullmatch(challenge.nonce)):
            return None  # a later way to prove something, of which we know nothing
        with suppress(OSError):  # writing tells
            make_folder(self._folder)
        try:
            with locked(self._folder):
                self._meet(challenge.server)
                secret = self._secret()
        except IdentityError as error:
            self._tell_once(str(error))
            return None
        return proof(secret, challenge)

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)

    # ------------------------------------------------------------------------------------------------- the secret

    def _secret(self) -> bytes:
        """Return the person's secret, made the first time. Raises IdentityError."""
        path = self._folder / SECRET_FILE
        try:
            with open_private(path) as file:
                text = file.read(2 * SECRET_BYTES + 2)
        except FileNotFoundError:
            return self._new_secret(path)
        except OSError as error:
            raise IdentityError(f"your secret in {path} cannot be read: {error.strerror}; {UNPROVEN}") from error
        if not _SECRET.fullmatch(text):
            raise IdentityError(f"the secret in {path} is broken; {UNPROVEN}. Mend it, or remove it to begin anew")
        return bytes.fromhex(text.decode())

    def _new_secret(self, path: Path) -> bytes:
        secret = secrets.token_bytes(SECRET_BYTES)
        self._write(path, f"{secret.hex()}\n")
        return secret

    def _write(self, path: Path, text: str) -> None:
        try:
            replace_private(path, text.encode())
        except OSError as error:
            raise IdentityError(f"{path} cannot be written: {error.strerror}; {UNPROVEN}") from error

    # ------------------------------------------------------------------------------------------------ the servers

    def _meet(self, server: str) -> None:
        """Remember under which address this server is met. Raises IdentityError where it is known from elsewhere."""
        path = self._folder / SERVERS_FILE
        lines = self._servers(path)
        here = f"{self._address} {server}"
        if here in lines:
            return
        known = [line.partition(" ")[0] for line in lines if line.endswith(f" {server}")]
        if known:
            text = RELAY.format(address=self._address, known=" and ".join(known), path=path, server=server)
            raise IdentityError(text)
        self._write(path, "".join(f"{line}\n" for line in [*lines, here][-SERVERS:]))

    def _servers(self, path: Path) -> list[str]:
        """Return the lines of the file, each `ADDRESS SERVER`. Raises IdentityError."""
        try:
            with open_private(path) as file:
                data = file.read(SERVERS_BYTES + 1)
            lines = data.decode().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise IdentityError(f"{path} cannot be read: {error.strerror}; {UNPROVEN}") from error
        except UnicodeError:
            data, lines = b"", [""]
        if len(data) > SERVERS_BYTES or not all(_ID.fullmatch(line.partition(" ")[2]) for line in lines):
            raise IdentityError(f"{path} has a line that is not ADDRESS and the id of a server; {UNPROVEN}. Mend it")
        return lines


def proof(secret: bytes, challenge: Challenged) -> Prove:
    """Return the proof of who has `secret`, for one challenge of one server."""
    key = hmac.digest(secret, b"chat-room name key" + challenge.server.encode(), "sha256")
    verifier = hashlib.sha256(key).digest()
    mask = hmac.digest(verifier, (challenge.nonce + challenge.server).encode(), "sha256")
    return Prove(verifier.hex(), bytes(a ^ b for a, b in zip(key, mask, strict=True)).hex())
