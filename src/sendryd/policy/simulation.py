"""Simulated outcomes: a test key's mail to an address of the test domain gets the outcome in its name. Pure.

`bounced@sendryd.test` bounces, `opened@sendryd.test` is delivered and opened, and so on; `bounced+anything@sendryd.test` does the same. The
domain is under `.test` (RFC 6761 §6.2), so no mail can ever really go there.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType, Metadata

TEST_DOMAIN: Final = "sendryd.test"
_CAPTURED: Final = {"captured": True}
_REFUSED: Final = {
    "captured": True,
    "code": 550,
    "enhanced_code": "5.1.1",
    "reply": "550 5.1.1 The mailbox does not exist (simulated)",
    "reason": "The mailbox does not exist (simulated)",
    "category": "invalid_recipient",
    "bounce_type": "hard",
}
_DEFERRED: Final = {
    "captured": True,
    "code": 451,
    "enhanced_code": "4.2.1",
    "reply": "451 4.2.1 Try again later (simulated)",
    "reason": "Try again later (simulated)",
    "category": "greylisted",
}
_LINK: Final = "https://example.com/"


@dataclass(frozen=True, slots=True)
class Scenario:
    """The simulated outcome of a captured delivery: the events after `queued`, in order, and its final state."""

    state: DeliveryState
    events: tuple[tuple[EventType, Metadata], ...]


_DELIVERED: Final = ((EventType.SENT, _CAPTURED), (EventType.DELIVERED, _CAPTURED))
CAPTURED: Final = Scenario(DeliveryState.DELIVERED, _DELIVERED)
SCENARIOS: Final = MappingProxyType(
    {
        "delivered": CAPTURED,
        "bounced": Scenario(DeliveryState.BOUNCED, ((EventType.BOUNCED, _REFUSED),)),
        "deferred": Scenario(DeliveryState.DELIVERED, ((EventType.DEFERRED, _DEFERRED), *_DELIVERED)),
        "complained": Scenario(
            DeliveryState.DELIVERED, (*_DELIVERED, (EventType.COMPLAINED, {**_CAPTURED, "complaint_feedback_type": "abuse"}))
        ),
        "opened": Scenario(DeliveryState.DELIVERED, (*_DELIVERED, (EventType.OPENED, {**_CAPTURED, "opened_by": "person"}))),
        "clicked": Scenario(
            DeliveryState.DELIVERED,
            (
                *_DELIVERED,
                (EventType.OPENED, {**_CAPTURED, "opened_by": "person"}),
                (EventType.CLICKED, {**_CAPTURED, "clicked_by": "person", "link": _LINK}),
            ),
        ),
        "unsubscribed": Scenario(DeliveryState.DELIVERED, (*_DELIVERED, (EventType.UNSUBSCRIBED, _CAPTURED))),
        "suppressed": Scenario(DeliveryState.SUPPRESSED, ((EventType.SUPPRESSED, {**_CAPTURED, "reason": "manual"}),)),
        "failed": Scenario(DeliveryState.EXPIRED, ((EventType.FAILED, {**_CAPTURED, "reason": "expired"}),)),
    }
)

# What somebody can play on captured mail afterwards: one fact each.
PLAYED: Final = MappingProxyType(
    {
        "bounce": Scenario(DeliveryState.BOUNCED, ((EventType.BOUNCED, _REFUSED),)),
        "complaint": Scenario(DeliveryState.DELIVERED, (SCENARIOS["complained"].events[-1],)),
        "open": Scenario(DeliveryState.DELIVERED, (SCENARIOS["opened"].events[-1],)),
        "click": Scenario(DeliveryState.DELIVERED, (SCENARIOS["clicked"].events[-1],)),
    }
)


def scenario_for(forward_path: str) -> Scenario:
    """The simulated outcome for an address; addresses outside the test domain are delivered."""
    local_part, _, domain = forward_path.rpartition("@")
    if domain.lower() != TEST_DOMAIN:
        return CAPTURED
    return SCENARIOS.get(local_part.partition("+")[0].lower(), CAPTURED)
