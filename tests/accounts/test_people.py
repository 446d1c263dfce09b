"""Owner links, invitations, roles, sign-in, sessions."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from sendryd.accounts.people import (
    IDLE_TIME,
    MAX_SESSION,
    OWNER_LINK_TIME,
    BadPersonField,
    Client,
    NewSession,
    People,
    SignInFailed,
    SignInThrottled,
    may_manage,
)
from sendryd.model.actor import Role
from sendryd.policy.password import WeakPassword
from sendryd.policy.signin import FREE_TRIES
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.passwords import Passwords, PasswordsBusy
from sendryd.runtime.rand import SystemRand
from sendryd.store.base import Store
from sendryd.store.errors import Conflict, NotAllowed, NotFound
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT
from sendryd.testing.stores import open_new_store

EMAIL, PASSWORD = "ann@acme.example", "four words make one"
HERE = Client(address="192.0.2.1", agent="Firefox")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    made = open_new_store(tmp_path / "data")
    await made.ensure_account(ACCOUNT, "default", clock.now())
    yield made
    await made.aclose()


@pytest.fixture
def people(store: Store, clock: ManualClock) -> People:
    rand = SystemRand()
    return People(store, clock=clock, rand=rand, ids=IdSource(clock, rand), passwords=Passwords())


async def owner(people: People) -> NewSession:
    token = await people.make_owner_link(ACCOUNT)
    return await people.welcome(token, name="Ann", email=EMAIL, password=PASSWORD, client=HERE)


async def test_the_owner_link_makes_an_owner_once_and_signs_in(people: People, store: Store) -> None:
    token = await people.make_owner_link(ACCOUNT)
    made = await people.welcome(token, name="  Ann \x00 Lind ", email=" Ann@ACME.example ", password=PASSWORD, client=HERE)
    found = await people.find_session(made.secret)
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


async def test_the_owner_link_lets_a_locked_out_owner_in(people: People) -> None:
    before = await owner(people)
    token = await people.make_owner_link(ACCOUNT)
    await people.welcome(token, name="Ann", email=EMAIL, password="another good one", client=HERE)
    assert await people.find_session(before.secret) is None
    with pytest.raises(SignInFailed):
        await people.sign_in(EMAIL, PASSWORD, client=HERE)
    await people.sign_in(EMAIL, "another good one", client=HERE)


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


async def test_an_invitation_makes_a_member(people: People) -> None:
    await owner(people)
    invited, token = await people.invite(ACCOUNT, email="Bob@acme.example", role=Role.MEMBER, by=EMAIL, by_role=Role.OWNER, client=HERE)
    assert [(each.email, each.joined_at is None) for each in await people.list(ACCOUNT)] == [(EMAIL, False), ("bob@acme.example", True)]
    made = await people.join(token, name="Bob", password=PASSWORD, client=HERE)
    found = await people.find_session(made.secret)
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


async def test_sign_in_fails_alike_for_an_unknown_email_and_a_wrong_password(people: People, store: Store) -> None:
    await owner(people)
    for email, password in ((EMAIL, "wrong"), ("nobody@acme.example", PASSWORD), ("", ""), ("\x00", "\ud800")):
        with pytest.raises(SignInFailed):
            await people.sign_in(email, password, client=HERE)
    made = await people.sign_in(" ANN@acme.example", PASSWORD, client=HERE)
    assert await people.find_session(made.secret) is not None
    assert "person.sign_in_failed" in [each.action for each in (await store.list_audit(ACCOUNT, limit=9)).items]


async def test_guessing_is_slowed_down(people: People, clock: ManualClock) -> None:
    await owner(people)
    for _ in range(FREE_TRIES):
        with pytest.raises(SignInFailed):
            await people.sign_in(EMAIL, "wrong", client=HERE)
    with pytest.raises(SignInThrottled):
        await people.sign_in(EMAIL, PASSWORD, client=HERE)
    away = Client(address="198.51.100.9")
    await people.sign_in(EMAIL, PASSWORD, client=away, is_known_device=True)
    clock.advance(timedelta(hours=2))
    await people.sign_in(EMAIL, PASSWORD, client=HERE)


async def test_a_session_ends_when_idle_when_old_and_on_signing_out(people: People, clock: ManualClock) -> None:
    made = await owner(people)
    clock.advance(IDLE_TIME)
    assert await people.find_session(made.secret) is not None  # seen: its idle time begins again
    clock.advance(IDLE_TIME)
    assert await people.find_session(made.secret) is not None
    clock.advance(IDLE_TIME + timedelta(minutes=1))
    assert await people.find_session(made.secret) is None
    second = await people.sign_in(EMAIL, PASSWORD, client=HERE)
    for _ in range(MAX_SESSION // IDLE_TIME):
        clock.advance(IDLE_TIME)
        assert await people.find_session(second.secret) is not None
    clock.advance(IDLE_TIME)
    assert await people.find_session(second.secret) is None
    third = await people.sign_in(EMAIL, PASSWORD, client=HERE)
    await people.sign_out(third.secret)
    assert await people.find_session(third.secret) is None
    assert await people.delete_stale_sessions() == 2


async def test_a_new_password_ends_the_other_sessions(people: People) -> None:
    first = await owner(people)
    second = await people.sign_in(EMAIL, PASSWORD, client=HERE)
    here = await people.find_session(second.secret)
    assert here is not None
    with pytest.raises(SignInFailed):
        await people.change_password(here, "wrong", "another good one", client=HERE)
    await people.change_password(here, PASSWORD, "another good one", client=HERE)
    assert await people.find_session(first.secret) is None
    assert await people.find_session(second.secret) is not None


async def test_a_flood_of_passwords_waits_and_is_refused(clock: ManualClock, store: Store) -> None:
    passwords = Passwords(wait_timeout=0.0)
    people = People(store, clock=clock, rand=SystemRand(), ids=IdSource(clock, SystemRand()), passwords=passwords)
    await passwords._places.acquire()
    await passwords._places.acquire()
    with pytest.raises(PasswordsBusy):
        await people.sign_in(EMAIL, PASSWORD, client=HERE)
