"""Codes of an app, recovery codes, and the second step of signing in."""

from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest

from sendryd.accounts.factors import RECOVERY_CODES, STEP, WrongCode
from sendryd.accounts.people import People
from sendryd.accounts.signin import CODE_TIME, SignIn, SignInFailed, SignInThrottled
from sendryd.policy.signin import FREE_TRIES
from sendryd.store.base import SignedIn, Store
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT

from .conftest import EMAIL, HERE, PASSWORD, owner


async def with_factor(people: People, signin: SignIn, clock: ManualClock) -> tuple[pyotp.TOTP, list[str], SignedIn]:
    """An owner whose app and recovery codes the test has."""
    made = await owner(people)
    here = await signin.find_session(made.secret)
    assert here is not None
    secret = signin.factors.propose()
    app = pyotp.TOTP(secret)
    with pytest.raises(WrongCode):
        await signin.factors.turn_on(here, secret, "000000" if app.at(clock.now()) != "000000" else "000001", client=HERE)
    return app, await signin.factors.turn_on(here, secret, app.at(clock.now()), client=HERE), here


async def test_a_password_alone_reaches_only_the_second_step(people: People, signin: SignIn, clock: ManualClock) -> None:
    app, _, _ = await with_factor(people, signin, clock)
    clock.advance(timedelta(seconds=STEP))
    waiting = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    found = await signin.find_session(waiting.secret)
    assert found is not None
    assert not found.session.is_complete
    made = await signin.finish(waiting.secret, f" {app.at(clock.now())[:3]} {app.at(clock.now())[3:]} ", client=HERE)
    assert made.secret != waiting.secret
    assert made.session.is_complete
    assert await signin.find_session(waiting.secret) is None
    with pytest.raises(LookupError):
        await signin.finish(made.secret, app.at(clock.now()), client=HERE)


async def test_a_code_works_once_and_one_step_to_either_side(people: People, signin: SignIn, clock: ManualClock) -> None:
    app, _, _ = await with_factor(people, signin, clock)
    waiting = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    with pytest.raises(SignInFailed):  # it turned the factor on
        await signin.finish(waiting.secret, app.at(clock.now()), client=HERE)
    clock.advance(timedelta(seconds=10 * STEP))
    for offset in (-2 * STEP, 2 * STEP):
        with pytest.raises(SignInFailed):
            await signin.finish(waiting.secret, app.at(clock.now() + timedelta(seconds=offset)), client=HERE)
    await signin.finish(waiting.secret, app.at(clock.now() - timedelta(seconds=STEP)), client=HERE)
    second = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    await signin.finish(second.secret, app.at(clock.now() + timedelta(seconds=STEP)), client=HERE)
    third = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    with pytest.raises(SignInFailed):  # of an earlier step than the last one used
        await signin.finish(third.secret, app.at(clock.now()), client=HERE)


async def test_each_recovery_code_works_once(people: People, signin: SignIn, clock: ManualClock) -> None:
    _, codes, here = await with_factor(people, signin, clock)
    assert len(set(codes)) == RECOVERY_CODES
    waiting = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    await signin.finish(waiting.secret, codes[3].upper().replace("-", " "), client=HERE)
    assert await signin.factors.count_recovery_codes(here.person.id) == RECOVERY_CODES - 1
    again = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    with pytest.raises(SignInFailed):
        await signin.finish(again.secret, codes[3], client=HERE)
    renewed = await signin.factors.renew_recovery_codes(here, client=HERE)
    with pytest.raises(SignInFailed):
        await signin.finish(again.secret, codes[4], client=HERE)
    await signin.finish(again.secret, renewed[0], client=HERE)


@pytest.mark.parametrize("code", ["", "12345", "1234567", "\ud800", "١٢٣٤٥٦", "x" * 10_000, "'; --"])
async def test_what_is_no_code_fails(people: People, signin: SignIn, clock: ManualClock, code: str) -> None:
    await with_factor(people, signin, clock)
    waiting = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    with pytest.raises(SignInFailed):
        await signin.finish(waiting.secret, code, client=HERE)


async def test_guessing_codes_is_slowed_down_and_the_password_does_not_forgive_it(
    people: People, signin: SignIn, clock: ManualClock
) -> None:
    app, _, _ = await with_factor(people, signin, clock)
    for _ in range(FREE_TRIES):
        waiting = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
        with pytest.raises(SignInFailed):
            await signin.finish(waiting.secret, "nonsense", client=HERE)
    waiting = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    clock.advance(timedelta(seconds=STEP - 1))
    with pytest.raises(SignInThrottled):
        await signin.finish(waiting.secret, app.at(clock.now()), client=HERE)


async def test_the_second_step_waits_for_ten_minutes(people: People, signin: SignIn, clock: ManualClock) -> None:
    app, _, _ = await with_factor(people, signin, clock)
    waiting = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    clock.advance(CODE_TIME + timedelta(seconds=1))
    with pytest.raises(LookupError):
        await signin.finish(waiting.secret, app.at(clock.now()), client=HERE)


async def test_without_the_factor_the_password_is_enough_again(people: People, signin: SignIn, clock: ManualClock, store: Store) -> None:
    _, codes, here = await with_factor(people, signin, clock)
    now = await store.get_person(here.person.id)
    assert now is not None
    await signin.factors.turn_off(SignedIn(session=here.session, person=now, membership=here.membership), client=HERE)
    assert (await signin.sign_in(EMAIL, PASSWORD, client=HERE)).session.is_complete
    assert await signin.factors.count_recovery_codes(here.person.id) == 0
    assert codes
    actions = [each.action for each in (await store.list_audit(ACCOUNT, limit=9)).items]
    assert actions[:3] == ["person.signed_in", "person.factor_removed", "person.factor_added"]


async def test_the_database_does_not_hold_the_apps_secret(people: People, signin: SignIn, clock: ManualClock, store: Store) -> None:
    app, _, here = await with_factor(people, signin, clock)
    clock.advance(timedelta(seconds=STEP))
    stored = await store.get_person(here.person.id)
    assert stored is not None
    assert app.secret not in stored.totp_secret
    other = replace(stored, id=type(stored.id)(7))  # bound to the person: in another row it opens nothing
    assert not await signin.factors.check(other, app.at(clock.now()))
    assert await signin.factors.check(stored, app.at(clock.now()))
