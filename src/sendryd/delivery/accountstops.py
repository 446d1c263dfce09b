"""Suspended accounts: nothing of their mail is tried, and what falls due is held.

Reads: the suspensions, with each look of the claimer. Writes: holds the claimed deliveries of a suspended account; when a suspension is over, releases
all that it holds and forgets it. Mail that is queued at the moment of the suspension is held by its author.
When things fail: what could not be held stays queued and is held with the next claim; an end that was interrupted is repeated.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from sendryd.delivery.lanes import Lanes
from sendryd.model.ids import ORGANIZATION_PREFIX, AccountId, format_id
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import Claim, DeliveryStore, QueueFilter, QueueStore, SuspendedAccount, SuspensionStore

log = get_logger("delivery")


class StopStore(DeliveryStore, QueueStore, SuspensionStore, Protocol):
    """What is needed of the store."""


class AccountStops:
    """Obeys suspensions."""

    def __init__(self, store: StopStore, lanes: Lanes, clock: Clock) -> None:
        self._store = store
        self._lanes = lanes
        self._clock = clock
        self._suspended: dict[AccountId, SuspendedAccount] = {}

    async def look(self, moment: datetime) -> bool:
        """Reads the suspensions and ends those that are over. Whether others are suspended now."""
        found = await self._store.list_suspended_accounts()
        for each in found:
            if each.is_over(moment):
                released = await self._store.release_held(QueueFilter(account_id=each.account_id, is_suspended=True), self._clock.now())
                await self._store.forget_suspension(each.account_id)
                log.info("suspension_ended", account=format_id(ORGANIZATION_PREFIX, each.account_id), released=released)
        self._suspended = {each.account_id: each for each in found if not each.is_over(moment)}
        before, self._lanes.suspended = self._lanes.suspended, frozenset(self._suspended)
        if before == self._lanes.suspended:
            return False
        log.info("accounts_suspended", accounts=[format_id(ORGANIZATION_PREFIX, number) for number in sorted(self._suspended)])
        return True

    async def hold(self, claims: Iterable[Claim]) -> list[Claim]:
        """The claims without those of suspended accounts, which are held."""
        going: list[Claim] = []
        stopped: dict[AccountId, list[Claim]] = {}
        for claim in claims:
            account_id = claim.message.account_id
            if account_id in self._suspended:
                stopped.setdefault(account_id, []).append(claim)
            else:
                going.append(claim)
        for account_id, theirs in stopped.items():
            for claim in theirs:
                await self._store.release(claim.lease, [each.id for each in claim.deliveries])
            messages = tuple({claim.message.id for claim in theirs})
            which = QueueFilter(account_id=account_id, message_ids=messages)
            await self._store.hold(which, self._clock.now(), by=self._suspended[account_id].note)
        return going
