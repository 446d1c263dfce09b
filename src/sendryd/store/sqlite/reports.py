"""Figures about mail, and scheduled reports, in SQLite. Events are read along the primary key: identifiers grow with time."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import apsw

from sendryd.model.ids import AccountId, ReportId
from sendryd.model.report import (
    Breakdown,
    Bucket,
    Cohort,
    Counts,
    Granularity,
    ReportFrequency,
    ScheduledReport,
    bucket_start,
    next_bucket,
)
from sendryd.store.base import ReportFilter
from sendryd.store.errors import NotFound
from sendryd.store.sqlite.database import Database
from sendryd.store.sqlite.queries import SQL
from sendryd.store.sqlite.rows import first_id, from_ms, to_json, to_ms

MAX_OFFSETS: Final = 60  # stretches that a cohort is followed for: two months of days
ID_SLACK: Final = timedelta(minutes=1)  # between when an event's identifier was made and the time that it has

_DAY: Final = 86_400_000
_BUCKETS: Final = {
    Granularity.HOUR: "{0} / 3600000 * 3600000",
    Granularity.DAY: f"{{0}} / {_DAY} * {_DAY}",
    Granularity.WEEK: f"(({{0}} / {_DAY} + 3) / 7 * 7 - 3) * {_DAY}",  # 1970-01-01 was a Thursday
    Granularity.MONTH: "CAST(strftime('%s', {0} / 1000, 'unixepoch', 'start of month') AS INTEGER) * 1000",
}
# Of each delivery: its outcomes, and the first time that somebody who is no scanner opened it or followed a link.
_FACTS: Final = """
WITH facts AS (
    SELECT event.type AS type, event.message_id AS message_id, min(event.created_at) AS moment
    FROM event {join}
    WHERE event.account_id = ? AND +event.mode = ? AND event.id >= ? AND event.id < ? AND event.created_at >= ? AND event.created_at < ?
      AND event.type IN ('delivered', 'bounced', 'complained', 'opened', 'clicked')
      AND (event.type NOT IN ('opened', 'clicked')
           OR coalesce(event.metadata ->> 'opened_by', event.metadata ->> 'clicked_by', '') <> 'scanner')
      {conditions}
    GROUP BY event.type, event.delivery_id
)
"""
_TAGGED: Final = """AND EXISTS (SELECT 1 FROM json_each(message.tags) AS tag
    WHERE tag.value ->> 0 = ? AND (? IS NULL OR tag.value ->> 1 = ?))"""
_OF_DOMAIN: Final = "AND (lower(message.author) LIKE '%@' || ? OR lower(message.author) LIKE '%@' || ? || '>')"


class Reports:
    """The figures and scheduled reports of `ReportStore`."""

    _database: Database

    async def count_activity(self, account_id: AccountId, which: ReportFilter) -> Counts:
        rows = await self._read(account_id, which, "SELECT type, count(*) FROM facts GROUP BY type")
        return _counts(rows)

    async def list_activity(self, account_id: AccountId, which: ReportFilter, granularity: Granularity) -> list[Bucket]:
        bucket = _BUCKETS[granularity].format("moment")
        query = f"SELECT {bucket} AS start, type, count(*) FROM facts GROUP BY start, type ORDER BY start"
        rows = await self._read(account_id, which, query)
        return [
            Bucket(start=from_ms(start), counts=_counts(found)) for start, found in _grouped(rows, lambda row: row[0], lambda row: row[1:])
        ]

    async def break_down(self, account_id: AccountId, which: ReportFilter, by: str, *, limit: int) -> list[Breakdown]:
        column, table = ("signing_domain_id", "sending_domain") if by == "domain" else ("template_id", "template")
        query = f"""
            SELECT message.{column}, named.name, facts.type, count(*) FROM facts
            LEFT JOIN message ON message.id = facts.message_id LEFT JOIN {table} AS named ON named.id = message.{column}
            GROUP BY 1, 2, 3"""
        rows = await self._read(account_id, which, query)
        found = [
            Breakdown(id=number, name=name, counts=_counts(counts))
            for (number, name), counts in _grouped(rows, lambda row: (row[0], row[1]), lambda row: row[2:])
        ]
        return sorted(found, key=lambda each: each.counts.sent, reverse=True)[:limit]

    async def list_cohorts(self, account_id: AccountId, which: ReportFilter, granularity: Granularity) -> list[Cohort]:
        accepted, happened = _BUCKETS[granularity].format("message.created_at"), _BUCKETS[granularity].format("facts.moment")
        query = f"""
            SELECT {accepted} AS cohort, {happened} AS bucket, facts.type, count(*)
            FROM facts JOIN message ON message.id = facts.message_id
            WHERE message.created_at >= {to_ms(which.start)} GROUP BY 1, 2, 3 ORDER BY 1, 2"""
        rows = await self._read(account_id, which, query)
        cohorts: list[Cohort] = []
        for start, found in _grouped(rows, lambda row: row[0], lambda row: row[1:]):
            cohorts += _follow(from_ms(start), found, which.end, granularity)
        return cohorts

    async def _read(self, account_id: AccountId, which: ReportFilter, query: str) -> list[tuple[Any, ...]]:
        values: list[Any] = [
            account_id,
            which.mode.value,
            first_id(which.start - ID_SLACK),
            first_id(which.end + ID_SLACK),
            to_ms(which.start),
            to_ms(which.end),
        ]
        conditions = ""
        if which.tag is not None:
            name, separator, value = which.tag.partition(":")
            conditions += _TAGGED
            values += [name, value if separator else None, value]
        if which.domain is not None:
            conditions += _OF_DOMAIN
            values += [which.domain.lower()] * 2
        join = "JOIN message ON message.id = event.message_id" if conditions else ""
        text = _FACTS.format(join=join, conditions=conditions) + query
        return await self._database.read(lambda connection: connection.execute(text, values).fetchall())

    async def add_scheduled_report(self, report: ScheduledReport) -> None:
        values = (
            report.id,
            report.account_id,
            report.frequency.value,
            to_json(report.recipients),
            to_ms(report.created_at),
            to_ms(report.due_at),
        )
        await self._database.write(lambda connection, _: connection.execute(SQL["insert_scheduled_report"], values).fetchall())

    async def list_scheduled_reports(self, account_id: AccountId | None = None) -> list[ScheduledReport]:
        rows: list[tuple[Any, ...]] = await self._database.read(
            lambda connection: connection.execute(SQL["list_scheduled_reports"], (account_id,)).fetchall()
        )
        return [_read_report(row) for row in rows]

    async def move_scheduled_report(self, report_id: ReportId, due_at: datetime) -> None:
        await self._change("move_scheduled_report", (report_id, to_ms(due_at)))

    async def remove_scheduled_report(self, account_id: AccountId, report_id: ReportId) -> None:
        await self._change("remove_scheduled_report", (account_id, report_id))

    async def _change(self, name: str, values: tuple[object, ...]) -> None:
        def action(connection: apsw.Connection, _rows: object) -> None:
            connection.execute(SQL[name], values)
            if not connection.changes():
                raise NotFound("no such report")

        await self._database.write(action)


def _grouped(
    rows: Iterable[tuple[Any, ...]], key: Callable[[tuple[Any, ...]], Any], rest: Callable[[tuple[Any, ...]], tuple[Any, ...]]
) -> list[tuple[Any, list[tuple[Any, ...]]]]:
    groups: dict[Any, list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(rest(row))
    return list(groups.items())


def _counts(rows: Iterable[tuple[Any, ...]]) -> Counts:
    """Counts from pairs of type and number."""
    found = {str(kind): int(number) for kind, number in rows}
    delivered, bounced = found.get("delivered", 0), found.get("bounced", 0)
    return Counts(
        sent=delivered + bounced,
        delivered=delivered,
        opened=found.get("opened", 0),
        clicked=found.get("clicked", 0),
        bounced=bounced,
        complained=found.get("complained", 0),
    )


def _follow(start: datetime, rows: list[tuple[Any, ...]], end: datetime, granularity: Granularity) -> list[Cohort]:
    """One cohort, stretch by stretch. The rows are when, what, and how many."""
    whole = _counts(_sum(rows))
    cohorts: list[Cohort] = []
    bucket = start
    while bucket <= bucket_start(end - timedelta(milliseconds=1), granularity) and len(cohorts) < MAX_OFFSETS:
        counts = _counts(_sum(row for row in rows if row[0] <= to_ms(bucket)))
        cohorts.append(Cohort(start=start, offset=len(cohorts), counts=replace(counts, sent=whole.sent)))
        bucket = next_bucket(bucket, granularity)
    return cohorts


def _sum(rows: Iterable[tuple[Any, ...]]) -> list[tuple[str, int]]:
    sums: dict[str, int] = {}
    for _, kind, number in rows:
        sums[kind] = sums.get(kind, 0) + number
    return list(sums.items())


def _read_report(row: tuple[Any, ...]) -> ScheduledReport:
    return ScheduledReport(
        id=ReportId(row[0]),
        account_id=AccountId(row[1]),
        frequency=ReportFrequency(row[2]),
        recipients=tuple(json.loads(row[3])),
        created_at=from_ms(row[4]),
        due_at=from_ms(row[5]),
    )
