"""Statistics, scheduled reports and the log of API requests."""

from datetime import datetime

from sendryd.model.ids import REPORT_PREFIX, AccountId, ReportId
from sendryd.model.report import ScheduledReport
from sendryd.store.codec.reports import read_report, report_row
from sendryd.store.codec.values import to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_value
from sendryd.store.errors import NotFound
from sendryd.store.rules import check_limit
from sendryd.store.sql.database import Database
from sendryd.store.sql.reports.apilog import ApiLog
from sendryd.store.sql.reports.queries import SQL
from sendryd.store.sql.reports.refusals import Refusals
from sendryd.store.sql.reports.summaries import Summaries


class Reports(Summaries, ApiLog, Refusals):
    """`ReportStore`, `RefusalStore`."""

    _database: Database

    async def add_scheduled_report(self, report: ScheduledReport, *, limit: int | None = None) -> None:
        def action(connection: Connection, _batch: object) -> None:
            change(connection, SQL["insert_scheduled_report"], **report_row(report))
            count = fetch_value(connection, SQL["count_scheduled_reports"], account_id=report.account_id)
            check_limit(count, limit, "scheduled report", "remove one first")

        await self._database.write(action)

    async def list_scheduled_reports(self, account_id: AccountId | None = None) -> list[ScheduledReport]:
        rows = await self._database.list_rows(SQL["list_scheduled_reports"], REPORT_PREFIX, account_id=account_id)
        return list(self._database.unreadable.keep(rows, read_report))

    async def move_scheduled_report(self, report_id: ReportId, due_at: datetime) -> None:
        if not await self._database.change(SQL["move_scheduled_report"], id=report_id, due_at=to_ms(due_at)):
            raise NotFound("no such report")

    async def remove_scheduled_report(self, account_id: AccountId, report_id: ReportId) -> None:
        if not await self._database.change(SQL["remove_scheduled_report"], account_id=account_id, id=report_id):
            raise NotFound("no such report")
