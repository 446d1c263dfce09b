"""Counts of outcomes, for statistics and reports."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sendryd.model.ids import AccountId, ReportId


class Granularity(StrEnum):
    """The length of one bucket; all begin in UTC, weeks on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Counts of deliveries by event in a period. Opens and clicks count each delivery once, and no scanners."""

    sent: int = 0  # delivered or bounced
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    bounced: int = 0
    complained: int = 0
    received: int = 0  # mails that came in, which are no deliveries; only without a filter, and as long as they are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The counts of one bucket of time."""

    start: datetime
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """The counts of one domain or template."""

    id: int | None  # the template's or sending domain's number; None: it has none
    name: str | None
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The counts of a period in all its parts."""

    before: Counts  # of the period of the same length before
    counts: Counts
    buckets: tuple[Bucket, ...]  # oldest first, without empty ones
    domains: tuple[Breakdown, ...]  # most sent first
    templates: tuple[Breakdown, ...]
    providers: tuple[Breakdown, ...] = ()  # of recipients' mailboxes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """A cohort, the messages sent in one bucket: their cumulative counts a number of buckets later."""

    start: datetime
    offset: int
    counts: Counts  # `sent` is of the whole cohort, the others up to the end of this bucket


class ReportFrequency(StrEnum):
    """How often a report is sent."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledReport:
    """A periodic report by mail."""

    id: ReportId
    account_id: AccountId
    frequency: ReportFrequency
    recipients: tuple[str, ...]
    created_at: datetime
    due_at: datetime  # time of the next report


def bucket_start(moment: datetime, granularity: Granularity) -> datetime:
    """The beginning of the bucket that contains a UTC time."""
    match granularity:
        case Granularity.HOUR:
            return moment.replace(minute=0, second=0, microsecond=0)
        case Granularity.DAY:
            return moment.replace(hour=0, minute=0, second=0, microsecond=0)
        case Granularity.WEEK:
            return bucket_start(moment, Granularity.DAY) - timedelta(days=moment.weekday())
        case Granularity.MONTH:
            return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_bucket(start: datetime, granularity: Granularity) -> datetime:
    """The beginning of the next bucket."""
    match granularity:
        case Granularity.HOUR:
            return start + timedelta(hours=1)
        case Granularity.DAY:
            return start + timedelta(days=1)
        case Granularity.WEEK:
            return start + timedelta(days=7)
        case Granularity.MONTH:
            return bucket_start(start + timedelta(days=31), Granularity.MONTH)
