"""Suppressions, unsubscribes, and rows of `suppression` and `unsubscribe`."""

from typing import Any

from sendryd.model.ids import SUPPRESSION_PREFIX, UNSUBSCRIBE_PREFIX, AccountId, SuppressionId, UnsubscribeId
from sendryd.model.suppression import Suppression, SuppressionReason, Unsubscribe
from sendryd.store.base import NewSuppression, NewUnsubscribe
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import from_ms, to_ms


def suppression_row(suppression: Suppression) -> dict[str, Any]:
    """The columns of a suppression."""
    return {
        "id": suppression.id,
        "account_id": suppression.account_id,
        "email": suppression.email,
        "reason": suppression.reason.value,
        "created_at": to_ms(suppression.created_at),
    }


def new_suppression_row(account_id: int, new: NewSuppression, moment: int) -> dict[str, Any]:
    """The columns of a suppression that is stored with an event; `moment` is in milliseconds."""
    return {"id": new.id, "account_id": account_id, "email": new.email, "reason": new.reason.value, "created_at": moment}


@row_of(SUPPRESSION_PREFIX)
def read_suppression(row: Row) -> Suppression:
    """A suppression. Raises `RowUnreadable`."""
    return Suppression(
        id=SuppressionId(row["id"]),
        account_id=AccountId(row["account_id"]),
        email=row["email"],
        reason=SuppressionReason(row["reason"]),
        created_at=from_ms(row["created_at"]),
    )


def unsubscribe_row(unsubscribe: Unsubscribe) -> dict[str, Any]:
    """The columns of an unsubscribe; an empty list is all marketing."""
    return {
        "id": unsubscribe.id,
        "account_id": unsubscribe.account_id,
        "email": unsubscribe.email,
        "list_id": unsubscribe.list_id or "",
        "reason": unsubscribe.reason,
        "created_at": to_ms(unsubscribe.created_at),
    }


def new_unsubscribe_row(account_id: int, new: NewUnsubscribe, moment: int) -> dict[str, Any]:
    """The columns of an unsubscribe that is stored with an event; `moment` is in milliseconds."""
    return {
        "id": new.id,
        "account_id": account_id,
        "email": new.email,
        "list_id": new.list_id or "",
        "reason": new.reason,
        "created_at": moment,
    }


@row_of(UNSUBSCRIBE_PREFIX)
def read_unsubscribe(row: Row) -> Unsubscribe:
    """An unsubscribe. Raises `RowUnreadable`."""
    return Unsubscribe(
        id=UnsubscribeId(row["id"]),
        account_id=AccountId(row["account_id"]),
        email=row["email"],
        list_id=row["list_id"] or None,
        reason=row["reason"],
        created_at=from_ms(row["created_at"]),
    )
