"""Statistics of an account's mail: which mail counts, series, cohorts and comparisons, for the REST API and whatever else shows them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sendryd.accounts.errors import BadField
from sendryd.message.author import normalise_domain
from sendryd.message.errors import MalformedMessage
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId
from sendryd.model.report import Breakdown, Bucket, Cohort, Counts, Granularity, Summary
from sendryd.policy.statistics import MAX_POINTS, TooManyPoints, bucket_starts, fill
from sendryd.store.base import ReportFilter, ReportStore

MAX_PERIOD: Final = timedelta(days=1830)  # five years: events are kept for less, and a comparison looks at as much again
MAX_COHORTS: Final = 120  # four months of days; each is followed for up to 60 buckets, so that an answer has some thousand rows


class BadSelection(BadField):
    """Mail cannot be selected or grouped as asked; the message says what to change."""


def select_mail(mode: KeyMode, start: datetime, end: datetime, *, tag: str | None = None, domain: str | None = None) -> ReportFilter:
    """Mail of a mode from `start` to before `end`, of a tag and from a domain. Raises `BadSelection`."""
    if end <= start:
        raise BadSelection("to", "it must lie after from")
    if end - start > MAX_PERIOD:
        raise BadSelection("to", f"a period has at most {MAX_PERIOD.days:,} days")
    return ReportFilter(mode=mode, start=start, end=end, tag=tag, domain=_read_domain(domain) if domain else None)


def _read_domain(name: str) -> str:
    try:
        return normalise_domain(name.strip().removesuffix("."))
    except MalformedMessage:
        raise BadSelection("domain", "it is a domain name such as example.com") from None


class Statistics:
    """Reads the statistics of accounts."""

    def __init__(self, store: ReportStore) -> None:
        self._store = store

    async def count(self, account_id: AccountId, which: ReportFilter) -> Counts:
        """Counts of the whole period."""
        return await self._store.count_activity(account_id, which)

    async def read_series(self, account_id: AccountId, which: ReportFilter, granularity: Granularity) -> list[Bucket]:
        """Counts of each bucket of the period, oldest first, empty ones included. Raises `BadSelection` for too many buckets."""
        starts = _split(which, granularity, MAX_POINTS)
        return fill(starts, await self._store.list_activity(account_id, which, granularity))

    async def read_cohorts(self, account_id: AccountId, which: ReportFilter, granularity: Granularity) -> list[Cohort]:
        """What became of the mail accepted in each bucket, oldest first. Raises `BadSelection` for too many buckets."""
        _split(which, granularity, MAX_COHORTS)
        return await self._store.list_cohorts(account_id, which, granularity)

    async def compare(self, account_id: AccountId, which: ReportFilter) -> tuple[Counts, Counts]:
        """Counts of the period of the same length before, and of the period."""
        before = replace(which, start=which.start - (which.end - which.start), end=which.start)
        current = await self._store.count_activity(account_id, which)
        return await self._store.count_activity(account_id, before), current

    async def summarise(self, account_id: AccountId, which: ReportFilter, granularity: Granularity, *, limit: int) -> Summary:
        """Counts of the period in all its parts, empty buckets included. Raises `BadSelection` for too many buckets."""
        starts = _split(which, granularity, MAX_POINTS)
        found = await self._store.summarise_activity(account_id, which, granularity, limit=limit)
        return replace(found, buckets=tuple(fill(starts, found.buckets)))

    async def break_down(self, account_id: AccountId, which: ReportFilter, by: str, *, limit: int) -> list[Breakdown]:
        """Counts by `domain`, `template`, `key`, `tag` or `provider` (`policy.providers`), most sent first."""
        return await self._store.break_down(account_id, which, by, limit=limit)


def _split(which: ReportFilter, granularity: Granularity, limit: int) -> list[datetime]:
    try:
        return bucket_starts(which.start, which.end, granularity, limit)
    except TooManyPoints as error:
        raise BadSelection("granularity", str(error)) from None
