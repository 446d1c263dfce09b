"""From what was said of a recipient to what is stored of its delivery. Pure."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sendryd.delivery.transport import NO_OPENING, Connection, DeliveryFault, Opening, Target
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import EventId, SuppressionId
from sendryd.model.moment import timestamp
from sendryd.model.suppression import SuppressionReason
from sendryd.policy.classify import Category, Disposition, Kind, NetworkFailure, Scope, classify
from sendryd.policy.retry import GiveUp, RetryAt
from sendryd.policy.suppress import normalise_address
from sendryd.smtp.reply import Reply
from sendryd.smtp.timeouts import Step
from sendryd.store.base import ClaimedDelivery, NewEvent, NewSuppression, Outcome
from sendryd.valuetype import valuetype

HARD: Final = "hard"
SOFT: Final = "soft"
_HARD_CATEGORIES: Final = frozenset({Category.INVALID_RECIPIENT, Category.INACTIVE_MAILBOX, Category.BAD_DOMAIN})


@valuetype(frozen=True, slots=True)
class Verdict:
    """What one attempt came to for one recipient."""

    disposition: Disposition
    reply: Reply | None = None
    host: str = ""
    address: str = ""
    port: int = 0
    tls: str = ""  # version, empty in clear text
    duration_ms: int = 0
    opening: Opening = NO_OPENING  # what opening the connection took, if it was opened for this attempt
    retry_in: timedelta | None = None  # when to try again after a deferral, if not as the retry plan says


def local_verdict(kind: Kind, category: Category, enhanced: str, sentence: str) -> Verdict:
    """A verdict that we came to ourselves, without asking a receiving server."""
    return Verdict(Disposition(kind=kind, scope=Scope.MESSAGE, category=category, enhanced=enhanced, sentence=sentence))


def judge(
    reply: Reply | NetworkFailure, step: Step, target: Target, connection: Connection | None, ms: int, *, is_alone: bool = True
) -> Verdict:
    """The verdict on a reply, or on a failure without one. `is_alone`: it was said of one recipient."""
    return Verdict(
        disposition=classify(reply, step=step, is_alone=is_alone),
        reply=reply if isinstance(reply, Reply) else None,
        host=target.host,
        address=target.address,
        port=target.port,
        tls=connection.tls.version if connection and connection.tls else "",
        duration_ms=ms,
        opening=connection.opening if connection and connection.messages_sent <= 1 else NO_OPENING,
    )


def judge_fault(fault: DeliveryFault, target: Target, connection: Connection | None, ms: int) -> Verdict:
    """The verdict on an attempt that broke."""
    return judge(fault.failure, fault.step, target, connection, ms)


def judge_unsent(fault: DeliveryFault, target: Target, connection: Connection | None, ms: int) -> Verdict:
    """The verdict on a recipient whose transaction was still to come when the connection broke: it cannot have the message."""
    return judge(fault.failure, Step.MAIL if fault.is_in_doubt else fault.step, target, connection, ms)


def make_outcome(delivery: ClaimedDelivery, verdict: Verdict, retry: RetryAt | GiveUp | None, next_id: Callable[[], int]) -> Outcome:
    """What is stored. `retry` belongs to a deferral."""
    disposition = verdict.disposition
    metadata: dict[str, object] = {"attempt": delivery.attempts + 1, "category": disposition.category.value}
    if verdict.host:
        metadata |= {"host": verdict.host, "address": verdict.address, "tls": verdict.tls or None}
        metadata["duration_ms"] = verdict.duration_ms
    if verdict.reply is not None:
        metadata |= {"code": verdict.reply.code, "reply": str(verdict.reply)}
    metadata |= {"enhanced_code": disposition.enhanced, "reason": disposition.sentence}
    if delivery.is_in_doubt:
        metadata["possibly_duplicate"] = True
    due_at: datetime | None = None
    types: tuple[EventType, ...]
    match disposition.kind:
        case Kind.DELIVERED:
            state, types = DeliveryState.DELIVERED, (EventType.SENT, EventType.DELIVERED)
        case Kind.BOUNCED:
            state, types = DeliveryState.BOUNCED, (EventType.BOUNCED,)
            metadata["bounce_type"] = HARD if disposition.category in _HARD_CATEGORIES else SOFT
        case Kind.DEFERRED if isinstance(retry, RetryAt):
            state, types = DeliveryState.QUEUED, (EventType.DEFERRED,)
            due_at = retry.moment
            metadata["retry_at"] = timestamp(due_at)
        case _:  # deferred for the last time
            state, types = DeliveryState.EXPIRED, (EventType.FAILED,)
            metadata |= {"reason": "expired", "last_reason": disposition.sentence, "category": Category.EXPIRED.value}
            if verdict.host:
                metadata["port"] = verdict.port  # the mail log learns of it by this event alone
    return Outcome(
        delivery_id=delivery.id,
        state=state,
        due_at=due_at,
        reply=str(verdict.reply) if verdict.reply else disposition.sentence,
        events=tuple(NewEvent(id=EventId(next_id()), type=each, metadata=metadata) for each in types),
        leaves_doubt=disposition.is_in_doubt,
        suppression=_suppression(delivery, next_id) if disposition.suppresses else None,
    )


def _suppression(delivery: ClaimedDelivery, next_id: Callable[[], int]) -> NewSuppression:
    email = normalise_address(delivery.forward_path)
    return NewSuppression(id=SuppressionId(next_id()), email=email, reason=SuppressionReason.HARD_BOUNCE)
