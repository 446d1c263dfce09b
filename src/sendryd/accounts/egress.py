"""The addresses that mail leaves from, for operators: their state, and suspending them. Each change is in the audit."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from sendryd.accounts.audit import Audit, By
from sendryd.accounts.emails import shorten_reason
from sendryd.accounts.errors import BadField
from sendryd.model.delivery import DeliveryState
from sendryd.model.moment import timestamp
from sendryd.policy.egress import Pools, Source, pools_with, waiting_words
from sendryd.policy.explain.words import clock
from sendryd.policy.warmup import day_cap
from sendryd.runtime.clock import Clock
from sendryd.store.base import EgressKind, EgressSuspension, QueueFilter, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressState:
    """One address in one pool."""

    pool: str
    source: Source
    suspension: EgressSuspension | None  # its own, else its pool's
    pool_suspension: EgressSuspension | None
    cap: int | None  # recipients of one site that it may send to today; None: any number
    sent: dict[str, int]  # today, by site; only of a warming address

    @property
    def today(self) -> str:
        """How much it has sent today to the site that got most, as `40 of 100 to google`; empty for an address that does not warm up."""
        if self.cap is None:
            return ""
        site, number = max(self.sent.items(), key=lambda each: each[1], default=("", 0))
        return f"{number} of {self.cap}{f' to {site}' if site else ''}"


class EgressAddresses:
    """Shows, suspends and resumes addresses and pools of the setting."""

    def __init__(self, store: Store, audit: Audit, pools: Pools, *, clock: Clock) -> None:
        self._store = store
        self._audit = audit
        self._pools = pools
        self._clock = clock

    async def suspensions(self) -> list[EgressSuspension]:
        """The suspensions that hold now."""
        now = self._clock.settled()
        return [each for each in await self._store.list_egress_suspensions() if not each.is_over(now)]

    async def states(self) -> list[AddressState]:
        """Every address of every pool, in the order of the setting."""
        suspended = {(each.kind, each.name): each for each in await self.suspensions()}
        today = self._clock.settled().date()
        counts = await self._store.list_egress_counts(today)
        return [
            AddressState(
                pool=pool,
                source=source,
                suspension=suspended.get((EgressKind.ADDRESS, source.address)) or suspended.get((EgressKind.POOL, pool)),
                pool_suspension=suspended.get((EgressKind.POOL, pool)),
                cap=day_cap(source.warmup_from, today),
                sent={site: number for (address, site), number in counts.items() if address == source.address},
            )
            for pool, sources in self._pools.items()
            for source in sources
        ]

    async def suspend(self, kind: EgressKind, name: str, by: By, *, length: timedelta | None, reason: str = "") -> EgressSuspension:
        """Let no mail leave from an address or a pool, for a time or until it is resumed. An earlier suspension is replaced. Raises `BadField`."""
        name = self._known(kind, name)
        now = self._clock.now()
        until = now + length if length is not None else None
        suspension = EgressSuspension(
            kind=kind, name=name, by=by.name or "an operator", since=now, until=until, reason=shorten_reason(reason)
        )
        await self._store.suspend_egress(suspension)
        after = {**({"until": timestamp(until)} if until else {}), **({"reason": suspension.reason} if suspension.reason else {})}
        await self._audit.add(by.account_id, by.actor, by.client, "egress.suspended", f"{kind.value} {name}", after=after)
        return suspension

    async def resume(self, kind: EgressKind, name: str, by: By, *, reason: str = "") -> int | None:
        """Let mail leave again, and make the mail due that waits for it. Returns how many deliveries; None: it is not suspended."""
        name = _normalise(kind, name)
        if not await self._store.resume_egress(kind, name):
            return None
        after = {"reason": shorten_reason(reason)} if reason else None
        await self._audit.add(by.account_id, by.actor, by.client, "egress.resumed", f"{kind.value} {name}", after=after)
        now, number = self._clock.now(), 0
        for pool in pools_with(name, self._pools) if kind is EgressKind.ADDRESS else [name]:
            which = QueueFilter(states=frozenset({DeliveryState.QUEUED}), reply_begins=f"{waiting_words(pool)} ")
            number += await self._store.retry(which, now)
        return number

    def _known(self, kind: EgressKind, name: str) -> str:
        name = _normalise(kind, name)
        known = (
            list(self._pools)
            if kind is EgressKind.POOL
            else list(dict.fromkeys(each.address for all_ in self._pools.values() for each in all_))
        )
        if name not in known:
            listed = f"it has {', '.join(known)}" if known else "it is empty"
            raise BadField(kind.value, f"SENDRYD_EGRESS has no {kind.value} {name}: {listed}")
        return name


def suspension_lines(suspensions: Iterable[EgressSuspension], now: datetime) -> list[str]:
    """A sentence for each suspended address and pool."""
    return [
        f"The {each.kind.value} {each.name} is suspended {ends(each.until, now)}{f': {each.reason}' if each.reason else '.'}"
        for each in suspensions
        if not each.is_over(now)
    ]


def ends(until: datetime | None, now: datetime) -> str:
    """When a suspension ends, in words."""
    return f"until {clock(until, now)}" if until is not None else "until it is resumed"


def _normalise(kind: EgressKind, name: str) -> str:
    if kind is EgressKind.POOL:
        return name.strip()
    try:
        return str(ip_address(name.strip()))
    except ValueError:
        raise BadField("address", f"{name!r} is no IP address") from None
