"""Which addresses count as one: where limits, wrong tries and bans ask who somebody is, this is the answer."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

IPV6_HOST_BITS = 64  # the last of an address are its owner's to choose, so those before them count as the address
_PREFIX = f"/{128 - IPV6_HOST_BITS}"


def parse_address(text: str) -> IPv4Address | IPv6Address:
    """Return the address in `text`, or what an origin begins with; IPv4 in IPv6 is IPv4. Raises ValueError."""
    ip = ip_address(text.removesuffix(_PREFIX) if ":" in text else text)
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def origin_of(text: str) -> str:
    """Return what the address in `text` counts as: `192.0.2.1` or `2001:db8::/64`. Raises ValueError."""
    ip = parse_address(text)
    if isinstance(ip, IPv4Address):
        return str(ip)
    return str(IPv6Network((int(ip) >> IPV6_HOST_BITS << IPV6_HOST_BITS, 128 - IPV6_HOST_BITS)))
