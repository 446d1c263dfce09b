"""Deletes what is older than the operator keeps it."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import apsw

from sendryd.store.codec.values import first_id, to_ms
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.engine.references import leave_segment
from sendryd.store.sqlite.mail.batch import Rows
from sendryd.store.sqlite.mail.queries import SQL


class MailUpkeep:
    """The part of `UpkeepStore` that deletes messages, events and answers."""

    _database: Database

    async def delete_messages(self, *, created_before: datetime, limit: int) -> int:
        await self._delete_drafts(limit)
        values = (first_id(created_before), to_ms(created_before), limit)

        def action(connection: apsw.Connection, _rows: Rows) -> list[tuple[Any, ...]]:
            old: list[tuple[Any, ...]] = connection.execute(SQL["list_old_messages"], values).fetchall()
            for number, segment in old:
                connection.execute(SQL["delete_deliveries"], (number,))
                connection.execute(SQL["delete_draft"], (number,))
                connection.execute(SQL["delete_message"], (number,))
                leave_segment(connection, segment)
            return old

        old: list[tuple[Any, ...]] = await self._database.write(action)
        if old:
            await self._database.tidy()
        return len(old)

    async def _delete_drafts(self, limit: int) -> None:
        """Deletes what messages were made from that are done since: all of it, so many in one transaction."""
        done: list[tuple[Any, ...]] = await self._database.read(lambda connection: connection.execute(SQL["list_done_drafts"]).fetchall())
        for start in range(0, len(done), limit):
            batch = done[start : start + limit]
            await self._database.write(partial(_delete_drafts, batch))

    async def delete_events(self, *, created_before: datetime, limit: int) -> int:
        def action(connection: apsw.Connection, _rows: Rows) -> int:
            connection.execute(SQL["delete_events"], (first_id(created_before), limit))
            return int(connection.changes())

        return int(await self._database.write(action))

    async def delete_answers(self, *, created_before: datetime, limit: int) -> int:
        def action(connection: apsw.Connection, _rows: Rows) -> int:
            connection.execute(SQL["delete_answers"], (to_ms(created_before), limit))
            return int(connection.changes())

        return int(await self._database.write(action))


def _delete_drafts(numbers: Sequence[tuple[Any, ...]], connection: apsw.Connection, _rows: Rows) -> None:
    connection.executemany(SQL["delete_draft"], numbers).fetchall()
