"""From the verdict on a recipient to what the store records of its delivery: the outcome, with its events and its suppression. Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from sendryd.model.delivery import DeliveryState
from sendryd.model.dialogue import PLACE
from sendryd.model.event import EventType
from sendryd.model.ids import EventId, SuppressionId
from sendryd.model.moment import timestamp
from sendryd.model.suppression import SuppressionReason
from sendryd.policy.address_key import normalise_address
from sendryd.policy.replies.verdict import Category, Kind, Verdict, bounce_type
from sendryd.policy.retry import GiveUp, RetryAt
from sendryd.policy.tls import TlsSecurity
from sendryd.store.base import ClaimedDelivery, NewEvent, NewSuppression, Outcome
from sendryd.valuetype import valuetype


@valuetype(frozen=True, slots=True)
class Tries:
    """The sessions of an attempt."""

    hosts: tuple[str, ...] = ()  # each once, in order
    dialogue: str = ""  # the place where what was said is kept


NO_TRIES: Final = Tries()


def make_outcome(
    delivery: ClaimedDelivery, verdict: Verdict, retry: RetryAt | GiveUp | None, next_id: Callable[[], int], tries: Tries = NO_TRIES
) -> Outcome:
    """What is stored. `retry` belongs to a deferral."""
    relay, reply = verdict.relay, str(verdict.reply) if verdict.reply else ""
    metadata = _metadata(delivery, verdict, reply)
    if tries.dialogue:
        metadata[PLACE] = tries.dialogue
    if len(tries.hosts) > 1:
        metadata["tried"] = list(tries.hosts)
    due_at: datetime | None = None
    types: tuple[EventType, ...]
    match verdict.kind:
        case Kind.DELIVERED:
            state, types = DeliveryState.DELIVERED, (EventType.SENT, EventType.DELIVERED)
        case Kind.BOUNCED:
            state, types = DeliveryState.BOUNCED, (EventType.BOUNCED,)
            metadata["bounce_type"] = bounce_type(verdict.category)
        case Kind.DEFERRED if isinstance(retry, RetryAt):
            state, types = DeliveryState.QUEUED, (EventType.DEFERRED,)
            due_at = retry.moment
            metadata["retry_at"] = timestamp(due_at)
        case _:  # deferred for the last time
            state, types = DeliveryState.EXPIRED, (EventType.FAILED,)
            metadata |= {"reason": "expired", "last_reason": verdict.sentence, "category": Category.EXPIRED.value}
            if relay is not None:
                metadata["port"] = relay.port  # the mail log learns of it by this event alone
    if state is DeliveryState.QUEUED and _was_said(delivery, verdict):
        types = ()  # one event for each reason, however long it holds
    return Outcome(
        delivery_id=delivery.id,
        state=state,
        due_at=due_at,
        is_attempt=not verdict.waits and not is_throttled(verdict),
        reply=reply or verdict.sentence,
        events=tuple([NewEvent(id=EventId(next_id()), type=each, metadata=metadata) for each in types]),
        leaves_doubt=verdict.is_in_doubt,
        suppression=_suppression(delivery, next_id) if verdict.suppresses else None,
    )


def _was_said(delivery: ClaimedDelivery, verdict: Verdict) -> bool:
    """Whether it waits, or is throttled, for the reason that the event before has told. Ids and times in a reply are no other reason."""
    if verdict.waits:
        return delivery.last_reply == verdict.sentence
    return is_throttled(verdict) and _told(delivery.last_reply) == _told(str(verdict.reply))


def _told(reply: str) -> tuple[str, list[str]]:
    """The code of a reply, and its words without a digit."""
    return reply[:3], [word for word in reply.split() if not any(map(str.isdigit, word))]


def is_throttled(verdict: Verdict) -> bool:
    """The server takes the mail later and at a slower rate: no failed attempt."""
    return verdict.kind is Kind.DEFERRED and verdict.category is Category.RATE_LIMITED and verdict.reply is not None


def _metadata(delivery: ClaimedDelivery, verdict: Verdict, reply: str) -> dict[str, object]:
    """What every event of an attempt has."""
    metadata: dict[str, object] = {"waits": True} if verdict.waits else {"attempt": delivery.attempts + 1}
    metadata["category"] = str(verdict.category)
    relay = verdict.relay
    if relay is not None:
        metadata |= {"host": relay.host, "address": relay.address, "tls": relay.tls or None, "duration_ms": relay.duration_ms}
        if relay.source:
            metadata["source"] = relay.source
        if relay.will_report:
            metadata["will_report"] = True
    if verdict.reply is not None:
        metadata |= {"code": verdict.reply.code, "reply": reply}
    metadata |= {"enhanced_code": verdict.enhanced, "reason": verdict.sentence}
    metadata["tls_security"] = str(verdict.unmet or (relay.security if relay is not None else TlsSecurity.NONE))
    if verdict.unmet is not None:
        metadata["policy_unmet"] = True
    if delivery.is_in_doubt:
        metadata["possibly_duplicate"] = True
    return metadata


def _suppression(delivery: ClaimedDelivery, next_id: Callable[[], int]) -> NewSuppression:
    email = normalise_address(delivery.forward_path)
    return NewSuppression(id=SuppressionId(next_id()), email=email, reason=SuppressionReason.HARD_BOUNCE)
