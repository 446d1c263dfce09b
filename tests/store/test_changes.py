"""Nothing that is replaced as a whole is replaced by who has not seen it as it is; and limits hold for creates at the same time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sendryd.accounts.account import AccountOffice
from sendryd.accounts.domains import DomainOffice
from sendryd.accounts.templates import TemplateChange, TemplateOffice
from sendryd.accounts.webhooks import WebhookChange, WebhookOffice
from sendryd.model.account import AccountSettings, Branding
from sendryd.model.actor import System
from sendryd.model.apikey import KeyMode
from sendryd.model.domain import Bimi, DomainSettings, DomainStatus
from sendryd.model.ids import AccountId, ReportId, TemplateId, TemplateVersionId, WebhookId
from sendryd.model.report import ReportFrequency, ScheduledReport
from sendryd.model.template import Template, TemplateContent
from sendryd.policy.dnsrecords import RecordSettings
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import DomainCheck, MailStore, Store
from sendryd.store.errors import Changed, LimitReached, NotAllowed
from sendryd.store.sqlite import open_store
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, NOW, Samples
from sendryd.testing.zone import ZoneResolver

OTHER = AccountId(2)
LATER = NOW + timedelta(hours=1)
LOGO = Bimi(
    logo_url="https://example.test/logo.svg",
    vmc_url=None,
    selector="default",
    is_verified=False,
    verified_at=None,
    created_at=NOW,
    updated_at=NOW,
)
CONTENT = TemplateContent(subject="Hello", html="<p>Hello</p>", text=None, engine="html", variables=None, blocks=None)


async def refused(attempt: Awaitable[Any]) -> None:
    with pytest.raises(Changed):
        await attempt


async def test_settings_of_a_domain_are_replaced_as_they_were_read(store: MailStore, samples: Samples) -> None:
    new = samples.domain()
    await store.add_domain(new)
    first = await store.set_domain_settings(new.domain, DomainSettings(track_opens=True))
    await refused(store.set_domain_settings(new.domain, DomainSettings(track_clicks=True)))
    assert await store.get_domain(new.domain.id) == first
    check = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=NOW, verified_at=NOW, failing_since=None, failures=0)
    checked = await store.record_domain_check(new.domain, check)  # settings are not what a check begins from
    assert checked.settings.track_opens
    await refused(store.record_domain_check(first, replace(check, status=DomainStatus.FAILED)))
    await store.set_domain_settings(first, DomainSettings(track_clicks=True))  # nor the other way round


async def test_a_logo_is_replaced_as_it_was_read(store: MailStore, samples: Samples) -> None:
    new = samples.domain()
    await store.add_domain(new)
    await store.set_bimi(new.domain.id, None, LOGO)
    other = replace(LOGO, selector="other")
    await refused(store.set_bimi(new.domain.id, None, other))
    await store.set_bimi(new.domain.id, LOGO, other)
    await refused(store.set_bimi(new.domain.id, LOGO, None))
    assert await store.get_bimi(new.domain.id) == other


async def test_an_account_is_replaced_as_it_was_read(store: MailStore) -> None:
    before = await store.get_account(ACCOUNT)
    assert before is not None
    after = await store.set_account(before, name="one", settings=before.settings)
    await refused(store.set_account(before, name=before.name, settings=AccountSettings(benchmark_opt_in=True)))
    assert await store.get_account(ACCOUNT) == after


async def test_a_webhook_is_replaced_as_it_was_read(full_store: Store, samples: Samples) -> None:
    webhook = samples.webhook()
    await full_store.add_webhook(webhook)
    await full_store.disable_webhook(webhook.id, "it failed for days", LATER)
    await refused(full_store.update_webhook(webhook, replace(webhook, url="https://new.example/")))
    found = await full_store.get_webhook(ACCOUNT, webhook.id)
    assert found is not None
    assert (found.is_active, found.disabled_reason) == (False, "it failed for days")


async def test_a_template_is_replaced_as_it_was_read(full_store: Store, samples: Samples) -> None:
    number, version_id = TemplateId(samples.number()), TemplateVersionId(samples.number())
    template = Template(id=number, account_id=ACCOUNT, name="one", content=CONTENT, created_at=NOW, updated_at=NOW)
    await full_store.add_template(template, version_id)

    async def update(before: Template, content: TemplateContent) -> Template:
        version = TemplateVersionId(samples.number())
        return await full_store.update_template(before, name=before.name, content=content, mode=KeyMode.LIVE, version_id=version, now=LATER)

    after = await update(template, replace(CONTENT, subject="New"))
    await refused(update(template, replace(CONTENT, html="<p>New</p>")))
    await refused(full_store.publish_template_version(template, version_id, mode=KeyMode.LIVE, now=LATER))
    assert await full_store.get_template(ACCOUNT, number) == after
    assert len(await full_store.list_template_versions(ACCOUNT, number)) == 2


async def test_a_scheduled_message_is_replaced_as_it_was_read(store: MailStore, samples: Samples) -> None:
    new = samples.message(scheduled_at=LATER, draft=b"one")
    await store.accept(new)
    other = samples.message(scheduled_at=LATER, draft=b"two", content=b"From: a@example.test\r\n\r\ntwo\r\n")
    two = replace(new, message=replace(new.message, size=len(other.content)), content=other.content, draft=b"two")
    await store.amend(two, NOW, made_from=b"one")
    await refused(store.amend(replace(two, draft=b"three"), NOW, made_from=b"one"))
    assert await store.read_draft(new.message.id) == b"two"
    assert await store.read_content(new.message.id) == other.content


async def test_a_key_is_rotated_in_one_step(store: MailStore, samples: Samples) -> None:
    old, new, late = (replace(each, key=replace(each.key, created_at=NOW)) for each in (samples.api_key() for _ in range(3)))
    await store.add_api_key(old)
    await store.rotate_api_key(ACCOUNT, old.key.id, new, NOW)
    with pytest.raises(NotAllowed):
        await store.rotate_api_key(ACCOUNT, old.key.id, late, NOW)
    assert {key.id: key.revoked_at for key in await store.list_api_keys(ACCOUNT)} == {old.key.id: NOW, new.key.id: None}


# Limits.


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


async def test_domains_have_a_limit(store: MailStore, samples: Samples) -> None:
    attempts: list[Awaitable[Any]] = [store.add_domain(samples.domain(f"d{number}.test"), limit=3) for number in range(5)]
    assert await outcomes(attempts) == ["LimitReached"] * 2 + ["NoneType"] * 3
    assert await store.count_domains(ACCOUNT) == 3
    for domain in await store.list_domains(ACCOUNT):
        assert await store.read_private_key(domain.id) is not None


async def test_webhooks_and_templates_have_limits(full_store: Store, samples: Samples) -> None:
    def template(mode: KeyMode = KeyMode.LIVE) -> Template:
        number = TemplateId(samples.number())
        return Template(id=number, account_id=ACCOUNT, name="x", content=CONTENT, created_at=NOW, updated_at=NOW, mode=mode)

    hooks: list[Awaitable[Any]] = [full_store.add_webhook(samples.webhook(), limit=3) for _ in range(5)]
    assert await outcomes(hooks) == ["LimitReached"] * 2 + ["NoneType"] * 3
    templates: list[Awaitable[Any]] = [full_store.add_template(template(), TemplateVersionId(samples.number()), limit=3) for _ in range(5)]
    assert await outcomes(templates) == ["LimitReached"] * 2 + ["NoneType"] * 3
    assert await full_store.count_webhooks(ACCOUNT) == 3
    with pytest.raises(LimitReached, match="3 webhooks, the most that it may have: remove one first"):
        await full_store.add_webhook(replace(samples.webhook(), mode=KeyMode.TEST), limit=3)
    with pytest.raises(LimitReached, match="3 templates, the most that it may have: delete one first"):
        await full_store.add_template(template(KeyMode.TEST), TemplateVersionId(samples.number()), limit=3)


async def test_scheduled_reports_have_a_limit_in_each_account(full_store: Store, samples: Samples) -> None:
    def report(account_id: AccountId = ACCOUNT) -> ScheduledReport:
        number = ReportId(samples.number())
        daily = ReportFrequency.DAILY
        return ScheduledReport(
            id=number, account_id=account_id, frequency=daily, recipients=("a@example.org",), created_at=NOW, due_at=NOW + timedelta(days=1)
        )

    await full_store.add_scheduled_report(report(OTHER), limit=3)
    attempts: list[Awaitable[Any]] = [full_store.add_scheduled_report(report(), limit=3) for _ in range(5)]
    assert await outcomes(attempts) == ["LimitReached"] * 2 + ["NoneType"] * 3
    assert len(await full_store.list_scheduled_reports(ACCOUNT)) == 3
    with pytest.raises(LimitReached, match="3 scheduled reports, the most that it may have: remove one first"):
        await full_store.add_scheduled_report(report(), limit=3)


# Two processes on one data directory.


class Pair:
    """Two processes' views of one data directory."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.stores = [open_store(directory), open_store(directory)]
        self.ids = [IdSource(self.clock, SeededRand(number)) for number in (1, 2)]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    made = Pair(tmp_path)
    await made.stores[0].ensure_account(ACCOUNT, "default", NOW)
    yield made
    for store in made.stores:
        await store.aclose()


async def test_changes_of_a_domain_by_two_processes_are_all_kept(pair: Pair, samples: Samples) -> None:
    new = samples.domain()
    await pair.stores[0].add_domain(new)
    offices = [
        DomainOffice(store, ZoneResolver(), RecordSettings("relay.test"), selector="s", clock=pair.clock, ids=ids)
        for store, ids in zip(pair.stores, pair.ids, strict=True)
    ]
    changes: list[dict[str, Any]] = [{"track_opens": True}, {"track_clicks": True}, {"include_subdomains": True}, {"region": "eu"}]

    async def change(number: int, **values: Any) -> None:
        await offices[number % 2].change(new.domain.id, lambda settings: replace(settings, **values))

    for _ in range(5):
        await asyncio.gather(*(change(number, **values) for number, values in enumerate(changes)))
        domain = await pair.stores[0].get_domain(new.domain.id)
        assert domain is not None
        assert domain.settings == DomainSettings(track_opens=True, track_clicks=True, include_subdomains=True, region="eu")
        await offices[0].change(new.domain.id, lambda _: DomainSettings())


async def test_changes_of_an_account_by_two_processes_are_all_kept(pair: Pair) -> None:
    offices = [AccountOffice(store) for store in pair.stores]
    await asyncio.gather(
        offices[0].rename(ACCOUNT, "Acme"),
        offices[1].change(ACCOUNT, lambda settings: replace(settings, branding=Branding(footer_copy="Acme Ltd"))),
        offices[0].change(ACCOUNT, lambda settings: replace(settings, default_region="eu")),
        offices[1].change(ACCOUNT, lambda settings: replace(settings, benchmark_opt_in=True)),
    )
    account = await offices[0].get(ACCOUNT)
    assert account.name == "Acme"
    assert account.settings == AccountSettings(branding=Branding(footer_copy="Acme Ltd"), default_region="eu", benchmark_opt_in=True)


async def test_changes_of_a_webhook_by_two_processes_are_all_kept(pair: Pair, samples: Samples) -> None:
    webhook = samples.webhook()
    await pair.stores[0].add_webhook(webhook)
    offices = [
        WebhookOffice(store, clock=pair.clock, ids=ids, rand=SeededRand(3), allow_private=False)
        for store, ids in zip(pair.stores, pair.ids, strict=True)
    ]
    changes = [WebhookChange(url="https://new.example/"), WebhookChange(events=["email.opened"]), WebhookChange(is_active=False)]
    await asyncio.gather(*(offices[number % 2].update(System(ACCOUNT), webhook.id, change) for number, change in enumerate(changes)))
    found = await pair.stores[0].get_webhook(ACCOUNT, WebhookId(webhook.id))
    assert found is not None
    assert (found.url, found.events, found.is_active) == ("https://new.example/", ("email.opened",), False)


async def test_changes_of_a_template_by_two_processes_are_all_kept(pair: Pair) -> None:
    offices = [TemplateOffice(store, clock=pair.clock, ids=ids) for store, ids in zip(pair.stores, pair.ids, strict=True)]
    made = await offices[0].add(System(ACCOUNT), TemplateChange(name="one"))
    changes = [TemplateChange(name="two"), TemplateChange(subject="Hello"), TemplateChange(html="<p>Hi</p>"), TemplateChange(text="Hi")]
    await asyncio.gather(*(offices[number % 2].update(System(ACCOUNT), made.id, change) for number, change in enumerate(changes)))
    found = await offices[0].get(ACCOUNT, made.id)
    assert (found.name, found.content.subject, found.content.html, found.content.text) == ("two", "Hello", "<p>Hi</p>", "Hi")
