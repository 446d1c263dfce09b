"""The processes that share a database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sendryd.store.base.leases import CrashPause, Owner, ReturnedDelivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The leases of dead processes that were ended."""

    deliveries: list[ReturnedDelivery]
    notifications: int


class Cluster(Protocol):
    """The processes that share a database, as one of them sees the others.

    In a cluster each owner must show that it is alive, by a heartbeat in the database and by the database's clock. `return_dead_leases` is then
    called while the program runs too, and ends the leases of owners of any node whose heartbeat has stopped. An owner wrongly taken for dead does
    no harm: the lease fences its outcomes, so the worst case is a duplicate delivery.
    """

    @property
    def owner(self) -> Owner:
        """This process, as its leases name it."""
        ...

    async def return_dead_leases(self, *, now: datetime, pause: CrashPause) -> Returned:
        """End the leases of all owners that are known to be dead, as `DeliveryStore.return_dead_leases` does. Raises `StoreUnavailable`."""
        ...
