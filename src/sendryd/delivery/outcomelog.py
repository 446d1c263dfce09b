"""Lines of the mail log for the outcomes of attempts."""

from datetime import datetime
from typing import Final

from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import DELIVERY_PREFIX, format_id
from sendryd.model.moment import timestamp
from sendryd.policy.replies.verdict import Verdict
from sendryd.runtime.maillog import MAX_REPLY, MailLog
from sendryd.store.base import Claim, ClaimedDelivery, Outcome

_WORDS: Final = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.BOUNCED: "bounced",
    DeliveryState.QUEUED: "deferred",
}  # what has expired is logged by upkeep, whoever finds it


def log_outcome(mail_log: MailLog, claim: Claim, delivery: ClaimedDelivery, verdict: Verdict, outcome: Outcome, now: datetime) -> None:
    """One line for one recipient: who said what, and where the time went."""
    word = _WORDS.get(outcome.state)
    if word is None or not mail_log.is_on:
        return
    relay = verdict.relay
    delay = max(0.0, (now - claim.message.waits_since).total_seconds())
    attempt, connect, handshake = (relay.duration_ms / 1000, relay.connect, relay.handshake) if relay is not None else (0.0, 0.0, 0.0)
    parts = (max(0.0, delay - attempt), connect, handshake, max(0.0, attempt - connect - handshake))
    fields: dict[str, object] = {
        "delivery": format_id(DELIVERY_PREFIX, delivery.id),
        "relay": str(relay) if relay is not None else None,
        "tls": (relay.tls or None) if relay is not None else None,
        "attempt": delivery.attempts + 1,
        "delay": round(delay, 3),
        "delays": [round(part, 3) for part in parts],
        "code": verdict.reply.code if verdict.reply is not None else None,
        "reply": outcome.reply[:MAX_REPLY],
        "enhanced": verdict.enhanced,
        "category": str(verdict.category),
    }
    if relay is not None and relay.source:
        fields["source"] = relay.source
    if outcome.due_at is not None:
        fields["next_attempt_at"] = timestamp(outcome.due_at)
    mail_log.outcome(word, claim.message, delivery.forward_path, fields)
