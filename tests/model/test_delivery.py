"""The life cycle."""

import itertools

from sendryd.model.delivery import DONE_STATES, TRANSITIONS, WAITING_STATES, DeliveryState, may_move
from sendryd.testing.cases import cases


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(DeliveryState)
    assert WAITING_STATES | DONE_STATES == set(DeliveryState)


@cases(("before", "after"), list(itertools.product(DeliveryState, DeliveryState)))
def test_every_pair(before: DeliveryState, after: DeliveryState) -> None:
    assert may_move(before, after) == (before is after or after in TRANSITIONS[before])


def test_what_is_done_never_waits_again() -> None:
    assert not any(may_move(done, waiting) for done in DONE_STATES for waiting in WAITING_STATES)


def test_a_bounce_may_follow_a_delivery() -> None:
    assert may_move(DeliveryState.DELIVERED, DeliveryState.BOUNCED)
