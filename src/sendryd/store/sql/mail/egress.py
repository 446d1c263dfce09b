"""Suspended addresses and counts of warming ones."""

from collections.abc import Mapping
from datetime import date, datetime

from sendryd.store.base import EgressKind, EgressSuspension
from sendryd.store.codec.values import from_ms, from_ms_or_none, to_ms, to_ms_or_none
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change
from sendryd.store.sql.database import Database
from sendryd.store.sql.mail.queries import SQL


class EgressAddresses:
    """`EgressStore`."""

    _database: Database

    async def suspend_egress(self, suspension: EgressSuspension) -> None:
        await self._database.change(
            SQL["suspend_egress"],
            kind=suspension.kind.value,
            name=suspension.name,
            reason=suspension.reason,
            suspended_by=suspension.by,
            suspended_at=to_ms(suspension.since),
            ends_at=to_ms_or_none(suspension.until),
        )

    async def resume_egress(self, kind: EgressKind, name: str) -> bool:
        return bool(await self._database.change(SQL["resume_egress"], kind=kind.value, name=name))

    async def list_egress_suspensions(self) -> list[EgressSuspension]:
        return [
            EgressSuspension(
                kind=EgressKind(row["kind"]),
                name=row["name"],
                by=row["suspended_by"],
                since=from_ms(row["suspended_at"]),
                until=from_ms_or_none(row["ends_at"]),
                reason=row["reason"],
            )
            for row in await self._database.find_rows(SQL["list_egress_suspensions"])
        ]

    async def end_egress_suspensions(self, now: datetime) -> None:
        await self._database.change(SQL["end_egress_suspensions"], moment=to_ms(now))

    async def add_egress_counts(self, day: date, added: Mapping[tuple[str, str], int], *, keep_since: date, most: int) -> None:
        rows = [
            ({"day": day.isoformat(), "address": address, "site": site, "number": number}, number > 0)
            for (address, site), number in added.items()
        ]

        def action(connection: Connection, _batch: object) -> None:
            change(connection, SQL["prune_egress_counts"], keep_since=keep_since.isoformat())
            room = most - sum(int(number) for (number,) in connection.tuples(SQL["count_egress_counts"], {}))
            for row, is_more in rows:
                if not change(connection, SQL["add_to_egress_count"], **row) and room > 0 and is_more:
                    room -= change(connection, SQL["put_egress_count"], **row)

        await self._database.write(action)

    async def list_egress_counts(self, day: date) -> dict[tuple[str, str], int]:
        rows = await self._database.list_rows(SQL["list_egress_counts"], "egress_count", day=day.isoformat())
        return {(row["address"], row["site"]): row["number"] for row in rows if row is not None}
