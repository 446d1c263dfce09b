"""Suppressions (no mail at all) and unsubscribes (no marketing) of an account."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sendryd.model.ids import AccountId, SuppressionId, UnsubscribeId


class SuppressionReason(StrEnum):
    """Why an address is suppressed."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """One address that gets no mail of an account."""

    id: SuppressionId
    account_id: AccountId
    email: str  # in the form of `policy.address_key.normalise_address`
    reason: SuppressionReason
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """One address that gets no marketing of an account, or of one of its lists."""

    id: UnsubscribeId
    account_id: AccountId
    email: str  # in the form of `policy.address_key.normalise_address`
    list_id: str | None  # None: no marketing at all
    reason: str | None
    created_at: datetime
