"""From the socket to the disk: one message passes through the files that ARCHITECTURE lists, and no other stands between them.

A profiler notes the files on the stack where the message changes hands: its end is found, its final bytes are made, its transaction is
handed to the writer, its content is synced.
"""

import asyncio
import base64
import re
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sendryd.runtime.tcp import TcpStream
from sendryd.submission.session import Session
from sendryd.testing.door import ACCOUNT, AUTHOR, CONTENT, LIVE_SECRET, Door
from sendryd.testing.stores import open_new_store, quick_folder

pytestmark = pytest.mark.sockets
ROOT = Path(__file__).parents[2]
SOURCE = f"{ROOT / 'src' / 'sendryd'}/"
MAX_FILES = 14
HANDOVERS = {"_content_ended", "assemble", "submit"}  # functions; the fourth is the system call below
SYNC = {"fdatasync", "fsync"}


class ClearStream(TcpStream):
    """TCP that says it has TLS: the handshake is no part of a message's way."""

    async def start_tls(self, *_: object, **__: object) -> None:
        pass


class Trace:
    """The files of the program that one message runs through."""

    def __init__(self) -> None:
        self.is_on = False
        self.ran: set[str] = set()
        self.handovers: set[str] = set()
        self.between: set[str] = set()  # on the stack at a hand-over

    def note(self, frame: FrameType, event: str, arg: Any) -> None:
        if not self.is_on or event not in {"call", "c_call"}:
            return
        name = frame.f_code.co_name if event == "call" else getattr(arg, "__name__", "")
        is_ours = frame.f_code.co_filename.startswith(SOURCE)
        if is_ours and event == "call":
            self.ran.add(frame.f_code.co_filename.removeprefix(SOURCE))
        if is_ours and name in (HANDOVERS if event == "call" else SYNC):
            self.handovers.add(name)
            above: FrameType | None = frame
            while above is not None:
                if above.f_code.co_filename.startswith(SOURCE):
                    self.between.add(above.f_code.co_filename.removeprefix(SOURCE))
                above = above.f_back


async def submit_two(trace: Trace, folder: Path) -> None:
    """Two messages by TCP to the SQLite store; the second one is traced, when everything is set up and known."""
    store = open_new_store(folder)
    door = Door(accept_store=store)
    await store.ensure_account(ACCOUNT, "account", door.clock.now())
    await door.open()
    await door.fill(store)
    context = door.session_context()
    tasks: list[asyncio.Task[None]] = []

    def on_connect(stream: TcpStream) -> None:
        tasks.append(asyncio.create_task(Session(stream, context, is_implicit_tls=True).run()))

    server = await asyncio.get_running_loop().create_server(lambda: ClearStream(on_connect), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())

    async def say(line: bytes, code: bytes) -> None:
        writer.write(line)
        while (reply := await reader.readline())[3:4] == b"-":
            pass
        assert reply.startswith(code), reply

    await say(b"", b"220")
    await say(b"EHLO client.test\r\n", b"250")
    await say(b"AUTH PLAIN " + base64.b64encode(b"\0u\0" + LIVE_SECRET.encode()) + b"\r\n", b"235")
    for trace.is_on in (False, True):
        await send(say)
    trace.is_on = False
    writer.close()
    await writer.wait_closed()
    server.close()
    await asyncio.gather(*tasks)
    await store.aclose()


async def send(say: Callable[[bytes, bytes], Awaitable[None]]) -> None:
    await say(f"MAIL FROM:<{AUTHOR}>\r\n".encode(), b"250")
    await say(b"RCPT TO:<user@example.org>\r\n", b"250")
    await say(b"DATA\r\n", b"354")
    await say(CONTENT + b".\r\n", b"250")


def test_a_message_passes_through_the_files_that_the_architecture_lists() -> None:
    listed = re.findall(r"^\d+\. `([\w/]+\.py)`:", (ROOT / "ARCHITECTURE.md").read_text("utf-8"), re.MULTILINE)
    trace = Trace()
    before = sys.getprofile()
    threading.setprofile(trace.note)  # for the writer's thread, which begins with the store
    sys.setprofile(trace.note)
    try:
        with tempfile.TemporaryDirectory(dir=quick_folder()) as folder:
            asyncio.run(submit_two(trace, Path(folder) / "data"))
    finally:
        sys.setprofile(before)
        threading.setprofile(before)
    assert len(listed) <= MAX_FILES
    assert trace.handovers > HANDOVERS, "a hand-over has another name now"
    assert sorted(trace.between - set(listed)) == [], "stands between, and is not listed"
    assert sorted(set(listed) - trace.ran) == [], "is listed, and not run"
