"""What people change of one accepted message: its waiting deliveries are tried now, cancelled, held or released. Each change is in the audit."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

from sendryd.accounts.audit import Audit, By
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import MESSAGE_PREFIX, AccountId, DeliveryId, EventId, MessageId, format_id
from sendryd.model.people import AuditEntry
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import HeldBy, NewEvent, QueueFilter, Store
from sendryd.store.errors import NotFound


class EmailChange(StrEnum):
    """The value is the action in the audit."""

    TRY_NOW = "email.tried"
    CANCEL = "email.cancelled"
    HOLD = "email.held"
    RELEASE = "email.released"


_FROM: Final = {
    EmailChange.TRY_NOW: frozenset({DeliveryState.QUEUED}),
    EmailChange.CANCEL: frozenset({DeliveryState.QUEUED, DeliveryState.HELD}),
    EmailChange.HOLD: frozenset({DeliveryState.QUEUED}),
    EmailChange.RELEASE: frozenset({DeliveryState.HELD}),
}


MAX_REASON: Final = 200  # characters of the reason of a hold: a line of a list shows it


def shorten_reason(text: str) -> str:
    """The reason of a hold as it is stored: one line."""
    return " ".join(text.split())[:MAX_REASON]


class Emails:
    """Changes of messages of an account. The caller has checked the right to make them."""

    def __init__(self, store: Store, audit: Audit, *, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._ids = ids

    async def change(
        self, message_id: MessageId, change: EmailChange, by: By, *, delivery_id: DeliveryId | None = None, reason: str = ""
    ) -> int:
        """Changes the deliveries that are in a state that allows it, or that one alone, and returns their number. Those under way are left
        alone. `reason` says why they are held.

        Raises `NotFound` for a message that the account does not have.
        """
        if await self._store.get_message(by.account_id, message_id) is None:
            raise NotFound("no such message")
        reason = shorten_reason(reason) if change is EmailChange.HOLD else ""
        which = QueueFilter(message_id=message_id, delivery_id=delivery_id, states=_FROM[change])
        count = await self._work(change, by, reason)(which)
        if count:
            target = format_id(MESSAGE_PREFIX, message_id)
            after = {"deliveries": count, **({"reason": reason} if reason else {})}
            await self._audit.add(by.account_id, by.actor, by.client, change.value, target, after=after)
        return count

    async def last_change(self, account_id: AccountId, message_id: MessageId) -> AuditEntry | None:
        """The latest entry of the audit about a message."""
        target = format_id(MESSAGE_PREFIX, message_id)
        found = await self._store.list_audit(account_id, limit=1, text=target)
        return found.items[0] if found.items else None

    def _work(self, change: EmailChange, by: By, reason: str) -> Callable[[QueueFilter], Awaitable[int]]:
        store, now = self._store, self._clock.now()

        def make_event(event_type: EventType, metadata: Metadata) -> NewEvent:
            return NewEvent(id=EventId(self._ids.next()), type=event_type, metadata={**metadata, "by": by.actor})

        match change:
            case EmailChange.TRY_NOW:
                return lambda which: store.retry(which, now)
            case EmailChange.CANCEL:
                return lambda which: store.cancel(which, now, make_event)
            case EmailChange.HOLD:
                held = HeldBy(by=by.name, since=now, why=reason) if by.name else None
                return lambda which: store.hold(which, now, by=held)
            case EmailChange.RELEASE:
                return lambda which: store.release_held(which, now)
