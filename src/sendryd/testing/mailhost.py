"""A receiving mail server on loopback that keeps mail and misbehaves as scripted.

It shares no code with the program's own SMTP machines, so that each checks the other.
"""

import asyncio
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

DEFAULT_EXTENSIONS: Final = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN")
WAIT_TIMEOUT: Final = 60.0  # seconds

CLOSE_TIMEOUT: Final = 5.0  # seconds that a goodbye may take
LOOK_INTERVAL: Final = 0.1  # seconds between looks whether a client that waits for a reply is still there


@dataclass(slots=True)
class ReceivedMail:
    """A transaction that was answered with 250."""

    envelope_from: str
    mail_params: str
    recipients: list[str]
    rcpt_params: list[str]
    content: bytes  # dot-unstuffed, exact
    tls: bool
    helo: str
    connection: int  # counted from 1
    source: str  # the address that it came from


@dataclass(slots=True)
class Script:
    """What to do otherwise than a friendly server. Each hook may return a whole reply such as `"550 5.1.1 No such user"`,
    the word `"drop"` (close the connection), `"stall"` (say nothing until released), or None (go on as usual).
    """

    connect: Callable[[int], str | None] = lambda _number: None
    command: Callable[[str, str], str | None] = lambda _verb, _line: None
    in_clear_text: Callable[[str, str], str | None] = lambda _verb, _line: None  # before `command`, outside TLS
    in_tls: Callable[[str, str], str | None] = lambda _verb, _line: None  # before `command`, inside TLS
    rcpt: Callable[[str], str | None] = lambda _address: None
    final: Callable[[ReceivedMail], str | None] = lambda _mail: None
    after_final: Callable[[ReceivedMail], str | None] = lambda _mail: None  # once the message is kept: "drop" loses the 250
    handshake: Callable[[int], str | None] = lambda _number: None  # "drop" or "garbage" instead of the TLS handshake
    inject_after_starttls: bytes = b""  # clear text sent in the same flight as the 220
    seconds_to_final: float = 0.0  # delay of the reply to the final dot, after the message is kept
    is_pipelining_strict: bool = False


class _Dropped(Exception):
    """The script has closed the connection."""


@dataclass(slots=True)
class _Session:
    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    source: str
    is_tls: bool = False
    helo: str = ""
    mail: str | None = None
    mail_params: str = ""
    recipients: list[str] = field(default_factory=list)
    rcpt_params: list[str] = field(default_factory=list)


class ReceivingServer:
    """The server. Start it, point the program at `host` and `port`, look at `mails`."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        extensions: tuple[str, ...] = DEFAULT_EXTENSIONS,
        script: Script | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        does_keep: bool = True,
    ) -> None:
        self.tls = tls
        self.extensions = extensions
        self.script = script or Script()
        self.host = host
        self.port = port
        self.does_keep = does_keep
        self.mails: list[ReceivedMail] = []
        self.commands: list[str] = []
        self.lines: list[str] = []  # commands and replies as they went over the wire, without contents
        self.connections = 0
        self.open_connections = 0
        self.max_open_connections = 0
        self.released = asyncio.Event()
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listens."""
        self._server = await asyncio.start_server(self._accept, self.host, self.port, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Stops listening and ends all connections."""
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

    async def wait_for(self, count: int, timeout: float = WAIT_TIMEOUT) -> list[ReceivedMail]:
        """Waits until `count` messages have been kept. Raises `TimeoutError`."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: len(self.mails) >= count)
        return self.mails

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.connections += 1
        self.open_connections += 1
        self.max_open_connections = max(self.max_open_connections, self.open_connections)
        session = _Session(self.connections, reader, writer, str(writer.get_extra_info("peername")[0]))
        try:
            await self._serve(session)
        except (_Dropped, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, TimeoutError):
            pass
        except asyncio.CancelledError:
            pass
        finally:
            self.open_connections -= 1
            session.writer.close()
            if session.writer is not writer:  # TLS closes first, then the stream below it
                with suppress(OSError, TimeoutError):
                    async with asyncio.timeout(CLOSE_TIMEOUT):
                        await session.writer.wait_closed()
                writer.close()

    async def _say(self, session: _Session, reply: str) -> None:
        if reply == "drop":
            session.writer.transport.abort()
            raise _Dropped
        if reply == "stall":
            await self.released.wait()
            return
        self.lines += reply.split("\r\n")
        session.writer.write(reply.encode("utf-8", "surrogateescape") + b"\r\n")
        await session.writer.drain()

    async def _serve(self, session: _Session) -> None:
        scripted = self.script.connect(session.number)
        await self._say(session, scripted or "220 mx.example.org ESMTP")
        while line := (await session.reader.readline()):
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            verb = re.split(r"[ :]", text, maxsplit=1)[0].upper()
            self.commands.append(text)
            self.lines.append(text)
            first = self.script.in_tls if session.is_tls else self.script.in_clear_text
            scripted = first(verb, text) or self.script.command(verb, text)
            if scripted is not None:
                await self._say(session, scripted)
                if scripted.startswith("421"):
                    return
                if verb == "DATA" and scripted.startswith("354"):
                    await self._receive(session)
                continue
            if verb == "QUIT":
                await self._say(session, "221 2.0.0 Bye")
                return
            await self._answer(session, verb, text)

    async def _answer(self, session: _Session, verb: str, text: str) -> None:
        match verb:
            case "EHLO":
                session.helo = text[5:]
                names = [*self.extensions]
                if self.tls and not session.is_tls:
                    names.append("STARTTLS")
                lines = ["mx.example.org", *names]
                marks = ["-"] * (len(lines) - 1) + [" "]
                await self._say(session, "\r\n".join(f"250{mark}{each}" for mark, each in zip(marks, lines, strict=True)))
            case "HELO":
                session.helo = text[5:]
                await self._say(session, "250 mx.example.org")
            case "STARTTLS" if self.tls and not session.is_tls:
                await self._starttls(session)
            case "MAIL":
                session.mail, session.mail_params = _path(text)
                session.recipients, session.rcpt_params = [], []
                await self._say(session, "250 2.1.0 Ok")
            case "RCPT" if session.mail is not None:
                address, params = _path(text)
                refusal = self.script.rcpt(address)
                if refusal is None:
                    session.recipients.append(address)
                    session.rcpt_params.append(params)
                await self._say(session, refusal or "250 2.1.5 Ok")
            case "DATA" if session.recipients:
                await self._say(session, "354 Go ahead")
                await self._receive(session)
            case "DATA":
                await self._say(session, "554 5.5.1 No valid recipients")
            case "RSET":
                session.mail = None
                await self._say(session, "250 2.0.0 Ok")
            case "NOOP":
                await self._say(session, "250 2.0.0 Ok")
            case _:
                await self._say(session, "500 5.5.2 What?")

    async def _starttls(self, session: _Session) -> None:
        self.lines.append("220 2.0.0 Go ahead")
        session.writer.write(b"220 2.0.0 Go ahead\r\n" + self.script.inject_after_starttls)
        await session.writer.drain()
        scripted = self.script.handshake(session.number)
        if scripted == "garbage":
            session.writer.write(b"this is no handshake\r\n")
            await session.writer.drain()
            raise _Dropped
        if scripted == "drop":
            session.writer.transport.abort()
            raise _Dropped
        if self.tls is None:
            raise _Dropped
        loop = asyncio.get_running_loop()
        transport, protocol = session.writer.transport, session.writer.transport.get_protocol()
        reader = asyncio.StreamReader(limit=1 << 20)
        fresh = asyncio.StreamReaderProtocol(reader)
        transport.set_protocol(fresh)
        encrypted = await loop.start_tls(transport, fresh, self.tls, server_side=True, ssl_handshake_timeout=10)
        if encrypted is None or protocol is None:
            raise _Dropped
        fresh.connection_made(encrypted)
        session.reader = reader
        session.writer = asyncio.StreamWriter(encrypted, fresh, reader, loop)
        session.is_tls = True
        session.mail = None

    async def _receive(self, session: _Session) -> None:
        content = b""
        parts = []
        while True:
            line = await session.reader.readuntil(b"\n")
            if line == b".\r\n":
                break
            parts.append(line[1:] if line.startswith(b".") else line)
        content = b"".join(parts)
        mail = ReceivedMail(
            envelope_from=session.mail or "",
            mail_params=session.mail_params,
            recipients=session.recipients,
            rcpt_params=session.rcpt_params,
            content=content if self.does_keep else b"",
            tls=session.is_tls,
            helo=session.helo,
            connection=session.number,
            source=session.source,
        )
        session.mail, session.recipients, session.rcpt_params = None, [], []
        refusal = self.script.final(mail)
        if refusal is not None and not refusal.startswith("2"):
            await self._say(session, refusal)
            return
        self.mails.append(mail)
        async with self._changed:
            self._changed.notify_all()
        await self._delay(session)
        await self._say(session, self.script.after_final(mail) or refusal or "250 2.0.0 Ok: taken")

    async def _delay(self, session: _Session) -> None:
        """Waits before the reply to the final dot, unless the client leaves: the connection is not counted as open then."""
        waited = 0.0
        while (step := min(self.script.seconds_to_final - waited, LOOK_INTERVAL)) > 0:
            if session.reader.at_eof():
                raise _Dropped
            await asyncio.sleep(step)
            waited += step


def _path(line: str) -> tuple[str, str]:
    """The address and the parameters of a MAIL or RCPT line."""
    match = re.match(r'(?i)(?:MAIL FROM|RCPT TO): ?<((?:"(?:[^"\\]|\\.)*"|[^">])*)>(.*)', line)
    return (match[1], match[2].strip()) if match else ("", "")
