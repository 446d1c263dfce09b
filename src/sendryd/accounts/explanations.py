"""The facts about a delivery that its row and its events hold, for the plain sentence."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import Event, EventType
from sendryd.policy.explain import Attempt, Complaint, Explanation, Facts, Hold, Lane, Suppressed, explain
from sendryd.policy.replies.verdict import Category
from sendryd.store.base import PausedDestination, QueuedDelivery

_OUTCOMES: Final = frozenset({EventType.DEFERRED, EventType.BOUNCED, EventType.DELIVERED, EventType.FAILED})
_ENDINGS: Final = frozenset({EventType.BOUNCED, EventType.FAILED, EventType.CANCELLED, EventType.SUPPRESSED})
_CAUSES: Final[Mapping[str, str]] = {
    "hard_bounce": "a hard bounce",
    "complaint": "a complaint",
    "unsubscribe": "unsubscribing",
    "manual": "an entry by hand",
}


def explain_delivery(
    delivery: QueuedDelivery,
    events: Iterable[Event],
    now: datetime,
    *,
    lifetime: timedelta,
    paused: Iterable[PausedDestination] = (),
) -> Explanation:
    """What happens to a delivery and why.

    `events` are its message's, in any order; those of other recipients are left out. `lifetime` is how long the queue keeps mail.
    """
    return explain(facts_of(delivery, events, now, lifetime=lifetime, paused=paused))


def facts_of(
    delivery: QueuedDelivery,
    events: Iterable[Event],
    now: datetime,
    *,
    lifetime: timedelta,
    paused: Iterable[PausedDestination] = (),
) -> Facts:
    """The facts of a delivery that are stored."""
    message = delivery.message
    own = sorted((each for each in events if each.delivery_id == delivery.id), key=lambda each: each.id)
    latest = {each.type: each for each in own}
    delivered, complained = latest.get(EventType.DELIVERED), latest.get(EventType.COMPLAINED)
    outcomes = [each for each in own if each.type in _OUTCOMES and "category" in each.metadata]
    endings = [each for each in own if each.type in _ENDINGS]
    recipient_domain = delivery.forward_path.rpartition("@")[2].lower()
    return Facts(
        recipient=delivery.forward_path,
        domain=recipient_domain,
        sender_domain=message.author.rpartition("@")[2].rstrip("> ").lower(),
        state=delivery.state,
        now=now,
        due_at=delivery.due_at,
        attempts=delivery.attempts,
        scheduled_at=message.scheduled_at,
        expires_at=message.waits_since + lifetime,
        accepted_at=message.created_at,
        delivered_at=delivered.created_at if delivered else None,
        ended_at=endings[-1].created_at if endings else None,
        last=_attempt(outcomes) if outcomes else None,
        hold=_hold(delivery) if delivery.state is DeliveryState.HELD else None,
        lane=Lane(paused_by=next((each.by for each in paused if each.domain == delivery.domain), "")),
        suppressed=_suppressed(latest.get(EventType.SUPPRESSED)),
        complaint=Complaint(at=complained.created_at) if complained else None,
        size=message.size,
        is_captured=message.mode is KeyMode.TEST,
    )


def _attempt(outcomes: list[Event]) -> Attempt:
    """The last attempt that said why. An expired delivery's cause is the one before."""
    last = outcomes[-1]
    found = last.metadata
    if found["category"] == Category.EXPIRED and len(outcomes) > 1:
        found = outcomes[-2].metadata
    return Attempt(
        category=Category(_text(found, "category")),
        at=last.created_at,
        reply=_text(found, "reply") or _text(found, "reason"),
        enhanced=_text(found, "enhanced_code"),
        host=_text(found, "host"),
        address=_text(found, "address"),
        is_in_doubt=found.get("possibly_duplicate") is True,
    )


def _hold(delivery: QueuedDelivery) -> Hold:
    reason = delivery.hold_reason or HoldReason.OPERATOR
    damaged = reason in {HoldReason.CONTENT_DAMAGED, HoldReason.SIGNING_KEY_DAMAGED}
    return Hold(reason=reason, note=delivery.last_reply.removeprefix("Held: ") if damaged else "", crashes=delivery.crashes)


def _suppressed(event: Event | None) -> Suppressed | None:
    if event is None:
        return None
    reason = _text(event.metadata, "reason")
    return Suppressed(since=event.created_at, cause=_CAUSES.get(reason, reason.replace("_", " ") or "an entry in the list"))


def _text(metadata: Mapping[str, object], name: str) -> str:
    value = metadata.get(name)
    return value if isinstance(value, str) else ""
