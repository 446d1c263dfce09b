"""A web server on loopback that keeps requests and misbehaves as scripted.

It shares no code with the program's own HTTP client, so that each checks the other.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Final, Self

WAIT_TIMEOUT: Final = 60.0  # seconds
SLICE: Final = 64 * 1024  # octets of an endless body written at a time


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as received."""

    number: int  # counted from 1
    connection: int  # counted from 1
    method: str
    target: str  # path and query, as they came
    headers: Mapping[str, str]  # names in lower case
    body: bytes  # exact
    is_tls: bool


class Fate(Enum):
    """A connection's fate instead of an answer."""

    CLOSE = "close"
    RESET = "reset"
    SILENCE = "silence"  # until the client or the server closes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """An answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    after: asyncio.Event | None = None  # answer when this is set
    raw: bytes | None = None  # written instead, and the connection closed
    drip: float = 0.0  # seconds between the octets of what is written
    is_endless: bool = False  # the body is repeated until the client has had enough


Script = Callable[[ReceivedRequest], Reaction | Fate]


class WebhookHost:
    """The server. Start it, use `url` for a webhook, look at `received`."""

    def __init__(
        self, script: Script = lambda _request: Reaction(), *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.script = script
        self.tls = tls
        self.host = host
        self.port = port
        self.received: list[ReceivedRequest] = []
        self.connections = 0
        self.written = 0  # octets of answers
        self.active = self.most_active = 0  # requests under way
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()

    def __repr__(self) -> str:
        return f"<WebhookHost {self.url} {len(self.received)} requests>"

    @property
    def url(self) -> str:
        """Its address, with a path."""
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}/hook"

    async def start(self) -> None:
        """Listens; on a free port unless one was given."""
        self._server = await asyncio.start_server(self._accept, self.host, self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Stops, and closes all connections."""
        if self._server:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.aclose()

    async def wait(self, count: int = 1, timeout: float = WAIT_TIMEOUT) -> list[ReceivedRequest]:
        """Waits until `count` requests have arrived in total, and returns all. Raises `TimeoutError`."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: len(self.received) >= count)
        return list(self.received)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("a connection is served by a task")
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._serve(reader, writer, self.connections)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            pass  # by `aclose`, which waits for the task and not for its outcome
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        while (request := await self._read(reader, writer, connection)) is not None:
            self.active += 1
            self.most_active = max(self.most_active, self.active)
            try:
                async with self._changed:
                    self.received.append(request)
                    self._changed.notify_all()
                if not await self._react(self.script(request), reader, writer):
                    return
            finally:
                self.active -= 1

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> ReceivedRequest | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return ReceivedRequest(
            number=len(self.received) + 1,
            connection=connection,
            method=method,
            target=target,
            headers=headers,
            body=body,
            is_tls=writer.get_extra_info("ssl_object") is not None,
        )

    async def _react(self, reaction: Reaction | Fate, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers a request. True if the connection stays open."""
        match reaction:
            case Fate.CLOSE:
                return False
            case Fate.RESET:
                _reset(writer)
                return False
            case Fate.SILENCE:
                await reader.read()
                return False
            case Reaction():
                return await self._answer(reaction, writer)

    async def _answer(self, reaction: Reaction, writer: asyncio.StreamWriter) -> bool:
        if reaction.after is not None:
            await reaction.after.wait()
        if reaction.raw is not None:
            await self._write(writer, reaction.raw, reaction.drip)
            return False
        length = {} if reaction.is_endless else {"Content-Length": str(len(reaction.body))}
        lines = [f"HTTP/1.1 {reaction.status} Scripted", *(f"{name}: {value}" for name, value in {**length, **reaction.headers}.items())]
        await self._write(writer, "\r\n".join([*lines, "", ""]).encode("latin-1") + reaction.body, reaction.drip)
        while reaction.is_endless:
            await self._write(writer, (reaction.body or b"x") * (SLICE // max(1, len(reaction.body))), 0.0)
        return True

    async def _write(self, writer: asyncio.StreamWriter, octets: bytes, drip: float) -> None:
        for piece in [octets[index : index + 1] for index in range(len(octets))] if drip else [octets]:
            writer.write(piece)
            self.written += len(piece)
            await writer.drain()
            if drip:
                await asyncio.sleep(drip)  # the delay is what is asked for


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
