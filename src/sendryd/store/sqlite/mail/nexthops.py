"""Hosts that did TLS and requests for probes, in SQLite."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import apsw

from sendryd.model.lane import LaneSnapshot
from sendryd.store.base import PausedDestination
from sendryd.store.codec.lanes import lane_row, read_lane
from sendryd.store.codec.values import from_ms, to_json, to_ms
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.engine.statements import change
from sendryd.store.sqlite.mail.queries import SQL


class NextHops:
    """`NextHopStore`."""

    _database: Database

    async def note_tls_hosts(self, worked: Mapping[str, datetime], *, keep_since: datetime, most: int) -> None:
        def action(connection: apsw.Connection, _batch: object) -> None:
            for host, moment in worked.items():
                change(connection, SQL["note_tls_host"], host=host, worked_at=to_ms(moment))
            change(connection, SQL["prune_tls_hosts"], keep_since=to_ms(keep_since), most=most)

        await self._database.write(action)

    async def list_tls_hosts(self) -> list[tuple[str, datetime]]:
        rows = await self._database.list_rows(SQL["list_tls_hosts"], "tls_host")
        return [(row["host"], from_ms(row["worked_at"])) for row in rows if row is not None]

    async def list_probes(self) -> list[str]:
        return [row["domain"] for row in self._database.fetch_rows(SQL["list_probes"])]

    async def clear_probes(self, domains: Sequence[str]) -> None:
        await self._database.change(SQL["delete_probes"], domains=to_json(domains))

    async def pause_destination(self, domain: str, *, by: str, now: datetime) -> bool:
        return bool(await self._database.change(SQL["pause_destination"], domain=domain, paused_by=by, paused_at=to_ms(now)))

    async def resume_destination(self, domain: str) -> bool:
        def action(connection: apsw.Connection, _batch: object) -> int:
            resumed = change(connection, SQL["resume_destination"], domain=domain)
            change(connection, SQL["ask_for_probe"], domain=domain)
            return resumed

        return bool(await self._database.write(action))

    async def list_paused_destinations(self) -> list[PausedDestination]:
        rows = self._database.fetch_rows(SQL["list_paused_destinations"])
        return [PausedDestination(domain=row["domain"], by=row["paused_by"], since=from_ms(row["paused_at"])) for row in rows]

    async def put_lanes(self, lanes: Sequence[LaneSnapshot], *, keep_since: datetime, most: int) -> None:
        rows = [lane_row(each) for each in lanes]

        def action(connection: apsw.Connection, _batch: object) -> None:
            for row in rows:
                change(connection, SQL["put_lane"], **row)
            change(connection, SQL["prune_lanes"], keep_since=to_ms(keep_since), most=most)

        await self._database.write(action)

    async def find_lanes(self, next_hops: Sequence[str]) -> list[LaneSnapshot]:
        rows = self._database.fetch_rows(SQL["find_lanes"], next_hops=to_json(sorted(set(next_hops))))
        return list(self._database.unreadable.keep(rows, read_lane))

    async def list_lanes(self, *, since: datetime, limit: int) -> list[LaneSnapshot]:
        rows = await self._database.list_rows(SQL["list_lanes"], "lane", since=to_ms(since), limit=limit)
        return list(self._database.unreadable.keep(rows, read_lane))

    async def rest_lanes(self) -> None:
        await self._database.change(SQL["rest_lanes"])
