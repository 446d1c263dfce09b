"""A change and its entry of the audit are one transaction."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.domain import DomainSettings
from sendryd.model.ids import AuditId, DkimKeyId, DomainId, TemplateId, UnsubscribeId, WebhookId
from sendryd.model.people import AuditEntry
from sendryd.store.base import Store
from sendryd.store.errors import Conflict, NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples


def entry(number: int = 1, action: str = "domain.added") -> AuditEntry:
    return AuditEntry(
        id=AuditId(number),
        account_id=ACCOUNT,
        actor="mara@acme.example",
        address="192.0.2.1",
        action=action,
        target="example.test",
        created_at=NOW,
        after={"status": "pending"},
    )


async def entries(store: Store) -> list[AuditEntry]:
    return list((await store.list_audit(ACCOUNT, limit=50)).items)


async def test_a_change_is_stored_with_its_entry(store: Store, samples: Samples) -> None:
    new = samples.domain()
    await store.audited(entry()).add_domain(new)
    assert await store.get_domain(new.domain.id) == new.domain
    assert await entries(store) == [entry()]
    await store.set_domain_settings(new.domain, DomainSettings(track_opens=True))  # without an author
    assert await entries(store) == [entry()]


async def test_a_change_that_fails_leaves_no_entry(store: Store, samples: Samples) -> None:
    new = samples.domain()
    await store.add_domain(new)
    with pytest.raises(Conflict):
        await store.audited(entry()).add_domain(samples.domain())
    with pytest.raises(NotFound):
        await store.audited(entry()).remove_domain(DomainId(9), NOW)
    with pytest.raises(NotFound):
        await store.audited(entry()).rotate_api_key(ACCOUNT, samples.api_key().key.id, samples.api_key(), NOW)
    with pytest.raises(NotFound):
        await store.audited(entry()).remove_suppression(ACCOUNT, "ann@example.test")
    with pytest.raises(NotFound):
        await store.audited(entry()).remove_unsubscribe(ACCOUNT, UnsubscribeId(9))
    with pytest.raises(NotFound):
        await store.audited(entry()).remove_template(ACCOUNT, TemplateId(9))
    with pytest.raises(NotFound):
        await store.audited(entry()).remove_webhook(ACCOUNT, WebhookId(9))
    with pytest.raises(NotFound):
        await store.audited(entry()).remove_dkim_key(DkimKeyId(9))
    assert await entries(store) == []


async def test_a_change_whose_entry_fails_is_not_stored(store: Store, samples: Samples) -> None:
    new = samples.domain()
    await store.add_audit(entry())
    with pytest.raises(Conflict):  # the number is taken
        await store.audited(entry()).add_domain(new)
    assert await store.get_domain(new.domain.id) is None
    key = samples.api_key()
    await store.add_api_key(key)
    with pytest.raises(Conflict):
        await store.audited(entry()).revoke_api_key(ACCOUNT, key.key.id, NOW)
    assert [each.revoked_at for each in await store.list_api_keys(ACCOUNT)] == [None]
    assert await entries(store) == [entry()]


async def test_an_entry_is_written_once(store: Store, samples: Samples) -> None:
    new = samples.domain()
    audited = store.audited(entry())
    await audited.add_domain(new)
    await audited.set_domain_settings(new.domain, DomainSettings(track_opens=True))
    assert await entries(store) == [entry()]


async def test_each_kind_of_change_carries_an_entry(store: Store, samples: Samples) -> None:
    domain, key = samples.domain(), samples.api_key()
    await store.audited(entry(1)).add_domain(domain)
    changed = await store.audited(entry(2)).set_domain_settings(domain.domain, DomainSettings(track_opens=True))
    await store.audited(entry(3)).add_api_key(key)
    other = replace(samples.api_key(), key=replace(samples.api_key().key, created_at=NOW + timedelta(seconds=1)))
    await store.audited(entry(4)).rotate_api_key(ACCOUNT, key.key.id, other, NOW)
    await store.audited(entry(5)).revoke_api_key(ACCOUNT, other.key.id, NOW)
    await store.audited(entry(6)).remove_domain(changed.id, NOW)
    assert [each.id for each in await entries(store)] == [6, 5, 4, 3, 2, 1]
