"""The timeline of a message: its events, the next tries and what webhooks were sent, in words. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from sendryd.model.delivery import DeliveryState
from sendryd.model.dialogue import PLACE, AttemptDialogue, DialogueLine, Speaker
from sendryd.model.event import Event, EventType
from sendryd.model.ids import EventId
from sendryd.model.message import Message
from sendryd.model.moment import timestamp
from sendryd.model.webhook import Notification, NotificationState
from sendryd.policy.explain.words import span
from sendryd.store.base import QueuedDelivery

MAX_ENTRIES: Final = 300  # the newest, beside the acceptance: a mail to a thousand has several thousand events
MAX_WAITING: Final = 20  # next tries, the soonest
MAX_DIALOGUES: Final = 50  # the newest: each may have a hundred lines
NO_DIALOGUE: Final = "The dialogue is not there any more."
_MACHINES: Final = {"scanner": "by a machine that checks links", "privacy_proxy": "by the mailbox provider, perhaps for the reader"}
_UNITS: Final = ((1024 * 1024, "MB"), (1024, "KB"))


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as pages print it."""

    stamp: str  # ISO 8601 in UTC
    text: str  # where no script makes it local


def moment_of(time: datetime) -> Moment:
    """A time to the second."""
    time = time.astimezone(UTC)
    return Moment(timestamp(time), f"{time.day} {time:%B} {time:%H:%M:%S} UTC")


def size_text(octets: int) -> str:
    """A size as people read it: `812 octets`, `5.2 KB`, `1.3 MB`."""
    for unit, name in _UNITS:
        if octets >= unit:
            return f"{octets / unit:.1f} {name}"
    return f"{octets} octets"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a dialogue."""

    is_ours: bool
    text: str
    is_refusal: bool = False
    took: str = ""  # since the try began
    is_note: bool = False


@dataclass(frozen=True, slots=True)
class Talk:
    """What was said with one server."""

    server: str
    tls: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A point of the timeline."""

    event: str  # the API's word; `waiting` and `webhook` for what is no event
    tone: str
    shape: str
    title: str
    at: datetime
    took: str = ""
    detail: str = ""
    recipient: str = ""  # empty if the message has only one
    talk: tuple[Line, ...] = ()
    dialogue: tuple[Talk, ...] = ()
    no_dialogue: str = ""  # why there is none
    moment: Moment = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "moment", moment_of(self.at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A notification about the message, and the address that it goes to."""

    notification: Notification
    url: str


def timeline(
    message: Message,
    events: Sequence[Event],
    deliveries: Sequence[QueuedDelivery],
    endpoints: Iterable[Endpoint],
    *,
    accepted_with: str,
    now: datetime,
    dialogues: Mapping[str, AttemptDialogue],
) -> tuple[Entry, ...]:
    """Entries, oldest first: the acceptance, the newest others, the next tries. `accepted_with` names the API key. `dialogues` are those of
    `list_places`, as far as they are kept; one that several recipients share is shown once.
    """
    shown = dict(list_places(events))
    is_single = len(deliveries) <= 1
    entries = [_accepted(message, accepted_with, len(deliveries))]
    for event in sorted(events, key=lambda event: event.id):
        if event.type is not EventType.QUEUED:
            entry = _entry(event, "" if is_single else event.recipient)
            place = shown.get(event.id)
            entries.append(_with_dialogue(entry, dialogues.get(place)) if place is not None else entry)
    entries += [_webhook(each) for each in endpoints]
    entries.sort(key=lambda entry: entry.at)
    waiting = sorted((each for each in deliveries if each.state is DeliveryState.QUEUED), key=lambda each: each.due_at)
    entries = entries[:1] + entries[1:][-MAX_ENTRIES:]
    return (*entries, *(_waiting(each, now, "" if is_single else each.forward_path) for each in waiting[:MAX_WAITING]))


def _accepted(message: Message, accepted_with: str, recipients: int) -> Entry:
    parts = [f"for {recipients:,} recipients" if recipients > 1 else "", accepted_with, size_text(message.size)]
    detail = ", ".join(part for part in parts if part)
    return Entry(
        event="queued", tone="ok", shape="ok", title="Accepted and stored", at=message.created_at, detail=detail[:1].upper() + detail[1:]
    )


def _entry(event: Event, recipient: str) -> Entry:
    tone, shape, title = _WORDS[event.type]
    found = event.metadata
    attempt = found.get("attempt")
    if isinstance(attempt, int) and event.type is not EventType.DELIVERED:
        title = f"Try {attempt}: {title[:1].lower()}{title[1:]}"
    if event.type is EventType.BOUNCED and found.get("reported") is True:
        title = "Bounced after it was delivered"
    took = found.get("duration_ms")
    has_reply = event.type is not EventType.DELIVERED
    return Entry(
        event=event.type.value,
        tone=tone,
        shape=shape,
        title=title,
        at=event.created_at,
        took=_took(took) if isinstance(took, int) and has_reply else "",
        detail=_detail(event),
        recipient=recipient,
        talk=_talk(event) if has_reply else (),
    )


_WORDS: Final = {
    EventType.QUEUED: ("ok", "ok", "Accepted and stored"),
    EventType.SENT: ("ok", "sending", "Taken by the receiving server"),
    EventType.DELIVERED: ("ok", "ok", "Delivered"),
    EventType.DEFERRED: ("slow", "slow", "Put off"),
    EventType.BOUNCED: ("bad", "bad", "Bounced"),
    EventType.FAILED: ("bad", "bad", "Given up"),
    EventType.SUPPRESSED: ("off", "off", "Not sent: the address is suppressed"),
    EventType.CANCELLED: ("off", "off", "Cancelled"),
    EventType.OPENED: ("ok", "eye", "Opened"),
    EventType.CLICKED: ("ok", "click", "Link followed"),
    EventType.COMPLAINED: ("abuse", "abuse", "Reported as spam"),
    EventType.UNSUBSCRIBED: ("off", "ban", "Unsubscribed"),
}


def _text(event: Event, name: str) -> str:
    value = event.metadata.get(name)
    return value if isinstance(value, str) else ""


def _detail(event: Event) -> str:
    match event.type:
        case EventType.DELIVERED:
            return ""
        case EventType.OPENED | EventType.CLICKED:
            machine = _MACHINES.get(_text(event, "opened_by") or _text(event, "clicked_by"), "")
            return ", ".join(part for part in (_text(event, "link"), machine, _text(event, "user_agent")) if part)
        case EventType.CANCELLED:
            by = _text(event, "by")
            return f"By {by}" if by else ""
        case EventType.SUPPRESSED | EventType.COMPLAINED | EventType.UNSUBSCRIBED:
            return _text(event, "reason").replace("_", " ").capitalize()
    if event.metadata.get("reported") is True:
        by = _text(event, "reported_by")
        return f"Reported by {by}" if by else "Reported by another server"
    host, address, tls = _text(event, "host"), _text(event, "address"), _text(event, "tls")
    server = f"{host} ({address})" if host and address and host != address else host or address
    doubt = "may arrive twice" if event.metadata.get("possibly_duplicate") is True else ""
    reason = "" if _text(event, "reply") else _text(event, "last_reason") or _text(event, "reason")
    source = _text(event, "source")
    left = f"from {source}" if source else ""
    return ", ".join(part for part in (server, (tls or "without TLS") if server else "", left, reason, doubt) if part)


def _talk(event: Event) -> tuple[Line, ...]:
    is_refusal = event.type in {EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED}
    return tuple(Line(is_ours=False, text=line, is_refusal=is_refusal) for line in _text(event, "reply").splitlines() if line)


def list_places(events: Iterable[Event]) -> list[tuple[EventId, str]]:
    """The events whose dialogues are shown, the newest first, and the places of these."""
    found: dict[str, EventId] = {}
    for event in sorted(events, key=lambda event: event.id, reverse=True):
        place = _text(event, PLACE)
        if place and event.type is not EventType.DELIVERED and place not in found and len(found) < MAX_DIALOGUES:
            found[place] = event.id
    return [(event_id, place) for place, event_id in found.items()]


def _with_dialogue(entry: Entry, dialogue: AttemptDialogue | None) -> Entry:
    if dialogue is None:
        return replace(entry, no_dialogue=NO_DIALOGUE)
    talks = tuple(
        Talk(f"{each.host} ({each.address}), port {each.port}", each.tls or "without TLS", tuple(map(_line, each.lines)))
        for each in dialogue.sessions
    )
    return replace(entry, dialogue=talks)


def _line(line: DialogueLine) -> Line:
    is_refusal = line.speaker is Speaker.THEM and line.text[:1] in {"4", "5"}
    is_note = line.speaker is Speaker.NOTE
    return Line(line.speaker is Speaker.US, line.text, is_refusal=is_refusal, took=f"{line.ms:,} ms", is_note=is_note)


def _took(milliseconds: int) -> str:
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.2f} s"


def _waiting(delivery: QueuedDelivery, now: datetime, recipient: str) -> Entry:
    was_tried = bool(delivery.attempts or delivery.last_reply)  # one that a server put off for reasons of its own is not counted
    title = "Next try" if was_tried else "First try"
    away = f"In {span(delivery.due_at - now)}" if delivery.due_at > now else "Now, as soon as it is its turn"
    return Entry(event="waiting", tone="go", shape="go", title=title, at=delivery.due_at, detail=away, recipient=recipient)


def _webhook(endpoint: Endpoint) -> Entry:
    notification = endpoint.notification
    answer = f"answered {notification.status_code}" if notification.status_code is not None else ""
    match notification.state:
        case NotificationState.DELIVERED:
            tone, title = "ok", f"Webhook got {notification.type.value}"
        case NotificationState.FAILED:
            tone, title = "bad", f"Webhook did not take {notification.type.value}"
        case _ if notification.attempts:
            tone, title = "slow", f"Webhook is tried again with {notification.type.value}"
        case _:
            tone, title = "go", f"Webhook is sent {notification.type.value}"
    tries = f"{notification.attempts} tries" if notification.attempts > 1 else ""
    return Entry(
        event="webhook",
        tone=tone,
        shape="hook",
        title=title,
        at=notification.delivered_at or notification.created_at,
        detail=", ".join(part for part in (endpoint.url, answer, tries) if part),
    )
