"""Changes of captured mail: the Test Inbox deletes it, and plays outcomes on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import AccountId, MessageId
from sendryd.store.base.events import EventMaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """A simulated fact about a captured message."""

    type: EventType
    metadata: Metadata
    state: DeliveryState | None = None  # of its deliveries from then on; None: as before


class CaptureStore(Protocol):
    """Changes of captured mail."""

    async def delete_captured(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> int:
        """Deletes those of these messages that are the account's, a test key's and done, with their content; their events stay. Returns how
        many.
        """
        ...

    async def play(self, account_id: AccountId, message_id: MessageId, play: Play, make_event: EventMaker, now: datetime) -> int:
        """Stores the fact for each delivered recipient of a test key's message, and moves the delivery to the play's state. Durable. Returns the
        number of recipients.
        """
        ...
