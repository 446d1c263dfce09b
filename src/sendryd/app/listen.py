"""Binds listening sockets before anything else is started, so that a port that is taken is one line."""

import socket
from typing import Final

from sendryd.app.values import Address

BACKLOG: Final = 1024


class PortTaken(Exception):
    """An address cannot be listened on; the message is one line."""


def bind(address: Address) -> socket.socket:
    """A socket that listens. Raises `PortTaken`."""
    try:
        infos = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = infos[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortTaken(f"cannot listen on {address}: {error.strerror or error}") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # [::] means every address, those of IPv4 too
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address.host != "::"))
        sock.bind(place)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise PortTaken(f"cannot listen on {address}: {error.strerror or error}") from None
    sock.setblocking(False)
    return sock


def bound_address(sock: socket.socket, asked: Address) -> Address:
    """Where a socket really listens, in the words of the setting."""
    return Address(asked.host, sock.getsockname()[1])
