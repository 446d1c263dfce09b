"""The store contract: what daemons may ask of durable state.

Each method is one transaction, named after what happens in the business. A method that returns has committed, and synced to disk where
it says *durable*. A method that raises has changed nothing. All times are aware UTC, exact to the millisecond. Lists are newest first.
Raises everywhere: `StoreUnavailable` (and its kind `StoreFull`) when the database cannot be read or written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import DnsRecord, DomainSettings, DomainStatus, SendingDomain
from sendryd.model.event import Event, EventType, Metadata
from sendryd.model.ids import AccountId, ApiKeyId, DeliveryId, DomainId, EventId, MessageId
from sendryd.model.message import Message, MessageStatus, MessageSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The time-limited right to work on deliveries. The token fences: who records with another one has lost it."""

    token: int  # random, 63 bits
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to be stored with the fact that it tells of. Its id must be greater than those made before it."""

    id: EventId
    type: EventType
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """One forward-path of a new message."""

    id: DeliveryId
    forward_path: str
    domain: str  # the forward-path's domain in A-label form: the next hop unless routing says otherwise
    state: DeliveryState  # QUEUED; LEASED with the message's lease; DELIVERED (captured), SUPPRESSED: final at once
    due_at: datetime  # when the first attempt may start
    events: tuple[NewEvent, ...]
    notify: str | None = None  # RFC 3461 §4.1, as given: NEVER or a list of SUCCESS, FAILURE, DELAY
    orcpt: str | None = None  # RFC 3461 §4.2, as given


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """Everything that one accepted message stores in one commit."""

    message: Message
    content: bytes  # the final bytes but for the signature: CRLF line ends
    deliveries: tuple[NewDelivery, ...]
    lease: Lease | None = None  # set if deliveries are handed to this process's delivery engine in the same commit
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedDelivery:
    """One delivery that a worker holds."""

    id: DeliveryId
    forward_path: str
    domain: str
    attempts: int  # attempts recorded so far
    is_in_doubt: bool  # an earlier attempt was cut off without an outcome: this one may be a duplicate
    notify: str | None
    orcpt: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Deliveries of one message to one domain, held by one lease."""

    message: Message
    domain: str
    deliveries: tuple[ClaimedDelivery, ...]
    lease: Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attempt came to for one delivery."""

    delivery_id: DeliveryId
    state: DeliveryState  # DELIVERED, BOUNCED, EXPIRED, or QUEUED to try again
    due_at: datetime | None  # when to try again; only with QUEUED
    reply: str  # what the next hop said, or what failed, for `queue show`: at most 1,000 characters
    events: tuple[NewEvent, ...]
    is_attempt: bool = True  # False: the next hop was not at fault and no attempt is counted


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
class NewApiKey:
    """A key to be stored: its SHA-256, never the secret."""

    key: ApiKey
    secret_hash: bytes  # 32 octets


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDomain:
    """A sending domain to be stored, with the private half of its DKIM key."""

    domain: SendingDomain
    private_key: bytes  # PEM, PKCS #8


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainCheck:
    """What a check of a domain's DNS records came to."""

    status: DomainStatus
    records: tuple[DnsRecord, ...]
    checked_at: datetime
    verified_at: datetime | None
    failing_since: datetime | None
    failures: int


Item = TypeVar("Item", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Part of a list."""

    items: tuple[Item, ...]
    has_more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Which messages of an account to list. All given conditions hold."""

    mode: KeyMode
    status: MessageStatus | None = None
    text: str | None = None  # case-insensitive, in a recipient or the subject
    api_key_id: ApiKeyId | None = None


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

    async def accept(self, message: NewMessage) -> None:
        """Stores the message, its content, deliveries and events. Durable.

        Raises `Conflict` if its id is taken, `StoreFull` if the disk is.
        """
        ...


class DeliveryStore(Protocol):
    """What the delivery engine needs."""

    async def claim_deliveries(self, *, now: datetime, lease: Lease, limit: int, busy: frozenset[str], per_domain: int) -> list[Claim]:
        """Leases up to `limit` due deliveries of live messages, oldest due first, at most `per_domain` of one domain and none of the
        busy domains, and returns them by message and domain. Deliveries of other domains are found however many wait for the busy ones.
        """
        ...

    async def read_content(self, message_id: MessageId) -> bytes:
        """The stored content. Raises `NotFound` if it is gone."""
        ...

    async def record_attempt(self, lease: Lease, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Stores what an attempt came to, all of it or nothing. Durable. Raises `LeaseLost` if any of the deliveries is no longer held
        by this lease's token.
        """
        ...

    async def extend_lease(self, lease: Lease, delivery_ids: Sequence[DeliveryId], until: datetime) -> None:
        """Keeps deliveries for longer. Raises `LeaseLost`."""
        ...

    async def release(self, lease: Lease, delivery_ids: Sequence[DeliveryId]) -> None:
        """Hands back deliveries that were not started: queued as they were, no attempt counted. Ignores those no longer held."""
        ...

    async def return_leases(self, *, now: datetime, all_of_them: bool = False) -> int:
        """Queues deliveries whose lease has run out (or every leased one: at start, when nobody else can be at work), due now and marked
        as in doubt. Returns how many.
        """
        ...

    async def expire_deliveries(self, *, now: datetime, created_before: datetime, make_event: "EventMaker", limit: int) -> int:
        """Expires queued deliveries that are due and older than the queue keeps mail. Returns how many."""
        ...

    async def due_at(self, *, busy: frozenset[str] = frozenset()) -> datetime | None:
        """When the next queued delivery of a domain that is not busy falls due; None if none waits."""
        ...


class EventMaker(Protocol):
    """Makes the event for a change that a store finds by itself."""

    def __call__(self, event_type: EventType, metadata: Metadata) -> NewEvent: ...


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
        """Queues held deliveries again, due now. Returns how many."""
        ...

    async def retry(self, which: QueueFilter, now: datetime) -> int:
        """Makes queued deliveries due now. Returns how many."""
        ...

    async def cancel(self, which: QueueFilter, now: datetime, make_event: EventMaker) -> int:
        """Cancels queued and held deliveries, with an event each. Returns how many; those under way are left alone."""
        ...


class AccountStore(Protocol):
    """Accounts, keys and sending domains."""

    async def ensure_account(self, account_id: AccountId, name: str, now: datetime) -> bool:
        """Makes the account unless it exists. True if it was made just now. Durable."""
        ...

    async def add_api_key(self, new: NewApiKey) -> None:
        """Stores a key. Durable."""
        ...

    async def find_api_key(self, secret_hash: bytes) -> ApiKey | None:
        """The key with this SHA-256, whatever its state."""
        ...

    async def list_api_keys(self, account_id: AccountId) -> list[ApiKey]:
        """All keys, revoked ones included, newest first."""
        ...

    async def revoke_api_key(self, account_id: AccountId, key_id: ApiKeyId, at: datetime) -> ApiKey:
        """Revokes a key from this time on; an earlier revocation stays. Durable. Raises `NotFound`."""
        ...

    async def touch_api_keys(self, used: Mapping[ApiKeyId, datetime]) -> None:
        """Stores when keys were last used."""
        ...

    async def add_domain(self, new: NewDomain) -> None:
        """Stores a sending domain. Durable. Raises `Conflict` if the account has it already."""
        ...

    async def find_domain(self, account_id: AccountId, name: str) -> SendingDomain | None:
        """An account's sending domain by its A-label name."""
        ...

    async def get_domain(self, domain_id: DomainId) -> SendingDomain | None:
        """A sending domain by its id."""
        ...

    async def list_domains(self, account_id: AccountId | None = None) -> list[SendingDomain]:
        """All sending domains, of one account or of all."""
        ...

    async def read_private_key(self, domain_id: DomainId) -> bytes | None:
        """The PEM of a domain's DKIM key, for the signer alone."""
        ...

    async def record_domain_check(self, domain_id: DomainId, check: DomainCheck) -> SendingDomain:
        """Stores what a check found. Durable. Raises `NotFound`."""
        ...

    async def set_domain_settings(self, domain_id: DomainId, settings: DomainSettings) -> SendingDomain:
        """Replaces a domain's settings. Durable. Raises `NotFound`."""
        ...

    async def remove_domain(self, domain_id: DomainId) -> None:
        """Removes a domain and its key. Mail that waits keeps its signature's domain name no more. Raises `NotFound`."""
        ...

    async def read_config_version(self) -> int:
        """A number that grows with every change of a key or domain, by whatever process."""
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

    async def list_events(self, account_id: AccountId, which: EventFilter, *, limit: int, before: EventId | None = None) -> Page[Event]:
        """Events older than `before`, newest first."""
        ...

    async def count_events(self, account_id: AccountId, which: EventFilter) -> int:
        """How many events the filter lets through."""
        ...


class UpkeepStore(Protocol):
    """What keeps the database small and tells that it is well."""

    async def delete_messages(self, *, created_before: datetime, limit: int) -> int:
        """Deletes done messages and their content, oldest first. Returns how many."""
        ...

    async def delete_events(self, *, created_before: datetime, limit: int) -> int:
        """Deletes events, oldest first. Returns how many."""
        ...

    async def check_writable(self) -> None:
        """Returns once a commit has gone through. Raises `StoreUnavailable`."""
        ...

    def statistics(self) -> Mapping[str, int | float]:
        """Counters for /metrics: commits, operations, longest commit in seconds, and what the backend adds."""
        ...


class Store(AcceptStore, DeliveryStore, QueueStore, AccountStore, EventStore, UpkeepStore, Protocol):
    """All of it, as the composition root builds it."""

    async def aclose(self) -> None:
        """Finishes what was handed in and closes the database."""
        ...
