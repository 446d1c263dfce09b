"""Deliveries as rows, and back."""

from dataclasses import replace

import pytest

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.message import MessageClass
from sendryd.store.base import Outcome
from sendryd.store.codec.deliveries import MAX_REPLY, delivery_row, outcome_row, read_claimed, read_queued
from sendryd.store.codec.messages import message_row
from sendryd.store.errors import RowUnreadable
from sendryd.testing.samples import ACCOUNT, Samples

CLAIMED = {
    "id": 1,
    "message_id": 2,
    "forward_path": "a@one.test",
    "domain": "one.test",
    "attempts": 3,
    "is_in_doubt": 1,
    "notify": None,
    "orcpt": "rfc822;a@one.test",
    "last_reply": "450 later",
    "class": "otp",
    "detour": None,
}


@pytest.mark.parametrize("priority", list(MessageClass))
def test_a_new_delivery_has_the_account_and_class_of_its_message(priority: MessageClass) -> None:
    new = replace(Samples().message(), priority=priority)
    row = delivery_row(new, new.deliveries[0])
    assert (row["account_id"], row["class"], row["site"], row["lease_token"]) == (ACCOUNT, priority.value, None, None)


def test_a_reply_is_kept_to_a_length() -> None:
    outcome = Outcome(
        delivery_id=Samples().message().deliveries[0].id, state=DeliveryState.BOUNCED, due_at=None, reply="x" * 5000, events=()
    )
    row = outcome_row(outcome, 5)
    assert (len(row["reply"]), row["delivered_at"], row["is_attempt"]) == (MAX_REPLY, None, 1)


@pytest.mark.parametrize(
    "damage", [{"forward_path": "a@other.test"}, {"forward_path": "a"}, {"attempts": "3"}, {"last_reply": None}, {"notify": 1}]
)
def test_a_delivery_that_contradicts_itself_is_not_attempted(damage: dict[str, object]) -> None:
    assert read_claimed(CLAIMED).last_reply == "450 later"
    with pytest.raises(RowUnreadable):
        read_claimed({**CLAIMED, **damage})


@pytest.mark.parametrize(
    ("state", "stored", "shown"),
    [
        ("held", None, HoldReason.OPERATOR),
        ("held", "crashes", HoldReason.CRASHES),
        ("held", "novel", HoldReason.OPERATOR),
        ("queued", "released", None),
    ],
)
def test_only_what_is_held_has_a_reason(state: str, stored: str | None, shown: HoldReason | None) -> None:
    new = Samples().message()
    delivery = {
        **CLAIMED,
        "state": state,
        "hold_reason": stored,
        "hold_note": None,
        "due_at": 1,
        "created_at": 1,
        "crashes": 0,
        "is_copy": 0,
    }
    found = read_queued({**message_row(new.message), **{f"delivery_{name}": value for name, value in delivery.items()}})
    assert (found.hold_reason, found.message) == (shown, new.message)
