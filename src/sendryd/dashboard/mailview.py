"""One mail as the slide-over and the whole page show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

from sendryd.accounts.explanations import explain_delivery, read_surroundings
from sendryd.dashboard.mailframe import FrameView, Link, frame_of
from sendryd.dashboard.mailparts import PartsView, read_parts, read_source
from sendryd.dashboard.release import source_of
from sendryd.dashboard.statuses import RANKS, SHAPES, StatusView, status_of, status_of_delivery
from sendryd.dashboard.timeline import MAX_ENTRIES, Endpoint, Entry, Moment, list_places, moment_of, size_text, timeline
from sendryd.dashboard.visit import Visit
from sendryd.dashboard.wayview import way_of
from sendryd.dashboard.webhookview import AttemptView, brief_attempt, shown_url, status_of_notification
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import Event, EventType
from sendryd.model.ids import (
    API_KEY_PREFIX,
    DELIVERY_PREFIX,
    MESSAGE_PREFIX,
    NOTIFICATION_PREFIX,
    TEMPLATE_PREFIX,
    TEST_MESSAGE_PREFIX,
    WEBHOOK_PREFIX,
    MessageId,
    format_id,
)
from sendryd.model.message import Message
from sendryd.policy.explain import Action, Explanation, Tone
from sendryd.policy.rights import Right
from sendryd.policy.tracking import SHARED_FOR
from sendryd.store.base import EventFilter, QueuedDelivery, QueueFilter

PARTS: Final = ("Timeline", "Preview", "Text", "Source", "Headers", "Attachments", "Webhooks")
MAX_EVENTS: Final = 1000
MAX_RECIPIENTS: Final = 1000  # read; a message has at most that many
SHOWN_RECIPIENTS: Final = 50
MAX_DIGITS: Final = 4  # of their number
MAX_NOTIFICATIONS: Final = 500  # the newest ones


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the facts."""

    name: str
    text: str
    moment: Moment | None = None
    is_code: bool = False
    href: str = ""


@dataclass(frozen=True, slots=True)
class RecipientView:
    """One recipient."""

    id: str  # of the delivery
    address: str
    status: StatusView
    sentence: str
    changes: "tuple[ChangeView, ...]"  # of this one alone


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A button that changes the mail."""

    path: str
    text: str
    question: str = ""  # asked first
    button: str = ""  # of the question
    wants_reason: bool = False
    is_harmless: bool = False  # its question is no warning
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationView:
    """What one endpoint got."""

    id: str
    path: str
    url: str
    event: str
    status: StatusView
    attempts: tuple[AttemptView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailView:
    """One mail."""

    id: str
    subject: str
    to: str
    author: str
    status: StatusView
    tone: str
    shape: str
    sentence: str
    advice: str
    detail: str
    links: tuple[Link, ...]
    facts: tuple[Fact, ...]
    tags: tuple[str, ...]
    recipients: tuple[RecipientView, ...]
    recipient_pages: tuple[Link, ...]
    tabs: tuple[Link, ...]
    part: str
    parts: PartsView
    frame: FrameView | None  # of its HTML; None unless it is shown
    entries: tuple[Entry, ...]
    is_cut: bool  # there are more events than entries
    webhooks: tuple[NotificationView, ...]
    changes: tuple[ChangeView, ...]


async def read_email(visit: Visit, message_id: MessageId, *, part: str, base: str, has_content: bool = True) -> EmailView | None:
    """The view of a message; None if the account has none with this id. `base` is the address of the page, to which tabs add `part`.

    Without `has_content` it leaves out the message's content, which never changes.
    """
    store, now = visit.needs.store, visit.needs.clock.now()
    summary = await store.get_message(visit.account_id, message_id)
    if summary is None:
        return None
    message = summary.message
    deliveries = await store.list_queue(QueueFilter(message_id=message_id), limit=MAX_RECIPIENTS)
    found = await store.list_events(visit.account_id, EventFilter(mode=message.mode, message_id=message_id), limit=MAX_EVENTS)
    key = next((each for each in await store.list_api_keys(visit.account_id) if each.id == message.api_key_id), None)
    key_name = key.name if key else ""
    endpoints = await _endpoints(visit, message_id)
    part = part if part in PARTS else PARTS[0]
    dialogues = await visit.needs.dialogues.read_dialogues(place for _, place in list_places(found.items)) if part == PARTS[0] else {}
    explained = await _explain(visit, deliveries, found.items, now)
    worst = explained[0][1] if explained else Explanation(Tone.OFF, "This mail has no recipients any more.")
    parts = await _read_part(visit, message, part) if has_content else PartsView()
    first = _first_recipient(visit)
    accepted_with = f"key {key_name}" if key_name else ""
    return EmailView(
        id=format_id(MESSAGE_PREFIX, message.id),
        subject=message.subject or "(no subject)",
        to=", ".join((*message.to, *message.cc)[:3]) + (" …" if len(message.to) + len(message.cc) > 3 else ""),
        author=message.author,
        status=status_of(summary, now),
        tone=worst.tone.value,
        shape=SHAPES[worst.tone],
        sentence=worst.sentence,
        advice=worst.advice,
        detail=worst.detail,
        links=_links(visit, worst.actions, explained[0][0] if explained else None, message),
        facts=_facts(message, key_name, way_of(message, key.mode if key else None, found.items, deliveries)),
        tags=tuple(f"{name}={value}" if value else name for name, value in message.tags),
        recipients=_recipients(visit, explained, first, found.items, now),
        recipient_pages=_recipient_pages(base, part, first, len(explained)),
        tabs=tuple(Link(name, base + urlencode({"part": name.lower()}), is_here=name == part) for name in PARTS),
        part=part,
        parts=parts,
        frame=await frame_of(visit, message, parts, base, now) if part == "Preview" and parts.has_html else None,
        entries=timeline(message, found.items, deliveries, endpoints, accepted_with=accepted_with, now=now, dialogues=dialogues),
        is_cut=found.has_more or len(found.items) > MAX_ENTRIES,
        webhooks=await _notifications(visit, endpoints) if part == "Webhooks" else (),
        changes=(*_sharing(visit, message), *_changes(visit, message, summary.states, now)),
    )


def part_of(text: str) -> str:
    """The part that an address names; the first one for any other text."""
    return next((name for name in PARTS if name.lower() == text.lower()), PARTS[0])


async def _read_part(visit: Visit, message: Message, part: str) -> PartsView:
    if part == "Source":
        return await read_source(visit, message)
    return await read_parts(visit, message, part) if part in {"Preview", "Text", "Headers", "Attachments"} else PartsView()


async def _endpoints(visit: Visit, message_id: MessageId) -> list[Endpoint]:
    store, account_id = visit.needs.store, visit.account_id
    ours = await store.list_notifications_of(account_id, message_id, limit=MAX_NOTIFICATIONS)
    webhooks = {number: await store.get_webhook(account_id, number) for number in {each.webhook_id for each in ours}}
    urls = {number: shown_url(visit, each.url, each.mode) if each else "a removed webhook" for number, each in webhooks.items()}
    return [Endpoint(notification=each, url=urls[each.webhook_id]) for each in reversed(ours)]


async def _notifications(visit: Visit, endpoints: Sequence[Endpoint]) -> tuple[NotificationView, ...]:
    """What endpoints were sent about the mail, with each attempt."""
    ids = [each.notification.id for each in endpoints]
    attempts = await visit.needs.store.list_webhook_attempts(visit.account_id, ids)
    return tuple(
        NotificationView(
            id=(public_id := format_id(NOTIFICATION_PREFIX, each.notification.id)),
            path=f"/webhooks/{format_id(WEBHOOK_PREFIX, each.notification.webhook_id)}?open={public_id}#{public_id}",
            url=each.url,
            event=each.notification.type.value,
            status=status_of_notification(each.notification),
            attempts=tuple(brief_attempt(one) for one in attempts.get(each.notification.id, ())),
        )
        for each in endpoints
    )


async def _explain(
    visit: Visit, deliveries: Sequence[QueuedDelivery], events: Sequence[Event], now: datetime
) -> list[tuple[QueuedDelivery, Explanation]]:
    """Each delivery with its sentence, the worst first."""
    by_delivery: dict[int | None, list[Event]] = {}
    for event in events:
        by_delivery.setdefault(event.delivery_id, []).append(event)
    lifetime = visit.needs.queue_lifetime
    around = await read_surroundings(visit.needs.store, {each.domain for each in deliveries}, now, of=deliveries)
    explained = [(each, explain_delivery(each, by_delivery.get(each.id, ()), now, lifetime=lifetime, around=around)) for each in deliveries]
    return sorted(explained, key=lambda pair: (RANKS[pair[1].tone], pair[0].id))


def _status(delivery: QueuedDelivery, *, is_complained: bool, now: datetime) -> StatusView:
    scheduled_at = delivery.message.scheduled_at
    return status_of_delivery(delivery.state, attempts=delivery.attempts, is_complained=is_complained, scheduled_at=scheduled_at, now=now)


def _facts(message: Message, key_name: str, way: tuple[str, str]) -> tuple[Fact, ...]:
    facts = [Fact("Accepted", "", moment_of(message.created_at)), Fact("Size", size_text(message.size))]
    if message.api_key_id is not None:
        key_id = format_id(API_KEY_PREFIX, message.api_key_id)
        facts.append(Fact("Key", key_name or key_id, href="/emails?" + urlencode({"q": f"key:{key_id}"})))
    if way[0]:
        facts.append(Fact(*way))
    if message.scheduled_at is not None:
        facts.append(Fact("Scheduled", "", moment_of(message.scheduled_at)))
    if message.template_id is not None:
        facts.append(Fact("Template", format_id(TEMPLATE_PREFIX, message.template_id), is_code=True))
    if (source := source_of(message.tags)) is not None:
        facts.append(Fact("Released from", text := format_id(TEST_MESSAGE_PREFIX, source), href=f"/test?open={text}"))
    facts.append(Fact("Message-ID", message.internet_message_id, is_code=True))
    return tuple(facts)


def _links(visit: Visit, actions: Sequence[Action], delivery: QueuedDelivery | None, message: Message) -> tuple[Link, ...]:
    """The actions that are pages, as far as there are these pages."""
    sender = message.author.rpartition("@")[2].rstrip("> ").lower()
    targets: dict[Action, tuple[str, str]] = {
        Action.CHECK: ("/health", "/health"),
        Action.HEALTH: ("/health", "/health"),
        Action.SHOW_EDIT: ("/domains/{name}", f"/domains/{quote(sender)}"),
        Action.SHOW_RULE: ("/domains/{name}", f"/domains/{quote(sender)}"),
        Action.VERIFY: ("/domains/{name}", f"/domains/{quote(sender)}"),
        Action.SMTP_LOG: ("/log/smtp", "/log/smtp"),
        Action.OPEN_TEST: ("/test", f"/test?open={format_id(TEST_MESSAGE_PREFIX, message.id)}"),
    }
    if delivery is not None:
        targets[Action.OPEN_QUEUE] = ("/queue/{domain}", f"/queue/{quote(delivery.domain)}")
        targets[Action.LIFT] = ("/suppressions", "/suppressions?" + urlencode({"q": delivery.forward_path}))
    wanted = [(action, *targets[action]) for action in actions if action in targets]
    return tuple(Link(action.value, href) for action, path, href in wanted if path in visit.needs.paths)


def _recipients(
    visit: Visit, explained: Sequence[tuple[QueuedDelivery, Explanation]], first: int, events: Sequence[Event], now: datetime
) -> tuple[RecipientView, ...]:
    complained = {event.delivery_id for event in events if event.type is EventType.COMPLAINED}
    return tuple(
        RecipientView(
            format_id(DELIVERY_PREFIX, each.id),
            each.forward_path,
            _status(each, is_complained=each.id in complained, now=now),
            words.sentence,
            (
                *(_changes(visit, each.message, {each.state: 1}, now) if len(explained) > 1 else ()),
                *_suppressing(visit, each.message, words),
            ),
        )
        for each, words in explained[first : first + SHOWN_RECIPIENTS]
    )


def _first_recipient(visit: Visit) -> int:
    """How many recipients, worse ones, come before those that the address asks for."""
    text = visit.query("recipients")
    return int(text) // SHOWN_RECIPIENTS * SHOWN_RECIPIENTS if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS else 0


def _recipient_pages(base: str, part: str, first: int, total: int) -> tuple[Link, ...]:
    """Links to the other recipients, some at a time."""
    starts = [
        ("Worse ones", first - SHOWN_RECIPIENTS),
        (f"{total - first - SHOWN_RECIPIENTS:,} more, none worse", first + SHOWN_RECIPIENTS),
    ]
    return tuple(Link(text, base + urlencode({"part": part.lower(), "recipients": start})) for text, start in starts if 0 <= start < total)


def _suppressing(visit: Visit, message: Message, words: Explanation) -> tuple[ChangeView, ...]:
    """The change that ends all mail to a recipient, unless it has ended."""
    if not visit.me.may(Right.WORK) or message.mode is not KeyMode.LIVE or Action.LIFT in words.actions:
        return ()
    return (ChangeView(f"/emails/{format_id(MESSAGE_PREFIX, message.id)}/suppress", "Suppress"),)


def _sharing(visit: Visit, message: Message) -> tuple[ChangeView, ...]:
    if not visit.me.may(Right.WORK):
        return ()
    hours = SHARED_FOR // timedelta(hours=1)
    question = f"Whoever has the link can read the mail for {hours} hours. It cannot be withdrawn."
    return (ChangeView(f"/emails/{format_id(MESSAGE_PREFIX, message.id)}/share", "Share", question, "Make the link", is_harmless=True),)


def _changes(visit: Visit, message: Message, states: Mapping[DeliveryState, int], now: datetime) -> tuple[ChangeView, ...]:
    me = visit.me
    path, is_live = f"/emails/{format_id(MESSAGE_PREFIX, message.id)}", message.mode is KeyMode.LIVE
    queued, held = states.get(DeliveryState.QUEUED, 0), states.get(DeliveryState.HELD, 0)
    changes: list[ChangeView] = []
    if held and is_live and me.may(Right.ADMINISTER):
        changes.append(ChangeView(f"{path}/release", "Release"))
    if queued and is_live and me.may(Right.ADMINISTER):
        question = "It waits until somebody releases it."
        changes.append(ChangeView(f"{path}/hold", "Hold", question, "Hold the mail", wants_reason=True))
    if (queued or held) and me.may(Right.WORK):
        number = queued + held
        whom = "its recipient" if number == 1 else f"{number:,} recipients"
        changes.append(
            ChangeView(f"{path}/cancel", "Cancel", f"The mail will not be sent to {whom}. This cannot be undone.", "Cancel the mail")
        )
    if queued and is_live and me.may(Right.WORK):
        is_later = message.scheduled_at is not None and message.scheduled_at > now
        changes.append(ChangeView(f"{path}/try", "Send now" if is_later else "Try now", key="r"))
    return tuple(changes)
