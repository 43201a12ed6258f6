"""Passwords and room keys, hashed with scrypt so that a stolen hash does not reveal them.

A hash takes 16 MiB and some 50 ms; in a server the threads of HashPool compute them.
"""

import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass

N, R, P = 2**14, 8, 1  # cost, block size and parallelism of RFC 7914 for interactive use: 128 * N * R bytes are 16 MiB
SALT_BYTES = 16
HASH_BYTES = 32
MAX_MEMORY_BYTES = 67_108_864  # that a hash from a file may need
MAX_P = 16  # of a hash from a file; a higher one takes too long
SCHEME = "scrypt"


class HashError(Exception):
    """A line is not a valid hash; the text says why."""


@dataclass(frozen=True, slots=True)
class ScryptHash:
    """The scrypt hash of a secret. `str` is the line `scrypt:N:R:P:SALT:HASH`, the last two as hexadecimal digits."""

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    def __str__(self) -> str:
        return f"{SCHEME}:{self.n}:{self.r}:{self.p}:{self.salt.hex()}:{self.digest.hex()}"

    @classmethod
    def create(cls, text: str) -> "ScryptHash":
        """Hash a secret with a new salt."""
        salt = secrets.token_bytes(SALT_BYTES)
        return cls(N, R, P, salt, _scrypt(text, salt, N, R, P, HASH_BYTES))

    @classmethod
    def parse(cls, line: str) -> "ScryptHash":
        """Return the hash in a line. Raises HashError, also if computing it would cost too much."""
        try:
            scheme, n, r, p, salt, digest = line.split(":")
            parsed = cls(int(n), int(r), int(p), bytes.fromhex(salt), bytes.fromhex(digest))
        except ValueError as error:
            raise HashError(f"a hash has the form {SCHEME}:N:R:P:SALT:HASH") from error
        if scheme != SCHEME or parsed.n < 2 or parsed.n & (parsed.n - 1) or parsed.r < 1 or not 1 <= parsed.p <= MAX_P:
            raise HashError("the hash has invalid scrypt parameters")
        if 128 * parsed.n * parsed.r > MAX_MEMORY_BYTES:
            raise HashError(f"the hash needs more than {MAX_MEMORY_BYTES >> 20} MiB")
        if not parsed.salt or len(parsed.digest) < HASH_BYTES // 2:
            raise HashError("the hash is cut short")
        return parsed

    def matches(self, text: str) -> bool:
        """Return whether this is the hash of `text`; it always costs one scrypt."""
        return hmac.compare_digest(_scrypt(text, self.salt, self.n, self.r, self.p, len(self.digest)), self.digest)


class HashedSecret:
    """A hash that recognizes its secret quickly once it has matched. Any thread.

    After the first match the secret is recognized by a digest under a random key of this process, without scrypt:
    otherwise a thousand clients that reconnect after a restart would wait for a minute. A wrong secret always costs a
    scrypt.
    """

    def __init__(self, hashed: ScryptHash, text: str = "") -> None:
        """`text` is the secret, if it is known."""
        self.hash = hashed
        self._key = secrets.token_bytes(32)
        self._known_digest = self._digest(text) if text else b""  # set once; all threads set the same value

    @classmethod
    def create(cls, text: str) -> "HashedSecret":
        """Hash a new secret."""
        return cls(ScryptHash.create(text), text)

    def recognizes(self, text: str) -> bool:
        """Return whether `text` is the secret and has matched before; quick."""
        return hmac.compare_digest(self._digest(text), self._known_digest)

    def matches(self, text: str) -> bool:
        """Return whether `text` is the secret."""
        if self.recognizes(text):
            return True
        matched = self.hash.matches(text)
        if matched:
            self._known_digest = self._digest(text)
        return matched

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(_encode(text), key=self._key).digest()


def _scrypt(text: str, salt: bytes, n: int, r: int, p: int, length: int) -> bytes:
    return hashlib.scrypt(_encode(text), salt=salt, n=n, r=r, p=p, maxmem=2 * MAX_MEMORY_BYTES, dklen=length)


def _encode(text: str) -> bytes:
    """Return the same bytes for all spellings of the same characters, as RFC 8265 does."""
    return unicodedata.normalize("NFC", text).encode("utf-8", "replace")
