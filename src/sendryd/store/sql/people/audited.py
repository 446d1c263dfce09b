"""Changes with their entry of the audit, in one transaction."""

import copy
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Self, TypeAlias, TypeVar

from typing_extensions import override

from sendryd.model.people import AuditEntry
from sendryd.store.codec.people import audit_row
from sendryd.store.codec.reading import Row
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statement import Statement
from sendryd.store.drivers.statements import change
from sendryd.store.sql.database import Database
from sendryd.store.sql.people.queries import SQL
from sendryd.store.sql.place import Place

Result = TypeVar("Result")
Action: TypeAlias = Callable[[Connection, Any], Result]


class Audited:
    """`AuditStore`."""

    _database: Database

    def audited(self, entry: AuditEntry) -> Self:
        other = copy.copy(self)
        other._database = AuditedDatabase(self._database, entry)
        return other


class AuditedDatabase(Database):
    """The same database; the first write carries the entry."""

    def __init__(self, database: Database, entry: AuditEntry) -> None:
        self._plain = database
        self._entry: AuditEntry | None = entry
        self.sizes, self.unreadable = database.sizes, database.unreadable

    @property
    @override
    def plain(self) -> Database:
        return self._plain

    @override
    async def find_rows(self, statement: Statement, /, **values: Any) -> list[Row]:
        return await self._plain.find_rows(statement, **values)

    @override
    async def read(self, work: Callable[[Connection], Result]) -> Result:
        return await self._plain.read(work)

    @override
    async def search(self, work: Callable[[Connection], Result]) -> Result:
        return await self._plain.search(work)

    @override
    def check_room(self, size: int) -> None:
        self._plain.check_room(size)

    @override
    async def read_content(self, place: Place) -> bytes:
        return await self._plain.read_content(place)

    @override
    def stream_content(self, place: Place) -> AsyncGenerator[bytes, None]:
        return self._plain.stream_content(place)

    @override
    def drop_contents(self, connection: Connection, places: Sequence[Place]) -> None:
        self._plain.drop_contents(connection, places)

    @override
    async def tidy(self) -> int:
        return await self._plain.tidy()

    @override
    async def write(self, action: Action[Result], *, is_alone: bool = True, key: str = "", deliveries: Sequence[int] = ()) -> Result:
        return await self._write(
            lambda one: self._plain.write(one, is_alone=is_alone, key=key, deliveries=deliveries), action, lambda _result: True
        )

    @override
    async def write_contents(self, action: Action[Result], sizes: Sequence[int], *, is_alone: bool = False, key: str = "") -> Result:
        return await self._write(
            lambda one: self._plain.write_contents(one, sizes, is_alone=is_alone, key=key), action, lambda _result: True
        )

    @override
    async def change(self, statement: Statement, /, **values: Any) -> int:
        """A statement that changes no row is a change that was refused."""
        return await self._write(
            lambda one: self._plain.write(one, is_alone=False), lambda connection, _: change(connection, statement, **values), bool
        )

    async def _write(
        self,
        write: Callable[[Action[Result]], Awaitable[Result]],
        action: Action[Result],
        is_done: Callable[[Result], bool],
    ) -> Result:
        entry = self._entry
        if entry is None:
            return await write(action)

        def both(connection: Connection, batch: Any) -> Result:
            result = action(connection, batch)
            if is_done(result):
                change(connection, SQL["insert_audit"], **audit_row(entry))
            return result

        result = await write(both)
        if is_done(result):
            self._entry = None
        return result
