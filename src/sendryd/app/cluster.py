"""What one process keeps for itself, chosen in one place. A cluster brings another class with these methods.

Each of them fulfils a named interface of the layer that uses it; the interface says what a cluster must do instead.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from sendryd.app.settings import Settings
from sendryd.runtime.clock import Clock
from sendryd.store.base import CrashPause, Owner, Returned, Store

if TYPE_CHECKING:
    from sendryd.api.framework.ratelimits import RateLimits
    from sendryd.intake.quota import QuotaLedger
    from sendryd.runtime.wakeup import Doorbell


class OneNode:
    """One node with one process at a time, as SQLite needs it. Fulfils `store.base.Cluster`.

    The process that holds the lock of the data directory knows that all earlier boots of the node are dead.
    """

    def __init__(self, store: Store, owner: Owner) -> None:
        self._store = store
        self._owner = owner

    @property
    def owner(self) -> Owner:
        """This boot of the node."""
        return self._owner

    async def return_dead_leases(self, *, now: datetime, pause: CrashPause) -> Returned:
        """End the leases of the node's earlier boots."""
        deliveries = await self._store.return_dead_leases(self._owner, now=now, pause=pause)
        return Returned(deliveries=deliveries, notifications=await self._store.return_dead_notifications(self._owner))

    def doorbell(self) -> "Doorbell":
        """A doorbell of its own for each kind of work."""
        from sendryd.runtime.wakeup import Wakeup

        return Wakeup()

    def quotas(self, settings: Settings, clock: Clock) -> "QuotaLedger | None":
        """The ledger of quotas; None if there are none."""
        from sendryd.intake.quota import Quota, Quotas

        of_key = Quota(settings.key_quota.count, settings.key_quota.period) if settings.key_quota else None
        of_account = Quota(settings.account_quota.count, settings.account_quota.period) if settings.account_quota else None
        return Quotas(self._store, clock, of_key=of_key, of_account=of_account) if of_key or of_account else None

    def rate_limits(self, settings: Settings) -> "RateLimits | None":
        """The limit of requests for each key; None if there is none."""
        from sendryd.policy.ratelimit import RateLimiter

        rate = settings.api_rate_limit
        return RateLimiter(rate.count, rate.period.total_seconds()) if rate else None
