"""Captures a test key's scheduled mail when its time has come.

Does: captures due deliveries of test keys, which the delivery engine never claims, and simulates the events that addresses of the test domain name.
Reads, writes: the queue. Writes: the mail log.
Limits: `BATCH` rows in one transaction.
"""

from typing import Final

from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import EventId, MessageId
from sendryd.model.message import Message
from sendryd.policy.simulation import scenario_for
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.maillog import CAPTURED, TEST_INBOX, MailLog, outcome_fields
from sendryd.store.base import Capture, MailStore, NewEvent
from sendryd.upkeep.rounds import run_rounds

INTERVAL: Final = 0.5  # seconds: short, because test suites wait for it; a round reads one row of an index
BATCH: Final = 200  # rows in one transaction


class CaptureKeeper:
    """Two rounds a second."""

    def __init__(self, store: MailStore, *, clock: Clock, ids: IdSource, mail_log: MailLog) -> None:
        self._store = store
        self._mail_log = mail_log
        self._clock = clock
        self._ids = ids

    async def run(self) -> None:
        """Until cancelled."""
        await run_rounds(self.run_once, self._clock, interval=INTERVAL, failure="captures_not_kept")

    async def run_once(self, batch: int = BATCH) -> None:
        """Captures the due deliveries."""
        captured: list[Capture] | None = None
        while captured is None or len(captured) == batch:
            captured = await self._store.capture_due(now=self._clock.settled(), simulate=self._simulate, limit=batch)
            if self._mail_log.is_on:
                await self._log(captured)

    async def _log(self, captured: list[Capture]) -> None:
        """Writes one line for each recipient, like acceptance does for mail that is captured at once."""
        messages: dict[MessageId, Message | None] = {}
        for each in captured:
            if each.message_id not in messages:
                found = await self._store.get_message(each.account_id, each.message_id)
                messages[each.message_id] = found.message if found else None
            message = messages[each.message_id]
            if message is not None:
                age = max(0.0, (self._clock.now() - message.waits_since).total_seconds())
                fields = {"delay": round(age, 3), **outcome_fields(each.metadata), "relay": TEST_INBOX}
                self._mail_log.outcome(CAPTURED[each.state], message, each.recipient, fields)

    def _simulate(self, forward_path: str) -> tuple[DeliveryState, tuple[NewEvent, ...]]:
        scenario = scenario_for(forward_path)
        return scenario.state, tuple(NewEvent(id=EventId(self._ids.next()), type=word, metadata=data) for word, data in scenario.events)
