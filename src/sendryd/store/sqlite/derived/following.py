"""One step of the follower: what the main file has got since the last step goes into the derived file."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import apsw

from sendryd.store.codec.values import first_id, to_ms
from sendryd.store.sqlite.derived.counting import Facts, add_figures, count_facts
from sendryd.store.sqlite.derived.queries import SQL
from sendryd.store.sqlite.engine.statements import change, fetch_row

EVENTS: Final = 4  # times as many events as messages in a step: three are stored for a mail that is delivered


@dataclass(frozen=True, slots=True)
class Step:
    """Which messages and events come next."""

    facts: Facts
    has_more: bool


def follow(main: apsw.Connection, derived: apsw.Connection, until: datetime, limit: int) -> bool:
    """Does one step. Returns whether more is left."""
    row = fetch_row(derived, SQL["read_progress"])
    if row is None:
        raise apsw.CorruptError("it has lost its progress")
    main.execute("BEGIN")
    try:
        step = _next(main, row["message_id"], row["event_id"], first_id(until), limit)
        found = count_facts(main, step.facts)
    finally:
        main.execute("COMMIT")
    add_figures(derived, found, to_ms(until))
    change(
        derived,
        SQL["advance"],
        message_id=step.facts.messages[1],
        event_id=step.facts.events[1],
        until=row["until"] if step.has_more else max(row["until"], to_ms(until)),
    )
    return step.has_more


def _next(main: apsw.Connection, message_id: int, event_id: int, before: int, limit: int) -> Step:
    message_id_after, messages = _last(main, "last_new_message", message_id, before, limit)
    event_id_after, events = _last(main, "last_new_event", event_id, before, limit * EVENTS)
    return Step(Facts((message_id, message_id_after), (event_id, event_id_after)), messages == limit or events == limit * EVENTS)


def _last(main: apsw.Connection, name: str, after: int, before: int, limit: int) -> tuple[int, int]:
    row = fetch_row(main, SQL[name], after=after, before=before, limit=limit)
    return (after, 0) if row is None or row["last"] is None else (row["last"], row["number"])
