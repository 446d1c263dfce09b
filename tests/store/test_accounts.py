"""Accounts, pages of keys and domains, logos, secrets, and the notices that changes of domains owe to webhooks."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from sendryd.model.account import AccountSettings, Branding, InboundForwarding
from sendryd.model.domain import Bimi, DomainSettings, DomainStatus
from sendryd.model.ids import AccountId, DomainId, WebhookId
from sendryd.model.webhook import NotificationState, Webhook, WebhookEvent
from sendryd.store.base import DomainCheck, MailStore, Notice, Store
from sendryd.store.errors import Conflict, NotFound
from sendryd.store.sqlite import open_store
from sendryd.store.sqlite.engine.connection import FILE_NAME
from sendryd.testing.samples import ACCOUNT, NOW, Samples

OTHER = AccountId(2)
LATER = NOW + timedelta(minutes=5)
BIMI = Bimi(
    logo_url="https://example.test/logo.svg",
    vmc_url=None,
    selector="default",
    is_verified=False,
    verified_at=None,
    created_at=NOW,
    updated_at=NOW,
)
CHECK = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=LATER, verified_at=LATER, failing_since=None, failures=0)


async def test_an_account_and_its_settings(store: MailStore) -> None:
    account = await store.get_account(ACCOUNT)
    assert account is not None
    assert (account.name, account.created_at, account.settings) == ("default", NOW, AccountSettings())
    settings = AccountSettings(
        branding=Branding(brand_color="#ff0000", unsubscribe_heading="Tsch\u00fcss"),
        inbound=InboundForwarding(url="https://example.test/in", secret="s"),
        default_region="eu",
        data_residency="eu",
        benchmark_opt_in=True,
    )
    changed = await store.set_account(account, name="Acme", settings=settings)
    assert changed == replace(account, name="Acme", settings=settings)
    assert await store.get_account(ACCOUNT) == changed
    assert not await store.ensure_account(ACCOUNT, "again", LATER)
    assert await store.get_account(ACCOUNT) == changed
    assert await store.get_account(OTHER) is None
    with pytest.raises(NotFound):
        await store.set_account(replace(account, id=OTHER), name="x", settings=settings)


async def test_settings_that_were_stored_without_later_ones_have_their_defaults(tmp_path: Path, samples: Samples) -> None:
    store = open_store(tmp_path)
    await store.ensure_account(ACCOUNT, "default", NOW)
    new = samples.domain()
    await store.add_domain(new)
    connection = apsw.Connection(str(tmp_path / FILE_NAME))
    connection.execute(
        """UPDATE account SET settings = '{"branding":{"brand_logo":"https://example.test/l.png"},"benchmark_opt_in":true}'"""
    )
    connection.execute("""UPDATE sending_domain SET settings = '{"track_opens":true,"tls_policy":"enforced"}'""")
    connection.close()
    account, domain = await store.get_account(ACCOUNT), await store.get_domain(new.domain.id)
    assert account is not None
    assert account.settings == AccountSettings(branding=Branding(brand_logo="https://example.test/l.png"), benchmark_opt_in=True)
    assert domain is not None
    assert (domain.settings.track_opens, domain.settings.region) == (True, None)
    await store.aclose()


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


async def test_domains_are_listed_by_pages_and_searched(store: MailStore, samples: Samples) -> None:
    await store.ensure_account(OTHER, "other", NOW)
    made = [samples.domain(name) for name in ("one.test", "two.test", "my_shop.test", "three.example")]
    for new in (*made, samples.domain("four.test", OTHER)):
        await store.add_domain(new)
    page = await store.page_domains(ACCOUNT, limit=2)
    assert ([each.name for each in page.items], page.has_more) == (["three.example", "my_shop.test"], True)
    page = await store.page_domains(ACCOUNT, limit=2, before=page.items[-1].id)
    assert ([each.name for each in page.items], page.has_more) == (["two.test", "one.test"], False)
    page = await store.page_domains(ACCOUNT, text="TEST", limit=1, before=made[2].domain.id)
    assert ([each.name for each in page.items], page.has_more) == (["two.test"], True)
    page = await store.page_domains(ACCOUNT, text="_", limit=9)
    assert [each.name for each in page.items] == ["my_shop.test"]
    assert await store.count_domains(ACCOUNT) == 4
    assert await store.count_domains(ACCOUNT, text="Test") == 3
    assert await store.count_domains(ACCOUNT, text="%") == 0
    assert await store.count_domains(OTHER) == 1


async def test_a_logo_is_kept_replaced_and_goes_with_its_domain(store: MailStore, samples: Samples) -> None:
    new = samples.domain()
    await store.add_domain(new)
    number = new.domain.id
    assert await store.get_bimi(number) is None
    await store.set_bimi(number, None, None)
    await store.set_bimi(number, None, BIMI)
    assert await store.get_bimi(number) == BIMI
    found = replace(BIMI, vmc_url="https://example.test/v.pem", selector="s2", is_verified=True, verified_at=LATER, updated_at=LATER)
    await store.set_bimi(number, BIMI, found)
    assert await store.get_bimi(number) == found
    await store.set_bimi(number, found, None)
    assert await store.get_bimi(number) is None
    await store.set_bimi(number, None, BIMI)
    await store.remove_domain(number, NOW)
    assert await store.get_bimi(number) is None
    for bimi in (BIMI, None):
        with pytest.raises(NotFound):
            await store.set_bimi(number, None, bimi)


async def test_the_first_secret_of_a_name_stands(store: MailStore) -> None:
    assert await store.ensure_secret("links", b"first") == b"first"
    assert await store.ensure_secret("links", b"second") == b"first"
    assert await store.ensure_secret("other", b"\x00\xff") == b"\x00\xff"


async def test_two_processes_that_start_at_once_have_one_secret(tmp_path: Path) -> None:
    one, two = open_store(tmp_path), open_store(tmp_path)
    found = await asyncio.gather(one.ensure_secret("links", b"one"), two.ensure_secret("links", b"two"))
    assert len(set(found)) == 1
    for store in (one, two):
        assert await store.ensure_secret("links", b"late") == found[0]
        await store.aclose()


def hook(samples: Samples) -> Webhook:
    return Webhook(
        id=WebhookId(samples.number()),
        account_id=ACCOUNT,
        url="https://example.test/hook",
        events=(WebhookEvent.DOMAIN_CREATED, WebhookEvent.DOMAIN_UPDATED, WebhookEvent.DOMAIN_DELETED),
        secret="whsec_x",
        is_active=True,
        created_at=NOW,
        updated_at=NOW,
    )


def notice(event_type: WebhookEvent, **body: object) -> Notice:
    return Notice(type=event_type, body=body, created_at=LATER)


async def test_changes_of_a_domain_owe_their_notices(full_store: Store, samples: Samples) -> None:
    webhook = hook(samples)
    await full_store.add_webhook(webhook)
    new = samples.domain()
    number = new.domain.id
    await full_store.add_domain(new, notice(WebhookEvent.DOMAIN_CREATED, step=1))
    checked = await full_store.record_domain_check(new.domain, CHECK, notice(WebhookEvent.DOMAIN_UPDATED, step=2))
    await full_store.record_domain_check(checked, CHECK)
    await full_store.set_domain_settings(checked, DomainSettings(region="eu"), notice(WebhookEvent.DOMAIN_UPDATED, step=3))
    await full_store.remove_domain(number, NOW, notice(WebhookEvent.DOMAIN_DELETED, step=4))
    await full_store.fan_out(limit=100)
    owed = (await full_store.page_notifications(ACCOUNT, limit=9)).items
    assert [(each.type, each.body) for each in reversed(owed)] == [
        (WebhookEvent.DOMAIN_CREATED, {"step": 1}),
        (WebhookEvent.DOMAIN_UPDATED, {"step": 2}),
        (WebhookEvent.DOMAIN_UPDATED, {"step": 3}),
        (WebhookEvent.DOMAIN_DELETED, {"step": 4}),
    ]
    assert all((each.webhook_id, each.state, each.due_at) == (webhook.id, NotificationState.PENDING, LATER) for each in owed)


async def test_a_change_that_fails_owes_nothing(full_store: Store, samples: Samples) -> None:
    webhook = hook(samples)
    await full_store.add_webhook(webhook)
    await full_store.add_domain(samples.domain())
    missing = replace(samples.domain().domain, id=DomainId(9))
    created, updated, deleted = (notice(each) for each in webhook.events)
    with pytest.raises(Conflict):
        await full_store.add_domain(samples.domain(), created)
    for attempt in (
        full_store.record_domain_check(missing, CHECK, updated),
        full_store.set_domain_settings(missing, DomainSettings(), updated),
        full_store.remove_domain(DomainId(9), NOW, deleted),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await full_store.fan_out(limit=100) == 0
