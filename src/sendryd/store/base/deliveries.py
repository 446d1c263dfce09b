"""Deliveries: claiming them under a lease, and recording their outcomes."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import Metadata
from sendryd.model.ids import AccountId, DeliveryId, MessageId
from sendryd.model.message import Message, MessageClass
from sendryd.store.base.events import EventMaker, NewEvent
from sendryd.store.base.leases import CrashPause, Lease, Owner, ReturnedDelivery
from sendryd.store.base.lists import NewSuppression
from sendryd.valuetype import valuetype


@valuetype(frozen=True, slots=True, kw_only=True)
class ClaimedDelivery:
    """A delivery that a worker has leased."""

    id: DeliveryId
    forward_path: str
    domain: str
    attempts: int  # attempts recorded so far
    is_in_doubt: bool  # a crash, or a connection lost after the final dot: an earlier attempt may have delivered it
    notify: str | None
    orcpt: str | None
    priority: MessageClass = MessageClass.TRANSACTIONAL
    last_reply: str = ""  # of the last recorded outcome, for `queue show`; empty before the first
    detour: str = ""  # the way that a person has given it (`policy.detour`); empty: its sending domain's


@valuetype(frozen=True, slots=True, kw_only=True)
class Claim:
    """Deliveries of one message to one domain under one lease."""

    message: Message
    domain: str
    deliveries: tuple[ClaimedDelivery, ...]
    lease: Lease

    @property
    def priority(self) -> MessageClass:
        """That of its deliveries: they came with one message."""
        return self.deliveries[0].priority if self.deliveries else MessageClass.TRANSACTIONAL

    @property
    def detour(self) -> str:
        """The way that a person has given them all; empty: their sending domain's."""
        return self.deliveries[0].detour if self.deliveries else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdedLane:
    """A lane in which mail of some accounts and classes waits already: what others have for it is claimed at once."""

    domains: frozenset[str]  # whose mail goes by it; `policy.routing.ANY_DOMAIN`: all that no other smart host takes
    without: frozenset[str] = frozenset()  # domains that get nothing now
    enough: frozenset[tuple[AccountId, MessageClass]]  # that have their share of it
    each: int  # deliveries that each of the others gets
    room: int  # deliveries that all of them get


@dataclass(frozen=True, slots=True, kw_only=True)
class OneHop:
    """What the smart host for all mail may get, beside that for domains with one of their own."""

    most: int  # deliveries
    is_of_all_shards: bool = False  # also those of processes that have no session with it


@valuetype(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of an attempt for one delivery."""

    delivery_id: DeliveryId
    state: DeliveryState  # DELIVERED, BOUNCED, EXPIRED, HELD with its reason, or QUEUED to try again
    due_at: datetime | None  # when to try again; only with QUEUED
    reply: str  # the next hop's reply, or the fault, for `queue show`: at most 1,000 characters
    events: tuple[NewEvent, ...]
    is_attempt: bool = True  # False: the fault was not the next hop's, and no attempt is counted
    leaves_doubt: bool = False  # the next hop may have accepted the message without a reply: later events may concern a duplicate
    suppression: NewSuppression | None = None  # stored with the outcome
    hold_reason: HoldReason | None = None  # only with HELD


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A captured delivery of a test key's scheduled mail: its final state, and the metadata of its last event."""

    account_id: AccountId
    message_id: MessageId
    recipient: str
    state: DeliveryState
    metadata: Metadata


class Simulator(Protocol):
    """Decides the final state and events of a captured delivery by its forward-path."""

    def __call__(self, forward_path: str) -> tuple[DeliveryState, tuple[NewEvent, ...]]: ...


class DeliveryStore(Protocol):
    """The operations of the delivery engine."""

    async def claim_deliveries(
        self,
        *,
        now: datetime,
        lease: Lease,
        limit: int,
        busy: frozenset[str],
        per_domain: int,
        settled: datetime | None = None,
        served: frozenset[tuple[AccountId, MessageClass]] = frozenset(),
        crowded: Sequence[CrowdedLane] = (),
        one_hop: OneHop | None = None,
    ) -> list[Claim]:
        """Leases up to `limit` due deliveries of live messages, oldest due first, at most `per_domain` of one domain and none of the busy domains,
        and returns them by message and domain. Waiting deliveries of busy domains never hide those of other domains. Untried deliveries of
        scheduled messages must be due by `settled`, by default now. Those of accounts and classes that are `served` are left out; once they are so no
        more, it may take a minute until all of them are seen again.

        Before all other mail, and beside `busy` and `per_domain`, it takes that of accounts and classes that have little in a crowded lane,
        one-time passwords first. `one_hop` is for an installation with a smart host for all mail: it gets its own after the mail of domains with a
        smart host of their own.
        """
        ...

    async def read_content(self, message_id: MessageId) -> bytes:
        """The stored content, verified. Raises `NotFound` if there is no such message, `ContentDamaged` if the content differs from the accepted
        one.
        """
        ...

    def stream_content(self, message_id: MessageId) -> AsyncIterator[bytes]:
        """The stored content in small pieces. Raises `NotFound`, and `ContentDamaged` no later than after the last piece: the pieces are the
        accepted content only if the iteration ends without it.
        """
        ...

    async def record_attempt(self, lease: Lease, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Stores the outcomes of an attempt, all or none. Durable. A counted attempt sets the crash count to zero.

        The outcome is true however late it arrives, so a returned lease still counts for queued deliveries that no worker has leased since. Raises
        `LeaseLost` if any of the deliveries was leased to another worker, or is done or held.
        """
        ...

    async def release(self, lease: Lease, delivery_ids: Sequence[DeliveryId]) -> None:
        """Ends the lease of deliveries that were not started: they are queued with no attempt counted. Ignores deliveries that the lease does not
        hold.
        """
        ...

    async def return_dead_leases(self, living: Owner, *, now: datetime, pause: CrashPause) -> list[ReturnedDelivery]:
        """Ends the leases of all other boots of this owner's node. A node has one process at a time, so those boots are dead.

        Each delivery is queued and marked as in doubt, and its crash count grows by one. `pause` decides when it is due; if it returns None, the
        delivery is held, with the reason. Returns the deliveries.
        """
        ...

    async def return_leases(self, owner: Owner, delivery_ids: Sequence[DeliveryId], now: datetime) -> int:
        """Ends the owner's own leases of interrupted attempts: queued, due now, marked as in doubt, no crash counted. Ignores deliveries that the
        owner does not hold. Returns how many.
        """
        ...

    async def list_leased(self, owner: Owner) -> list[tuple[int, DeliveryId]]:
        """The token and the delivery of each lease of this owner."""
        ...

    async def bring_forward(self, *, now: datetime, latest: datetime, limit: int) -> int:
        """Makes queued deliveries that are due after `latest` due now, except untried ones of scheduled messages. Their due times were computed
        with a clock that was wrong. Returns how many.
        """
        ...

    async def expire_deliveries(
        self,
        *,
        now: datetime,
        created_before: datetime,
        make_event: EventMaker,
        limit: int,
        released_before: datetime | None = None,
        is_otp: bool = False,
    ) -> int:
        """Expires queued deliveries, with `is_otp` those of one-time passwords alone, that are due and older than the queue keeps mail, except
        those that were held, released after `released_before` (by default now) and not tried since. The event of a delivery in doubt says that
        an earlier attempt may have delivered it. Returns how many.
        """
        ...

    async def capture_due(self, *, now: datetime, simulate: Simulator, limit: int) -> list[Capture]:
        """Moves due deliveries of NO_DOMAIN, a test key's scheduled mail, to the state that `simulate` decides, and stores its events. Durable.
        Returns the moved deliveries.
        """
        ...

    async def take_up_again(self, reply: str, now: datetime) -> int:
        """Makes mail due that waits in the lanes of smart hosts of their own with this reply stored. Returns how much. In several transactions."""
        ...

    async def due_at(self, *, busy: frozenset[str] = frozenset()) -> datetime | None:
        """When the next queued delivery of a domain that is not busy falls due; None if there is none."""
        ...
