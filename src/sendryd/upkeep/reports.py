"""Sends scheduled reports by mail: statistics of a day, week or month.

Does: composes a short message and hands it to the door like any other, from `reports@` the account's oldest verified domain, as the system.
An account without such a domain gets no report, and the log says so.
Reads: scheduled reports, statistics, domains. Writes: messages, through the door; when each report is due next.
When things fail: a report that the store cannot take is tried again in the next round. A stored answer under the report's idempotency key
prevents a second message. After a pause of the program one report is sent, for the last whole period, not one for each missed period.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Final

from sendryd.intake.accept import Intake, Made
from sendryd.intake.idempotency import Asked
from sendryd.intake.obey import BOUNDARY_LENGTH
from sendryd.intake.submission import Options, Origin, Recipient, Submission
from sendryd.message.compose import Composition, compose
from sendryd.message.errors import MalformedMessage
from sendryd.message.mailbox import Mailbox, parse_mailbox
from sendryd.model.actor import System
from sendryd.model.apikey import KeyMode
from sendryd.model.domain import DomainStatus, SendingDomain
from sendryd.model.ids import REPORT_PREFIX, AccountId, format_id
from sendryd.model.report import Counts, ScheduledReport
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.policy.statistics import next_report_at, percent_change, rate, reported_time
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import Rand
from sendryd.store.base import ReportFilter, Store
from sendryd.store.errors import NotFound, StoreError
from sendryd.upkeep.rounds import run_rounds

INTERVAL: Final = 60.0  # seconds between rounds: a report may be a minute late
LOCAL_PART: Final = "reports"
AUTHOR_NAME: Final = "Reports"
_PASSING: Final = frozenset({RefusalKey.TEMPORARILY_UNAVAILABLE, RefusalKey.STORAGE_FULL, RefusalKey.QUOTA_REACHED})
_ORIGIN: Final = Origin(hello="localhost", address="127.0.0.1", tls=None, is_smtputf8=False, is_http=True)
_OPTIONS: Final = Options(track_opens=False, track_clicks=False, is_straight=True)

log = get_logger("upkeep")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a report."""

    name: str
    count: int
    before: int
    part: float | None = None  # share of the sent or delivered messages, 0 to 1


class ReportKeeper:
    """One round a minute."""

    def __init__(self, store: Store, intake: Intake, *, clock: Clock, rand: Rand) -> None:
        self._store = store
        self._intake = intake
        self._clock = clock
        self._rand = rand

    async def run(self) -> None:
        """Until cancelled."""
        await run_rounds(self.run_once, self._clock, interval=INTERVAL, failure="reports_not_sent", rand=self._rand, does_pause_first=True)

    async def run_once(self) -> None:
        """Sends the due reports. Raises `StoreUnavailable` if reports cannot be listed."""
        now = self._clock.settled()
        for report in await self._store.list_scheduled_reports():
            if report.due_at > now:
                continue
            try:
                await self._handle(report, now)
            except NotFound:
                continue  # removed in the meantime
            except StoreError as error:
                log.error("report_not_sent", report=format_id(REPORT_PREFIX, report.id), error=repr(error))
            except Exception:  # a failing report must not delay the others
                log.exception("report_not_sent", report=format_id(REPORT_PREFIX, report.id))

    async def _handle(self, report: ScheduledReport, now: datetime) -> None:
        name = format_id(REPORT_PREFIX, report.id)
        domain = await self._find_domain(report.account_id)
        if domain is None:
            log.warning("report_skipped", report=name, reason="the account has no verified domain")
        else:
            refusal = await self._send(report, domain, now)
            if refusal is not None:
                log.warning("report_not_sent", report=name, reason=refusal.sentence)
                if refusal.key in _PASSING:
                    return
            else:
                log.info("report_sent", report=name)
        await self._store.move_scheduled_report(report.id, next_report_at(now, report.frequency))

    async def _find_domain(self, account_id: AccountId) -> SendingDomain | None:
        verified = [each for each in await self._store.list_domains(account_id) if each.status is DomainStatus.VERIFIED]
        return min(verified, key=lambda each: each.id, default=None)

    async def _send(self, report: ScheduledReport, domain: SendingDomain, now: datetime) -> Refusal | None:
        """Sends a report once, also if another process tries too. Returns the refusal if it could not be sent."""
        once = f"{format_id(REPORT_PREFIX, report.id)} {report.due_at.isoformat()}"
        fingerprint = hashlib.sha256(once.encode("ascii")).digest()

        async def make() -> Made | Refusal:
            try:
                submission = await self._make(report, domain, now)
            except MalformedMessage as error:  # the account's name
                return Refusal(RefusalKey.MALFORMED_MESSAGE, error.reason)
            prepared = await self._intake.prepare(submission)
            if isinstance(prepared, Refusal):
                return prepared
            return [prepared], prepared.public_id.encode("ascii")

        result = await self._intake.send_once(Asked(report.account_id, once, fingerprint), make)
        return result if isinstance(result, Refusal) else None

    async def _make(self, report: ScheduledReport, domain: SendingDomain, now: datetime) -> Submission:
        start, end = reported_time(now, report.frequency)
        which = ReportFilter(mode=KeyMode.LIVE, start=start, end=end)
        counts = await self._store.count_activity(report.account_id, which)
        before_start, before_end = reported_time(start, report.frequency)
        before = await self._store.count_activity(report.account_id, ReportFilter(mode=KeyMode.LIVE, start=before_start, end=before_end))
        account = await self._store.get_account(report.account_id)
        first, last = start.date().isoformat(), (end - timedelta(days=1)).date().isoformat()
        period = first if first == last else f"{first} to {last}"
        title = f"{report.frequency.value.capitalize()} report of {account.name if account else domain.name}, {period}"
        rows = make_rows(counts, before)
        author = Mailbox(AUTHOR_NAME, LOCAL_PART, domain.name)
        mailboxes = tuple(parse_mailbox(each) for each in report.recipients)
        what = Composition(author=author, to=mailboxes, subject=title, text=write_text(title, rows), html=write_html(title, rows))
        content = compose(what, boundary=self._rand.secret(BOUNDARY_LENGTH))
        return Submission(
            actor=System(report.account_id),
            reverse_path=author.address,
            recipients=tuple(Recipient(each.address, each.domain, is_ascii=each.is_ascii) for each in mailboxes),
            content=content,
            is_8bit=not content.isascii(),
            origin=_ORIGIN,
            options=_OPTIONS,
        )


def make_rows(counts: Counts, before: Counts) -> list[Row]:
    """The lines of a report: a period compared with the one before."""
    return [
        Row("Sent", counts.sent, before.sent),
        Row("Delivered", counts.delivered, before.delivered, rate(counts.delivered, counts.sent)),
        Row("Opened", counts.opened, before.opened, rate(counts.opened, counts.delivered)),
        Row("Clicked", counts.clicked, before.clicked, rate(counts.clicked, counts.delivered)),
        Row("Bounced", counts.bounced, before.bounced, rate(counts.bounced, counts.sent)),
        Row("Complained", counts.complained, before.complained, rate(counts.complained, counts.sent)),
    ]


def _cells(row: Row) -> tuple[str, str, str, str]:
    part = "" if row.part is None else f"{row.part:.1%}"
    return row.name, f"{row.count:,}", part, f"{percent_change(row.before, row.count):+.0f} %" if row.before != row.count else "as before"


def write_text(title: str, rows: list[Row]) -> str:
    """A report as plain text."""
    lines = [f"{name:<12}{count:>12}{part:>9}   {change}" for name, count, part, change in map(_cells, rows)]
    return "\n".join([title, "", *lines, "", "Times are in UTC. The last column compares with the time before.", ""])


def write_html(title: str, rows: list[Row]) -> str:
    """A report as HTML."""
    style = "padding:4px 16px 4px 0;text-align:right"
    lines = [
        f'<tr><td style="padding:4px 16px 4px 0">{escape(name)}</td>'
        + "".join(f'<td style="{style}">{escape(cell)}</td>' for cell in others)
        + "</tr>"
        for name, *others in map(_cells, rows)
    ]
    return (
        f'<html><body style="font-family:Helvetica,Arial,sans-serif;color:#111827"><h1 style="font-size:18px">{escape(title)}</h1>'
        f'<table role="presentation" style="border-collapse:collapse">{"".join(lines)}</table>'
        '<p style="color:#6b7280">Times are in UTC. The last column compares with the time before.</p></body></html>\n'
    )
