"""Slowing down those who guess passwords of people: token buckets for each address and each email. Pure.

Five tries at once, then one each 30 s; each further failure in a row doubles the pause, up to 15 minutes. A right answer empties the record.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from sendryd.policy.network import network_of

FREE_TRIES: Final = 5  # a person who has two passwords in mind needs no more
FIRST_PAUSE: Final = 30.0  # seconds
MAX_PAUSE: Final = 900.0  # seconds: longer would lock people out for a prank
MAX_DOUBLINGS: Final = 5  # 30 s doubled five times is above the longest pause
FORGET: Final = 3600.0  # seconds without a try
MAX_ENTRIES: Final = 10_000  # remembered; the oldest is forgotten, so that a flood costs no memory


@dataclass(slots=True)
class _Tries:
    failures: int
    last: float


class SignInThrottle:
    """Failed sign-ins, by client network and by email."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def wait(self, address: str, email: str, now: float, *, is_known_device: bool = False) -> float:
        """Seconds until the next try is checked; 0: at once. A device that has signed in before does not wait for failures of other devices."""
        names = [_by_address(address)] if is_known_device else [_by_address(address), _by_email(email)]
        return max(self._wait(name, now) for name in names)

    def fail(self, address: str, email: str, now: float) -> None:
        """Counts a failure at `now`, monotonic seconds."""
        for name in (_by_address(address), _by_email(email)):
            tries = self._tries.setdefault(name, _Tries(0, now))
            if now - tries.last > FORGET:
                tries.failures = 0
            tries.failures += 1
            tries.last = now
            self._tries.move_to_end(name)
        while len(self._tries) > MAX_ENTRIES:
            self._tries.popitem(last=False)

    def forgive(self, address: str, email: str) -> None:
        """Takes back one failure: the try was not checked."""
        for name in (_by_address(address), _by_email(email)):
            if name in self._tries:
                self._tries[name].failures -= 1

    def succeed(self, address: str, email: str) -> None:
        """Forgets the failures."""
        self._tries.pop(_by_address(address), None)
        self._tries.pop(_by_email(email), None)

    def _wait(self, name: str, now: float) -> float:
        tries = self._tries.get(name)
        if tries is None or tries.failures < FREE_TRIES or now - tries.last > FORGET:
            return 0.0
        pause = min(MAX_PAUSE, FIRST_PAUSE * float(1 << min(tries.failures - FREE_TRIES, MAX_DOUBLINGS)))
        return max(0.0, tries.last + pause - now)


def _by_address(address: str) -> str:
    return f"address {network_of(address)}"


def _by_email(email: str) -> str:
    return f"email {email}"
