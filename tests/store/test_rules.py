"""When a change of stored state is allowed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.store.errors import Changed, LimitReached, NotAllowed
from sendryd.store.rules import Waiting, check_amendable, check_limit, check_rotation, check_source_request, check_unchanged, list_untried
from sendryd.testing.samples import NOW, Samples

LATER = NOW + timedelta(hours=1)
QUEUED = Waiting(1, "queued", 0, LATER)
HELD = Waiting(2, "held", 0, LATER)
SUPPRESSED = Waiting(3, "suppressed", 0, LATER)


def test_what_was_suppressed_from_the_start_is_no_delivery_that_waits() -> None:
    assert list_untried([QUEUED, SUPPRESSED, HELD]) == [QUEUED, HELD]


@pytest.mark.parametrize(
    "deliveries",
    [
        [],
        [SUPPRESSED],
        [QUEUED, QUEUED._replace(attempts=1)],
        [QUEUED, QUEUED._replace(state="leased")],
        [HELD, HELD._replace(state="delivered")],
    ],
)
def test_a_message_that_was_begun_is_not_changed(deliveries: list[Waiting]) -> None:
    with pytest.raises(NotAllowed, match="under way or done"):
        list_untried(deliveries)
    with pytest.raises(NotAllowed, match="under way or done"):
        check_amendable(deliveries, NOW)


def test_only_what_is_queued_for_later_is_amended() -> None:
    check_amendable([QUEUED, SUPPRESSED], NOW)
    for deliveries in ([QUEUED, HELD], [QUEUED, QUEUED._replace(due_at=NOW)]):
        with pytest.raises(NotAllowed, match="held or due"):
            check_amendable(deliveries, NOW)


def test_a_change_is_made_from_what_is_stored() -> None:
    check_unchanged((1, "a"), (1, "a"), "the domain")
    with pytest.raises(Changed, match="the domain has been changed"):
        check_unchanged((1, "b"), (1, "a"), "the domain")
    check_source_request(b"a", b"a")
    for stored in (None, b"b"):
        with pytest.raises(Changed, match="the message has been changed"):
            check_source_request(stored, b"a")


def test_a_key_is_replaced_until_its_revocation() -> None:
    old, new = Samples().api_key().key, Samples().api_key().key
    for revoked_at in (None, new.created_at + timedelta(milliseconds=1)):
        check_rotation(replace(old, revoked_at=revoked_at), new)
    with pytest.raises(NotAllowed, match="revoked"):
        check_rotation(replace(old, revoked_at=new.created_at), new)


def test_the_row_just_added_counts_against_a_limit() -> None:
    check_limit(2, 2, "domain", "remove one first")
    check_limit(10**6, None, "domain", "remove one first")
    with pytest.raises(LimitReached, match="the account has 2 domains, the most that it may have: remove one first"):
        check_limit(3, 2, "domain", "remove one first")
