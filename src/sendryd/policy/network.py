"""The unit of limits for each address: an IPv4 address, or an IPv6 network, since one customer has a whole network."""

import ipaddress
from typing import Final

IPV6_PREFIX: Final = 64  # one customer has at least a /64


def network_of(address: str) -> str:
    """The address, or the network of an IPv6 address. Another text is returned unchanged."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:  # the form of IPv4 on a dual-stack socket
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), IPV6_PREFIX), strict=False))
