"""Which addresses may be connected to: the guard against server-side request forgery (SSRF).

It checks the address of the connection, not a name, and extracts the IPv4 address from IPv6 forms that embed one. Python's `is_global` is not
enough: it calls several of these forms global.
"""

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

REFUSED: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, and 100.100.100.200 of one cloud's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # one cloud's host agent
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "::1/128",
        "64:ff9b:1::/48",  # translators of a local network, with the IPv4 address at an unknown position
        "100::/64",
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
_MAPPED: Final = ipaddress.ip_network("::ffff:0:0/96")
_COMPATIBLE: Final = ipaddress.ip_network("::/96")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_6TO4: Final = ipaddress.ip_network("2002::/16")
_ISATAP: Final = 0x00005EFE  # RFC 5214: middle of an interface identifier that ends in an IPv4 address


def is_public(address: str) -> bool:
    """Whether a text is an address of the public Internet."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(not any(each in network for network in REFUSED) for each in _carried(parsed))


def _carried(address: Address) -> list[Address]:
    """The address, and the IPv4 address embedded in it, if any."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    number = int(address)
    low = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if address in _MAPPED:
        return [low]
    if address in _NAT64 or address in _COMPATIBLE:
        return [address, low]
    if address in _6TO4:
        return [address, ipaddress.IPv4Address(number >> 80 & 0xFFFFFFFF)]
    if number >> 32 & 0xFDFFFFFF == _ISATAP:
        return [address, low]
    return [address]
