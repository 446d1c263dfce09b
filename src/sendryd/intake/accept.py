"""Admission, preparation, one commit, receipt.

Does: decides whether a key may send this content, makes the final bytes, and stores message, content, deliveries and events in one
durable transaction. Only then is there a receipt.
Reads: keys and sending domains, through the directory.
Writes: `store.accept`, and nothing else.
When things fail: what the store cannot take is refused for the time being; nothing is half accepted.
Limits: those of the header block in `message.headers`; size and number of recipients are the door's business.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from sendryd.intake.directory import Directory
from sendryd.intake.handoff import Handoff
from sendryd.intake.prepare import Draft, finish, read_draft
from sendryd.intake.submission import Receipt, Recipient, Submission
from sendryd.message.errors import MalformedMessage
from sendryd.message.trace import received_line
from sendryd.message.transfer import shorten_lines
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import SendingDomain
from sendryd.model.event import EventType
from sendryd.model.ids import MESSAGE_PREFIX, DeliveryId, EventId, MessageId, format_id
from sendryd.model.message import Message
from sendryd.policy.admission import admit_author
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.runtime.metrics import Metrics
from sendryd.runtime.wakeup import Wakeup
from sendryd.store.base import AcceptStore, Claim, ClaimedDelivery, Lease, NewDelivery, NewEvent, NewMessage
from sendryd.store.errors import StoreError, StoreFull

LARGE: Final = 256 * 1024  # octets: rewriting more than this takes milliseconds, which a thread spends better than the loop

log = get_logger("intake")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeSettings:
    """What the door needs to know of the installation."""

    hostname: str
    hide_client_address: bool = False


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
        metrics: Metrics,
        wakeup: Wakeup,
        handoff: Handoff | None = None,
    ) -> None:
        self._store = store
        self._directory = directory
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._metrics = metrics
        self._accepted = {mode: metrics.accepted.labels(mode.value) for mode in KeyMode}
        self._wakeup = wakeup
        self._handoff = handoff

    async def accept(self, submission: Submission) -> Receipt | Refusal:
        """Stores a message, durably, and gives its receipt; or says why not, having stored nothing."""
        result = await self._accept(submission)
        if isinstance(result, Refusal):
            self._metrics.refused.labels(result.key.value).inc()
        else:
            self._accepted[submission.key.mode].inc()
        return result

    async def _accept(self, submission: Submission) -> Receipt | Refusal:
        draft = read_draft(submission.content, submission.first_bare_lf)
        if isinstance(draft, Refusal):
            return draft
        try:
            domain = await self._admit(submission, draft)
            if isinstance(domain, Refusal):
                return domain
            if submission.has_long_lines:
                shortened = await self._shorten(submission)
                submission = replace(submission, content=shortened, is_8bit=not shortened.isascii())
                draft = replace(draft, headers=draft.headers.parse(shortened))
            new = self._build(submission, draft, domain)
            return await self._commit(new)
        except MalformedMessage as error:
            return Refusal(RefusalKey.MALFORMED_MESSAGE, error.reason)
        except StoreError as error:
            log.error("message_not_stored", error=repr(error), account_id=submission.key.account_id)
            is_full = isinstance(error, StoreFull)
            return Refusal(RefusalKey.STORAGE_FULL if is_full else RefusalKey.TEMPORARILY_UNAVAILABLE)

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

    @staticmethod
    async def _shorten(submission: Submission) -> bytes:
        if len(submission.content) < LARGE:
            return shorten_lines(submission.content)
        return await asyncio.to_thread(shorten_lines, submission.content)

    def _build(self, submission: Submission, draft: Draft, domain: SendingDomain | None) -> NewMessage:
        now = self._clock.now()
        number = MessageId(self._ids.next())
        public_id = format_id(MESSAGE_PREFIX, number)
        hostname, origin = self._settings.hostname, submission.origin
        message_id = draft.internet_message_id or f"<{public_id}@{hostname}>"
        received = received_line(
            hello=origin.hello,
            address=origin.address,
            hostname=hostname,
            queue_id=public_id,
            tls=(origin.tls.version, origin.tls.cipher) if origin.tls else None,
            is_smtputf8=origin.is_smtputf8,
            hide_client=self._settings.hide_client_address,
            now=now,
        )
        content = finish(draft, submission.content, received=received, message_id=message_id, now=now)
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
            internet_message_id=message_id,
            size=len(content),
            created_at=now,
            signing_domain_id=domain.id if domain else None,
            needs_smtputf8=(
                draft.headers.has_8bit
                or not submission.reverse_path.isascii()
                or not all(recipient.is_ascii for recipient in submission.recipients)
            ),
            is_8bit=submission.is_8bit,
            ret=submission.ret,
            envid=submission.envid,
        )
        lease = self._reserve(message, submission.recipients)
        deliveries = tuple(self._new_delivery(recipient, message, lease) for recipient in submission.recipients)
        return NewMessage(message=message, content=content, deliveries=deliveries, lease=lease)

    def _reserve(self, message: Message, recipients: tuple[Recipient, ...]) -> Lease | None:
        if self._handoff is None or message.mode is not KeyMode.LIVE:
            return None
        return self._handoff.reserve([recipient.domain for recipient in recipients], message.size)

    def _new_delivery(self, recipient: Recipient, message: Message, lease: Lease | None) -> NewDelivery:
        events = [NewEvent(id=EventId(self._ids.next()), type=EventType.QUEUED)]
        if message.mode is KeyMode.TEST:
            # Captured here and now: a test key's mail never is a delivery that an engine could pick up.
            state = DeliveryState.DELIVERED
            for each in (EventType.SENT, EventType.DELIVERED):
                events.append(NewEvent(id=EventId(self._ids.next()), type=each, metadata={"captured": True}))
        else:
            state = DeliveryState.LEASED if lease else DeliveryState.QUEUED
        return NewDelivery(
            id=DeliveryId(self._ids.next()),
            forward_path=recipient.forward_path,
            domain=recipient.domain,
            state=state,
            due_at=message.created_at,
            events=tuple(events),
            notify=recipient.notify,
            orcpt=recipient.orcpt,
        )

    async def _commit(self, new: NewMessage) -> Receipt:
        try:
            await self._store.accept(new)
        except BaseException:
            if new.lease and self._handoff:
                self._handoff.cancel_reservation(new.lease)
            raise
        if new.lease and self._handoff:
            self._handoff.offer(new.lease, _claims(new, new.lease), new.content)
        else:
            self._wakeup.set()
        return Receipt(format_id(MESSAGE_PREFIX, new.message.id))


def _claims(new: NewMessage, lease: Lease) -> list[Claim]:
    by_domain: dict[str, list[ClaimedDelivery]] = {}
    for delivery in new.deliveries:
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
