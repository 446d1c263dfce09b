"""Reports to senders."""

from datetime import datetime

from sendryd.model.ids import DELIVERY_PREFIX, DeliveryId
from sendryd.policy.statusreport import Report
from sendryd.store.base.statusreports import DueReport
from sendryd.store.codec.deliveries import read_due_report
from sendryd.store.codec.values import to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change
from sendryd.store.sql.database import Database
from sendryd.store.sql.mail.batch import Rows
from sendryd.store.sql.mail.queries import SQL


class StatusReports:
    """`StatusReportStore`."""

    _database: Database

    async def list_due_reports(self, *, delayed_before: datetime, limit: int) -> list[DueReport]:
        rows = await self._database.search_rows(SQL["list_due_reports"], DELIVERY_PREFIX, late=to_ms(delayed_before), limit=limit)
        return list(self._database.unreadable.keep(rows, read_due_report))

    async def settle_report(self, delivery_id: DeliveryId, report: Report) -> None:
        def action(connection: Connection, _rows: Rows) -> None:
            change(connection, SQL["settle_report"], id=delivery_id, report=report.value)

        await self._database.write(action)
