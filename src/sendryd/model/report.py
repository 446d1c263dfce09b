"""What messages came to, counted."""

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
    """Deliveries that something happened to in a time. Opens and clicks count each delivery once, and no scanners."""

    sent: int = 0  # tried and done: delivered or bounced
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    bounced: int = 0
    complained: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The counts of one stretch of time."""

    start: datetime
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """The counts of one domain or template."""

    id: int | None  # the template's or sending domain's number; None: it has none
    name: str | None
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Of the messages sent in one bucket: what had become of them so many buckets later, in all."""

    start: datetime
    offset: int
    counts: Counts  # `sent` is that of the whole cohort, the others happened up to the end of this bucket


class ReportFrequency(StrEnum):
    """How often a report is sent."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledReport:
    """A report that is sent by mail, again and again."""

    id: ReportId
    account_id: AccountId
    frequency: ReportFrequency
    recipients: tuple[str, ...]
    created_at: datetime
    due_at: datetime  # of the next one


def bucket_start(moment: datetime, granularity: Granularity) -> datetime:
    """Where the stretch begins that a UTC time lies in."""
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
    """Where the stretch behind one begins."""
    match granularity:
        case Granularity.HOUR:
            return start + timedelta(hours=1)
        case Granularity.DAY:
            return start + timedelta(days=1)
        case Granularity.WEEK:
            return start + timedelta(days=7)
        case Granularity.MONTH:
            return bucket_start(start + timedelta(days=31), Granularity.MONTH)
