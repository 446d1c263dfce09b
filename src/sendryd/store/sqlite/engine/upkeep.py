"""The health of the database: spool, disk, clock, counters."""

from collections.abc import Mapping
from datetime import datetime

from sendryd.store.base import SpoolReport
from sendryd.store.codec.values import from_ms, to_ms
from sendryd.store.errors import StoreUnavailable
from sendryd.store.sql.database import Database
from sendryd.store.sqlite.engine.database import SqliteDatabase
from sendryd.store.sqlite.engine.queries import SQL


class EngineUpkeep:
    """The part of `UpkeepStore` that concerns no aggregate."""

    _database: Database
    _sqlite: SqliteDatabase

    def check_room(self, size: int) -> None:
        self._database.check_room(size)

    async def remove_orphans(self) -> int:
        """Removes files of contents that no message refers to, because it was deleted or lost in a crash before the commit. Returns how many."""
        return await self._database.tidy()

    async def compare_spool(self) -> SpoolReport:
        return await self._sqlite.in_thread(self._sqlite.compare_spool)

    async def check_writable(self) -> None:
        self.check_room(1)
        try:
            self._sqlite.segments.check_usable()
        except OSError as error:
            raise StoreUnavailable(str(error)) from None
        await self._sqlite.touch()

    async def read_clock(self) -> datetime | None:
        row = await self._database.find_row(SQL["read_clock"])
        return from_ms(row["seen_at"]) if row else None

    async def note_clock(self, settled: datetime) -> None:
        await self._database.change(SQL["note_clock"], seen_at=to_ms(settled))

    def can_write(self) -> bool:
        return self._sqlite.writer.is_alive

    def statistics(self) -> Mapping[str, int | float]:
        return self._sqlite.statistics()
