"""Making, rotating and revoking keys."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from sendryd.accounts.api_keys import ApiKeys, BadExpiry
from sendryd.model.actor import System
from sendryd.model.apikey import KeyMode, Scope
from sendryd.model.ids import AccountId, ApiKeyId
from sendryd.policy.credentials import hash_key
from sendryd.policy.permissions import LiveKeyNeeded
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import Store
from sendryd.store.errors import NotAllowed, NotFound
from sendryd.testing.clock import ManualClock

ACCOUNT = AccountId(1)


@pytest.fixture
def api_keys(store: Store, clock: ManualClock) -> ApiKeys:
    rand = SeededRand(7)
    return ApiKeys(store, clock=clock, rand=rand, ids=IdSource(clock, rand))


async def test_a_new_key_is_found_by_the_hash_of_its_secret_alone(api_keys: ApiKeys, store: Store, tmp_path: Path) -> None:
    key, secret = await api_keys.create(System(ACCOUNT), "app")
    assert (key.scope, key.mode, key.expires_at) == (Scope.FULL_ACCESS, KeyMode.LIVE, None)
    assert secret.startswith("sn_live_")
    assert len(secret) == 8 + 43
    assert key.prefix == secret[:12]
    secret_hash = hash_key(secret)
    assert secret_hash is not None
    assert await store.find_api_key(secret_hash) == key
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert secret_hash in written
    assert secret[12:].encode() not in written


async def test_what_is_asked_for_is_stored(api_keys: ApiKeys, store: Store, clock: ManualClock) -> None:
    key, secret = await api_keys.create(System(ACCOUNT), "ci", scope=Scope.READ_ONLY, mode=KeyMode.TEST, expires_in=timedelta(days=90))
    assert secret.startswith("sn_test_")
    assert key.expires_at == clock.now() + timedelta(days=90)
    assert await store.list_api_keys(ACCOUNT) == [key]


async def test_a_lifetime_beyond_the_calendar_ends_with_it(api_keys: ApiKeys) -> None:
    key, _ = await api_keys.create(System(ACCOUNT), "long", expires_in=timedelta.max)
    assert key.expires_at is not None
    assert key.expires_at.year == 9999
    assert (await api_keys.revoke(System(ACCOUNT), key.id, grace=timedelta.max)).revoked_at == key.expires_at


@pytest.mark.parametrize(
    ("lifetime", "moment", "words"),
    [
        (timedelta(days=1), datetime(2030, 1, 1, tzinfo=UTC), "give this or expires_in, not both"),
        (None, datetime(2020, 1, 1, tzinfo=UTC), "that time has passed"),
        (None, datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-2))), "does not expire"),
    ],
)
async def test_a_key_cannot_end_twice_in_the_past_or_beyond_the_calendar(
    api_keys: ApiKeys, lifetime: timedelta | None, moment: datetime, words: str
) -> None:
    with pytest.raises(BadExpiry, match=words) as caught:
        await api_keys.create(System(ACCOUNT), "short", expires_in=lifetime, expires_at=moment)
    assert caught.value.field == "expires_at"


async def test_a_test_key_makes_and_revokes_test_keys_alone(api_keys: ApiKeys, store: Store) -> None:
    tester, _ = await api_keys.create(System(ACCOUNT), "tester", mode=KeyMode.TEST)
    live, _ = await api_keys.create(System(ACCOUNT), "live")
    with pytest.raises(LiveKeyNeeded):
        await api_keys.create(tester, "another")
    with pytest.raises(LiveKeyNeeded):
        await api_keys.revoke(tester, live.id)
    another, _ = await api_keys.create(tester, "another", mode=KeyMode.TEST)
    await api_keys.revoke(tester, another.id)
    assert {key.id for key in await store.list_api_keys(ACCOUNT) if key.revoked_at is None} == {tester.id, live.id}


async def test_a_key_is_revoked_again_unless_that_is_not_wanted(api_keys: ApiKeys, clock: ManualClock) -> None:
    key, _ = await api_keys.create(System(ACCOUNT), "app")
    first = await api_keys.revoke(System(ACCOUNT), key.id, is_repeatable=False)
    clock.advance(timedelta(seconds=1))
    assert await api_keys.revoke(System(ACCOUNT), key.id) == first
    with pytest.raises(NotFound):
        await api_keys.revoke(System(ACCOUNT), key.id, is_repeatable=False)


async def test_secrets_differ(api_keys: ApiKeys) -> None:
    assert len({(await api_keys.create(System(ACCOUNT), "same"))[1] for _ in range(20)}) == 20


async def test_a_rotated_key_is_replaced_at_once_or_after_the_time_of_grace(api_keys: ApiKeys, store: Store, clock: ManualClock) -> None:
    old, _ = await api_keys.create(System(ACCOUNT), "app", scope=Scope.SENDING_ACCESS, mode=KeyMode.TEST)
    new, secret = await api_keys.rotate(System(ACCOUNT), old.id, grace=timedelta(hours=1))
    assert secret.startswith("sn_test_")
    assert (new.name, new.scope, new.mode, new.expires_at) == (old.name, old.scope, old.mode, None)
    stored = {key.id: key for key in await store.list_api_keys(ACCOUNT)}
    assert stored[old.id].is_active(clock.now() + timedelta(minutes=59))
    assert not stored[old.id].is_active(clock.now() + timedelta(hours=1))
    newest, _ = await api_keys.rotate(System(ACCOUNT), new.id)
    stored = {key.id: key for key in await store.list_api_keys(ACCOUNT)}
    assert not stored[new.id].is_active(clock.now())
    assert stored[newest.id].is_active(clock.now())


async def test_a_rotated_key_lives_as_long_as_the_old_one_was_meant_to(api_keys: ApiKeys, clock: ManualClock) -> None:
    old, _ = await api_keys.create(System(ACCOUNT), "app", expires_in=timedelta(days=30))
    clock.advance(timedelta(days=40))
    new, _ = await api_keys.rotate(System(ACCOUNT), old.id)
    assert new.expires_at == clock.now() + timedelta(days=30)


async def test_rotation_does_not_bring_a_revoked_key_back(api_keys: ApiKeys, store: Store) -> None:
    old, _ = await api_keys.create(System(ACCOUNT), "leaked")
    await api_keys.revoke(System(ACCOUNT), old.id)
    with pytest.raises(NotAllowed):
        await api_keys.rotate(System(ACCOUNT), old.id)
    assert len(await store.list_api_keys(ACCOUNT)) == 1


async def test_an_earlier_revocation_stays(api_keys: ApiKeys, clock: ManualClock) -> None:
    key, _ = await api_keys.create(System(ACCOUNT), "app")
    first = await api_keys.revoke(System(ACCOUNT), key.id)
    clock.advance(timedelta(days=1))
    assert (await api_keys.revoke(System(ACCOUNT), key.id)).revoked_at == first.revoked_at


async def test_keys_of_others_are_not_found(api_keys: ApiKeys) -> None:
    key, _ = await api_keys.create(System(ACCOUNT), "app")
    for account, number in ((AccountId(2), key.id), (ACCOUNT, ApiKeyId(1))):
        with pytest.raises(NotFound):
            await api_keys.revoke(System(account), number)
        with pytest.raises(NotFound):
            await api_keys.rotate(System(account), number)


async def test_a_key_may_live_until_a_moment(api_keys: ApiKeys, clock: ManualClock) -> None:
    moment = clock.now() + timedelta(days=3)
    key, _ = await api_keys.create(System(ACCOUNT), "app", expires_at=moment)
    assert key.expires_at == moment
