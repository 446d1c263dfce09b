"""The health of the database: spool, disk, clock, counters."""

from collections.abc import Mapping
from datetime import datetime

import apsw

from sendryd.store.base import SpoolReport
from sendryd.store.codec.values import from_ms, to_ms
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.engine.queries import SQL


class EngineUpkeep:
    """The part of `UpkeepStore` that concerns no aggregate."""

    _database: Database

    def check_room(self, size: int) -> None:
        self._database.check_room(size)

    async def remove_orphans(self) -> int:
        """Removes files of contents that no message refers to, because it was deleted or lost in a crash before the commit. Returns how many."""
        return await self._database.tidy()

    async def compare_spool(self) -> SpoolReport:
        return await self._database.in_thread(self._database.compare_spool)

    async def check_writable(self) -> None:
        self.check_room(1)

        def action(connection: apsw.Connection, _batch: object) -> None:
            # The value must change: the engine does not write a page that stays the same, and the disk would not be tested.
            version: int = connection.execute("PRAGMA user_version").get
            connection.execute(f"PRAGMA user_version = {(version + 1) % (1 << 31)}")

        await self._database.write(action)

    async def read_clock(self) -> datetime | None:
        row = self._database.fetch_row(SQL["read_clock"])
        return from_ms(row["seen_at"]) if row else None

    async def note_clock(self, settled: datetime) -> None:
        await self._database.change(SQL["note_clock"], seen_at=to_ms(settled))

    def can_write(self) -> bool:
        return self._database.writer.is_alive

    def statistics(self) -> Mapping[str, int | float]:
        return self._database.statistics()
