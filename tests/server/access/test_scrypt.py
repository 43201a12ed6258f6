"""Hashes of secrets, and how their cost is limited."""

import pytest

from hubbub.server.access import scrypt
from hubbub.server.access.scrypt import HashedSecret, HashError, ScryptHash

OPEN_SESAME = ScryptHash.create("open sesame")


def test_hash_matches_its_secret() -> None:
    """Also after it was written and parsed; every hash has its own salt."""
    again = ScryptHash.parse(str(OPEN_SESAME))
    assert again == OPEN_SESAME
    assert (again.matches("open sesame"), again.matches("open sesam"), again.matches("")) == (True, False, False)
    assert ScryptHash.create("open sesame").salt != OPEN_SESAME.salt


def test_unicode_spellings_of_a_secret_match() -> None:
    """An é is an é, composed or not."""
    assert HashedSecret(ScryptHash.create("caf\u00e9")).matches("cafe\u0301")


@pytest.mark.parametrize(
    "line",
    [
        "scrypt:1:2",
        "bcrypt:16384:8:1:00:" + "00" * 32,
        "scrypt:16383:8:1:00:" + "00" * 32,
        "scrypt:16384:8:99:00:" + "00" * 32,
        "scrypt:1048576:8:1:00:" + "00" * 32,
        "scrypt:16384:8:1::" + "00" * 32,
        "scrypt:16384:8:1:00:00",
        "scrypt:16384:8:1:00:zz",
    ],
)
def test_invalid_hash(line: str) -> None:
    """Invalid or too expensive parameters, and lines that are cut short."""
    with pytest.raises(HashError):
        ScryptHash.parse(line)


def test_right_secret_costs_one_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong secret costs one each time, so that the time reveals nothing."""
    calls: list[str] = []
    real = scrypt._scrypt

    def counted(text: str, *rest: object) -> bytes:
        calls.append(text)
        return real(text, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(scrypt, "_scrypt", counted)
    secret = HashedSecret(OPEN_SESAME)
    assert [secret.matches(text) for text in ("no", "open sesame", "open sesame", "no", "")] == [False, True, True] + [
        False
    ] * 2
    assert calls == ["no", "open sesame", "no", ""]
