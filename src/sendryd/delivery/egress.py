"""Where the mail of an attempt leaves from: the source address of each session, out of the pool of the sending domain.

Strategy: a message tries the addresses of its pool in an order of its own (`policy.egress.rank`), which stays the same in all its attempts. One that
is suspended, or has sent its share of the day (`delivery.warmup`), is passed over; one that cannot be bound is stepped over, and for a minute tried last.
An address dials only its own family. A refusal that is about the reputation of the address is answered once by another one of the pool.
Reads: the suspensions, each second. Writes: the counts of warming addresses, and the due times of mail that waited for a resumed address.
When things fail: without an address that may be used the mail waits, and no attempt is counted. A pool that is not configured any more holds its
mail back in the same way: mail of a pool leaves from the addresses of this pool alone. Suspensions that cannot be read stay as they were.
Limits: addresses remembered are those of the setting.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final, Protocol

from sendryd.delivery.target import Target
from sendryd.delivery.warmup import WarmUp
from sendryd.model.delivery import DeliveryState
from sendryd.model.message import Message
from sendryd.policy.egress import Pools, Source, family_of, pool_of, pools_with, rank, waiting_words
from sendryd.policy.replies.verdict import Category, Kind, Scope, Verdict, local_verdict
from sendryd.policy.routing import NextHop
from sendryd.policy.warmup import site_of
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import EgressKind, EgressStore, EgressSuspension, QueueFilter, QueueStore
from sendryd.store.errors import StoreError

UNBOUND_TIME: Final = 60.0  # seconds for which an address that could not be bound is tried last
WAIT: Final = timedelta(minutes=5)  # until mail that no address may send is looked at again
LONG_WAIT: Final = timedelta(hours=1)  # the same where only a person or the next day changes something
POLL_INTERVAL: Final = 1.0  # seconds: changes by other processes are seen within it
STORE_EVERY: Final = 5  # polls: what a kill may forget of warm-up counts

log = get_logger("delivery")


class _Store(EgressStore, QueueStore, Protocol):
    """The suspensions, and the mail that waits for them."""


class Egress:
    """What is known of the addresses. One object serves all attempts."""

    def __init__(self, pools: Pools, store: _Store, clock: Clock) -> None:
        self._pools = pools
        self._store = store
        self._clock = clock
        self._unbound: dict[str, float] = {}  # until when each is tried last, in monotonic seconds
        self._suspended: Mapping[tuple[EgressKind, str], EgressSuspension] = {}
        self._resumed: set[tuple[EgressKind, str]] = set()  # at the last look; the next one serves attempts that were under way
        self.warm_up = WarmUp(store, clock)

    def __repr__(self) -> str:
        return f"<Egress {', '.join(self._pools)}>"

    def statistics(self) -> Mapping[str, float]:
        """For /metrics."""
        return {"suspended": len(self._suspended), "unusable": sum(until > self._clock.monotonic() for until in self._unbound.values())}

    # What is stored.

    async def load(self) -> None:
        """Reads suspensions and counts. Raises `StoreError`: an address must not forget its suspension."""
        await self._read()
        await self.warm_up.load()

    async def exchange(self) -> None:
        """Stores the counts, and reads what other processes have counted."""
        await self.warm_up.store()
        try:
            await self.warm_up.load()
        except StoreError as error:
            log.error("warm_up_counts_not_read", error=repr(error))

    async def run(self) -> None:
        """Follows the suspensions, until cancelled."""
        polls = 0
        while True:
            await self._clock.sleep(POLL_INTERVAL)
            if not self._pools:  # a reload may add some
                continue
            polls += 1
            try:
                await self._read()
            except StoreError as error:
                log.error("egress_suspensions_not_read", error=repr(error))
            if polls % STORE_EVERY == 0:
                await self.warm_up.store()

    async def _read(self) -> None:
        found, now = await self._store.list_egress_suspensions(), self._clock.settled()
        if any(each.is_over(now) for each in found):
            await self._store.end_egress_suspensions(now)
        suspended = {(each.kind, each.name): each for each in found if not each.is_over(now)}
        if suspended.keys() != self._suspended.keys():
            log.info("egress_suspended", names=[name for _, name in suspended])
        resumed = {key for key, each in self._suspended.items() if key not in suspended and not each.is_over(now)}
        self._suspended = suspended
        self._resumed |= resumed
        for kind, name in self._resumed:
            await self._make_due(kind, name)
        self._resumed = resumed

    async def _make_due(self, kind: EgressKind, name: str) -> None:
        """Makes the mail due that waits for an address or a pool: attempts have put it off after the resumption and before this was read."""
        for pool in pools_with(name, self._pools) if kind is EgressKind.ADDRESS else [name]:
            which = QueueFilter(states=frozenset({DeliveryState.QUEUED}), reply_begins=f"{waiting_words(pool)} ")
            await self._store.retry(which, self._clock.now())

    # What attempts ask.

    def departure(self, domain_pool: str, message: Message) -> "Departure":
        """The way out of one attempt for a message. `domain_pool` is the pool that the sending domain names."""
        pool = pool_of(domain_pool, self._pools)
        if not pool:
            return ANY_ADDRESS
        ranked = rank(self._pools.get(pool, ()), message=message.id, account=message.account_id)
        return Departure(self, pool, ranked)

    def suspension(self, kind: EgressKind, name: str) -> EgressSuspension | None:
        """The suspension of an address or a pool, if there is one."""
        found = self._suspended.get((kind, name)) if self._suspended else None
        return None if found is None or found.is_over(self._clock.settled()) else found

    def pool_suspended(self, domain_pool: str) -> Verdict | None:
        """What it means for the mail of a domain that its pool is suspended; None if it is not. `domain_pool` is the pool that the domain names."""
        pool = pool_of(domain_pool, self._pools)
        suspension = self.suspension(EgressKind.POOL, pool) if pool else None
        return waiting(f"{waiting_words(pool)} is {_suspended(suspension)}", self.time_left(suspension)) if suspension is not None else None

    def is_unbound(self, source: Source) -> bool:
        """It could not be bound lately."""
        return self._unbound.get(source.address, 0.0) > self._clock.monotonic()

    def note_unbound(self, source: Source, detail: str) -> None:
        """It cannot be bound."""
        if not self.is_unbound(source):
            log.error("egress_address_unusable", address=source.address, reason=detail)
        self._unbound[source.address] = self._clock.monotonic() + UNBOUND_TIME

    def time_left(self, suspension: EgressSuspension) -> timedelta:
        """Until a suspension ends by itself, or is to be looked at again."""
        return suspension.until - self._clock.settled() if suspension.until is not None else LONG_WAIT


class Departure:
    """The way out of one attempt."""

    __slots__ = ("_egress", "_has_rerouted", "_left_out", "_pool", "_ranked", "_site", "_taken", "_wait")

    def __init__(self, egress: Egress | None, pool: str, ranked: Iterable[Source]) -> None:
        """Without a pool the system chooses the address."""
        self._egress = egress
        self._pool = pool
        self._ranked = sorted(ranked, key=egress.is_unbound) if egress is not None else []  # stable: the others keep their order
        self._left_out: dict[Source, str] = {}  # those that this attempt may not use, and why not
        self._wait = LONG_WAIT  # the shortest time after which one of them may do
        self._taken: Counter[Source] = Counter()  # recipients, of the day's cap
        self._site = ""
        self._has_rerouted = False

    @property
    def is_open(self) -> bool:
        """The system chooses the address."""
        return self._egress is None

    def reachable(self, next_hop: NextHop) -> NextHop | Verdict:
        """The next hop with the addresses that one of the pool can dial; a verdict if mail of the pool cannot leave now."""
        egress = self._egress
        if egress is None:
            return next_hop
        words = waiting_words(self._pool)
        if not self._ranked:
            return waiting(f"{words} is not configured any more: add it to SENDRYD_EGRESS, or give the domain another pool")
        if (suspended := egress.pool_suspended(self._pool)) is not None:
            return suspended
        families = {each.family for each in self._ranked}
        kept = [replace(host, addresses=tuple(each for each in host.addresses if family_of(each) in families)) for host in next_hop.hosts]
        hosts = tuple(host for host in kept if host.addresses)
        if next_hop.hosts and not hosts:
            ours, theirs = ("IPv4", "IPv6") if 4 in families else ("IPv6", "IPv4")
            return waiting(f"{words} has only {ours} addresses, and the mail servers of {next_hop.domain} have only {theirs} ones")
        self._site = site_of(hosts[0].name if hosts else "", next_hop.domain)
        return replace(next_hop, hosts=hosts)

    def leave(self, target: Target, recipients: int) -> Target | None:
        """The target, dialled from the first address of its family that may send to this number of recipients now; None: there is none."""
        if self._egress is None:
            return target
        family = family_of(target.address)
        for source in self._ranked:
            if source.family == family and source not in self._left_out and self._may_send(self._egress, source, recipients):
                return replace(target, source=source)
        return None

    def after_unbound(self, target: Target, detail: str, recipients: int) -> Target | None:
        """The target, dialled from the next address after one that could not be bound."""
        if target.source is not None and self._egress is not None:
            self._egress.note_unbound(target.source, detail)
            self._leave_out(target.source, f"{target.source.address} cannot be used on this machine", WAIT)
        return self.leave(target, recipients)

    def after_refusal(self, target: Target, recipients: int) -> Target | None:
        """The target, dialled from another address after the receiver has refused the reputation of one. Once in an attempt."""
        if target.source is None or self._has_rerouted:
            return None
        self._has_rerouted = True
        self._left_out[target.source] = f"{target.source.address} was refused"
        other = self.leave(target, recipients)
        if other is None:  # the next mail server may take it
            del self._left_out[target.source]
        return other

    def verdict(self) -> Verdict:
        """What it means for the mail that no address may be used."""
        reasons = "; ".join(sorted(set(self._left_out.values())))
        verdict = waiting(f"{waiting_words(self._pool)} cannot send this mail now: {reasons}", self._wait)
        return replace(verdict, scope=Scope.HOST)  # the next mail server may be dialled by the other family

    def settle(self, verdicts: Iterable[Verdict]) -> None:
        """Gives back what was taken of the day's caps and not sent."""
        if self._egress is None or not self._taken:
            return
        sent = Counter(
            each.relay.source for each in verdicts if each.relay is not None and (each.kind is Kind.DELIVERED or each.is_in_doubt)
        )
        for source, number in self._taken.items():
            self._egress.warm_up.give_back(source, self._site, max(0, number - sent[source.address]))
        self._taken.clear()

    def _may_send(self, egress: Egress, source: Source, recipients: int) -> bool:
        suspension = egress.suspension(EgressKind.ADDRESS, source.address)
        if suspension is not None:
            self._leave_out(source, f"{source.address} is {_suspended(suspension)}", egress.time_left(suspension))
            return False
        missing = max(0, recipients - self._taken[source])
        if missing and source.warmup_from is not None:
            reason = egress.warm_up.take(source, self._site, missing)
            if reason:
                self._leave_out(source, reason, timedelta(seconds=egress.warm_up.seconds_of_day_left()))
                return False
            self._taken[source] += missing
        return True

    def _leave_out(self, source: Source, reason: str, wait: timedelta) -> None:
        self._left_out[source] = reason
        self._wait = min(self._wait, wait)


ANY_ADDRESS: Final = Departure(None, "", ())


def _suspended(suspension: EgressSuspension) -> str:
    until = f" until {suspension.until:%Y-%m-%d %H:%M} UTC" if suspension.until is not None else ""
    return f"suspended{until}{f' ({suspension.reason})' if suspension.reason else ''}"


def waiting(sentence: str, retry_in: timedelta = WAIT) -> Verdict:
    """The mail waits for us, not for its receiver: no attempt is counted."""
    verdict = local_verdict(Kind.DEFERRED, Category.OTHER, "4.3.5", sentence)
    return replace(verdict, waits=True, retry_in=max(retry_in, timedelta(seconds=1)))


def put_off(verdict: Verdict) -> Verdict:
    """A refusal that is about our address, as a deferral: another day, or another address, may have a better name."""
    return replace(verdict, kind=Kind.DEFERRED, enhanced=f"4{verdict.enhanced[1:]}", suppresses=False)
