"""Counts outcomes and engagements by what a report groups them by, adds them to the derived file, and sums them for a time.

In a time, of each delivery the first event of a kind counts. So each number is kept with the step of the same delivery's last event of this kind
before: those whose last one lies in the time are left out of its sum, whichever steps the time is made of.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from sendryd.message.authordomain import author_domain
from sendryd.policy.providers import provider_of
from sendryd.store.codec.values import clean
from sendryd.store.derived.counting import STEPS, Facts
from sendryd.store.derived.queries import SQL
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sqlite import SqliteConnection

# account, mode, minute, minute of the event before or 0, signing domain or 0, domain of the author or nothing, template or 0, provider, kind
Activity = Counter[tuple[int, str, int, int, int, str, int, str, str]]
_NAMES: Final = ("account_id", "mode", "step", "start", "previous", "domain_id", "author_domain", "template_id", "provider", "kind")


@dataclass(frozen=True, slots=True)
class Group:
    """What a report groups mail by, as the derived file knows it."""

    domain_id: int
    author_domain: str
    template_id: int
    provider: str


@dataclass(frozen=True, slots=True)
class Span:
    """The activity of an account in a time that begins and ends with a step. All in milliseconds."""

    account_id: int
    mode: str
    step: int
    start: int
    end: int

    @property
    def values(self) -> dict[str, Any]:
        """For the statements."""
        return {"account_id": self.account_id, "mode": self.mode, "step": self.step, "start": self.start, "end": self.end}


@dataclass(slots=True)
class Sums:
    """Numbers of a time, by the start of the step and by group."""

    starts: Counter[tuple[int, Group, str]]  # without template and provider
    groups: Counter[tuple[Group, str]]

    def add(self, span: Span, found: Activity) -> None:
        """Adds what is not in the derived file yet."""
        for (account_id, mode, minute, previous, domain_id, author, template_id, provider, kind), number in found.items():
            if (account_id, mode) == (span.account_id, span.mode) and span.start <= minute < span.end and previous < span.start:
                self.starts[minute, Group(domain_id, author, 0, ""), kind] += number
                self.groups[Group(domain_id, author, template_id, provider), kind] += number


def count_activity(main: Connection, facts: Facts) -> Activity:
    """The activity of facts, by minute."""
    found: Activity = Counter()
    values = {"after": facts.events[0], "last": facts.events[1], "start": facts.start, "end": facts.end}
    for account_id, mode, minute, previous, domain_id, author, template_id, host, recipient, kind, number in main.tuples(
        SQL["count_activity"], values
    ):
        domain, provider = clean(author_domain(read_text(author)) or ""), provider_of(read_text(host), read_text(recipient))
        found[account_id, mode, minute, previous, domain_id, domain, template_id, provider, kind] += number
    return found


def add_activity(derived: SqliteConnection, found: Activity, until: int) -> None:
    """Adds to the minutes, hours and days that are still kept at `until`, in milliseconds."""
    sums: Counter[tuple[int | str, ...]] = Counter()
    for (account_id, mode, minute, previous, domain_id, author, template_id, provider, kind), number in found.items():
        for step, kept in STEPS:
            start, before = minute // step * step, previous // step * step
            if start >= until - kept and (before < start or not previous):
                sums[account_id, mode, step, start, before, domain_id, author, template_id, provider, kind] += number
    derived.put_each(SQL["add_activity"], [{**dict(zip(_NAMES, key, strict=True)), "number": number} for key, number in sums.items()])


def stored_activity(derived: SqliteConnection, values: dict[str, Any]) -> Activity:
    """The minutes of a time in the derived file."""
    return Counter({tuple(row[:9]): row[9] for row in derived.tuples(SQL["list_active_minutes"], values)})


def sum_activity(derived: SqliteConnection, span: Span) -> Sums:
    """The sums of a time in the derived file."""
    sums = Sums(Counter(), Counter())
    for start, domain_id, author, kind, number in derived.tuples(SQL["sum_activity_by_start"], span.values):
        sums.starts[start, Group(domain_id, author, 0, ""), kind] += number
    for domain_id, author, template_id, provider, kind, number in derived.tuples(SQL["sum_activity_by_group"], span.values):
        sums.groups[Group(domain_id, author, template_id, provider), kind] += number
    return sums


def read_text(value: str | bytes | None) -> str:
    """A text that was read as octets where the engine may hold damaged ones: it must not stop the count of others."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
