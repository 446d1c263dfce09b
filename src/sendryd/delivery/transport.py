"""A session with a receiving server, in six steps.

1. Connect: TCP to one address (`dialing`).
2. Greet: the server's greeting, EHLO, HELO for old servers.
3. Secure: STARTTLS as the target requires, and EHLO again (`securing`; implicit TLS comes before the greeting). If it fails, `tls_fallback`
   says what is tried next, over a new connection.
4. Log in: AUTH at a smart host, elsewhere nothing (`authenticating`).
5. Envelope: MAIL and RCPT, for each message (`sending`).
6. Data: DATA, the content and the final dot (`sending`); then 5 and 6 for the next message, or QUIT.

Reads: the target, the envelope, the content. Writes: nothing but the stream.
When things fail: `DeliveryFault` says at which step and how, and the connection is gone. A refusal of the message or of a recipient is no
fault but a result. A fault at the final dot is in doubt: the server may have taken the message. Cancellation closes the connection at once.
Limits: the time for steps 1 to 4 comes out of the attempt's `patience`, that for each reply out of `smtp.timeouts`.
Standards: RFC 5321, RFC 3207, RFC 4954, RFC 7435.
"""

import math
from collections.abc import Callable
from contextlib import suppress

from sendryd.delivery.authenticating import log_in
from sendryd.delivery.dialing import dial
from sendryd.delivery.dialogue import Dialogue, Timeouts
from sendryd.delivery.dialoguenotes import SessionNotes
from sendryd.delivery.faults import DeliveryFault, fault_of
from sendryd.delivery.patience import Patience
from sendryd.delivery.securing import TlsContexts, shake_hands, start_tls
from sendryd.delivery.sending import OutboundContent, StreamedContent, carry
from sendryd.delivery.target import Target
from sendryd.model.lane import NOT_CONNECTED
from sendryd.policy.replies.verdict import NetworkFailure, Relay
from sendryd.policy.tls import TlsMode, TlsSecurity, TlsTrouble
from sendryd.runtime.clock import Clock
from sendryd.runtime.faults import NetworkFault
from sendryd.runtime.stream import ByteStream, TlsInfo
from sendryd.smtp import client_commands
from sendryd.smtp.errors import RemoteProtocolError
from sendryd.smtp.extensions import Extensions
from sendryd.smtp.reply import SERVICE_CLOSING
from sendryd.smtp.timeouts import Step
from sendryd.smtp.transaction import OutboundEnvelope, Transaction, TransactionResult


async def open_connection(
    target: Target,
    *,
    hello_name: str,
    contexts: TlsContexts,
    timeouts: Timeouts,
    clock: Clock,
    patience: Patience | None = None,
    notes: SessionNotes | None = None,
) -> "Connection":
    """Steps 1 to 4. Takes the time that they need off the attempt's patience. Raises `DeliveryFault`."""
    started = clock.monotonic()
    patience = patience or Patience()
    greeted_by, open_by = started + patience.share, started + max(patience.opening, patience.share)
    connection: Connection | None = None
    try:
        stream = await dial(target, min(timeouts[Step.CONNECT], patience.share))
        connected = clock.monotonic()
        connection = Connection(stream, target, timeouts, clock)
        connection.take_notes(notes)
        await connection.start(hello_name, contexts, greeted_by=greeted_by, open_by=open_by)
    except DeliveryFault as fault:
        if connection is None and notes is not None:
            notes.note_fault(f"{NOT_CONNECTED}: {fault.detail}")
        raise
    finally:
        ended = clock.monotonic()
        greeted = ended if connection is None or connection.greeted_at is None else connection.greeted_at
        patience.spend(greeted - started, ended - started)
    connection.connect_time, connection.handshake_time = connected - started, ended - connected
    return connection


def _do_nothing() -> None:
    """The session is not counted."""


class Connection:
    """A session, ready for transactions one after the other. Made by `open_connection`."""

    def __init__(self, stream: ByteStream, target: Target, timeouts: Timeouts, clock: Clock) -> None:
        self.target = target
        self.messages_sent = 0  # transactions carried so far, whatever their result
        self.site = ""  # whose session it is
        self.on_closed: Callable[[], None] = _do_nothing  # called once
        self.max_messages: int | None = None  # that it may carry; None: any number
        self.connect_time = 0.0  # seconds until TCP was connected
        self.handshake_time = 0.0  # seconds from there to the end of step 4
        self.greeted_at: float | None = None  # monotonic seconds
        self._dialogue = Dialogue(stream, timeouts, clock, is_encrypted=target.tls.is_implicit)
        self._stream = stream
        self._clock = clock
        self._is_closed = False
        self._needs_reset = False

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else repr(self._dialogue.machine)
        tls = self.tls.version if self.tls else "clear"
        return f"<Connection {self.target.host} [{self.target.address}]:{self.target.port} {tls} messages={self.messages_sent} {state}>"

    @property
    def is_used_up(self) -> bool:
        """It has carried as many transactions as it may."""
        return self.max_messages is not None and self.messages_sent >= self.max_messages

    @property
    def extensions(self) -> Extensions:
        """What the server offers."""
        return self._dialogue.machine.extensions

    @property
    def tls(self) -> TlsInfo | None:
        """None in clear text."""
        return self._stream.tls

    @property
    def is_verified(self) -> bool:
        """The certificate was checked."""
        return self._stream.tls is not None and self.target.tls.is_authenticated

    @property
    def was_reused(self) -> bool:
        """It has carried a transaction before."""
        return self.messages_sent > 0

    @property
    def is_usable(self) -> bool:
        """Another transaction may be tried: open, in step, and the server has neither said anything nor closed."""
        return not self._is_closed and self._dialogue.machine.is_idle and not self._stream.has_unread

    def take_notes(self, notes: SessionNotes | None) -> None:
        """What is said from now on is noted there."""
        self._dialogue.notes = notes

    def relay(self, duration_ms: int) -> Relay:
        """The server, for verdicts. Only the first message's has the times of opening."""
        target, tls, is_first = self.target, self._stream.tls, self.messages_sent <= 1
        return Relay(
            host=target.host,
            address=target.address,
            port=target.port,
            tls=tls.version if tls is not None else "",
            duration_ms=duration_ms,
            connect=self.connect_time if is_first else 0.0,
            handshake=self.handshake_time if is_first else 0.0,
            security=target.tls.security if tls is not None else TlsSecurity.NONE,
            source=target.source.address if target.source is not None else "",
        )

    # Steps 2 to 4.

    async def start(self, hello_name: str, contexts: TlsContexts, *, greeted_by: float = math.inf, open_by: float = math.inf) -> None:
        """From the greeting to the point where mail may be sent, by these moments in monotonic seconds. Raises `DeliveryFault`."""
        dialogue = self._dialogue
        dialogue.deadline = greeted_by
        try:
            if self.target.tls.is_implicit:
                await shake_hands(dialogue, self.target, contexts)
            await self._greet()
            dialogue.deadline = open_by
            await self._say_hello(hello_name)
            may_secure = self.target.tls.mode is not TlsMode.NEVER and not dialogue.machine.is_encrypted
            if may_secure and await start_tls(dialogue, self.target, contexts):
                await self._say_hello(hello_name)
            await log_in(dialogue, self.target)
        except BaseException as error:
            fault = self._break(error)
            if fault is None:
                raise
            raise fault from error
        dialogue.deadline = math.inf

    async def _greet(self) -> None:
        reply = await self._dialogue.reply()
        self.greeted_at = self._clock.monotonic()
        if not reply.is_positive:
            raise DeliveryFault(Step.GREETING, reply)

    async def _say_hello(self, name: str) -> None:
        reply = await self._dialogue.ask(client_commands.ehlo(name))
        if reply.is_permanent:  # RFC 5321 §3.2: an old server, or one that wants to look like it
            reply = await self._dialogue.ask(client_commands.helo(name))
        if not reply.is_positive:
            raise DeliveryFault(Step.EHLO, reply)

    # Steps 5 and 6.

    async def deliver(self, envelope: OutboundEnvelope, content: OutboundContent | StreamedContent) -> TransactionResult:
        """One transaction. Raises `DeliveryFault` if it did not end; `is_usable` tells whether another may follow."""
        transaction = Transaction(envelope, self.extensions)
        if transaction.is_done:
            return transaction.result()
        was_reused = self.was_reused
        self.messages_sent += 1
        try:
            if self._needs_reset:
                await self._reset()
            await carry(self._dialogue, transaction, content)
        except BaseException as error:
            fault = self._break(error)
            if fault is None:
                raise
            if transaction.is_decided:  # what broke could not change anything any more
                return transaction.result()
            self._explain(fault, transaction, was_reused=was_reused)
            raise fault from error
        self._needs_reset = transaction.needs_reset
        if not self._dialogue.machine.is_idle:
            self.abort()
        result = transaction.result()
        if was_reused and result.failed_at is Step.MAIL:
            reply = result.per_recipient[envelope.forward_paths[0]]
            if reply.code == SERVICE_CLOSING:  # it was closing already when we asked
                raise DeliveryFault(Step.MAIL, reply, may_retry=True)
        return result

    async def _reset(self) -> None:
        reply = await self._dialogue.ask(client_commands.RSET)
        self._needs_reset = False
        if not reply.is_positive:
            raise DeliveryFault(Step.RSET, reply)

    def _explain(self, fault: DeliveryFault, transaction: Transaction, *, was_reused: bool) -> None:
        """Adds to a fault what is known of the transaction that it broke."""
        fault.replies = transaction.result().per_recipient
        fault.may_retry = was_reused and not transaction.is_mail_answered
        is_dead = not was_reused and not transaction.is_mail_answered and fault.failure is NetworkFailure.CLOSED
        if is_dead and self._dialogue.machine.is_encrypted:
            fault.trouble = TlsTrouble.SESSION

    # Ending.

    async def quit(self) -> None:
        """Says goodbye and closes. Waits for the answer for `Step.QUIT` at most, and never raises but for cancellation."""
        try:
            if self.is_usable:
                with suppress(NetworkFault, RemoteProtocolError):
                    await self._dialogue.ask(client_commands.QUIT)
                    self._is_closed = True
                    await self._stream.aclose()
        finally:
            self.abort()

    def abort(self) -> None:
        """Closes at once. May be called again."""
        if not self._is_closed:
            self._is_closed = True
            self._stream.abort()
        end, self.on_closed = self.on_closed, _do_nothing
        end()

    def _break(self, error: BaseException) -> DeliveryFault | None:
        """Closes after an exception; the fault that it is, None if it is none of the network's or the server's."""
        self.abort()
        fault = fault_of(error, self._dialogue.machine.awaiting, is_in_tls=self._stream.tls is not None)
        if fault is not None:
            self._dialogue.note_fault(f"session broken at {fault}")
        return fault
