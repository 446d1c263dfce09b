"""Shares of port 25: how much content may be in memory, and how many messages one network may send. Pure.

They are apart from those of submission: whoever floods this port takes nothing from those who send through the other.
"""

from collections import OrderedDict
from typing import Final

MAX_HELD: Final = 96 * 1024 * 1024  # octets of content in memory: two of the largest messages, and thousands of reports
MAX_HELD_PER_NETWORK: Final = 48 * 1024 * 1024  # of one network: one of the largest, and not all
RATE: Final = 20.0  # messages a second from one network over some time: reports on a large newsletter come from a few providers
BURST: Final = 600.0  # messages at once
MAX_NETWORKS: Final = 10_000  # that are remembered; the longest silent one is forgotten first


class ContentShares:
    """Octets of content held by the sessions, in all and by network."""

    def __init__(self, total: int = MAX_HELD, per_network: int = MAX_HELD_PER_NETWORK) -> None:
        self._total = total
        self._per_network = per_network
        self._held: dict[str, int] = {}
        self.held = 0

    def __repr__(self) -> str:
        return f"<ContentShares {self.held} octets of {len(self._held)} networks>"

    def change(self, network: str, before: int, after: int) -> bool:
        """Counts that a session holds `after` octets in place of `before`. False if that is too much; it is counted all the same."""
        own = self._held.get(network, 0) - before + after
        if own > 0:
            self._held[network] = own
        else:
            self._held.pop(network, None)
        self.held += after - before
        return after <= before or (self.held <= self._total and own <= self._per_network)


class MessageRates:
    """A token bucket for each network."""

    def __init__(self, rate: float = RATE, burst: float = BURST) -> None:
        """`rate` is in messages a second, `burst` in messages."""
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # messages left, and when that was so

    def __repr__(self) -> str:
        return f"<MessageRates {len(self._buckets)} networks>"

    def take(self, network: str, now: float) -> bool:
        """Takes one message's place. `now` is monotonic, in seconds."""
        left, since = self._buckets.pop(network, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        is_free = left >= 1.0
        self._buckets[network] = (left - 1.0 if is_free else left, now)
        if len(self._buckets) > MAX_NETWORKS:
            self._buckets.popitem(last=False)
        return is_free
