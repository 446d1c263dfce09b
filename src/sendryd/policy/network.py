"""Whom a limit for each address is for: with IPv6, one customer has more addresses than can be counted."""

import ipaddress
from typing import Final

IPV6_PREFIX: Final = 64  # one customer has at least a /64


def network_of(address: str) -> str:
    """The address, or the network of an IPv6 address. What is no address is given back as it is."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:  # as a socket for both protocols shows IPv4
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), IPV6_PREFIX), strict=False))
