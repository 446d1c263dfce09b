"""A load source: many SMTP connections with STARTTLS and AUTH that submit as fast as they are answered. Runs as its own process.

It prints one JSON document: messages, seconds, milliseconds from the last octet to the 250 (median and 99th percentile).
"""

import argparse
import asyncio
import base64
import json
import ssl
import time

from sendryd.runtime.dial import connect
from sendryd.runtime.tcp import TcpStream

TIMEOUT = 60.0


class Client:
    """One connection at a time."""

    def __init__(self, host: str, port: int, key: str, cert: str, content: bytes) -> None:
        self._address = host, port
        self._token = base64.b64encode(f"\0sendryd\0{key}".encode())
        self._context = ssl.create_default_context(cafile=cert)
        self._content = content
        self._stream: TcpStream | None = None

    async def _say(self, line: bytes, code: bytes) -> None:
        assert self._stream
        if line:
            self._stream.write(line)
        reply = b""
        while not (reply.endswith(b"\r\n") and reply[:-2].rpartition(b"\r\n")[2][3:4] == b" "):
            part = await self._stream.read(TIMEOUT)
            if not part:
                raise ConnectionError(f"closed after {reply!r}")
            reply += part
        if not reply.startswith(code):
            raise ConnectionError(f"{line[:30]!r} was answered {reply!r}")

    async def open(self) -> None:
        """Connects, encrypts, logs in."""
        self._stream = await connect(*self._address, timeout=TIMEOUT)
        await self._say(b"", b"220")
        await self._say(b"EHLO load\r\n", b"250")
        await self._say(b"STARTTLS\r\n", b"220")
        await self._stream.start_tls(self._context, server_side=False, server_hostname="localhost", timeout=TIMEOUT)
        await self._say(b"EHLO load\r\n", b"250")
        await self._say(b"AUTH PLAIN " + self._token + b"\r\n", b"235")

    async def submit(self) -> float:
        """One message; gives the seconds from its last octet to the 250."""
        assert self._stream
        await self._say(b"MAIL FROM:<bench@example.test>\r\n", b"250")
        await self._say(b"RCPT TO:<user@example.org>\r\n", b"250")
        await self._say(b"DATA\r\n", b"354")
        self._stream.write(self._content)
        await self._stream.drain(TIMEOUT)
        started = time.perf_counter()
        await self._say(b"", b"250")
        return time.perf_counter() - started

    async def begin(self, size: int) -> None:
        """A message that is said to be of so many octets, up to its content."""
        await self._say(b"MAIL FROM:<bench@example.test> SIZE=%d\r\n" % size, b"250")
        await self._say(b"RCPT TO:<user@example.org>\r\n", b"250")
        await self._say(b"DATA\r\n", b"354")

    def write(self, data: bytes) -> None:
        """A piece of content, whether the server takes it or not."""
        assert self._stream
        self._stream.write(data)

    def close(self) -> None:
        """Drops the connection."""
        if self._stream:
            self._stream.abort()


async def run(options: argparse.Namespace) -> None:
    """All connections, until all messages are acknowledged."""
    head = b"From: bench@example.test\r\nTo: user@example.org\r\nSubject: benchmark\r\n\r\n"
    line = b"The quick brown fox jumps over the lazy dog, and so on and so forth......\r\n"
    content = head + line * (options.size // len(line)) + b".\r\n"
    remaining, latencies = options.messages, list[float]()
    clients = [Client(options.host, options.port, options.key, options.cert, content) for _ in range(options.connections)]

    async def work(client: Client) -> None:
        nonlocal remaining
        while remaining > 0:
            remaining -= 1
            if options.rate:
                await asyncio.sleep(started + (options.messages - remaining) / options.rate - time.perf_counter())
            if options.fresh:
                await client.open()
            latencies.append(await client.submit())
            if options.fresh:
                client.close()

    if not options.fresh:
        await asyncio.gather(*(client.open() for client in clients))
    started = time.perf_counter()
    await asyncio.gather(*(work(client) for client in clients))
    seconds = time.perf_counter() - started
    latencies.sort()
    count = len(latencies)
    print(
        json.dumps(
            {
                "messages": count,
                "seconds": round(seconds, 3),
                "rate": round(count / seconds),
                "p50_ms": round(latencies[count // 2] * 1000, 2),
                "p99_ms": round(latencies[count * 99 // 100] * 1000, 2),
            }
        )
    )


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("host", "key", "cert"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=5_000)
    parser.add_argument("--rate", type=float, default=0, help="messages a second in all; 0: as fast as they are answered")
    parser.add_argument("--fresh", action="store_true", help="a new connection for every message")
    options = parser.parse_args()
    try:
        import uvloop
    except ImportError:
        asyncio.run(run(options))
    else:
        uvloop.run(run(options))


if __name__ == "__main__":
    main()
