"""Several processes with the same database: each sees what the others change, and no change is lost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from sendryd.accounts.account import Accounts
from sendryd.accounts.domains import Domains
from sendryd.accounts.templates import TemplateChange, Templates
from sendryd.accounts.webhooks import WebhookChange, Webhooks
from sendryd.model.account import AccountSettings, Branding
from sendryd.model.actor import System
from sendryd.model.domain import DomainSettings
from sendryd.model.ids import WebhookId
from sendryd.policy.dnsrecords import RecordSettings
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import Store
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, NOW, Samples
from sendryd.testing.zone import ZoneResolver

from .backends import Open


async def test_a_second_process_is_seen(open_store: Open, samples: Samples) -> None:
    first, second = await open_store(), await open_store()
    version = await first.read_config_version()
    new = samples.api_key()
    await second.ensure_account(ACCOUNT, "default", NOW)
    await second.add_api_key(new)
    assert await first.find_api_key(new.secret_hash) == new.key
    assert await first.read_config_version() > version
    mine, theirs = samples.message(), samples.message()
    await asyncio.gather(first.accept(mine), second.accept(theirs))
    assert await second.read_content(mine.message.id) == mine.content
    assert await first.read_content(theirs.message.id) == theirs.content
    await first.aclose()
    await second.aclose()


class Pair:
    """Two processes' views of one data directory."""

    def __init__(self, stores: list[Store]) -> None:
        self.clock = ManualClock()
        self.stores = stores
        self.ids = [IdSource(self.clock, SeededRand(number)) for number in (1, 2)]


@pytest.fixture
async def pair(open_store: Open) -> AsyncIterator[Pair]:
    made = Pair([await open_store(), await open_store()])
    await made.stores[0].ensure_account(ACCOUNT, "default", NOW)
    yield made
    for store in made.stores:
        await store.aclose()


async def test_changes_of_a_domain_by_two_processes_are_all_kept(pair: Pair, samples: Samples) -> None:
    new = samples.domain()
    await pair.stores[0].add_domain(new)
    sides = [
        Domains(store, ZoneResolver(), RecordSettings("relay.test"), selector="s", clock=pair.clock, ids=ids)
        for store, ids in zip(pair.stores, pair.ids, strict=True)
    ]
    changes: list[dict[str, Any]] = [{"track_opens": True}, {"track_clicks": True}, {"include_subdomains": True}, {"region": "eu"}]

    async def change(number: int, **values: Any) -> None:
        await sides[number % 2].change(new.domain.id, lambda settings: replace(settings, **values))

    for _ in range(5):
        await asyncio.gather(*(change(number, **values) for number, values in enumerate(changes)))
        domain = await pair.stores[0].get_domain(new.domain.id)
        assert domain is not None
        assert domain.settings == DomainSettings(track_opens=True, track_clicks=True, include_subdomains=True, region="eu")
        await sides[0].change(new.domain.id, lambda _: DomainSettings())


async def test_changes_of_an_account_by_two_processes_are_all_kept(pair: Pair) -> None:
    sides = [Accounts(store) for store in pair.stores]
    await asyncio.gather(
        sides[0].rename(ACCOUNT, "Acme"),
        sides[1].change(ACCOUNT, lambda settings: replace(settings, branding=Branding(footer_copy="Acme Ltd"))),
        sides[0].change(ACCOUNT, lambda settings: replace(settings, default_region="eu")),
        sides[1].change(ACCOUNT, lambda settings: replace(settings, benchmark_opt_in=True)),
    )
    account = await sides[0].get(ACCOUNT)
    assert account.name == "Acme"
    assert account.settings == AccountSettings(branding=Branding(footer_copy="Acme Ltd"), default_region="eu", benchmark_opt_in=True)


async def test_changes_of_a_webhook_by_two_processes_are_all_kept(pair: Pair, samples: Samples) -> None:
    webhook = samples.webhook()
    await pair.stores[0].add_webhook(webhook)
    sides = [
        Webhooks(store, clock=pair.clock, ids=ids, rand=SeededRand(3), allow_private=False)
        for store, ids in zip(pair.stores, pair.ids, strict=True)
    ]
    changes = [WebhookChange(url="https://new.example/"), WebhookChange(events=["email.opened"]), WebhookChange(is_active=False)]
    await asyncio.gather(*(sides[number % 2].update(System(ACCOUNT), webhook.id, change) for number, change in enumerate(changes)))
    found = await pair.stores[0].get_webhook(ACCOUNT, WebhookId(webhook.id))
    assert found is not None
    assert (found.url, found.events, found.is_active) == ("https://new.example/", ("email.opened",), False)


async def test_changes_of_a_template_by_two_processes_are_all_kept(pair: Pair) -> None:
    sides = [Templates(store, clock=pair.clock, ids=ids) for store, ids in zip(pair.stores, pair.ids, strict=True)]
    made = await sides[0].add(System(ACCOUNT), TemplateChange(name="one"))
    changes = [TemplateChange(name="two"), TemplateChange(subject="Hello"), TemplateChange(html="<p>Hi</p>"), TemplateChange(text="Hi")]
    await asyncio.gather(*(sides[number % 2].update(System(ACCOUNT), made.id, change) for number, change in enumerate(changes)))
    found = await sides[0].get(ACCOUNT, made.id)
    assert (found.name, found.content.subject, found.content.html, found.content.text) == ("two", "Hello", "<p>Hi</p>", "Hi")
