"""Requests for transcripts, and what the mail log follows, in SQLite."""

from datetime import datetime
from typing import Final

import apsw

from sendryd.model.ids import EVENT_PREFIX
from sendryd.store.base import Ended, TraceRequest
from sendryd.store.codec.mail import show_event, show_message
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import first_id, from_ms, to_ms
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.mail.batch import Rows
from sendryd.store.sqlite.mail.queries import SQL

_EVENT_COLUMNS: Final = 7  # of `list_ended`, behind those of the message


class Traces:
    """`TraceStore`, and `EventStore.list_ended`."""

    _database: Database

    async def list_ended(self, *, since: datetime) -> list[Ended]:
        start = first_id(since)
        rows = await self._database.read_rows(SQL["list_ended"], EVENT_PREFIX, start)
        return list(self._database.unreadable.keep(rows, _read_ended))

    async def add_trace(self, request: TraceRequest) -> None:
        values = (request.domain, request.sessions, to_ms(request.until))
        await self._database.write(lambda connection, _: connection.execute(SQL["put_trace"], values).fetchall())

    async def list_traces(self, *, now: datetime) -> list[TraceRequest]:
        rows = self._database.fetch_all(SQL["list_traces"], to_ms(now))
        return [TraceRequest(domain=domain, sessions=sessions, until=from_ms(until)) for domain, sessions, until in rows]

    async def count_traced(self, domain: str) -> None:
        def action(connection: apsw.Connection, _rows: Rows) -> None:
            connection.execute(SQL["count_traced"], (domain,))
            connection.execute(SQL["delete_done_traces"])

        await self._database.write(action)


def _read_ended(row: Row) -> Ended:
    return Ended(event=show_event(row[-_EVENT_COLUMNS:]), message=show_message(row[:-_EVENT_COLUMNS]))
