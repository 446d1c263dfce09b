"""How fast the real program takes mail over the REST API: durable, over connections that stay open, the rate limit off.

    python benchmarks/rest.py                 # single messages, then batches of 100
    python benchmarks/rest.py --pin           # the server on one core, the load on another

Messages have 5 KB of HTML. The load source is a process of its own, this one run again with --load.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import uvloop
from accept import cpu_seconds
from machine import describe
from memory import resident

from sendryd.testing.world import World

CONNECTIONS = 20
SINGLE = {"from": "hello@example.test", "to": "user@example.org", "subject": "Hello", "html": "<p>" + "x" * 5000 + "</p>"}


class Client(asyncio.Protocol):
    """One connection: the next request as soon as the answer to the last one is there."""

    def __init__(self, request: bytes, share: "Share") -> None:
        self._request = request
        self._share = share
        self._buffer = b""
        self._sent = 0.0
        self._is_done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        if self._share.left <= 0:
            self._is_done = True
            self._transport.close()
            self._share.closed()
            return
        self._share.left -= 1
        self._sent = time.perf_counter()
        self._transport.write(self._request)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._is_done:
            self._share.fail(f"the server closed a connection after {self._buffer!r}: {exc}")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        start = head.index(b"content-length: ") + 16
        length = int(head[start:].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + length:
            return
        if not head.startswith(b"http/1.1 200"):
            self._share.fail(self._buffer.decode(errors="replace"))
            return
        self._buffer = b""
        self._share.times.append(time.perf_counter() - self._sent)
        self._next()


class Share:
    """What the connections share."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.times: list[float] = []
        self._open = CONNECTIONS
        self.done = asyncio.get_running_loop().create_future()

    def closed(self) -> None:
        self._open -= 1
        if not self._open:
            self.done.set_result(None)

    def fail(self, reason: str) -> None:
        """Ends the load: without it the others would wait for a connection that sends nothing more."""
        if not self.done.done():
            self.done.set_exception(RuntimeError(reason))


async def load(url: str, key: str, path: str, body: bytes, count: int) -> None:
    """Sends the requests and prints the figures as JSON."""
    place = urlsplit(url)
    head = f"POST {path} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    share = Share(count)
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Client(request, share), place.hostname or "", place.port or 80)
    await share.done
    elapsed = time.perf_counter() - started
    times = sorted(share.times)
    result = {"rate": round(count / elapsed, 1), "p50_ms": times[len(times) // 2] * 1e3, "p99_ms": times[int(len(times) * 0.99)] * 1e3}
    print(json.dumps(result))


def measure(*, batch: int, count: int, is_pinned: bool, env: Mapping[str, str] | None = None) -> dict[str, float]:
    """Runs one scenario on a fresh server: messages a second, milliseconds, CPU time of the server for a message in microseconds."""
    env = {"SENDRYD_LOG_LEVEL": "error", "SENDRYD_API_RATE_LIMIT": "off", **(env or {})}
    with World(env=env, args=("--role", "smtp,http")) as world:
        if is_pinned:
            for thread in Path(f"/proc/{world.relay.process.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {0})
        command = [sys.executable, __file__, "--load", "--url", world.relay.ready["http"], "--key", world.live_key, "--batch", str(batch)]
        pinned = ["taskset", "-c", "1"] if is_pinned else []
        subprocess.run([*pinned, *command, "--count", "40"], check=True, capture_output=True)
        before = cpu_seconds(world.relay)
        done = subprocess.run([*pinned, *command, "--count", str(count)], check=True, capture_output=True)
        result: dict[str, float] = json.loads(done.stdout)
        messages = count * max(1, batch)
        spent = (cpu_seconds(world.relay) - before) / messages * 1e6
        return {**result, "rate": result["rate"] * max(1, batch), "cpu_us": round(spent, 1), "peak_mb": resident(world.relay) / 1024}


def show(name: str, found: Mapping[str, float]) -> None:
    """Prints the figures of a scenario."""
    print(
        f"{name:10}  {found['rate']:.0f} messages/s, p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms, "
        f"server {found['cpu_us']:.0f} us CPU per message, {found['peak_mb']:.0f} MB"
    )


def main() -> None:
    """The benchmark, or its load source."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pin", action="store_true")
    parser.add_argument("--load", action="store_true")
    parser.add_argument("--url")
    parser.add_argument("--key")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--count", type=int, default=10000)
    given = parser.parse_args()
    if given.load:
        body = SINGLE if not given.batch else {"emails": [SINGLE] * given.batch}
        path = "/v1/emails/batch" if given.batch else "/v1/emails"
        uvloop.run(load(given.url, given.key, path, json.dumps(body).encode(), given.count))
        return
    print(describe())
    show("single", measure(batch=0, count=given.count, is_pinned=given.pin))
    show("batch", measure(batch=100, count=max(20, given.count // 50), is_pinned=given.pin))


if __name__ == "__main__":
    main()
