"""One session of port 25: pumps a `smtp.server.ServerConnection` over a byte stream. The profile of this port has no AUTH.

What it does to a message is in `inbound.receiver`; which addresses it takes, in `inbound.addresses`.
"""

import asyncio
from typing import Final, assert_never

from sendryd.inbound import replies
from sendryd.inbound.addresses import Target
from sendryd.inbound.context import InboundContext
from sendryd.inbound.receiver import Received
from sendryd.policy.network import network_of
from sendryd.runtime.faults import NetworkFault, ReadTimedOut
from sendryd.runtime.log import get_logger
from sendryd.runtime.stream import ByteStream
from sendryd.smtp.errors import RemoteProtocolError
from sendryd.smtp.events import (
    PAUSED,
    Closed,
    Connected,
    ContentRefused,
    CredentialsOffered,
    DataEnded,
    DataRequested,
    Fault,
    Hello,
    MailFrom,
    RcptTo,
    ServerEvent,
    StartTLSRequested,
)
from sendryd.smtp.profile import RECEPTION
from sendryd.smtp.reply import Reply
from sendryd.smtp.server import ServerConnection
from sendryd.store.errors import StoreError

HANDSHAKE_TIMEOUT: Final = 30.0  # seconds for the TLS handshake
WRITE_TIMEOUT: Final = 60.0  # seconds for a client that does not read our replies
COMMAND_TIMEOUT: Final = 300.0  # seconds for a command: RFC 5321 §4.5.3.2.7
CONTENT_TIMEOUT: Final = 180.0  # seconds between two reads of content: RFC 5321 §4.5.3.2.5
SESSION_TIMEOUT: Final = 1800.0  # seconds from the greeting on: some hundreds of messages; a client must not hold a place for hours
MAX_UNKNOWN: Final = 20  # recipients of a session that are none of ours: more are guessed (the operator's interface says so)
MAX_LANES: Final = 1 << 20  # of the fence

log = get_logger("inbound")


class InboundSession:
    """One connection, from the greeting to the end."""

    def __init__(self, stream: ByteStream, context: InboundContext) -> None:
        self._stream = stream
        self._context = context
        self._machine = ServerConnection(hostname=context.hostname, limits=context.limits, profile=RECEPTION)
        self._network = network_of(stream.peer.host)
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._is_waiting = False
        self._ends = context.clock.monotonic() + SESSION_TIMEOUT
        self._hello = ""
        self._mail: MailFrom | None = None
        self._targets: dict[str, Target] = {}  # by forward-path
        self._held = 0  # octets of content that are counted
        self._unknown = 0

    def __repr__(self) -> str:
        return f"<InboundSession {self._stream.peer.host} awaiting={self._machine.awaiting.name}>"

    def request_stop(self) -> None:
        """Ends the session as soon as no transaction is under way."""
        self._is_stopping = True
        if self._is_waiting and not self._machine.is_in_transaction and self._task is not None:
            self._task.cancel()

    async def run(self) -> None:
        """Serves the session to its end. Never raises but for cancellation."""
        self._task = asyncio.current_task()
        client = self._stream.peer.host
        try:
            await self._serve()
        except (NetworkFault, RemoteProtocolError) as error:
            log.debug("session_lost", client=client, reason=str(error))
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
            self._machine.shut_down(replies.SHUTTING_DOWN)
            self._flush()
        except Exception:
            log.exception("session_failed", client=client)
            self._machine.shut_down(replies.FAILED)
            self._flush()
        finally:
            self._count(0)
            await self._stream.aclose()

    async def _serve(self) -> None:
        machine = self._machine
        while True:
            event = machine.next_event()
            if event is PAUSED:
                raise AssertionError("an event was left without its reply")
            if not isinstance(event, type):  # else it is NEED_DATA
                await self._handle(event)
                continue
            if self._is_stopping and not machine.is_in_transaction and not machine.is_closed:
                machine.shut_down(replies.SHUTTING_DOWN)
            self._flush()
            await self._stream.drain(WRITE_TIMEOUT)
            if machine.is_closed:
                return
            await self._read()

    async def _read(self) -> None:
        machine, now = self._machine, self._context.clock.monotonic()
        patience = CONTENT_TIMEOUT if machine.is_receiving_content else COMMAND_TIMEOUT
        self._is_waiting = True
        try:
            data = await self._stream.read(max(0.0, min(patience, self._ends - now)))
        except ReadTimedOut:
            machine.shut_down(replies.TIMED_OUT)
            return
        finally:
            self._is_waiting = False
        machine.receive_data(data)
        if machine.is_receiving_content and not self._count(machine.content_size + len(data)):
            machine.refuse_content(replies.BUSY)
            self._count(0)

    def _count(self, held: int) -> bool:
        before, self._held = self._held, held
        return self._context.shares.change(self._network, before, held)

    def _flush(self) -> None:
        data = self._machine.data_to_send()
        if data:
            self._stream.write(data)

    async def _handle(self, event: ServerEvent) -> None:
        machine = self._machine
        match event:
            case Connected():
                machine.reply(replies.greeting(self._context.hostname))
            case Hello():
                self._hello = event.name
                self._forget()
                machine.accept_hello()
            case StartTLSRequested():
                await self._on_starttls()
            case MailFrom():
                self._on_mail(event)
            case RcptTo():
                await self._on_rcpt(event)
            case DataRequested():
                machine.reply(replies.START_INPUT)
            case DataEnded():
                machine.reply(await self._on_content(event))
                self._forget()
            case ContentRefused():
                self._log_refusal(event.reply, "content")
                self._forget()
            case Fault():
                log.debug("client_fault", client=self._stream.peer.host, reply=str(event.reply), line=event.line_excerpt)
            case Closed():
                log.debug("session_closed", client=self._stream.peer.host, reason=event.reason)
            case CredentialsOffered():
                raise AssertionError("this port has no AUTH")
            case _:
                assert_never(event)

    def _forget(self) -> None:
        self._mail = None
        self._targets = {}
        self._count(0)

    async def _on_starttls(self) -> None:
        self._machine.reply(replies.READY_FOR_TLS)
        self._flush()
        await self._stream.start_tls(self._context.certificate.context, server_side=True, timeout=HANDSHAKE_TIMEOUT)
        self._machine.tls_established()
        self._forget()

    def _on_mail(self, event: MailFrom) -> None:
        self._forget()
        if not self._context.rates.take(self._network, self._context.clock.monotonic()):
            self._log_refusal(replies.TOO_MANY_MESSAGES, "MAIL")
            self._machine.reply(replies.TOO_MANY_MESSAGES)
            return
        self._mail = event
        self._machine.reply(replies.SENDER_OK)

    async def _on_rcpt(self, event: RcptTo) -> None:
        path = event.path.text
        try:
            target = await self._context.addresses.find(event.path.mailbox)
        except StoreError as error:
            log.error("recipient_not_looked_up", error=repr(error))
            self._machine.reply(replies.TRY_LATER)
            return
        if target is not None:
            self._targets[path] = target
            self._machine.reply(replies.RECIPIENT_OK)
            return
        self._unknown += 1
        self._log_refusal(replies.UNKNOWN_RECIPIENT, "RCPT", recipient=path)
        self._machine.reply(replies.UNKNOWN_RECIPIENT)
        if self._unknown >= MAX_UNKNOWN:
            self._machine.shut_down(replies.TOO_MANY_UNKNOWN)

    async def _on_content(self, event: DataEnded) -> Reply:
        mail = self._mail
        if mail is None or not self._targets:
            raise AssertionError("content without a recipient")
        self._flush()
        received = Received(
            content=event.content,
            reverse_path=str(mail.path.mailbox) if mail.path.mailbox else "",
            targets=tuple(self._targets.values()),
            client=self._stream.peer.host,
            hello=self._hello,
            lane=hash(self._network) % MAX_LANES,
        )
        return await self._context.receiver.receive(received)

    def _log_refusal(self, reply: Reply, step: str, **fields: object) -> None:
        self._context.metrics.refused.labels("inbound").inc()
        self._context.mail_log.refused(reply, door="inbound", client=self._stream.peer.host, step=step, **fields)
