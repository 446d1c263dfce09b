"""The parts that differ between one process and several on one database, for one process. `app.nodes` has them for several.

Each fulfils a named interface of the layer that uses it; the interface says what several processes must do.
"""

import secrets
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sendryd.app.daemons import Daemon
from sendryd.app.settings import Settings
from sendryd.files import make_folder
from sendryd.runtime.clock import Clock
from sendryd.store.base import CrashPause, Owner, Returned, Store

if TYPE_CHECKING:
    from sendryd.api.framework.ratelimits import RateLimits
    from sendryd.delivery.ownership import Ownership
    from sendryd.delivery.pool import ConnectionPool
    from sendryd.delivery.scheduler import Scheduler
    from sendryd.intake.quota import Quota, QuotaLedger
    from sendryd.policy.ratelimit import RateLimiter
    from sendryd.runtime.wakeup import Doorbell, Wakeup


DELIVERY: Final = "delivery"  # kinds of work
WEBHOOKS: Final = "webhooks"
Exchange = Callable[[Callable[[str], bool]], Coroutine[Any, Any, None]]  # takes a test whether this process has gained a site
PLACE_NAME: Final = "node.id"  # in the data directory
COPIED: Final = "another node uses a copy of this data directory: remove the file node.id from one of the two"
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")  # of this start of the kernel


def place_of(data_dir: Path) -> str:
    """The identifier of this data directory: a random text in a file of it, made if there is none."""
    path = data_dir / PLACE_NAME
    make_folder(data_dir)
    if not path.exists():
        made = data_dir / f"{PLACE_NAME}.{secrets.token_hex(8)}"
        made.write_text(secrets.token_hex(16), "ascii")
        with suppress(FileExistsError):  # whole from the first moment, for whoever reads it
            path.hardlink_to(made)
        made.unlink()
    return path.read_text("ascii").strip()


def machine_of(data_dir: Path) -> str:
    """The identifier of this folder on this machine since the machine started: a copy has another one. Empty if the system gives none."""
    try:
        found = (data_dir / PLACE_NAME).stat()
        return f"{BOOT_ID.read_text('ascii').strip()}:{found.st_dev}:{found.st_ino}"
    except OSError:
        return ""


class OneNode:
    """One node with one process at a time, as SQLite needs it. Fulfils `store.base.Cluster`.

    The process that holds the lock of the data directory knows that all earlier boots of the node are dead.
    """

    def __init__(self, store: Store, owner: Owner) -> None:
        self._store = store
        self._owner = owner
        self._bells_here: dict[str, Wakeup] = {}  # by kind of work

    @property
    def owner(self) -> Owner:
        """This boot of the node."""
        return self._owner

    async def return_dead_leases(self, *, now: datetime, pause: CrashPause) -> Returned:
        """End the leases of the node's earlier boots."""
        deliveries = await self._store.return_dead_leases(self._owner, now=now, pause=pause)
        return Returned(deliveries=deliveries, notifications=await self._store.return_dead_notifications(self._owner))

    async def follow_time(self) -> None:
        """The machine's clock is the only one."""

    async def join(self, roles: tuple[str, ...]) -> None:
        """No other process is there."""

    async def leave(self) -> None:
        """No other process takes over."""

    def attend(self, scheduler: "Scheduler", pool: "ConnectionPool[Any]", exchange: "Exchange") -> None:
        """Nothing of the delivery engine is ever handed over."""

    def watch_drain(self, drain: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """It is never asked for."""

    @property
    def daemons(self) -> tuple[Daemon, ...]:
        """What the cluster itself has to run."""
        return ()

    @property
    def ownership(self) -> "Ownership | None":
        """Which sites are this process's own; None: all of them."""
        return None

    def by_one(self, daemon: Daemon) -> Daemon:
        """A daemon of which one runs in the whole cluster."""
        return daemon

    def doorbell(self, kind: str) -> "Doorbell":
        """Says in all processes that there is work of a kind."""
        return self.doorbell_here(kind)

    def doorbell_here(self, kind: str) -> "Wakeup":
        """Says in this process that there is work of a kind. Whoever does the work waits for it."""
        from sendryd.runtime.wakeup import Wakeup

        if kind not in self._bells_here:
            self._bells_here[kind] = Wakeup()
        return self._bells_here[kind]

    def quotas(self, settings: Settings, clock: Clock) -> "QuotaLedger | None":
        """The ledger of quotas; None if there are none."""
        from sendryd.intake.quota import Quotas

        of_key, of_account = quotas_of(settings)
        return Quotas(self._store, clock, of_key=of_key, of_account=of_account) if of_key or of_account else None

    def rate_limits(self, settings: Settings) -> "RateLimits | None":
        """The limit of requests for each key; None if there is none."""
        return limiter_of(settings)


def quotas_of(settings: Settings) -> "tuple[Quota | None, Quota | None]":
    """The quota of each key, and that of each account."""
    from sendryd.intake.quota import Quota

    of_key, of_account = settings.key_quota, settings.account_quota
    return (
        Quota(of_key.count, of_key.period) if of_key else None,
        Quota(of_account.count, of_account.period) if of_account else None,
    )


def limiter_of(settings: Settings) -> "RateLimiter | None":
    """The buckets of this process."""
    from sendryd.policy.ratelimit import RateLimiter

    rate = settings.api_rate_limit
    return RateLimiter(rate.count, rate.period.total_seconds()) if rate else None
