"""A session with a scripted server, in memory, for the tests of its steps. They run in virtual time, with the time-outs of the program."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import partial

import pytest

from sendryd.delivery.faults import DeliveryFault
from sendryd.delivery.securing import TlsContexts
from sendryd.delivery.sending import OutboundContent
from sendryd.delivery.target import Target
from sendryd.delivery.transport import Connection
from sendryd.policy.tls import OPPORTUNISTIC
from sendryd.runtime.memory import MemoryStream, memory_streams
from sendryd.runtime.tls import client_context, weak_client_context
from sendryd.smtp.timeouts import CLIENT_TIMEOUTS
from sendryd.smtp.transaction import OutboundEnvelope
from sendryd.testing.virtualtime import VirtualClock

CONTEXTS = TlsContexts(verified=partial(client_context, verify=True), unverified=client_context(verify=False), weak=weak_client_context())
TARGET = Target(host="mx.example.org", address="192.88.98.1", port=25, tls=OPPORTUNISTIC)
CONTENT = OutboundContent((b"DKIM-Signature: x\r\n", b"From: a@example.test\r\n\r\n.dot\r\n"))
ENVELOPE = OutboundEnvelope(reverse_path="a@example.test", forward_paths=("b@example.org", "c@example.org"), size=CONTENT.size)
OFFER = "250-mx\r\n250-PIPELINING\r\n250 STARTTLS"
IN_TLS = "250-mx\r\n250-PIPELINING\r\n250 AUTH {}"


class Server:
    """Answers commands by what they begin with, the longest first; "" says nothing, "drop" closes. Lists are used up one by one."""

    def __init__(self, stream: MemoryStream, answers: dict[str, str | list[str]]) -> None:
        self.stream = stream
        self.said: list[str] = []
        self.contents: list[bytes] = []
        self._answers: dict[str, str | list[str]] = {
            "greeting": "220 mx", "EHLO": OFFER, "HELO": "250 mx", "STARTTLS": "220 go", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go",
            ".": "250 2.0.0 taken", "RSET": "250 ok", "QUIT": "221 bye", **answers,
        }  # fmt: skip

    def _answer_to(self, line: str) -> str:
        name = max((name for name in self._answers if line.startswith(name)), key=len, default="")
        answer = self._answers.get(name, "500 what?")
        return answer if isinstance(answer, str) else answer.pop(0) if len(answer) > 1 else answer[0]

    async def serve(self) -> None:
        self._say(self._answer_to("greeting"))
        buffer = b""
        while data := await self.stream.read(60):
            buffer += data
            while b"\r\n" in buffer:
                line, _, buffer = buffer.partition(b"\r\n")
                self.said.append(line.decode())
                answer = self._answer_to(self.said[-1])
                self._say(answer)
                if line == b"DATA" and answer.startswith("354"):
                    while not (b"\r\n" + buffer).startswith(b"\r\n.\r\n") and b"\r\n.\r\n" not in buffer:
                        buffer += await self.stream.read(60)
                    content, _, buffer = (b"\r\n" + buffer).partition(b"\r\n.\r\n")
                    self.contents.append(content[2:] + b"\r\n" if content else b"")
                    self._say(self._answer_to("."))

    def _say(self, answer: str) -> None:
        if answer == "drop":
            self.stream.abort()
        elif answer:
            self.stream.write(answer.encode() + b"\r\n")


Talk = tuple[Connection, Server]


@asynccontextmanager
async def talk(answers: dict[str, str | list[str]] | None = None, *, target: Target = TARGET) -> AsyncIterator[Talk]:
    """A connection that has not begun, and its server."""
    near, far = memory_streams()
    server = Server(far, answers or {})
    task = asyncio.create_task(server.serve())
    connection = Connection(near, target, CLIENT_TIMEOUTS, VirtualClock())
    yield connection, server
    connection.abort()
    await asyncio.gather(task, return_exceptions=True)


async def fault_of(doing: Awaitable[object]) -> DeliveryFault:
    with pytest.raises(DeliveryFault) as raised:
        await doing
    return raised.value


def start(connection: Connection) -> Awaitable[None]:
    return connection.start("relay.test", CONTEXTS)


@asynccontextmanager
async def ready(answers: dict[str, str | list[str]] | None = None) -> AsyncIterator[Talk]:
    async with talk({"EHLO": "250-mx\r\n250 PIPELINING", **(answers or {})}) as (connection, server):
        await start(connection)
        server.said.clear()
        yield connection, server
