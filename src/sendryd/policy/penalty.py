"""Slows down guessing of keys: counts failed logins of an address in a minute, and delays the answers to further failures."""

from collections import OrderedDict, deque
from typing import Final

from sendryd.policy.network import network_of

FREE_FAILURES: Final = 10  # in one window; a person who mistypes stays below
WINDOW: Final = 60.0  # seconds
MAX_DELAY: Final = 10.0  # seconds: a longer delay only keeps our connections open
MAX_ADDRESSES: Final = 10_000  # addresses kept; the oldest is dropped, so that a flood of addresses costs no memory


class FailureLog:
    """Failed logins by address. Successful logins are neither counted nor delayed."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def record(self, address: str, now: float) -> float:
        """Counts a failure at `now` (monotonic seconds) and returns the seconds by which to delay its answer."""
        network = network_of(address)
        failures = self._failures.setdefault(network, deque(maxlen=FREE_FAILURES * 4))
        self._failures.move_to_end(network)
        while len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)
        while failures and failures[0] <= now - WINDOW:
            failures.popleft()
        failures.append(now)
        excess = len(failures) - FREE_FAILURES
        return 0.0 if excess <= 0 else min(MAX_DELAY, 0.5 * excess)
