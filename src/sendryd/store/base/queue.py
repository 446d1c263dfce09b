"""The queue, as an operator sees and changes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import Metadata
from sendryd.model.ids import AccountId, DeliveryId, DomainId, MessageId
from sendryd.model.message import Message, MessageClass
from sendryd.policy.detour import DetourHost
from sendryd.store.base.events import EventMaker
from sendryd.store.base.paging import Page

DETOUR_HOST_KEPT: Final = timedelta(hours=1)  # a smart host of detours, until the mail that is sent there has its lane


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBy:
    """A person holds a delivery."""

    by: str  # the person's name
    since: datetime
    why: str = ""  # the person's words
    is_suspended: bool = False  # by the suspension of its account, whose end releases it


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedDelivery:
    """A delivery as `queue list` and `queue show` print it."""

    id: DeliveryId
    message: Message
    forward_path: str
    domain: str
    state: DeliveryState
    attempts: int
    due_at: datetime
    created_at: datetime
    last_reply: str  # empty before the first attempt
    hold_reason: HoldReason | None = None  # only of a held one
    crashes: int = 0  # consecutive ends of the program while it was leased
    held_by: HeldBy | None = None  # only of one that a person holds
    is_copy: bool = False  # for an archive
    detour: str = ""  # the way that a person has given it (`policy.detour`); empty: its sending domain's


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFilter:
    """Which waiting deliveries to list. All given conditions hold."""

    domain: str | None = None  # as the deliveries have it: the recipient's domain, or the lane of a smart host
    toward: str | None = (
        None  # that, and mail to the domain in the lane of a sending domain's smart host; without its mark any lane of the host
    )
    states: frozenset[DeliveryState] | None = None
    has_attempts: bool | None = None
    created_before: datetime | None = None
    message_id: MessageId | None = None
    message_ids: tuple[MessageId, ...] | None = None
    delivery_ids: tuple[DeliveryId, ...] | None = None
    delivery_id: DeliveryId | None = None
    account_id: AccountId | None = None
    reply_begins: str | None = None  # the first words of the last reply
    is_suspended: bool = False  # only those that a suspension of their account holds
    hold_reason: HoldReason | None = None

    @property
    def names_one(self) -> bool:
        """Whether it is one message or one delivery."""
        return self.message_id is not None or self.delivery_id is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingDestination:
    """The waiting deliveries of one recipient domain."""

    domain: str
    queued: int  # due now or later, scheduled mail among them
    leased: int  # in the hands of the delivery engine: being sent, or about to be
    held: int
    since: datetime  # when the oldest delivery began to wait
    next_due: datetime | None  # of the queued deliveries
    sample: DeliveryId  # one of them, a tried one if possible: its last reply says why they wait
    last_reply: str  # of `sample`; empty before its first attempt


class QueueStore(Protocol):
    """The operator's operations on the queue."""

    async def list_queue(self, which: QueueFilter, *, limit: int | None = None) -> list[QueuedDelivery]:
        """Waiting deliveries (queued, leased, held), newest first; with a delivery id or message id, done ones too."""
        ...

    async def list_waiting_destinations(
        self, account_id: AccountId | None, *, limit: int, domain: str | None = None
    ) -> list[WaitingDestination]:
        """Recipient domains that deliveries of an account wait for, or those of all accounts; the one that has waited longest comes first.
        With `domain`, that one alone.
        """
        ...

    async def page_destination(
        self, domain: str, account_id: AccountId | None, *, limit: int, before: DeliveryId | None = None
    ) -> Page[QueuedDelivery]:
        """Waiting deliveries (queued, leased, held) to a domain, of an account or of all, newest first."""
        ...

    async def count_ahead(self, domain: str, due_at: datetime, *, most: int) -> int:
        """Queued deliveries to a domain that are due before a moment, of all accounts, counted up to `most`. Cheap."""
        ...

    async def count_queue(self) -> Mapping[DeliveryState, int]:
        """Number of waiting deliveries by state. Cheap."""
        ...

    async def find_deliveries(self, which: QueueFilter) -> list[DeliveryId]:
        """The ids of deliveries in the filter's states, oldest first; without states, in any state."""
        ...

    async def hold(self, which: QueueFilter, now: datetime, *, by: HeldBy | None = None) -> int:
        """Holds queued deliveries until they are released, and takes over held ones that the system would release by itself: those of a suspended account
        or of a removed domain. A suspension (`by.is_suspended`) takes over none. Returns how many.
        """
        ...

    async def release_held(self, which: QueueFilter, now: datetime) -> int:
        """Queues held deliveries again, due now or at their scheduled time, and asks for probes of their domains. Returns how many."""
        ...

    async def hold_for_domain(self, domain_id: DomainId, now: datetime) -> int:
        """Holds the queued deliveries that need the signature of a removed domain, with the reason `DOMAIN_REMOVED`. Returns how many."""
        ...

    async def release_for_domain(self, account_id: AccountId, name: str, now: datetime) -> int:
        """Queues the deliveries that are held because a domain of this name was removed, due now. Returns how many."""
        ...

    async def reroute(self, domain_id: DomainId, lane: str | None, delivery_ids: Sequence[DeliveryId] | None = None) -> int:
        """Moves live waiting deliveries (queued, leased, held) of a sending domain, or these of them, to the lane of a smart host; without a lane to
        those of their recipients' domains. Returns how many have moved.
        """
        ...

    async def set_detour(self, which: QueueFilter, detour: str | None, lane: str | None = None) -> list[DeliveryId]:
        """Gives live waiting deliveries (queued, leased, held) the way of a detour, with the lane of its smart host if it has one; None: the way of their
        sending domains again. An attempt under way goes on. Returns those that have another way now.
        """
        ...

    async def put_detour_host(self, host: DetourHost, now: datetime) -> None:
        """Stores a smart host of detours, in place of an earlier one of its lane. Forgets those older than `DETOUR_HOST_KEPT` that no mail waits for.
        Durable.
        """
        ...

    async def find_detour_host(self, lane: str) -> DetourHost | None:
        """The smart host of a detour's lane. Cheap."""
        ...

    async def retry(self, which: QueueFilter, now: datetime) -> int:
        """Makes queued deliveries due now, and asks for probes of their domains. Returns how many. Untried mail whose scheduled time has not come
        is left alone, unless the filter names it.
        """
        ...

    async def cancel(self, which: QueueFilter, now: datetime, make_event: EventMaker) -> int:
        """Cancels queued and held deliveries, with an event each. Returns how many; leased ones stay."""
        ...

    async def bounce(self, which: QueueFilter, now: datetime, make_event: EventMaker, *, metadata: Metadata) -> int:
        """Returns queued and held deliveries as bounced, with an event each that has this metadata. Nothing is suppressed. Returns how many;
        leased ones stay.
        """
        ...

    async def set_class(self, which: QueueFilter, priority: MessageClass) -> int:
        """Gives queued and held deliveries another class. Returns how many; leased ones stay."""
        ...

    async def cancel_message(self, account_id: AccountId, message_id: MessageId, now: datetime, make_event: EventMaker) -> None:
        """Cancels all deliveries of a message, with an event each. Durable. Raises `NotFound`; `NotAllowed` unless each of its deliveries, without
        those that were suppressed from the start, is queued or held and untried.
        """
        ...
