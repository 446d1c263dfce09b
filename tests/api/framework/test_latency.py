"""How long requests took, by the hour."""

from datetime import timedelta

import pytest

from sendryd.api.framework.latency import MAX_HOURS, TARGET_MS, LatencyBook
from sendryd.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def book(clock: ManualClock) -> LatencyBook:
    return LatencyBook(clock)


def test_nothing_measured_is_nothing_told(book: LatencyBook) -> None:
    (hour,) = book.read(24)
    assert (hour.count, hour.p50_ms, hour.p95_ms, hour.p99_ms, hour.in_time) == (0, None, None, None, 0.0)
    assert book.current_p50_ms() is None


@pytest.mark.parametrize("took", [0.0005, 0.003, 0.05, 0.2, 1.0, 30.0])
def test_reported_latency_is_within_a_tenth_of_the_real_one(book: LatencyBook, took: float) -> None:
    for _ in range(10):
        book.note(took)
    assert book.current_p50_ms() == pytest.approx(took * 1000, rel=0.1)


def test_quantiles_and_the_part_in_time(book: LatencyBook) -> None:
    for place in range(1, 101):
        book.note(place / 100)  # 10 ms to 1 s
    (hour,) = book.read(1)
    assert hour.count == 100
    assert hour.p50_ms == pytest.approx(500, rel=0.1)
    assert hour.p95_ms == pytest.approx(950, rel=0.1)
    assert hour.p99_ms == pytest.approx(990, rel=0.1)
    assert hour.in_time == TARGET_MS / 1000


@pytest.mark.parametrize("took", [0.0, -1.0, 1e9])
def test_what_no_class_is_for_is_counted(book: LatencyBook, took: float) -> None:
    book.note(took)
    (hour,) = book.read(1)
    assert hour.count == 1
    assert hour.p99_ms is not None


def test_hours_come_oldest_first_with_those_between_and_none_before_the_start(book: LatencyBook, clock: ManualClock) -> None:
    book.note(0.1)
    clock.advance(timedelta(hours=2))
    book.note(0.1)
    assert [hour.count for hour in book.read(MAX_HOURS)] == [1, 0, 1]
    assert [hour.count for hour in book.read(2)] == [0, 1]
    first, second, _ = book.read(3)
    assert second.start_ms - first.start_ms == 3_600_000
    assert first.start_ms % 3_600_000 == 0


def test_a_week_is_kept(book: LatencyBook, clock: ManualClock) -> None:
    for _ in range(MAX_HOURS + 30):
        book.note(0.1)
        clock.advance(timedelta(hours=1))
    book.note(0.1)
    assert len(book.read(10_000)) == MAX_HOURS + 31
    assert sum(hour.count for hour in book.read(10_000)) == MAX_HOURS
