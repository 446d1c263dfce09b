"""Live mail while strangers and a test key do their worst: how long an acknowledgement takes, whether the mail arrives, what memory it costs.

python benchmarks/attacked.py [--seconds 30]

At once: 1,500 idle HTTP connections; templates, previews and insights made to keep a parser busy; sixteen dripping submissions of a test key that
say 33 MB; parallel reads of large messages; clients that read their answers slowly; and a queue full of mail for a hundred domains that accept a
connection and never greet, for two hundred whose DNS is silent, and of 33 MB for forty silent ones. Exits 1 if a goal is missed.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from load import Client
from machine import describe

from sendryd.testing.clients import RestClient
from sendryd.testing.world import SENDING_DOMAIN, World

P99_GOAL = 250.0  # milliseconds
MEMORY_GOAL = 400  # MB
AUTHOR = f"hello@{SENDING_DOMAIN}"
SMALL = f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: live\r\n\r\n".encode() + b"x" * 70 + b"\r\n" * 2 + (b"y" * 76 + b"\r\n") * 62
LARGE = 33 * 1024 * 1024
RATE = 20  # live messages a second


class Attack:
    """Threads that go on until the end; what goes wrong with them is their own affair."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.is_over = threading.Event()
        self._threads: list[threading.Thread] = []
        host, _, port = world.relay.ready["http"].removeprefix("http://").rpartition(":")
        self.http = host, int(port)

    def go_on(self, work: Callable[[], None], count: int = 1) -> None:
        def run() -> None:
            while not self.is_over.is_set():
                with contextlib.suppress(Exception):
                    work()
                self.is_over.wait(0.05)

        for _ in range(count):
            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self.is_over.set()
        for thread in self._threads:
            thread.join(5)

    def ask(self, method: str, path: str, body: Any, key: str) -> None:
        RestClient(self.world.relay, key).request(method, path, body)

    def crowd(self) -> None:
        """Idle connections, half of them with half a head."""
        sockets = []
        for number in range(1500):
            with contextlib.suppress(OSError):
                client = socket.create_connection(self.http, timeout=5)
                if number % 2:
                    client.sendall(b"GET /v1/emails HTTP/1.1\r\nHost: a\r\n")
                sockets.append(client)
        self.is_over.wait(5)
        for client in sockets:
            client.close()

    def template(self) -> None:
        """A variable that becomes a tag with many attributes."""
        attributes = " ".join(f"a{number}=1" for number in range(40_000))
        body = {"html": "<p>{{ x | safe }}</p>", "variables": {"x": f"<a {attributes}>"}}
        self.ask("POST", "/v1/templates/render", body, self.world.test_key)

    def loops(self) -> None:
        """A template that computes."""
        html = "{% for a in range(100000) %}{% for b in range(100000) %}{{ a }}{% endfor %}{% endfor %}"
        self.ask("POST", "/v1/templates/render", {"html": html}, self.world.test_key)

    def mail(self, key: str, to: list[str], html: str) -> str:
        body = {"from": AUTHOR, "to": to, "subject": "s", "html": html}
        answer = RestClient(self.world.relay, key).request("POST", "/v1/emails", body)
        return str(json.loads(answer.body)["id"])

    def insights(self) -> None:
        """A message that is hard to examine, examined."""
        html = "<div " * 50_000 + "<a " + " ".join(f"b{number}" for number in range(60_000)) + ">"
        number = self.mail(self.world.test_key, ["user@example.org"], html)
        self.ask("GET", f"/v1/emails/{number}/insights", None, self.world.test_key)

    def drip(self) -> None:
        """Submissions that say 33 MB and send a little."""
        asyncio.run(self._drip())

    async def _drip(self) -> None:
        host, port = self.world.relay.smtp
        clients = [Client(host, port, self.world.test_key, str(self.world.relay.cert), b"") for _ in range(16)]
        for client in clients:
            await client.open()
        for client in clients:
            await client.begin(LARGE)
        block = b"z" * 76 + b"\r\n"
        while not self.is_over.is_set():
            for client in clients:
                client.write(block * 3000)
            await asyncio.sleep(0.5)

    def read(self, number: str) -> None:
        """A large message, read at once or slowly."""
        client = socket.create_connection(self.http, timeout=10)
        request = f"GET /v1/emails/{number}/attachments/0 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self.world.live_key}\r\n\r\n"
        client.sendall(request.encode())
        with client:
            while client.recv(65_536) and not self.is_over.is_set():
                pass


def listen_silently(world: World) -> list[socket.socket]:
    """Two hosts whose kernel accepts connections, and nobody greets."""
    return [socket.create_server((f"127.0.0.{9 + number}", world.mailhost.port), backlog=4096) for number in range(2)]


def fill_queue(world: World) -> str:
    """Mail for destinations that do not answer; gives the id of a large message."""
    for number in range(100):
        world.nameserver.set(f"silent{number}.test", "MX", f"10 mx.silent{number}.test.")
        world.nameserver.set(f"mx.silent{number}.test", "A", f"127.0.0.{9 + number % 2}")
    world.nameserver.dropped |= {f"nodns{number}.test" for number in range(200)}
    rest = RestClient(world.relay, world.live_key)
    for domain in [f"silent{number}.test" for number in range(100)] + [f"nodns{number}.test" for number in range(200)]:
        rest.post("/v1/emails", {"from": AUTHOR, "to": [f"u{n}@{domain}" for n in range(10)], "subject": "s", "text": "t"})
    attachment = {"filename": "a.bin", "content": "QUJD" * 8_000_000, "content_type": "application/octet-stream"}
    body = {"from": AUTHOR, "to": [f"big@silent{n}.test" for n in range(40)], "subject": "s", "text": "t", "attachments": [attachment]}
    return str(rest.post("/v1/emails", body)["id"])


def memory(world: World) -> float:
    """Resident MB of the program and its helper processes."""
    total, pids = 0, [world.relay.process.pid]
    while pids:
        pid = pids.pop()
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
            for task in Path(f"/proc/{pid}/task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
    return total / 1024


def run_live(host: str, port: int, key: str, cert: str, seconds: float) -> tuple[list[float], int]:
    """`send_live`, in a process of its own, so that the attackers' threads do not make it wait."""
    return asyncio.run(send_live(host, port, key, cert, seconds))


async def send_live(host: str, port: int, key: str, cert: str, seconds: float) -> tuple[list[float], int]:
    """Sends live mail at an even rate; gives the milliseconds of each transaction, and how many failed."""
    took: list[float] = []
    refused = 0
    client: Client | None = None
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        started = time.perf_counter()
        try:
            if client is None:
                client = Client(host, port, key, cert, SMALL + b".\r\n")
                await client.open()
                started = time.perf_counter()
            await client.submit()
            took.append((time.perf_counter() - started) * 1000)
        except (OSError, RuntimeError, asyncio.IncompleteReadError):
            refused += 1
            client = None
        await asyncio.sleep(max(0.0, 1 / RATE - (time.perf_counter() - started)))
    return took, refused


def main() -> None:
    """Prints one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    print(describe())
    with World(env={"SENDRYD_LOG_LEVEL": "warning", "SENDRYD_API_RATE_LIMIT": "off"}) as world:
        silent = listen_silently(world)
        large = fill_queue(world)
        attack = Attack(world)
        attack.go_on(attack.crowd)
        attack.go_on(attack.template, 2)
        attack.go_on(attack.loops)
        attack.go_on(attack.insights)
        attack.go_on(attack.drip)
        attack.go_on(lambda: attack.read(large), 8)
        peak = 0.0

        def watch() -> None:
            nonlocal peak
            peak = max(peak, memory(world))

        attack.go_on(watch)
        time.sleep(2)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as sender:
            live = sender.submit(run_live, *world.relay.smtp, world.live_key, str(world.relay.cert), options.seconds)
            took, refused = live.result()
        wanted = len(took)
        world.wait_until(lambda: sum(b"Subject: live\r\n" in mail.content for mail in list(world.mailhost.mails)) >= wanted, timeout=60)
        attack.stop()
        for each in silent:
            each.close()
        took.sort()
        p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
        print(
            f"{wanted} live messages acknowledged and delivered, {refused} refused; p50 {p50:.0f} ms, p99 {p99:.0f} ms, longest {took[-1]:.0f} ms"
        )
        print(f"memory: {peak:.0f} MB at the most")
        sys.exit(0 if p99 <= P99_GOAL and peak <= MEMORY_GOAL and not refused else 1)


if __name__ == "__main__":
    main()
