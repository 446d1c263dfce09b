"""Addresses that an account does not send to: suppressions for all mail, unsubscribes for marketing."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sendryd.model.ids import AccountId, SuppressionId, UnsubscribeId


class SuppressionReason(StrEnum):
    """Why nothing is sent to an address."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """One address that gets no mail of an account."""

    id: SuppressionId
    account_id: AccountId
    email: str  # as `policy.address_key.normalise_address` makes it
    reason: SuppressionReason
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """One address that gets no marketing of an account, or of one of its lists."""

    id: UnsubscribeId
    account_id: AccountId
    email: str  # as `policy.address_key.normalise_address` makes it
    list_id: str | None  # None: no marketing at all
    reason: str | None
    created_at: datetime
