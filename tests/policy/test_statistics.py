"""Rates, comparisons, series without gaps, and when reports are due."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.model.report import Bucket, Counts, Granularity, ReportFrequency, bucket_start
from sendryd.policy.statistics import (
    MAX_POINTS,
    Rates,
    TooManyPoints,
    bucket_starts,
    fill,
    next_report_at,
    percent_change,
    rate,
    rate_change,
    rates_of,
    reported_time,
)
from sendryd.testing.cases import cases

NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)  # a Wednesday
MOMENTS = st.datetimes(datetime(2001, 1, 1), datetime(2080, 1, 1), timezones=st.just(UTC))


def test_rates_of_the_contracts_example() -> None:
    counts = Counts(sent=15_000, delivered=14_700, opened=6_174, clicked=1_764, bounced=300, complained=15)
    assert rates_of(counts) == Rates(delivery=0.98, open=0.42, click=0.12, bounce=0.02, complaint=0.001)


def test_rates_of_nothing_are_nothing() -> None:
    assert rates_of(Counts()) == Rates(delivery=0, open=0, click=0, bounce=0, complaint=0)
    assert rates_of(Counts(opened=5)).open == 0


@given(part=st.integers(0, 10**9), whole=st.integers(0, 10**9))
def test_rates_are_from_0_to_1(part: int, whole: int) -> None:
    assert 0 <= rate(part, whole) <= 1


@cases(("before", "now", "change"), [(0, 0, 0), (0, 7, 100), (4, 5, 25), (4, 3, -25), (3, 0, -100), (3, 4, 33.33)])
def test_changes_are_in_percent(before: int, now: int, change: float) -> None:
    assert percent_change(before, now) == change


def test_differences_of_rates_have_no_noise() -> None:
    assert rate_change(0.1, 0.3) == 0.2


def test_a_series_has_every_stretch_that_the_time_touches() -> None:
    start, end = datetime(2026, 1, 30, 5, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
    assert [each.isoformat()[:10] for each in bucket_starts(start, end, Granularity.DAY)] == ["2026-01-30", "2026-01-31", "2026-02-01"]
    assert [each.isoformat()[:10] for each in bucket_starts(start, end, Granularity.WEEK)] == ["2026-01-26"]
    assert [each.isoformat()[:10] for each in bucket_starts(start, end, Granularity.MONTH)] == ["2026-01-01", "2026-02-01"]
    assert len(bucket_starts(start, end, Granularity.HOUR)) == 19 + 24 * 2


def test_a_series_is_not_too_long() -> None:
    end = NOW.replace(minute=0) + timedelta(hours=MAX_POINTS)
    assert len(bucket_starts(NOW.replace(minute=0), end, Granularity.HOUR)) == MAX_POINTS
    with pytest.raises(TooManyPoints, match="one hour: take longer ones or a shorter time"):
        bucket_starts(NOW.replace(minute=0), end + timedelta(seconds=1), Granularity.HOUR)


@given(start=MOMENTS, days=st.floats(0.01, 40), granularity=st.sampled_from(Granularity))
def test_gaps_are_filled_with_nothing(start: datetime, days: float, granularity: Granularity) -> None:
    starts = bucket_starts(start, start + timedelta(days=days), granularity)
    assert starts[0] == bucket_start(start, granularity) <= start
    found = [Bucket(start=starts[-1], counts=Counts(sent=3))]
    filled = fill(starts, found)
    assert [each.start for each in filled] == starts == sorted(set(starts))
    assert [each.counts.sent for each in filled] == [0] * (len(starts) - 1) + [3]


@pytest.mark.parametrize(
    ("frequency", "due", "start", "end"),
    [
        (ReportFrequency.DAILY, "2026-03-05 06:00", "2026-03-04", "2026-03-05"),
        (ReportFrequency.WEEKLY, "2026-03-09 06:00", "2026-03-02", "2026-03-09"),
        (ReportFrequency.MONTHLY, "2026-04-01 06:00", "2026-03-01", "2026-04-01"),
    ],
)
def test_reports_are_due_in_the_morning_behind_what_they_tell_of(frequency: ReportFrequency, due: str, start: str, end: str) -> None:
    due_at = next_report_at(NOW, frequency)
    assert due_at == datetime.fromisoformat(due).replace(tzinfo=UTC)
    assert reported_time(due_at, frequency) == tuple(datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (start, end))


@given(now=MOMENTS, frequency=st.sampled_from(ReportFrequency))
def test_reports_follow_one_another_without_gaps(now: datetime, frequency: ReportFrequency) -> None:
    first = next_report_at(now, frequency)
    second = next_report_at(first, frequency)
    assert now < first < second
    assert reported_time(first, frequency)[1] == reported_time(second, frequency)[0]
