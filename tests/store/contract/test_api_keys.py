"""API keys: found by their hash, rotated in one step, limited."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sendryd.model.apikey import KeyMode, KeyUse
from sendryd.model.ids import (
    AccountId,
)
from sendryd.store.base import (
    MailStore,
)
from sendryd.store.errors import Conflict, LimitReached, NotAllowed, NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

LATER = NOW + timedelta(minutes=5)
OTHER = AccountId(2)


async def test_keys(store: MailStore, samples: Samples) -> None:
    new = samples.api_key(secret_hash=b"h" * 32)
    version = await store.read_config_version()
    await store.add_api_key(new)
    assert await store.read_config_version() > version
    assert await store.find_api_key(b"h" * 32) == new.key
    assert await store.find_api_key(b"x" * 32) is None
    with pytest.raises(Conflict):
        await store.add_api_key(samples.api_key(secret_hash=b"h" * 32))
    version = await store.read_config_version()
    await store.touch_api_keys({new.key.id: KeyUse(LATER, "192.0.2.9")})
    assert await store.read_config_version() == version
    revoked = await store.revoke_api_key(ACCOUNT, new.key.id, LATER)
    assert (revoked.revoked_at, revoked.last_used_at, revoked.last_used_from) == (LATER, LATER, "192.0.2.9")
    assert (await store.revoke_api_key(ACCOUNT, new.key.id, LATER + timedelta(days=1))).revoked_at == LATER
    assert await store.read_config_version() > version
    with pytest.raises(NotFound):
        await store.revoke_api_key(AccountId(2), new.key.id, LATER)
    other = samples.api_key()
    await store.add_api_key(other)
    assert [key.id for key in await store.list_api_keys(ACCOUNT)] == [other.key.id, new.key.id]


async def test_keys_are_listed_by_pages_without_revoked_ones(store: MailStore, samples: Samples) -> None:
    made = [samples.api_key() for _ in range(4)]
    for new in (*made, samples.api_key()):
        await store.add_api_key(new)
    await store.revoke_api_key(ACCOUNT, made[2].key.id, LATER + timedelta(days=365))
    page = await store.page_api_keys(ACCOUNT, limit=2)
    assert page.has_more
    assert page.items[1] == made[3].key
    page = await store.page_api_keys(ACCOUNT, limit=2, before=made[3].key.id)
    assert (page.items, page.has_more) == ((made[1].key, made[0].key), False)
    assert (await store.page_api_keys(OTHER, limit=2)).items == ()


async def test_a_key_is_rotated_in_one_step(store: MailStore, samples: Samples) -> None:
    old, new, late = (replace(each, key=replace(each.key, created_at=NOW)) for each in (samples.api_key() for _ in range(3)))
    await store.add_api_key(old)
    await store.rotate_api_key(ACCOUNT, old.key.id, new, NOW)
    with pytest.raises(NotAllowed):
        await store.rotate_api_key(ACCOUNT, old.key.id, late, NOW)
    assert {key.id: key.revoked_at for key in await store.list_api_keys(ACCOUNT)} == {old.key.id: NOW, new.key.id: None}


async def outcomes(attempts: list[Awaitable[Any]]) -> list[str]:
    return sorted(type(each).__name__ for each in await asyncio.gather(*attempts, return_exceptions=True))


async def test_keys_have_a_limit(store: MailStore, samples: Samples) -> None:
    made = [samples.api_key() for _ in range(8)]
    assert await outcomes([store.add_api_key(each, limit=5) for each in made]) == ["LimitReached"] * 3 + ["NoneType"] * 5
    keys = await store.list_api_keys(ACCOUNT)
    assert len(keys) == 5
    await store.revoke_api_key(ACCOUNT, keys[0].id, NOW)
    expired = samples.api_key()
    await store.add_api_key(replace(expired, key=replace(expired.key, expires_at=NOW - timedelta(days=1))), limit=5)
    await store.add_api_key(samples.api_key(), limit=5)
    with pytest.raises(LimitReached, match="5 API keys, the most that it may have: revoke one first"):
        await store.add_api_key(samples.api_key(), limit=5)
    await store.rotate_api_key(ACCOUNT, keys[1].id, samples.api_key(), NOW)  # puts one in the place of another


async def test_test_keys_leave_room_for_live_ones(store: MailStore, samples: Samples) -> None:
    for _ in range(2):
        await store.add_api_key(samples.api_key(mode=KeyMode.TEST), limit=2)
    for _ in range(2):
        await store.add_api_key(samples.api_key(), limit=2)
    for mode in KeyMode:
        with pytest.raises(LimitReached):
            await store.add_api_key(samples.api_key(mode=mode), limit=2)
