"""Where servers listen, as people write it. Only text; any thread may call it."""

from typing import NamedTuple

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 4242
PORTS = range(1, 65_536)


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Addresses(tuple[Address, ...]):
    """Where the servers of one chat listen; most chats have one."""

    __slots__ = ()

    def __str__(self) -> str:
        return ",".join(map(str, self))


def parse_addresses(text: str) -> Addresses:
    """Return what `ADDRESS` or `ADDRESS,ADDRESS,…` means, each as `parse_address` takes it. Raises ValueError."""
    return Addresses(map(parse_address, text.split(",")))


def parse_address(text: str) -> Address:
    """Return what `HOST`, `HOST:PORT`, `::1`, `[::1]` or `[::1]:PORT` means. Raises ValueError."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is no address; an IPv6 address looks like [::1]:{DEFAULT_PORT}")
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
        raise ValueError(f"{host!r} is no host name") from error
    if not (port.isascii() and port.isdigit() and int(port) in PORTS):
        raise ValueError(f"{port!r} is no port; use {PORTS.start} to {PORTS.stop - 1}")
    return Address(host, int(port))
