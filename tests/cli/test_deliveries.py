"""What `sendryd queue` shows of a delivery, from model values alone."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sendryd.cli.deliveries import delivery_json, delivery_word, dialogue_rows, explained_delivery_json
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.dialogue import AttemptDialogue, DialogueSession, Speaker, Spoken
from sendryd.model.event import Event, EventType
from sendryd.model.ids import AccountId, DeliveryId, EventId, MessageId
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


def queued(state: DeliveryState, attempts: int) -> QueuedDelivery:
    return QueuedDelivery(
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
    body = delivery_json(queued(state, attempts))
    assert (body["id"], body["email_id"], body["state"]) == ("dlv_0000000000002", "em_0000000000001", word)
    assert body["last_reply"] is None


def test_an_attempts_lines_are_flat_and_its_servers_and_notes_stand_beside_them() -> None:
    first = DialogueSession(
        host="mx1.example.org",
        address="192.0.2.1",
        port=25,
        tls="",
        spoken=(Spoken(1, Speaker.NOTE, b"connected"), Spoken(3, Speaker.THEM, b"421 4.3.2 Busy\r\n"), Spoken(4, Speaker.NOTE, b"closed")),
    )
    second = replace(
        first, host="mx2.example.org", spoken=(Spoken(9, Speaker.THEM, b"220 Hello\r\n"), Spoken(9, Speaker.US, b"EHLO us\r\n"))
    )
    event = Event(
        id=EventId(3),
        message_id=MESSAGE.id,
        delivery_id=DeliveryId(2),
        type=EventType.DEFERRED,
        recipient="b@example.org",
        metadata={"attempt": 1, "dialogue": "place"},
        created_at=NOW,
    )
    events = [replace(event, id=EventId(4), metadata={"attempt": 2}), event]
    shown = explained_delivery_json(
        queued(DeliveryState.QUEUED, 2), "Waits.", events, {"place": AttemptDialogue(began_at=NOW, sessions=(first, second))}
    )
    kept, not_kept = shown["attempts_made"]
    assert kept["dialogue"] == [
        {"ms": 3, "from": "them", "line": "421 4.3.2 Busy"},
        {"ms": 9, "from": "them", "line": "220 Hello"},
        {"ms": 9, "from": "us", "line": "EHLO us"},
    ]
    assert [(server["host"], server["first_line"]) for server in kept["servers"]] == [("mx1.example.org", 0), ("mx2.example.org", 1)]
    assert kept["servers"][0]["notes"] == [{"ms": 1, "before_line": 0, "note": "connected"}, {"ms": 4, "before_line": 1, "note": "closed"}]
    assert (not_kept["servers"], not_kept["dialogue"]) == ([], [])
    assert [text for _, text in dialogue_rows(kept)] == [
        "without TLS", "· connected", "← 421 4.3.2 Busy", "· closed", "without TLS", "← 220 Hello", "→ EHLO us",
    ]  # fmt: skip
    assert dialogue_rows(not_kept) == []
