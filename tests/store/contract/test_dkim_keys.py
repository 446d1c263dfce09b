"""DKIM keys: pending, active, retired."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.domain import DkimKey, DkimKeyState, DnsRecord, RecordPurpose
from sendryd.model.ids import DkimKeyId, DomainId
from sendryd.store.base import MailStore, NewDkimKey
from sendryd.store.errors import Changed, Conflict, NotAllowed, NotFound
from sendryd.testing.samples import NOW, Samples

LATER = NOW + timedelta(hours=1)
RECORDS = (DnsRecord(purpose=RecordPurpose.DKIM, type="TXT", name="two._domainkey.example.test", value="v", is_required=True),)


def new_key(domain_id: DomainId, number: int, selector: str) -> NewDkimKey:
    key_id = DkimKeyId((1 << 62) + number)
    key = DkimKey(id=key_id, domain_id=domain_id, selector=selector, public_key=f"key {selector}", created_at=NOW, starts_at=LATER)
    return NewDkimKey(key=key, private_key=f"PEM {selector}".encode())


async def test_a_key_becomes_active_once_it_is_seen_and_due(store: MailStore, samples: Samples) -> None:
    domain = samples.domain()
    await store.add_domain(domain)
    assert await store.list_dkim_keys(domain.domain.id) == []
    two = new_key(domain.domain.id, 1, "two")
    await store.add_dkim_key(two)
    assert await store.list_dkim_keys(domain.domain.id) == await store.list_pending_dkim_keys() == [two.key]
    with pytest.raises(NotAllowed):  # its record was not seen
        await store.activate_dkim_key(domain.domain, two.key.id, RECORDS, LATER)
    await store.note_dkim_key(two.key.id, NOW)
    with pytest.raises(NotAllowed):  # its time has not come
        await store.activate_dkim_key(domain.domain, two.key.id, RECORDS, NOW)
    assert await store.read_private_key(domain.domain.id) == b"PEM"
    version = await store.read_config_version()
    after = await store.activate_dkim_key(domain.domain, two.key.id, RECORDS, LATER)
    assert (after.selector, after.public_key, after.records) == ("two", "key two", RECORDS)
    assert await store.get_domain(after.id) == after
    assert await store.read_private_key(after.id) == b"PEM two"
    assert await store.read_config_version() > version  # signers notice
    active, retired = await store.list_dkim_keys(after.id)
    assert active == replace(two.key, seen_at=NOW, active_at=LATER)
    assert (retired.selector, retired.public_key) == (domain.domain.selector, domain.domain.public_key)
    assert (retired.state, retired.active_at, retired.retired_at) == (DkimKeyState.RETIRED, domain.domain.created_at, LATER)
    assert await store.list_pending_dkim_keys() == []


async def test_the_second_rotation_retires_the_second_key(store: MailStore, samples: Samples) -> None:
    domain = samples.domain()
    await store.add_domain(domain)
    after = domain.domain
    for number, selector in enumerate(("two", "three")):
        new = new_key(after.id, number, selector)
        await store.add_dkim_key(new)
        await store.note_dkim_key(new.key.id, LATER)
        after = await store.activate_dkim_key(after, new.key.id, RECORDS, LATER)
    states = [(key.selector, key.state) for key in await store.list_dkim_keys(after.id)]
    first = domain.domain.selector
    assert states == [("three", DkimKeyState.ACTIVE), ("two", DkimKeyState.RETIRED), (first, DkimKeyState.RETIRED)]


async def test_a_domain_has_one_pending_key_and_never_a_selector_twice(store: MailStore, samples: Samples) -> None:
    domain = samples.domain()
    await store.add_domain(domain)
    with pytest.raises(NotFound):
        await store.add_dkim_key(new_key(DomainId(9), 1, "two"))
    with pytest.raises(Conflict):
        await store.add_dkim_key(new_key(domain.domain.id, 1, domain.domain.selector))
    two = new_key(domain.domain.id, 1, "two")
    await store.add_dkim_key(two)
    with pytest.raises(Conflict):
        await store.add_dkim_key(new_key(domain.domain.id, 2, "three"))
    await store.note_dkim_key(two.key.id, LATER)
    await store.activate_dkim_key(domain.domain, two.key.id, RECORDS, LATER)
    with pytest.raises(Conflict):
        await store.add_dkim_key(new_key(domain.domain.id, 3, domain.domain.selector))


async def test_an_overtaken_rotation_changes_nothing(store: MailStore, samples: Samples) -> None:
    domain = samples.domain()
    await store.add_domain(domain)
    two = new_key(domain.domain.id, 1, "two")
    await store.add_dkim_key(two)
    await store.note_dkim_key(two.key.id, LATER)
    with pytest.raises(Changed):
        await store.activate_dkim_key(replace(domain.domain, public_key="another"), two.key.id, RECORDS, LATER)
    with pytest.raises(NotFound):
        await store.activate_dkim_key(domain.domain, DkimKeyId(7), RECORDS, LATER)
    assert await store.get_domain(domain.domain.id) == domain.domain


async def test_pending_and_retired_keys_are_removed_and_the_active_one_is_not(store: MailStore, samples: Samples) -> None:
    domain = samples.domain()
    await store.add_domain(domain)
    two = new_key(domain.domain.id, 1, "two")
    await store.add_dkim_key(two)
    await store.remove_dkim_key(two.key.id)
    with pytest.raises(NotFound):
        await store.remove_dkim_key(two.key.id)
    await store.add_dkim_key(two)
    await store.note_dkim_key(two.key.id, LATER)
    await store.note_dkim_key(two.key.id, None)  # the record is gone again
    with pytest.raises(NotAllowed):
        await store.activate_dkim_key(domain.domain, two.key.id, RECORDS, LATER)
    await store.note_dkim_key(two.key.id, LATER)
    after = await store.activate_dkim_key(domain.domain, two.key.id, RECORDS, LATER)
    with pytest.raises(NotFound):
        await store.remove_dkim_key(two.key.id)
    active, retired = await store.list_dkim_keys(after.id)
    await store.remove_dkim_key(retired.id)
    assert await store.list_dkim_keys(after.id) == [active]
    await store.remove_domain(after.id, LATER)
    assert await store.list_dkim_keys(after.id) == []
