"""Rates: no more than the count in any stretch of the period."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.policy.shaping.gcra import Gate
from sendryd.policy.shaping.limits import Rate


def let_through(gate: Gate, seconds: float, step: float) -> list[float]:
    """When each came, if one waits all the time and looks every `step` seconds."""
    moments, now = [], 100.0
    while now < 100.0 + seconds:
        if gate.wait(now) <= 0:
            gate.take(now)
            moments.append(now)
        else:
            now += step
    return moments


def most_in(moments: list[float], seconds: float) -> int:
    return max(sum(first <= each < first + seconds for each in moments) for first in moments)


@pytest.mark.parametrize("has_bursts", [False, True])
@pytest.mark.parametrize("rate", [Rate(1, 1.0), Rate(5, 1.0), Rate(10, 60.0), Rate(100, 60.0)])
def test_no_stretch_of_the_period_has_more_than_the_count(rate: Rate, *, has_bursts: bool) -> None:
    moments = let_through(Gate(rate, has_bursts=has_bursts), 3 * rate.seconds, rate.seconds / 997)
    assert most_in(moments, rate.seconds * 0.999) <= rate.count
    assert len(moments) >= 0.75 * 3 * rate.count - 1


@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=200), st.integers(1, 20))
def test_however_they_come_none_exceeds_the_rate(arrivals: list[float], count: int) -> None:
    gate, now, taken = Gate(Rate(count, 10.0), has_bursts=True), 0.0, []
    for pause in arrivals:
        now += pause / 10
        now += gate.wait(now)
        gate.take(now)
        taken.append(now)
    assert most_in(taken, 10.0 - 1e-6) <= count


def test_a_rate_says_what_it_is() -> None:
    assert [str(each) for each in (Rate(10, 60.0), Rate(5, 1.0), Rate(3, 7200.0), Rate(1, 86_400.0))] == [
        "10 in 1 minute",
        "5 in 1 second",
        "3 in 2 hours",
        "1 in 1 day",
    ]
