"""Reports by mail as the Analytics page shows them."""

from dataclasses import dataclass

from sendryd.accounts.scheduled_reports import ScheduledReports
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import REPORT_PREFIX, format_id
from sendryd.store.base import Store


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A report that goes out again and again."""

    id: str
    frequency: str
    recipients: tuple[str, ...]
    next: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class MailedReports:
    """The card of reports."""

    rows: tuple[ReportRow, ...]
    sender: str  # the address that they come from; empty without a verified domain
    recipients: str  # as typed
    frequency: str
    wrong: str


def scheduled_reports(visit: Visit, store: Store) -> ScheduledReports:
    """The operations on reports."""
    return ScheduledReports(store, clock=visit.needs.clock, ids=visit.needs.ids)


async def read_reports(visit: Visit, *, wrong: str = "") -> MailedReports:
    """The account's reports, and what was typed where it could not be used."""
    store = visit.needs.store
    verified = [each for each in await store.list_domains(visit.account_id) if each.status is DomainStatus.VERIFIED]
    oldest = min(verified, key=lambda each: each.id, default=None)
    rows = [
        ReportRow(format_id(REPORT_PREFIX, each.id), each.frequency.value, each.recipients, moment_of(each.due_at))
        for each in await scheduled_reports(visit, store).list_all(visit.account_id)
    ]
    return MailedReports(
        rows=tuple(rows),
        sender=f"reports@{oldest.name}" if oldest else "",
        recipients=visit.fields.get("recipients", visit.me.signed_in.person.email),
        frequency=visit.fields.get("frequency", "weekly"),
        wrong=wrong,
    )
