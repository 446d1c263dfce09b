"""Changes of captured mail, in dictionaries."""

from collections.abc import Sequence
from datetime import datetime

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import WAITING_STATES, DeliveryState
from sendryd.model.ids import AccountId, MessageId
from sendryd.store.base import EventMaker, Play
from sendryd.store.memory.delivery import Delivery
from sendryd.store.memory.state import MemoryMail


class MemoryCaptures(MemoryMail):
    """`CaptureStore`."""

    async def delete_captured(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> int:
        count = 0
        for number in message_ids:
            deliveries = self._captured(account_id, number)
            if deliveries is None or any(each.state in WAITING_STATES for each in deliveries):
                continue
            self._contents.drop(None, [self._places.pop(number)])
            del self._messages[number]
            for delivery in deliveries:
                del self._deliveries[delivery.new.id]
            count += 1
        return count

    async def play(self, account_id: AccountId, message_id: MessageId, play: Play, make_event: EventMaker, now: datetime) -> int:
        deliveries = [each for each in self._captured(account_id, message_id) or () if each.state is DeliveryState.DELIVERED]
        for delivery in deliveries:
            delivery.move(play.state or DeliveryState.DELIVERED)
            self._add_events(delivery, (make_event(play.type, play.metadata),), now)
        return len(deliveries)

    def _captured(self, account_id: AccountId, message_id: MessageId) -> list[Delivery] | None:
        """The deliveries of a test key's message; None if the account has no such message."""
        new = self._messages.get(message_id)
        if new is None or new.message.account_id != account_id or new.message.mode is not KeyMode.TEST:
            return None
        return [self._deliveries[each.id] for each in new.deliveries]
