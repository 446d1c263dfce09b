"""Deliveries and rows of `delivery`."""

from typing import Any, Final

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, DeliveryId
from sendryd.model.message import MessageClass
from sendryd.policy.smarthost import lane_of
from sendryd.policy.statusreport import Report, due_report
from sendryd.smtp.address import parse_mailbox
from sendryd.store.base import (
    ClaimedDelivery,
    DeliveryView,
    DueReport,
    HeldBy,
    NewDelivery,
    NewMessage,
    Outcome,
    QueuedDelivery,
    WaitingDestination,
)
from sendryd.store.codec.messages import show_message
from sendryd.store.codec.reading import TEXT_OR_NONE, Row, Types, check_types, part, row_of
from sendryd.store.codec.values import from_ms, from_ms_or_none, read_object, to_json, to_ms, to_ms_or_none
from sendryd.store.rules import Waiting

MAX_REPLY: Final = 1000  # characters kept of a reply

_CLAIMED_TYPES: Final[Types] = {
    "id": int,
    "message_id": int,
    "forward_path": str,
    "domain": str,
    "attempts": int,
    "is_in_doubt": int,
    "notify": TEXT_OR_NONE,
    "orcpt": TEXT_OR_NONE,
    "last_reply": str,
    "class": str,
    "detour": TEXT_OR_NONE,
}


def delivery_row(new: NewMessage, delivery: NewDelivery) -> dict[str, Any]:
    """The columns of a new delivery; all other columns have their defaults."""
    created = to_ms(new.message.waits_since)
    lease = new.lease if delivery.state is DeliveryState.QUEUED else None
    return {
        "id": delivery.id,
        "message_id": new.message.id,
        "account_id": new.message.account_id,
        "class": new.priority.value,
        "site": None,  # unknown before the first attempt
        "forward_path": delivery.forward_path,
        "domain": delivery.domain,
        "state": (DeliveryState.LEASED if lease else delivery.state).value,
        "due_at": to_ms(delivery.due_at),
        "lease_token": lease.token if lease else None,
        "lease_node": lease.owner.node if lease else None,
        "lease_boot": lease.owner.boot if lease else None,
        "created_at": created,
        "delivered_at": created if delivery.state is DeliveryState.DELIVERED else None,
        "notify": delivery.notify,
        "orcpt": delivery.orcpt,
        "is_copy": 1 if delivery.is_copy else 0,
        "report": delivery.report.value,
    }


def outcome_row(outcome: Outcome, moment: int) -> dict[str, Any]:
    """The columns that an outcome changes in the row of its delivery. `moment`: its time in milliseconds."""
    return {
        "id": outcome.delivery_id,
        "state": outcome.state.value,
        "due_at": to_ms_or_none(outcome.due_at),
        "is_attempt": 1 if outcome.is_attempt else 0,
        "reply": outcome.reply[:MAX_REPLY],
        "delivered_at": moment if outcome.state is DeliveryState.DELIVERED else None,
        "leaves_doubt": 1 if outcome.leaves_doubt else 0,
    }


@row_of(DELIVERY_PREFIX)
def read_claimed(row: Row) -> ClaimedDelivery:
    """A delivery to attempt. Unreadable if its recipient is not in the delivery's domain, which may be a smart host's lane. Raises `RowUnreadable`."""
    check_types(row, _CLAIMED_TYPES)
    domain = parse_mailbox(row["forward_path"]).domain
    if domain != row["domain"] and not lane_of(row["domain"]):
        raise ValueError("the recipient is not in the domain of the delivery")
    return ClaimedDelivery(
        id=DeliveryId(row["id"]),
        forward_path=row["forward_path"],
        domain=domain,
        attempts=row["attempts"],
        is_in_doubt=bool(row["is_in_doubt"]),
        notify=row["notify"],
        orcpt=row["orcpt"],
        last_reply=row["last_reply"],
        priority=MessageClass(row["class"]),
        detour=row["detour"] or "",
    )


@row_of(MESSAGE_PREFIX)
def read_queued(row: Row) -> QueuedDelivery:
    """A delivery with its message; the delivery's columns begin with `delivery_`. Raises `RowUnreadable`."""
    delivery = part(row, "delivery_")
    return QueuedDelivery(
        id=DeliveryId(delivery["id"]),
        message=show_message(row),
        forward_path=delivery["forward_path"],
        domain=delivery["domain"],
        state=DeliveryState(delivery["state"]),
        attempts=delivery["attempts"],
        due_at=from_ms(delivery["due_at"]),
        created_at=from_ms(delivery["created_at"]),
        last_reply=delivery["last_reply"],
        hold_reason=_hold_reason(delivery["state"], delivery["hold_reason"]),
        crashes=delivery["crashes"],
        held_by=_held_by(delivery["hold_note"]) if delivery["state"] == DeliveryState.HELD.value else None,
        is_copy=bool(delivery["is_copy"]),
        detour=delivery["detour"] or "",
    )


@row_of(MESSAGE_PREFIX)
def read_due_report(row: Row) -> DueReport:
    """A report that is due. Raises `RowUnreadable`."""
    delivery = read_queued(row)
    return DueReport(delivery=delivery, report=Report(row["report"]) & due_report(delivery.state), orcpt=row["orcpt"])


def hold_note(held: HeldBy) -> str:
    """Who holds a delivery, as stored."""
    mark = {"suspended": True} if held.is_suspended else {}
    return to_json({"by": held.by, "since": to_ms(held.since), "why": held.why, **mark})


def _held_by(stored: str | None) -> HeldBy | None:
    if stored is None:
        return None
    found = read_object(stored)
    return HeldBy(by=str(found["by"]), since=from_ms(found["since"]), why=str(found["why"]), is_suspended=found.get("suspended") is True)


@row_of(DELIVERY_PREFIX)
def read_destination(row: Row) -> WaitingDestination:
    """The waiting deliveries of a domain. Raises `RowUnreadable`."""
    return WaitingDestination(
        domain=row["domain"],
        queued=row["queued"],
        leased=row["leased"],
        held=row["held"],
        since=from_ms(row["since"]),
        next_due=from_ms_or_none(row["next_due"]),
        sample=DeliveryId(row["id"]),
        last_reply=row["last_reply"],
    )


def _hold_reason(state: str, stored: str | None) -> HoldReason | None:
    if state != DeliveryState.HELD.value:
        return None
    return HoldReason(stored) if stored in set(HoldReason) else HoldReason.OPERATOR


def read_waiting(row: Row) -> Waiting:
    """A delivery of a scheduled message."""
    return Waiting(row["id"], row["state"], row["attempts"], from_ms(row["due_at"]))


def read_view(row: Row) -> DeliveryView:
    """A delivery as shown on pages for recipients; its columns begin with `delivery_`. Raises `RowUnreadable`."""
    return DeliveryView(
        id=DeliveryId(row["delivery_id"]),
        message=show_message(row),
        forward_path=row["delivery_forward_path"],
        state=DeliveryState(row["delivery_state"]),
        delivered_at=from_ms_or_none(row["delivery_delivered_at"]),
    )
