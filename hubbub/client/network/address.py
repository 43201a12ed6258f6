"""Addresses of servers, as users write them. Pure functions; any thread may call them."""

import ipaddress
from typing import NamedTuple

from hubbub.options import DEFAULT_PORT

DEFAULT_HOST = "127.0.0.1"
PORTS = range(1, 65_536)


class Address(NamedTuple):
    """The host and port of a server."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine, by the name `localhost` or a loopback address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # a name
            return self.host.lower() == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Addresses(tuple[Address, ...]):
    """The addresses of the servers of one chat; most chats have one."""

    __slots__ = ()

    def __str__(self) -> str:
        return ",".join(map(str, self))


def parse_addresses(text: str) -> Addresses:
    """Parse `ADDRESS` or `ADDRESS,ADDRESS,…`, each in the form of `parse_address`. Raises ValueError."""
    return Addresses(map(parse_address, text.split(",")))


def parse_address(text: str) -> Address:
    """Parse `HOST`, `HOST:PORT`, `::1`, `[::1]` or `[::1]:PORT`. Raises ValueError."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not an address; an IPv6 address looks like [::1]:{DEFAULT_PORT}")
        port = rest[1:] if rest else str(DEFAULT_PORT)
    elif text.count(":") == 1:
        host, port = text.split(":")
    else:
        host, port = text, str(DEFAULT_PORT)
    if not host:
        raise ValueError(f"{text!r} has no host; use HOST or HOST:PORT")
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ValueError(f"{host!r} is not a host name") from error
    if not (port.isascii() and port.isdigit() and int(port) in PORTS):
        raise ValueError(f"{port!r} is not a port; use {PORTS.start} to {PORTS.stop - 1}")
    return Address(host, int(port))
