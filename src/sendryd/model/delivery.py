"""A delivery: one message for one forward-path, its states and the allowed transitions.

`TRANSITIONS` is the whole life cycle; the databases enforce the same table by a trigger, and a test compares the two.
"""

from enum import StrEnum
from typing import Final


class DeliveryState(StrEnum):
    """The state of a delivery."""

    QUEUED = "queued"  # waits for its due time
    LEASED = "leased"  # a worker holds it: an attempt is starting or under way
    HELD = "held"  # stopped until it is released; `HoldReason` says why
    DELIVERED = "delivered"  # the next hop answered 250, or it is in the Test Inbox
    BOUNCED = "bounced"  # refused permanently, or returned by an operator
    EXPIRED = "expired"  # older than the maximum queue age
    SUPPRESSED = "suppressed"  # the address is suppressed
    CANCELLED = "cancelled"  # stopped by the account or an operator


class HoldReason(StrEnum):
    """Why a delivery is held. A delivery held by an operator has none."""

    OPERATOR = "operator"
    DOMAIN_REMOVED = "domain_removed"  # its sending domain was removed; no key can sign until the domain is verified again
    CRASHES = "crashes"  # the program ended several times in a row while the delivery was leased
    UNREADABLE = "unreadable"  # the row of it or of its message is damaged, until it is repaired
    SIGNING_KEY_DAMAGED = "signing_key_damaged"  # the row of its sending domain is damaged, or the private key in it, until it is repaired
    CONTENT_DAMAGED = "content_damaged"  # its content is missing or altered, until its file is restored


TRANSITIONS: Final[dict[DeliveryState, frozenset[DeliveryState]]] = {
    DeliveryState.QUEUED: frozenset(
        {
            DeliveryState.LEASED,
            DeliveryState.HELD,
            DeliveryState.BOUNCED,
            DeliveryState.CANCELLED,
            DeliveryState.EXPIRED,
            DeliveryState.SUPPRESSED,
        }
    ),
    DeliveryState.LEASED: frozenset(
        {
            DeliveryState.QUEUED,
            DeliveryState.HELD,
            DeliveryState.DELIVERED,
            DeliveryState.BOUNCED,
            DeliveryState.EXPIRED,
            DeliveryState.SUPPRESSED,
        }
    ),
    DeliveryState.HELD: frozenset({DeliveryState.QUEUED, DeliveryState.BOUNCED, DeliveryState.CANCELLED}),
    DeliveryState.DELIVERED: frozenset({DeliveryState.BOUNCED}),  # a DSN after the next hop's 250
    DeliveryState.BOUNCED: frozenset(),
    DeliveryState.EXPIRED: frozenset(),
    DeliveryState.SUPPRESSED: frozenset(),
    DeliveryState.CANCELLED: frozenset(),
}

NO_DOMAIN: Final = ""  # in place of the next hop's domain: test mail that the engine must not claim

WAITING_STATES: Final = frozenset({DeliveryState.QUEUED, DeliveryState.LEASED, DeliveryState.HELD})
NOT_GONE_STATES: Final = WAITING_STATES | {DeliveryState.CANCELLED}
DONE_STATES: Final = frozenset(DeliveryState) - WAITING_STATES


def may_move(before: DeliveryState, after: DeliveryState) -> bool:
    """Whether the life cycle has this transition. Keeping the state is allowed."""
    return before is after or after in TRANSITIONS[before]
