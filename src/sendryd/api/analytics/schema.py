"""Statistics as requests, answers and CSV have them. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field
from typing_extensions import TypedDict

from sendryd.api.framework.bodies import Body, Query, SearchText, Whole
from sendryd.api.framework.moments import read_moment
from sendryd.model.ids import DOMAIN_PREFIX, TEMPLATE_PREFIX, format_id
from sendryd.model.moment import timestamp
from sendryd.model.report import Breakdown, Bucket, Cohort, Counts, Granularity
from sendryd.policy.statistics import percent_change, rate_change, rates_of

FIRST_YEAR, LAST_YEAR = 2000, 2090  # of what can be asked for; there was and will be no mail outside of them
CSV_COLUMNS: Final = (
    "date",
    "sent",
    "delivered",
    "opened",
    "clicked",
    "bounced",
    "complained",
    "inbound_received",
    "delivery_rate",
    "open_rate",
    "click_rate",
    "bounce_rate",
    "complaint_rate",
)
_STEP: Final = timedelta(milliseconds=1)

CohortMetric = Literal["open_rate", "click_rate", "delivery_rate"]
GroupBy = Literal["domain", "template"]

_PREFIXES: Final[Mapping[GroupBy, str]] = {"domain": DOMAIN_PREFIX, "template": TEMPLATE_PREFIX}


# Requests.


def _in_range(moment: datetime) -> datetime:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"give a time between {FIRST_YEAR} and {LAST_YEAR}")
    return moment.astimezone(UTC)


def _read_end(value: object) -> object:
    """The first moment after a period. A date includes the whole day; a time is exclusive."""
    if not isinstance(value, str):
        return value
    end = read_moment(value, is_end=True)
    return end if end == read_moment(value) else end + _STEP if end.year <= LAST_YEAR else end


def _read_start(value: object) -> object:
    return read_moment(value) if isinstance(value, str) else value


_DATES: Final = "A date or time in ISO 8601; without a zone it is UTC."
Start = Annotated[
    datetime,
    BeforeValidator(_read_start),
    AfterValidator(_in_range),
    Field(validation_alias=AliasChoices("from", "from_"), description=_DATES),
]
End = Annotated[
    datetime,
    BeforeValidator(_read_end),
    AfterValidator(_in_range),
    Field(validation_alias="to", description=f"{_DATES} Dates are included."),
]


class PeriodQuery(Query):
    """Counts and rates of a period, with a time series."""

    start: Start
    end: End


class StatsQuery(PeriodQuery):
    """Figures of a time, perhaps of some of the mail."""

    granularity: Granularity = Granularity.DAY
    tag: Annotated[SearchText, Field(description="The name of a tag, or `name:value`.")] | None = None
    domain: Annotated[SearchText, Field(description="A domain that emails are sent from.")] | None = None


class ExportQuery(StatsQuery):
    """The same as a file."""

    format: Literal["csv", "json"] = "csv"


class CohortsQuery(PeriodQuery):
    """Rates by the time since sending."""

    granularity: Literal["day", "week", "month"] = "week"
    metric: CohortMetric = "open_rate"


class BenchmarksQuery(PeriodQuery):
    """A comparison with others."""

    granularity: Literal["day", "week", "month"] = "day"


class BreakdownsQuery(PeriodQuery):
    """Figures by domain or template."""

    group_by: GroupBy
    limit: Annotated[Whole, Field(ge=1, le=50)] = 10


class OptIn(Body):
    """Whether to take part in benchmarks."""

    opt_in: bool


# Answers.


class ActivityCounts(TypedDict):
    """Counts of a time."""

    sent: int
    delivered: int
    opened: int
    clicked: int
    bounced: int
    complained: int
    inbound_received: int


class PeriodStats(ActivityCounts):
    """Counts and rates of a period; rates are from 0 to 1."""

    delivery_rate: float
    open_rate: float
    click_rate: float
    bounce_rate: float
    complaint_rate: float


class TimeseriesPoint(TypedDict):
    """Counts of one interval."""

    date: str
    sent: int
    delivered: int
    opened: int
    clicked: int
    bounced: int
    complained: int
    inbound_received: int


class Analytics(TypedDict):
    """Counts and rates of a period, with a time series."""

    summary: PeriodStats
    timeseries: list[TimeseriesPoint]


class CohortPoint(TypedDict):
    """The rate of one cohort after a number of intervals."""

    cohort_date: str
    period_offset: int
    total_sent: int
    metric_value: float


class Cohorts(TypedDict):
    """Rates by the time since sending."""

    cohorts: list[CohortPoint]
    granularity: str
    metric: str


class BenchmarkRow(TypedDict):
    """A rate of this account and of others."""

    date: str
    your_delivery_rate: float
    your_open_rate: float
    your_click_rate: float
    avg_delivery_rate: float
    avg_open_rate: float
    avg_click_rate: float
    p50_delivery_rate: float
    p50_open_rate: float
    p50_click_rate: float
    p75_delivery_rate: float
    p75_open_rate: float
    p75_click_rate: float


class Benchmarks(TypedDict):
    """A comparison with other organisations; this server knows none."""

    data: list[BenchmarkRow]
    benchmark_opt_in: bool
    org_count: int


class BenchmarkOptIn(TypedDict):
    """Whether the account takes part in benchmarks."""

    benchmark_opt_in: bool


class BreakdownRow(TypedDict):
    """Figures of one domain or template."""

    id: str | None
    name: str | None
    sent: int
    delivered: int
    opened: int
    clicked: int
    bounced: int
    complained: int
    delivery_rate: float
    open_rate: float
    click_rate: float


class Breakdowns(TypedDict):
    """Figures by domain or template."""

    data: list[BreakdownRow]
    group_by: str


class Changes(TypedDict):
    """The change between two periods: percent for counts, the difference for rates."""

    sent_pct: float
    delivered_pct: float
    opened_pct: float
    clicked_pct: float
    bounced_pct: float
    complained_pct: float
    delivery_rate_delta: float
    open_rate_delta: float
    click_rate_delta: float
    bounce_rate_delta: float
    complaint_rate_delta: float


class Comparison(TypedDict):
    """A period, and the one of the same length before it."""

    current: PeriodStats
    previous: PeriodStats
    changes: Changes


class RegionCount(TypedDict):
    """The number of emails of one region."""

    region: str
    count: int
    percentage: float


# Model values as answers.


def bucket_label(start: datetime, granularity: Granularity) -> str:
    """The name of a bucket: its first date, or the time of an hour."""
    return timestamp(start) if granularity is Granularity.HOUR else start.date().isoformat()


def counts_json(counts: Counts) -> ActivityCounts:
    """Counts of a period."""
    return {
        "sent": counts.sent,
        "delivered": counts.delivered,
        "opened": counts.opened,
        "clicked": counts.clicked,
        "bounced": counts.bounced,
        "complained": counts.complained,
        "inbound_received": counts.received,
    }


def period_json(counts: Counts) -> PeriodStats:
    """Counts and rates of a period."""
    rates = rates_of(counts)
    return {
        **counts_json(counts),
        "delivery_rate": rates.delivery,
        "open_rate": rates.open,
        "click_rate": rates.click,
        "bounce_rate": rates.bounce,
        "complaint_rate": rates.complaint,
    }


def point_json(bucket: Bucket, granularity: Granularity) -> TimeseriesPoint:
    """One bucket of a series."""
    return {"date": bucket_label(bucket.start, granularity), **counts_json(bucket.counts)}


def csv_row(bucket: Bucket, granularity: Granularity) -> tuple[str | float, ...]:
    """The cells of `CSV_COLUMNS` for one bucket."""
    stats = period_json(bucket.counts)
    return (
        bucket_label(bucket.start, granularity),
        stats["sent"],
        stats["delivered"],
        stats["opened"],
        stats["clicked"],
        stats["bounced"],
        stats["complained"],
        stats["inbound_received"],
        stats["delivery_rate"],
        stats["open_rate"],
        stats["click_rate"],
        stats["bounce_rate"],
        stats["complaint_rate"],
    )


def comparison_json(previous: Counts, current: Counts) -> Comparison:
    """Two periods and how much their counts and rates differ."""
    return {"current": period_json(current), "previous": period_json(previous), "changes": _changes_json(previous, current)}


def _changes_json(before: Counts, now: Counts) -> Changes:
    rates, old = rates_of(now), rates_of(before)
    return {
        "sent_pct": percent_change(before.sent, now.sent),
        "delivered_pct": percent_change(before.delivered, now.delivered),
        "opened_pct": percent_change(before.opened, now.opened),
        "clicked_pct": percent_change(before.clicked, now.clicked),
        "bounced_pct": percent_change(before.bounced, now.bounced),
        "complained_pct": percent_change(before.complained, now.complained),
        "delivery_rate_delta": rate_change(old.delivery, rates.delivery),
        "open_rate_delta": rate_change(old.open, rates.open),
        "click_rate_delta": rate_change(old.click, rates.click),
        "bounce_rate_delta": rate_change(old.bounce, rates.bounce),
        "complaint_rate_delta": rate_change(old.complaint, rates.complaint),
    }


def cohort_json(cohort: Cohort, granularity: Granularity, metric: CohortMetric) -> CohortPoint:
    """A rate of the mail sent in one bucket, `offset` buckets later."""
    return {
        "cohort_date": bucket_label(cohort.start, granularity),
        "period_offset": cohort.offset,
        "total_sent": cohort.counts.sent,
        "metric_value": period_json(cohort.counts)[metric],
    }


def breakdown_json(row: Breakdown, group_by: GroupBy) -> BreakdownRow:
    """Counts and rates of one domain or template."""
    counts, rates = row.counts, rates_of(row.counts)
    return {
        "id": None if row.id is None else format_id(_PREFIXES[group_by], row.id),
        "name": row.name,
        "sent": counts.sent,
        "delivered": counts.delivered,
        "opened": counts.opened,
        "clicked": counts.clicked,
        "bounced": counts.bounced,
        "complained": counts.complained,
        "delivery_rate": rates.delivery,
        "open_rate": rates.open,
        "click_rate": rates.click,
    }
