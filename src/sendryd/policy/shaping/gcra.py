"""GCRA: lets something through at a rate (ITU-T I.371, the virtual scheduling algorithm). Pure: the clock is an argument.

In any stretch of the rate's period no more than its count gets through: what may come in a burst is taken from what comes afterwards.
"""

from typing import Final

from sendryd.policy.shaping.limits import Rate

_MARGIN: Final = 0.9  # of the rate: a message may be slower on its way than the next one
_BURST_SHARE: Final = 4  # a quarter of the count may come at once, if bursts are allowed


class Gate:
    """One rate. Times are monotonic seconds."""

    __slots__ = ("_interval", "_next", "_tolerance", "rate")

    def __init__(self, rate: Rate, *, has_bursts: bool) -> None:
        self.rate = rate
        burst = max(1, rate.count // _BURST_SHARE) if has_bursts else 1
        self._interval = rate.seconds / (rate.count - burst + 1) / _MARGIN
        self._tolerance = (burst - 1) * self._interval
        self._next = 0.0  # the theoretical arrival time of the next one

    def wait(self, now: float, *, ahead: int = 0) -> float:
        """Seconds until the next one may come, after those that are ahead of it; 0: now.

        >>> gate = Gate(Rate(2, 1.0), has_bursts=False)
        >>> gate.take(10.0)
        >>> round(gate.wait(10.0), 2), gate.wait(11.0)
        (0.56, 0.0)
        """
        return max(0.0, (max(now, self._next) if ahead else self._next) + ahead * self._interval - self._tolerance - now)

    def take(self, now: float) -> None:
        """One comes."""
        self._next = max(now, self._next) + self._interval
