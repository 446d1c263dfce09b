"""When to try again, when to give up, and how much at once."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.model.message import MessageClass
from sendryd.policy.retry import GiveUp, RetryAt, RetryPlan, next_attempt, plan_for, throttled_plan
from sendryd.policy.throttle import FAILURES_TO_SUSPEND, MX_MAX, SMART_HOST_WINDOW, new_lane, note_failure, note_success

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = RetryPlan(tuple(timedelta(minutes=m) for m in (1, 5, 15, 30, 60, 120, 240, 480)), timedelta(hours=72))
DELAYS = tuple(delay.total_seconds() for delay in PLAN.delays)


def test_the_default_plan() -> None:
    assert [PLAN.delay(attempts) / timedelta(minutes=1) for attempts in range(1, 11)] == [1, 5, 15, 30, 60, 120, 240, 480, 480, 480]


@given(st.integers(1, 50), st.floats(-1, 1, exclude_max=True), st.timedeltas(timedelta(0), timedelta(hours=72)))
def test_the_next_attempt_is_never_early_late_or_past_the_end(attempts: int, jitter: float, age: timedelta) -> None:
    answer = next_attempt(PLAN, attempts=attempts, first_queued=NOW - age, now=NOW, jitter=jitter)
    if age >= PLAN.max_age:
        assert answer == GiveUp()
        return
    assert isinstance(answer, RetryAt)
    assert NOW <= answer.moment <= NOW + PLAN.delay(attempts) * 1.1
    assert answer.moment <= NOW - age + PLAN.max_age
    assert answer.moment >= min(NOW + PLAN.delay(attempts) * 0.9, NOW - age + PLAN.max_age)


def test_a_one_time_password_is_tried_sooner_and_given_up_sooner() -> None:
    plan = plan_for(PLAN, MessageClass.OTP)
    assert [plan.delay(attempts).total_seconds() for attempts in range(1, 8)] == [15, 45, 120, 240, 480, 480, 480]
    assert plan.max_age == timedelta(minutes=30)
    assert plan_for(PLAN, MessageClass.TRANSACTIONAL) is PLAN is plan_for(PLAN, MessageClass.BULK)


def test_a_one_time_password_waits_no_longer_than_other_mail() -> None:
    plan = plan_for(RetryPlan((timedelta(seconds=1), timedelta(seconds=60)), timedelta(minutes=10)), MessageClass.OTP)
    assert [plan.delay(attempts).total_seconds() for attempts in range(1, 6)] == [1, 45, 60, 60, 60]
    assert plan.max_age == timedelta(minutes=10)


def test_attempts_come_to_an_end() -> None:
    now, attempts = NOW, 0
    while True:
        attempts += 1
        answer = next_attempt(PLAN, attempts=attempts, first_queued=NOW, now=now, jitter=0.0)
        if isinstance(answer, GiveUp):
            break
        now = answer.moment
    assert attempts == 17
    assert now == NOW + PLAN.max_age


def test_a_clock_that_was_set_back_does_not_put_off_for_ever() -> None:
    answer = next_attempt(PLAN, attempts=1, first_queued=NOW + timedelta(days=400), now=NOW, jitter=0.0)
    assert answer == RetryAt(NOW + timedelta(minutes=1))


@pytest.mark.parametrize("delays", [(), (timedelta(0),), (timedelta(minutes=-1),)])
def test_plans_that_are_none(delays: tuple[timedelta, ...]) -> None:
    with pytest.raises(ValueError, match="delay"):
        RetryPlan(delays, timedelta(hours=1))


def test_a_lane_grows_with_success_to_its_limit() -> None:
    lane = new_lane(is_smart_host=False)
    assert lane.limit == 5
    for _ in range(1000):
        lane = note_success(lane)
    assert lane.limit == MX_MAX
    assert new_lane(is_smart_host=True).limit == SMART_HOST_WINDOW


def test_failures_in_a_row_suspend_a_lane_for_longer_each_time() -> None:
    lane, now = new_lane(is_smart_host=False), 0.0
    for _ in range(FAILURES_TO_SUSPEND):
        assert not lane.is_suspended(now)
        lane = note_failure(lane, now=now, delays=DELAYS)
    times = []
    for _ in range(10):
        assert lane.suspended_until is not None
        assert lane.is_suspended(now)
        times.append(lane.suspended_until - now)
        now = lane.suspended_until
        assert not lane.is_suspended(now)
        assert lane.limit == 1
        lane = note_failure(lane, now=now, delays=DELAYS)
    assert times == [60, 120, 240, 480, 960, 1800, 1800, 1800, 1800, 1800]
    assert note_success(lane).suspended_until is None


def test_a_success_forgives_failures() -> None:
    lane = new_lane(is_smart_host=False)
    for _ in range(20):
        for _ in range(FAILURES_TO_SUSPEND - 1):
            lane = note_failure(lane, now=0.0, delays=DELAYS)
        lane = note_success(lane)
    assert not lane.is_suspended(0.0)


def test_no_attempt_follows_another_later_than_the_longest_delay() -> None:
    assert timedelta(hours=8) < PLAN.longest_delay < timedelta(hours=9)
    answer = next_attempt(PLAN, attempts=8, first_queued=NOW, now=NOW, jitter=0.999)
    assert isinstance(answer, RetryAt)
    assert answer.moment <= NOW + PLAN.longest_delay


def test_a_clock_that_was_set_forward_gives_nothing_up_and_makes_no_busy_loop() -> None:
    plan = RetryPlan((timedelta(minutes=1),), timedelta(hours=72))
    queued = datetime(2026, 3, 1, tzinfo=UTC)
    leap, settled = queued + timedelta(days=5), queued + timedelta(hours=1)
    assert next_attempt(plan, attempts=1, first_queued=queued, now=leap, jitter=0, settled=settled) == RetryAt(leap + timedelta(minutes=1))
    assert next_attempt(plan, attempts=1, first_queued=queued, now=leap, jitter=0, settled=leap) == GiveUp()


def test_what_is_throttled_for_days_is_tried_less_and_less_often() -> None:
    ages, age = [], timedelta(0)
    while age < PLAN.max_age:
        plan, attempts = throttled_plan(PLAN, age)
        answer = next_attempt(plan, attempts=attempts, first_queued=NOW, now=NOW + age, jitter=0.0)
        assert isinstance(answer, RetryAt)
        age = answer.moment - NOW
        ages.append(age)
    assert [each / timedelta(minutes=1) for each in ages[:5]] == [1, 6, 21, 51, 81]
    assert 140 < len(ages) < 160
