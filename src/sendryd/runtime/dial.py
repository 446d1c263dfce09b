"""Connecting to a peer over TCP."""

import asyncio
import errno
import socket
from contextlib import suppress
from typing import Final

from sendryd.runtime.faults import BindFailed, ConnectFailed
from sendryd.runtime.tcp import TcpStream

# Of Linux's in.h: the port is chosen by connect, among those free for this peer, and not by bind among those free for all.
_IP_BIND_ADDRESS_NO_PORT: Final = 24
# What connect says of the local address: all its ports are in use for this peer, or it cannot be the source of packets to there.
_OF_LOCAL_ADDRESS: Final = frozenset({errno.EADDRNOTAVAIL, errno.EINVAL})


async def connect(address: str, port: int, *, timeout: float, local_address: str | None = None) -> TcpStream:
    """Connects to an IP address. Raises `ConnectFailed` after `timeout` seconds, or when refused or unreachable, and `BindFailed` if it cannot be done
    from `local_address`.
    """
    loop = asyncio.get_running_loop()
    bound = _bind(local_address) if local_address else None
    try:
        async with asyncio.timeout(timeout):
            if bound is None:
                _, stream = await loop.create_connection(TcpStream, address, port)
            else:
                await loop.sock_connect(bound, (address, port))
                _, stream = await loop.create_connection(TcpStream, sock=bound)
                bound = None  # the stream's
    except TimeoutError:
        raise ConnectFailed(f"connecting to {address} port {port} timed out") from None
    except OSError as error:
        if local_address and error.errno in _OF_LOCAL_ADDRESS:
            raise BindFailed(f"cannot connect from {local_address} to {address}: {error.strerror or error}") from None
        raise ConnectFailed(f"cannot connect to {address} port {port}: {error.strerror or error}") from None
    finally:
        if bound is not None:
            bound.close()
    return stream


def bind_fault(address: str) -> str:
    """Why connections cannot be made from an IP address of this machine; empty if they can."""
    try:
        _bind(address).close()
    except BindFailed as error:
        return str(error)
    return ""


def _bind(address: str) -> socket.socket:
    """A socket that connects from an address. Raises `BindFailed`."""
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        with suppress(OSError):  # of Linux alone
            bound.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        bound.bind((address, 0))
    except OSError as error:
        bound.close()
        raise BindFailed(f"cannot connect from {address}: {error.strerror or error}") from None
    return bound
