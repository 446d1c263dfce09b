"""Expires mail that has waited too long, and keeps due times sane when the clock is set.

Does: expires deliveries older than the maximum queue age, also where the next hop is suspended and no attempt would notice.
Reads, writes: the queue; the wall clock, and the monotonic one to notice when the wall clock was set.
When the clock is set forward: nothing expires until the new time has held, plus the longest delay between attempts, so that every next hop has
been tried by then. The same delay holds after a start and for released mail. A failed attempt expires its deliveries itself.
When the clock is set back: deliveries that would wait longer than any delay between attempts are made due; so they are at the start.
Limits: `BATCH` rows in one transaction.
"""

from datetime import datetime, timedelta
from typing import Final

from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import EventId
from sendryd.model.message import MessageClass
from sendryd.policy.retry import RetryPlan, plan_for
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.runtime.wakeup import Doorbell
from sendryd.store.base import DeliveryStore, NewEvent
from sendryd.upkeep.rounds import run_rounds

INTERVAL: Final = 30.0  # seconds
BATCH: Final = 500  # rows in one transaction: a few milliseconds
CLOCK_TOLERANCE: Final = timedelta(minutes=1)  # ordinary clock adjustment moves the time by less in one round

log = get_logger("upkeep")


class QueueKeeper:
    """One round every half minute."""

    def __init__(self, store: DeliveryStore, *, plan: RetryPlan, clock: Clock, ids: IdSource, wakeup: Doorbell) -> None:
        self._store = store
        self._plan = plan
        self._otp_plan = plan_for(plan, MessageClass.OTP)
        self._clock = clock
        self._ids = ids
        self._wakeup = wakeup
        self._last_round: tuple[datetime, float] | None = None  # wall time, monotonic seconds

    async def run(self) -> None:
        """Until cancelled."""
        await run_rounds(self.run_once, self._clock, interval=INTERVAL, failure="queue_not_kept")

    async def run_once(self, batch: int = BATCH) -> None:
        """One round."""
        now = self._clock.now()
        leap = self._find_leap(now)
        if leap is None or leap < -CLOCK_TOLERANCE:
            await self._bring_forward(now, batch)
        elif leap > CLOCK_TOLERANCE:
            log.warning("clock_set_forward", seconds=leap.total_seconds())
        await self._expire(self._otp_plan, batch, is_otp=True)
        await self._expire(self._plan, batch)

    async def _expire(self, plan: RetryPlan, batch: int, *, is_otp: bool = False) -> None:
        if self._clock.settled_for() < plan.longest_delay.total_seconds():
            return  # not every next hop with due mail has been tried since then
        settled = self._clock.settled()
        while True:
            expired = await self._store.expire_deliveries(
                now=settled,
                created_before=settled - plan.max_age,
                released_before=settled - plan.longest_delay,
                make_event=self._make_event,
                limit=batch,
                is_otp=is_otp,
            )
            if expired:
                log.warning("expired", count=expired)
            if expired < batch:
                return

    def _find_leap(self, now: datetime) -> timedelta | None:
        """By how much the wall clock was set forward since the last round; None in the first round."""
        last, monotonic = self._last_round, self._clock.monotonic()
        self._last_round = now, monotonic
        return None if last is None else now - last[0] - timedelta(seconds=monotonic - last[1])

    async def _bring_forward(self, now: datetime, batch: int) -> None:
        latest, count = now + self._plan.longest_delay, 0
        while brought := await self._store.bring_forward(now=now, latest=latest, limit=batch):
            count += brought
        if count:
            log.warning("due_times_of_another_clock", count=count)
            self._wakeup.set()

    def _make_event(self, event_type: EventType, metadata: Metadata) -> NewEvent:
        return NewEvent(id=EventId(self._ids.next()), type=event_type, metadata=metadata)
