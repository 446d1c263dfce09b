"""An export to a browser that reads slowly is not held in memory."""

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path

import pytest

from sendryd.runtime.clock import SystemClock
from sendryd.store.sqlite import open_store
from sendryd.testing.samples import Samples
from sendryd.testing.waiting import wait_until
from sendryd.testing.world import World

from .conftest import Browser

pytestmark = pytest.mark.sockets

MAILS, SUBJECT = 4000, "exported " + "x" * 10_000  # 40 MB of rows
MOST = (
    30 * 1024 * 1024
)  # octets that two exports may take at once: rows that are read, caches of the database; and the search index takes the mails in
ASKED = "/emails/export?q=exported&format=ndjson"
CHUNK, SIP = 64 * 1024, 512  # octets that the two browsers read in turn


async def fill(data_dir: Path) -> None:
    """Mails with long subjects, in the store of the running program."""
    now = SystemClock().now()
    samples = Samples(now)
    mails = [samples.message(["ann@dead.test"], created_at=now, subject=SUBJECT) for _ in range(MAILS)]
    ended = [replace(each, deliveries=tuple(replace(one, state=one.state.CANCELLED) for one in each.deliveries)) for each in mails]
    async with aclosing(open_store(data_dir, create=False)) as store:
        await asyncio.gather(*(store.accept(each) for each in ended))


def ask(browser: Browser) -> socket.socket:
    """A request for all mails."""
    host, _, port = browser.host.rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    head = f"GET {ASKED} HTTP/1.1\r\nHost: {browser.host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode("ascii"))
    return connection


def pieces(connection: socket.socket, size: int) -> Iterator[bytes]:
    while piece := connection.recv(size):
        yield piece


def memory(world: World, name: str) -> int:
    """Octets of the program: `VmRSS` now, or `VmHWM`, the most since the last reset."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{world.relay.process.pid}/status").read_text("ascii"))
    assert found
    return int(found[1]) * 1024


def test_memory_stays_flat_while_one_reads_slowly_and_another_reads_it_all(mails: World, reader: Browser) -> None:
    mails.thread.run(fill(mails.relay.data_dir))
    wait_until(
        lambda: reader.get(ASKED).text.count("\n") >= MAILS, 60
    )  # the index has them, and what the first search takes is no export's
    with closing(ask(reader)) as slow, closing(ask(reader)) as quick:
        begun = slow.recv(SIP)
        assert begun.startswith(b"HTTP/1.1 200 ")
        before = memory(mails, "VmRSS")
        Path(f"/proc/{mails.relay.process.pid}/clear_refs").write_text("5")
        length, sipped = 0, bytearray(begun)
        for piece in pieces(quick, CHUNK):
            length += len(piece)
            sipped += slow.recv(SIP)
        assert length > MAILS * len(SUBJECT)
        assert memory(mails, "VmHWM") - before < MOST
        whole = len(sipped)
        for piece in pieces(slow, CHUNK):
            whole += len(piece)
    assert whole == length  # it is cut nowhere
