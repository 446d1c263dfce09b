"""The leases that this process holds on deliveries: taken by the door and the claims, given back when attempts end.

Reads: the leases in the store, now and then.
Writes: leases, by releasing and returning.
When things fail: a lease has no time at which it ends, so a pause of any length takes none away. Leases of this process that no attempt knows of
at two looks in a row, left by a task that was cut off, are returned. A crash leaves leases, which the next start returns.
"""

import asyncio
from collections.abc import Iterable, Sequence

from sendryd.delivery.lanestate import claim_key
from sendryd.model.ids import DELIVERY_PREFIX, DeliveryId, format_id
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import Rand
from sendryd.store.base import Claim, DeliveryStore, Lease, Owner
from sendryd.store.errors import StoreError

log = get_logger("delivery")


class HeldLeases:
    """Knows which deliveries are leased by this process, and for what."""

    def __init__(self, store: DeliveryStore, *, owner: Owner, clock: Clock, rand: Rand) -> None:
        self._store = store
        self._owner = owner
        self._clock = clock
        self._rand = rand
        self._claims: dict[tuple[int, int], Claim] = {}  # waiting or under way
        self._pending: set[int] = set()  # tokens of leases that are being taken: the store may know them already
        self._stuck: frozenset[DeliveryId] = frozenset()  # with outcomes that the store refuses: left alone until the next start
        self._unknown: frozenset[DeliveryId] = frozenset()  # leased by this process, and known to no attempt at the last look

    def take(self) -> Lease:
        """A new lease, pending until `settle`."""
        lease = Lease(token=self._rand.token(), owner=self._owner)
        self._pending.add(lease.token)
        return lease

    def settle(self, lease: Lease) -> None:
        """Its claims are known, or there are none."""
        self._pending.discard(lease.token)

    def add(self, claim: Claim) -> None:
        """A claim that waits or is attempted."""
        self._claims[claim_key(claim)] = claim

    def drop(self, claim: Claim) -> None:
        """A claim that is done with."""
        self._claims.pop(claim_key(claim), None)

    def note_stuck(self, numbers: frozenset[DeliveryId]) -> None:
        """Deliveries that must not be tried again before the next start."""
        self._stuck |= numbers

    async def release(self, claims: Iterable[Claim]) -> None:
        """Releases claims that were not started, all at once: the store puts what comes together into one commit."""
        by_lease: dict[Lease, list[DeliveryId]] = {}
        for claim in claims:
            by_lease.setdefault(claim.lease, []).extend(delivery.id for delivery in claim.deliveries)
        await asyncio.gather(*(self._release(lease, numbers) for lease, numbers in by_lease.items()))

    async def _release(self, lease: Lease, numbers: Sequence[DeliveryId]) -> None:
        try:
            await self._store.release(lease, numbers)
        except StoreError as error:
            first = format_id(DELIVERY_PREFIX, numbers[0])
            log.error("not_released", delivery=first, count=len(numbers), error=repr(error))

    async def return_lost(self) -> bool:
        """Returns leases that no attempt knows of, if that was so at the last look too. True if there were any. Raises `StoreError`."""
        leased = await self._store.list_leased(self._owner)
        known = self._stuck | {delivery.id for claim in self._claims.values() for delivery in claim.deliveries}
        unknown = frozenset(number for token, number in leased if token not in self._pending and number not in known)
        lost = sorted(unknown & self._unknown)
        self._unknown = unknown.difference(lost)
        if lost:
            log.warning("lost_leases_returned", count=await self._store.return_leases(self._owner, lost, self._clock.now()))
        return bool(lost)

    async def return_all(self) -> None:
        """Ends the leases that are left, so that the next start does not take this end for a crash."""
        try:
            leased = [number for _, number in await self._store.list_leased(self._owner)]
            if leased:
                await self._store.return_leases(self._owner, leased, self._clock.now())
        except StoreError as error:
            log.error("leases_not_returned", count=len(self._claims), error=repr(error))
