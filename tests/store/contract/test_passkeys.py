"""Passkeys: added, used, forgotten; challenges that count once; how a session began."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.actor import Role
from sendryd.model.ids import PersonId
from sendryd.model.people import LinkPurpose, Passkey, PasskeyUse, SignInMethod, SpentChallenge
from sendryd.store.base import Store
from sendryd.store.errors import Changed, Conflict, LimitReached, NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

from .test_people import audit, joined, link, session

MINUTE = timedelta(minutes=1)


def passkey(person_id: PersonId, credential_id: bytes = b"one", sign_count: int = 0) -> Passkey:
    return Passkey(
        credential_id=credential_id, person_id=person_id, public_key=b"key", sign_count=sign_count, name="Laptop", created_at=NOW
    )


def spent(text: bytes) -> SpentChallenge:
    return SpentChallenge(hash=text, expires_at=NOW + MINUTE)


def use(credential_id: bytes = b"one", sign_count: int = 0) -> PasskeyUse:
    return PasskeyUse(credential_id=credential_id, sign_count=sign_count, used_at=NOW + MINUTE)


async def actions(store: Store) -> list[str]:
    return [each.action for each in (await store.list_audit(ACCOUNT, limit=20)).items]


async def test_a_passkey_is_added_with_its_entry_and_once(store: Store, samples: Samples) -> None:
    who, _ = await joined(store, samples)
    one = passkey(who.id)
    await store.add_passkey(one, spent(b"1"), audit(samples, "person.passkey_added"), limit=2)
    assert (await store.find_passkey(b"one"), await store.find_passkey(b"two")) == (one, None)
    refused = audit(samples, "person.never")
    with pytest.raises(Conflict):
        await store.add_passkey(one, spent(b"2"), refused, limit=2)
    with pytest.raises(Changed):
        await store.add_passkey(passkey(who.id, b"two"), spent(b"1"), refused, limit=2)
    await store.add_passkey(passkey(who.id, b"two"), spent(b"2"), audit(samples), limit=2)  # what was refused spent nothing
    with pytest.raises(LimitReached, match="2 passkeys"):
        await store.add_passkey(passkey(who.id, b"three"), spent(b"3"), refused, limit=2)
    assert [each.credential_id for each in await store.list_passkeys(who.id)] == [b"one", b"two"]
    assert "person.passkey_added" in await actions(store)
    assert "person.never" not in await actions(store)


async def test_only_its_person_removes_a_passkey(store: Store, samples: Samples) -> None:
    who, _ = await joined(store, samples)
    other, _ = await joined(store, samples, "bob@acme.example")
    await store.add_passkey(passkey(who.id), spent(b"1"), audit(samples), limit=5)
    with pytest.raises(NotFound):
        await store.remove_passkey(other.id, b"one", audit(samples))
    await store.remove_passkey(who.id, b"one", audit(samples, "person.passkey_removed"))
    assert await store.list_passkeys(who.id) == []
    assert (await actions(store))[0] == "person.passkey_removed"


async def test_a_use_counts_once_and_never_backwards(store: Store, samples: Samples) -> None:
    who, _ = await joined(store, samples)
    await store.add_passkey(passkey(who.id, sign_count=4), spent(b"1"), audit(samples), limit=5)
    by_passkey = session(who, b"a", method=SignInMethod.PASSKEY)
    await store.start_session(by_passkey, audit(samples, "person.signed_in"), spends=spent(b"2"), passkey=use(sign_count=5))
    stored = await store.find_passkey(b"one")
    assert stored is not None
    assert (stored.sign_count, stored.used_at) == (5, NOW + MINUTE)
    for challenge, used in ((b"2", use(sign_count=6)), (b"3", use(sign_count=5)), (b"3", use(sign_count=0)), (b"3", use(b"gone", 9))):
        with pytest.raises(Changed):
            await store.start_session(session(who, b"b"), None, spends=spent(challenge), passkey=used)
        with pytest.raises(Changed):
            await store.elevate_session(b"a", NOW + MINUTE, spends=spent(challenge), passkey=used)
    found = await store.find_session(b"a")
    assert found is not None
    assert (found.session, await store.find_session(b"b")) == (by_passkey, None)
    await store.elevate_session(b"a", NOW + MINUTE, spends=spent(b"3"), passkey=use(sign_count=6))


async def test_an_authenticator_that_does_not_count_is_taken(store: Store, samples: Samples) -> None:
    who, _ = await joined(store, samples)
    await store.add_passkey(passkey(who.id), spent(b"1"), audit(samples), limit=5)
    for challenge in (b"2", b"3"):
        await store.start_session(session(who, challenge), None, spends=spent(challenge), passkey=use())


async def test_a_new_password_by_a_link_forgets_the_passkeys(store: Store, samples: Samples) -> None:
    who, _ = await joined(store, samples)
    await store.add_passkey(passkey(who.id), spent(b"1"), audit(samples), limit=5)
    renamed = replace(who, name="Anna")
    await store.change_person(who, renamed, audit(samples))
    assert len(await store.list_passkeys(who.id)) == 1
    made = link(b"reset", LinkPurpose.RESET, person_id=who.id)
    await store.add_link(made)
    changed = replace(renamed, password_hash="new")
    await store.reset_password(made, renamed, changed, audit(samples), NOW)
    assert await store.list_passkeys(who.id) == []
    await store.add_passkey(passkey(who.id), spent(b"2"), audit(samples), limit=5)
    await store.change_person(changed, who, audit(samples), forgets_passkeys=True)
    assert await store.list_passkeys(who.id) == []


async def test_who_is_in_no_account_has_no_passkey(store: Store, samples: Samples) -> None:
    await joined(store, samples)
    who, of = await joined(store, samples, "bob@acme.example", Role.MEMBER)
    await store.add_passkey(passkey(who.id), spent(b"1"), audit(samples), limit=5)
    await store.remove_member(ACCOUNT, of.id, audit(samples))
    assert await store.find_passkey(b"one") is None


async def test_a_session_by_passkey_needs_no_further_factor(store: Store, samples: Samples) -> None:
    who, _ = await joined(store, samples)
    account = await store.get_account(ACCOUNT)
    assert account is not None
    await store.set_account(account, name=account.name, settings=replace(account.settings, requires_factor=True))
    for secret, method in ((b"a", SignInMethod.PASSWORD), (b"b", SignInMethod.PASSKEY), (b"c", SignInMethod.PROVIDER)):
        await store.start_session(session(who, secret, method=method), None)
    found = {secret: await store.find_session(secret) for secret in (b"a", b"b", b"c")}
    assert {secret: each.must_add_factor for secret, each in found.items() if each} == {b"a": True, b"b": False, b"c": True}
