"""Keeps the derived file true and small: compares it with the main file, drops what is too old."""

from datetime import datetime, timedelta
from typing import Any, Final

from sendryd.store.base import DAYS_KEPT, HOURS_KEPT, MINUTES_KEPT
from sendryd.store.codec.values import first_id, to_json, to_ms
from sendryd.store.derived.activity import add_activity, count_activity, stored_activity
from sendryd.store.derived.counting import DAY, HOUR, MINUTE, Facts, Figures, add_figures, count_facts
from sendryd.store.derived.file import MainConnection
from sendryd.store.derived.index import add_terms, list_months, month_span, read_terms
from sendryd.store.derived.queries import SQL
from sendryd.store.drivers.sqlite import SqliteConnection
from sendryd.store.drivers.statements import change, fetch_row, fetch_rows, fetch_value

SLACK: Final = timedelta(minutes=1)  # between the time of an identifier and that of its fact: seconds


def repair(main: MainConnection, derived: SqliteConnection, start: datetime, end: datetime) -> int:
    """Adds what is missing of a time. Returns how much."""
    progress = fetch_row(derived, SQL["read_progress"]) or {}
    below = first_id(end) - 1
    after = first_id(start) - 1
    last_message, last_event = progress.get("message_id", 0), progress.get("event_id", 0)
    with main.reading():
        missed = _missed(main, derived, after, min(below, last_message))
        terms = read_terms(main, "list_messages_of", ids=to_json(missed)) if missed else []
        outside = first_id(end + SLACK)
        facts = Facts(
            (first_id(start - SLACK), min(outside, last_message)),
            (first_id(start - SLACK), min(outside, last_event)),
            to_ms(start),
            to_ms(end),
        )
        counted, active = count_facts(main, facts), count_activity(main, facts)
    add_terms(derived, terms, are_new=False)
    values = {"step": MINUTE, "start": facts.start, "end": facts.end}
    stored: Figures = Figures({tuple(row[:4]): row[4] for row in derived.tuples(SQL["sum_minutes"], values)})
    lacking = counted - stored  # what is positive: events and messages may have been deleted since they were counted
    add_figures(derived, lacking, facts.end)
    lacking_activity = active - stored_activity(derived, values)
    add_activity(derived, lacking_activity, facts.end)
    return len(missed) + len(lacking) + len(lacking_activity)


def _missed(main: MainConnection, derived: SqliteConnection, after: int, last: int) -> list[int]:
    """Messages that are not in the index although earlier or later ones are."""
    values = {"after": after, "last": last}
    tables = [table for table in list_months(derived) if month_span(table)[1] > after and month_span(table)[0] <= last]
    indexed = sum(_in_index(derived, table, "count(*)", values)[0] for table in tables)
    if fetch_value(main, SQL["count_between"], **values) <= indexed:
        return []
    known = {number for table in tables for number in _in_index(derived, table, "id", values)}
    return [row["id"] for row in fetch_rows(main, SQL["list_ids_between"], **values) if row["id"] not in known]


def _in_index(derived: SqliteConnection, table: str, what: str, values: dict[str, Any]) -> list[int]:
    # FTS5 keeps a row of this table for each of its rows.
    return [int(row[0]) for row in derived.execute(f"SELECT {what} FROM {table}_docsize WHERE id > :after AND id <= :last", values)]


def prune(main: MainConnection, derived: SqliteConnection, now: datetime) -> int:
    """Drops what is too old. Returns up to which change of a message the index is complete."""
    first = fetch_value(main, SQL["first_message"])
    for table in list_months(derived):
        if month_span(table)[1] <= (first_id(now) if first is None else first):
            derived.execute(f"DROP TABLE {table}")
    progress = fetch_row(derived, SQL["read_progress"])
    followed = min(to_ms(now), progress["until"]) if progress else 0  # sums reach back from here
    for step, kept in ((MINUTE, MINUTES_KEPT), (HOUR, HOURS_KEPT), (DAY, DAYS_KEPT)):
        for name in ("drop_figures", "drop_activity"):
            change(derived, SQL[name], step=step, first_kept=followed - kept // timedelta(milliseconds=1))
    return progress["amended_id"] if progress else 0
