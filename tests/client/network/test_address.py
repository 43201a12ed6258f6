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


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("Localhost", True), ("10.0.0.5", False), ("x.y", False)],
)
def test_loopback_is_recognised(host: str, *, is_loopback: bool) -> None:
    """A name other than `localhost` is another machine's."""
    assert Address(host, 4242).is_loopback == is_loopback


@pytest.mark.parametrize("text", ["", ":80", "[::1", "[::1]80", "host:", "host:-1", "host:65536", "[]:80"])
def test_bad_address_is_refused(text: str) -> None:
    """The ValueError says what is missing."""
    with pytest.raises(ValueError, match=r"is not|has no"):
        parse_address(text)
