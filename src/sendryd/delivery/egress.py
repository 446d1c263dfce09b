"""Where the mail of an attempt leaves from: the source address of each session, out of the pool of the sending domain. Never awaits.

Strategy: a message tries the addresses of its pool in an order of its own (`policy.egress.rank`), which stays the same in all its attempts. One that
cannot be bound is stepped over, and for a minute tried last. An address dials only its own family.
When things fail: without an address that may be used the mail waits, and no attempt is counted. A pool that is not configured any more holds its
mail back in the same way: mail of a pool leaves from the addresses of this pool alone.
Limits: addresses remembered are those of the setting.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from sendryd.delivery.target import Target
from sendryd.model.message import Message
from sendryd.policy.egress import Pools, Source, family_of, pool_of, rank
from sendryd.policy.replies.verdict import Category, Kind, Scope, Verdict, local_verdict
from sendryd.policy.routing import NextHop
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger

UNBOUND_TIME: Final = 60.0  # seconds for which an address that could not be bound is tried last
WAIT: Final = timedelta(minutes=5)  # until mail that no address may send is looked at again

log = get_logger("delivery")


class Egress:
    """What is known of the addresses. One object serves all attempts."""

    def __init__(self, pools: Pools, clock: Clock) -> None:
        self._pools = pools
        self._clock = clock
        self._unbound: dict[str, float] = {}  # until when each is tried last, in monotonic seconds

    def __repr__(self) -> str:
        return f"<Egress {', '.join(self._pools)}>"

    def departure(self, domain_pool: str, message: Message) -> "Departure":
        """The way out of one attempt for a message. `domain_pool` is the pool that the sending domain names."""
        pool = pool_of(domain_pool, self._pools)
        if not pool:
            return ANY_ADDRESS
        ranked = rank(self._pools.get(pool, ()), message=message.id, account=message.account_id)
        return Departure(self, pool, ranked)

    def is_unbound(self, source: Source) -> bool:
        """It could not be bound lately."""
        return self._unbound.get(source.address, 0.0) > self._clock.monotonic()

    def note_unbound(self, source: Source, detail: str) -> None:
        """It cannot be bound."""
        if not self.is_unbound(source):
            log.error("egress_address_unusable", address=source.address, reason=detail)
        self._unbound[source.address] = self._clock.monotonic() + UNBOUND_TIME


class Departure:
    """The way out of one attempt."""

    __slots__ = ("_egress", "_left_out", "_pool", "_ranked")

    def __init__(self, egress: Egress | None, pool: str, ranked: Iterable[Source]) -> None:
        """Without a pool the system chooses the address."""
        self._egress = egress
        self._pool = pool
        self._ranked = sorted(ranked, key=egress.is_unbound) if egress is not None else []  # stable: the others keep their order
        self._left_out: dict[Source, str] = {}  # those that this attempt may not use, and why not

    @property
    def is_open(self) -> bool:
        """The system chooses the address."""
        return not self._pool

    def reachable(self, next_hop: NextHop) -> NextHop | Verdict:
        """The next hop with the addresses that one of the pool can dial; a verdict if there is none."""
        if self.is_open:
            return next_hop
        if not self._ranked:
            pool = self._pool
            return waiting(f"The address pool {pool} is not configured any more: add it to SENDRYD_EGRESS, or give the domain another pool")
        families = {each.family for each in self._ranked}
        kept = [replace(host, addresses=tuple(each for each in host.addresses if family_of(each) in families)) for host in next_hop.hosts]
        hosts = tuple(host for host in kept if host.addresses)
        if hosts or not next_hop.hosts:
            return replace(next_hop, hosts=hosts)
        ours, theirs = ("IPv4", "IPv6") if 4 in families else ("IPv6", "IPv4")
        return waiting(
            f"The address pool {self._pool} has only {ours} addresses, and the mail servers of {next_hop.domain} have only {theirs} ones"
        )

    def leave(self, target: Target) -> Target | None:
        """The target, dialled from the first address of its family that may be used; None: there is none."""
        if self.is_open:
            return target
        family = family_of(target.address)
        source = next((each for each in self._ranked if each.family == family and each not in self._left_out), None)
        return replace(target, source=source) if source is not None else None

    def after_unbound(self, target: Target, detail: str) -> Target | None:
        """The target, dialled from the next address after one that could not be bound."""
        if target.source is not None and self._egress is not None:
            self._egress.note_unbound(target.source, detail)
            self._left_out[target.source] = f"{target.source.address} cannot be used on this machine"
        return self.leave(target)

    def verdict(self) -> Verdict:
        """What it means for the mail that no address may be used."""
        reasons = "; ".join(sorted(set(self._left_out.values())))
        verdict = waiting(f"No address of the pool {self._pool} can send this mail now: {reasons}")
        return replace(verdict, scope=Scope.HOST)  # the next mail server may be dialled by the other family


ANY_ADDRESS: Final = Departure(None, "", ())


def waiting(sentence: str, retry_in: timedelta = WAIT) -> Verdict:
    """The mail waits for us, not for its receiver: no attempt is counted."""
    verdict = local_verdict(Kind.DEFERRED, Category.OTHER, "4.3.5", sentence)
    return replace(verdict, waits=True, retry_in=retry_in)
