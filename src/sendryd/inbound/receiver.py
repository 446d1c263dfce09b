"""What is done with a message that port 25 has received: it is told apart behind a fence, and recorded before its 250.

Does: a delivery status notification becomes a late bounce of the delivery whose return path it was sent to; a complaint is recorded for the
delivery that its copy of the message names; DMARC and TLS reports about our domains are kept; automatic replies are noted. Mail for an
account is stored, to be shown and forwarded. Nothing is ever answered by mail.
Reads and writes: `store.record_late`, once for each report, durable. A repeated report changes nothing, so that a sender may repeat a message of
which only a part could be recorded.
When things fail: what cannot be judged or stored now is put off with a 451; other servers come again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sendryd.inbound import replies
from sendryd.inbound.addresses import MailboxOf, ReportsAboutUs, ReturnPath, Target
from sendryd.inbound.authentication import Authenticator
from sendryd.inbound.domainreports import MAX_SIZE as MAX_REPORTS_SIZE
from sendryd.inbound.domainreports import Brought, DomainReporter
from sendryd.message.fenced import read_mail, read_returned
from sendryd.message.reports.report import Report, ReportKind
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import DELIVERY_PREFIX, INBOUND_PREFIX, AccountId, DeliveryId, EventId, InboundId, SuppressionId, format_id
from sendryd.model.inbound import InboundAttachment, InboundContent, InboundMail
from sendryd.model.suppression import SuppressionReason
from sendryd.policy.address_key import normalise_address
from sendryd.policy.replies.reports import judge_status
from sendryd.policy.replies.verdict import Verdict, bounce_type
from sendryd.policy.returnpath import find_deliveries
from sendryd.runtime.clock import Clock
from sendryd.runtime.fence import Fence, FenceUnavailable, TooCostly
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.runtime.maillog import MailLog, outcome_fields
from sendryd.smtp.reply import Reply
from sendryd.store.base import DeliveryView, LateReport, LateResult, NewEvent, NewSuppression, Store
from sendryd.store.errors import StoreError

MAX_JUDGED: Final = 1024 * 1024  # octets of a message that are looked at: reports are at the beginning, the copy of the message follows
MAX_HOPS: Final = 50  # Received fields: more are a loop (RFC 5321 §6.3 asks for 100 at the least; Postfix allows 50)
PAUSES: Final = (0.1, 0.4, 1.0, 2.0)  # seconds to wait for the outcome of an attempt that a report overtakes
MAX_REPLY: Final = 1000  # characters: what the queue keeps
COMPLAINTS: Final = frozenset({"abuse", "fraud", "virus", "other", "opt-out", "opt-out-list", "miscategorized"})  # the rest is no complaint

log = get_logger("inbound")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message as it came."""

    content: bytes
    reverse_path: str  # empty: the null one
    targets: Sequence[Target]  # at least one
    client: str  # the IP address
    hello: str  # the name that the client gave
    lane: int  # of the fence: one for each network


class Receiver:
    """Judges messages and records what they say."""

    def __init__(
        self, store: Store, fence: Fence, authenticator: Authenticator, secret: bytes, *, clock: Clock, ids: IdSource, mail_log: MailLog
    ) -> None:
        self._store = store
        self._fence = fence
        self._authenticator = authenticator
        self._secret = secret
        self._clock = clock
        self._ids = ids
        self._mail_log = mail_log
        self._reporter = DomainReporter(store, fence, authenticator, clock=clock, ids=ids)
        self._counts: Counter[str] = Counter()

    def statistics(self) -> Mapping[str, float]:
        """For /metrics."""
        return {
            f"{word}_total": float(self._counts[word])
            for word in ("bounced", "complained", "mail", "reports", "noted", "refused", "put_off")
        }

    async def receive(self, mail: Received) -> Reply:
        """Takes a message. Returns the reply to its end: 250 only once all that it says is stored."""
        if _hops(mail.content) > MAX_HOPS:
            return self._refuse(mail, replies.TOO_MANY_HOPS, "loop")
        accounts = dict.fromkeys(each.account_id for each in mail.targets if isinstance(each, MailboxOf))
        reported = [each for each in mail.targets if not isinstance(each, MailboxOf | ReportsAboutUs)]
        try:
            if any(isinstance(each, ReportsAboutUs) for each in mail.targets):
                refusal = await self._keep_reports(mail)
                if refusal is not None and not reported and not accounts:
                    return refusal
            if reported:
                report = await self._judge(mail)
                if report.kind is ReportKind.OTHER and not accounts:
                    return self._refuse(mail, replies.REPORTS_ONLY, "no report")
                for target in reported:
                    if not await self._apply(report, target, mail):
                        return self._put_off("the outcome is not stored yet", mail)
            if accounts and not await self._keep(mail, list(accounts)) and not reported:
                return self._refuse(mail, replies.UNKNOWN_RECIPIENT, "the account has ended since RCPT")
        except TooCostly:
            return self._refuse(mail, replies.UNREADABLE, "too costly to read")
        except (FenceUnavailable, StoreError) as error:
            return self._put_off(repr(error), mail)
        return replies.RECEIVED

    async def _judge(self, mail: Received) -> Report:
        try:
            found = await self._fence.run(read_returned, mail.content[:MAX_JUDGED], not mail.reverse_path, lane=mail.lane)
        except TooCostly:
            return Report(kind=ReportKind.OTHER)
        return Report.from_json(found)

    async def _keep_reports(self, mail: Received) -> Reply | None:
        """Stores the reports about our domains in a mail. Returns the refusal of one that has none. Raises as `_keep` does."""
        if len(mail.content) > MAX_REPORTS_SIZE:
            return self._refuse(mail, replies.UNREADABLE, "too large for a report")
        brought = Brought(content=mail.content, reverse_path=mail.reverse_path, client=mail.client, hello=mail.hello, lane=mail.lane)
        added = await self._reporter.keep(brought)
        if added is None:
            return self._refuse(mail, replies.REPORTS_ONLY, "no report")
        self._counts["reports" if added else "noted"] += 1
        return None

    async def _keep(self, mail: Received, accounts: Sequence[AccountId]) -> bool:
        """Stores a mail for each account that it is for and that has not ended since. False if none is left. Raises `TooCostly`, `FenceUnavailable`,
        `StoreError`.
        """
        authenticator = self._authenticator
        found = await self._fence.run(read_mail, mail.content, lane=mail.lane)
        results = await authenticator.judge(mail.content, client=mail.client, hello=mail.hello, reverse_path=mail.reverse_path)
        content = InboundContent(
            author=found["author"] or mail.reverse_path,
            to=tuple(found["to"]),
            cc=tuple(found["cc"]),
            subject=found["subject"],
            text=found["text"],
            html=found["html"],
            headers=(
                authenticator.field(results),
                *((name, value) for name, value in found["headers"] if not authenticator.is_own(name, value)),
            ),
            attachments=tuple(
                InboundAttachment(filename=name, content_type=kind, size=size, content_id=number)
                for name, kind, size, number in found["attachments"]
            ),
        )
        now = self._clock.now()
        mails = [
            InboundMail(id=InboundId(self._ids.next()), account_id=each, content=content, created_at=now, due_at=now) for each in accounts
        ]
        taken = await self._store.add_inbound(mails)
        self._counts["mail"] += len(taken)
        for each in taken:
            log.info("mail_received", id=format_id(INBOUND_PREFIX, each), client=mail.client, size=len(mail.content))
        return bool(taken)

    def _refuse(self, mail: Received, reply: Reply, reason: str) -> Reply:
        self._counts["refused"] += 1
        self._mail_log.refused(reply, door="inbound", client=mail.client, reason=reason)
        return reply

    def _put_off(self, reason: str, mail: Received) -> Reply:
        self._counts["put_off"] += 1
        log.warning("report_put_off", client=mail.client, reason=reason)
        return replies.TRY_LATER

    async def _apply(self, report: Report, target: Target, mail: Received) -> bool:
        """Records what a report says to one address. False if it is too early for that."""
        delivery = target.delivery if isinstance(target, ReturnPath) else None
        match report.kind:
            case ReportKind.STATUS if delivery is not None:
                verdict = judge_status(report, delivery.forward_path)
                if verdict is not None:
                    return await self._bounce(delivery, verdict, report)
                self._note(report, delivery, mail)
            case ReportKind.COMPLAINT if report.feedback_type in COMPLAINTS:
                return await self._complain(report, delivery, mail)
            case _:
                self._note(report, delivery, mail)
        return True

    async def _bounce(self, delivery: DeliveryView, verdict: Verdict, report: Report) -> bool:
        words = str(verdict.reply) if verdict.reply else verdict.sentence
        metadata: dict[str, object] = {
            "bounce_type": bounce_type(verdict.category),
            "category": verdict.category.value,
            "enhanced_code": verdict.enhanced,
            "reason": verdict.sentence,
            "reply": words[:MAX_REPLY],
            "reported": True,
        }
        if report.reporting_mta:
            metadata["reported_by"] = report.reporting_mta
        late = self._late(delivery, EventType.BOUNCED, metadata, SuppressionReason.HARD_BOUNCE if verdict.suppresses else None)
        result = await self._record(late)
        if result is LateResult.RECORDED:
            self._counts["bounced"] += 1
            fields = {**outcome_fields(metadata), "delivery": format_id(DELIVERY_PREFIX, delivery.id), "category": verdict.category.value}
            self._mail_log.outcome(DeliveryState.BOUNCED.value, delivery.message, delivery.forward_path, fields)
        return result is not LateResult.TOO_EARLY

    async def _record(self, late: LateReport) -> LateResult:
        """Stores a report, after a while if it has overtaken the outcome of its attempt."""
        for pause in PAUSES:
            result = await self._store.record_late(late, self._clock.now())
            if result is not LateResult.TOO_EARLY:
                return result
            await self._clock.sleep(pause)
        return await self._store.record_late(late, self._clock.now())

    async def _complain(self, report: Report, delivery: DeliveryView | None, mail: Received) -> bool:
        named = find_deliveries(self._secret, report.returned)
        found = await self._store.find_delivery(named[0]) if named else delivery
        if found is None:
            self._note(report, None, mail)
            return True
        metadata: dict[str, object] = {"complaint_feedback_type": report.feedback_type}
        if report.reporting_mta:
            metadata["reported_by"] = report.reporting_mta
        late = self._late(found, EventType.COMPLAINED, metadata, SuppressionReason.COMPLAINT)
        if await self._store.record_late(late, self._clock.now()) is LateResult.RECORDED:
            self._counts["complained"] += 1
            log.info("complaint", delivery=format_id(DELIVERY_PREFIX, found.id), type=report.feedback_type, client=mail.client)
        return True

    def _late(
        self, delivery: DeliveryView, kind: EventType, metadata: Mapping[str, object], reason: SuppressionReason | None
    ) -> LateReport:
        event = NewEvent(id=EventId(self._ids.next()), type=kind, metadata=metadata)
        suppression = None
        if reason is not None:
            email = normalise_address(delivery.forward_path)
            suppression = NewSuppression(id=SuppressionId(self._ids.next()), email=email, reason=reason)
        words = metadata.get("reply", "")
        return LateReport(delivery_id=DeliveryId(delivery.id), event=event, reply=str(words), suppression=suppression)

    def _note(self, report: Report, delivery: DeliveryView | None, mail: Received) -> None:
        """What changes nothing: a delay, an automatic reply, a complaint about nothing that we know."""
        self._counts["noted"] += 1
        number = format_id(DELIVERY_PREFIX, delivery.id) if delivery is not None else None
        actions = sorted({each.action.value for each in report.recipients})
        log.info("report_noted", kind=report.kind.value, delivery=number, actions=actions or None, client=mail.client)


def _hops(content: bytes) -> int:
    """Received fields in a content, in any case."""
    end = content.find(b"\r\n\r\n", 0, MAX_JUDGED)
    header = content[: end + 2 if end >= 0 else MAX_JUDGED].lower()
    return header.count(b"\r\nreceived:") + header.startswith(b"received:")
