"""State changes of deliveries: statements of several rows, and the events stored with them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import apsw

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import DELIVERY_PREFIX
from sendryd.store.base import EventMaker, NewEvent
from sendryd.store.codec.events import read_subject
from sendryd.store.codec.values import to_json, to_ms
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.engine.statements import change
from sendryd.store.sqlite.engine.unreadable import Unreadable
from sendryd.store.sqlite.mail.batch import Rows
from sendryd.store.sqlite.mail.damaged import SIGNS, set_aside_damaged
from sendryd.store.sqlite.mail.queries import SQL


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
    """Moves the deliveries that are in the first state to the second; those that become queued are due now. Returns how many. A delivery held
    without a reason is held by an operator. `does_probe` requests probes of the domains of the queued deliveries.

    Works in steps, each a transaction with its events, so that moving a long queue does not block mail.
    """
    before, after = states
    moment = to_ms(now)
    values = {
        "before": before.value,
        "after": after.value,
        "due_at": moment if after is DeliveryState.QUEUED else None,
        "hold_reason": hold_reason,
    }
    moved = 0
    size = database.sizes.step
    for start in range(0, len(numbers), size):
        some = numbers[start : start + size]
        events = {number: event[0](event[1], event[2]) for number in some} if event else {}
        step = partial(_move, database.unreadable, {**values, "ids": to_json(some)}, events, moment, does_probe)
        try:
            moved += await database.write(step)
        except SIGNS:
            if not await set_aside_damaged(database):
                raise
            moved += await database.write(step)
    return moved


def _move(
    unreadable: Unreadable,
    values: Mapping[str, Any],
    events: Mapping[int, NewEvent],
    moment: int,
    does_probe: bool,
    connection: apsw.Connection,
    rows: Rows,
) -> int:
    found = unreadable.fetch(connection.execute(SQL["move"], values), DELIVERY_PREFIX)
    if does_probe:
        change(connection, SQL["ask_for_probes"], ids=values["ids"])
    for row in found:
        if row is not None and row["id"] in events:
            rows.add_events(read_subject(row), (events[row["id"]],), moment)
    return len(found)
