"""Passwords, sessions, guessing."""

import asyncio
from datetime import timedelta

import pytest

from sendryd.accounts.audit import Client
from sendryd.accounts.people import People
from sendryd.accounts.signin import ELEVATION_TIME, IDLE_TIME, MAX_SESSION, SignIn, SignInFailed, SignInThrottled
from sendryd.model.actor import Role
from sendryd.policy.signin import FREE_TRIES
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.passwords import Passwords, PasswordsBusy
from sendryd.store.base import Store
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT

from .conftest import EMAIL, HERE, PASSWORD, make_signin, owner


async def test_sign_in_fails_alike_for_an_unknown_email_and_a_wrong_password(people: People, signin: SignIn, store: Store) -> None:
    await owner(people)
    for email, password in ((EMAIL, "wrong"), ("nobody@acme.example", PASSWORD), ("", ""), ("\x00", "\ud800")):
        with pytest.raises(SignInFailed):
            await signin.sign_in(email, password, client=HERE)
    made = await signin.sign_in(" ANN@acme.example", PASSWORD, client=HERE)
    assert await signin.find_session(made.secret) is not None
    assert "person.sign_in_failed" in [each.action for each in (await store.list_audit(ACCOUNT, limit=9)).items]


async def test_guessing_is_slowed_down(people: People, signin: SignIn, clock: ManualClock) -> None:
    await owner(people)
    for _ in range(FREE_TRIES):
        with pytest.raises(SignInFailed):
            await signin.sign_in(EMAIL, "wrong", client=HERE)
    with pytest.raises(SignInThrottled):
        await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    away = Client(address="198.51.100.9")
    await signin.sign_in(EMAIL, PASSWORD, client=away, is_known_device=True)
    clock.advance(timedelta(hours=2))
    await signin.sign_in(EMAIL, PASSWORD, client=HERE)


async def test_a_session_ends_when_idle_when_old_and_on_signing_out(people: People, signin: SignIn, clock: ManualClock) -> None:
    made = await owner(people)
    clock.advance(IDLE_TIME)
    assert await signin.find_session(made.secret) is not None  # seen: its idle time begins again
    clock.advance(IDLE_TIME)
    assert await signin.find_session(made.secret) is not None
    clock.advance(IDLE_TIME + timedelta(minutes=1))
    assert await signin.find_session(made.secret) is None
    second = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    for _ in range(MAX_SESSION // IDLE_TIME):
        clock.advance(IDLE_TIME)
        assert await signin.find_session(second.secret) is not None
    clock.advance(IDLE_TIME)
    assert await signin.find_session(second.secret) is None
    third = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    await signin.sign_out(third.secret)
    assert await signin.find_session(third.secret) is None


async def test_a_new_password_ends_the_other_sessions(people: People, signin: SignIn) -> None:
    first = await owner(people)
    second = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    here = await signin.find_session(second.secret)
    assert here is not None
    with pytest.raises(SignInFailed):
        await signin.change_password(here, "wrong", "another good one", client=HERE)
    await signin.change_password(here, PASSWORD, "another good one", client=HERE)
    assert await signin.find_session(first.secret) is None
    assert await signin.find_session(second.secret) is not None


async def test_a_flood_of_passwords_waits_and_is_refused(clock: ManualClock, store: Store, ids: IdSource) -> None:
    passwords = Passwords(wait_timeout=0.0)
    signin = make_signin(store, clock, ids, passwords)
    await passwords._places.acquire()
    await passwords._places.acquire()
    for _ in range(FREE_TRIES + 1):  # what was not checked does not count as a failure
        with pytest.raises(PasswordsBusy):
            await signin.sign_in(EMAIL, PASSWORD, client=HERE)


async def test_guesses_at_the_same_moment_count_too(people: People, signin: SignIn) -> None:
    await owner(people)
    tries = [signin.sign_in(EMAIL, "wrong", client=HERE) for _ in range(FREE_TRIES + 3)]
    answers = [type(each) for each in await asyncio.gather(*tries, return_exceptions=True)]
    assert (answers.count(SignInFailed), answers.count(SignInThrottled)) == (FREE_TRIES, 3)


async def test_a_person_ends_their_own_sessions_and_nobody_elses(people: People, signin: SignIn, store: Store) -> None:
    first = await owner(people)
    second = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    _, token = await people.invite(ACCOUNT, email="bob@acme.example", role=Role.MEMBER, by=EMAIL, by_role=Role.OWNER, client=HERE)
    other = await people.join(token, name="Bob", password=PASSWORD, client=HERE)
    here = await signin.find_session(second.secret)
    assert here is not None
    assert {each.id_hash for each in await signin.list_sessions(here)} == {first.session.id_hash, second.session.id_hash}
    await signin.end_one(here, other.session.id_hash, client=HERE)
    assert await signin.find_session(other.secret) is not None
    await signin.end_one(here, first.session.id_hash, client=HERE)
    assert await signin.find_session(first.secret) is None
    third = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    assert await signin.end_others(here, client=HERE) == 1
    assert await signin.find_session(third.secret) is None
    assert (await store.list_audit(ACCOUNT, limit=1)).items[0].action == "person.sessions_ended"


async def test_proving_who_one_is_lasts_a_quarter_of_an_hour(people: People, signin: SignIn, clock: ManualClock) -> None:
    made = await owner(people)
    clock.advance(ELEVATION_TIME)
    here = await signin.find_session(made.secret)
    assert here is not None
    assert not signin.is_elevated(here)
    with pytest.raises(SignInFailed):
        await signin.elevate(here, "wrong", client=HERE)
    await signin.elevate(here, PASSWORD, client=HERE)
    again = await signin.find_session(made.secret)
    assert again is not None
    assert signin.is_elevated(again)
