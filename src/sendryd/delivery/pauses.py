"""Pauses of destinations by people: what is paused, and mail of paused recipients in the lanes of domains' own smart hosts.

Mail to a paused domain or site is not claimed. Mail for a smart host of its own is stored under the lane of that smart host, so it is claimed with the lane's
other mail and put off here, without an attempt counted.
Reads: the pauses, with each look of the claimer. Writes: puts claims off; makes them due when the pause is over.
When things fail: what could not be put off is claimed again when its lease is returned. A pause that ends while no process delivers is noticed by the time at
which the mail is due, `PUT_OFF` later at the most.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sendryd.delivery.lanes import Lanes
from sendryd.model.delivery import DeliveryState
from sendryd.policy.smarthost import domain_of, lane_of, paused_reply
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import Claim, ClaimedDelivery, DeliveryStore, Outcome, PausedDestination
from sendryd.store.errors import LeaseLost

PUT_OFF: Final = timedelta(minutes=5)  # until mail of a paused recipient is looked at again

log = get_logger("delivery")


class Pauses:
    """Obeys pauses."""

    def __init__(self, store: DeliveryStore, lanes: Lanes, clock: Clock) -> None:
        self._store = store
        self._lanes = lanes
        self._clock = clock
        self._until: dict[str, datetime | None] = {}  # by destination: the end of its pause

    async def look(self, pauses: Iterable[PausedDestination], moment: datetime) -> bool:
        """Obeys these pauses from now on. Whether others are paused than before."""
        self._until = {each.domain: each.until for each in pauses if not each.is_over(moment)}
        before, self._lanes.paused = self._lanes.paused, frozenset(self._until)
        if before == self._lanes.paused:
            return False
        log.info("destinations_paused", domains=sorted(self._lanes.paused))
        for destination in before - self._lanes.paused:
            await self._store.take_up_again(paused_reply(destination), self._clock.now())
        return True

    async def put_off(self, claims: Sequence[Claim]) -> list[Claim]:
        """The claims without the deliveries to paused recipients, which wait."""
        if not self._lanes.paused:
            return list(claims)
        going: list[Claim] = []
        for claim in claims:
            paused = [(each, name) for each in claim.deliveries if (name := self._paused(each))] if lane_of(claim.domain) else []
            if paused:
                with suppress(LeaseLost):
                    await self._store.record_attempt(claim.lease, [self._outcome(*each) for each in paused], self._clock.now())
            left = tuple(each for each in claim.deliveries if all(each is not stopped for stopped, _ in paused))
            if left:
                going.append(replace(claim, deliveries=left) if paused else claim)
        return going

    def _paused(self, delivery: ClaimedDelivery) -> str:
        return self._lanes.pause_of(domain_of(delivery.forward_path, None))

    def _outcome(self, delivery: ClaimedDelivery, destination: str) -> Outcome:
        due_at, until = self._clock.now() + PUT_OFF, self._until.get(destination)
        return Outcome(
            delivery_id=delivery.id,
            state=DeliveryState.QUEUED,
            due_at=due_at if until is None else min(due_at, until),
            reply=paused_reply(destination),
            events=(),
            is_attempt=False,
        )
