"""Mails the reports that senders want of their deliveries: of failures, delays and success (RFC 3461, RFC 3464).

Does: looks for deliveries of which a report is due, composes it, and sends it through the door with a null reverse-path, signed like other mail.
Reads: deliveries, events, contents, domains. Writes: mail; which reports are settled.
Strategy: an idempotency key for each report, so that one that was sent before a crash is not sent again.
When things fail: a report that the door refuses for good is dropped with a line in the log; a temporary fault is tried again in the next round.
Limits: `ReportLimit`; reports beyond it are dropped, since the events have the same facts.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sendryd.intake.accept import Intake, Made
from sendryd.intake.idempotency import Asked
from sendryd.intake.obey import BOUNDARY_LENGTH
from sendryd.intake.submission import Options, Origin, Recipient, Submission
from sendryd.message.errors import MalformedMessage
from sendryd.message.mailbox import parse_mailbox
from sendryd.message.statusreport import MAX_RETURNED, StatusReport, compose_report
from sendryd.model.actor import System
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import DomainStatus, SendingDomain
from sendryd.model.event import Event, EventType
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, format_id
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.policy.statusreport import DELAYED_AFTER, Report, ReportLimit
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import Rand
from sendryd.store.base import DueReport, EventFilter, Store
from sendryd.store.errors import StoreError
from sendryd.upkeep.rounds import run_rounds

INTERVAL: Final = 2.0  # seconds: a person who waits for a report waits for minutes
BATCH: Final = 50  # reports of each kind in a round: each reads a content and is a message
LOCAL_PART: Final = "mailer-daemon"
TAG: Final = "report-of"  # names the message that a report is about
MAX_EVENTS: Final = 1000  # of a message, to find the last one of a delivery
_ORIGIN: Final = Origin(hello="localhost", address="127.0.0.1", tls=None, is_smtputf8=False, is_http=True)
_TEMPORARY: Final = frozenset({RefusalKey.TEMPORARILY_UNAVAILABLE, RefusalKey.STORAGE_FULL})
_EVENTS: Final = {
    Report.FAILURE: frozenset({EventType.BOUNCED, EventType.FAILED, EventType.SUPPRESSED}),
    Report.DELAY: frozenset({EventType.DEFERRED}),
    Report.SUCCESS: frozenset({EventType.DELIVERED}),
}
_ACTIONS: Final = {Report.FAILURE: "failed", Report.DELAY: "delayed", Report.SUCCESS: "relayed"}
_SUBJECTS: Final = {Report.FAILURE: "Not delivered", Report.DELAY: "Delayed", Report.SUCCESS: "Handed over"}
_STATUSES: Final = {Report.FAILURE: "5.0.0", Report.DELAY: "4.0.0", Report.SUCCESS: "2.0.0"}  # where the server gave none: RFC 3463

log = get_logger("upkeep")


class StatusReporter:
    """A round every other second."""

    def __init__(self, store: Store, intake: Intake, *, hostname: str, lifetime: timedelta, clock: Clock, rand: Rand) -> None:
        """`lifetime`: how long mail waits before it expires."""
        self._store = store
        self._intake = intake
        self._hostname = hostname
        self._lifetime = lifetime
        self._clock = clock
        self._rand = rand
        self._limit = ReportLimit()

    async def run(self) -> None:
        """Until cancelled."""
        await run_rounds(self.run_once, self._clock, interval=INTERVAL, failure="status_reports_not_sent", does_pause_first=True)

    async def run_once(self) -> None:
        """Sends the reports that are due. Raises `StoreError`."""
        now = self._clock.now()
        for due in await self._store.list_due_reports(delayed_before=now - DELAYED_AFTER, limit=BATCH):
            if due.report is Report.NOTHING or await self._tell(due, now):
                await self._store.settle_report(due.delivery.id, due.report)

    async def _tell(self, due: DueReport, now: datetime) -> bool:
        """Whether there is nothing left to do about it."""
        message = due.delivery.message
        event = await self._find_event(due)
        if (
            due.report is Report.SUCCESS and event is not None and event.metadata.get("will_report")
        ):  # the receiving server says it: RFC 3461 §5.2.2
            return True
        domain = await self._store.get_domain(message.signing_domain_id) if message.signing_domain_id is not None else None
        if not message.reverse_path or domain is None or domain.status is not DomainStatus.VERIFIED:
            return self._drop(due, "the sending domain is not verified any more")
        if not self._limit.take(message.account_id, message.reverse_path, now):
            return self._drop(due, "the sender has had as many reports as an hour allows")
        try:
            submission = await self._make(due, event, domain)
        except MalformedMessage as error:
            return self._drop(due, error.reason)
        refusal = await self._send(due, submission)
        if refusal is None or refusal.key in _TEMPORARY:
            return refusal is None
        return self._drop(due, refusal.sentence)

    def _drop(self, due: DueReport, reason: str) -> bool:
        log.warning("status_report_not_sent", delivery=format_id(DELIVERY_PREFIX, due.delivery.id), reason=reason)
        return True

    async def _find_event(self, due: DueReport) -> Event | None:
        message = due.delivery.message
        which = EventFilter(mode=KeyMode.LIVE, message_id=message.id)
        found = await self._store.list_events(message.account_id, which, limit=MAX_EVENTS)
        return next((each for each in found.items if each.delivery_id == due.delivery.id and each.type in _EVENTS[due.report]), None)

    async def _send(self, due: DueReport, submission: Submission) -> Refusal | None:
        """The refusal, if there is one. Sends once, however often it is called."""
        key = f"report {due.report.value} {format_id(DELIVERY_PREFIX, due.delivery.id)}"

        async def make() -> Made | Refusal:
            prepared = await self._intake.prepare(submission)
            return prepared if isinstance(prepared, Refusal) else ([prepared], prepared.public_id.encode("ascii"))

        digest = hashlib.sha256(key.encode("ascii")).digest()
        answered = await self._intake.send_once(Asked(due.delivery.message.account_id, key, digest), make)
        return answered if isinstance(answered, Refusal) else None

    async def _make(self, due: DueReport, event: Event | None, domain: SendingDomain) -> Submission:
        """Raises `MalformedMessage` for a reverse-path that mail cannot be sent to."""
        delivery, message = due.delivery, due.delivery.message
        mailbox = parse_mailbox(message.reverse_path)
        report = StatusReport(
            author=f"{LOCAL_PART}@{domain.name}",
            to=mailbox.address,
            hostname=self._hostname,
            subject=f"{_SUBJECTS[due.report]}: {message.subject}"[:200],
            words="\n".join(_words(due, event)),
            action=_ACTIONS[due.report],
            status=_status(due, event),
            recipient=delivery.forward_path,
            orcpt=due.orcpt,
            envid=message.envid,
            arrived_at=message.created_at,
            attempted_at=event.created_at if event and "attempt" in event.metadata else None,
            host=_text(event, "host"),
            reply=_text(event, "reply"),
            retries_until=message.waits_since + self._lifetime if due.report is Report.DELAY else None,
            original=await self._read_original(due),
            is_whole=due.report is Report.FAILURE and (message.ret or "").upper() == "FULL",
        )
        content = compose_report(report, self._rand.secret(BOUNDARY_LENGTH))
        return Submission(
            actor=System(message.account_id),
            reverse_path="",  # RFC 3464 §2: no report is answered by another one
            recipients=(Recipient(mailbox.address, mailbox.domain, is_ascii=mailbox.is_ascii, notify="NEVER"),),
            content=content,
            is_8bit=not content.isascii(),
            origin=_ORIGIN,
            options=Options(track_opens=False, track_clicks=False, is_straight=True, tags=((TAG, format_id(MESSAGE_PREFIX, message.id)),)),
        )

    async def _read_original(self, due: DueReport) -> bytes:
        """The message, or its beginning if it is large; empty if it is not there any more."""
        chunks: list[bytes] = []
        try:
            async for chunk in self._store.stream_content(due.delivery.message.id):
                chunks.append(bytes(chunk))
                if sum(map(len, chunks)) > MAX_RETURNED:
                    break
        except StoreError as error:
            log.warning("status_report_without_message", id=format_id(MESSAGE_PREFIX, due.delivery.message.id), reason=str(error))
            return b""
        return b"".join(chunks)


def _status(due: DueReport, event: Event | None) -> str:
    found, otherwise = _text(event, "enhanced_code"), _STATUSES[due.report]
    if found[:1] == otherwise[:1]:
        return found
    if due.delivery.state is DeliveryState.EXPIRED:
        return "5.4.7"  # RFC 3463 §3.5: delivery time expired
    return "5.7.1" if due.delivery.state is DeliveryState.SUPPRESSED else otherwise


def _words(due: DueReport, event: Event | None) -> Sequence[str]:
    recipient, host, reply = due.delivery.forward_path, _text(event, "host"), _text(event, "reply")
    match due.report:
        case Report.FAILURE:
            first = f"Your message could not be delivered to {recipient}."
        case Report.DELAY:
            first = f"Your message to {recipient} is not delivered yet. It will be tried again; you need not send it again."
        case _:
            first = f"Your message to {recipient} was handed to {host or 'its mail server'}, which sends no reports of its own."
    why = reply or _text(event, "reason")
    return [first, "", *([f"{host or 'This server'} said:", "", f"    {why}", ""] if why and due.report is not Report.SUCCESS else [])]


def _text(event: Event | None, name: str) -> str:
    value = event.metadata.get(name) if event is not None else None
    return value if isinstance(value, str) else ""
