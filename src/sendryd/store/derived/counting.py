"""Counts messages and events of the main file by minute, and adds the numbers to the figures of the derived file."""

import math
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sendryd.model.figures import LATENCY_BUCKETS
from sendryd.store.base import HOURS_KEPT, MINUTES_KEPT
from sendryd.store.codec.values import to_json
from sendryd.store.derived.queries import SQL
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sqlite import SqliteConnection

MINUTE: Final = 60_000  # milliseconds
HOUR: Final = 3_600_000
DAY: Final = 86_400_000
_MILLISECOND: Final = timedelta(milliseconds=1)
STEPS: Final = ((MINUTE, MINUTES_KEPT // _MILLISECOND), (HOUR, HOURS_KEPT // _MILLISECOND), (DAY, 1 << 62))
_BOUNDS: Final = to_json([round(bound * 1000) for bound in LATENCY_BUCKETS if bound < math.inf])

Figures = Counter[tuple[int, str, int, str]]  # account, mode, minute, kind


@dataclass(frozen=True, slots=True)
class Facts:
    """Messages and events between identifiers (the first excluded), that happened from `start` up to `end`, in milliseconds."""

    messages: tuple[int, int]
    events: tuple[int, int]
    start: int = 0
    end: int = 1 << 62


def count_facts(main: Connection, facts: Facts) -> Figures:
    """The figures of facts, by minute."""
    found: Figures = Counter()
    for name, (after, last) in (
        ("count_messages", facts.messages),
        ("count_events", facts.events),
        ("count_engagements", facts.events),
        ("count_latencies", facts.events),
    ):
        values: dict[str, Any] = {"after": after, "last": last, "start": facts.start, "end": facts.end, "bounds": _BOUNDS}
        for account_id, mode, minute, kind, number in main.tuples(SQL[name], values):
            found[account_id, mode, minute, str(kind)] += number
    return found


def add_figures(derived: SqliteConnection, found: Figures, until: int) -> None:
    """Adds to the minutes, hours and days that are still kept at `until`, in milliseconds."""
    sums: Counter[tuple[int, str, int, int, str]] = Counter()
    for (account_id, mode, minute, kind), number in found.items():
        for step, kept in STEPS:
            start = minute // step * step
            if start >= until - kept:
                sums[account_id, mode, step, start, kind] += number
    names = ("account_id", "mode", "step", "start", "kind")
    derived.put_each(SQL["add_figure"], [{**dict(zip(names, key, strict=True)), "number": number} for key, number in sums.items()])
