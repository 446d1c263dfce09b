"""A message: content and envelope, accepted once. Its public status is derived from its deliveries, never stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import WAITING_STATES, DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import AccountId, ApiKeyId, DomainId, MessageId, TemplateId
from sendryd.valuetype import valuetype


class MessageStatus(StrEnum):
    """The public status of a message."""

    QUEUED = "queued"
    SENDING = "sending"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    FAILED = "failed"
    COMPLAINED = "complained"
    CANCELLED = "cancelled"


class MessageType(StrEnum):
    """The class of a message: marketing skips recipients who have unsubscribed."""

    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"  # has List-Unsubscribe; skips recipients who have unsubscribed


class TlsDemand(StrEnum):
    """What the sender of a message asks of TLS on its way (RFC 8689)."""

    USUAL = "usual"  # as the policies of domains say
    REQUIRED = "required"  # REQUIRETLS: only servers that prove who they are and pass the demand on
    OPTIONAL = "optional"  # `TLS-Required: No`: delivery comes before the recipient's policies


class MessageClass(StrEnum):
    """How urgent the deliveries of a message are: which of them go first when there are more than can go at once."""

    OTP = "otp"  # a one-time password: worthless after minutes, so it is retried sooner and expires sooner
    TRANSACTIONAL = "transactional"
    BULK = "bulk"


def class_of(message_type: MessageType) -> MessageClass:
    """The class of messages of this type whose sender names none."""
    return MessageClass.BULK if message_type is MessageType.MARKETING else MessageClass.TRANSACTIONAL


@valuetype(frozen=True, slots=True, kw_only=True)
class Message:
    """A message without its content."""

    id: MessageId
    account_id: AccountId
    api_key_id: ApiKeyId | None  # None: the system sent it, or the key's row is gone
    mode: KeyMode
    reverse_path: str  # empty: the null reverse-path
    author: str  # the header From for display
    to: tuple[str, ...]  # the header To for display; the forward-paths if there is none
    cc: tuple[str, ...]
    subject: str
    internet_message_id: str  # the Message-ID field with its angle brackets
    size: int  # octets of the stored content
    created_at: datetime
    signing_domain_id: DomainId | None  # None: not signed (test mode)
    needs_smtputf8: bool  # RFC 6531: the receiver must offer SMTPUTF8
    is_8bit: bool  # the body has octets above 127
    ret: str | None = None  # RFC 3461 §4.3: FULL or HDRS
    envid: str | None = None  # RFC 3461 §4.4
    tls_demand: TlsDemand = TlsDemand.USUAL
    type: MessageType = MessageType.TRANSACTIONAL
    tags: tuple[tuple[str, str], ...] = ()
    scheduled_at: datetime | None = None  # before this time no attempt is made; None: at once
    track_opens: bool = False  # each recipient's copy gets a pixel of its own at delivery
    track_clicks: bool = False  # each recipient's copy gets links of its own at delivery
    template_id: TemplateId | None = None  # the stored template that it was made from
    list_id: str | None = None  # marketing: which list a recipient unsubscribes from; None: all of them
    unsubscribe_url: str | None = None  # marketing: the sender's own page

    @property
    def waits_since(self) -> datetime:
        """The time from which its age in the queue counts."""
        return self.scheduled_at or self.created_at

    @property
    def is_personal(self) -> bool:
        """Whether each recipient's copy differs, so that each needs a transaction of its own."""
        return self.track_opens or self.track_clicks or self.type is MessageType.MARKETING


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSummary:
    """A message with the totals of its deliveries."""

    message: Message
    states: Mapping[DeliveryState, int]  # number of deliveries in each state
    has_attempts: bool  # at least one delivery has been tried
    is_complained: bool
    sent_at: datetime | None  # the first 250 of a receiving server
    last_event: EventType | None


_TRIED_STATES: Final = (DeliveryState.LEASED, DeliveryState.DELIVERED, DeliveryState.BOUNCED, DeliveryState.EXPIRED)


def derive_status(states: Mapping[DeliveryState, int], *, has_attempts: bool, is_complained: bool = False) -> MessageStatus:
    """The public status of a message.

    `queued` while nothing was tried, `sending` while an attempt is under way or some recipients still wait after one; then, when all are
    done, `delivered` if at least one receiving server took it, else `bounced`, else `failed`; `cancelled` if all were cancelled.
    """
    if is_complained:
        return MessageStatus.COMPLAINED
    if any(states.get(state) for state in WAITING_STATES):
        is_under_way = any(states.get(state) for state in _TRIED_STATES)
        return MessageStatus.SENDING if has_attempts or is_under_way else MessageStatus.QUEUED
    if states.get(DeliveryState.DELIVERED):
        return MessageStatus.DELIVERED
    if states.get(DeliveryState.BOUNCED):
        return MessageStatus.BOUNCED
    if states.get(DeliveryState.CANCELLED):
        return MessageStatus.CANCELLED
    return MessageStatus.FAILED
