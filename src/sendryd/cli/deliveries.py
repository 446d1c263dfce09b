"""Deliveries as `sendryd queue` prints them, in the API's words. Pure."""

from collections.abc import Mapping
from typing import Final, Literal, assert_never

from typing_extensions import TypedDict

from sendryd.api.emails.schema import EmailEvent, EmailStatus, event_json
from sendryd.api.framework.answers import HasId
from sendryd.model.delivery import DeliveryState
from sendryd.model.dialogue import PLACE, AttemptDialogue, DialogueSession, Speaker
from sendryd.model.event import Event, EventType
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, format_id
from sendryd.model.moment import timestamp
from sendryd.store.base import QueuedDelivery

DeliveryWord = EmailStatus | Literal["held"]

_DeliveryFields = TypedDict("_DeliveryFields", {"from": str})  # a keyword, which a class cannot have as a field


class Delivery(HasId, _DeliveryFields):
    """A delivery: one message for one recipient, as JSON."""

    email_id: str
    recipient: str
    domain: str
    subject: str
    state: DeliveryWord
    attempts: int
    due_at: str
    created_at: str
    last_reply: str | None
    hold_reason: str | None
    crashes: int


_DialogueLineFields = TypedDict("_DialogueLineFields", {"from": Literal["us", "them", "note"]})


class DialogueLineJson(_DialogueLineFields):
    """A line of a dialogue, as it went over the wire."""

    ms: int  # since the attempt began
    text: str


class DialogueSessionJson(TypedDict):
    """What was said with one mail server."""

    host: str
    address: str
    port: int
    tls: str | None
    lines: list[DialogueLineJson]


class AttemptMade(EmailEvent):
    """An attempt: its event, and what was said as far as it is kept."""

    dialogue: list[DialogueSessionJson] | None


class ExplainedDelivery(Delivery):
    """A delivery with its attempts, and a sentence that says why it waits."""

    explanation: str
    attempts_made: list[AttemptMade]


def delivery_word(state: DeliveryState, attempts: int) -> DeliveryWord:
    """The public word of one delivery's state; `held` for operators."""
    match state:
        case DeliveryState.QUEUED:
            return "sending" if attempts else "queued"
        case DeliveryState.LEASED:
            return "sending"
        case DeliveryState.EXPIRED | DeliveryState.SUPPRESSED:
            return "failed"
        case DeliveryState.HELD:
            return "held"
        case DeliveryState.DELIVERED:
            return "delivered"
        case DeliveryState.BOUNCED:
            return "bounced"
        case DeliveryState.CANCELLED:
            return "cancelled"
    assert_never(state)


def delivery_json(delivery: QueuedDelivery) -> Delivery:
    """The JSON form of a delivery."""
    return {
        "id": format_id(DELIVERY_PREFIX, delivery.id),
        "email_id": format_id(MESSAGE_PREFIX, delivery.message.id),
        "from": delivery.message.author,
        "recipient": delivery.forward_path,
        "domain": delivery.domain,
        "subject": delivery.message.subject,
        "state": delivery_word(delivery.state, delivery.attempts),
        "attempts": delivery.attempts,
        "due_at": timestamp(delivery.due_at),
        "created_at": timestamp(delivery.created_at),
        "last_reply": delivery.last_reply or None,
        "hold_reason": delivery.hold_reason.value if delivery.hold_reason else None,
        "crashes": delivery.crashes,
    }


def place_of(event: Event) -> str:
    """The place where an attempt's dialogue is kept; empty if it is not."""
    place = event.metadata.get(PLACE)
    return place if isinstance(place, str) else ""


def explained_delivery_json(
    delivery: QueuedDelivery, explanation: str, events: list[Event], dialogues: Mapping[str, AttemptDialogue]
) -> ExplainedDelivery:
    """The JSON form of a delivery with its attempts, oldest first. `events` are its message's, newest first; `dialogues` are by place."""
    attempts: list[AttemptMade] = []
    for event in reversed(events):
        if event.delivery_id == delivery.id and "attempt" in event.metadata and event.type is not EventType.SENT:
            dialogue = dialogues.get(place_of(event))
            attempts.append({**event_json(event), "dialogue": [_session_json(each) for each in dialogue.sessions] if dialogue else None})
    return {**delivery_json(delivery), "explanation": explanation, "attempts_made": attempts}


def _session_json(session: DialogueSession) -> DialogueSessionJson:
    lines: list[DialogueLineJson] = [{"ms": line.ms, "from": _SPEAKERS[line.speaker], "text": line.text} for line in session.lines]
    return {"host": session.host, "address": session.address, "port": session.port, "tls": session.tls or None, "lines": lines}


_SPEAKERS: Final[Mapping[Speaker, Literal["us", "them", "note"]]] = {Speaker.US: "us", Speaker.THEM: "them", Speaker.NOTE: "note"}
