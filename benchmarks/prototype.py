"""The least that a durable submission server in Python does: STARTTLS, AUTH, and a 250 after content and row are synced, many in one commit.

It bounds what the program can reach on a machine. It has no policy, no events, no queue, no errors; it is for measurements alone.
"""

import argparse
import asyncio
import base64
import gc
import os
import signal
import ssl
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import cast

import apsw
import uvloop

END = b"\r\n.\r\n"
MOST = 512  # messages of one commit


class Store:
    """Appends contents to one file and rows to one table: two syncs for all that waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._loop, self._folder = loop, folder
        self._waiting: deque[tuple[Session, bytes, bytes]] = deque()
        self._bell = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def put(self, session: "Session", envelope: bytes, content: bytes) -> None:
        self._waiting.append((session, envelope, content))
        self._bell.set()

    def _run(self) -> None:
        database = apsw.Connection(str(self._folder / "rows.db"))
        database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=2000")
        database.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, envelope BLOB, place INT, size INT)")
        file = os.open(self._folder / "contents", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        place = 0
        while True:
            self._bell.wait()
            self._bell.clear()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]
            if self._waiting:
                self._bell.set()
            rows = []
            for _, envelope, content in batch:
                rows.append((envelope, place, len(content)))
                place += len(content)
            for start in range(0, len(batch), 256):
                contents = [content for _, _, content in batch[start : start + 256]]
                written = os.writev(file, contents)
                if written < sum(map(len, contents)):
                    os.write(file, b"".join(contents)[written:])
            os.fdatasync(file)
            with database:
                database.executemany("INSERT INTO message (envelope, place, size) VALUES (?, ?, ?)", rows)
            self._loop.call_soon_threadsafe(self._answer, [session for session, _, _ in batch])

    @staticmethod
    def _answer(sessions: "list[Session]") -> None:
        for session in sessions:
            session.say(b"250 2.0.0 Ok\r\n")


class Session(asyncio.Protocol):
    """TLS and commands in the callback that received them."""

    def __init__(self, store: Store, context: ssl.SSLContext, password: bytes) -> None:
        self._store, self._context, self._password = store, context, password
        self._tls: ssl.SSLObject | None = None
        self._buffer = self._envelope = b""
        self._is_content = self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._transport.write(b"220 prototype ESMTP\r\n")

    def say(self, text: bytes) -> None:
        if self._tls is None:
            self._transport.write(text)
        else:
            self._tls.write(text)
            self._transport.write(self._out.read())

    def data_received(self, data: bytes) -> None:
        if self._tls is not None:
            self._in.write(data)
            data = self._decrypt(self._tls)
        self._buffer += data
        self._go_on()

    def _decrypt(self, tls: ssl.SSLObject) -> bytes:
        parts = []
        with suppress(ssl.SSLWantReadError):
            if not self._is_open:
                try:
                    tls.do_handshake()
                    self._is_open = True
                finally:
                    self._transport.write(self._out.read())
            while part := tls.read(65_536):
                parts.append(part)
        return b"".join(parts)

    def _go_on(self) -> None:
        while self._buffer:
            if self._is_content:
                end = self._buffer.find(END)
                if end < 0:
                    return
                content, self._buffer = self._buffer[: end + 2].replace(b"\r\n..", b"\r\n."), self._buffer[end + 5 :]
                self._is_content = False
                self._store.put(self, self._envelope, content)
                continue
            line, is_whole, rest = self._buffer.partition(b"\r\n")
            if not is_whole:
                return
            self._buffer = rest
            self._command(line)

    def _command(self, line: bytes) -> None:
        match line[:4].upper():
            case b"MAIL":
                self._envelope = line
                self.say(b"250 2.1.0 Ok\r\n")
            case b"RCPT":
                self._envelope += b"\n" + line
                self.say(b"250 2.1.5 Ok\r\n")
            case b"DATA":
                self._is_content = True
                self.say(b"354 Go\r\n")
            case b"EHLO":
                self.say(b"250-prototype\r\n250-PIPELINING\r\n250-SIZE 41943040\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n")
            case b"AUTH":
                is_right = base64.b64decode(line.split()[2]).split(b"\0")[2] == self._password
                self.say(b"235 2.7.0 Ok\r\n" if is_right else b"535 5.7.8 No\r\n")
            case b"STAR":
                self.say(b"220 2.0.0 Ready\r\n")
                self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
                self._tls = self._context.wrap_bio(self._in, self._out, server_side=True)
            case b"QUIT":
                self.say(b"221 2.0.0 Bye\r\n")
                self._transport.close()
            case _:
                self.say(b"250 2.0.0 Ok\r\n")


async def serve(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
    store, password = Store(loop, options.folder), os.environ["BENCH_PASSWORD"].encode()
    await loop.create_server(lambda: Session(store, context, password), "127.0.0.1", options.port, backlog=1024)
    gc.freeze()
    gc.disable()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
