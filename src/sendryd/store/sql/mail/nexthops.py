"""Hosts that did TLS and requests for probes."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sendryd.model.lane import LaneSnapshot, LimitChange
from sendryd.policy.shaping.effects import Effect
from sendryd.policy.tlsrpt import TlsResult
from sendryd.store.base import ENDED_KEPT, MAX_LIMIT_CHANGES, LimitedDestination, PausedDestination, StoredStsPolicy
from sendryd.store.codec.lanes import lane_row, limit_row, read_lane, read_limit_change
from sendryd.store.codec.shaping import effect_row, read_effect
from sendryd.store.codec.transport import read_sts, read_tls_result, sts_row, tls_result_row
from sendryd.store.codec.values import from_ms, from_ms_or_none, to_json, to_ms, to_ms_or_none
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_rows
from sendryd.store.sql.database import Database
from sendryd.store.sql.mail.queries import SQL


class NextHops:
    """`NextHopStore`."""

    _database: Database

    async def note_tls_hosts(self, worked: Mapping[str, datetime], *, keep_since: datetime, most: int) -> None:
        def action(connection: Connection, _batch: object) -> None:
            for host, moment in worked.items():
                change(connection, SQL["note_tls_host"], host=host, worked_at=to_ms(moment))
            change(connection, SQL["prune_tls_hosts"], keep_since=to_ms(keep_since), most=most)

        await self._database.write(action)

    async def list_tls_hosts(self) -> list[tuple[str, datetime]]:
        rows = await self._database.list_rows(SQL["list_tls_hosts"], "tls_host")
        return [(row["host"], from_ms(row["worked_at"])) for row in rows if row is not None]

    async def put_sts_policy(self, found: StoredStsPolicy, *, now: datetime, most: int) -> None:
        row = sts_row(found)

        def action(connection: Connection, _batch: object) -> None:
            change(connection, SQL["put_sts_policy"], **row)
            change(connection, SQL["prune_sts_policies"], now=to_ms(now), most=most)

        await self._database.write(action)

    async def list_sts_policies(self) -> list[StoredStsPolicy]:
        rows = await self._database.list_rows(SQL["list_sts_policies"], "sts_policy")
        return list(self._database.unreadable.keep(rows, read_sts))

    async def add_tls_results(self, counted: Sequence[tuple[date, TlsResult, int]], *, most: int) -> None:
        rows = [{**tls_result_row(day, result), "number": number} for day, result, number in counted]

        def action(connection: Connection, _batch: object) -> None:
            room = most - sum(int(number) for (number,) in connection.tuples(SQL["count_tls_results"], {}))
            for row in rows:
                if not change(connection, SQL["add_to_tls_result"], **row) and room > 0:
                    room -= change(connection, SQL["put_tls_result"], **row)

        await self._database.write(action)

    async def list_tls_days(self, *, before: date) -> list[tuple[date, str]]:
        rows = await self._database.list_rows(SQL["list_tls_days"], "tls_result", before=before.isoformat())
        return [(date.fromisoformat(row["day"]), row["domain"]) for row in rows if row is not None]

    async def find_tls_results(self, day: date, domain: str) -> list[tuple[TlsResult, int]]:
        rows = await self._database.list_rows(SQL["find_tls_results"], "tls_result", day=day.isoformat(), domain=domain)
        return list(self._database.unreadable.keep(rows, read_tls_result))

    async def remove_tls_results(self, day: date, domain: str) -> None:
        await self._database.change(SQL["remove_tls_results"], day=day.isoformat(), domain=domain)

    async def list_probes(self) -> list[str]:
        return [row["domain"] for row in await self._database.find_rows(SQL["list_probes"])]

    async def clear_probes(self, domains: Sequence[str]) -> None:
        await self._database.change(SQL["delete_probes"], domains=to_json(domains))

    async def pause_destination(self, domain: str, *, by: str, now: datetime, until: datetime | None = None, reason: str = "") -> bool:
        values = {"domain": domain, "paused_by": by, "paused_at": to_ms(now), "ends_at": to_ms_or_none(until), "reason": reason}
        return bool(await self._database.change(SQL["pause_destination"], **values))

    async def resume_destination(self, domain: str) -> bool:
        def action(connection: Connection, _batch: object) -> int:
            resumed = change(connection, SQL["resume_destination"], domain=domain)
            change(connection, SQL["ask_for_probe"], domain=domain)
            return resumed

        return bool(await self._database.write(action))

    async def list_paused_destinations(self) -> list[PausedDestination]:
        rows = await self._database.find_rows(SQL["list_paused_destinations"])
        return [
            PausedDestination(
                domain=row["domain"],
                by=row["paused_by"],
                since=from_ms(row["paused_at"]),
                until=from_ms_or_none(row["ends_at"]),
                reason=row["reason"],
            )
            for row in rows
        ]

    async def limit_destination(self, limit: LimitedDestination) -> None:
        await self._database.change(
            SQL["limit_destination"],
            domain=limit.domain,
            sessions=limit.sessions,
            set_by=limit.by,
            set_at=to_ms(limit.since),
            ends_at=to_ms_or_none(limit.until),
        )

    async def lift_limit(self, domain: str) -> bool:
        return bool(await self._database.change(SQL["lift_limit"], domain=domain))

    async def list_limited_destinations(self) -> list[LimitedDestination]:
        rows = await self._database.find_rows(SQL["list_limited_destinations"])
        return [
            LimitedDestination(
                domain=row["domain"],
                sessions=row["sessions"],
                by=row["set_by"],
                since=from_ms(row["set_at"]),
                until=from_ms_or_none(row["ends_at"]),
            )
            for row in rows
        ]

    async def end_pauses_and_limits(self, now: datetime) -> None:
        def action(connection: Connection, _batch: object) -> None:
            for row in fetch_rows(connection, SQL["end_pauses"], moment=to_ms(now)):
                change(connection, SQL["ask_for_probe"], domain=row["domain"])
            change(connection, SQL["end_limits"], moment=to_ms(now))

        await self._database.write(action)

    async def list_limit_changes(self, next_hop: str, *, limit: int) -> list[LimitChange]:
        rows = await self._database.list_rows(SQL["list_limit_changes"], "lane_limit", next_hop=next_hop, limit=limit)
        return list(self._database.unreadable.keep(rows, read_limit_change))

    async def put_lanes(self, lanes: Sequence[LaneSnapshot], *, keep_since: datetime, most: int) -> None:
        rows, limits = [lane_row(each) for each in lanes], [limit_row(each) for each in lanes]

        def action(connection: Connection, _batch: object) -> None:
            for row in rows:
                change(connection, SQL["put_lane"], **row)
            for limit in limits:
                if change(connection, SQL["note_limit"], **limit):
                    change(connection, SQL["prune_limits"], next_hop=limit["next_hop"], most=MAX_LIMIT_CHANGES)
            if change(connection, SQL["prune_lanes"], keep_since=to_ms(keep_since), most=most):
                change(connection, SQL["delete_limits"])

        await self._database.write(action)

    async def find_lanes(self, next_hops: Sequence[str]) -> list[LaneSnapshot]:
        rows = await self._database.find_rows(SQL["find_lanes"], next_hops=to_json(sorted(set(next_hops))))
        return list(self._database.unreadable.keep(rows, read_lane))

    async def list_lanes(self, *, since: datetime, limit: int) -> list[LaneSnapshot]:
        rows = await self._database.list_rows(SQL["list_lanes"], "lane", since=to_ms(since), limit=limit)
        return list(self._database.unreadable.keep(rows, read_lane))

    async def put_shaping_effects(self, effects: Sequence[Effect]) -> None:
        rows = [effect_row(each) for each in effects]

        def action(connection: Connection, _batch: object) -> None:
            change(connection, SQL["delete_shaping_effects"])
            for row in rows:
                change(connection, SQL["put_shaping_effect"], **row)

        await self._database.write(action)

    async def list_shaping_effects(self) -> list[Effect]:
        return list(self._database.unreadable.keep(await self._database.find_rows(SQL["list_shaping_effects"]), read_effect))

    async def end_shaping_effect(self, site: str, rule: str, now: datetime) -> bool:
        def action(connection: Connection, _batch: object) -> bool:
            if not change(connection, SQL["end_shaping_effect"], site=site, rule=rule):
                return False
            change(connection, SQL["prune_ended_effects"], keep_since=to_ms(now - ENDED_KEPT))
            change(connection, SQL["note_ended_effect"], site=site, rule=rule, ended_at=to_ms(now))
            return True

        return await self._database.write(action)

    async def list_ended_effects(self) -> dict[tuple[str, str], datetime]:
        return {(row["site"], row["rule"]): from_ms(row["ended_at"]) for row in await self._database.find_rows(SQL["list_ended_effects"])}

    async def list_stirring_lanes(self) -> list[LaneSnapshot]:
        return list(self._database.unreadable.keep(await self._database.find_rows(SQL["list_stirring_lanes"]), read_lane))
