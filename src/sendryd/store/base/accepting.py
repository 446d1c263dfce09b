"""Accepting: the rows that one message, or the answer to a request, adds in one commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId, ApiKeyId, DeliveryId, MessageId
from sendryd.model.message import Message, MessageClass
from sendryd.policy.statusreport import Report
from sendryd.store.base.events import NewEvent
from sendryd.store.base.leases import Lease
from sendryd.valuetype import valuetype


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
    report: Report = Report.NOTHING  # the reports that its sender wants
    is_copy: bool = False  # for an archive, not for a recipient: the message's status does not depend on it


@valuetype(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """The rows and the content of one accepted message, stored in one commit."""

    message: Message
    content: bytes  # the final bytes without the signature: CRLF line ends
    deliveries: tuple[NewDelivery, ...]
    lease: Lease | None = None  # of this process's delivery engine: what would be queued is stored as leased to it
    priority: MessageClass = MessageClass.TRANSACTIONAL
    source_request: bytes | None = None  # JSON of the request that a scheduled message was made from: a change composes it again

    def leased(self, lease: Lease) -> "NewMessage":
        """A copy that is handed to this process's delivery engine."""
        return NewMessage(
            message=self.message,
            content=self.content,
            deliveries=self.deliveries,
            lease=lease,
            priority=self.priority,
            source_request=self.source_request,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to an idempotent request, stored in the commit of the request's effects."""

    account_id: AccountId
    key: str  # at most 256 characters
    fingerprint: bytes  # 32 octets, a hash of the request: another fingerprint under the same key is another request
    body: bytes  # the body as sent, or the receipt of a message that was submitted over SMTP
    created_at: datetime


class AcceptStore(Protocol):
    """The operations of `intake`."""

    def check_room(self, size: int) -> None:
        """Raises `StoreFull` if the disk has no room for a content of this size besides the margin for accepted mail. Takes microseconds."""
        ...

    async def accept(self, message: NewMessage) -> None:
        """Stores the message, its content, deliveries and events. Durable.

        Raises `Conflict` if its id is taken, `StoreFull` if the disk is.
        """
        ...

    async def accept_all(self, messages: Sequence[NewMessage], answer: Answer | None, *, kept_since: datetime) -> None:
        """Stores several messages and the answer to the request that brought them: all or nothing. Durable.

        Raises `AlreadyAnswered` with the stored answer of the same account and key, unless it is older than `kept_since`: an older one is
        replaced. Raises also what `accept` does.
        """
        ...

    async def find_answer(self, account_id: AccountId, key: str, *, kept_since: datetime) -> Answer | None:
        """The stored answer of a key, unless it is older than `kept_since`."""
        ...

    async def find_suppressed(self, account_id: AccountId, emails: Sequence[str]) -> frozenset[str]:
        """The addresses among these that are suppressed. Cheap: one look-up by key for each."""
        ...

    async def find_unsubscribed(self, account_id: AccountId, list_id: str | None, emails: Sequence[str]) -> frozenset[str]:
        """The addresses among these that have unsubscribed from all marketing or from this list."""
        ...

    async def amend(self, new: NewMessage, now: datetime, *, made_from: bytes | None = None) -> None:
        """Replaces the content, subject, source request and time of a scheduled message. Its deliveries stay, with the new ones' due time.
        Durable. Raises `NotFound`; `NotAllowed` unless every delivery is queued, untried, and not due yet; `Changed` if the stored source request
        is not `made_from`.
        """
        ...

    async def read_source_request(self, message_id: MessageId) -> bytes | None:
        """The JSON request that a scheduled message was made from; None if there is none, or the message is done."""
        ...

    async def count_accepted(
        self, account_id: AccountId, api_key_id: ApiKeyId | None, mode: KeyMode, since: datetime, until: datetime
    ) -> int:
        """Number of messages of one mode that an account, or one of its keys, has had accepted from `since` up to, not including, `until`."""
        ...
