"""Deletes messages, events and answers that are older than the operator keeps them."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import first_id, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_rows
from sendryd.store.sql.database import Database
from sendryd.store.sql.mail.queries import SQL
from sendryd.store.sql.place import place_of


class MailUpkeep:
    """The part of `UpkeepStore` that deletes messages, events and answers."""

    _database: Database

    async def delete_messages(self, *, created_before: datetime, limit: int) -> int:
        await self._delete_source_requests(limit)
        values = {"first_kept": first_id(created_before), "created_before": to_ms(created_before), "limit": limit}

        def action(connection: Connection, _batch: object) -> int:
            old = fetch_rows(connection, SQL["list_old_messages"], **values)
            delete_message_rows(self._database, connection, old)
            return len(old)

        count = await self._database.write(action)
        if count:
            await self._database.tidy()
        return count

    async def _delete_source_requests(self, limit: int) -> None:
        """Deletes the source requests of messages that are done, `limit` in each transaction, until none is left."""
        done = await self._database.read_rows(SQL["list_done_source_requests"])
        for start in range(0, len(done), limit):
            await self._database.write(partial(_delete_source_requests, done[start : start + limit]))

    async def delete_events(self, *, created_before: datetime, limit: int) -> int:
        return await self._database.change(SQL["delete_events"], first_kept=first_id(created_before), limit=limit)

    async def delete_answers(self, *, created_before: datetime, limit: int) -> int:
        return await self._database.change(SQL["delete_answers"], created_before=to_ms(created_before), limit=limit)


def delete_message_rows(database: Database, connection: Connection, rows: Sequence[Row]) -> None:
    """Deletes messages with their deliveries and contents. The rows have the places of the contents."""
    for row in rows:
        change(connection, SQL["delete_deliveries"], message_id=row["id"])
        change(connection, SQL["delete_source_request"], message_id=row["id"])
        change(connection, SQL["delete_message"], id=row["id"])
    database.drop_contents(connection, [place_of(row["id"], row) for row in rows])


def _delete_source_requests(rows: Sequence[Row], connection: Connection, _batch: object) -> None:
    for row in rows:
        change(connection, SQL["delete_source_request"], message_id=row["message_id"])
