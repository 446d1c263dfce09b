"""Connecting to a peer over TCP."""

import asyncio

from sendryd.runtime.faults import ConnectFailed
from sendryd.runtime.tcp import TcpStream


async def connect(address: str, port: int, *, timeout: float, local_address: str | None = None) -> TcpStream:
    """Connects to an IP address. Raises `ConnectFailed` after `timeout` seconds, or when refused or unreachable."""
    loop = asyncio.get_running_loop()
    local = (local_address, 0) if local_address else None
    try:
        async with asyncio.timeout(timeout):
            _, stream = await loop.create_connection(TcpStream, address, port, local_addr=local)
    except TimeoutError:
        raise ConnectFailed(f"connecting to {address} port {port} timed out") from None
    except OSError as error:
        raise ConnectFailed(f"cannot connect to {address} port {port}: {error.strerror or error}") from None
    return stream
