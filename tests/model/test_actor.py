"""What each kind of actor may do."""

import pytest

from sendryd.model.actor import Actor, Person, Role, System, key_id_of
from sendryd.model.apikey import KeyMode, Scope
from sendryd.model.ids import PersonId
from sendryd.testing.samples import ACCOUNT, Samples


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        (Role.VIEWER, {Scope.READ_ONLY}),
        (Role.MEMBER, {Scope.READ_ONLY, Scope.SENDING_ACCESS}),
        (Role.ADMIN, set(Scope)),
        (Role.OWNER, set(Scope)),
    ],
)
def test_role_decides_the_scopes_of_a_person(role: Role, scopes: set[Scope]) -> None:
    person = Person(ACCOUNT, PersonId(1), role)
    assert {scope for scope in Scope if person.may(scope)} == scopes
    assert person.mode is KeyMode.LIVE


def test_the_system_may_do_everything_for_its_account() -> None:
    system = System(ACCOUNT)
    assert all(system.may(scope) for scope in Scope)
    assert (system.account_id, system.mode) == (ACCOUNT, KeyMode.LIVE)


def test_only_a_key_has_the_id_of_a_key() -> None:
    key = Samples().api_key().key
    others: list[Actor] = [System(ACCOUNT), Person(ACCOUNT, PersonId(key.id), Role.OWNER)]
    assert key_id_of(key) == key.id
    assert [key_id_of(each) for each in others] == [None, None]
