"""What moves deliveries: the statements of several rows and the events that are stored with them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import apsw

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import DELIVERY_PREFIX
from sendryd.store.base import EventMaker, NewEvent
from sendryd.store.codec.values import to_json, to_ms
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.mail.batch import Rows, add_events
from sendryd.store.sqlite.mail.damaged import SIGNS, set_aside_damaged
from sendryd.store.sqlite.mail.queries import SQL

STEP: Final = 1000  # deliveries moved in one transaction: some milliseconds, in which mail waits


async def move(
    database: Database,
    numbers: Sequence[int],
    states: tuple[DeliveryState, DeliveryState],
    now: datetime,
    event: tuple[EventMaker, EventType, Metadata] | None = None,
    *,
    hold_reason: HoldReason | None = None,
    does_probe: bool = False,
) -> int:
    """Moves those of the deliveries that are in the first state to the second; those that become queued are due now. Returns how many.
    What is held without a reason is held by an operator. `does_probe` asks for probes of the domains of what becomes queued.

    In steps, each a transaction with its events, so that moving a long queue does not keep mail waiting.
    """
    before, after = states
    moment = to_ms(now)
    due_at = moment if after is DeliveryState.QUEUED else None
    moved = 0
    for start in range(0, len(numbers), STEP):
        some = numbers[start : start + STEP]
        events = dict(zip(some, [event[0](event[1], event[2]) for _ in some], strict=True)) if event else {}

        def action(connection: apsw.Connection, rows: Rows, some: Sequence[int] = some, events: dict[int, NewEvent] = events) -> int:
            values = (after.value, due_at, to_json(some), before.value, hold_reason)
            found = database.unreadable.fetch(connection.execute(SQL["move"], values), DELIVERY_PREFIX)
            if does_probe:
                connection.execute(SQL["ask_for_probes"], (to_json(some),)).fetchall()
            for row in found:
                if row is not None and row[0] in events:
                    add_events(rows, row, (events[row[0]],), moment)
            return len(found)

        try:
            moved += int(await database.write(action))
        except SIGNS:
            if not await set_aside_damaged(database):
                raise
            moved += int(await database.write(action))
    return moved
