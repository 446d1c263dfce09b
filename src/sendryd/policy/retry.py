"""The retry plan: when to try again and when to give up."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sendryd.model.message import MessageClass

JITTER: Final = 0.1  # share of the delay, to either side, so that deliveries that failed together are not retried together
OTP_DELAYS: Final = (
    timedelta(seconds=15),
    timedelta(seconds=45),
    timedelta(minutes=2),
    timedelta(minutes=4),
    timedelta(minutes=8),
)
LONGEST_THROTTLE: Final = timedelta(minutes=30)  # between tries of what a receiver takes at a slower rate: it has not failed
OTP_AGE: Final = timedelta(minutes=30)  # a code is worthless by then


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """Delays between attempts; the last one repeats until the maximum age."""

    delays: tuple[timedelta, ...]
    max_age: timedelta

    def __post_init__(self) -> None:
        if not self.delays or any(delay <= timedelta(0) for delay in self.delays):
            raise ValueError("a retry plan has at least one delay, and all are positive")

    @property
    def longest_delay(self) -> timedelta:
        """The longest delay between two attempts."""
        return max(self.delays) * (1 + JITTER)

    def attempts_by(self, age: timedelta) -> int:
        """The attempts, one more than are over, of a delivery that has failed by the plan up to an age.

        >>> plan = RetryPlan((timedelta(minutes=1), timedelta(minutes=5)), timedelta(hours=1))
        >>> plan.attempts_by(timedelta(0)), plan.attempts_by(timedelta(minutes=1)), plan.attempts_by(timedelta(minutes=6))
        (1, 2, 3)
        """
        number, begins = 1, timedelta(0)
        for delay in self.delays:
            begins += delay
            if age < begins:
                break
            number += 1
        return number

    def delay(self, attempts: int) -> timedelta:
        """The delay after `attempts` attempts, without jitter."""
        return self.delays[min(max(attempts, 1), len(self.delays)) - 1]


def plan_for(plan: RetryPlan, priority: MessageClass) -> RetryPlan:
    """The plan for messages of a class. A one-time password is tried again within minutes and given up after half an hour, or as the plan says
    where that is sooner.
    """
    if priority is not MessageClass.OTP:
        return plan
    return RetryPlan(tuple(min(each, plan.delay(number)) for number, each in enumerate(OTP_DELAYS, 1)), min(OTP_AGE, plan.max_age))


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again at this time."""

    moment: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Give up: the maximum age is reached."""


def throttled_plan(plan: RetryPlan, age: timedelta) -> tuple[RetryPlan, int]:
    """The plan of a delivery that was throttled, and its attempts in it. No attempt is counted for being throttled, so its age tells them."""
    return RetryPlan(tuple(min(each, LONGEST_THROTTLE) for each in plan.delays), plan.max_age), plan.attempts_by(age)


def next_attempt(
    plan: RetryPlan, *, attempts: int, first_queued: datetime, now: datetime, jitter: float, settled: datetime | None = None
) -> RetryAt | GiveUp:
    """The step after a failed attempt. `attempts` includes it; `jitter` is in [-1, 1).

    A delivery gets one last attempt at its maximum age, and expires only after it. A clock set back since it was queued neither keeps it forever
    nor delays it for longer than its delay. A clock set forward expires it only once the new time has held: `settled` is the settled time, by
    default `now`.
    """
    deadline = first_queued + plan.max_age
    if (settled or now) >= deadline:
        return GiveUp()
    moment = now + plan.delay(attempts) * (1 + JITTER * jitter)
    return RetryAt(min(moment, deadline) if now < deadline else moment)
