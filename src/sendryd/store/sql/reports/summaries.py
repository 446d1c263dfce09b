"""All counts of a period at once: from the sums of the derived file and the events after them, or from all events."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from sendryd.model.ids import AccountId
from sendryd.model.report import Breakdown, Bucket, Counts, Granularity, Summary, bucket_start
from sendryd.store.base import ReportFilter
from sendryd.store.codec.values import from_ms, to_json, to_ms
from sendryd.store.derived.activity import Group, Span, Sums, count_activity, sum_activity
from sendryd.store.derived.counting import DAY, HOUR, STEPS, Facts
from sendryd.store.derived.file import DerivedDamaged, DerivedFile
from sendryd.store.derived.queries import SQL as DERIVED
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sqlite import SqliteConnection
from sendryd.store.drivers.statements import fetch_row, fetch_value
from sendryd.store.sql.reports.activity import Activity, most_sent
from sendryd.store.sql.reports.queries import SQL

TAIL: Final = 10_000  # events after the sums that are counted for a summary, in about 100 ms; beyond, all of the period are
_LAST: Final = (1 << 63) - 1  # of all identifiers
_KINDS: Final = tuple(field.name for field in fields(Counts))


@dataclass(frozen=True, slots=True)
class _Summed:
    """What the derived file knows of a period and of the one before."""

    event_id: int  # events up to this one are in the sums
    span: Span
    sums: Sums
    span_before: Span
    before: Sums


@dataclass(frozen=True, slots=True)
class _Names:
    """Names as they are now. A domain that is gone is known by its mails' authors."""

    domains: Mapping[int, str]
    templates: Mapping[int, str]

    def domain_of(self, group: Group) -> str | None:
        return self.domains.get(group.domain_id) or group.author_domain or None


class Summaries(Activity):
    """The part of `ReportStore` that counts a period in all its parts."""

    _derived: DerivedFile

    async def summarise_activity(self, account_id: AccountId, which: ReportFilter, granularity: Granularity, *, limit: int) -> Summary:
        before = replace(which, start=which.start - (which.end - which.start), end=which.start)
        found = None
        if which.tag is None:
            found = await self._sum(account_id, which, before, granularity)
        if found is None:
            return await self._count(account_id, which, before, granularity, limit)
        summed, names = found
        return _summarise(summed, names, which.domain, granularity, limit)

    async def _sum(
        self, account_id: AccountId, which: ReportFilter, before: ReportFilter, granularity: Granularity
    ) -> tuple[_Summed, _Names] | None:
        """None if the sums do not have these periods, or end too early."""

        def read(derived: SqliteConnection) -> _Summed | None:
            progress = fetch_row(derived, DERIVED["read_progress"])
            if progress is None:
                return None
            most = HOUR if granularity is Granularity.HOUR else DAY
            span = _span(account_id, which, most, progress["until"])
            span_before = _span(account_id, before, DAY, progress["until"])
            if span is None or span_before is None:
                return None
            return _Summed(progress["event_id"], span, sum_activity(derived, span), span_before, sum_activity(derived, span_before))

        try:
            summed = await self._derived.read(read)
        except DerivedDamaged:
            return None
        if summed is None:
            return None

        def add_tail(main: Connection) -> _Names | None:
            if fetch_value(main, SQL["has_many_events"], after=summed.event_id, most=TAIL):
                return None
            tail = count_activity(main, Facts((0, 0), (summed.event_id, _LAST), summed.span_before.start, summed.span.end))
            summed.sums.add(summed.span, tail)
            summed.before.add(summed.span_before, tail)
            templates = to_json(sorted({group.template_id for group, _ in summed.sums.groups}))
            return _Names(
                domains=dict(main.tuples(SQL["list_domain_names"], {"account_id": account_id})),
                templates=dict(main.tuples(SQL["list_template_names"], {"ids": templates})),
            )

        names = await self._database.read(add_tail)
        return None if names is None else (summed, names)

    async def _count(
        self, account_id: AccountId, which: ReportFilter, before: ReportFilter, granularity: Granularity, limit: int
    ) -> Summary:
        buckets = await self.list_activity(account_id, which, granularity)
        return Summary(
            before=await self.count_activity(account_id, before),
            counts=_total((kind, getattr(each.counts, kind)) for each in buckets for kind in _KINDS),
            buckets=tuple(buckets),
            domains=tuple(await self.break_down(account_id, which, "domain", limit=limit)),
            templates=tuple(await self.break_down(account_id, which, "template", limit=limit)),
            providers=tuple(await self.break_down(account_id, which, "provider", limit=limit)),
        )


def _span(account_id: AccountId, which: ReportFilter, most: int, until: int) -> Span | None:
    """The time in the longest steps that fit and are kept."""
    start, end = to_ms(which.start), to_ms(which.end)
    for step, kept in reversed(STEPS):
        if step <= most and start % step == end % step == 0 and start >= until - kept:
            return Span(account_id, which.mode.value, step, start, end)
    return None


def _summarise(summed: _Summed, names: _Names, domain: str | None, granularity: Granularity, limit: int) -> Summary:
    def fits(group: Group) -> bool:
        return domain is None or names.domain_of(group) == domain

    starts = {start: to_ms(bucket_start(from_ms(start), granularity)) for start, _, _ in summed.sums.starts}
    buckets: dict[int, Counter[str]] = {}
    for (start, group, kind), number in sorted(summed.sums.starts.items(), key=lambda each: each[0][0]):
        if fits(group):
            buckets.setdefault(starts[start], Counter())[kind] += number
    groups = {key: number for key, number in summed.sums.groups.items() if fits(key[0])}
    numbers = {name: number for number, name in names.domains.items()}

    def domain_key(group: Group) -> tuple[int | None, str | None]:
        name = names.domain_of(group)
        return numbers.get(name) if name else None, name

    return Summary(
        before=_total((kind, number) for (group, kind), number in summed.before.groups.items() if fits(group)),
        counts=_total((kind, number) for (_, kind), number in groups.items()),
        buckets=tuple(Bucket(start=from_ms(start), counts=Counts(**found)) for start, found in buckets.items()),
        domains=_break_down(groups, domain_key, limit),
        templates=_break_down(groups, lambda group: (group.template_id or None, names.templates.get(group.template_id)), limit),
        providers=_break_down(groups, lambda group: (None, group.provider), limit),
    )


def _break_down(
    groups: Mapping[tuple[Group, str], int], key: Callable[[Group], tuple[int | None, str | None]], limit: int
) -> tuple[Breakdown, ...]:
    found: dict[tuple[int | None, str | None], Counter[str]] = {}
    for (group, kind), number in groups.items():
        found.setdefault(key(group), Counter())[kind] += number
    rows = [Breakdown(id=number, name=name, counts=Counts(**counts)) for (number, name), counts in found.items()]
    return most_sent(rows, limit)


def _total(numbers: Iterable[tuple[str, Any]]) -> Counts:
    sums: Counter[str] = Counter()
    for kind, number in numbers:
        sums[kind] += number
    return Counts(**sums)
