"""Owner links, invitations, roles."""

from dataclasses import replace

import pytest

from sendryd.accounts.people import OWNER_LINK_TIME, BadPersonField, People, may_manage
from sendryd.accounts.signin import NewSession, SignIn, SignInFailed
from sendryd.model.actor import Role
from sendryd.model.ids import AccountId
from sendryd.model.people import Membership
from sendryd.policy.password import WeakPassword
from sendryd.store.base import SignedIn, Store
from sendryd.store.errors import Conflict, NotAllowed, NotFound
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT

from .conftest import EMAIL, HERE, PASSWORD, owner


async def test_the_owner_link_makes_an_owner_once_and_signs_in(people: People, signin: SignIn, store: Store) -> None:
    token = await people.make_owner_link(ACCOUNT)
    made = await people.welcome(token, name="  Ann \x00 Lind ", email=" Ann@ACME.example ", password=PASSWORD, client=HERE)
    found = await signin.find_session(made.secret)
    assert found is not None
    assert (found.person.email, found.person.name, found.membership.role) == (EMAIL, "Ann Lind", Role.OWNER)
    assert found.person.is_operator
    assert PASSWORD not in found.person.password_hash
    with pytest.raises(NotFound):
        await people.welcome(token, name="Eve", email="eve@evil.example", password=PASSWORD, client=HERE)
    assert [each.action for each in (await store.list_audit(ACCOUNT, limit=9)).items] == ["person.signed_in", "person.joined"]


async def test_a_link_expires(people: People, clock: ManualClock) -> None:
    token = await people.make_owner_link(ACCOUNT)
    clock.advance(OWNER_LINK_TIME)
    with pytest.raises(NotFound):
        await people.welcome(token, name="Ann", email=EMAIL, password=PASSWORD, client=HERE)


async def test_the_owner_link_lets_a_locked_out_owner_in(people: People, signin: SignIn) -> None:
    before = await owner(people)
    token = await people.make_owner_link(ACCOUNT)
    await people.welcome(token, name="Ann", email=EMAIL, password="another good one", client=HERE)
    assert await signin.find_session(before.secret) is None
    with pytest.raises(SignInFailed):
        await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    await signin.sign_in(EMAIL, "another good one", client=HERE)


@pytest.mark.parametrize(
    ("field", "name", "email", "password"),
    [
        ("email", "Ann", "nonsense", PASSWORD),
        ("email", "Ann", "", PASSWORD),
        ("name", " \t", EMAIL, PASSWORD),
        ("name", "x" * 101, EMAIL, PASSWORD),
    ],
)
async def test_a_field_that_cannot_be_used_is_named_and_the_link_stays(
    people: People, field: str, name: str, email: str, password: str
) -> None:
    token = await people.make_owner_link(ACCOUNT)
    with pytest.raises(BadPersonField) as raised:
        await people.welcome(token, name=name, email=email, password=password, client=HERE)
    assert raised.value.field == field
    with pytest.raises(WeakPassword):
        await people.welcome(token, name="Ann", email=EMAIL, password="qwerty123456", client=HERE)
    await people.welcome(token, name="Ann", email=EMAIL, password=PASSWORD, client=HERE)


async def member(people: People, signin: SignIn, by: NewSession, email: str, role: Role) -> tuple[SignedIn, Membership]:
    """Somebody who was invited and joined, and their membership."""
    _, token = await people.invite(ACCOUNT, email=email, role=role, by=EMAIL, by_role=Role.OWNER, client=HERE)
    made = await people.join(token, name="Bob", password=PASSWORD, client=HERE)
    found = await signin.find_session(made.secret)
    assert found is not None
    return found, found.membership


async def test_a_reset_link_gives_another_password_and_ends_the_sessions(people: People, signin: SignIn) -> None:
    made = await owner(people)
    ann = await signin.find_session(made.secret)
    assert ann is not None
    bob, bobs = await member(people, signin, made, "bob@acme.example", Role.MEMBER)
    token = await people.make_reset_link(bobs, by=ann, client=HERE)
    with pytest.raises(WeakPassword):
        await people.reset(token, password="short", client=HERE)
    entered = await people.reset(token, password="another good one", client=HERE)
    assert await signin.find_session(entered.secret) is not None
    assert {each.id_hash for each in await signin.list_sessions(bob)} == {entered.session.id_hash}
    with pytest.raises(NotFound):
        await people.reset(token, password="a third good one", client=HERE)
    await signin.sign_in("bob@acme.example", "another good one", client=HERE)


async def test_a_disabled_member_is_signed_out_and_stays_out_until_enabled(people: People, signin: SignIn, store: Store) -> None:
    made = await owner(people)
    ann = await signin.find_session(made.secret)
    assert ann is not None
    bob, bobs = await member(people, signin, made, "bob@acme.example", Role.MEMBER)
    await people.set_disabled(bobs, disabled=True, by=ann, client=HERE)
    assert await store.list_sessions(bob.person.id) == []
    with pytest.raises(SignInFailed):
        await signin.sign_in("bob@acme.example", PASSWORD, client=HERE)
    assert [each.is_disabled for each in await people.list(ACCOUNT)] == [False, True]
    await people.set_disabled(bobs, disabled=False, by=ann, client=HERE)
    await signin.sign_in("bob@acme.example", PASSWORD, client=HERE)
    with pytest.raises(NotAllowed):
        await people.set_disabled(ann.membership, disabled=True, by=ann, client=HERE)


async def test_nobody_resets_the_password_of_somebody_who_may_do_more(people: People, signin: SignIn, store: Store) -> None:
    made = await owner(people)
    ann = await signin.find_session(made.secret)
    assert ann is not None
    eve, _ = await member(people, signin, made, "eve@acme.example", Role.ADMIN)
    _, bobs = await member(people, signin, made, "bob@acme.example", Role.MEMBER)
    with pytest.raises(NotAllowed):
        await people.make_reset_link(ann.membership, by=eve, client=HERE)
    await people.set_role(bobs, Role.ADMIN, by=EMAIL, by_role=Role.OWNER, client=HERE)
    await people.set_role(ann.membership, Role.OWNER, by=EMAIL, by_role=Role.OWNER, client=HERE)
    as_admin = replace(ann.membership, role=Role.ADMIN)  # an operator, who may do more than the role says
    with pytest.raises(NotAllowed):
        await people.make_reset_link(as_admin, by=eve, client=HERE)
    token = await people.make_owner_link(AccountId(2))
    await people.welcome(token, name="Bob", email="bob@acme.example", password="another good one", client=HERE)
    with pytest.raises(NotAllowed):
        await people.make_reset_link(bobs, by=ann, client=HERE)


async def test_an_invitation_makes_a_member(people: People, signin: SignIn) -> None:
    await owner(people)
    invited, token = await people.invite(ACCOUNT, email="Bob@acme.example", role=Role.MEMBER, by=EMAIL, by_role=Role.OWNER, client=HERE)
    assert [(each.email, each.joined_at is None) for each in await people.list(ACCOUNT)] == [(EMAIL, False), ("bob@acme.example", True)]
    made = await people.join(token, name="Bob", password=PASSWORD, client=HERE)
    found = await signin.find_session(made.secret)
    assert found is not None
    assert (found.membership.id, found.membership.role, found.person.is_operator) == (invited.id, Role.MEMBER, False)
    with pytest.raises(Conflict):
        await people.invite(ACCOUNT, email="bob@acme.example", role=Role.ADMIN, by=EMAIL, by_role=Role.OWNER, client=HERE)


async def test_an_invitation_to_a_known_email_asks_for_its_password(people: People, store: Store, clock: ManualClock) -> None:
    await owner(people)
    other = type(ACCOUNT)(2)
    await store.ensure_account(other, "second", clock.now())
    _, token = await people.invite(other, email=EMAIL, role=Role.VIEWER, by="operator", by_role=Role.OWNER, client=HERE)
    with pytest.raises(BadPersonField, match="known here"):
        await people.join(token, name="Ann", password="a stranger's own", client=HERE)
    await people.join(token, name="Ann", password=PASSWORD, client=HERE)


async def test_a_withdrawn_invitation_is_of_no_use(people: People) -> None:
    invited, token = await people.invite(ACCOUNT, email="bob@acme.example", role=Role.MEMBER, by=EMAIL, by_role=Role.OWNER, client=HERE)
    await people.remove(invited, by=EMAIL, by_role=Role.OWNER, client=HERE)
    with pytest.raises(NotFound):
        await people.join(token, name="Bob", password=PASSWORD, client=HERE)


@pytest.mark.parametrize("by_role", Role)
@pytest.mark.parametrize("role", Role)
async def test_nobody_manages_those_above_them(people: People, by_role: Role, role: Role) -> None:
    allowed = by_role is Role.OWNER or (by_role is Role.ADMIN and role is not Role.OWNER)
    assert may_manage(by_role, role) is allowed
    inviting = people.invite(ACCOUNT, email="bob@acme.example", role=role, by=EMAIL, by_role=by_role, client=HERE)
    if allowed:
        await inviting
    else:
        with pytest.raises(NotAllowed):
            await inviting
