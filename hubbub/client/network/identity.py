"""The user's identity: a secret that never leaves this machine, and the proofs made with it.

A server reserves a name for the user who proves the same secret again. The scheme is SCRAM (RFC 5802); hubbub.protocol
describes it. Each proof is made with a key for one server, so that what one server stores is useless at another. A
malicious server could still relay the challenge of another server. Therefore the client stores the address of each
server that it has proven something to, and proves nothing to a known server at an unknown address.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hubbub.client.state.private_files import locked, make_folder, open_private, replace_private
from hubbub.protocol import Prove, ServerChallenge

SECRET_FILE = "secret"  # noqa: S105  # the name of a file
SECRET_BYTES = 32  # 256 random bits; in the file as hexadecimal digits and an end of line
SERVERS_FILE = "server_ids"
SERVERS = 1_000  # stored; beyond that the oldest is dropped
SERVERS_BYTES = 512 * SERVERS  # of their file, whose lines have at most 300 and 33; a larger file is not ours

_SECRET = re.compile(rb"[0-9a-f]{64}\n?")
_ID = re.compile(r"[0-9a-f]{32}")
UNPROVEN = "so your identity is not proven, and you own no name"
RELAY = (
    "{address} claims to be the server that you know as {known}. It could use your proof there, so nothing is proven, "
    "and you may not get the names that you own. If it is the same server, add this line to {path}: {address} {server}"
)


class IdentityError(Exception):
    """The identity cannot be proven; the text says why and what to do."""


class Identity:
    """The user's identity towards the server at one address. For one thread at a time."""

    def __init__(self, folder: Path, address: str, tell: Callable[[str], None]) -> None:
        """Store the files in `folder`; `tell` shows the user, once, why the identity is not proven."""
        self._folder = folder
        self._address = address.lower()
        self._tell = tell
        self._told: set[str] = set()

    def prove(self, challenge: ServerChallenge) -> Prove | None:
        """Return the proof for a challenge, or None where nothing is proven. Never raises."""
        if not (_ID.fullmatch(challenge.server) and _ID.fullmatch(challenge.nonce)):
            return None  # a scheme of a later version
        with suppress(OSError):  # writing reports it
            make_folder(self._folder)
        try:
            with locked(self._folder):
                self._check_server(challenge.server)
                secret = self._secret()
        except IdentityError as error:
            self._tell_once(str(error))
            return None
        return make_proof(secret, challenge)

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)

    # ------------------------------------------------------------------------------------------------- the secret

    def _secret(self) -> bytes:
        """Return the user's secret, created the first time. Raises IdentityError."""
        path = self._folder / SECRET_FILE
        try:
            with open_private(path) as file:
                text = file.read(2 * SECRET_BYTES + 2)
        except FileNotFoundError:
            return self._new_secret(path)
        except OSError as error:
            raise IdentityError(f"your secret in {path} cannot be read: {error.strerror}; {UNPROVEN}") from error
        if not _SECRET.fullmatch(text):
            raise IdentityError(f"the secret in {path} is broken; {UNPROVEN}. Remove it to get a new one")
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

    def _check_server(self, server: str) -> None:
        """Store the address of this server. Raises IdentityError for a server known at another address."""
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
            raise IdentityError(f"{path} has a line that is not ADDRESS and the id of a server; {UNPROVEN}. Correct it")
        return lines


def make_proof(secret: bytes, challenge: ServerChallenge) -> Prove:
    """Return the proof that the user has `secret`, for one challenge of one server."""
    key = hmac.digest(secret, b"chat-room name key" + challenge.server.encode(), "sha256")
    verifier = hashlib.sha256(key).digest()
    mask = hmac.digest(verifier, (challenge.nonce + challenge.server).encode(), "sha256")
    return Prove(verifier.hex(), bytes(a ^ b for a, b in zip(key, mask, strict=True)).hex())
