"""Addresses that a person has shut out of the submission door."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedAddress:
    """One address, or the network of an IPv6 address."""

    network: str  # as `policy.network.network_of` makes it
    by: str  # the person's name
    reason: str  # empty if none was given
    since: datetime
    until: datetime | None = None  # None: until somebody lets it in again

    def is_over(self, now: datetime) -> bool:
        """Whether its time has ended."""
        return self.until is not None and self.until <= now
