"""State changes of deliveries: statements of several rows, and the events stored with them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import DELIVERY_PREFIX
from sendryd.store.base import EventMaker, NewEvent
from sendryd.store.codec.events import read_subject
from sendryd.store.codec.values import to_json, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change
from sendryd.store.drivers.unreadable import Unreadable
from sendryd.store.sql.database import Database
from sendryd.store.sql.mail.batch import Rows
from sendryd.store.sql.mail.damaged import SIGNS, set_aside_damaged
from sendryd.store.sql.mail.queries import SQL

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Move:
    """A move of some deliveries from one state to another, in one transaction."""

    unreadable: Unreadable
    states: tuple[DeliveryState, DeliveryState]
    numbers: Sequence[int]
    moment: int  # milliseconds
    events: Mapping[int, NewEvent] = field(default_factory=dict)
    hold_reason: HoldReason | None = None
    hold_note: str | None = None  # of a person
    does_probe: bool = False
    spares_scheduled: bool = False


async def move(
    database: Database,
    numbers: Sequence[int],
    states: tuple[DeliveryState, DeliveryState],
    now: datetime,
    event: tuple[EventMaker, EventType, Metadata] | None = None,
    *,
    hold_reason: HoldReason | None = None,
    hold_note: str | None = None,
    does_probe: bool = False,
    spares_scheduled: bool = False,
) -> int:
    """Moves the deliveries that are in the first state to the second; those that become queued are due now. Returns how many. A delivery held
    without a reason is held by an operator. `does_probe` requests probes of the domains of the queued deliveries. `spares_scheduled` leaves untried ones
    alone whose scheduled time has not come.

    Works in steps, each a transaction with its events, so that moving a long queue does not block mail.
    """
    moved = 0
    size = database.sizes.step
    for start in range(0, len(numbers), size):
        some = numbers[start : start + size]
        events = {number: event[0](event[1], event[2]) for number in some} if event else {}
        step = Move(database.unreadable, states, some, to_ms(now), events, hold_reason, hold_note, does_probe, spares_scheduled)
        moved += await repair_and_repeat(database, partial(move_some, step))
    return moved


async def repair_and_repeat(database: Database, action: Callable[[Connection, Rows], Result]) -> Result:
    """Runs a transaction over several deliveries, once more if some of them were damaged and are set aside now."""
    try:
        return await database.write(action)
    except SIGNS:
        if not await set_aside_damaged(database):
            raise
        return await database.write(action)


def move_some(step: Move, connection: Connection, rows: Rows) -> int:
    """Moves deliveries within a transaction. Returns how many."""
    before, after = step.states
    values = {
        "before": before.value,
        "after": after.value,
        "due_at": step.moment if after is DeliveryState.QUEUED else None,
        "hold_reason": step.hold_reason,
        "hold_note": step.hold_note,
        "ids": to_json(list(step.numbers)),
        "spares_scheduled": step.spares_scheduled,
    }
    found = step.unreadable.fetch(connection, SQL["move"], DELIVERY_PREFIX, values)
    if step.does_probe:
        change(connection, SQL["ask_for_probes"], ids=values["ids"])
    for row in found:
        if row is not None and row["id"] in step.events:
            rows.add_events(read_subject(row), (step.events[row["id"]],), step.moment)
    return len(found)
