"""Statistics from counts: rates, comparisons, series without gaps, and when reports are due. Pure.

Delivery, bounce and complaint rates are shares of the sent messages; open and click rates of the delivered ones. All are from 0 to 1, and 0 where the
whole is 0. Counts cover events of a period: opens of mail delivered before it can exceed the period's deliveries; the rate is then 1. Changes of counts
are in percent: 25.0 is a quarter more; a change from 0 is 100.0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sendryd.model.report import Bucket, Counts, Granularity, ReportFrequency, bucket_start, next_bucket

MAX_POINTS: Final = 1000  # points of one series: 41 days of hours, or over two years of days
REPORT_HOUR: Final = 6  # hour of the day, UTC: early, after the end of the day before in most time zones
_DIGITS: Final = 6  # decimal digits of a rate
_STEPS: Final = {
    ReportFrequency.DAILY: Granularity.DAY,
    ReportFrequency.WEEKLY: Granularity.WEEK,
    ReportFrequency.MONTHLY: Granularity.MONTH,
}
_NOTHING: Final = Counts()


class TooManyPoints(ValueError):
    """The series would be longer than `MAX_POINTS`. The message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The rates of some counts."""

    delivery: float
    open: float
    click: float
    bounce: float
    complaint: float


def rate(part: int, whole: int) -> float:
    """A share from 0 to 1; 0 if the whole is 0."""
    return round(min(part / whole, 1.0), _DIGITS) if whole else 0.0


def rates_of(counts: Counts) -> Rates:
    """The rates of some counts."""
    return Rates(
        delivery=rate(counts.delivered, counts.sent),
        open=rate(counts.opened, counts.delivered),
        click=rate(counts.clicked, counts.delivered),
        bounce=rate(counts.bounced, counts.sent),
        complaint=rate(counts.complained, counts.sent),
    )


def percent_change(before: int, now: int) -> float:
    """The change in percent; negative for a decrease."""
    if before == 0:
        return 100.0 if now else 0.0
    return round((now - before) / before * 100, 2)


def rate_change(before: float, now: float) -> float:
    """The difference of two rates."""
    return round(now - before, _DIGITS)


def bucket_starts(start: datetime, end: datetime, granularity: Granularity, limit: int = MAX_POINTS) -> list[datetime]:
    """The beginnings of the buckets from `start` to before `end`, oldest first. Raises `TooManyPoints`."""
    starts: list[datetime] = []
    moment = bucket_start(start, granularity)
    while moment < end:
        if len(starts) == limit:
            raise TooManyPoints(
                f"the time holds more than {limit:,} stretches of one {granularity.value}: take longer ones or a shorter time"
            )
        starts.append(moment)
        moment = next_bucket(moment, granularity)
    return starts


def fill(starts: Sequence[datetime], buckets: Sequence[Bucket]) -> list[Bucket]:
    """The buckets, with empty ones in the gaps."""
    found = {bucket.start: bucket.counts for bucket in buckets}
    return [Bucket(start=start, counts=found.get(start, _NOTHING)) for start in starts]


def next_report_at(now: datetime, frequency: ReportFrequency) -> datetime:
    """When the next report is due: in the morning after the present day, week or month."""
    step = _STEPS[frequency]
    return next_bucket(bucket_start(now, step), step) + timedelta(hours=REPORT_HOUR)


def reported_time(due_at: datetime, frequency: ReportFrequency) -> tuple[datetime, datetime]:
    """The period of a report that is due then: start and end (exclusive) of the last whole day, week or month."""
    step = _STEPS[frequency]
    end = bucket_start(due_at, step)
    return bucket_start(end - timedelta(hours=1), step), end
