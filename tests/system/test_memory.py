"""The resident memory of the real program, with silent receivers, dripping senders and many readers of large contents at once."""

import base64
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from sendryd.testing.clients import RestClient, submit
from sendryd.testing.mailhost import Script
from sendryd.testing.process import RelayProcess
from sendryd.testing.world import SENDING_DOMAIN, World

MIB = 1024 * 1024
MOST = 400 * MIB  # resident, whatever happens
AUTHOR = f"a@{SENDING_DOMAIN}"
LINE = b"x" * 998 + b"\r\n"
SILENT = 6  # domains whose server accepts connections and says nothing
DRIPPING = 16  # connections of the test key
READERS = 16
# Seconds for half of the live messages meanwhile: on a test machine that is busy, with clients that share one interpreter.
HALF_DELIVERED_TIMEOUT = 10.0


def header(subject: str) -> bytes:
    return f"From: {AUTHOR}\r\nTo: b@example.org\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n".encode()


def attached(octets: int) -> bytes:
    body = base64.encodebytes(bytes(range(256)) * (octets * 3 // 4 // 256)).replace(b"\n", b"\r\n")
    return (
        header("attached")
        + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nText\r\n'
        + b"--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=a.bin\r\n"
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + body
        + b"--b--\r\n"
    )


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world whose mail host says nothing to anybody."""
    with World(tmp_path_factory.mktemp("memory"), script=Script(connect=lambda _number: "stall")) as world:
        for number in range(SILENT):
            world.nameserver.zone[f"silent{number}.test", "MX"] = ["10 mx.example.org."]
        yield world


def peak(world: World) -> int:
    lines = Path(f"/proc/{world.relay.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


class Dripping:
    """A sender that sends much of a content, and then almost nothing."""

    def __init__(self, relay: RelayProcess, key: str) -> None:
        plain = socket.create_connection(relay.smtp, timeout=60)
        assert plain.recv(1000).startswith(b"220 ")
        plain.sendall(b"EHLO drip\r\n")
        plain.recv(1000)
        plain.sendall(b"STARTTLS\r\n")
        assert plain.recv(1000).startswith(b"220 ")
        self.socket = ssl.create_default_context(cafile=str(relay.cert)).wrap_socket(plain, server_hostname="localhost")
        token = base64.b64encode(b"\0u\0" + key.encode())
        for line in (b"EHLO drip", b"AUTH PLAIN " + token, f"MAIL FROM:<{AUTHOR}>".encode(), b"RCPT TO:<b@example.org>", b"DATA"):
            self.socket.sendall(line + b"\r\n")
            self.socket.recv(4000)

    def pour(self, octets: int) -> None:
        self.socket.sendall(header("drip") + b"\r\n")
        for _ in range(octets // (60 * len(LINE))):
            self.socket.sendall(LINE * 60)

    def close(self) -> None:
        self.socket.close()


def test_all_at_once_memory_stays_below_the_limit_and_live_mail_is_accepted(besieged: World) -> None:
    relay, world = besieged.relay, besieged
    live, test = RestClient(relay, world.live_key), RestClient(relay, world.test_key)
    code, reply = submit(relay, world.test_key, AUTHOR, ["b@example.org"], attached(20 * MIB))
    assert code == 250
    captured = reply.split()[-1]
    large = header("large") + b"\r\n" + LINE * (28 * MIB // len(LINE))
    latencies: list[float] = []
    accepted: list[str] = []
    is_over = threading.Event()

    def send_small() -> None:
        while not is_over.is_set():
            started = time.monotonic()
            code, reply = submit(relay, world.live_key, AUTHOR, ["b@example.org"], header("small") + b"\r\n" + LINE * 5)
            latencies.append(time.monotonic() - started)
            assert code == 250, reply
            accepted.append(reply.split()[-1])
            is_over.wait(0.05)

    def read_attachment(_number: int) -> int:
        return test.request("GET", f"/v1/emails/{captured}/attachments/0").status

    def send_to_silence(number: int) -> int:
        return submit(relay, world.live_key, AUTHOR, [f"b@silent{number}.test"], large)[0]

    with ExitStack() as stack:
        drips = [Dripping(relay, world.test_key) for _ in range(DRIPPING)]
        for drip in drips:
            stack.callback(drip.close)
        pool = stack.enter_context(ThreadPoolExecutor(DRIPPING + READERS + 4))
        steady = pool.submit(send_small)
        try:
            pouring = [pool.submit(drip.pour, 8 * MIB) for drip in drips]
            reading = [pool.submit(read_attachment, number) for number in range(READERS)]
            silent = [send_to_silence(number) for number in range(SILENT)]
            assert {each.result(120) for each in reading} <= {200, 503}  # some may have waited too long
            for each in pouring:
                each.result(120)
        finally:
            is_over.set()
        steady.result(60)
    assert silent == [250] * SILENT
    assert peak(world) < MOST
    latencies.sort()
    middle = latencies[len(latencies) // 2]
    print(f"peak {peak(world) // MIB} MiB; {len(latencies)} small messages, median {middle:.3f} s, most {latencies[-1]:.3f} s")
    assert middle < HALF_DELIVERED_TIMEOUT
    assert all(live.get(f"/v1/emails/{each}")["id"] == each for each in accepted)
