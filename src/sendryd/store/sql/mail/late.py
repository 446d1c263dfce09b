"""Reports on deliveries that are done."""

from datetime import datetime

from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.store.base.late import LateReport, LateResult
from sendryd.store.codec.events import read_subject
from sendryd.store.codec.values import to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_row
from sendryd.store.rules import judge_late
from sendryd.store.sql.database import Database
from sendryd.store.sql.lists.suppressed import Suppressed
from sendryd.store.sql.mail.batch import Rows
from sendryd.store.sql.mail.queries import SQL


class Late:
    """`LateStore`."""

    _database: Database
    _suppressed: Suppressed

    async def record_late(self, report: LateReport, now: datetime) -> LateResult:
        moment = to_ms(now)

        def action(connection: Connection, rows: Rows) -> tuple[LateResult, int | None]:
            row = fetch_row(connection, SQL["read_reported"], id=report.delivery_id)
            if row is None or row["mode"] != "live":
                return LateResult.UNFIT, None
            is_complained = bool(row["is_complained"]) or any(
                each["delivery_id"] == report.delivery_id and each["type"] == EventType.COMPLAINED.value for each in rows.events
            )  # stored, or about to be with this transaction
            result = judge_late(report.event.type, DeliveryState(row["state"]), is_complained=is_complained)
            if result is not LateResult.RECORDED:
                return result, None
            if report.event.type is EventType.BOUNCED:
                change(connection, SQL["bounce_late"], id=report.delivery_id, reply=report.reply)
            subject = read_subject(row)
            rows.add_events(subject, (report.event,), moment)
            if report.suppression is not None:
                rows.suppressions.append((subject.account_id, report.suppression, moment))
            return result, subject.account_id

        result, account_id = await self._database.write(action)
        if account_id is not None and report.suppression is not None:
            self._suppressed.add(account_id, (report.suppression.email,))
        return result
