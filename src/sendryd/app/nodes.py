"""One process of many that share a server's database. Fulfils `store.base.Cluster` and what the roles ask of a cluster.

It shows by a heartbeat that it is alive, and by the same gets its share of the destinations. A process that cannot reach the database begins no
session once its shares may have been given to another.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from sendryd.app.bells import Bells, SharedBell
from sendryd.app.cluster import COPIED, DELIVERY, Exchange, OneNode, limiter_of, quotas_of
from sendryd.app.daemons import Daemon
from sendryd.app.outage import Outage
from sendryd.app.settings import Settings
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.smarthost import lane_of
from sendryd.runtime.clock import Clock, SystemClock
from sendryd.runtime.log import get_logger, leave_out
from sendryd.runtime.wakeup import Doorbell, Wakeup
from sendryd.store.base import CrashPause, Owner, Returned, Store
from sendryd.store.base.nodes import SHARDS, SILENCE, Beat, NameTaken, NodeStore, PlaceTaken, Share, shard_of
from sendryd.store.base.sharing import SharedCounts
from sendryd.store.errors import StoreError

if TYPE_CHECKING:
    from sendryd.api.framework.ratelimits import RateLimits
    from sendryd.delivery.ownership import Ownership
    from sendryd.delivery.pool import ConnectionPool
    from sendryd.delivery.scheduler import Scheduler
    from sendryd.intake.quota import QuotaLedger

BEAT_INTERVAL: Final = 2.0  # seconds: a process that drains owns nothing after some of these
GOODBYE: Final = (
    0.5  # seconds from closing the idle connections of a site to another process's first one: a server takes milliseconds for it
)
LOOK_INTERVAL: Final = 0.5  # seconds between looks whether a predecessor still runs
FORGET_INTERVAL: Final = 600.0  # seconds between deletions of counts that are over
CUT_OFF: Final = 8.0  # seconds after which a process that may begin nothing ends what is under way: before the others take over
EXCHANGE_TIME: Final = 2.0  # seconds that a gained site waits for the state of its lane at the most; reading takes milliseconds
WATCH_INTERVAL: Final = 0.5  # seconds between looks whether that is due
SAFETY: Final = 10.0  # seconds before its leases end that a process begins nothing more: the longest that a session takes to begin
TURN_INTERVAL: Final = 2.0  # seconds between looks whether it is this process's turn to do what one alone does

log = get_logger("nodes")


class ClusterStore(Store, NodeStore, SharedCounts, Protocol):
    """A store with processes."""


class ManyNodes(OneNode):
    """This process among others."""

    def __init__(self, store: ClusterStore, owner: Owner, clock: SystemClock, place: str, machine: str = "") -> None:
        """`place` and `machine` as `Beat` has them."""
        super().__init__(store, owner)
        self._nodes = store
        self._clock = clock
        self._place = place
        self._machine = machine
        self._roles: tuple[str, ...] = ()
        self._share = Share(shards=frozenset(), is_asked_to_drain=False, is_first=False, servers=1)
        # Shards that others are to have, and those of them in which nothing is under way any more and no connection idles.
        self._leaving: frozenset[int] = frozenset()
        self._quiet: frozenset[int] = frozenset()
        self._valid_until = float("-inf")  # monotonic seconds
        self._pause: CrashPause | None = None
        self._scheduler: Scheduler | None = None
        self._close_idle: Callable[[], None] = lambda: None
        self._kept: Callable[[], int] = lambda: 0  # connections to the smart host for all mail
        # Sessions with the smart host for all mail that all processes may have, as last asked before a beat and as asked since; 0: not asked.
        self._most = self._asked = 0
        self._declared = 0  # of those, what the last heartbeat said that this process may have
        self._wakeup = Wakeup()
        self._exchange: Exchange | None = None
        self._exchanging: asyncio.Task[None] | None = None
        self._drain: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._draining: asyncio.Task[None] | None = None
        self._daemons: list[Daemon] = []
        self.bells = Bells(store, clock, self._bells_here)

    def attend(self, scheduler: "Scheduler", pool: "ConnectionPool[Any]", exchange: Exchange) -> None:
        """Tells the delivery engine of changed shares, and asks it for the sites that it sends to. `pool` holds the connections that idle or are being closed.
        `exchange` stores the lanes' states for the next owners of sites, and reads those of the earlier owners. Its argument tests whether
        this process has gained a site.
        """
        self._scheduler, self._close_idle, self._exchange = scheduler, pool.close_idle, exchange
        self._kept = lambda: pool.count_kept(lambda connection: not lane_of(connection.site))

    def watch_drain(self, drain: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Calls `drain` once this process is asked to hand over."""
        self._drain = drain

    @property
    def daemons(self) -> tuple[Daemon, ...]:
        """The heartbeat, what removes old counts, and what exchanges with other processes."""
        return (self.run, self._watch, self.bells.run, self.by_one(self._forget_counts), *self._daemons)

    async def follow_time(self) -> None:
        """Goes by the clock of the database's server, as all processes do: what one calls due is due for all. Raises `StoreError`."""
        difference = await self._clock.follow(self._nodes.read_time)
        if difference is not None:
            log.warning(
                "clock_set",
                seconds=difference.total_seconds(),
                advice="synchronise the clocks of this machine and of the database's server",
            )

    async def join(self, roles: tuple[str, ...]) -> None:
        """Becomes a node. Raises `NameTaken`, `PlaceTaken` and `StoreError`."""
        self._roles = roles
        outage = Outage(self._clock.monotonic)
        self._nodes.watch_faults(outage.note)
        leave_out(outage.is_told)
        # One that ended without a word is seen no more. One that runs has a copy of our folder.
        first = await self._nodes.seen_at(self._place, self._machine)
        while (now := await self._nodes.seen_at(self._place, self._machine)) is not None:
            if now != first:
                raise PlaceTaken(self._place)
            await self._clock.sleep(LOOK_INTERVAL)
        await self.beat()

    async def return_dead_leases(self, *, now: datetime, pause: CrashPause) -> Returned:
        self._pause = pause
        return await super().return_dead_leases(now=now, pause=pause)

    async def run(self) -> None:
        """Beats until cancelled."""
        while True:
            await self._wakeup.wait(GOODBYE if self._quiet else BEAT_INTERVAL)
            try:
                await self.beat()
                await self.follow_time()
            except StoreError as error:
                log.warning("heartbeat_failed", error=repr(error))
            except NameTaken:
                self._valid_until = float("-inf")
                log.error("node_name_taken", name=self.owner.node, advice="another node has this name: set SENDRYD_NODE_NAME")
            except PlaceTaken:
                self._valid_until = float("-inf")
                log.error("node_replaced", name=self.owner.node, advice=f"{COPIED}, then restart it")

    async def _watch(self) -> None:
        """Ends sessions with sites that others are about to serve. A beat that waits for the database must not delay that."""
        while True:
            await self._clock.sleep(WATCH_INTERVAL)
            if (
                self._clock.monotonic() >= self._valid_until + CUT_OFF
                and self._scheduler is not None
                and self._scheduler.shares is not None
            ):
                self._close_idle()
                if count := self._scheduler.shares.cut_off():
                    log.warning("sessions_cut_off", count=count, reason="the database was not reached for too long")

    async def _forget_counts(self) -> None:
        while True:
            await self._clock.sleep(FORGET_INTERVAL)
            with suppress(StoreError):  # the next turn
                await self._nodes.forget_counts()

    async def beat(self) -> None:
        """Shows that this process is alive, and takes its share. Raises `NameTaken`, `PlaceTaken` and `StoreError`."""
        asked = self._clock.monotonic()
        before, scheduler = self._share, self._scheduler
        busy = frozenset(map(shard_of, scheduler.busy_sites() if scheduler else ()))
        quiet = self._leaving - busy
        if ending := quiet - self._quiet:
            self._close_idle()
        self._most, self._asked = self._asked or self._most, 0
        allowed, sessions = self._allowed(self._most), max(self._part(self._most), self._open_sessions())
        self._declared = min(self._declared, sessions)  # a beat whose answer is lost may have told the others all the same
        share = await self._nodes.beat(
            Beat(
                owner=self.owner,
                place=self._place,
                machine=self._machine,
                roles=self._roles,
                serves="delivery" in self._roles and not before.is_asked_to_drain,
                kept=busy | before.shards | ending,
                sessions=sessions,
                is_idle=self._draining is None or self._draining.done(),
            )
        )
        if share.shards != before.shards and self._exchange is not None:
            await self._begin_exchange(self._exchange, share.shards - before.shards)
        self._share, self._declared = share, sessions
        self._leaving = ((self._leaving - (quiet - ending)) | before.shards) - share.shards
        self._quiet = ending & self._leaving
        self._valid_until = asked + SILENCE.total_seconds() - SAFETY
        if share.servers > before.servers:  # what idles is others' share now
            self._close_idle()
        if self._share.is_asked_to_drain and not before.is_asked_to_drain:
            log.info("draining", name=self.owner.node)
            if self._drain is not None:
                self._draining = asyncio.get_running_loop().create_task(self._drain())
        if self._share.shards != before.shards:
            log.info("shares_changed", owns=len(self._share.shards), of=SHARDS)
        if scheduler is not None and (self._share.shards != before.shards or self._allowed(self._most) > allowed):
            scheduler.use_shares()
        if self._share.dead and self._pause is not None:
            returned = await super().return_dead_leases(now=self._clock.now(), pause=self._pause)
            log.warning(
                "nodes_gone", count=len(self._share.dead), deliveries=len(returned.deliveries), notifications=returned.notifications
            )

    def _open_sessions(self) -> int:
        """Sessions with the smart host for all mail, and connections to it that idle or are being closed."""
        shares = self._scheduler.shares if self._scheduler is not None else None
        return shares.sessions_of_one_hop() + self._kept() if self._most and shares is not None else 0

    async def _begin_exchange(self, exchange: Exchange, gained: frozenset[int]) -> None:
        """Exchanges the lanes' states. Sites that this process has gained wait for it, `EXCHANGE_TIME` at the most."""
        self._exchanging = asyncio.get_running_loop().create_task(exchange(lambda site: site != ANY_DOMAIN and shard_of(site) in gained))
        await asyncio.wait({self._exchanging}, timeout=EXCHANGE_TIME)

    @property
    def is_draining(self) -> bool:
        """Whether this process was asked to hand over."""
        return self._share.is_asked_to_drain

    # `delivery.ownership.Ownership`

    @property
    def ownership(self) -> "Ownership | None":
        """This object says which sites are this process's own."""
        return self

    def share(self, most: int) -> int:
        """This process's part of `most` sessions; beside others no more than its last heartbeat said, since they read that and take the rest."""
        if most > max(self._most, self._asked):
            self._wakeup.set()  # a heartbeat has to say so first
        self._asked = max(self._asked, most)
        return self._allowed(most)

    def _allowed(self, most: int) -> int:
        part = self._part(most)
        return part if self._share.servers == 1 else min(part, self._declared)

    def _part(self, most: int) -> int:
        """Less while others still have more than their part, none before all others know of this process."""
        found = self._share
        if not found.is_known or found.is_asked_to_drain:
            return 0
        part, rest = divmod(most, found.servers)
        return max(0, min(part + (found.rank < rest), most - found.others))

    def leaves_some_out(self, most: int) -> bool:
        """Whether there are more processes than sessions."""
        return most < self._share.servers

    @property
    def may_begin(self) -> bool:
        """Whether this process may begin sessions at all."""
        return self._clock.monotonic() < self._valid_until and not self._share.is_asked_to_drain

    def owns(self, site: str) -> bool:
        """Whether this process may begin a session with a site. A smart host is shared among all."""
        return self.may_begin and (site == ANY_DOMAIN or shard_of(site) in self._share.shards)

    async def move(self, domains: dict[str, str]) -> None:
        """Hands the waiting mail of domains to the owners of their sites."""
        await self._nodes.move_domains({domain: shard_of(site) for domain, site in domains.items()})

    def by_one(self, daemon: Daemon) -> Daemon:
        """The daemon, which runs in one process of the cluster at a time."""

        async def in_turn() -> None:
            task: asyncio.Task[None] | None = None
            try:
                while True:
                    is_mine = self._share.is_first and self._clock.monotonic() < self._valid_until
                    if is_mine and task is None:
                        task = asyncio.get_running_loop().create_task(daemon())
                    elif not is_mine and task is not None:
                        task.cancel()
                        await asyncio.gather(task, return_exceptions=True)
                        task = None
                    if task is not None and task.done():
                        task.result()  # raises what it failed with: the caller starts it again
                        return
                    await self._clock.sleep(TURN_INTERVAL)
            finally:
                if task is not None:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)

        in_turn.__qualname__ = getattr(daemon, "__qualname__", repr(daemon))
        return in_turn

    def quotas(self, settings: Settings, clock: Clock) -> "QuotaLedger | None":
        """The ledger that all processes count in."""
        from sendryd.intake.sharedquota import SharedQuotas

        of_key, of_account = quotas_of(settings)
        return SharedQuotas(self._nodes, clock, of_key=of_key, of_account=of_account) if of_key or of_account else None

    def doorbell(self, kind: str) -> Doorbell:
        """Says in all processes that there is work of a kind."""
        return SharedBell(kind, self.doorbell_here(kind), self.bells)

    def ring(self) -> None:
        """Says in the other processes that there may be mail of their sites."""
        self.bells.ring(DELIVERY)

    def rate_limits(self, settings: Settings) -> "RateLimits | None":
        """The limit of requests for each key, over all processes."""
        from sendryd.api.framework.sharedrates import SharedRateLimits

        limiter, rate = limiter_of(settings), settings.api_rate_limit
        if limiter is None or rate is None:
            return None
        limits = SharedRateLimits(self._nodes, limiter, self._clock, count=rate.count, period=rate.period.total_seconds())
        self._daemons.append(limits.run)
        return limits

    async def leave(self) -> None:
        """Ends this process: others take over at once."""
        with suppress(StoreError):
            await self._nodes.leave(self.owner)
