"""Secrets that people type, as they are kept: hashed with scrypt, so that who reads the hash has the secret not yet.

A hash takes 16 MiB and some 50 ms, so few are computed at a time and nobody waits long for his turn: tries cannot eat
the machine. No lock of another module may be held meanwhile.
"""

import hashlib
import hmac
import os
import secrets
import threading
import unicodedata
from dataclasses import dataclass

from hubbub.protocol import ProtocolError

N, R, P = 2**14, 8, 1  # cost, block and lanes: 128 * N * R bytes, 16 MiB; what RFC 7914 names for interactive use
SALT_BYTES = 16
HASH_BYTES = 32
MEMORY_BYTES = 67_108_864  # that a hash from a file may ask for
LANES = 16  # that it may ask for: more would only take longer
AT_A_TIME = min(4, max(1, (os.cpu_count() or 1) // 2))  # hashes; half the processors are left for the chat
TURN_SECONDS = 2.0  # to wait for a turn: a stop waits no longer for whoever waits
SCHEME = "scrypt"

_turns = threading.BoundedSemaphore(AT_A_TIME)


class HashError(Exception):
    """A line is no hash of ours; the text says why."""


@dataclass(frozen=True, slots=True)
class ScryptHash:
    """What is kept of a secret. `str` is the line `scrypt:N:R:P:SALT:HASH`, the last two in hexadecimal digits."""

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    def __str__(self) -> str:
        return f"{SCHEME}:{self.n}:{self.r}:{self.p}:{self.salt.hex()}:{self.digest.hex()}"

    @classmethod
    def create(cls, text: str) -> "ScryptHash":
        """Hash a secret with a new salt. Raises ProtocolError `too-fast` when no turn is to be had."""
        salt = secrets.token_bytes(SALT_BYTES)
        with _Turn():
            return cls(N, R, P, salt, _scrypt(text, salt, N, R, P, HASH_BYTES))

    @classmethod
    def parse(cls, line: str) -> "ScryptHash":
        """Return the hash that stands in a line. Raises HashError, also where it would cost too much."""
        try:
            scheme, n, r, p, salt, digest = line.split(":")
            made = cls(int(n), int(r), int(p), bytes.fromhex(salt), bytes.fromhex(digest))
        except ValueError as error:
            raise HashError(f"a hash looks like {SCHEME}:N:R:P:SALT:HASH") from error
        if scheme != SCHEME or made.n < 2 or made.n & (made.n - 1) or made.r < 1 or not 1 <= made.p <= LANES:
            raise HashError("the hash has numbers that scrypt does not take")
        if 128 * made.n * made.r > MEMORY_BYTES:
            raise HashError(f"the hash needs more than {MEMORY_BYTES >> 20} MiB")
        if not made.salt or len(made.digest) < HASH_BYTES // 2:
            raise HashError("the hash is cut short")
        return made

    def matches(self, text: str) -> bool:
        """Return whether it is of this secret, always for the price of one scrypt. The caller has a turn."""
        return hmac.compare_digest(_scrypt(text, self.salt, self.n, self.r, self.p, len(self.digest)), self.digest)


class HashedSecret:
    """A secret that can be compared. Any thread.

    Once it was given right, the same is known again without scrypt, by a digest under a key of this process; else a
    thousand people who come back after a restart would wait for a minute. What is wrong always costs a scrypt.
    """

    def __init__(self, hashed: ScryptHash, text: str = "") -> None:
        """`text` is what `hashed` is of, where that is known."""
        self.hash = hashed
        self._key = secrets.token_bytes(32)
        self._known = self._digest(text) if text else b""  # set once; every thread would set the same

    @classmethod
    def create(cls, text: str) -> "HashedSecret":
        """Hash what somebody chose. Raises ProtocolError `too-fast` when no turn is to be had."""
        return cls(ScryptHash.create(text), text)

    def matches(self, text: str) -> bool:
        """Return whether `text` is it. Raises ProtocolError `too-fast` when no turn is to be had."""
        digest = self._digest(text)
        if hmac.compare_digest(digest, self._known):
            return True
        with _Turn():
            if hmac.compare_digest(digest, self._known):  # by somebody who had his turn before
                return True
            right = self.hash.matches(text)
        if right:
            self._known = digest
        return right

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(_bytes(text), key=self._key).digest()


class _Turn:
    """One of those who compute."""

    def __enter__(self) -> None:
        if not _turns.acquire(timeout=TURN_SECONDS):
            raise ProtocolError("too-fast", f"many are trying just now; try again in {TURN_SECONDS:g} s")

    def __exit__(self, *_: object) -> None:
        _turns.release()


def _scrypt(text: str, salt: bytes, n: int, r: int, p: int, length: int) -> bytes:
    return hashlib.scrypt(_bytes(text), salt=salt, n=n, r=r, p=p, maxmem=2 * MEMORY_BYTES, dklen=length)


def _bytes(text: str) -> bytes:
    """Return the same bytes for what people see as the same, however their keyboards spell it (as RFC 8265 does)."""
    return unicodedata.normalize("NFC", text).encode("utf-8", "replace")
