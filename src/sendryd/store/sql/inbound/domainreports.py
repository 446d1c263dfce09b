"""Reports of others about our domains."""

from collections.abc import Sequence
from datetime import datetime

from sendryd.model.domainreport import DomainReport, ReportSum, ReportTopic
from sendryd.model.ids import DOMAIN_REPORT_PREFIX, AccountId, DomainReportId
from sendryd.store.base import (
    MAX_OCTETS_OF_AUTHOR,
    MAX_OF_AUTHOR,
    MAX_PROVED,
    MAX_PROVED_OCTETS,
    MAX_UNPROVED,
    MAX_UNPROVED_OCTETS,
    Page,
)
from sendryd.store.codec.domainreports import domain_report_row, read_domain_report, read_sum
from sendryd.store.codec.values import first_id, id_below
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change
from sendryd.store.sql.database import Database
from sendryd.store.sql.inbound.queries import SQL


class DomainReports:
    """`DomainReportStore`."""

    _database: Database

    async def add_domain_reports(self, reports: Sequence[DomainReport]) -> int:
        rows = [domain_report_row(each) for each in reports]
        self._database.check_room(sum(len(row["content"].encode()) for row in rows))

        def action(connection: Connection, _batch: object) -> int:
            added = 0
            for row in rows:
                added += change(connection, SQL["insert_domain_report"], **row)
                most, octets = (MAX_PROVED, MAX_PROVED_OCTETS) if row["is_authenticated"] else (MAX_UNPROVED, MAX_UNPROVED_OCTETS)
                which = {name: row[name] for name in ("account_id", "topic", "domain", "is_authenticated")}
                trim = SQL["trim_domain_reports"]
                change(connection, trim, **which, author=row["author"], most=MAX_OF_AUTHOR, octets=MAX_OCTETS_OF_AUTHOR)
                change(connection, trim, **which, author=None, most=most, octets=octets)
            return added

        return await self._database.write(action)

    async def get_domain_report(self, account_id: AccountId, report_id: DomainReportId) -> DomainReport | None:
        row = await self._database.find_row(SQL["get_domain_report"], account_id=account_id, id=report_id)
        return read_domain_report(row) if row else None

    async def page_domain_reports(
        self,
        account_id: AccountId,
        *,
        domain: str | None = None,
        topic: ReportTopic | None = None,
        rows: int,
        limit: int,
        before: DomainReportId | None = None,
    ) -> Page[DomainReport]:
        values = {"account_id": account_id, "domain": domain, "topic": topic.value if topic else None}
        statement = SQL["page_domain_reports" if domain is None else "page_reports_of_domain"]
        where = {"before": id_below(before), "limit": limit + 1}
        found = await self._database.search_rows(statement, DOMAIN_REPORT_PREFIX, **values, **where, rows=rows)
        return self._database.unreadable.page(found, read_domain_report, limit)

    async def sum_domain_reports(self, account_id: AccountId, *, since: datetime) -> list[ReportSum]:
        rows = await self._database.find_rows(SQL["sum_domain_reports"], account_id=account_id, first=first_id(since))
        return [read_sum(row) for row in rows]

    async def delete_domain_reports(self, *, created_before: datetime, limit: int) -> int:
        return await self._database.change(SQL["delete_domain_reports"], first_kept=first_id(created_before), limit=limit)
