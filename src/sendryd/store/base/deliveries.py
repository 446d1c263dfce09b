"""Deliveries: claiming them under a lease, and recording what became of them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import Metadata
from sendryd.model.ids import AccountId, DeliveryId, MessageId
from sendryd.model.message import Message
from sendryd.store.base.events import EventMaker, NewEvent
from sendryd.store.base.leases import CrashPause, Lease, Owner, ReturnedDelivery
from sendryd.store.base.lists import NewSuppression
from sendryd.valuetype import valuetype


@valuetype(frozen=True, slots=True, kw_only=True)
class ClaimedDelivery:
    """One delivery that a worker holds."""

    id: DeliveryId
    forward_path: str
    domain: str
    attempts: int  # attempts recorded so far
    is_in_doubt: bool  # a crash, or a connection lost after the final dot: an earlier attempt may have delivered it
    notify: str | None
    orcpt: str | None
    last_reply: str = ""  # of the last recorded outcome, for `queue show`; empty before the first


@valuetype(frozen=True, slots=True, kw_only=True)
class Claim:
    """Deliveries of one message to one domain, held by one lease."""

    message: Message
    domain: str
    deliveries: tuple[ClaimedDelivery, ...]
    lease: Lease


@valuetype(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attempt came to for one delivery."""

    delivery_id: DeliveryId
    state: DeliveryState  # DELIVERED, BOUNCED, EXPIRED, HELD with its reason, or QUEUED to try again
    due_at: datetime | None  # when to try again; only with QUEUED
    reply: str  # what the next hop said, or what failed, for `queue show`: at most 1,000 characters
    events: tuple[NewEvent, ...]
    is_attempt: bool = True  # False: the next hop was not at fault and no attempt is counted
    leaves_doubt: bool = False  # the next hop may have taken the message without saying so: later events may be of a duplicate
    suppression: NewSuppression | None = None  # stored with the outcome
    hold_reason: HoldReason | None = None  # only with HELD


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A delivery of a test key's scheduled mail that was captured: what became of it, and the last of its events."""

    account_id: AccountId
    message_id: MessageId
    recipient: str
    state: DeliveryState
    metadata: Metadata


class Player(Protocol):
    """Says what becomes of a captured delivery, by its forward-path."""

    def __call__(self, forward_path: str) -> tuple[DeliveryState, tuple[NewEvent, ...]]: ...


class DeliveryStore(Protocol):
    """What the delivery engine needs."""

    async def claim_deliveries(
        self, *, now: datetime, lease: Lease, limit: int, busy: frozenset[str], per_domain: int, settled: datetime | None = None
    ) -> list[Claim]:
        """Leases up to `limit` due deliveries of live messages, oldest due first, at most `per_domain` of one domain and none of the
        busy domains, and returns them by message and domain. Deliveries of other domains are found however many wait for the busy ones.
        Untried deliveries of scheduled messages must be due by `settled`, by default now.
        """
        ...

    async def read_content(self, message_id: MessageId) -> bytes:
        """The stored content, verified. Raises `NotFound` if there is no such message, `ContentDamaged` if its content is not what was
        accepted.
        """
        ...

    def stream_content(self, message_id: MessageId) -> AsyncIterator[bytes]:
        """The stored content in small pieces. Raises `NotFound`, and `ContentDamaged` no later than after the last piece: only when the
        pieces have come to their end without it are they what was accepted.
        """
        ...

    async def record_attempt(self, lease: Lease, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Stores the outcomes of an attempt, all of them or none. Durable. A counted attempt sets the crash count to zero.

        A lease that was returned still counts for deliveries that are queued and that nobody has leased since: the outcome is true, however
        late it comes. Raises `LeaseLost` if any of the deliveries was leased to another worker, or is done or held.
        """
        ...

    async def release(self, lease: Lease, delivery_ids: Sequence[DeliveryId]) -> None:
        """Hands back deliveries that were not started: queued as they were, no attempt counted. Ignores those no longer held."""
        ...

    async def return_dead_leases(self, living: Owner, *, now: datetime, pause: CrashPause) -> list[ReturnedDelivery]:
        """Ends the leases of all other boots of this owner's node, which has one process at a time: those boots are dead.

        Each delivery is queued and marked as in doubt, and its crash count grows by one. `pause` says when it is due; for None it is held,
        with the reason. Returns the deliveries.
        """
        ...

    async def return_leases(self, owner: Owner, delivery_ids: Sequence[DeliveryId], now: datetime) -> int:
        """Ends the owner's own leases of attempts that were cut off: queued, due now, marked as in doubt, no crash counted. Ignores
        deliveries that the owner does not hold. Returns how many.
        """
        ...

    async def list_leased(self, owner: Owner) -> list[tuple[int, DeliveryId]]:
        """The token and the delivery of each lease of this owner."""
        ...

    async def bring_forward(self, *, now: datetime, latest: datetime, limit: int) -> int:
        """Makes queued deliveries due now that are due after `latest`, but for untried ones of scheduled messages: their due times are of
        another clock. Returns how many.
        """
        ...

    async def expire_deliveries(
        self, *, now: datetime, created_before: datetime, make_event: EventMaker, limit: int, released_before: datetime | None = None
    ) -> int:
        """Expires queued deliveries that are due and older than the queue keeps mail, but for those that were held, released after
        `released_before`, by default now, and not tried since. The event says of one that an earlier attempt may have delivered that it is possibly a
        duplicate. Returns how many.
        """
        ...

    async def capture_due(self, *, now: datetime, play: Player, limit: int) -> list[Capture]:
        """Moves deliveries of NO_DOMAIN that are due, a test key's scheduled mail, to what `play` says becomes of them, with its events.
        Durable. Returns those that it moved.
        """
        ...

    async def due_at(self, *, busy: frozenset[str] = frozenset()) -> datetime | None:
        """When the next queued delivery of a domain that is not busy falls due; None if none waits."""
        ...
