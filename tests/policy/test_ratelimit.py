"""The token bucket."""

from hypothesis import given
from hypothesis import strategies as st

from sendryd.policy.ratelimit import MAX_KEYS, RateLimiter


def test_after_a_burst_one_is_allowed_per_share_of_the_period() -> None:
    limiter = RateLimiter(100, 10.0)
    assert [limiter.take(1, 0.0).wait for _ in range(101)] == [0] * 100 + [1]
    assert limiter.take(1, 0.1).wait == 0
    assert limiter.take(1, 0.1).wait == 1


def test_tokens_are_not_saved_up_beyond_the_burst() -> None:
    limiter = RateLimiter(2, 1.0)
    limiter.take(1, 0.0)
    assert [limiter.take(1, 1e6).wait == 0 for _ in range(3)] == [True, True, False]


def test_keys_do_not_share() -> None:
    limiter = RateLimiter(1, 60.0)
    assert (limiter.take(1, 0.0).wait, limiter.take(2, 0.0).wait) == (0, 0)
    assert limiter.take(1, 0.0).wait == 60


def test_memory_is_bounded_and_the_busy_key_is_remembered() -> None:
    limiter = RateLimiter(1, 1e6)
    for key in range(2 * MAX_KEYS):
        limiter.take(key, 0.0)
        limiter.take(-1, 0.0)
    assert limiter.take(-1, 0.0).wait > 0
    assert f"{MAX_KEYS} buckets" in repr(limiter)


@given(st.integers(1, 1000), st.floats(0.001, 1e5), st.lists(st.floats(0, 1e4), min_size=1, max_size=50), st.floats(0, 1e9))
def test_waiting_the_returned_time_is_enough(count: int, period: float, gaps: list[float], start: float) -> None:
    limiter, now = RateLimiter(count, period), start
    for gap in gaps:
        now += gap
        wait = limiter.take(1, now).wait
        assert wait >= 0
        assert isinstance(wait, int)
        if wait:
            now += wait
            assert limiter.take(1, now).wait == 0


@given(st.integers(1, 50), st.floats(0.01, 100), st.lists(st.floats(-10, 10), max_size=100))
def test_never_more_than_the_burst_and_what_the_time_gave(count: int, period: float, gaps: list[float]) -> None:
    limiter, now, latest, earliest, passed = RateLimiter(count, period), 0.0, 0.0, 0.0, 0
    for gap in gaps:
        now += gap
        latest, earliest = max(latest, now), min(earliest, now)
        passed += limiter.take(1, now).wait == 0
    assert passed <= count + (latest - earliest) * count / period + 1e-3


def test_the_standing_tells_what_is_left() -> None:
    limiter = RateLimiter(10, 10.0)
    standing = limiter.take(1, 0.0)
    assert (standing.limit, standing.remaining, standing.reset, standing.wait) == (10, 9, 1, 0)
    for _ in range(9):
        standing = limiter.take(1, 0.0)
    assert (standing.remaining, standing.reset) == (0, 10)


def test_a_bucket_that_was_settled_below_zero_fills_first() -> None:
    limiter = RateLimiter(10, 10.0)
    limiter.settle(1, -4.0, 0.0)
    standing = limiter.take(1, 0.0)
    assert (standing.remaining, standing.wait) == (0, 5)
    assert limiter.take(1, 5.0).wait == 0
    assert limiter.take(1, 5.0).wait == 1


def test_a_bucket_is_never_more_than_full() -> None:
    limiter = RateLimiter(2, 1e6)
    limiter.settle(1, 9.0, 0.0)
    assert [limiter.take(1, 0.0).wait == 0 for _ in range(3)] == [True, True, False]
