"""What people do with captured mail: they clear the Test Inbox, and play outcomes. Each change is in the audit."""

from collections.abc import Sequence
from typing import Final

from sendryd.accounts.audit import Audit, By
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import TEST_MESSAGE_PREFIX, EventId, MessageId, format_id
from sendryd.policy.simulation import PLAYED
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import CaptureStore, NewEvent, Play

BATCH: Final = 50  # messages deleted in one transaction: it takes a few milliseconds, and accepting waits for it


class Captures:
    """Changes of captured mail. The caller has checked the right to make them."""

    def __init__(self, store: CaptureStore, audit: Audit, *, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._ids = ids

    async def clear(self, message_ids: Sequence[MessageId], by: By, view: str) -> int:
        """Deletes captured messages, and returns how many. `view` says in the audit which ones they were."""
        count = 0
        for start in range(0, len(message_ids), BATCH):
            count += await self._store.delete_captured(by.account_id, message_ids[start : start + BATCH])
        if count:
            await self._audit.add(by.account_id, by.actor, by.client, "test_inbox.cleared", view, after={"emails": count})
        return count

    async def play(self, message_id: MessageId, played: str, by: By) -> int:
        """Plays one of `PLAYED` on the delivered recipients of a captured message, and returns how many they are."""
        scenario = PLAYED[played]
        ((event_type, metadata),) = scenario.events
        play = Play(type=event_type, metadata=metadata, state=scenario.state)

        def make_event(event_type: EventType, metadata: Metadata) -> NewEvent:
            return NewEvent(id=EventId(self._ids.next()), type=event_type, metadata={**metadata, "by": by.actor})

        count = await self._store.play(by.account_id, message_id, play, make_event, self._clock.now())
        if count:
            target = format_id(TEST_MESSAGE_PREFIX, message_id)
            await self._audit.add(by.account_id, by.actor, by.client, "test_email.played", target, after={"outcome": played})
        return count
