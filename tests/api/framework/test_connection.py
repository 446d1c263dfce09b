"""Clients that are slow, endless or no HTTP at all, at a real socket."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from sendryd.api.framework.connection import MAX_HEAD, MAX_IGNORED, Connection

pytestmark = pytest.mark.sockets

SOON: Final = 10  # seconds, for what takes a tenth of one
BIG: Final = 50_000_000


class Impatient(Connection):
    """Looks more often, so that tests end."""

    check_interval = 0.1


class App:
    """Answers the length of what came."""

    def __init__(self) -> None:
        self.disconnected = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.url.path == "/refused":
            await PlainTextResponse("", 413)(scope, receive, send)
            return
        try:
            body = await request.body()
        except ClientDisconnect:
            self.disconnected.set()
            return
        if request.url.path == "/big":
            try:
                await StreamingResponse(b"x" * 65_536 for _ in range(BIG // 65_536))(scope, receive, send)
            finally:
                self.disconnected.set()
            return
        if request.url.path == "/later":
            await asyncio.sleep(Impatient.check_interval * 4)
        await PlainTextResponse(str(len(body)))(scope, receive, send)


Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def serving(app: App, protocol: type[Connection] = Impatient) -> AsyncIterator[int]:
    config = uvicorn.Config(app, host="127.0.0.1", port=0, http=protocol, lifespan="off", log_config=None, timeout_keep_alive=60)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


async def status(reader: asyncio.StreamReader) -> int:
    """The status of all that comes until the end, its body checked."""
    raw = await asyncio.wait_for(reader.read(), SOON)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    answer = json.loads(body)
    assert answer["error"]["message"]
    assert answer["statusCode"] == int(head.split()[1])
    return int(head.split()[1])


@pytest.mark.parametrize(
    "said",
    [
        b"G",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n",
    ],
)
async def test_a_request_that_does_not_end_is_cut_off(said: bytes) -> None:
    async with serving(App()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        if said.count(b"GET") > 1:
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n0"), SOON)).startswith(b"HTTP/1.1 200")
        assert await status(reader) == 408
        writer.close()


async def test_a_request_that_drips_is_cut_off_while_others_are_served() -> None:
    app = App()
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        answer = asyncio.ensure_future(status(reader))
        for count in itertools.count():
            if answer.done():
                break
            if count % 20 == 0:
                writer.write(b"a")
            other, closing = await asyncio.open_connection("127.0.0.1", port)
            closing.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await other.read()).startswith(b"HTTP/1.1 200")
            closing.close()
        assert await answer == 408
        await asyncio.wait_for(app.disconnected.wait(), SOON)
        writer.close()


async def test_a_connection_that_says_nothing_is_closed_without_a_word() -> None:
    async with serving(App()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), SOON) == b""
        writer.close()


async def test_an_answer_that_takes_longer_and_a_connection_kept_for_the_next_request_are_left_alone() -> None:
    async with serving(App()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for path in ("/later", "/", "/later"):
            writer.write(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n0"), SOON)).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_client_that_does_not_take_its_answer_is_cut_off() -> None:
    app = App()
    async with serving(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(app.disconnected.wait(), SOON)
        writer.close()


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"GET /", b"a" * 1000),
        (b"GET / HTTP/1.1\r\n", b"a" * 1000),
        (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 100),
        (b"GET / HTTP/1.1\r\nA: ", b"a" * 1000),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;", b"a" * 1000),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n" * 100),
    ],
)
async def test_a_head_or_trailers_without_end_are_refused(start: bytes, piece: bytes) -> None:
    async with serving(App(), Connection) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(start)
        with suppress(
            ConnectionError
        ):  # what is still on its way when the server closes may reset the connection, and take the answer away
            for _ in range(MAX_HEAD * 4 // len(piece)):
                writer.write(piece)
                await writer.drain()
            assert await status(reader) in {400, 431}
        assert writer.is_closing() or reader.at_eof()
        writer.close()


@pytest.mark.parametrize("coding", ["length", "chunks"])
async def test_large_bodies_are_read_however_they_are_cut(coding: str) -> None:
    async with serving(App(), Connection) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if coding == "length":
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 1_000_000)
        else:
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n")
        expected = {"length": b"\r\n\r\n1000000", "chunks": b"\r\n\r\n100000"}[coding]
        assert (await asyncio.wait_for(reader.readuntil(expected), SOON)).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_body_that_was_refused_is_dropped_and_the_connection_goes_on() -> None:
    async with serving(App(), Connection) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + b"a" * 10_000_000)
            await asyncio.wait_for(writer.drain(), SOON)
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)).startswith(b"HTTP/1.1 413")
        writer.close()


async def test_a_body_that_was_refused_and_does_not_end_is_cut_off() -> None:
    async with serving(App(), Connection) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)).startswith(b"HTTP/1.1 413")
        sent = 0
        with pytest.raises(ConnectionError):
            while sent < 1_000_000_000:
                writer.write(b"a" * 1_000_000)
                await writer.drain()
                sent += 1_000_000
        assert 10_000_000 < sent < MAX_IGNORED * 2
        writer.close()


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"EHLO a\r\n", b"GET / HTTP/1.1\r\nA : b\r\n\r\n"])
async def test_what_is_no_http_is_told_so(said: bytes) -> None:
    async with serving(App(), Connection) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        assert await status(reader) == 400
        writer.close()
