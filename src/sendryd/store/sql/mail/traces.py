"""Requests for transcripts, and the events that the mail log follows."""

from collections.abc import Sequence
from datetime import datetime

from sendryd.model.ids import EVENT_PREFIX, EventId
from sendryd.store.base import Ended, TraceRequest
from sendryd.store.codec.events import read_ended
from sendryd.store.codec.values import first_id, from_ms, to_json, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change
from sendryd.store.sql.database import Database
from sendryd.store.sql.mail.queries import SQL


class Traces:
    """`TraceStore`, and what `EventStore` tells of endings."""

    _database: Database

    async def list_ended(self, *, since: datetime) -> list[EventId]:
        def work(connection: Connection) -> list[EventId]:
            return [EventId(number) for (number,) in connection.tuples(SQL["list_ended"], {"first": first_id(since)})]

        return await self._database.read(work)

    async def read_ended(self, event_ids: Sequence[EventId]) -> list[Ended]:
        rows = await self._database.list_rows(SQL["read_ended"], EVENT_PREFIX, ids=to_json(event_ids))
        return list(self._database.unreadable.keep(rows, read_ended))

    async def add_trace(self, request: TraceRequest) -> None:
        await self._database.change(SQL["put_trace"], domain=request.domain, sessions=request.sessions, until=to_ms(request.until))

    async def list_traces(self, *, now: datetime) -> list[TraceRequest]:
        rows = await self._database.find_rows(SQL["list_traces"], moment=to_ms(now))
        return [TraceRequest(domain=row["domain"], sessions=row["sessions"], until=from_ms(row["until"])) for row in rows]

    async def count_traced(self, domain: str) -> None:
        def action(connection: Connection, _batch: object) -> None:
            change(connection, SQL["count_traced"], domain=domain)
            change(connection, SQL["delete_done_traces"])

        await self._database.write(action)
