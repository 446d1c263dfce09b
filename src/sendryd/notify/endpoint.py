"""A webhook's endpoint: how many attempts it gets at once, and when it is left alone. Pure.

Its window grows with success and shrinks with failure; after failures in a row it is suspended and probed with one notification
(`policy.throttle`). A receiver that says when it wants to be asked again is asked then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sendryd.policy.throttle import Lane, note_failure, note_success

START_WINDOW: Final = 8  # attempts of one webhook at once, as long as nothing is known of it
MAX_WINDOW: Final = 16  # with an answer in 100 ms these are 160 a second, what a small receiver can take
# Between probes: whoever repairs an endpoint sees it work within it, and 3 days cost 4,320 requests.
MAX_PAUSE: Final = timedelta(minutes=1)


@dataclass(slots=True)
class Endpoint:
    """What is known of it. Times are monotonic seconds."""

    lane: Lane
    used: float  # when an attempt last started or ended
    active: int = 0  # attempts under way
    paused_until: float = 0.0  # as it asked for
    is_off: bool = False  # it has been disabled, or that is under way

    def is_waiting(self, now: float) -> bool:
        """Suspended or paused."""
        return now < self.paused_until or self.lane.is_suspended(now)

    def room(self, now: float) -> int:
        """How many more attempts may start."""
        return 0 if self.is_waiting(now) else self.lane.limit - self.active

    def is_forgettable(self, now: float) -> bool:
        """Nothing bad is known of it, or nothing was for longer than probes are apart."""
        is_good = not self.lane.failures and not self.lane.suspensions
        is_stale = now - self.used > 2 * MAX_PAUSE.total_seconds()
        return not self.active and not self.is_waiting(now) and (is_good or is_stale)

    def start_over(self) -> None:
        """A person wants it tried at once: its failures are forgotten."""
        self.lane, self.paused_until = Lane(START_WINDOW, MAX_WINDOW), 0.0

    def note_success(self) -> None:
        """An attempt succeeded."""
        self.lane = note_success(self.lane)

    def note_failure(self, now: float, *, wait: timedelta | None, pauses: tuple[float, ...]) -> float | None:
        """An attempt failed; `wait` is the receiver's wish. Returns the seconds for which it is left alone, if that begins now."""
        was_waiting = self.is_waiting(now)
        if not self.lane.is_suspended(now):  # by another attempt of the same moment
            self.lane = note_failure(self.lane, now=now, delays=pauses)
        if wait is not None:
            self.paused_until = max(self.paused_until, now + wait.total_seconds())
        if was_waiting or not self.is_waiting(now):
            return None
        return max(self.paused_until, self.lane.suspended_until or now) - now


def new_endpoint(now: float) -> Endpoint:
    """One that nothing is known of."""
    return Endpoint(Lane(START_WINDOW, MAX_WINDOW), now)


def pauses_of(delays: Sequence[timedelta]) -> tuple[float, ...]:
    """Seconds between probes of a suspended endpoint, from the delays between attempts."""
    return tuple(min(delay, MAX_PAUSE).total_seconds() for delay in delays) or (MAX_PAUSE.total_seconds(),)
