"""One step of the follower: what the main file has got since the last step goes into the derived file."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import apsw

from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import first_id, to_json, to_ms
from sendryd.store.derived.activity import Activity, add_activity, count_activity
from sendryd.store.derived.counting import Facts, Figures, add_figures, count_facts
from sendryd.store.derived.file import MainConnection
from sendryd.store.derived.index import add_terms, read_terms
from sendryd.store.derived.queries import SQL
from sendryd.store.drivers.sqlite import SqliteConnection
from sendryd.store.drivers.statements import change, fetch_row, fetch_rows

EVENTS: Final = 4  # times as many events as messages in a step: three are stored for a mail that is delivered


@dataclass(frozen=True, slots=True)
class Step:
    """Which messages, events and changes come next, and what was made of them."""

    facts: Facts
    amended_id: int
    has_more: bool
    figures: Figures
    activity: Activity
    new: list[tuple[int, set[str]]]
    changed: list[tuple[int, set[str]]]


def follow(main: MainConnection, derived: SqliteConnection, until: datetime, limit: int) -> bool:
    """Does one step. Returns whether more is left."""
    progress = fetch_row(derived, SQL["read_progress"])
    if progress is None:
        raise apsw.CorruptError("it has lost its progress")
    with main.reading():
        step = _read(main, progress, first_id(until), limit)
    add_figures(derived, step.figures, to_ms(until))
    add_activity(derived, step.activity, to_ms(until))
    add_terms(derived, step.new, are_new=True)
    add_terms(derived, step.changed, are_new=False)
    change(
        derived,
        SQL["advance"],
        message_id=step.facts.messages[1],
        event_id=step.facts.events[1],
        amended_id=step.amended_id,
        until=progress["until"] if step.has_more else max(progress["until"], to_ms(until)),
    )
    return step.has_more


def _read(main: MainConnection, progress: Row, before: int, limit: int) -> Step:
    """What comes next. Nothing of the derived file is locked meanwhile but by its only writer."""
    message_id, event_id = progress["message_id"], progress["event_id"]
    last_message, messages = _last(main, "last_new_message", message_id, before, limit)
    last_event, events = _last(main, "last_new_event", event_id, before, limit * EVENTS)
    amended = fetch_rows(main, SQL["list_amended"], after=progress["amended_id"], limit=limit)
    changed = to_json(sorted({row["message_id"] for row in amended if row["message_id"] <= message_id}))
    facts = Facts((message_id, last_message), (event_id, last_event))
    return Step(
        facts=facts,
        amended_id=amended[-1]["id"] if amended else progress["amended_id"],
        has_more=messages == limit or events == limit * EVENTS or len(amended) == limit,
        figures=count_facts(main, facts),
        activity=count_activity(main, facts) if events else Activity(),
        new=read_terms(main, "list_messages_between", after=message_id, last=last_message) if messages else [],
        changed=read_terms(main, "list_messages_of", ids=changed) if amended else [],
    )


def _last(main: MainConnection, name: str, after: int, before: int, limit: int) -> tuple[int, int]:
    row = fetch_row(main, SQL[name], after=after, before=before, limit=limit)
    return (after, 0) if row is None or row["last"] is None else (row["last"], row["number"])
