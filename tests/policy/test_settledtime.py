"""Wall time that has held for a while."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.policy.settledtime import HOLD, MAX_DOWNTIME, TOLERANCE, SettledTime, begin, observe

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS = timedelta(days=5)
SECOND = timedelta(seconds=1)


class Clocks:
    """Both clocks, looked at each second that is run."""

    def __init__(self, last_seen: datetime | None = None, wall: datetime = START) -> None:
        self.wall, self.monotonic = wall, 1000.0
        self.state: SettledTime = begin(self.wall, self.monotonic, last_seen)

    def run(self, time: timedelta, step: timedelta = timedelta(seconds=10)) -> None:
        end = self.monotonic + time.total_seconds()
        while self.monotonic < end:
            self.wall += step
            self.monotonic += step.total_seconds()
            self.state = observe(self.state, self.wall, self.monotonic)

    @property
    def lag(self) -> timedelta:
        """How far settled time is behind wall time."""
        return self.wall - self.state.at(self.wall, self.monotonic)


def test_a_clock_that_nobody_sets_is_settled_from_the_start() -> None:
    clocks = Clocks()
    clocks.run(timedelta(days=1), timedelta(minutes=1))
    assert clocks.lag == timedelta(0)
    assert clocks.state.since == 1000.0


def test_a_clock_that_is_adjusted_slowly_stays_settled() -> None:
    clocks = Clocks()
    for _ in range(1000):
        clocks.wall += TOLERANCE / 2
        clocks.run(SECOND, SECOND)
        assert clocks.lag == timedelta(0)


def test_a_time_that_is_set_forward_has_to_hold() -> None:
    clocks = Clocks()
    clocks.run(timedelta(hours=1))
    clocks.wall += DAYS
    clocks.run(HOLD - timedelta(seconds=30))
    assert clocks.lag == DAYS
    clocks.run(timedelta(minutes=1))
    assert clocks.lag == timedelta(0)
    assert clocks.monotonic - clocks.state.since < 60


def test_a_time_that_is_set_forward_and_back_again_leaves_no_trace() -> None:
    clocks = Clocks()
    clocks.wall += DAYS
    clocks.run(HOLD / 2)
    clocks.wall -= DAYS
    clocks.run(HOLD / 2)
    assert clocks.lag == timedelta(0)
    assert clocks.state.since == 1000.0
    clocks.wall += DAYS
    clocks.run(HOLD - timedelta(seconds=30))
    assert clocks.lag == DAYS  # its hold began anew


def test_each_new_time_has_to_hold_for_itself() -> None:
    clocks = Clocks()
    for _ in range(10):
        clocks.wall += timedelta(hours=1)
        clocks.run(HOLD / 2)
    assert clocks.lag == timedelta(hours=10)


@pytest.mark.parametrize(
    ("gap", "is_settled"),
    [
        (timedelta(0), True),
        (MAX_DOWNTIME, True),
        (MAX_DOWNTIME + SECOND, False),
        (DAYS, False),
        (-TOLERANCE, True),
    ],
)
def test_a_start_after_a_gap(gap: timedelta, *, is_settled: bool) -> None:
    clocks = Clocks(last_seen=START - gap)
    assert (clocks.lag == timedelta(0)) is is_settled
    clocks.run(HOLD + timedelta(minutes=1))
    assert clocks.lag == timedelta(0)


def test_a_start_with_a_clock_without_a_battery() -> None:
    clocks = Clocks(last_seen=START, wall=datetime(1970, 1, 1, tzinfo=UTC))
    assert clocks.lag == timedelta(0)  # nothing is done early by it
    clocks.wall = START + SECOND  # the time server answers
    clocks.run(SECOND, SECOND)
    assert clocks.lag == timedelta(0)


@given(st.lists(st.tuples(st.integers(-10_000_000, 10_000_000), st.integers(1, 3000)), max_size=20))
def test_settled_time_is_never_ahead_and_catches_up(steps: list[tuple[int, int]]) -> None:
    clocks = Clocks()
    for leap, seconds in steps:
        clocks.wall += timedelta(seconds=leap)
        clocks.run(timedelta(seconds=seconds), timedelta(seconds=60))
        assert clocks.lag >= timedelta(0)
    clocks.run(2 * HOLD)
    assert clocks.lag == timedelta(0)
