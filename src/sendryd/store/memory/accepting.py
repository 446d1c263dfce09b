"""Accepting, in dictionaries."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import WAITING_STATES, DeliveryState
from sendryd.model.ids import AccountId, ApiKeyId, MessageId
from sendryd.store.base import (
    Answer,
    NewMessage,
)
from sendryd.store.errors import AlreadyAnswered, Conflict
from sendryd.store.memory.delivery import Delivery
from sendryd.store.memory.state import MemoryMail
from sendryd.store.rules import check_amendable, check_source_request


class MemoryAccepting(MemoryMail):
    """`AcceptStore`."""

    def check_room(self, size: int) -> None:
        pass

    async def accept(self, message: NewMessage) -> None:
        if message.message.id in self._messages:
            raise Conflict("the message exists")
        self._commits += 1
        self._messages[message.message.id] = message
        self._put(message)
        for new in message.deliveries:
            is_done = new.state is DeliveryState.DELIVERED
            lease = message.lease if new.state is DeliveryState.QUEUED else None
            state = DeliveryState.LEASED if lease else new.state
            created = message.message.created_at
            delivery = Delivery(
                new, message.message, message.priority, state, new.due_at, lease, created if is_done else None, report=new.report
            )
            self._deliveries[new.id] = delivery
            self._add_events(delivery, new.events, created)

    async def accept_all(self, messages: Sequence[NewMessage], answer: Answer | None, *, kept_since: datetime) -> None:
        if answer is not None:
            standing = await self.find_answer(answer.account_id, answer.key, kept_since=kept_since)
            if standing is not None:
                raise AlreadyAnswered(standing)
        if any(each.message.id in self._messages for each in messages):
            raise Conflict("the message exists")
        if answer is not None:
            self._answers[answer.account_id, answer.key] = answer
        for each in messages:
            await self.accept(each)

    async def amend(self, new: NewMessage, now: datetime, *, made_from: bytes | None = None) -> None:
        waiting = self._untried(new.message.account_id, new.message.id)
        check_amendable([each.as_waiting() for each in waiting], now)
        old = self._messages[new.message.id]
        if made_from is not None:
            check_source_request(old.source_request, made_from)
        self._messages[new.message.id] = replace(old, message=new.message, content=new.content, source_request=new.source_request)
        self._put(new)
        for each in waiting:
            each.due_at = min(delivery.due_at for delivery in new.deliveries)
        for each in self._deliveries.values():
            if each.message.id == new.message.id:
                each.message, each.priority = new.message, new.priority

    async def read_source_request(self, message_id: MessageId) -> bytes | None:
        new = self._messages.get(message_id)
        is_waiting = any(each.state in WAITING_STATES for each in self._deliveries.values() if each.message.id == message_id)
        return new.source_request if new and is_waiting else None

    async def count_accepted(
        self, account_id: AccountId, api_key_id: ApiKeyId | None, mode: KeyMode, since: datetime, until: datetime
    ) -> int:
        messages = (each.message for each in self._messages.values())
        return sum(
            (each.account_id, each.mode) == (account_id, mode)
            and api_key_id in {None, each.api_key_id}
            and since <= each.created_at < until
            for each in messages
        )
