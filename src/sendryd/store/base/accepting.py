"""Accepting: what one message, or the answer to a request, stores in one commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId, ApiKeyId, DeliveryId, MessageId
from sendryd.model.message import Message
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
