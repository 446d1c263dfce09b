"""Whether a mail server can be reached."""

import asyncio
import os
from contextlib import suppress
from typing import Final

from sendryd.policy.health.network import Dialled

DIAL_TIMEOUT: Final = 10.0  # seconds to connect and greet; servers that delay their greeting do so for 5 to 8
GREETING_LIMIT: Final = 4096  # octets that are read of it


async def dial(host: str, address: str, port: int, *, is_encrypted: bool = False, timeout: float = DIAL_TIMEOUT) -> Dialled:
    """Connects, waits for the first octets of the greeting, says QUIT. `is_encrypted`: the port speaks TLS from the start, and no greeting is read."""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                greeting = b"220" if is_encrypted else await reader.read(GREETING_LIMIT)
                with suppress(OSError):
                    writer.write(b"QUIT\r\n")
            finally:
                writer.close()
    except TimeoutError:
        return Dialled(host=host, failure=f"no answer within {timeout:.0f} s")
    except OSError as error:
        return Dialled(host=host, failure=os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error))
    if not greeting.startswith(b"220"):
        return Dialled(host=host, failure="it does not greet as a mail server does")
    return Dialled(host=host)
