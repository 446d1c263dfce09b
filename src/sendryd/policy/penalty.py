"""Slowing down those who guess: failures of one address in a minute, and how long the next failure's answer is kept back."""

from collections import OrderedDict, deque
from typing import Final

from sendryd.policy.network import network_of

FREE_FAILURES: Final = 10  # in one window; a person who mistypes never gets there
WINDOW: Final = 60.0  # seconds
MAX_DELAY: Final = 10.0  # seconds: longer would only hold our own connections open
MAX_ADDRESSES: Final = 10_000  # remembered; the oldest is forgotten, so that a flood of addresses costs no memory


class FailureLog:
    """Failed logins by address. A success is neither counted nor delayed."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def record(self, address: str, now: float) -> float:
        """Counts a failure at `now` (monotonic seconds) and returns how many seconds to keep its answer back."""
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
