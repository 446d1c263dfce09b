"""Operations on scheduled reports."""

from collections.abc import Sequence
from typing import Final

from sendryd.model.ids import AccountId, ReportId
from sendryd.model.report import ReportFrequency, ScheduledReport
from sendryd.policy.statistics import next_report_at
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import ReportStore

MAX_REPORTS: Final = 50  # of an account: the list has no pages, and each is mail


class ScheduledReports:
    """Schedules, lists and removes reports."""

    def __init__(self, store: ReportStore, *, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def add(self, account_id: AccountId, frequency: ReportFrequency, recipients: Sequence[str]) -> ScheduledReport:
        """Schedule a report. A repeated recipient gets one copy. Raises `LimitReached`."""
        now = self._clock.now()
        report = ScheduledReport(
            id=ReportId(self._ids.next()),
            account_id=account_id,
            frequency=frequency,
            recipients=tuple(dict.fromkeys(recipients)),
            created_at=now,
            due_at=next_report_at(now, frequency),
        )
        await self._store.add_scheduled_report(report, limit=MAX_REPORTS)
        return report

    async def list_all(self, account_id: AccountId) -> list[ScheduledReport]:
        """List the account's reports, newest first."""
        return await self._store.list_scheduled_reports(account_id)

    async def remove(self, account_id: AccountId, report_id: ReportId) -> None:
        """Remove a scheduled report. Raises `NotFound`."""
        await self._store.remove_scheduled_report(account_id, report_id)
