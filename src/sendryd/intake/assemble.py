"""Step 4 of the door: the final bytes, the message, and a delivery for each recipient. Pure: time and ids are arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sendryd.intake.obey import Obeyed
from sendryd.intake.prepare import finish
from sendryd.intake.redirect import MAX_NAMED
from sendryd.intake.submission import Origin, Recipient
from sendryd.message.asciiheader import needs_smtputf8
from sendryd.message.trace import received_line
from sendryd.model.actor import key_id_of
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import NO_DOMAIN, DeliveryState
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import MESSAGE_PREFIX, DeliveryId, EventId, MessageId, format_id
from sendryd.model.message import Message, TlsDemand, class_of
from sendryd.policy.simulation import scenario_for
from sendryd.policy.smarthost import smart_host_lane
from sendryd.policy.statusreport import Report, wanted_reports
from sendryd.store.base import NewDelivery, NewEvent, NewMessage
from sendryd.valuetype import valuetype


@valuetype(frozen=True, slots=True)
class Prepared:
    """A message ready for the commit. It holds no resources and may be dropped."""

    new: NewMessage
    idempotency_key: str | None  # from its control header
    origin: Origin
    public_id: str  # `em_…`


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembler:
    """Makes the messages of one installation."""

    hostname: str
    hide_client_address: bool
    next_number: Callable[[], int]  # returns a new id each time

    def assemble(self, obeyed: Obeyed, message_id: MessageId | None, now: datetime) -> Prepared:
        """The message to store. `message_id` is the id of a scheduled message that this one replaces. Raises `MalformedMessage`."""
        submission, parsed, options = obeyed.submission, obeyed.parsed, obeyed.submission.options
        number = MessageId(self.next_number()) if message_id is None else message_id
        public_id = format_id(MESSAGE_PREFIX, number)
        internet_message_id = parsed.internet_message_id or f"<{public_id}@{self.hostname}>"
        content = finish(
            parsed,
            submission.content,
            received=self._received_line(submission.origin, public_id, now),
            message_id=internet_message_id,
            now=now,
            hostname=self.hostname,
            added=obeyed.added,
        )
        message = Message(
            id=number,
            account_id=submission.actor.account_id,
            api_key_id=key_id_of(submission.actor),
            mode=obeyed.mode,
            reverse_path=submission.reverse_path,
            author=parsed.author_text,
            to=parsed.to or obeyed.redirected_from or tuple(recipient.forward_path for recipient in submission.recipients),
            cc=parsed.cc,
            subject=parsed.subject,
            internet_message_id=internet_message_id,
            size=len(content),
            created_at=now,
            signing_domain_id=obeyed.domain.id if obeyed.domain else None,
            needs_smtputf8=_needs_smtputf8(obeyed),
            is_8bit=submission.is_8bit,
            ret=submission.ret,
            envid=submission.envid,
            tls_demand=_tls_demand(obeyed),
            type=options.type,
            tags=options.tags,
            scheduled_at=options.scheduled_at,
            track_opens=bool(options.track_opens),
            track_clicks=bool(options.track_clicks),
            template_id=options.template_id,
            list_id=options.list_id,
            unsubscribe_url=options.unsubscribe_url,
        )
        deliveries = self._new_deliveries(message, obeyed)
        priority, source = options.priority or class_of(options.type), options.source_request
        new = NewMessage(message=message, content=content, deliveries=deliveries, priority=priority, source_request=source)
        return Prepared(new, parsed.orders.idempotency_key, submission.origin, public_id)

    def _received_line(self, origin: Origin, queue_id: str, now: datetime) -> bytes:
        return received_line(
            hello=origin.hello,
            address=origin.address,
            hostname=self.hostname,
            queue_id=queue_id,
            tls=(origin.tls.version, origin.tls.cipher) if origin.tls else None,
            is_smtputf8=origin.is_smtputf8,
            hide_client=self.hide_client_address,
            now=now,
            is_http=origin.is_http,
        )

    def _new_deliveries(self, message: Message, obeyed: Obeyed) -> tuple[NewDelivery, ...]:
        deliveries = [self._new_delivery(recipient, message, obeyed) for recipient in obeyed.submission.recipients]
        for archive in obeyed.copies:
            deliveries.append(self._new_delivery(archive, message, obeyed, is_copy=True))
        return tuple(deliveries)

    def _new_delivery(self, recipient: Recipient, message: Message, obeyed: Obeyed, *, is_copy: bool = False) -> NewDelivery:
        has_notes = is_copy or obeyed.not_tracked or obeyed.redirected_from
        events = [self._event(EventType.QUEUED, _notes(obeyed, is_copy=is_copy) if has_notes else {})]
        if recipient.forward_path in obeyed.skipped:
            reason = obeyed.skipped[recipient.forward_path]
            state = DeliveryState.SUPPRESSED
            events.append(self._event(EventType.SUPPRESSED, {"reason": reason.value if reason else "suppressed"}))
        elif message.mode is KeyMode.TEST and message.scheduled_at is None:
            # Captured at once: the delivery engine can never claim a test key's mail.
            scenario = scenario_for(recipient.forward_path)
            state = scenario.state
            events += [self._event(word, metadata) for word, metadata in scenario.events]
        else:
            state = DeliveryState.QUEUED
        return NewDelivery(
            id=DeliveryId(self.next_number()),
            forward_path=recipient.forward_path,
            domain=NO_DOMAIN if message.mode is KeyMode.TEST else _lane(obeyed) or recipient.domain,
            state=state,
            due_at=message.waits_since,
            events=tuple(events),
            notify=recipient.notify,
            orcpt=recipient.orcpt,
            is_copy=is_copy,
            report=Report.NOTHING if is_copy else _wanted_reports(recipient, message, obeyed),
        )

    def _event(self, word: EventType, metadata: Metadata) -> NewEvent:
        return NewEvent(id=EventId(self.next_number()), type=word, metadata=metadata)


def _lane(obeyed: Obeyed) -> str:
    """The lane of the smart host of the sending domain, or of its account; empty if neither has one."""
    domain = obeyed.domain
    return smart_host_lane(domain.smarthost, domain.account_id) if domain is not None and domain.smarthost else ""


def _wanted_reports(recipient: Recipient, message: Message, obeyed: Obeyed) -> Report:
    """The null reverse-path takes no reports, and captured mail makes none."""
    if not message.reverse_path or message.mode is KeyMode.TEST:
        return Report.NOTHING
    return wanted_reports(recipient.notify, is_default=obeyed.domain is not None and obeyed.domain.settings.status_reports)


def _tls_demand(obeyed: Obeyed) -> TlsDemand:
    """RFC 8689 §5: the field counts only without the parameter of MAIL."""
    return TlsDemand.REQUIRED if obeyed.submission.requires_tls else obeyed.parsed.tls_demand


def _needs_smtputf8(obeyed: Obeyed) -> bool:
    submission = obeyed.submission
    if needs_smtputf8(obeyed.parsed.headers) or not submission.reverse_path.isascii():
        return True
    return False in [recipient.is_ascii for recipient in submission.recipients]


def _notes(obeyed: Obeyed, *, is_copy: bool) -> Metadata:
    """What became of the message at the door, in words for its timeline."""
    notes: dict[str, object] = {}
    if obeyed.not_tracked:
        notes["not_tracked"] = obeyed.not_tracked
    if obeyed.redirected_from:
        notes["redirected_from"] = list(obeyed.redirected_from[:MAX_NAMED])
    if is_copy:
        notes["copy"] = True
    return notes
