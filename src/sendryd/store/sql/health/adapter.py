"""`HealthStore`."""

from collections.abc import Sequence
from datetime import datetime

from sendryd.model.attention import Alert, Silence
from sendryd.model.ids import AccountId
from sendryd.model.people import AuditEntry
from sendryd.policy.health.history import FindingSpan
from sendryd.store.codec.health import alert_row, read_alert, read_silence, read_span, silence_row, span_row
from sendryd.store.codec.people import audit_row
from sendryd.store.codec.values import to_ms, to_ms_or_none
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change
from sendryd.store.sql.database import Database
from sendryd.store.sql.health.queries import SQL


class Health:
    """Findings, silences, alerts."""

    _database: Database

    async def list_finding_spans(self, *, ended_since: datetime | None = None) -> list[FindingSpan]:
        rows = await self._database.read_rows(SQL["list_finding_spans"], ended_since=to_ms_or_none(ended_since))
        return [read_span(row) for row in rows]

    async def save_finding_spans(self, spans: Sequence[FindingSpan], *, keep_since: datetime) -> None:
        rows = [span_row(each) for each in spans]

        def action(connection: Connection, _batch: object) -> None:
            for row in rows:
                change(connection, SQL["save_finding_span"], **row)
            change(connection, SQL["prune_finding_spans"], keep_since=to_ms(keep_since))

        await self._database.write(action)

    async def list_silences(self, account_id: AccountId, now: datetime) -> list[Silence]:
        rows = await self._database.read_rows(SQL["list_silences"], account_id=account_id, now=to_ms(now))
        return [read_silence(row) for row in rows]

    async def set_silence(self, silence: Silence, audit: AuditEntry) -> None:
        def action(connection: Connection, _batch: object) -> None:
            change(connection, SQL["prune_silences"], account_id=silence.account_id, now=to_ms(silence.since))
            change(connection, SQL["set_silence"], **silence_row(silence))
            change(connection, SQL["insert_audit"], **audit_row(audit))

        await self._database.write(action)

    async def end_silence(self, account_id: AccountId, name: str, audit: AuditEntry) -> bool:
        def action(connection: Connection, _batch: object) -> bool:
            is_there = change(connection, SQL["end_silence"], account_id=account_id, name=name) > 0
            if is_there:
                change(connection, SQL["insert_audit"], **audit_row(audit))
            return is_there

        return await self._database.write(action)

    async def list_alerts(self, account_id: AccountId) -> list[Alert]:
        return [read_alert(row) for row in await self._database.read_rows(SQL["list_alerts"], account_id=account_id)]

    async def save_alerts(self, alerts: Sequence[Alert], *, keep_since: datetime) -> None:
        rows = [alert_row(each) for each in alerts]

        def action(connection: Connection, _batch: object) -> None:
            for row in rows:
                change(connection, SQL["save_alert"], **row)
            change(connection, SQL["prune_alerts"], keep_since=to_ms(keep_since))

        await self._database.write(action)
