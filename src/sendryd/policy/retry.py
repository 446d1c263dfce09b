"""When to try again, and when to give up. The same for mail and for notifications."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

JITTER: Final = 0.1  # of the delay, to either side: what failed together is not tried again together


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """Delays between attempts; the last one is repeated until the age is reached."""

    delays: tuple[timedelta, ...]
    max_age: timedelta

    def __post_init__(self) -> None:
        if not self.delays or any(delay <= timedelta(0) for delay in self.delays):
            raise ValueError("a retry plan has at least one delay, and all are positive")

    @property
    def longest_delay(self) -> timedelta:
        """No attempt follows another later than this."""
        return max(self.delays) * (1 + JITTER)

    def delay(self, attempts: int) -> timedelta:
        """The delay after `attempts` attempts, without jitter."""
        return self.delays[min(max(attempts, 1), len(self.delays)) - 1]


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again then."""

    moment: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It is too old."""


def next_attempt(
    plan: RetryPlan, *, attempts: int, first_queued: datetime, now: datetime, jitter: float, settled: datetime | None = None
) -> RetryAt | GiveUp:
    """What follows a failed attempt. `attempts` counts it; `jitter` lies in [-1, 1).

    A delivery is given one last attempt at the end of its time rather than none: it is given up only when that has passed. A clock that
    was set back since it was queued cannot make it immortal or put it off for longer than its delay. One that was set forward ends its time only
    once that has held: `settled` is the settled time, by default now.
    """
    deadline = first_queued + plan.max_age
    if (settled or now) >= deadline:
        return GiveUp()
    moment = now + plan.delay(attempts) * (1 + JITTER * jitter)
    return RetryAt(min(moment, deadline) if now < deadline else moment)
