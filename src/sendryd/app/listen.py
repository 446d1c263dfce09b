"""Binds listening sockets before anything else is started, so that a port that is taken is one line."""

import socket
from typing import Final

from sendryd.app.values import Address

BACKLOG: Final = 1024


class PortTaken(Exception):
    """An address cannot be listened on; the message is one line."""


def bind(address: Address, *, is_shared: bool = False, listens: bool = True) -> socket.socket:
    """A socket that listens. With `is_shared` other processes of the same user may listen on the address too. Raises `PortTaken`."""
    try:
        infos = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = infos[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortTaken(f"cannot listen on {address}: {error.strerror or error}") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared and address.port:  # the system may choose the port of another program that shares its own
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:  # [::] means every address, those of IPv4 too
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address.host != "::"))
        sock.bind(place)
        if listens:
            sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise PortTaken(f"cannot listen on {address}: {error.strerror or error}") from None
    sock.setblocking(False)
    return sock


def bound_address(sock: socket.socket, asked: Address) -> Address:
    """Where a socket really listens, in the words of the setting."""
    return Address(asked.host, sock.getsockname()[1])
