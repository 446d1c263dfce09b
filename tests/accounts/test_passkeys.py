"""Passkeys: added, used instead of a password, refused where something does not fit, forgotten."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest

from sendryd.accounts.audit import Audit
from sendryd.accounts.passkeys import MAX_PASSKEYS, Passkeys, relying_party
from sendryd.accounts.people import BadPersonField, People
from sendryd.accounts.signin import NewSession, SignIn, SignInFailed, SignInThrottled
from sendryd.model.actor import Role
from sendryd.model.people import SignInMethod
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.passkeys import MAX_ANSWER, PasskeyRefused, RelyingParty
from sendryd.runtime.passwords import Passwords
from sendryd.runtime.rand import SystemRand
from sendryd.store.base import SignedIn, Store
from sendryd.store.errors import Conflict, LimitReached, NotAllowed, NotFound
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT

from .authenticator import PRESENT, Authenticator, octets, text
from .conftest import EMAIL, HERE, PASSWORD, make_signin, owner

ORIGIN, HOST = "https://mail.acme.example", "mail.acme.example"
BROWSER = "the secret of a cookie"
AWAY = replace(HERE, address="198.51.100.7")


@pytest.fixture
def passkeys(store: Store, clock: ManualClock, ids: IdSource, signin: SignIn) -> Passkeys:
    return make_passkeys(store, clock, ids, signin)


def make_passkeys(store: Store, clock: ManualClock, ids: IdSource, signin: SignIn) -> Passkeys:
    audit = Audit(store, clock=clock, ids=ids)
    return Passkeys(store, clock=clock, rand=SystemRand(), audit=audit, signin=signin, secret=b"secret", public_url=f"{ORIGIN}/")


@pytest.fixture
def device() -> Authenticator:
    return Authenticator(ORIGIN, HOST)


async def session_of(signin: SignIn, made: NewSession) -> SignedIn:
    found = await signin.find_session(made.secret)
    assert found is not None
    return found


@pytest.fixture
async def ann(people: People, signin: SignIn) -> SignedIn:
    return await session_of(signin, await owner(people))


async def add(passkeys: Passkeys, who: SignedIn, device: Authenticator, name: str = "Laptop") -> None:
    await passkeys.add(who, device.create(await passkeys.options_to_add(who, BROWSER)), name, BROWSER, client=HERE)


async def actions(store: Store) -> list[str]:
    return [each.action for each in (await store.list_audit(ACCOUNT, limit=50)).items]


async def test_a_passkey_signs_in_without_a_password_or_a_second_step(
    passkeys: Passkeys, ann: SignedIn, device: Authenticator, signin: SignIn, store: Store, clock: ManualClock
) -> None:
    options = await passkeys.options_to_add(ann, BROWSER)
    assert options["rp"]["id"] == HOST
    assert EMAIL.encode() not in octets(options["user"]["id"])
    assert (options["authenticatorSelection"]["residentKey"], options["authenticatorSelection"]["userVerification"]) == ("required",) * 2
    await add(passkeys, ann, device)
    secret = signin.factors.propose()
    await signin.factors.turn_on(ann, secret, pyotp.TOTP(secret).at(clock.now()), client=HERE)
    made = await passkeys.sign_in(device.get(passkeys.options_to_sign_in(BROWSER)), BROWSER, client=HERE)
    assert (made.session.is_complete, made.session.method, made.email) == (True, SignInMethod.PASSKEY, EMAIL)
    found = await session_of(signin, made)
    assert signin.is_elevated(found)
    (shown,) = await passkeys.list(ann.person.id)
    assert (shown.name, shown.sign_count, shown.used_at is not None) == ("Laptop", device.counter, True)
    assert (await actions(store))[0] == "person.signed_in"
    assert "person.passkey_added" in await actions(store)


async def test_an_answer_counts_once(passkeys: Passkeys, ann: SignedIn, clock: ManualClock) -> None:
    device = Authenticator(ORIGIN, HOST, counts=False)
    await add(passkeys, ann, device)
    answer = device.get(passkeys.options_to_sign_in(BROWSER))
    await passkeys.sign_in(answer, BROWSER, client=HERE)
    with pytest.raises(SignInFailed):
        await passkeys.sign_in(answer, BROWSER, client=HERE)
    stale = device.get(passkeys.options_to_sign_in(BROWSER))
    clock.advance(timedelta(minutes=5))
    with pytest.raises(SignInFailed):
        await passkeys.sign_in(stale, BROWSER, client=HERE)


async def test_an_answer_is_bound_to_browser_purpose_origin_and_host(
    passkeys: Passkeys, ann: SignedIn, device: Authenticator, store: Store, clock: ManualClock, ids: IdSource
) -> None:
    await add(passkeys, ann, device)
    changes: dict[str, dict[str, object]] = {
        "another origin": {"origin": "https://mail.acme.example.evil.example"},
        "another host": {"rp_id": "evil.example"},
        "no user verified": {"flags": PRESENT},
        "no person": {"handle": b""},
        "another person": {"handle": b"usr_0000000000000"},
    }
    options = passkeys.options_to_sign_in(BROWSER)
    answers = {
        "the challenge of another browser": device.get(passkeys.options_to_sign_in("another cookie")),
        "the challenge of another purpose": device.get(await passkeys.options_to_elevate(ann, BROWSER)),
        "a challenge of nobody": device.get({"challenge": text(b"x" * 56)}),
    }
    for name, change in changes.items():
        before = {each: getattr(device, each) for each in change}
        for each, value in change.items():
            setattr(device, each, value)
        answers[name] = device.get(options)
        for each, value in before.items():
            setattr(device, each, value)
    forged = json.loads(device.get(options))
    forged["response"]["signature"] = text(b"\x30\x06\x02\x01\x01\x02\x01\x01")
    answers["a forged signature"] = json.dumps(forged)
    let_in = []
    for name, answer in answers.items():
        unhurried = make_passkeys(store, clock, ids, make_signin(store, clock, ids, Passwords()))
        with suppress(SignInFailed):
            await unhurried.sign_in(answer, BROWSER, client=HERE)
            let_in.append(name)
    assert let_in == []


async def test_a_counter_that_stands_still_is_refused_and_in_the_audit(
    passkeys: Passkeys, ann: SignedIn, device: Authenticator, store: Store
) -> None:
    await add(passkeys, ann, device)
    device.counter -= 1  # a copy of the device begins where it was made
    with pytest.raises(SignInFailed):
        await passkeys.sign_in(device.get(passkeys.options_to_sign_in(BROWSER)), BROWSER, client=HERE)
    assert (await actions(store))[0] == "person.passkey_refused"
    await passkeys.sign_in(device.get(passkeys.options_to_sign_in(BROWSER)), BROWSER, client=HERE)


@pytest.mark.parametrize(
    "answer",
    ["", "null", "{}", "[" * 9_000, '{"response": 1, "rawId": "x"}', '{"response": {"clientDataJSON": "W10"}}', "x" * (MAX_ANSWER + 1)],
)
async def test_what_is_no_answer_is_refused_and_slowed_down(passkeys: Passkeys, ann: SignedIn, answer: str) -> None:
    with pytest.raises(PasskeyRefused):
        await passkeys.add(ann, answer, "Name", BROWSER, client=HERE)
    for _ in range(5):
        with pytest.raises(SignInFailed):
            await passkeys.sign_in(answer, BROWSER, client=HERE)
    with pytest.raises(SignInThrottled):
        await passkeys.sign_in(answer, BROWSER, client=HERE)


async def test_a_passkey_of_nobody_is_refused(passkeys: Passkeys, device: Authenticator) -> None:
    with pytest.raises(SignInFailed):
        await passkeys.sign_in(device.get(passkeys.options_to_sign_in(BROWSER)), BROWSER, client=HERE)


async def test_a_passkey_is_no_proof_of_somebody_else(
    passkeys: Passkeys, ann: SignedIn, device: Authenticator, people: People, signin: SignIn, store: Store, clock: ManualClock
) -> None:
    await add(passkeys, ann, device)
    _, token = await people.invite(ACCOUNT, email="bob@acme.example", role=Role.MEMBER, by=EMAIL, by_role=Role.OWNER, client=HERE)
    bob = await session_of(signin, await people.join(token, name="Bob", password=PASSWORD, client=HERE))
    clock.advance(timedelta(minutes=16))
    with pytest.raises(SignInFailed):
        await passkeys.elevate(bob, device.get(await passkeys.options_to_elevate(ann, BROWSER)), BROWSER, client=AWAY)
    await passkeys.elevate(ann, device.get(await passkeys.options_to_elevate(ann, BROWSER)), BROWSER, client=HERE)
    found = await store.find_session(ann.session.id_hash)
    assert found is not None
    assert signin.is_elevated(found)
    with pytest.raises(NotFound):
        await passkeys.remove(bob, device.credential_id, client=HERE)
    with pytest.raises(Conflict):
        await add(passkeys, bob, device)


async def test_names_and_numbers_are_limited(passkeys: Passkeys, ann: SignedIn, device: Authenticator) -> None:
    for name in ("", " \u202e\n", "x" * 61):
        with pytest.raises(BadPersonField):
            await add(passkeys, ann, device, name)
    for number in range(MAX_PASSKEYS):
        await add(passkeys, ann, Authenticator(ORIGIN, HOST, credential_id=b"%16d" % number))
    with pytest.raises(LimitReached):
        await add(passkeys, ann, device)


async def test_a_removed_passkey_a_disabled_person_and_a_former_member_stay_out(
    passkeys: Passkeys, ann: SignedIn, device: Authenticator, people: People, signin: SignIn
) -> None:
    _, token = await people.invite(ACCOUNT, email="bob@acme.example", role=Role.MEMBER, by=EMAIL, by_role=Role.OWNER, client=HERE)
    bob = await session_of(signin, await people.join(token, name="Bob", password=PASSWORD, client=HERE))
    await add(passkeys, bob, device)
    (member,) = [each for each in await people.list(ACCOUNT) if each.person_id == bob.person.id]
    await people.set_disabled(member, disabled=True, by=ann, client=HERE)
    with pytest.raises(SignInFailed):
        await passkeys.sign_in(device.get(passkeys.options_to_sign_in(BROWSER)), BROWSER, client=HERE)
    await people.set_disabled(member, disabled=False, by=ann, client=HERE)
    await passkeys.sign_in(device.get(passkeys.options_to_sign_in(BROWSER)), BROWSER, client=HERE)
    await people.remove(member, by=EMAIL, by_role=Role.OWNER, client=HERE)
    with pytest.raises(SignInFailed):
        await passkeys.sign_in(device.get(passkeys.options_to_sign_in(BROWSER)), BROWSER, client=AWAY)
    await add(passkeys, ann, device)
    await passkeys.remove(ann, device.credential_id, client=HERE)
    with pytest.raises(SignInFailed):
        await passkeys.sign_in(device.get(passkeys.options_to_sign_in(BROWSER)), BROWSER, client=AWAY)


async def test_links_that_set_a_password_forget_passkeys(passkeys: Passkeys, ann: SignedIn, device: Authenticator, people: People) -> None:
    await add(passkeys, ann, device)
    await owner(people)  # as a locked-out owner does
    assert await passkeys.list(ann.person.id) == []


async def test_where_a_second_factor_is_required_a_passkey_is_one(
    passkeys: Passkeys, ann: SignedIn, device: Authenticator, signin: SignIn
) -> None:
    await add(passkeys, ann, device)
    with pytest.raises(NotAllowed):
        await signin.factors.require(ann, required=True, client=HERE)
    by_passkey = await session_of(signin, await passkeys.sign_in(device.get(passkeys.options_to_sign_in(BROWSER)), BROWSER, client=HERE))
    await signin.factors.require(by_passkey, required=True, client=HERE)
    by_password = await signin.sign_in(EMAIL, PASSWORD, client=HERE)
    assert not by_password.session.is_complete
    waiting = await signin.find_waiting(by_password.secret)
    assert waiting is not None
    done = await passkeys.sign_in(
        device.get(passkeys.options_to_sign_in(BROWSER)), BROWSER, client=HERE, replaces=by_password.session.id_hash
    )
    assert not (await session_of(signin, done)).must_add_factor
    assert await signin.find_waiting(by_password.secret) is None


def test_passkeys_are_bound_to_the_name_of_the_public_address() -> None:
    for url, origin in {
        "https://Mail.Acme.example:443/base": "https://mail.acme.example",
        "https://mail.acme.example:8443": "https://mail.acme.example:8443",
        "http://localhost:8025": "http://localhost:8025",
    }.items():
        assert relying_party(url) == RelyingParty(id=origin.partition("//")[2].partition(":")[0], origin=origin)
    for url in ("https://192.0.2.1", "https://[2001:db8::1]", "http://mail.acme.example", ""):
        assert relying_party(url) is None
