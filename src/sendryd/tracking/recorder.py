"""Records opens, clicks and unsubscribes. Opens and clicks are written in batches; an unsubscribe is stored before its answer.

Does: classifies opens and clicks (`policy.engagement`) and records them in batches, so that a newsletter with many opens at once does not slow
sending. Repeated requests of one client within a second count once.
Reads: when a delivery was made.
Writes: `store.record_engagements`; `store.add_unsubscribes` for a message that has been deleted meanwhile.
When things fail: what the store cannot take is kept and tried again at the next round; over `MAX_WAITING` further opens and clicks are
dropped and counted. A crash loses those of the last quarter of a second, and never an unsubscribe.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import DeliveryId, EventId, UnsubscribeId
from sendryd.model.suppression import Unsubscribe
from sendryd.policy.address_key import normalise_address
from sendryd.policy.engagement import Visit, classify, describe_client, engagement_metadata
from sendryd.policy.tracking import UnsubscribeToken
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.store.base import DeliveryView, Engagement, NewEvent, NewUnsubscribe, Store
from sendryd.store.errors import StoreError

INTERVAL: Final = 0.25  # seconds between rounds: a click is among the events almost at once
BATCH: Final = 200  # engagements in one transaction: a few milliseconds, so that mail does not wait for it
MAX_WAITING: Final = 10_000  # opens and clicks in memory, about 10 MB: minutes of a busy newsletter while the store is down
MAX_KNOWN: Final = 10_000  # deliveries whose time of delivery is cached: those opened recently
LOCKS: Final = 64  # unsubscribes of one delivery run one after another; those of different deliveries rarely wait

log = get_logger("tracking")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request for a pixel or a tracked link."""

    delivery_id: DeliveryId
    link: str | None  # None: the pixel
    user_agent: str
    ip: str | None
    is_prefetch: bool
    happened_at: datetime


class Recorder:
    """Gathers engagements of one process; `add` never waits."""

    def __init__(self, store: Store, *, clock: Clock, ids: IdSource, max_known: int = MAX_KNOWN) -> None:
        self._max_known = max_known
        self._store = store
        self._clock = clock
        self._ids = ids
        self._waiting: dict[tuple[object, ...], Seen] = {}  # oldest first; the key identifies repeats
        self._delivered: dict[DeliveryId, datetime | None] = {}
        self._locks = [asyncio.Lock() for _ in range(LOCKS)]
        self._flushing = asyncio.Lock()
        self._is_failing = False
        self.recorded = 0
        self.repeated = 0
        self.dropped = 0

    def __repr__(self) -> str:
        return f"<Recorder {len(self._waiting)} waiting, {self.recorded} recorded, {self.dropped} dropped>"

    def statistics(self) -> Mapping[str, int]:
        """Counters for /metrics."""
        return {"waiting": len(self._waiting), "recorded": self.recorded, "repeated": self.repeated, "dropped": self.dropped}

    def add(self, seen: Seen) -> None:
        """Notes an open or a click."""
        key = (seen.delivery_id, seen.link, seen.user_agent, seen.ip, seen.happened_at.replace(microsecond=0))
        if key in self._waiting:
            self.repeated += 1
        elif len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
        else:
            self._waiting[key] = seen

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL)
            try:
                await self.flush()
            except StoreError as error:
                if not self._is_failing:
                    log.error("engagements_not_recorded", waiting=len(self._waiting), error=repr(error))
                self._is_failing = True
            else:
                self._is_failing = False

    async def flush(self) -> None:
        """Stores all gathered engagements. Raises `StoreError`, and keeps those not stored."""
        async with self._flushing:
            while self._waiting:
                batch = list(islice(self._waiting.items(), BATCH))
                engagements = [await self._judge(seen) for _, seen in batch]
                self.recorded += await self._store.record_engagements(engagements)
                for key, _ in batch:
                    del self._waiting[key]

    async def _judge(self, seen: Seen) -> Engagement:
        delivered_at = await self._find_delivered_at(seen.delivery_id)
        visit = Visit(
            is_click=seen.link is not None,
            user_agent=seen.user_agent,
            is_prefetch=seen.is_prefetch,
            since_delivery=None if delivered_at is None else (seen.happened_at - delivered_at).total_seconds(),
        )
        metadata = engagement_metadata(classify(visit), user_agent=seen.user_agent, ip=seen.ip, link=seen.link)
        event_type = EventType.OPENED if seen.link is None else EventType.CLICKED
        event = NewEvent(id=EventId(self._ids.next()), type=event_type, metadata=metadata)
        return Engagement(delivery_id=seen.delivery_id, event=event, happened_at=seen.happened_at)

    async def _find_delivered_at(self, delivery_id: DeliveryId) -> datetime | None:
        """When the receiving server took the message; the present time if it is being transmitted. None for a captured message."""
        if delivery_id in self._delivered:
            return self._delivered[delivery_id]
        view = await self._store.find_delivery(delivery_id)
        if view is not None and view.state is DeliveryState.LEASED:
            return self._clock.now()  # receiving servers scan messages before they accept them
        if len(self._delivered) >= self._max_known:
            self._delivered.clear()
        if view is None or view.state is DeliveryState.DELIVERED:  # others may still be delivered
            self._delivered[delivery_id] = _delivered_at(view)
        return _delivered_at(view)

    async def unsubscribe(self, token: UnsubscribeToken, *, reason: str, user_agent: str, ip: str | None) -> None:
        """Unsubscribes an address from its list, durably. A repeat changes nothing and records no second event.

        Raises `StoreError`.
        """
        email = normalise_address(token.address)
        async with self._locks[token.delivery_id % LOCKS]:
            if email in await self._store.find_unsubscribed(token.account_id, token.list_id, [email]):
                return
            now, number = self._clock.now(), UnsubscribeId(self._ids.next())
            event = NewEvent(
                id=EventId(self._ids.next()), type=EventType.UNSUBSCRIBED, metadata={"reason": reason, **describe_client(user_agent, ip)}
            )
            view = await self._store.find_delivery(token.delivery_id)
            if (
                view is not None and view.message.mode is KeyMode.TEST
            ):  # holders of a test key can read the link: it must not stop live mail
                await self._store.record_engagements([Engagement(delivery_id=token.delivery_id, event=event, happened_at=now)])
                return
            new = NewUnsubscribe(id=number, email=email, list_id=token.list_id, reason=reason)
            engagement = Engagement(delivery_id=token.delivery_id, event=event, happened_at=now, unsubscribe=new)
            if not await self._store.record_engagements([engagement]):
                row = Unsubscribe(id=number, account_id=token.account_id, email=email, list_id=token.list_id, reason=reason, created_at=now)
                await self._store.add_unsubscribes([row])


def _delivered_at(view: DeliveryView | None) -> datetime | None:
    """None for a captured message: the sender's own tests open it, quickly."""
    return None if view is None or view.message.mode is KeyMode.TEST else view.delivered_at
