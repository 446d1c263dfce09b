"""One SMTP session: pumps a `smtp.server.ServerConnection` over a byte stream and asks the door.

The machine knows the protocol, the policy knows who may do what, the door stores. This file owns what they may not: the stream, TLS,
time, and the order in which the three are asked.
"""

import asyncio
from collections.abc import Callable
from typing import Final, assert_never

from sendryd.intake.submission import Origin, Receipt, Recipient, Submission
from sendryd.model.apikey import ApiKey
from sendryd.model.ids import API_KEY_PREFIX, format_id
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.budget import IN_MEMORY, BudgetExhausted
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
from sendryd.smtp.reply import Reply
from sendryd.smtp.server import ServerConnection
from sendryd.submission import replies
from sendryd.submission.context import SessionContext
from sendryd.submission.deadlines import Deadlines
from sendryd.submission.incoming import IncomingContent
from sendryd.submission.login import Login
from sendryd.submission.refusals import CONTENT, Client, envelope, path_in

HANDSHAKE_TIMEOUT: Final = 30.0  # for the TLS handshake
WRITE_TIMEOUT: Final = 60.0  # for a client that does not read our replies
BURST: Final = 100  # pipelined commands answered before the other sessions get their turn: about a millisecond's work

_TRANSACTION_VERBS: Final = frozenset({"MAIL", "RCPT", "DATA", "BDAT"})

log = get_logger("submission")


class Session:
    """One connection, from the greeting to the end."""

    def __init__(
        self,
        stream: ByteStream,
        context: SessionContext,
        *,
        is_implicit_tls: bool,
        on_authenticated: Callable[["Session"], None] | None = None,
    ) -> None:
        self._stream = stream
        self._context = context
        self._is_implicit_tls = is_implicit_tls
        self._on_authenticated = on_authenticated
        self._machine = ServerConnection(hostname=context.hostname, limits=context.limits, encrypted=is_implicit_tls)
        self._task: asyncio.Task[None] | None = None
        self.was_authenticated = False  # a key has logged in, now or before
        self._is_stopping = False
        self._is_attending = False  # waiting for the client
        self._event: ServerEvent | None = None  # that cannot be answered without waiting for something
        self._must_spill = False  # more content is in memory than may be
        self._hello = ""
        self._login = Login(context.directory, context.intake, stream.peer.host)
        self._mail: MailFrom | None = None
        self._recipients: dict[str, Recipient] = {}
        self._incoming = IncomingContent(self._machine, context.budget, context.scratch_dir)
        self._deadlines = Deadlines(context.clock.monotonic())
        self._seen = context.sessions.begin(stream.peer.host)

    def __repr__(self) -> str:
        account = self._login.key.account_id if self._login.key else "nobody"
        return f"<Session {self._stream.peer.host} account={account} awaiting={self._machine.awaiting.name}>"

    @property
    def address(self) -> str:
        """The client's IP address."""
        return self._stream.peer.host

    def request_stop(self) -> None:
        """Ends the session as soon as no transaction is under way."""
        self._is_stopping = True
        if self._is_attending and not self._machine.is_in_transaction and self._task is not None:
            self._task.cancel()

    async def run(self) -> None:
        """Serves the session to its end. Never raises but for cancellation."""
        self._task = asyncio.current_task()
        try:
            if self._is_implicit_tls:
                await self._stream.start_tls(self._context.certificate.context, server_side=True, timeout=HANDSHAKE_TIMEOUT, is_first=True)
            await self._serve()
        except (NetworkFault, RemoteProtocolError) as error:
            log.info("session_ended", client=self._stream.peer.host, reason=str(error))
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
            self._machine.shut_down(replies.SHUTTING_DOWN)
            self._flush()
        except Exception:
            log.exception("session_failed", client=self._stream.peer.host)
            self._machine.shut_down(replies.TRY_LATER)
            self._flush()
        finally:
            self._incoming.drop()
            self._context.sessions.end(self._seen)
            await self._stream.aclose()

    async def _serve(self) -> None:
        machine, stream = self._machine, self._stream
        burst = 0
        while True:
            event, self._event = self._event or machine.next_event(), None
            if event is PAUSED:
                raise AssertionError("an event was left without its reply")
            if not isinstance(event, type):  # else it is NEED_DATA
                await self._handle(event)
                burst += 1
                if burst == BURST:
                    burst = 0
                    self._flush()
                    await stream.drain(WRITE_TIMEOUT)
                    await asyncio.sleep(0)  # noqa: TID251  a turn for others
                continue
            burst = 0
            if self._is_stopping and not machine.is_in_transaction and not machine.is_closed:
                machine.shut_down(replies.SHUTTING_DOWN)
            self._flush()
            if stream.is_congested:
                await stream.drain(WRITE_TIMEOUT)
                if self._is_stopping:  # asked while the client took its time
                    continue
            if machine.is_closed:
                return
            try:
                await self._attend()
            except ReadTimedOut:
                machine.shut_down(replies.TIMED_OUT)
                continue
            if self._must_spill and self._login.key is not None:
                self._must_spill = False
                await self._spill(self._login.key)

    def _flush(self) -> None:
        data = self._machine.data_to_send()
        if data:
            self._stream.write(data)

    async def _attend(self) -> None:
        """Waits for the client, and answers it for as long as nothing else has to be waited for."""
        seconds = self._patience(self._context.clock.monotonic())
        if self._incoming.is_in_file:  # large: many that come in at once must not hold up what is small
            data = await self._stream.read(seconds)
            await self._context.budget.turns.wait()
            self._take(data)
            return
        self._is_attending = True
        try:
            await self._stream.attend(self._take, seconds)
        finally:
            self._is_attending = False

    def _take(self, data: bytes) -> float | None:
        """Takes what came, and answers what can be answered at once: nearly every MAIL, RCPT and DATA. None: the task has to go on."""
        now = self._context.clock.monotonic()
        self._deadlines.credit(len(data), now)
        machine, incoming, key = self._machine, self._incoming, self._login.key
        machine.receive_data(data)
        if key is not None and not incoming.hold(key):
            self._must_spill = True
            return None
        for _ in range(BURST):
            event = machine.next_event()
            if isinstance(event, type):  # NEED_DATA: nothing is left without its reply
                return self._reply(now)
            if not self._answer(event):
                self._event = event
                return None
        self._deadlines.progress(now)
        return None

    def _reply(self, now: float) -> float | None:
        """Sends the replies to all that came. For how many seconds the client is waited for, None if the task has to go on."""
        reply = self._machine.data_to_send()
        if reply:
            self._deadlines.progress(now)
            self._stream.write(reply)
        if self._is_stopping or self._machine.is_closed or self._stream.is_congested:
            return None
        return self._patience(now)

    def _answer(self, event: ServerEvent) -> bool:
        """Answers an event of a transaction that goes well. False: it is left to `_handle`."""
        match event:
            case MailFrom():
                refusal = self._login.admit_known(event)
                if isinstance(refusal, type):
                    return False
                self._begin(event, refusal)
            case RcptTo():
                self._on_rcpt(event)
            case DataRequested():
                self._on_data()
            case _:
                return False
        return True

    def _patience(self, now: float) -> float:
        """For how many seconds the client is waited for."""
        return self._deadlines.seconds(now, is_content=self._machine.is_receiving_content, is_stranger=self._login.key is None)

    async def _spill(self, key: ApiKey) -> None:
        """Moves the content to a file, or refuses it where there is no room."""
        started = self._context.clock.monotonic()
        try:
            await self._incoming.spill(key, self._mail.size or 0 if self._mail else 0)
        except (BudgetExhausted, OSError) as error:
            log.warning("content_not_kept", client=self._stream.peer.host, key_id=format_id(API_KEY_PREFIX, key.id), error=repr(error))
            self._machine.refuse_content(replies.BUSY if isinstance(error, BudgetExhausted) else Refusal(RefusalKey.STORAGE_FULL).smtp)
            self._incoming.drop()
        self._deadlines.put_off(self._context.clock.monotonic() - started)

    async def _handle(self, event: ServerEvent) -> None:
        self._deadlines.progress(self._context.clock.monotonic())
        match event:
            case MailFrom():
                self._begin(event, await self._login.admit(event))
            case RcptTo():
                self._on_rcpt(event)
            case DataRequested():
                self._on_data()
            case DataEnded():
                await self._on_content(event)
            case Connected():
                self._machine.reply(replies.greeting(self._context.hostname))
            case Hello():
                self._hello = event.name
                self._mail = None
                self._context.sessions.note_hello(self._seen, event.name, self._stream.tls)
                self._machine.accept_hello()
            case StartTLSRequested():
                await self._on_starttls()
            case CredentialsOffered():
                await self._on_credentials(event)
            case ContentRefused():
                self._incoming.drop()
                self._context.metrics.refused.labels("content").inc()
                self._log_refusal(event.reply, CONTENT, recipients=len(self._recipients))
                self._mail = None
            case Fault():
                self._on_fault(event)
            case Closed():
                log.debug("session_closed", client=self._stream.peer.host, reason=event.reason)
            case _:
                assert_never(event)

    def _on_fault(self, fault: Fault) -> None:
        """A command that the machine has refused: of a transaction's, the mail log says so."""
        verb = fault.line_excerpt[:4].upper()
        if verb in _TRANSACTION_VERBS:
            self._log_refusal(fault.reply, verb, named=path_in(fault.line_excerpt), command=fault.line_excerpt)
        else:
            log.debug("client_fault", client=self._stream.peer.host, reply=str(fault.reply), line=fault.line_excerpt)

    def _log_refusal(self, refusal: Refusal | Reply, step: str, *, named: str = "", **fields: object) -> None:
        """Writes a refusal to both logs. `named` is the address in a refused command."""
        self._note_refusal(refusal, step, named)
        key = format_id(API_KEY_PREFIX, self._login.key.id) if self._login.key else None
        self._context.mail_log.refused(refusal, door="smtp", client=self._stream.peer.host, key=key, **fields)

    def _note_refusal(self, refusal: Refusal | Reply, step: str, named: str = "") -> None:
        client = Client(self._stream.peer.host, self._hello, self._stream.tls is not None, self._login.key)
        self._context.sessions.note_refusal(self._seen, refusal)
        self._context.refusals.add(refusal, step, client, envelope(self._mail, self._recipients, step, named))

    async def _on_starttls(self) -> None:
        self._machine.reply(replies.READY_FOR_TLS)
        self._flush()
        await self._stream.start_tls(self._context.certificate.context, server_side=True, timeout=HANDSHAKE_TIMEOUT)
        self._machine.tls_established()
        self._hello = ""
        self._mail = None

    async def _on_credentials(self, event: CredentialsOffered) -> None:
        refusal = await self._login.authenticate(event)
        if refusal is not None:
            if refusal.key is RefusalKey.TEMPORARILY_UNAVAILABLE:
                self._machine.reply(replies.LOGIN_UNAVAILABLE)
                return
            await self._punish(refusal)
            self._machine.reply(refusal.smtp)
            return
        self._machine.reply(replies.AUTHENTICATED)
        self._context.sessions.note_login(self._seen, self._login.key)
        if not self.was_authenticated:
            self.was_authenticated = True
            if self._on_authenticated:
                self._on_authenticated(self)

    async def _punish(self, refusal: Refusal) -> None:
        """Logs refused credentials, and delays the answer to whoever guesses."""
        context, host = self._context, self._stream.peer.host
        context.metrics.refused.labels(refusal.key.value).inc()
        delay = context.failures.record(host, context.clock.monotonic())
        self._log_refusal(refusal, "AUTH", delayed=delay)
        if delay:
            await context.clock.sleep(delay)

    def _begin(self, event: MailFrom, refusal: Refusal | None) -> None:
        """Begins a transaction, unless it is refused."""
        self._mail = None
        self._incoming.drop()  # of a transaction that was reset
        if refusal is not None:
            if self._login.key is None:
                self._machine.deauthenticate()
            self._context.metrics.refused.labels(refusal.key.value).inc()
            reverse_path = str(event.path.mailbox) if event.path.mailbox else ""
            self._log_refusal(refusal, "MAIL", named=reverse_path, reverse_path=reverse_path)
            self._machine.reply(refusal.smtp)
            return
        self._mail = event
        self._recipients = {}
        self._machine.reply(replies.SENDER_OK)

    def _on_rcpt(self, event: RcptTo) -> None:
        mailbox = event.path.mailbox
        path = event.path.text
        self._recipients[path] = Recipient(
            forward_path=path,
            domain=mailbox.domain,
            is_ascii=path.isascii(),
            notify=",".join(sorted(event.notify)) if event.notify else None,
            orcpt=event.orcpt,
        )
        self._machine.reply(replies.RECIPIENT_OK)

    def _on_data(self) -> None:
        self._deadlines.begin_content()
        self._machine.reply(replies.START_INPUT)

    async def _on_content(self, event: DataEnded) -> None:
        mail, key = self._mail, self._login.key
        if mail is None or key is None:
            raise AssertionError("content without an admitted sender")
        self._flush()
        result: Receipt | Refusal | Reply
        if self._incoming.is_in_file or len(event.content) > IN_MEMORY:
            result = await self._accept_large(event, mail, key)
        else:
            result = await self._context.intake.accept(self._submission(event.content, event, mail, key))
        if isinstance(result, Receipt):
            self._context.sessions.note_mail(self._seen, len(self._recipients))
            self._machine.reply(replies.queued(result.message_id))
        else:
            self._note_refusal(result, CONTENT)
            self._machine.reply(result.smtp if isinstance(result, Refusal) else result)
        self._mail = None
        self._recipients = {}
        self._incoming.drop()

    async def _accept_large(self, event: DataEnded, mail: MailFrom, key: ApiKey) -> Receipt | Refusal | Reply:
        """Waits for room for the work."""
        try:
            async with self._incoming.whole(event, key) as content:
                return await self._context.intake.accept(self._submission(content, event, mail, key))
        except BudgetExhausted as error:
            log.warning("content_budget_exceeded", client=self._stream.peer.host, error=str(error))
            return replies.BUSY
        except OSError as error:
            log.error("content_not_read", client=self._stream.peer.host, error=repr(error))
            return Refusal(RefusalKey.TEMPORARILY_UNAVAILABLE)

    def _submission(self, content: bytes, event: DataEnded, mail: MailFrom, key: ApiKey) -> Submission:
        stream = self._stream
        return Submission(
            actor=key,
            reverse_path=str(mail.path.mailbox) if mail.path.mailbox else "",
            recipients=tuple(self._recipients.values()),
            content=content,
            first_bare_lf=event.first_bare_lf,
            has_long_lines=event.longest_line_over_998,
            is_8bit=event.is_8bit,
            origin=Origin(hello=self._hello, address=stream.peer.host, tls=stream.tls, is_smtputf8=mail.is_smtputf8),
            ret=mail.ret,
            envid=mail.envid,
            requires_tls=mail.requires_tls,
        )
