"""Statistics of mail. Events are read along the primary key: identifiers grow with time.

The statements are built here, not in `queries.sql`: filters, buckets of time and the kind of breakdown change their shape. Their rows are read by
position: the columns vary, and each row is unpacked beside its statement.
"""

from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sendryd.message.authordomain import author_domain
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId
from sendryd.model.report import (
    Breakdown,
    Bucket,
    Cohort,
    Counts,
    Granularity,
    bucket_start,
    next_bucket,
)
from sendryd.policy.providers import provider_of
from sendryd.store.base import MAX_OFFSETS, ReportFilter
from sendryd.store.codec.values import clean, first_id, from_ms, to_json, to_ms
from sendryd.store.derived.activity import read_text
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statement import Statement, to_sqlite
from sendryd.store.sql.database import Database
from sendryd.store.sql.reports.queries import SQL

ID_SLACK: Final = timedelta(minutes=10)  # between the times of an event's identifier and of the event: seconds, unless clocks differ

_KINDS: Final = tuple(field.name for field in fields(Counts))
_DAY: Final = 86_400_000
_ACCEPTED: Final = f"((message_id >> 22) + {to_ms(datetime(2024, 1, 1, tzinfo=UTC))})"  # the time in an identifier: see sendryd.model.ids
_BUCKETS: Final = {
    Granularity.HOUR: "{0} / 3600000 * 3600000",
    Granularity.DAY: f"{{0}} / {_DAY} * {_DAY}",
    Granularity.WEEK: f"(({{0}} / {_DAY} + 3) / 7 * 7 - 3) * {_DAY}",  # 1970-01-01 was a Thursday
    Granularity.MONTH: "unixepoch({0} / 1000, 'unixepoch', 'start of month') * 1000",
}
# For each delivery: the first time of each kind of event, without opens and clicks of scanners; and as one more kind, `sent`, the first
# outcome, because a delivery that was accepted and bounced later counts once. Copies for archives and reports to senders are left out.
_FACTS: Final = """
WITH fact AS MATERIALIZED (
    SELECT event.type AS kind, event.message_id AS message_id, event.delivery_id AS delivery_id, min(event.created_at) AS moment{columns}
    FROM event {joins}
    WHERE event.account_id = :account AND event.mode = '{mode}' AND event.id >= :first AND event.id < :last
      AND event.created_at >= :start AND event.created_at < :end
      AND event.type IN ('delivered', 'bounced', 'complained', 'opened', 'clicked')
      AND (event.type NOT IN ('opened', 'clicked')
           OR CASE WHEN json_valid(event.metadata)
               THEN coalesce(event.metadata ->> 'opened_by', event.metadata ->> 'clicked_by', '') ELSE '' END <> 'scanner')
      AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.id = event.delivery_id AND delivery.is_copy = 1)
      AND NOT EXISTS (
        SELECT 1 FROM message AS own WHERE own.id = event.message_id AND own.api_key_id IS NULL AND own.reverse_path = '')
      {conditions}
    GROUP BY event.type, event.message_id, event.delivery_id
),
facts AS (
    SELECT kind, message_id, moment, delivery_id{kept} FROM fact
    UNION ALL
    SELECT 'sent', message_id, min(moment), delivery_id{firsts} FROM fact WHERE kind IN ('delivered', 'bounced') GROUP BY message_id, delivery_id
    {received}
)
"""
_RECEIVED: Final = """UNION ALL SELECT 'received', NULL, created_at, NULL FROM inbound_mail
    WHERE account_id = :account AND id >= :first AND id < :last AND created_at >= :start AND created_at < :end"""
_MESSAGE: Final = "JOIN message ON message.id = event.message_id"
_TAGGED: Final = """AND EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(message.tags) THEN message.tags ELSE '[]' END) AS tag
    WHERE tag.value ->> 0 = :tag AND (CAST(:tag_value AS TEXT) IS NULL OR tag.value ->> 1 = :tag_value))"""
_SENDING_DOMAIN: Final = "LEFT JOIN sending_domain ON sending_domain.id = message.signing_domain_id"
# From the last @ on: the rest does not change the domain of an author, unless there is a comment. `rtrim` takes all characters but @.
_AUTHOR: Final = """CASE WHEN instr(message.author, '(') > 0 THEN message.author
    ELSE substr(message.author, length(rtrim(message.author, replace(message.author, '@', '')))) END"""
# Mail of test keys is not signed, and a domain may have been removed since: then the author's domain is that of the mail.
_OF_DOMAIN: Final = f"""AND (sending_domain.name = :domain OR (sending_domain.name IS NULL AND {_AUTHOR} {{in_words:authors}}))"""
_AUTHORS: Final = f"""
SELECT DISTINCT CAST({_AUTHOR} AS BLOB)
FROM event {_MESSAGE} {_SENDING_DOMAIN}
WHERE event.account_id = :account AND event.mode = '{{mode}}' AND event.id >= :first AND event.id < :last
  AND event.created_at >= :start AND event.created_at < :end
  AND event.type IN ('delivered', 'bounced', 'complained', 'opened', 'clicked') AND sending_domain.name IS NULL
"""
# The columns that tell the parts of breakdowns, kinds and numbers.
_GROUPS: Final = {
    "domain": f"""
        SELECT sending_domain.name, CASE WHEN sending_domain.name IS NULL THEN CAST({_AUTHOR} AS BLOB) END, kind, count(*)
        FROM facts LEFT JOIN message ON message.id = facts.message_id {_SENDING_DOMAIN} GROUP BY 1, 2, 3""",
    "template": """
        SELECT message.template_id, template.name, kind, count(*)
        FROM facts LEFT JOIN message ON message.id = facts.message_id LEFT JOIN template ON template.id = message.template_id
        GROUP BY 1, 2, 3""",
    "key": """
        SELECT message.api_key_id, api_key.name, kind, count(*)
        FROM facts LEFT JOIN message ON message.id = facts.message_id LEFT JOIN api_key ON api_key.id = message.api_key_id
        GROUP BY 1, 2, 3""",
    # A message counts once for each of its tags.
    "tag": """
        SELECT NULL, (tag.value ->> 0) || '=' || (tag.value ->> 1), kind, count(*)
        FROM facts JOIN message ON message.id = facts.message_id,
            json_each(CASE WHEN json_valid(message.tags) THEN message.tags ELSE '[]' END) AS tag
        GROUP BY 2, 3""",
    # Opens and complaints name no server: that of the delivery's outcome took the mail.
    "provider": """
        SELECT CAST(coalesce(host, (
            SELECT CASE WHEN json_valid(outcome.metadata) THEN outcome.metadata ->> 'host' END FROM event AS outcome
            WHERE outcome.message_id = facts.message_id AND outcome.delivery_id IS NOT DISTINCT FROM facts.delivery_id
              AND outcome.type IN ('delivered', 'bounced')
            ORDER BY outcome.id LIMIT 1
        ), '') AS BLOB), CAST(substr(recipient, length(rtrim(recipient, replace(recipient, '@', ''))) + 1) AS BLOB), kind, count(*)
        FROM facts GROUP BY 1, 2, 3""",
}
_OF_PROVIDERS: Final = """, min(event.recipient) AS recipient,
        min(CASE WHEN event.type IN ('delivered', 'bounced') AND json_valid(event.metadata) THEN event.metadata ->> 'host' END) AS host"""
# SQLite takes the values of the row with the least moment.
_KEPT_OF_PROVIDERS: Final = (", recipient, host", ", recipient, host", ", min(recipient), (array_agg(host ORDER BY moment))[1]")


class Activity:
    """The part of `ReportStore` that counts."""

    _database: Database

    async def count_activity(self, account_id: AccountId, which: ReportFilter) -> Counts:
        rows = await self._read_facts(account_id, which, "SELECT kind, count(*) FROM facts GROUP BY kind", counts_received=True)
        return _counts(rows)

    async def list_activity(self, account_id: AccountId, which: ReportFilter, granularity: Granularity) -> list[Bucket]:
        bucket = _BUCKETS[granularity].format("moment")
        query = f"SELECT {bucket} AS start, kind, count(*) FROM facts GROUP BY 1, 2 ORDER BY 1"
        rows = await self._read_facts(account_id, which, query, counts_received=True)
        return [Bucket(start=from_ms(start), counts=_counts(found)) for (start,), found in _grouped(rows, 1)]

    async def break_down(self, account_id: AccountId, which: ReportFilter, by: str, *, limit: int) -> list[Breakdown]:
        columns, kept = (_OF_PROVIDERS, _KEPT_OF_PROVIDERS) if by == "provider" else ("", ("", "", ""))
        rows = await self._read_facts(account_id, which, _GROUPS[by], columns=columns, kept=kept)
        if by == "domain":
            domains = await self._database.read_rows(SQL["list_domain_names"], account_id=account_id)
            numbers = {row["name"]: row["id"] for row in domains}
            names = [name or author_domain(read_text(author)) for name, author, *_ in rows]
            rows = [(numbers.get(name), name, *counted) for name, (_, _, *counted) in zip(names, rows, strict=True)]
        elif by == "provider":
            rows = [(None, provider_of(read_text(host), read_text(domain)), *counted) for host, domain, *counted in rows]
        found = [Breakdown(id=number, name=name, counts=_counts(counts)) for (number, name), counts in _grouped(rows, 2)]
        return list(most_sent(found, limit))

    async def list_cohorts(self, account_id: AccountId, which: ReportFilter, granularity: Granularity) -> list[Cohort]:
        # The time of acceptance is in the message's identifier: events outlive their message.
        accepted, happened = _BUCKETS[granularity].format(_ACCEPTED), _BUCKETS[granularity].format("moment")
        query = f"""
            SELECT {accepted}, {happened}, kind, count(*) FROM facts WHERE message_id >= {first_id(which.start)}
            GROUP BY 1, 2, 3 ORDER BY 1, 2"""
        rows = await self._read_facts(account_id, which, query)
        cohorts: list[Cohort] = []
        for (start,), found in _grouped(rows, 1):
            cohorts += _follow(from_ms(start), found, which.end, granularity)
        return cohorts

    async def _read_facts(
        self,
        account_id: AccountId,
        which: ReportFilter,
        query: str,
        *,
        columns: str = "",
        kept: tuple[str, str, str] = ("", "", ""),
        counts_received: bool = False,
    ) -> list[tuple[Any, ...]]:
        """Runs a query over the facts that match the filter. `columns` of events are added to the facts. `kept` are their names, and their values in the
        first of several events, as SQLite and as PostgreSQL say it. Inbound mail has none of them.
        """
        values: dict[str, Any] = {
            "account": account_id,
            "first": first_id(which.start - ID_SLACK),
            "last": first_id(which.end + ID_SLACK),
            "start": to_ms(which.start),
            "end": to_ms(which.end),
        }
        joins, conditions = "", ""
        if which.tag is not None or which.domain is not None:
            joins = _MESSAGE
        if which.tag is not None:
            values["tag"], separator, value = clean(which.tag).partition(":")
            values["tag_value"] = value if separator else None
            conditions += _TAGGED
        if which.domain is not None:
            values["domain"] = clean(which.domain)
            joins += f" {_SENDING_DOMAIN}"
            conditions += _OF_DOMAIN
        # The mode is written out, not bound: only then can the planner use the index of the few test rows.
        has_received = counts_received and which.mode is KeyMode.LIVE and which.tag is None and which.domain is None
        received = _RECEIVED if has_received else ""
        mode = KeyMode(which.mode).value
        parts = {"joins": joins, "conditions": conditions, "mode": mode, "columns": columns, "kept": kept[0], "received": received}
        sqlite, postgres = (_FACTS.format(**parts, firsts=firsts) + query for firsts in kept[1:])
        authors = _AUTHORS.format(mode=mode)

        def work(connection: Connection) -> list[tuple[Any, ...]]:
            if which.domain is not None:
                texts = [read_text(text) for (text,) in connection.tuples(Statement("authors", authors, authors), values)]
                values["authors"] = to_json([text for text in texts if author_domain(text) == which.domain])
            return list(connection.tuples(Statement("facts", to_sqlite(sqlite), postgres), values))

        return await self._database.read(work)


def most_sent(rows: Iterable[Breakdown], limit: int) -> tuple[Breakdown, ...]:
    """The first rows of a breakdown."""
    return tuple(sorted(rows, key=lambda each: (-each.counts.sent, each.name is None, each.name or "", each.id or 0))[:limit])


def _grouped(rows: Iterable[tuple[Any, ...]], width: int) -> Iterable[tuple[tuple[Any, ...], list[tuple[Any, ...]]]]:
    """The rows grouped by their first columns, in the order of first occurrence."""
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault(row[:width], []).append(row[width:])
    return groups.items()


def _counts(rows: Iterable[tuple[Any, ...]]) -> Counts:
    """The sums of (kind, number) pairs."""
    sums: dict[str, int] = {}
    for kind, number in rows:
        sums[kind] = sums.get(kind, 0) + number
    return Counts(**sums)


def _follow(start: datetime, rows: list[tuple[Any, ...]], end: datetime, granularity: Granularity) -> list[Cohort]:
    """One cohort, bucket by bucket. Each row is a time, a kind and a count, oldest first."""
    sent = _counts(row[1:] for row in rows).sent
    last = bucket_start(end - timedelta(milliseconds=1), granularity)
    cohorts: list[Cohort] = []
    bucket, position, sums = start, 0, dict.fromkeys(_KINDS, 0)
    while bucket <= last and len(cohorts) < MAX_OFFSETS:
        while position < len(rows) and rows[position][0] <= to_ms(bucket):
            _, kind, number = rows[position]
            sums[kind] += number
            position += 1
        cohorts.append(Cohort(start=start, offset=len(cohorts), counts=Counts(**{**sums, "sent": sent})))
        bucket = next_bucket(bucket, granularity)
    return cohorts
