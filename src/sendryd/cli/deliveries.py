"""Deliveries as `sendryd queue` prints them, in the API's words. Pure."""

from collections.abc import Mapping
from typing import Final, Literal, assert_never

from typing_extensions import TypedDict

from sendryd.api.emails.schema import EmailEvent, EmailStatus, event_json
from sendryd.api.framework.answers import HasId
from sendryd.model.delivery import DeliveryState
from sendryd.model.dialogue import PLACE, AttemptDialogue, Speaker
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
    copy: bool  # for an archive: the status of the message does not depend on it
    detour: str | None  # the way that `queue reroute` has given it: `pool:NAME` or `smarthost`


_DialogueLineFields = TypedDict("_DialogueLineFields", {"from": Literal["us", "them"]})


class DialogueLineJson(_DialogueLineFields):
    """A line of a dialogue, as it went over the wire; the arguments of AUTH are `***`."""

    ms: int  # since the attempt began
    line: str


class NoteJson(TypedDict):
    """What happened beside the wire: TLS was established, a connection failed, a content was sent."""

    ms: int  # since the attempt began
    before_line: int  # of the dialogue, counted from 0
    note: str


class ServerJson(TypedDict):
    """A mail server that an attempt spoke to, or tried to."""

    host: str
    address: str
    port: int
    tls: str | None
    first_line: int  # of the dialogue, counted from 0: this server's lines go up to the next server's first one
    notes: list[NoteJson]


class AttemptMade(EmailEvent):
    """An attempt: its event, and what was said as far as it is kept."""

    servers: list[ServerJson]
    dialogue: list[DialogueLineJson]


class ExplainedDelivery(Delivery):
    """A delivery with its attempts, and a sentence that says why it waits."""

    explanation: str
    site: str | None
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
        "created_at": timestamp(delivery.message.created_at),
        "last_reply": delivery.last_reply or None,
        "hold_reason": delivery.hold_reason.value if delivery.hold_reason else None,
        "crashes": delivery.crashes,
        "copy": delivery.is_copy,
        "detour": delivery.detour or None,
    }


def place_of(event: Event) -> str:
    """The place where an attempt's dialogue is kept; empty if it is not."""
    place = event.metadata.get(PLACE)
    return place if isinstance(place, str) else ""


def explained_delivery_json(
    delivery: QueuedDelivery, explanation: str, events: list[Event], dialogues: Mapping[str, AttemptDialogue], *, site: str = ""
) -> ExplainedDelivery:
    """The JSON form of a delivery with its attempts, oldest first. `events` are its message's, newest first; `dialogues` are by place; `site`
    is the one that its domain shares with others.
    """
    attempts: list[AttemptMade] = []
    for event in reversed(events):
        if event.delivery_id == delivery.id and not _TRIES.isdisjoint(event.metadata) and event.type is not EventType.SENT:
            attempts.append(_attempt_json(event, dialogues.get(place_of(event))))
    return {**delivery_json(delivery), "explanation": explanation, "site": site or None, "attempts_made": attempts}


_TRIES: Final = frozenset({"attempt", "waits"})  # one of them is in the metadata of an attempt, or of a wait without one


def _attempt_json(event: Event, dialogue: AttemptDialogue | None) -> AttemptMade:
    servers: list[ServerJson] = []
    lines: list[DialogueLineJson] = []
    for session in dialogue.sessions if dialogue else ():
        notes: list[NoteJson] = []
        servers.append(
            {
                "host": session.host,
                "address": session.address,
                "port": session.port,
                "tls": session.tls or None,
                "first_line": len(lines),
                "notes": notes,
            }
        )
        for said in session.lines:
            if said.speaker is Speaker.NOTE:
                notes.append({"ms": said.ms, "before_line": len(lines), "note": said.text})
            else:
                lines.append({"ms": said.ms, "from": "us" if said.speaker is Speaker.US else "them", "line": said.text})
    return {**event_json(event), "servers": servers, "dialogue": lines}


def dialogue_rows(attempt: AttemptMade) -> list[tuple[str, str]]:
    """What was said in an attempt, for a terminal: a row for each server, line and note, in order."""
    lines, servers = attempt["dialogue"], attempt["servers"]
    ends = [*(server["first_line"] for server in servers[1:]), len(lines)]
    rows: list[tuple[str, str]] = []
    for server, end in zip(servers, ends, strict=False):
        rows.append((f"{server['host']}[{server['address']}]:{server['port']}", server["tls"] or "without TLS"))
        for number in range(server["first_line"], end + 1):
            rows += [_row(note["ms"], f"· {note['note']}") for note in server["notes"] if note["before_line"] == number]
            if number < end:
                rows.append(_row(lines[number]["ms"], f"{_ARROWS[lines[number]['from']]} {lines[number]['line']}"))
    return rows


def _row(ms: int, text: str) -> tuple[str, str]:
    return f"{ms:>7} ms", text


_ARROWS: Final = {"us": "→", "them": "←"}
