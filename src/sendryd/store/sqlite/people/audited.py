"""Changes with their entry of the audit, in one transaction."""

import copy
from collections.abc import Callable
from typing import Any, Self, TypeVar

import apsw
from typing_extensions import override

from sendryd.model.people import AuditEntry
from sendryd.store.codec.people import audit_row
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.engine.statements import change
from sendryd.store.sqlite.people.queries import SQL

Result = TypeVar("Result")


class Audited:
    """`AuditStore`."""

    _database: Database

    def audited(self, entry: AuditEntry) -> Self:
        other = copy.copy(self)
        other._database = AuditedDatabase(self._database, entry)
        return other


class AuditedDatabase(Database):
    """The same connections; the first write carries the entry."""

    def __init__(self, database: Database, entry: AuditEntry) -> None:
        self.__dict__.update(database.__dict__)
        self._plain = database
        self._entry: AuditEntry | None = entry

    @property
    @override
    def plain(self) -> Database:
        return self._plain

    @override
    async def write(self, action: Callable[[apsw.Connection, Any], Result]) -> Result:
        return await self._write(action, lambda _result: True)

    @override
    async def change(self, statement: str, /, **values: Any) -> int:
        """A statement that changes no row is a change that was refused."""
        return await self._write(lambda connection, _: change(connection, statement, **values), bool)

    async def _write(self, action: Callable[[apsw.Connection, Any], Result], is_done: Callable[[Result], bool]) -> Result:
        entry = self._entry
        if entry is None:
            return await super().write(action)

        def both(connection: apsw.Connection, batch: object) -> Result:
            result = action(connection, batch)
            if is_done(result):
                change(connection, SQL["insert_audit"], **audit_row(entry))
            return result

        result = await super().write(both)
        if is_done(result):
            self._entry = None
        return result
