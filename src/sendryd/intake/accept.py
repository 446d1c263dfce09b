"""Admission, preparation, one commit, receipt.

Does: decides whether a key may send this content, makes the final bytes, and stores message, content, deliveries and events in one
durable transaction. Only then is there a receipt.
Reads: keys and sending domains, through the directory.
Writes: `store.accept`, `store.accept_all`, `store.amend`, and nothing else.
When things fail: what the store cannot take is refused for the time being; nothing is half accepted.
Limits: those of the header block in `message.headers`; size and number of recipients are the door's business.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from sendryd.intake.directory import Directory
from sendryd.intake.fingerprint import TEST_ANSWERS, answer_key, fingerprint
from sendryd.intake.handoff import Handoff
from sendryd.intake.prepare import Draft, finish, read_draft, without_mbox_line
from sendryd.intake.quota import Quotas
from sendryd.intake.rebuild import replace_bodies
from sendryd.intake.submission import Options, Origin, Receipt, Recipient, Submission
from sendryd.intake.twins import Twins, TwinUnderWay
from sendryd.message.asciiheader import needs_smtputf8
from sendryd.message.control import NO_ORDERS, Orders
from sendryd.message.errors import MalformedMessage
from sendryd.message.personalise import NO_HTML, why_untracked
from sendryd.message.template import Rendered, TemplateError
from sendryd.message.trace import received_line
from sendryd.message.transfer import shorten_lines
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import NO_DOMAIN, DeliveryState
from sendryd.model.domain import SendingDomain
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import (
    API_KEY_PREFIX,
    MESSAGE_PREFIX,
    TEMPLATE_PREFIX,
    AccountId,
    ApiKeyId,
    DeliveryId,
    EventId,
    MessageId,
    TemplateId,
    format_id,
    parse_id,
)
from sendryd.model.message import Message, MessageType
from sendryd.model.suppression import SuppressionReason
from sendryd.policy.admission import admit_author
from sendryd.policy.permissions import NotForLiveMail
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.policy.schedule import ScheduleError, parse_scheduled_at
from sendryd.policy.simulation import scenario_for
from sendryd.policy.suppress import normalise_address
from sendryd.runtime.clock import Clock
from sendryd.runtime.fence import FenceUnavailable
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.runtime.maillog import MailLog, outcome_fields
from sendryd.runtime.metrics import Metrics
from sendryd.runtime.rand import Rand
from sendryd.runtime.wakeup import Wakeup
from sendryd.store.base import AcceptStore, Answer, Claim, ClaimedDelivery, Lease, NewDelivery, NewEvent, NewMessage
from sendryd.store.errors import AlreadyAnswered, Changed, NotAllowed, NotFound, StoreError, StoreFull

ANSWERS_KEPT: Final = timedelta(hours=24)  # of idempotent requests: the contract
BOUNDARY_LENGTH: Final = 24  # letters and digits: 142 bits, which no content can guess
LARGE: Final = 256 * 1024  # octets: rewriting more than this takes milliseconds, which a thread spends better than the loop
LARGE_HEADER: Final = 32 * 1024  # octets, likewise: what people are shown of a header block is decoded word by word

TEST_INBOX: Final = "test inbox"  # the relay of mail that a test key sends
# What a recipient's line in the mail log is called where acceptance is the end: suppressed, or caught in the Test Inbox.
_FINAL_EVENTS: Final = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.BOUNCED: "bounced",
    DeliveryState.EXPIRED: "expired",
    DeliveryState.SUPPRESSED: "suppressed",
}

log = get_logger("intake")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeSettings:
    """What the door needs to know of the installation."""

    hostname: str
    hide_client_address: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message that is ready to be committed. It holds nothing: it may as well be forgotten."""

    new: NewMessage
    idempotency_key: str | None  # of its control header
    origin: Origin

    @property
    def public_id(self) -> str:
        """`em_…`."""
        return format_id(MESSAGE_PREFIX, self.new.message.id)


class TemplateRenderer(Protocol):
    """Stored templates, as the door sees them."""

    async def render(self, account_id: AccountId, template_id: TemplateId, variables: Mapping[str, Any], *, mode: KeyMode) -> Rendered:
        """A template with its variables in place, for mail of this mode. Raises `NotFound`, `TemplateError`, `NotForLiveMail`."""
        ...


class Intake:
    """The single door."""

    def __init__(
        self,
        store: AcceptStore,
        directory: Directory,
        settings: IntakeSettings,
        *,
        clock: Clock,
        ids: IdSource,
        rand: Rand,
        metrics: Metrics,
        mail_log: MailLog,
        wakeup: Wakeup,
        handoff: Handoff | None = None,
        templates: TemplateRenderer | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self._store = store
        self._directory = directory
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._rand = rand
        self._metrics = metrics
        self._accepted = {mode: metrics.accepted.labels(mode.value) for mode in KeyMode}
        self._mail_log = mail_log
        self._wakeup = wakeup
        self._handoff = handoff
        self._templates = templates
        self._quotas = quotas
        self._twins = Twins()

    async def check_room(self, size: int) -> None:
        """Raises `StoreFull` if a message of this size would be refused for want of room, before it is sent for nothing."""
        await self._store.check_room(size)

    async def accept(self, submission: Submission) -> Receipt | Refusal:
        """Stores a message, durably, and gives its receipt; or says why not, having stored nothing."""
        prepared = await self.prepare(submission)
        if isinstance(prepared, Refusal):
            return prepared
        if prepared.idempotency_key is not None:
            return await self._accept_once(submission, prepared, prepared.idempotency_key)
        refusal = await self.commit([prepared])
        return refusal or Receipt(prepared.public_id)

    async def _accept_once(self, submission: Submission, prepared: Prepared, key: str) -> Receipt | Refusal:
        """A message whose control header gives it an idempotency key."""
        account_id, key = submission.key.account_id, answer_key(submission.key.mode, key)
        is_large = len(submission.content) > LARGE
        told = await asyncio.to_thread(fingerprint, submission) if is_large else fingerprint(submission)

        async def send() -> bytes | Refusal:
            body = prepared.public_id.encode("ascii")
            refusal = await self.commit([prepared], self.make_answer(account_id, key, told, body))
            return refusal or body

        result = await self.once(account_id, key, told, send)
        return result if isinstance(result, Refusal) else Receipt(result.decode("ascii"))

    async def once(
        self, account_id: AccountId, key: str, fingerprint: bytes, send: Callable[[], Awaitable[bytes | Refusal]]
    ) -> bytes | Refusal:
        """What a request with an idempotency key is answered: what `send` comes to, which commits its answer with what it does, or what it
        came to when it was sent before.
        """
        try:
            async with self._twins.turn(account_id, key):
                answer = await self._store.find_answer(account_id, key, kept_since=self._kept_since())
                if answer is None and key.startswith(TEST_ANSWERS):  # what live mail has used is taken for test mail too
                    answer = await self._store.find_answer(account_id, key.removeprefix(TEST_ANSWERS), kept_since=self._kept_since())
                if answer is None:
                    return await send()
        except AlreadyAnswered as answered:  # by another process, between the look and the commit
            answer = answered.answer
        except TwinUnderWay:
            return Refusal(RefusalKey.IDEMPOTENCY_CONFLICT, "A request with this idempotency key is still being handled: try again later")
        except StoreError as error:
            return self._unstored(error)
        if answer.fingerprint != fingerprint:
            sentence = "This idempotency key was used for another request: use a new key for each request"
            return Refusal(RefusalKey.IDEMPOTENCY_CONFLICT, sentence)
        return answer.body

    def make_answer(self, account_id: AccountId, key: str, fingerprint: bytes, body: bytes) -> Answer:
        """An answer to be committed with what it tells of."""
        return Answer(account_id=account_id, key=key, fingerprint=fingerprint, body=body, created_at=self._clock.now())

    def _kept_since(self) -> datetime:
        return self._clock.settled() - ANSWERS_KEPT

    async def prepare(self, submission: Submission, *, message_id: MessageId | None = None) -> Prepared | Refusal:
        """Everything but the commit. `message_id` is that of a message that is made anew."""
        result = await self._prepare(submission, message_id)
        if isinstance(result, Refusal):
            self._metrics.refused.labels(result.key.value).inc()
            self._log_refusal(result, submission.key.id, submission.origin, len(submission.recipients))
        return result

    async def _prepare(self, submission: Submission, message_id: MessageId | None) -> Prepared | Refusal:
        content = without_mbox_line(submission.content)
        if content is not submission.content:
            bare_lf, cut = submission.first_bare_lf, len(submission.content) - len(content)
            submission = replace(submission, content=content, first_bare_lf=None if bare_lf is None else bare_lf - cut)
        draft = await self._read_draft(submission.content, submission.first_bare_lf)
        if isinstance(draft, Refusal):
            return draft
        try:
            domain = await self._admit(submission, draft)
            if isinstance(domain, Refusal):
                return domain
            if draft.orders is not NO_ORDERS:
                obeyed = await self._obey(submission, draft)
                if isinstance(obeyed, Refusal):
                    return obeyed
                submission, draft = obeyed
            if submission.has_long_lines:
                shortened = await self._shorten(submission)
                submission = replace(submission, content=shortened, is_8bit=not shortened.isascii())
                draft = replace(draft, headers=draft.headers.parse(shortened))
            options = await self._with_tracking(submission, draft, domain)
            skipped = await self._find_skipped(submission, options)
            is_tracked = options.track_opens or options.track_clicks
            not_tracked = await self._find_untracked(submission, draft, options) if is_tracked else None
            new = self._build(submission, draft, domain, options, skipped, message_id, not_tracked)
            return Prepared(new, draft.orders.idempotency_key, submission.origin)
        except MalformedMessage as error:
            return Refusal(RefusalKey.MALFORMED_MESSAGE, error.reason)
        except StoreError as error:
            return self._unstored(error)

    async def _read_draft(self, content: bytes, first_bare_lf: int | None) -> Draft | Refusal:
        hostname = self._settings.hostname
        if len(content) <= LARGE_HEADER or content.find(b"\r\n\r\n", 0, LARGE_HEADER) >= 0:
            return read_draft(content, first_bare_lf, hostname=hostname)
        return await asyncio.to_thread(read_draft, content, first_bare_lf, hostname=hostname)

    async def _admit(self, submission: Submission, draft: Draft) -> SendingDomain | Refusal | None:
        """The domain that signs; None: test mode, nothing is signed."""
        key = submission.key
        if key.mode is KeyMode.TEST:
            return None
        for name in draft.responsible_domains:
            covering = await self._directory.covering_domains(key.account_id, name)
            admitted = admit_author(key, name, covering)
            if isinstance(admitted, Refusal):
                return admitted
        name = draft.author.domain
        return admit_author(key, name, await self._directory.covering_domains(key.account_id, name))

    async def _obey(self, submission: Submission, draft: Draft) -> tuple[Submission, Draft] | Refusal:
        """The submission with what its control headers order."""
        options = self._options(submission, draft.orders)
        if isinstance(options, Refusal):
            return options
        submission = replace(submission, options=options)
        return await self._from_template(submission, draft) if draft.orders.template_id is not None else (submission, draft)

    def _options(self, submission: Submission, orders: Orders) -> Options | Refusal:
        scheduled_at = submission.options.scheduled_at
        if orders.scheduled_at is not None:
            try:
                scheduled_at = parse_scheduled_at(orders.scheduled_at, self._clock.now())
            except ScheduleError as error:
                return Refusal(RefusalKey.CONTROL_HEADER, f"X-Sendry-Scheduled-At ({error})")
        options = replace(
            submission.options,
            tags=submission.options.tags + orders.tags,
            scheduled_at=scheduled_at,
            track_opens=orders.track_opens,
            track_clicks=orders.track_clicks,
        )
        if orders.unsubscribe_url is None:
            return options
        return replace(options, type=MessageType.MARKETING, unsubscribe_url=orders.unsubscribe_url)

    async def _from_template(self, submission: Submission, draft: Draft) -> tuple[Submission, Draft] | Refusal:
        """The message with a stored template's subject and bodies in place of its own."""
        orders = draft.orders
        name = "X-Sendry-Template-Id"
        number = parse_id(orders.template_id or "", TEMPLATE_PREFIX)
        if number is None or self._templates is None:
            return Refusal(RefusalKey.CONTROL_HEADER, f"{name} (there is no such template)")
        template_id = TemplateId(number)
        try:
            key = submission.key
            rendered = await self._templates.render(key.account_id, template_id, orders.variables, mode=key.mode)
        except NotForLiveMail as error:
            return Refusal(RefusalKey.CONTROL_HEADER, f"{name} ({error})")
        except NotFound:
            return Refusal(RefusalKey.CONTROL_HEADER, f"{name} (there is no such template)")
        except TemplateError as error:
            return Refusal(RefusalKey.CONTROL_HEADER, f"X-Sendry-Variables ({error})")
        except FenceUnavailable as error:
            log.warning("template_not_rendered", template_id=format_id(TEMPLATE_PREFIX, template_id), reason=str(error))
            return Refusal(RefusalKey.TEMPORARILY_UNAVAILABLE)
        content = await asyncio.to_thread(replace_bodies, submission.content, draft.headers, rendered, self._rand.secret(BOUNDARY_LENGTH))
        again = await self._read_draft(content, None)
        if isinstance(again, Refusal):
            return again
        options = replace(submission.options, template_id=template_id)
        made = replace(submission, content=content, is_8bit=not content.isascii(), has_long_lines=False, options=options)
        return made, replace(again, orders=orders)

    def quota_resets_in(self, refusal: Refusal) -> int:
        """Whole seconds after which who has used up a quota may try again."""
        return self._quotas.retry_after(refusal) if self._quotas is not None else 1

    async def _with_tracking(self, submission: Submission, draft: Draft, domain: SendingDomain | None) -> Options:
        """What is tracked: as asked for, else as the domain is set."""
        options = submission.options
        if options.track_opens is not None and options.track_clicks is not None:
            return options
        if domain is None:
            covering = await self._directory.covering_domains(submission.key.account_id, draft.author.domain)
            if not covering:
                return options
            domain = covering[0]
        does_track_opens = options.track_opens is None and domain.settings.track_opens
        # Links in mail that comes by SMTP are rewritten only if its header asks for it: the relay's documentation.
        does_track_clicks = options.track_clicks is None and options.is_rest and domain.settings.track_clicks
        if not does_track_opens and not does_track_clicks:
            return options
        return replace(
            options,
            track_opens=does_track_opens or options.track_opens,
            track_clicks=does_track_clicks or options.track_clicks,
        )

    async def _find_skipped(self, submission: Submission, options: Options) -> Mapping[str, SuppressionReason | None]:
        """The recipients that get nothing, and why: suppressed, or, for marketing, unsubscribed."""
        account_id = submission.key.account_id
        paths: dict[str, list[str]] = {}
        for recipient in submission.recipients:
            paths.setdefault(normalise_address(recipient.forward_path), []).append(recipient.forward_path)
        suppressed = await self._store.find_suppressed(account_id, list(paths))
        unsubscribed: frozenset[str] = frozenset()
        if options.type is MessageType.MARKETING:
            unsubscribed = await self._store.find_unsubscribed(account_id, options.list_id, list(paths)) - suppressed
        if not suppressed and not unsubscribed:
            return {}
        return {path: None for email in suppressed for path in paths[email]} | {
            path: SuppressionReason.UNSUBSCRIBE for email in unsubscribed for path in paths[email]
        }

    @staticmethod
    async def _find_untracked(submission: Submission, draft: Draft, options: Options) -> str | None:
        """Why the message cannot be tracked though it should be; None if it can, as all that REST makes."""
        if options.is_rest:
            return None
        content = submission.content
        is_large = len(content) > LARGE
        reason = await asyncio.to_thread(why_untracked, content) if is_large else why_untracked(content)
        is_ordered = draft.orders.track_opens or draft.orders.track_clicks
        return None if reason == NO_HTML and not is_ordered else reason

    @staticmethod
    async def _shorten(submission: Submission) -> bytes:
        if len(submission.content) < LARGE:
            return shorten_lines(submission.content)
        return await asyncio.to_thread(shorten_lines, submission.content)

    def _build(
        self,
        submission: Submission,
        draft: Draft,
        domain: SendingDomain | None,
        options: Options,
        skipped: Mapping[str, SuppressionReason | None],
        number: MessageId | None,
        not_tracked: str | None,
    ) -> NewMessage:
        now = self._clock.now()
        number = MessageId(self._ids.next()) if number is None else number
        public_id = format_id(MESSAGE_PREFIX, number)
        hostname, origin = self._settings.hostname, submission.origin
        internet_message_id = draft.internet_message_id or f"<{public_id}@{hostname}>"
        received = received_line(
            hello=origin.hello,
            address=origin.address,
            hostname=hostname,
            queue_id=public_id,
            tls=(origin.tls.version, origin.tls.cipher) if origin.tls else None,
            is_smtputf8=origin.is_smtputf8,
            hide_client=self._settings.hide_client_address,
            now=now,
            is_http=origin.is_http,
        )
        content = finish(draft, submission.content, received=received, message_id=internet_message_id, now=now, hostname=hostname)
        message = Message(
            id=number,
            account_id=submission.key.account_id,
            api_key_id=submission.key.id,
            mode=submission.key.mode,
            reverse_path=submission.reverse_path,
            author=draft.author_text,
            to=draft.to or tuple(recipient.forward_path for recipient in submission.recipients),
            cc=draft.cc,
            subject=draft.subject,
            internet_message_id=internet_message_id,
            size=len(content),
            created_at=now,
            signing_domain_id=domain.id if domain else None,
            needs_smtputf8=(
                needs_smtputf8(draft.headers)
                or not submission.reverse_path.isascii()
                or not all(recipient.is_ascii for recipient in submission.recipients)
            ),
            is_8bit=submission.is_8bit,
            ret=submission.ret,
            envid=submission.envid,
            type=options.type,
            tags=options.tags,
            scheduled_at=options.scheduled_at,
            track_opens=bool(options.track_opens),
            track_clicks=bool(options.track_clicks),
            template_id=options.template_id,
            list_id=options.list_id,
            unsubscribe_url=options.unsubscribe_url,
        )
        deliveries = tuple(self._new_delivery(recipient, message, skipped, not_tracked) for recipient in submission.recipients)
        return NewMessage(message=message, content=content, deliveries=deliveries, draft=options.draft)

    def _new_delivery(
        self, recipient: Recipient, message: Message, skipped: Mapping[str, SuppressionReason | None], not_tracked: str | None
    ) -> NewDelivery:
        events = [self._event(EventType.QUEUED, {"not_tracked": not_tracked} if not_tracked else {})]
        if recipient.forward_path in skipped:
            reason = skipped[recipient.forward_path]
            state = DeliveryState.SUPPRESSED
            events.append(self._event(EventType.SUPPRESSED, {"reason": reason.value if reason else "suppressed"}))
        elif message.mode is KeyMode.TEST and message.scheduled_at is None:
            # Captured here and now: a test key's mail never is a delivery that an engine could pick up.
            scenario = scenario_for(recipient.forward_path)
            state = scenario.state
            events += [self._event(word, metadata) for word, metadata in scenario.events]
        else:
            state = DeliveryState.QUEUED
        return NewDelivery(
            id=DeliveryId(self._ids.next()),
            forward_path=recipient.forward_path,
            domain=NO_DOMAIN if message.mode is KeyMode.TEST else recipient.domain,
            state=state,
            due_at=message.waits_since,
            events=tuple(events),
            notify=recipient.notify,
            orcpt=recipient.orcpt,
        )

    def _event(self, word: EventType, metadata: Metadata) -> NewEvent:
        return NewEvent(id=EventId(self._ids.next()), type=word, metadata=metadata)

    async def commit(self, prepared: Sequence[Prepared], answer: Answer | None = None) -> Refusal | None:
        """Stores prepared messages, and the answer to the request that they came in, all of it or nothing. Durable.

        None if it is done, else why not. Raises `AlreadyAnswered`.
        """
        refusal = await self._commit(prepared, answer)
        if refusal is not None:
            for each in prepared:
                self._log_refusal(refusal, each.new.message.api_key_id, each.origin, len(each.new.deliveries))
        return refusal

    async def _commit(self, prepared: Sequence[Prepared], answer: Answer | None) -> Refusal | None:
        refusal = await self._take_quota(prepared)
        if refusal is not None:
            return refusal
        news: list[NewMessage] = []
        try:
            for each in prepared:
                news.append(self._reserve(each.new))
            if len(news) == 1 and answer is None:
                await self._store.accept(news[0])
            else:
                await self._store.accept_all(news, answer, kept_since=self._kept_since())
        except BaseException as error:
            self._give_back(prepared, news)
            if isinstance(error, StoreError):
                return self._unstored(error)
            raise
        for new, each in zip(news, prepared, strict=True):
            self._accepted[new.message.mode].inc()
            if self._mail_log.is_on:
                self._log_acceptance(new, each.origin)
            if new.lease and self._handoff:
                self._handoff.offer(new.lease, _claims(new, new.lease), new.content)
            else:
                self._wakeup.set()
        return None

    def _log_acceptance(self, new: NewMessage, origin: Origin) -> None:
        mail_log, message = self._mail_log, new.message
        is_test = message.mode is KeyMode.TEST
        tls = origin.tls.version if origin.tls else None
        mail_log.accepted(message, recipients=len(new.deliveries), client=origin.address, tls=tls, door=_door(origin))
        for delivery in new.deliveries:
            event = _FINAL_EVENTS.get(delivery.state)
            if event is not None:  # suppressed, or captured
                fields = outcome_fields(delivery.events[-1].metadata)
                if is_test:
                    fields["relay"] = TEST_INBOX
                mail_log.outcome(event, message, delivery.forward_path, {"delay": 0.0, **fields})

    def _log_refusal(self, refusal: Refusal, key_id: ApiKeyId | None, origin: Origin, recipients: int) -> None:
        key = format_id(API_KEY_PREFIX, key_id) if key_id is not None else None
        self._mail_log.refused(refusal, door=_door(origin), client=origin.address, key=key, recipients=recipients)

    async def amend(self, prepared: Prepared, *, made_from: bytes | None = None) -> Refusal | None:
        """Stores a prepared message in the place of the scheduled one with its id. It counts for no quota again.

        None if it is done, else why not. Raises `NotFound`, `NotAllowed`: it has begun to be sent; `Changed`: its draft is another one than it
        was made from.
        """
        try:
            await self._store.amend(prepared.new, self._clock.now(), made_from=made_from)
        except (Changed, NotFound, NotAllowed):
            raise
        except StoreError as error:
            refusal = self._unstored(error)
            self._log_refusal(refusal, prepared.new.message.api_key_id, prepared.origin, len(prepared.new.deliveries))
            return refusal
        self._wakeup.set()
        return None

    async def _take_quota(self, prepared: Sequence[Prepared]) -> Refusal | None:
        if self._quotas is None:
            return None
        try:
            refusal = await self._quotas.take([each.new.message for each in prepared])
        except StoreError as error:
            return self._unstored(error)
        if refusal is not None:
            self._metrics.refused.labels(refusal.key.value).inc()
        return refusal

    def _give_back(self, prepared: Sequence[Prepared], reserved: Sequence[NewMessage]) -> None:
        """What was taken for messages that are not stored after all."""
        if self._quotas is not None:
            self._quotas.give_back([each.new.message for each in prepared])
        for new in reserved:
            if new.lease and self._handoff:
                self._handoff.cancel_reservation(new.lease)

    def _reserve(self, new: NewMessage) -> NewMessage:
        """The message with its deliveries leased to this process's engine, if that has room."""
        message = new.message
        if self._handoff is None or message.mode is not KeyMode.LIVE or message.scheduled_at is not None:
            return new
        domains = [delivery.domain for delivery in new.deliveries if delivery.state is DeliveryState.QUEUED]
        lease = self._handoff.reserve(domains, message.size) if domains else None
        if lease is None:
            return new
        leased = tuple(replace(each, state=DeliveryState.LEASED) if each.state is DeliveryState.QUEUED else each for each in new.deliveries)
        return replace(new, deliveries=leased, lease=lease)

    @staticmethod
    def _unstored(error: StoreError) -> Refusal:
        log.error("message_not_stored", error=repr(error))
        is_full = isinstance(error, StoreFull)
        return Refusal(RefusalKey.STORAGE_FULL if is_full else RefusalKey.TEMPORARILY_UNAVAILABLE)


def _door(origin: Origin) -> str:
    return "rest" if origin.is_http else "smtp"


def _claims(new: NewMessage, lease: Lease) -> list[Claim]:
    by_domain: dict[str, list[ClaimedDelivery]] = {}
    for delivery in new.deliveries:
        if delivery.state is not DeliveryState.LEASED:
            continue
        by_domain.setdefault(delivery.domain, []).append(
            ClaimedDelivery(
                id=delivery.id,
                forward_path=delivery.forward_path,
                domain=delivery.domain,
                attempts=0,
                is_in_doubt=False,
                notify=delivery.notify,
                orcpt=delivery.orcpt,
            )
        )
    return [
        Claim(message=new.message, domain=domain, deliveries=tuple(deliveries), lease=lease) for domain, deliveries in by_domain.items()
    ]
