"""Test keys change nothing that live mail depends on, and few actors see a secret."""

import pytest

from sendryd.model.actor import Actor, Person, Role, System
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import PersonId
from sendryd.policy.permissions import LiveKeyNeeded, check_change, may_see_bodies, may_see_captured, may_see_secrets, may_see_url
from sendryd.testing.samples import ACCOUNT, Samples

LIVE, TEST = (Samples().api_key(mode=mode).key for mode in (KeyMode.LIVE, KeyMode.TEST))
VIEWER, ADMIN, SYSTEM = Person(ACCOUNT, PersonId(1), Role.VIEWER), Person(ACCOUNT, PersonId(2), Role.ADMIN), System(ACCOUNT)


@pytest.mark.parametrize("actor", [LIVE, ADMIN, SYSTEM])
def test_who_acts_live_changes_what_either_mode_made(actor: Actor) -> None:
    for mode in KeyMode:
        check_change(actor, mode)


def test_a_test_key_changes_what_test_keys_made() -> None:
    check_change(TEST, KeyMode.TEST)
    with pytest.raises(LiveKeyNeeded):
        check_change(TEST, KeyMode.LIVE)


@pytest.mark.parametrize(
    ("actor", "secrets", "live_urls", "test_urls"),
    [
        (LIVE, True, True, True),
        (TEST, False, False, True),
        (VIEWER, False, False, False),
        (ADMIN, True, True, True),
        (SYSTEM, True, True, True),
    ],
)
def test_secrets_and_urls_are_for_those_who_may_change_them(actor: Actor, secrets: bool, live_urls: bool, test_urls: bool) -> None:
    assert may_see_secrets(actor) == secrets
    assert (may_see_url(actor, KeyMode.LIVE), may_see_url(actor, KeyMode.TEST)) == (live_urls, test_urls)


def test_a_test_key_finds_its_own_captured_mail_and_others_find_all() -> None:
    own, other = (Samples().message(mode=KeyMode.TEST, api_key_id=number).message for number in (TEST.id, TEST.id + 1))
    live = Samples().message(api_key_id=TEST.id).message
    assert [may_see_captured(TEST, each) for each in (own, other, live)] == [True, False, False]
    assert [may_see_captured(LIVE, each) for each in (own, other, live)] == [True, True, False]


def test_test_keys_see_no_bodies_of_live_requests() -> None:
    assert [may_see_bodies(TEST, mode) for mode in (KeyMode.LIVE, KeyMode.TEST)] == [False, True]
    assert all(may_see_bodies(actor, mode) for actor in (LIVE, VIEWER, SYSTEM) for mode in KeyMode)
