"""What `sendryd queue` shows of a delivery, from model values alone."""

from datetime import UTC, datetime

import pytest

from sendryd.cli.deliveries import delivery_json, delivery_word
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId, DeliveryId, MessageId
from sendryd.model.message import Message
from sendryd.store.base import QueuedDelivery

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MESSAGE = Message(
    id=MessageId(1),
    account_id=AccountId(1),
    api_key_id=None,
    mode=KeyMode.TEST,
    reverse_path="",
    author="a@example.test",
    to=("b@example.org",),
    cc=("c@example.org",),
    subject="s",
    internet_message_id="<1@example.test>",
    size=0,
    created_at=NOW,
    signing_domain_id=None,
    needs_smtputf8=False,
    is_8bit=False,
)


@pytest.mark.parametrize(
    ("state", "attempts", "word"),
    [
        (DeliveryState.QUEUED, 0, "queued"),
        (DeliveryState.QUEUED, 1, "sending"),
        (DeliveryState.LEASED, 0, "sending"),
        (DeliveryState.HELD, 0, "held"),
        (DeliveryState.DELIVERED, 1, "delivered"),
        (DeliveryState.BOUNCED, 1, "bounced"),
        (DeliveryState.EXPIRED, 9, "failed"),
        (DeliveryState.SUPPRESSED, 0, "failed"),
        (DeliveryState.CANCELLED, 0, "cancelled"),
    ],
)
def test_a_delivery_is_shown_in_public_words(state: DeliveryState, attempts: int, word: str) -> None:
    assert delivery_word(state, attempts) == word
    delivery = QueuedDelivery(
        id=DeliveryId(2),
        message=MESSAGE,
        forward_path="b@example.org",
        domain="example.org",
        state=state,
        attempts=attempts,
        due_at=NOW,
        created_at=NOW,
        last_reply="",
    )
    body = delivery_json(delivery)
    assert (body["id"], body["email_id"], body["state"]) == ("dlv_0000000000002", "em_0000000000001", word)
    assert body["last_reply"] is None
