"""Changes that people make to all waiting mail of one destination, or to the deliveries of a filter. Each change is in the audit."""

from enum import StrEnum

from sendryd.accounts.audit import Audit, By
from sendryd.accounts.emails import shorten_reason
from sendryd.model.delivery import WAITING_STATES
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import AccountId, EventId
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import HeldBy, NewEvent, QueueFilter, Store


class DestinationChange(StrEnum):
    """The value is the action in the audit."""

    TRY_NOW = "queue.tried"
    HOLD = "queue.held"
    RELEASE = "queue.released"
    CANCEL = "queue.cancelled"


class Destinations:
    """Changes of the waiting mail of a recipient domain. The caller has checked the right to make them."""

    def __init__(self, store: Store, audit: Audit, *, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._ids = ids

    async def change(self, domain: str, change: DestinationChange, by: By, *, of: AccountId | None, reason: str = "") -> int:
        """Changes the deliveries of an account, or of all, that are in a state that allows it, and returns their number. Those under way are
        left alone. `reason` says why they are held.
        """
        which = QueueFilter(domain=domain, states=WAITING_STATES, account_id=of)
        return await self.change_chosen(which, change, by, target=domain, reason=reason if change is DestinationChange.HOLD else "")

    async def change_chosen(
        self, which: QueueFilter, change: DestinationChange, by: By, *, target: str, action: str = "", reason: str = ""
    ) -> int:
        """Changes the waiting deliveries of a filter that are in a state that allows it, and returns their number.

        `target`, `action` (by default the change's) and `reason` are what the audit says; the reason of a hold is also shown with the mail.
        """
        reason = shorten_reason(reason)
        number = await self._work(change, by, which, reason)
        if number:
            after = {"deliveries": number, **({"reason": reason} if reason else {})}
            await self._audit.add(by.account_id, by.actor, by.client, action or change.value, target, after=after)
        return number

    async def pause(self, domain: str, by: By, *, name: str) -> bool:
        """Stop all mail to a domain, of every account, also what comes in later. `name` is the person's. False if it is paused already."""
        is_new = await self._store.pause_destination(domain, by=name, now=self._clock.now())
        if is_new:
            await self._audit.add(by.account_id, by.actor, by.client, "queue.paused", domain)
        return is_new

    async def resume(self, domain: str, by: By) -> bool:
        """Let mail to a domain go on. False if it is not paused."""
        is_over = await self._store.resume_destination(domain)
        if is_over:
            await self._audit.add(by.account_id, by.actor, by.client, "queue.resumed", domain)
        return is_over

    async def _work(self, change: DestinationChange, by: By, which: QueueFilter, reason: str) -> int:
        store, now = self._store, self._clock.now()

        def make_event(event_type: EventType, metadata: Metadata) -> NewEvent:
            return NewEvent(id=EventId(self._ids.next()), type=event_type, metadata={**metadata, "by": by.actor})

        match change:
            case DestinationChange.TRY_NOW:
                return await store.retry(which, now)
            case DestinationChange.HOLD:
                return await store.hold(which, now, by=HeldBy(by=by.name, since=now, why=reason) if by.name or reason else None)
            case DestinationChange.RELEASE:
                return await store.release_held(which, now)
            case DestinationChange.CANCEL:
                return await store.cancel(which, now, make_event)
