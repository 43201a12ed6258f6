"""Addresses as users write them."""

import pytest

from hubbub.client.network.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("chat.example", Address("chat.example", 4242)),
        ("chat.example:80", Address("chat.example", 80)),
        ("::1", Address("::1", 4242)),
        ("[::1]", Address("::1", 4242)),
        ("[::1]:80", Address("::1", 80)),
    ],
)
def test_address_is_parsed(text: str, address: Address) -> None:
    """HOST, HOST:PORT, and IPv6 with and without brackets."""
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", ":80", "[::1", "[::1]80", "host:", "host:-1", "host:65536", "[]:80"])
def test_bad_address_is_refused(text: str) -> None:
    """The ValueError says what is missing."""
    with pytest.raises(ValueError, match=r"is not|has no"):
        parse_address(text)
