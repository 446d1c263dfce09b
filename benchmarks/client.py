"""What sending one message costs the client: MAIL, RCPT, DATA in one write, 5 KB of content, one connection for all of them.

The receiving end is a sink in a process of its own that looks for no more than it must, so the CPU time of this process is the client's alone.
Number to beat: 60 µs of CPU per message over TCP in clear text.

    python benchmarks/client.py [--messages 5000] [--size 5000] [--tls] [--asyncio]
"""

import argparse
import asyncio
import gc
import multiprocessing
import platform
import ssl
import sys
import tempfile
import time
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import cast

import uvloop

from sendryd.delivery.securing import TlsContexts
from sendryd.delivery.sending import OutboundContent
from sendryd.delivery.target import Target
from sendryd.delivery.transport import open_connection
from sendryd.policy.tls import CLEAR_TEXT, IMPLICIT
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.owncert import write_self_signed
from sendryd.runtime.tls import client_context, server_context
from sendryd.smtp.timeouts import CLIENT_TIMEOUTS
from sendryd.smtp.transaction import OutboundEnvelope

END = b"\r\n.\r\n"
ROUNDS = 5


class Sink(asyncio.Protocol):
    """Answers what a pipelining client says, and nothing else."""

    def __init__(self) -> None:
        self._is_text = False
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        if self._is_text:
            self._tail = (self._tail + data)[-5:]
            if self._tail == END:
                self._is_text = False
                self._tail = b""
                self._transport.write(b"250 2.0.0 Ok: queued\r\n")
        elif data.startswith(b"EHLO"):
            self._transport.write(b"250-sink\r\n250-PIPELINING\r\n250-SIZE 0\r\n250 8BITMIME\r\n")
        elif data.startswith(b"MAIL"):
            self._is_text = True
            self._transport.write(b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 Go ahead\r\n")
        else:
            self._transport.write(b"221 2.0.0 Bye\r\n")
            self._transport.close()


def serve(pipe: Pipe, cert: str, key: str) -> None:
    """The sink's process: tells its port and serves until it is ended."""

    async def run() -> None:
        context = server_context(Path(cert), Path(key)) if cert else None
        server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0, ssl=context)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


async def measure(port: int, *, messages: int, size: int, is_tls: bool) -> tuple[float, float]:
    """Microseconds of CPU and of wall time per message."""
    context = client_context(verify=False)
    target = Target(host="localhost", address="127.0.0.1", port=port, tls=IMPLICIT if is_tls else CLEAR_TEXT)
    contexts = TlsContexts(verified=lambda: context, unverified=context, weak=context)
    connection = await open_connection(target, hello_name="bench.test", contexts=contexts, timeouts=CLIENT_TIMEOUTS, clock=SystemClock())
    header = b"DKIM-Signature: " + b"x" * 400 + b"\r\n"
    body = b"Subject: benchmark\r\n\r\n" + (b"x" * 70 + b"\r\n") * (size // 72)
    envelope = OutboundEnvelope(reverse_path="sender@example.org", forward_paths=("someone@example.net",), size=len(header) + len(body))
    for _ in range(200):
        await connection.deliver(envelope, OutboundContent((header, body)))
    gc.collect()
    gc.freeze()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(messages):
        await connection.deliver(envelope, OutboundContent((header, body)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await connection.quit()
    return cpu / messages * 1e6, wall / messages * 1e6


def main() -> None:
    """Prints the machine, the workload and the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--size", type=int, default=5000)
    parser.add_argument("--tls", action="store_true", help="TLS from the first octet")
    parser.add_argument("--asyncio", action="store_true", help="asyncio's own loop instead of uvloop")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cert = key = ""
        if options.tls:
            cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
            write_self_signed(Path(cert), Path(key), "localhost", SystemClock())
        near, far = multiprocessing.Pipe()
        sink = multiprocessing.get_context("spawn").Process(target=serve, args=(far, cert, key), daemon=True)
        sink.start()
        port = near.recv()
        run = asyncio.run if options.asyncio else uvloop.run
        print(f"{platform.machine()}, CPython {platform.python_version()}, {ssl.OPENSSL_VERSION}, {run.__module__}")
        print(f"{' '.join(sys.argv)}: {options.messages} messages of {options.size} octets, one connection")
        figures = sorted(run(measure(port, messages=options.messages, size=options.size, is_tls=options.tls)) for _ in range(ROUNDS))
        cpu, wall = figures[ROUNDS // 2]
        print(f"median of {ROUNDS}: {cpu:.1f} µs CPU, {wall:.1f} µs wall per message")
        sink.terminate()


if __name__ == "__main__":
    main()
