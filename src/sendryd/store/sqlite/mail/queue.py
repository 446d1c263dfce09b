"""What an operator does with the queue in SQLite."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import apsw

from sendryd.model.delivery import WAITING_STATES, DeliveryState, HoldReason
from sendryd.model.event import EventType
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, AccountId, DeliveryId, DomainId, MessageId
from sendryd.store.base import EventMaker, QueuedDelivery, QueueFilter
from sendryd.store.codec.mail import show_message
from sendryd.store.codec.reading import row_of
from sendryd.store.codec.values import from_ms, to_json, to_ms
from sendryd.store.errors import NotAllowed, NotFound
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.mail.batch import Rows, add_events
from sendryd.store.sqlite.mail.changes import move
from sendryd.store.sqlite.mail.queries import SQL

_UNTRIED: Final = frozenset({DeliveryState.QUEUED.value, DeliveryState.HELD.value})
_QUEUE_COLUMNS: Final = """
SELECT m.id, m.account_id, m.api_key_id, m.mode, m.reverse_path, m.author, m.recipients, m.subject, m.internet_message_id, m.size,
       m.created_at, m.signing_domain_id, m.needs_smtputf8, m.is_8bit, m.ret, m.envid, m.tags, m.type, m.scheduled_at, m.tracking,
       m.template_id, m.list_id, m.unsubscribe_url,
       d.id, d.forward_path, d.domain, d.state, d.attempts, d.due_at, d.created_at, d.last_reply, d.hold_reason, d.crashes
FROM delivery d JOIN message m ON m.id = d.message_id
"""


class Queue:
    """`QueueStore`. What moves many deliveries does so in several transactions."""

    _database: Database

    async def list_queue(self, which: QueueFilter, *, limit: int | None = None) -> list[QueuedDelivery]:
        condition, values = _condition(which)
        query = f"{_QUEUE_COLUMNS} WHERE {condition} ORDER BY d.id DESC LIMIT ?"
        unreadable, most = self._database.unreadable, -1 if limit is None else limit
        rows = await self._database.read(lambda connection: unreadable.fetch(connection.execute(query, (*values, most)), DELIVERY_PREFIX))
        return list(unreadable.keep(rows, _read_queued))

    async def count_queue(self) -> Mapping[DeliveryState, int]:
        rows: list[tuple[Any, ...]] = await self._database.read(lambda connection: connection.execute(SQL["count_queue"]).fetchall())
        return {DeliveryState(state): count for state, count in rows}

    async def hold(self, which: QueueFilter, now: datetime) -> int:
        return await self._move_all(which, DeliveryState.QUEUED, DeliveryState.HELD, now)

    async def release_held(self, which: QueueFilter, now: datetime) -> int:
        return await self._move_all(which, DeliveryState.HELD, DeliveryState.QUEUED, now, does_probe=True)

    async def hold_for_domain(self, domain_id: DomainId, now: datetime) -> int:
        numbers = await self._list("list_queued_of_sending_domain", domain_id)
        states = (DeliveryState.QUEUED, DeliveryState.HELD)
        return await move(self._database, numbers, states, now, hold_reason=HoldReason.DOMAIN_REMOVED)

    async def release_for_domain(self, account_id: AccountId, name: str, now: datetime) -> int:
        numbers = await self._list("list_held_of_removed_domain", account_id, name)
        return await move(self._database, numbers, (DeliveryState.HELD, DeliveryState.QUEUED), now)

    async def _list(self, name: str, *values: Any) -> list[int]:
        rows: list[tuple[Any, ...]] = await self._database.read(lambda connection: connection.execute(SQL[name], values).fetchall())
        return [number for (number,) in rows]

    async def retry(self, which: QueueFilter, now: datetime) -> int:
        return await self._move_all(which, DeliveryState.QUEUED, DeliveryState.QUEUED, now, does_probe=True)

    async def cancel(self, which: QueueFilter, now: datetime, make_event: EventMaker) -> int:
        count = 0
        for state in (DeliveryState.QUEUED, DeliveryState.HELD):
            states = (state, DeliveryState.CANCELLED)
            count += await move(self._database, await self._find(which, state), states, now, (make_event, EventType.CANCELLED, {}))
        return count

    async def cancel_message(self, account_id: AccountId, message_id: MessageId, now: datetime, make_event: EventMaker) -> None:
        states = await self._database.read(lambda connection: connection.execute(SQL["list_states"], (message_id,)).fetchall())
        made = {row[0]: make_event(EventType.CANCELLED, {}) for row in states}
        moment = to_ms(now)

        def action(connection: apsw.Connection, rows: Rows) -> None:
            if connection.execute(SQL["get_message"], (account_id, message_id)).fetchone() is None:
                raise NotFound("no such message")
            numbers = [row[0] for row in list_untried(connection, message_id)]
            for state in (DeliveryState.QUEUED, DeliveryState.HELD):
                values = (DeliveryState.CANCELLED.value, None, to_json(numbers), state.value, None)
                found: list[tuple[Any, ...]] = connection.execute(SQL["move"], values).fetchall()
                for row in found:
                    add_events(rows, row, (made[row[0]],), moment)
            connection.execute(SQL["delete_draft"], (message_id,))

        await self._database.write(action)

    async def _move_all(
        self, which: QueueFilter, before: DeliveryState, after: DeliveryState, now: datetime, *, does_probe: bool = False
    ) -> int:
        return await move(self._database, await self._find(which, before), (before, after), now, does_probe=does_probe)

    async def _find(self, which: QueueFilter, state: DeliveryState) -> list[int]:
        condition, values = _condition(which)
        # The state is written out, not bound: only then does the planner see that a partial index fits.
        query = f"SELECT d.id FROM delivery d WHERE d.state = '{state.value}' AND ({condition}) ORDER BY d.id"
        rows: list[tuple[Any, ...]] = await self._database.read(lambda connection: connection.execute(query, values).fetchall())
        return [number for (number,) in rows]


def list_untried(connection: apsw.Connection, message_id: MessageId) -> list[tuple[Any, ...]]:
    """The deliveries of a message that wait for their first attempt: id, state, attempts, due time, forward-path. Those that were suppressed
    from the start do not count. Raises `NotAllowed` if there is none, or one that was tried or is done.
    """
    found: list[tuple[Any, ...]] = connection.execute(SQL["list_states"], (message_id,)).fetchall()
    rows = [row for row in found if row[1] != DeliveryState.SUPPRESSED.value]
    if not rows or any(state not in _UNTRIED or attempts for _, state, attempts, _, _ in rows):
        raise NotAllowed("the message is under way or done")
    return rows


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


def _hold_reason(state: str, stored: str | None) -> HoldReason | None:
    if state != DeliveryState.HELD.value:
        return None
    return HoldReason(stored) if stored in set(HoldReason) else HoldReason.OPERATOR


@row_of(MESSAGE_PREFIX)
def _read_queued(row: Sequence[Any]) -> QueuedDelivery:
    return QueuedDelivery(
        id=DeliveryId(row[23]),
        message=show_message(row[:23]),
        forward_path=row[24],
        domain=row[25],
        state=DeliveryState(row[26]),
        attempts=row[27],
        due_at=from_ms(row[28]),
        created_at=from_ms(row[29]),
        last_reply=row[30],
        hold_reason=_hold_reason(row[26], row[31]),
        crashes=row[32],
    )
