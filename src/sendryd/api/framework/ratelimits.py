"""How often a key may call the API."""

from typing import Protocol

from sendryd.policy.ratelimit import Standing


class RateLimits(Protocol):
    """The limit of requests for each key.

    In a cluster: each node must enforce its share of the limit, or follow a shared count in the background, as `sharedrates` does. `take` answers
    at once: a request does not wait for other nodes.
    """

    def take(self, key: int, now: float) -> Standing:
        """Count one request of a key at a monotonic time in seconds, and say how the key stands."""
        ...
