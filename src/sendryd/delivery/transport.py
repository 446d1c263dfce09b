"""A connection to a receiving server: one client machine pumped over one byte stream.

Does: connects, greets, encrypts, logs in at a smart host, then carries one transaction after the other.
Reads: the target, the envelope, the content. Writes: nothing but the stream.
Strategy: MAIL, RCPT and DATA go out in one write where the server offers PIPELINING; content up to `SLICE` goes out with its lone dot in one
write, larger content in slices, between which the server is heard: it may refuse before the end.
When things fail: `DeliveryFault` says at which step and how, and the connection is gone. A refusal of the message or of a recipient is no
fault but a result. A fault at the final dot is in doubt: the server may have taken the message. Cancellation closes the connection at once.
Limits: every reply has a deadline of its own from `smtp.timeouts`, so that a server that drips octets cannot hold us.
Standards: RFC 5321, RFC 2920, RFC 3207, RFC 4954, RFC 7435.
"""

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final

from sendryd.delivery.patience import Patience
from sendryd.delivery.transcript import Transcript
from sendryd.policy.classify import NetworkFailure
from sendryd.runtime import tcp
from sendryd.runtime.faults import (
    ConnectFailed,
    NetworkFault,
    PeerClosed,
    ReadTimedOut,
    TLSClosed,
    TLSFailed,
    TLSTimedOut,
    WriteTimedOut,
)
from sendryd.runtime.stream import ByteStream, TlsInfo
from sendryd.smtp import client_commands
from sendryd.smtp.client import ClientConnection, Closed, ReplyReceived
from sendryd.smtp.client_commands import Command
from sendryd.smtp.datastream import dot_stuff, dot_stuff_piece
from sendryd.smtp.errors import RemoteProtocolError
from sendryd.smtp.events import NEED_DATA
from sendryd.smtp.extensions import Extensions
from sendryd.smtp.reply import Reply
from sendryd.smtp.timeouts import Step
from sendryd.smtp.transaction import OutboundEnvelope, Transaction, TransactionResult
from sendryd.valuetype import valuetype

SLICE: Final = 64 * 1024  # octets written at a time: what a socket takes at once, and little enough to hear an early refusal in time
SERVICE_CLOSING: Final = 421
AUTH_CONTINUES: Final = 334
_LINE_END: Final = b"\r\n"

Timeouts = Mapping[Step, float]  # seconds that the answer to each step may take, all of it


class TlsRule(Enum):
    """How much encryption a target needs."""

    NEVER = "never"  # clear text, even if STARTTLS is offered
    OPPORTUNISTIC = "opportunistic"  # when offered, unverified: RFC 7435
    REQUIRED = "required"  # encrypted or not at all, unverified
    VERIFIED = "verified"  # encrypted, with a certificate for the host name by an authority that we know


class TlsTrouble(Enum):
    """How encryption failed, which decides what is tried next at the same host."""

    REFUSED = "refused"  # STARTTLS is not offered or was refused, or the connection ended there
    CLOSED = "closed"  # the peer left before it sent anything of the handshake: a hiccup, or no parameters in common
    SILENT = "silent"  # the handshake did not end in time
    FAILED = "failed"  # the handshake failed
    SESSION = "session"  # the session ended inside TLS before MAIL was answered


@valuetype(frozen=True, slots=True, kw_only=True)
class Target:
    """One address of one host, and how to talk to it. Hashable: connections are kept by it."""

    host: str  # the name that the certificate must have
    address: str  # an IP address
    port: int
    tls: TlsRule
    is_weak: bool = False  # parameters that count as broken are accepted too; never with VERIFIED
    implicit_tls: bool = False  # TLS from the first octet (RFC 8314 §3)
    credentials: tuple[str, str] | None = field(default=None, repr=False)  # user name and password for a smart host


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsContexts:
    """Made once by `runtime.tls`, because making one is slow."""

    verified: Callable[[], ssl.SSLContext]  # the slowest: it is made when the first server is to be verified
    unverified: ssl.SSLContext
    weak: ssl.SSLContext  # unverified, and with parameters that count as broken


@dataclass(frozen=True, slots=True)
class Opening:
    """How long it took to open a connection, in seconds."""

    connect: float  # until TCP stood
    handshake: float  # greeting, EHLO, TLS, AUTH


NO_OPENING: Final = Opening(0.0, 0.0)


class DeliveryFault(Exception):
    """A connection or a transaction came to nothing. The connection cannot be used any more."""

    def __init__(
        self,
        step: Step,
        failure: NetworkFailure | Reply,
        *,
        detail: str = "",
        trouble: TlsTrouble | None = None,
        replies: Mapping[str, Reply] = MappingProxyType({}),
        may_retry: bool = False,
    ) -> None:
        super().__init__(f"{step.value}: {detail or failure}")
        self.step = step
        self.failure = failure
        self.detail = detail  # for the log
        self.trouble = trouble  # encryption failed: the same host may work with less of it
        self.replies = replies  # recipients refused at RCPT before it happened
        self.may_retry = may_retry  # an idle connection had died: a fresh one may do, nothing had been answered yet

    @property
    def is_in_doubt(self) -> bool:
        """The whole message was sent and no answer came: the server may have it."""
        return self.step is Step.FINAL_DOT and isinstance(self.failure, NetworkFailure)


class OutboundContent:
    """The content of one message in pieces, each of them whole lines. What all its transactions share is computed once."""

    __slots__ = ("_parts", "_stuffed", "size")

    def __init__(self, parts: Sequence[bytes]) -> None:
        if not all(part.endswith(b"\r\n") for part in parts[:-1] if part):
            raise ValueError("every part of a content but the last must end with CR LF")
        self._parts = tuple(part for part in parts if part)
        self.size = sum(map(len, self._parts))  # octets, without stuffed dots
        self._stuffed: tuple[bytes, ...] | None = None

    def __repr__(self) -> str:
        return f"<OutboundContent {len(self._parts)} parts, {self.size} octets>"

    @property
    def is_ascii(self) -> bool:
        """No octet above 127. Looks at all of it."""
        return all(part.isascii() for part in self._parts)

    @property
    def stuffed(self) -> tuple[bytes, ...]:
        """The pieces with their dots stuffed; small ones in one piece."""
        if self._stuffed is None:
            stuffed = tuple(dot_stuff(part) for part in self._parts)
            self._stuffed = stuffed if self.size > SLICE else (b"".join(stuffed),)
        return self._stuffed

    async def slices(self) -> AsyncIterator[bytes]:
        """The stuffed pieces in slices."""
        for piece in self.stuffed:
            for start in range(0, len(piece), SLICE):
                yield piece[start : start + SLICE]


class StreamedContent:
    """The content of one message, read again for each transaction while it is sent: only a slice of it is in memory."""

    __slots__ = ("_front", "_read", "size")

    def __init__(self, front: bytes, size: int, read: Callable[[], AsyncIterator[bytes]]) -> None:
        """`front` is whole lines, put before the content, which has so many octets and is given in pieces by `read`."""
        self._front = front
        self._read = read
        self.size = len(front) + size  # octets, without stuffed dots

    def __repr__(self) -> str:
        return f"<StreamedContent {self.size} octets>"

    async def slices(self) -> AsyncIterator[bytes]:
        """The stuffed slices. Raises what `read` does: then the content must not be ended."""
        yield dot_stuff_piece(_LINE_END, self._front)
        before = _LINE_END
        async for piece in self._read():
            yield dot_stuff_piece(before, piece)
            before = (before + piece[-2:])[-2:]


_NOTHING: Final = OutboundContent(())  # goes where 354 came although nobody was accepted: the lone dot alone


class Connection:
    """An open dialogue with a server, ready for transactions one after the other. Made by `open_connection`."""

    def __init__(self, stream: ByteStream, target: Target, timeouts: Timeouts) -> None:
        self.target = target
        self.messages_sent = 0  # transactions carried so far, whatever they came to
        self._loop = asyncio.get_running_loop()
        self.idle_since = self._loop.time()  # monotonic seconds of the loop
        self.is_verified = False  # the certificate was checked
        self.opening = NO_OPENING
        self.transcript: Transcript | None = None
        self._stream = stream
        self._timeouts = timeouts
        self._machine = ClientConnection()
        self._is_closed = False
        self._needs_reset = False
        self.deadline = math.inf  # of the loop's clock: no reply is waited for any longer
        self.greeted_at: float | None = None  # by the loop's clock

    def __repr__(self) -> str:
        tls = self._stream.tls
        state = "closed" if self._is_closed else repr(self._machine)
        return (
            f"<Connection {self.target.host} [{self.target.address}]:{self.target.port}"
            f" {tls.version if tls else 'clear'} messages={self.messages_sent} {state}>"
        )

    @property
    def extensions(self) -> Extensions:
        """What the server offers."""
        return self._machine.extensions

    @property
    def tls(self) -> TlsInfo | None:
        """None in clear text."""
        return self._stream.tls

    @property
    def was_reused(self) -> bool:
        """It has carried a transaction before."""
        return self.messages_sent > 0

    @property
    def is_usable(self) -> bool:
        """Another transaction may be tried: open, in step, and the server has neither said anything nor closed."""
        return not self._is_closed and self._machine.is_idle and not self._stream.has_unread

    # Opening.

    async def start(self, hello_name: str, contexts: TlsContexts, *, greeted_by: float = math.inf, open_by: float = math.inf) -> None:
        """From the greeting to the point where mail may be sent, by these moments of the loop's clock. Raises `DeliveryFault`."""
        self.deadline = greeted_by
        try:
            await self._start(hello_name, contexts, open_by)
        except BaseException as error:
            self.abort()
            fault = self._as_fault(error)
            if fault is None:
                raise
            if self.transcript is not None:
                self.transcript.note(f"session broken at {fault}")
            raise fault from error
        self.deadline = math.inf
        self.idle_since = self._loop.time()

    async def _start(self, hello_name: str, contexts: TlsContexts, open_by: float) -> None:
        if self.target.implicit_tls:
            self._machine = ClientConnection(encrypted=True)
            await self._shake_hands(contexts)
        reply = await self._reply()
        self.greeted_at, self.deadline = self._loop.time(), open_by
        if not reply.is_positive:
            raise DeliveryFault(Step.GREETING, reply)
        await self._say_hello(hello_name)
        if not self._machine.is_encrypted and self.target.tls is not TlsRule.NEVER:
            await self._upgrade(hello_name, contexts)
        if self.target.credentials is not None:
            await self._log_in(*self.target.credentials)

    async def _say_hello(self, name: str) -> None:
        reply = await self._ask(client_commands.ehlo(name))
        if reply.is_permanent:  # RFC 5321 §3.2: an old server, or one that wants to look like it
            reply = await self._ask(client_commands.helo(name))
        if not reply.is_positive:
            raise DeliveryFault(Step.EHLO, reply)

    async def _upgrade(self, hello_name: str, contexts: TlsContexts) -> None:
        must_encrypt = self.target.tls is not TlsRule.OPPORTUNISTIC
        if not self.extensions.starttls:
            if must_encrypt:
                raise _tls_fault("the server does not offer STARTTLS", TlsTrouble.REFUSED)
            return
        reply = await self._ask(client_commands.STARTTLS)
        if not reply.is_positive:
            if must_encrypt or reply.code == SERVICE_CLOSING:
                raise DeliveryFault(Step.STARTTLS, reply, trouble=TlsTrouble.REFUSED)
            return  # RFC 3207 §4.1: the dialogue goes on in clear text
        try:
            is_silent = self._machine.next_event() is NEED_DATA
        except RemoteProtocolError as error:  # never read as replies from inside the encryption
            raise _tls_fault("clear text followed the go-ahead to STARTTLS", TlsTrouble.FAILED) from error
        if not is_silent:
            raise _tls_fault("the server closed after the go-ahead to STARTTLS", TlsTrouble.CLOSED)
        await self._shake_hands(contexts)
        self._machine.tls_established()
        await self._say_hello(hello_name)

    async def _shake_hands(self, contexts: TlsContexts) -> None:
        is_verified = self.target.tls is TlsRule.VERIFIED
        context = contexts.verified() if is_verified else contexts.weak if self.target.is_weak else contexts.unverified
        host = self.target.host.rstrip(".")
        timeout = self._patience(Step.HANDSHAKE)
        try:
            await self._stream.start_tls(context, server_side=False, server_hostname=host or None, timeout=timeout)
        except ValueError as error:  # a host name out of the DNS that is none
            raise TLSFailed(f"{host!r} cannot be named in a TLS handshake") from error
        self.is_verified = is_verified
        if self.transcript is not None and self._stream.tls is not None:
            self.transcript.note(f"{self._stream.tls.version}, {self._stream.tls.cipher}")

    async def _log_in(self, user: str, password: str) -> None:
        """AUTH at a smart host. The password goes over a connection that was asked to be secure, or is openly asked not to be."""
        if self.target.tls is TlsRule.OPPORTUNISTIC or not (self._machine.is_encrypted or self.target.tls is TlsRule.NEVER):
            raise _tls_fault("a password is not sent unless TLS is required", None, step=Step.AUTH)
        mechanisms = self.extensions.auth
        if "PLAIN" in mechanisms:
            reply = await self._ask(client_commands.auth_plain(user, password))
        elif "LOGIN" in mechanisms:
            reply = await self._ask(client_commands.AUTH_LOGIN)
            for answer in (user, password):
                if reply.code == AUTH_CONTINUES:
                    reply = await self._ask(client_commands.auth_answer(answer))
        else:
            detail = "the server offers neither AUTH PLAIN nor AUTH LOGIN"
            raise DeliveryFault(Step.AUTH, NetworkFailure.PROTOCOL_ERROR, detail=detail)
        if reply.is_more:
            raise RemoteProtocolError("the server asks for more than AUTH has to say")
        if not reply.is_positive:
            raise DeliveryFault(Step.AUTH, reply)

    # Carrying mail.

    async def deliver(self, envelope: OutboundEnvelope, content: OutboundContent | StreamedContent) -> TransactionResult:
        """One transaction. Raises `DeliveryFault` if it came to no end; `is_usable` tells whether another may follow."""
        transaction = Transaction(envelope, self.extensions)
        if transaction.is_done:
            return transaction.result()
        was_reused = self.was_reused
        self.messages_sent += 1
        try:
            await self._carry(transaction, content)
        except BaseException as error:
            self.abort()
            fault = self._as_fault(error)
            if fault is None:
                raise
            if self.transcript is not None:
                self.transcript.note(f"session broken at {fault}")
            if transaction.is_decided:  # what broke could not change anything any more
                return transaction.result()
            fault.replies = transaction.result().per_recipient
            fault.may_retry = was_reused and not transaction.is_mail_answered
            is_dead = not was_reused and not transaction.is_mail_answered and fault.failure is NetworkFailure.CLOSED
            if is_dead and self._machine.is_encrypted:
                fault.trouble = TlsTrouble.SESSION
            raise fault from error
        self._needs_reset = transaction.needs_reset
        self.idle_since = self._loop.time()
        if not self._machine.is_idle:
            self.abort()
        result = transaction.result()
        if was_reused and result.failed_at is Step.MAIL:
            reply = result.per_recipient[envelope.forward_paths[0]]
            if reply.code == SERVICE_CLOSING:  # it was closing already when we asked
                raise DeliveryFault(Step.MAIL, reply, may_retry=True)
        return result

    async def _carry(self, transaction: Transaction, content: OutboundContent | StreamedContent) -> None:
        if self._needs_reset:
            reply = await self._ask(client_commands.RSET)
            self._needs_reset = False
            if not reply.is_positive:
                raise DeliveryFault(Step.RSET, reply)
        while not transaction.is_done:
            for command in transaction.commands():
                self._send(command)
            if transaction.is_text_due:
                transaction.is_text_due = False
                event = await self._send_content(content if transaction.wants_content else _NOTHING)
            else:
                event = None
            event = event or await self._receive()
            transaction.receive(event.command, event.reply)

    async def _send_content(self, content: OutboundContent | StreamedContent) -> ReplyReceived | None:
        """Writes the content and the lone dot; the reply instead if the server answers before the end."""
        machine, stream = self._machine, self._stream
        event = self._next_event()  # what came with the 354 is no answer to what was not sent yet
        if isinstance(event, ReplyReceived):
            return event
        if isinstance(content, StreamedContent) or content.size > SLICE:
            try:
                async for piece in content.slices():
                    machine.send_content(piece)
                    stream.write(machine.data_to_send())
                    await stream.drain(self._timeouts[Step.DATA_BLOCK])
                    if stream.has_unread and (early := await self._hear()) is not None:
                        return early
            except (PeerClosed, WriteTimedOut):
                # What it said before it stopped listening tells more than the end of the connection.
                if stream.has_unread and (early := await self._hear()) is not None:
                    return early
                raise
        else:
            for piece in content.stuffed:
                machine.send_content(piece)
        machine.end_content()
        if self.transcript is not None:
            self.transcript.note(f"content of {content.size} octets")
        return None

    async def _hear(self) -> ReplyReceived | None:
        """Takes what the server has said already; None if it is no whole reply."""
        self._machine.receive_data(await self._stream.read(self._timeouts[Step.DATA_BLOCK]))
        event = self._next_event()
        if isinstance(event, Closed):
            raise PeerClosed("the server closed while the content was being sent")
        return event if isinstance(event, ReplyReceived) else None

    # The pump.

    async def _ask(self, command: Command) -> Reply:
        self._send(command)
        return await self._reply()

    def _send(self, command: Command) -> None:
        self._machine.send(command)
        if self.transcript is not None:
            self.transcript.sent(command)

    def _next_event(self) -> ReplyReceived | Closed | type[NEED_DATA]:
        event = self._machine.next_event()
        if self.transcript is not None and isinstance(event, ReplyReceived):
            self.transcript.heard(event.reply)
        return event

    async def _reply(self) -> Reply:
        return (await self._receive()).reply

    async def _receive(self) -> ReplyReceived:
        """Writes what is to be written and waits for the next reply."""
        machine, stream = self._machine, self._stream
        data = machine.data_to_send()
        if data:
            stream.write(data)
        event = self._next_event()
        if isinstance(event, ReplyReceived):
            return event
        timeout = self._patience(machine.awaiting)
        deadline = self._loop.time() + timeout
        while True:
            if isinstance(event, Closed):
                raise PeerClosed("the server closed the connection")
            machine.receive_data(await stream.read(timeout))
            event = self._next_event()
            if isinstance(event, ReplyReceived):
                return event
            timeout = deadline - self._loop.time()
            if timeout <= 0:
                raise ReadTimedOut("the server's reply did not end in time")

    def _patience(self, step: Step) -> float:
        """Seconds that the answer to a step may take. Raises `ReadTimedOut` if there are none left."""
        timeout = min(self._timeouts[step], self.deadline - self._loop.time())
        if timeout <= 0:
            raise ReadTimedOut("the session did not begin in time")
        return timeout

    def _as_fault(self, error: BaseException) -> DeliveryFault | None:
        """What an exception of the layers below comes to; None if it is none of theirs."""
        step = self._machine.awaiting
        has_died_inside = step is Step.EHLO and self._stream.tls is not None
        trouble = TlsTrouble.SESSION if has_died_inside else TlsTrouble.REFUSED if step is Step.STARTTLS else None
        match error:
            case DeliveryFault():
                if error.step is Step.EHLO and self._stream.tls is not None:
                    error.trouble = TlsTrouble.SESSION
                return error
            case TLSClosed():
                return _tls_fault(str(error), TlsTrouble.CLOSED)
            case TLSTimedOut():
                return _tls_fault(str(error), TlsTrouble.SILENT)
            case TLSFailed():
                return _tls_fault(str(error), TlsTrouble.FAILED)
            case RemoteProtocolError():
                failure = NetworkFailure.PROTOCOL_ERROR
            case ReadTimedOut() | WriteTimedOut():
                failure = NetworkFailure.TIMEOUT
            case NetworkFault():
                failure = NetworkFailure.CLOSED
            case _:
                return None
        return DeliveryFault(step, failure, detail=str(error), trouble=trouble)

    # Ending.

    async def quit(self) -> None:
        """Says goodbye and closes. Waits for the answer for `Step.QUIT` at most, and never raises but for cancellation."""
        try:
            if self.is_usable:
                with suppress(NetworkFault, RemoteProtocolError):
                    await self._ask(client_commands.QUIT)
                    self._is_closed = True
                    await self._stream.aclose()
        finally:
            self.abort()

    def abort(self) -> None:
        """Closes at once. May be called again."""
        if not self._is_closed:
            self._is_closed = True
            self._stream.abort()


def _tls_fault(detail: str, trouble: TlsTrouble | None, *, step: Step = Step.STARTTLS) -> DeliveryFault:
    return DeliveryFault(step, NetworkFailure.TLS_FAILURE, detail=detail, trouble=trouble)


async def open_connection(
    target: Target,
    *,
    hello_name: str,
    contexts: TlsContexts,
    timeouts: Timeouts,
    patience: Patience | None = None,
    transcript: Transcript | None = None,
) -> Connection:
    """Connects, and goes on to the point where mail may be sent. Takes what that needs off the attempt's patience. Raises `DeliveryFault`."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    patience = patience or Patience()
    greeted_by, open_by = started + patience.share, started + max(patience.opening, patience.share)
    connection: Connection | None = None
    try:
        connection = await _connect(target, timeouts, min(timeouts[Step.CONNECT], patience.share), transcript)
        connected = loop.time()
        await connection.start(hello_name, contexts, greeted_by=greeted_by, open_by=open_by)
    finally:
        ended = loop.time()
        greeted = ended if connection is None or connection.greeted_at is None else connection.greeted_at
        patience.spend(greeted - started, ended - started)
    connection.opening = Opening(connected - started, ended - connected)
    return connection


async def _connect(target: Target, timeouts: Timeouts, timeout: float, transcript: Transcript | None) -> Connection:
    try:
        stream = await tcp.connect(target.address, target.port, timeout=timeout)
    except ConnectFailed as error:
        # The time-out is the exception that was being handled when this one was made.
        is_timeout = isinstance(error.__context__, TimeoutError)
        failure = NetworkFailure.CONNECT_TIMEOUT if is_timeout else NetworkFailure.CONNECT_REFUSED
        if transcript is not None:
            transcript.note(f"not connected: {error}")
        raise DeliveryFault(Step.CONNECT, failure, detail=str(error)) from error
    connection = Connection(stream, target, timeouts)
    connection.transcript = transcript
    return connection
