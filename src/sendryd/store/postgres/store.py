"""The PostgreSQL store, composed of its parts."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from sendryd.files import make_folder
from sendryd.store.base import SpoolReport
from sendryd.store.codec.values import from_ms, to_ms
from sendryd.store.derived.file import DerivedFile
from sendryd.store.drivers.postgres import Target, is_pooled
from sendryd.store.drivers.sizes import USUAL, Sizes
from sendryd.store.errors import SchemaMismatch
from sendryd.store.postgres import migrate
from sendryd.store.postgres.bells import PostgresLine, open_line
from sendryd.store.postgres.database import STATEMENT_TIMEOUT, PostgresDatabase
from sendryd.store.postgres.nodes import Nodes
from sendryd.store.postgres.probes import Probes
from sendryd.store.postgres.queries import SQL
from sendryd.store.postgres.sharing import Counts
from sendryd.store.sql.lists.suppressed import Suppressed
from sendryd.store.sql.mail.batch import Rows
from sendryd.store.sql.mail.claims import DueScan
from sendryd.store.sql.parts import Parts


class PostgresStore(Probes, Parts, Nodes, Counts):
    """`Store` in a server's database. What is derived from mail is in a file of this machine."""

    def __init__(self, database: PostgresDatabase, data_dir: Path, monotonic: Callable[[], float] | None) -> None:
        """`monotonic` is that of changes by others: see `open_store`."""
        self._database = self._server = database
        self._scan = DueScan(database.sizes)
        self._claiming = asyncio.Lock()
        self._suppressed = Suppressed(database, monotonic)
        self._found, self._obeyed = {}, {}
        self._derived = DerivedFile(data_dir, database.open)

    def __repr__(self) -> str:
        return f"<PostgresStore {self._server.target}>"

    def watch_faults(self, tell: Callable[[Exception | None], bool]) -> None:
        self._server.watch(tell)

    async def remove_orphans(self) -> int:
        """There are none: contents are rows of the transaction that refers to them."""
        return 0

    async def compare_spool(self) -> SpoolReport:
        """There are no files, and no transaction stores a message without its content."""
        return SpoolReport(segments=0, messages=await self._database.read_value(SQL["count_contents"]))

    async def check_writable(self) -> None:
        await self._server.touch()

    async def read_clock(self) -> datetime | None:
        row = await self._database.find_row(SQL["read_clock"])
        return from_ms(row["seen_at"]) if row else None

    async def note_clock(self, settled: datetime) -> None:
        await self._database.change(SQL["note_clock"], seen_at=to_ms(settled))

    async def open_line(self, heard: Callable[[str], None], ended: Callable[[], None]) -> PostgresLine | None:
        target = self._server.target
        return None if target.is_pooled else await open_line(target, heard, ended)

    def check_room(self, size: int) -> None:
        self._database.check_room(size)

    def can_write(self) -> bool:
        return self._server.writer.is_alive

    def statistics(self) -> Mapping[str, int | float]:
        return self._server.statistics()

    async def aclose(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._derived.close)
        await self._server.aclose()


async def open_store(
    target: Target,
    data_dir: Path,
    *,
    monotonic: Callable[[], float],
    changes_monotonic: Callable[[], float] | None = None,
    tell_unreadable: Callable[[str, str], None] | None = None,
    sizes: Sizes = USUAL,
    timeout: float = STATEMENT_TIMEOUT,
) -> PostgresStore:
    """Opens a server's database. Changes of lists by other processes are looked for twice a second if `changes_monotonic`, a clock's, is given, else in each
    look-up. Files of this machine, which hold nothing that cannot be made again, go to `data_dir`. `timeout`, in seconds, is
    that of each statement and of connecting.

    Raises `StoreUnavailable`, and `SchemaMismatch` if migrations are pending or a newer version has changed the database.
    """
    lacking = await migrate.pending(target)
    if lacking:
        raise SchemaMismatch(f"the database at {target} lacks {len(lacking)} migration(s): run `sendryd migrate`")
    pooled = Target(target.url, target.name, is_pooled=await is_pooled(target))
    make_folder(data_dir)
    database = PostgresDatabase(pooled, Rows, monotonic, tell_unreadable, sizes, timeout)
    return PostgresStore(database, data_dir, changes_monotonic)
