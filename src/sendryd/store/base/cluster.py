"""The processes that share a database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sendryd.store.base.leases import CrashPause, Owner, ReturnedDelivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What dead processes had leased."""

    deliveries: list[ReturnedDelivery]
    notifications: int


class Cluster(Protocol):
    """The processes that share a database, as one of them sees the others.

    In a cluster: each owner must show that it is alive, by a heartbeat in the database and its clock. `return_dead_leases` is then called
    while the program runs too, and ends the leases of owners of any node whose heartbeat has stopped. That an owner only seems dead is safe:
    outcomes are fenced by the lease, so the worst is a delivery that is made twice.
    """

    @property
    def owner(self) -> Owner:
        """This process, as its leases name it."""
        ...

    async def return_dead_leases(self, *, now: datetime, pause: CrashPause) -> Returned:
        """End the leases of all owners that are known to be dead, as `DeliveryStore.return_dead_leases` does. Raises `StoreUnavailable`."""
        ...
