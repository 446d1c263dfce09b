"""`SharedCounts`: quotas and rate limits of all processes together.

Each count is one row. A transaction locks the rows of all that it counts in the order of their names, by itself: in the writer's transaction
the rows would be locked until the whole batch is committed, and other processes would wait.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sendryd.store.base.sharing import Allowance, QuotaReturn, QuotaTake, UsedUp
from sendryd.store.codec.values import first_id, from_ms, to_json, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import fetch_rows, fetch_value
from sendryd.store.postgres.database import PostgresDatabase
from sendryd.store.postgres.queries import SQL
from sendryd.store.sql.mail.queries import SQL as MAIL

MILLISECOND: Final = timedelta(milliseconds=1)


class Counts:
    """`SharedCounts`."""

    _server: PostgresDatabase

    async def take_quotas(self, takes: Sequence[QuotaTake], returned: Sequence[QuotaReturn]) -> list[UsedUp | None]:
        return await self._server.write_beside(lambda connection: _take(connection, takes, returned))

    async def share_rates(self, used: Mapping[int, int], *, count: int, period: float) -> dict[int, float]:
        values = {"used": to_json(sorted(used.items())), "full": float(count), "rate": count / period}
        rows = await self._server.write_beside(lambda connection: fetch_rows(connection, SQL["share_rates"], **values))
        return {row["key_id"]: row["tokens"] for row in rows}

    async def forget_counts(self) -> None:
        await self._server.change(SQL["forget_quotas"])
        await self._server.change(SQL["forget_rates"])


@dataclass(slots=True)
class _Count:
    """A row, in the present period."""

    owner: str
    period: int  # milliseconds
    start: int
    taken: int
    is_changed: bool = False


def _take(connection: Connection, takes: Sequence[QuotaTake], returned: Sequence[QuotaReturn]) -> list[UsedUp | None]:
    allowances = {_owner(each): each for take in takes for each in take.allowances} | {
        _owner(each.allowance): each.allowance for each in returned
    }
    now, counts = _lock(connection, allowances)
    for back in returned:
        count = counts[_owner(back.allowance)]
        if count.start <= to_ms(back.made_at):
            count.taken = max(0, count.taken - back.number)
            count.is_changed = True
    found: list[UsedUp | None] = []
    for take in takes:
        wanted = [(each, counts[_owner(each)]) for each in take.allowances]
        full = next(((each, count) for each, count in wanted if count.taken + take.number > each.count), None)
        found.append(UsedUp(allowance=full[0], seconds=(full[1].start + full[1].period - now) / 1000) if full else None)
        if full is None:
            for _, count in wanted:
                count.taken += take.number
                count.is_changed = True
    changed = [count for count in counts.values() if count.is_changed]
    connection.put(
        SQL["store_quota"], [{"owner": each.owner, "period": each.period, "start": each.start, "taken": each.taken} for each in changed]
    )
    return found


def _lock(connection: Connection, allowances: Mapping[str, Allowance]) -> tuple[int, dict[str, _Count]]:
    """The server's time in milliseconds, and the counts in the periods that it is in, locked."""
    names = to_json(sorted(allowances))
    rows = fetch_rows(connection, SQL["lock_quotas"], owners=names)
    if len(rows) < len(allowances):
        fetch_rows(connection, SQL["add_quotas"], owners=names)
        rows = fetch_rows(connection, SQL["lock_quotas"], owners=names)
    now: int = fetch_value(connection, SQL["server_time"])  # after the locks: who waited may have waited for another period
    counts: dict[str, _Count] = {}
    for row in rows:
        allowance = allowances[row["owner"]]
        period = allowance.period // MILLISECOND
        count = _Count(row["owner"], period, now - now % period, row["taken"])
        if row["period"] != period:  # it was not counted, or otherwise
            count.taken, count.is_changed = _accepted(connection, allowance, count), True
        elif row["start"] != count.start:
            count.taken, count.is_changed = 0, True
        counts[count.owner] = count
    return now, counts


def _accepted(connection: Connection, allowance: Allowance, count: _Count) -> int:
    return int(
        fetch_value(
            connection,
            MAIL["count_accepted"],
            account_id=allowance.account_id,
            api_key_id=allowance.api_key_id,
            mode=allowance.mode.value,
            first=first_id(from_ms(count.start)),
            last=first_id(from_ms(count.start + count.period)),
        )
    )


def _owner(allowance: Allowance) -> str:
    return f"{allowance.account_id}:{'' if allowance.api_key_id is None else allowance.api_key_id}:{allowance.mode.value}"
