"""How many connections a destination gets at once, and when it is left alone.

A lane starts small, grows by one for every window of good sessions, and shrinks on a failure to connect or a 421. After several failures
in a row it is suspended: one message probes it when the time is over, the others wait without an attempt counted against them.
"""

from dataclasses import replace
from enum import Enum, auto
from typing import Final

from sendryd.valuetype import valuetype

MX_START: Final = 5
MX_MAX: Final = 20  # Postfix: default_destination_concurrency_limit
SMART_HOST_WINDOW: Final = 20  # it is ours, and has asked for everything
FAILURES_TO_SUSPEND: Final = 5  # in a row, all of them before any mail was taken


class Signal(Enum):
    """What an attempt tells of its next hop."""

    GOOD = auto()  # it talked to us of the mail
    BAD = auto()  # no session could be had, or none that got as far as that
    NEUTRAL = auto()  # it was not asked


@valuetype(frozen=True, slots=True)
class Lane:
    """What is known of one next hop. Times are monotonic seconds."""

    window: float
    max_window: int
    failures: int = 0  # in a row
    suspensions: int = 0  # in a row: each is longer than the one before
    suspended_until: float | None = None

    @property
    def limit(self) -> int:
        """Sessions allowed at once: one while it is being probed."""
        return 1 if self.suspensions else max(1, int(self.window))

    def is_suspended(self, now: float) -> bool:
        """It is left alone for the time being."""
        return self.suspended_until is not None and now < self.suspended_until


def new_lane(*, is_smart_host: bool) -> Lane:
    """A lane that nothing is known of."""
    if is_smart_host:
        return Lane(SMART_HOST_WINDOW, SMART_HOST_WINDOW)
    return Lane(MX_START, MX_MAX)


def note_success(lane: Lane) -> Lane:
    """A session went well."""
    grown = min(float(lane.max_window), lane.window + 1 / max(lane.window, 1.0))
    if grown == lane.window and not lane.failures and not lane.suspensions:
        return lane
    return Lane(grown, lane.max_window)


def note_silence(lane: Lane, *, now: float, delays: tuple[float, ...]) -> Lane:
    """DNS gave no answer for the next hop. That holds for all its messages, so it is left alone at once."""
    return note_failure(replace(lane, failures=max(lane.failures, FAILURES_TO_SUSPEND - 1)), now=now, delays=delays)


def note_failure(lane: Lane, *, now: float, delays: tuple[float, ...]) -> Lane:
    """No session could be had. `delays` are the seconds of the retry plan, which the suspensions follow."""
    failures = lane.failures + 1
    window = max(1.0, lane.window - 1)
    if failures < FAILURES_TO_SUSPEND and not lane.suspensions:
        return replace(lane, window=window, failures=failures)
    step = min(lane.suspensions, len(delays) - 1)
    return replace(
        lane,
        window=window,
        failures=failures,
        suspensions=lane.suspensions + 1,
        suspended_until=now + delays[step],
    )
