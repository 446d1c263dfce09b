"""One client, or one network, holds up only itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sendryd.api.framework.connection import limited
from sendryd.api.framework.limits import KEEP_ALIVE, KEEP_ALIVE_UNDER_PRESSURE, ConnectionLimits, RequestLimits

pytestmark = pytest.mark.sockets

SOON = 10  # seconds, for what takes a tenth of one
ONE, OTHER = "127.0.0.1", "127.0.0.2"
Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class App:
    """Answers `/wait` when told to, everything else at once."""

    def __init__(self) -> None:
        self.waiting = 0
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/wait":
            self.waiting += 1
            await self.go_on.wait()
        await PlainTextResponse("ok")(scope, receive, send)


class Clients:
    """Connections that stay open until the end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self, said: bytes = b"", address: str = ONE) -> Peer:
        peer = await asyncio.open_connection(ONE, self._port, local_addr=(address, 0))
        self._writers.append(peer[1])
        peer[1].write(said)
        return peer

    async def ask(self, path: str = "/", address: str = ONE) -> tuple[int, bytes]:
        reader, _ = await self.connect(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode(), address)
        return await read_answer(reader)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(head.split()[1]), await asyncio.wait_for(reader.readexactly(length), SOON)


@asynccontextmanager
async def serving(app: ASGIApp, limits: ConnectionLimits) -> AsyncIterator[Clients]:
    config = uvicorn.Config(app, host=ONE, port=0, http=limited(limits), lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    clients = Clients(server.servers[0].sockets[0].getsockname()[1])
    try:
        yield clients
    finally:
        clients.close()
        await server.shutdown()


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX: "], ids=["silent", "line", "head"])
async def test_idle_connections_of_a_network_make_room_for_its_next_one_the_oldest_first(said: bytes) -> None:
    limits = ConnectionLimits(max_of_network=5)
    async with serving(App(), limits) as clients:
        other = await clients.connect(address=OTHER)
        crowd = [await clients.connect(said) for _ in range(5)]
        assert (await clients.ask())[0] == 200
        assert await asyncio.wait_for(crowd[0][0].read(), SOON) == b""
        assert (await clients.ask())[0] == 200
        assert await asyncio.wait_for(crowd[1][0].read(), SOON) == b""
        other[1].write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await read_answer(other[0]))[0] == 200
        assert limits.closed_idle == 2


async def test_a_connection_that_was_answered_is_idle_again_and_keeps_its_turn() -> None:
    limits = ConnectionLimits(max_of_network=2)
    async with serving(App(), limits) as clients:
        silent = await clients.connect()
        reader, writer = await clients.connect(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await read_answer(reader))[0] == 200
        assert (await clients.ask())[0] == 200
        assert await asyncio.wait_for(silent[0].read(), SOON) == b""
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await read_answer(reader))[0] == 200


async def test_with_all_places_taken_the_oldest_idle_one_of_all_goes() -> None:
    limits = ConnectionLimits(max_connections=4)
    async with serving(App(), limits) as clients:
        crowd = [await clients.connect(address=address) for address in (ONE, OTHER, ONE, OTHER)]
        assert (await clients.ask(address="127.0.0.3"))[0] == 200
        assert await asyncio.wait_for(crowd[0][0].read(), SOON) == b""


async def test_a_request_under_way_is_never_cut_off_for_a_new_connection() -> None:
    app = App()
    async with serving(app, ConnectionLimits(max_of_network=1)) as clients:
        reader, _ = await clients.connect(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await clients.ask())[0] == 200
        app.go_on.set()
        assert (await read_answer(reader))[0] == 200


async def test_a_proxy_that_is_trusted_has_as_many_connections_as_it_wants() -> None:
    limits = ConnectionLimits(max_of_network=1, trusted=("127.0.0.0/8",))
    async with serving(App(), limits) as clients:
        crowd = [await clients.connect() for _ in range(5)]
        assert (await clients.ask())[0] == 200
        for reader, writer in crowd:
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await read_answer(reader))[0] == 200


async def test_under_pressure_idle_connections_are_kept_for_a_shorter_time() -> None:
    limits = ConnectionLimits(max_connections=4)
    async with serving(App(), limits) as clients:
        assert (await clients.ask())[0] == 200
        assert limits.keep_alive == KEEP_ALIVE
        for _ in range(2):
            assert (await clients.ask())[0] == 200
        assert limits.keep_alive == KEEP_ALIVE_UNDER_PRESSURE


async def until_waiting(app: App, count: int) -> None:
    async with asyncio.timeout(SOON):
        while app.waiting < count:
            await asyncio.sleep(0.001)


async def test_a_network_with_too_many_requests_is_refused_and_no_other() -> None:
    app = App()
    door = RequestLimits(app, max_of_network=3)
    async with serving(door, ConnectionLimits()) as clients:
        readers = [(await clients.connect(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"))[0] for _ in range(3)]
        await until_waiting(app, 3)
        status, body = await clients.ask()
        assert (status, json.loads(body)["error"]["code"]) == (429, "rate_limited")
        assert (await clients.ask(address=OTHER))[0] == 200
        for path in ("/healthz", "/readyz", "/metrics", "/healthz/"):
            assert (await clients.ask(path))[0] == 200
        app.go_on.set()
        assert [(await read_answer(reader))[0] for reader in readers] == [200] * 3
        assert (await clients.ask())[0] == 200


async def test_with_too_many_requests_in_all_only_health_is_answered() -> None:
    app = App()
    async with serving(RequestLimits(app, max_requests=2), ConnectionLimits()) as clients:
        for address in (ONE, OTHER):
            await clients.connect(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", address)
        await until_waiting(app, 2)
        assert (await clients.ask(address="127.0.0.3"))[0] == 503
        assert (await clients.ask("/healthz", address="127.0.0.3"))[0] == 200
        app.go_on.set()


async def test_a_request_whose_client_is_gone_counts_until_it_is_done_with() -> None:
    app = App()
    async with serving(RequestLimits(app, max_of_network=1), ConnectionLimits()) as clients:
        _, writer = await clients.connect(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await until_waiting(app, 1)
        writer.close()
        assert (await clients.ask())[0] == 429
        app.go_on.set()
