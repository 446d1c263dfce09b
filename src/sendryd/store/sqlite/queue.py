"""What an operator does with the queue in SQLite."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sendryd.model.delivery import WAITING_STATES, DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import DeliveryId
from sendryd.store.base import EventMaker, QueuedDelivery, QueueFilter
from sendryd.store.sqlite.changes import move
from sendryd.store.sqlite.database import Database
from sendryd.store.sqlite.queries import SQL
from sendryd.store.sqlite.rows import from_ms, read_message, to_ms

_QUEUE_COLUMNS: Final = """
SELECT m.id, m.account_id, m.api_key_id, m.mode, m.reverse_path, m.author, m.recipients, m.subject, m.internet_message_id, m.size,
       m.created_at, m.signing_domain_id, m.needs_smtputf8, m.is_8bit, m.ret, m.envid,
       d.id, d.forward_path, d.domain, d.state, d.attempts, d.due_at, d.created_at, d.last_reply
FROM delivery d JOIN message m ON m.id = d.message_id
"""


class Queue:
    """`QueueStore`. What moves many deliveries does so in several transactions."""

    _database: Database

    async def list_queue(self, which: QueueFilter, *, limit: int | None = None) -> list[QueuedDelivery]:
        condition, values = _condition(which)
        query = f"{_QUEUE_COLUMNS} WHERE {condition} ORDER BY d.id DESC LIMIT ?"
        rows = await self._database.read(lambda connection: connection.execute(query, (*values, -1 if limit is None else limit)).fetchall())
        return [_read_queued(row) for row in rows]

    async def count_queue(self) -> Mapping[DeliveryState, int]:
        rows: list[tuple[Any, ...]] = await self._database.read(lambda connection: connection.execute(SQL["count_queue"]).fetchall())
        return {DeliveryState(state): count for state, count in rows}

    async def hold(self, which: QueueFilter, now: datetime) -> int:
        return await self._move_all(which, DeliveryState.QUEUED, DeliveryState.HELD, now)

    async def release_held(self, which: QueueFilter, now: datetime) -> int:
        return await self._move_all(which, DeliveryState.HELD, DeliveryState.QUEUED, now)

    async def retry(self, which: QueueFilter, now: datetime) -> int:
        return await self._move_all(which, DeliveryState.QUEUED, DeliveryState.QUEUED, now)

    async def cancel(self, which: QueueFilter, now: datetime, make_event: EventMaker) -> int:
        count = 0
        for state in (DeliveryState.QUEUED, DeliveryState.HELD):
            states = (state, DeliveryState.CANCELLED)
            count += await move(self._database, await self._find(which, state), states, now, (make_event, EventType.CANCELLED, {}))
        return count

    async def _move_all(self, which: QueueFilter, before: DeliveryState, after: DeliveryState, now: datetime) -> int:
        return await move(self._database, await self._find(which, before), (before, after), now)

    async def _find(self, which: QueueFilter, state: DeliveryState) -> list[int]:
        condition, values = _condition(which)
        # The state is written out, not bound: only then does the planner see that a partial index fits.
        query = f"SELECT d.id FROM delivery d WHERE d.state = '{state.value}' AND ({condition}) ORDER BY d.id"
        rows: list[tuple[Any, ...]] = await self._database.read(lambda connection: connection.execute(query, values).fetchall())
        return [number for (number,) in rows]


def _condition(which: QueueFilter) -> tuple[str, list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    states = which.states
    if states is None and which.message_id is None and which.delivery_id is None:
        states = WAITING_STATES
    if states is not None:
        conditions.append(f"d.state IN ({', '.join(['?'] * len(states))})")
        values += [state.value for state in states]
    for column, value in (("d.domain", which.domain), ("d.message_id", which.message_id), ("d.id", which.delivery_id)):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if which.has_attempts is not None:
        conditions.append("d.attempts > 0" if which.has_attempts else "d.attempts = 0")
    if which.created_before is not None:
        conditions.append("d.created_at < ?")
        values.append(to_ms(which.created_before))
    return " AND ".join(conditions) or "1", values


def _read_queued(row: Sequence[Any]) -> QueuedDelivery:
    return QueuedDelivery(
        id=DeliveryId(row[16]),
        message=read_message(row[:16]),
        forward_path=row[17],
        domain=row[18],
        state=DeliveryState(row[19]),
        attempts=row[20],
        due_at=from_ms(row[21]),
        created_at=from_ms(row[22]),
        last_reply=row[23],
    )
