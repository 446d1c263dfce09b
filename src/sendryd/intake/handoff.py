"""How an accepted message reaches this process's delivery engine without being read back from the database.

The deliveries are stored as leased in the commit that accepts them, so a crash leaves them to be claimed again. An engine reserves only
what it can start soon; all else is queued in the database.
"""

from collections.abc import Sequence
from typing import Protocol

from sendryd.store.base import Claim, Lease


class Handoff(Protocol):
    """The delivery engine, as the door sees it. Each reservation is followed by exactly one `offer` or `cancel_reservation`.

    In a cluster: the engine of the same process, and nothing changes, for the lease names its owner. A node without an engine has no hand-over:
    it queues in the store and rings the doorbell of the others.
    """

    def reserve(self, domains: Sequence[str], size: int) -> Lease | None:
        """Room for one delivery to each of the domains, with content of so many octets; None: let the database queue it."""
        ...

    def offer(self, lease: Lease, claims: Sequence[Claim], content: bytes) -> None:
        """The message is committed: go ahead."""
        ...

    def cancel_reservation(self, lease: Lease) -> None:
        """The message was not stored."""
        ...
