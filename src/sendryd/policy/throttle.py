"""Lanes: how many connections a next hop gets at once, and when it is suspended.

A lane's window starts small, grows by one for every window of good sessions, and shrinks on a failure to connect or a 421. After several failures
in a row the lane is suspended: one message probes it after the pause; the others wait, and no attempt is counted for them.
"""

from dataclasses import replace
from enum import Enum, auto
from typing import Final

from sendryd.valuetype import valuetype

MX_START: Final = 5
MX_MAX: Final = 20  # Postfix: default_destination_concurrency_limit
SMART_HOST_WINDOW: Final = 20  # a smart host is ours, and takes all mail
LONGEST_SUSPENSION: Final = 1800.0  # seconds between two probes of a site that is down: the contract
FAILURES_TO_SUSPEND: Final = 5  # in a row, each before MAIL was accepted


class Signal(Enum):
    """The health of the next hop that an attempt showed."""

    GOOD = auto()  # it answered MAIL or later commands
    BAD = auto()  # no session, or one that ended before MAIL
    NEUTRAL = auto()  # it was not contacted, or its answer to the content was lost


@valuetype(frozen=True, slots=True)
class Lane:
    """The state of one next hop. Times are monotonic seconds."""

    window: float
    max_window: int
    failures: int = 0  # in a row
    suspensions: int = 0  # in a row; each is longer than the last
    suspended_until: float | None = None

    @property
    def limit(self) -> int:
        """Sessions allowed at once; one during a probe."""
        return 1 if self.suspensions else max(1, int(self.window))

    def is_suspended(self, now: float) -> bool:
        """Whether the lane is suspended."""
        return self.suspended_until is not None and now < self.suspended_until


def new_lane(*, is_smart_host: bool, most: int | None = None) -> Lane:
    """A new lane. `most` sessions at once are allowed to a site."""
    if is_smart_host:
        return Lane(SMART_HOST_WINDOW, SMART_HOST_WINDOW)
    most = MX_MAX if most is None else most
    return Lane(min(MX_START, most), most)


def note_success(lane: Lane) -> Lane:
    """A session went well."""
    if lane.window == lane.max_window and not lane.failures and not lane.suspensions:  # nearly all in a busy lane
        return lane
    return Lane(min(float(lane.max_window), lane.window + 1 / max(lane.window, 1.0)), lane.max_window)


def note_silence(lane: Lane, *, now: float, delays: tuple[float, ...]) -> Lane:
    """DNS gave no answer for the next hop. That concerns all its messages, so the lane is suspended at once."""
    return note_failure(replace(lane, failures=max(lane.failures, FAILURES_TO_SUSPEND - 1)), now=now, delays=delays)


def note_failure(lane: Lane, *, now: float, delays: tuple[float, ...]) -> Lane:
    """No session was possible. The first suspension lasts as long as the first delay of the retry plan, in seconds; each of the next ones twice as
    long as the one before, half an hour at the most.
    """
    failures = lane.failures + 1
    window = max(1.0, lane.window - 1)
    if failures < FAILURES_TO_SUSPEND and not lane.suspensions:
        return replace(lane, window=window, failures=failures)
    pause = min(delays[0] * 2 ** min(lane.suspensions, 20), LONGEST_SUSPENSION)
    return replace(
        lane,
        window=window,
        failures=failures,
        suspensions=lane.suspensions + 1,
        suspended_until=now + pause,
    )
