"""The hand-off: passes an accepted message to this process's delivery engine without reading it back from the database.

The commit that accepts the message stores its deliveries as leased; after a crash they are claimed again. The engine reserves only deliveries
that it can start soon; all others are queued in the database.
"""

from collections.abc import Sequence
from typing import Protocol

from sendryd.model.ids import AccountId
from sendryd.model.message import MessageClass
from sendryd.store.base import Claim, Lease


class Handoff(Protocol):
    """The delivery engine's interface for the door. Exactly one `offer` or `cancel_reservation` follows each reservation.

    In a cluster: the engine of the same process, and nothing changes, for the lease names its owner. A node without an engine has no hand-off:
    it queues in the store and rings the doorbell of the others.
    """

    def reserve(self, domains: Sequence[str], size: int, *, account_id: AccountId, priority: MessageClass) -> Lease | None:
        """Reserves room for one delivery to each domain with content of this size; None: the database queues it."""
        ...

    def offer(self, lease: Lease, claims: Sequence[Claim], content: bytes) -> None:
        """Starts the reserved deliveries: the message is committed."""
        ...

    def cancel_reservation(self, lease: Lease) -> None:
        """Drops the reservation: the message was not stored."""
        ...
