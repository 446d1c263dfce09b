"""Accepting, delivering, the queue, events, upkeep."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import Event, EventType, Metadata
from sendryd.model.ids import AccountId, ApiKeyId, DeliveryId, DomainId, EventId, MessageId, SuppressionId, UnsubscribeId
from sendryd.model.message import Message, MessageStatus, MessageSummary
from sendryd.model.suppression import SuppressionReason
from sendryd.store.base.leases import CrashPause, Lease, Owner, ReturnedDelivery
from sendryd.store.base.paging import Page
from sendryd.store.base.spool import SpoolReport
from sendryd.valuetype import valuetype


@valuetype(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to be stored with the fact that it tells of. Its id must be greater than those made before it."""

    id: EventId
    type: EventType
    metadata: Metadata = field(default_factory=dict)


@valuetype(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """One forward-path of a new message."""

    id: DeliveryId
    forward_path: str
    domain: str  # the forward-path's domain in A-label form: the next hop unless routing says otherwise; NO_DOMAIN: waits to be captured
    state: DeliveryState  # QUEUED; LEASED with the message's lease; DELIVERED (captured), SUPPRESSED: final at once
    due_at: datetime  # when the first attempt may start
    events: tuple[NewEvent, ...]
    notify: str | None = None  # RFC 3461 §4.1, as given: NEVER or a list of SUCCESS, FAILURE, DELAY
    orcpt: str | None = None  # RFC 3461 §4.2, as given


@valuetype(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """Everything that one accepted message stores in one commit."""

    message: Message
    content: bytes  # the final bytes but for the signature: CRLF line ends
    deliveries: tuple[NewDelivery, ...]
    lease: Lease | None = None  # set if deliveries are handed to this process's delivery engine in the same commit
    draft: bytes | None = None  # what a scheduled message was made from, so that it can be made anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an idempotent request was answered; stored in the commit of what it did."""

    account_id: AccountId
    key: str  # at most 256 characters
    fingerprint: bytes  # 32 octets: of what was asked for; another one under the same key is another request
    body: bytes  # as it was sent, or the receipt of a message that came by SMTP
    created_at: datetime


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


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSuppression:
    """An address to be suppressed. One that is suppressed already stays as it is."""

    id: SuppressionId
    email: str  # as `policy.address_key.normalise_address` makes it
    reason: SuppressionReason


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUnsubscribe:
    """An address to be taken off a list, or off all of them. One that is off already stays as it is."""

    id: UnsubscribeId
    email: str  # as `policy.address_key.normalise_address` makes it
    list_id: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Engagement:
    """What a recipient did with a message: opened it, followed a link, unsubscribed, complained."""

    delivery_id: DeliveryId
    event: NewEvent
    happened_at: datetime
    suppression: NewSuppression | None = None
    unsubscribe: NewUnsubscribe | None = None


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
class QueuedDelivery:
    """A delivery as `queue list` and `queue show` see it."""

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
    crashes: int = 0  # ends of the program in a row while it was leased


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """A delivery as the pages see it that recipients reach by a link."""

    id: DeliveryId
    message: Message
    forward_path: str
    state: DeliveryState
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A delivery that ended without an attempt's success or refusal: its `cancelled` or `failed` event, and its message."""

    event: Event
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A delivery of a test key's scheduled mail that was captured: what became of it, and the last of its events."""

    account_id: AccountId
    message_id: MessageId
    recipient: str
    state: DeliveryState
    metadata: Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFilter:
    """Which waiting deliveries to list. All given conditions hold."""

    domain: str | None = None
    states: frozenset[DeliveryState] | None = None
    has_attempts: bool | None = None
    created_before: datetime | None = None
    message_id: MessageId | None = None
    delivery_id: DeliveryId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Which messages of an account to list. All given conditions hold."""

    mode: KeyMode
    status: MessageStatus | None = None
    text: str | None = None  # case-insensitive, in a recipient or the subject
    api_key_id: ApiKeyId | None = None
    recipient: str | None = None  # exact, case-insensitive, a forward-path
    subject: str | None = None  # case-insensitive, in the subject
    has_gone: bool = False  # True: not what waits for its time, or was cancelled
    created_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events of an account to list. All given conditions hold."""

    mode: KeyMode
    message_id: MessageId | None = None
    type: EventType | None = None
    recipient: str | None = None  # exact, case-insensitive
    text: str | None = None  # case-insensitive, in the recipient, or the message's whole public id
    created_from: datetime | None = None
    created_to: datetime | None = None


class AcceptStore(Protocol):
    """What the single door needs."""

    def check_room(self, size: int) -> None:
        """Raises `StoreFull` if there is no room for a content of this size beside what accepted mail needs. Takes microseconds."""
        ...

    async def accept(self, message: NewMessage) -> None:
        """Stores the message, its content, deliveries and events. Durable.

        Raises `Conflict` if its id is taken, `StoreFull` if the disk is.
        """
        ...

    async def accept_all(self, messages: Sequence[NewMessage], answer: Answer | None, *, kept_since: datetime) -> None:
        """Stores several messages and the answer to the request that they came in, all of it or nothing. Durable.

        Raises `AlreadyAnswered` with the answer that stands under the same account and key, if it is not older than `kept_since`; an older
        one is replaced. Raises also what `accept` does.
        """
        ...

    async def find_answer(self, account_id: AccountId, key: str, *, kept_since: datetime) -> Answer | None:
        """The answer that stands under a key, unless it is older."""
        ...

    async def find_suppressed(self, account_id: AccountId, emails: Sequence[str]) -> frozenset[str]:
        """Those of the addresses that are suppressed. Cheap: a look-up by key for each."""
        ...

    async def find_unsubscribed(self, account_id: AccountId, list_id: str | None, emails: Sequence[str]) -> frozenset[str]:
        """Those of the addresses that have unsubscribed from everything, or from this list."""
        ...

    async def amend(self, new: NewMessage, now: datetime, *, made_from: bytes | None = None) -> None:
        """Gives a scheduled message another content, subject, draft and time. Its deliveries stay, with the due time of the new ones.
        Durable. Raises `NotFound`; `NotAllowed` unless every one of its deliveries is queued, untried, and not due yet; `Changed` if its
        draft is not the one that the new one was made from any more.
        """
        ...

    async def read_draft(self, message_id: MessageId) -> bytes | None:
        """What a scheduled message was made from; None if it was not, or is done."""
        ...

    async def count_accepted(
        self, account_id: AccountId, api_key_id: ApiKeyId | None, mode: KeyMode, since: datetime, until: datetime
    ) -> int:
        """How many messages of one mode an account, or one of its keys, has had accepted since then and before `until`."""
        ...


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
        self, *, now: datetime, created_before: datetime, make_event: "EventMaker", limit: int, released_before: datetime | None = None
    ) -> int:
        """Expires queued deliveries that are due and older than the queue keeps mail, but for those that were held, released after
        `released_before`, by default now, and not tried since. The event says of one that an earlier attempt may have delivered that it is possibly a
        duplicate. Returns how many.
        """
        ...

    async def capture_due(self, *, now: datetime, play: "Player", limit: int) -> list["Capture"]:
        """Moves deliveries of NO_DOMAIN that are due, a test key's scheduled mail, to what `play` says becomes of them, with its events.
        Durable. Returns those that it moved.
        """
        ...

    async def due_at(self, *, busy: frozenset[str] = frozenset()) -> datetime | None:
        """When the next queued delivery of a domain that is not busy falls due; None if none waits."""
        ...


class EventMaker(Protocol):
    """Makes the event for a change that a store finds by itself."""

    def __call__(self, event_type: EventType, metadata: Metadata) -> NewEvent: ...


class Player(Protocol):
    """Says what becomes of a captured delivery, by its forward-path."""

    def __call__(self, forward_path: str) -> tuple[DeliveryState, tuple[NewEvent, ...]]: ...


class QueueStore(Protocol):
    """What an operator does with the queue."""

    async def list_queue(self, which: QueueFilter, *, limit: int | None = None) -> list[QueuedDelivery]:
        """Waiting deliveries (queued, leased, held), newest first; with a delivery id or message id, done ones too."""
        ...

    async def count_queue(self) -> Mapping[DeliveryState, int]:
        """Number of waiting deliveries by state. Cheap."""
        ...

    async def hold(self, which: QueueFilter, now: datetime) -> int:
        """Stops queued deliveries until they are released. Returns how many."""
        ...

    async def release_held(self, which: QueueFilter, now: datetime) -> int:
        """Queues held deliveries again, due now, and asks for probes of their domains. Returns how many."""
        ...

    async def hold_for_domain(self, domain_id: DomainId, now: datetime) -> int:
        """Holds the queued deliveries that a removed domain was to sign, for `DOMAIN_REMOVED`. Returns how many."""
        ...

    async def release_for_domain(self, account_id: AccountId, name: str, now: datetime) -> int:
        """Queues the deliveries that are held because a domain of this name was removed, due now. Returns how many."""
        ...

    async def retry(self, which: QueueFilter, now: datetime) -> int:
        """Makes queued deliveries due now, and asks for probes of their domains. Returns how many."""
        ...

    async def cancel(self, which: QueueFilter, now: datetime, make_event: EventMaker) -> int:
        """Cancels queued and held deliveries, with an event each. Returns how many; those under way are left alone."""
        ...

    async def cancel_message(self, account_id: AccountId, message_id: MessageId, now: datetime, make_event: EventMaker) -> None:
        """Cancels all deliveries of a message, with an event each. Durable. Raises `NotFound`; `NotAllowed` unless each of its deliveries
        is queued or held and was never tried (those that were suppressed from the start do not count).
        """
        ...


class EventStore(Protocol):
    """What the API and the dashboard read."""

    async def get_message(self, account_id: AccountId, message_id: MessageId) -> MessageSummary | None:
        """One message of an account."""
        ...

    async def list_messages(
        self, account_id: AccountId, which: MessageFilter, *, limit: int, before: MessageId | None = None
    ) -> Page[MessageSummary]:
        """Messages older than `before`, newest first."""
        ...

    async def count_messages(self, account_id: AccountId, which: MessageFilter) -> int:
        """How many messages the filter lets through."""
        ...

    async def find_delivery(self, delivery_id: DeliveryId) -> DeliveryView | None:
        """A delivery with its message, by its number alone; None once it is gone."""
        ...

    async def record_engagements(self, engagements: Sequence[Engagement]) -> int:
        """Stores what recipients did, each with the event, suppression and unsubscribe that it names. Those of deliveries that are gone are
        left out. Returns how many were stored.
        """
        ...

    async def list_events(self, account_id: AccountId, which: EventFilter, *, limit: int, before: EventId | None = None) -> Page[Event]:
        """Events older than `before`, newest first."""
        ...

    async def count_events(self, account_id: AccountId, which: EventFilter) -> int:
        """How many events the filter lets through."""
        ...

    async def list_ended(self, *, since: datetime) -> list[Ended]:
        """The `cancelled` events of all accounts since then, and the `failed` ones of live messages, oldest first. Cheap: an index has these
        alone. Those of captured mail are returned by `capture_due`.
        """
        ...


class UpkeepStore(Protocol):
    """What keeps the database small and tells that it is well."""

    async def delete_messages(self, *, created_before: datetime, limit: int) -> int:
        """Deletes done messages and their content, oldest first. Returns how many."""
        ...

    async def delete_events(self, *, created_before: datetime, limit: int) -> int:
        """Deletes events, oldest first. Returns how many."""
        ...

    async def delete_answers(self, *, created_before: datetime, limit: int) -> int:
        """Deletes answers to idempotent requests. Returns how many."""
        ...

    async def compare_spool(self) -> SpoolReport:
        """Compares what messages refer to with the contents that are there, without reading them."""
        ...

    async def check_writable(self) -> None:
        """Returns once a commit has gone through. Raises `StoreUnavailable`, also where there is no room for new mail."""
        ...

    async def read_clock(self) -> datetime | None:
        """The settled time that was noted last."""
        ...

    async def note_clock(self, settled: datetime) -> None:
        """Notes the settled time, for the next start."""
        ...

    def can_write(self) -> bool:
        """False once writing has ended for good, by a bug: only another start helps."""
        ...

    def statistics(self) -> Mapping[str, int | float]:
        """Counters for /metrics: commits, operations, longest commit in seconds, and what the backend adds."""
        ...
