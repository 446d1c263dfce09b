"""What is derived from messages and events."""

from datetime import datetime

from sendryd.model.apikey import KeyMode
from sendryd.model.figures import LATENCY_BUCKETS, MinuteFigures
from sendryd.model.ids import AccountId
from sendryd.store.codec.values import from_ms, to_ms
from sendryd.store.derived.counting import DAY, HOUR, MINUTE
from sendryd.store.derived.file import DerivedDamaged, DerivedFile
from sendryd.store.derived.following import follow
from sendryd.store.derived.keeping import prune, repair
from sendryd.store.derived.queries import SQL
from sendryd.store.drivers.sqlite import SqliteConnection
from sendryd.store.drivers.statements import fetch_row
from sendryd.store.sql.database import Database


class Derived:
    """`DerivedStore`, `FigureStore`."""

    _derived: DerivedFile
    _database: Database

    async def follow(self, *, until: datetime, limit: int) -> bool:
        self._database.check_room(1)  # the last space is for mail
        return await self._derived.write(lambda main, derived: follow(main, derived, until, limit))

    async def repair_derived(self, *, start: datetime, end: datetime) -> int:
        return await self._derived.write(lambda main, derived: repair(main, derived, start, end))

    async def prune_derived(self, now: datetime) -> None:
        indexed = await self._derived.write(lambda main, derived: prune(main, derived, now))
        await self._database.change(SQL["forget_amended"], last=indexed)

    async def figures_until(self) -> datetime | None:
        def work(derived: SqliteConnection) -> datetime | None:
            row = fetch_row(derived, SQL["read_progress"])
            return from_ms(row["until"]) if row and row["until"] else None

        try:
            return await self._derived.read(work)
        except DerivedDamaged:
            return None

    async def list_minutes(self, account_id: AccountId, mode: KeyMode, *, start: datetime, end: datetime) -> list[MinuteFigures]:
        return await self._list_figures(account_id, mode, start, end, MINUTE)

    async def list_hours(self, account_id: AccountId, mode: KeyMode, *, start: datetime, end: datetime) -> list[MinuteFigures]:
        return await self._list_figures(account_id, mode, start, end, HOUR)

    async def list_days(self, account_id: AccountId, mode: KeyMode, *, start: datetime, end: datetime) -> list[MinuteFigures]:
        return await self._list_figures(account_id, mode, start, end, DAY)

    async def _list_figures(self, account_id: AccountId, mode: KeyMode, start: datetime, end: datetime, step: int) -> list[MinuteFigures]:
        values = {"account_id": account_id, "mode": mode.value, "step": step, "start": to_ms(start), "end": to_ms(end)}

        def work(derived: SqliteConnection) -> list[MinuteFigures]:
            found: dict[int, dict[str, int]] = {}
            for at, kind, number in derived.tuples(SQL["list_figures"], values):
                found.setdefault(at, {})[kind] = number
            return [_read_figures(at, numbers) for at, numbers in found.items()]

        try:
            return await self._derived.read(work)
        except DerivedDamaged:
            return []


def _read_figures(start: int, numbers: dict[str, int]) -> MinuteFigures:
    latency = tuple(numbers.pop(str(place), 0) for place in range(len(LATENCY_BUCKETS)))
    return MinuteFigures(minute=from_ms(start), latency=latency, **numbers)
