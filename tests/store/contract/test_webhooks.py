"""Webhooks: kept, changed as they were read, searched, removed."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, WebhookId
from sendryd.model.template import TemplateContent
from sendryd.model.webhook import WebhookEvent
from sendryd.store.base import Store
from sendryd.store.errors import Changed, LimitReached, NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

LATER = NOW + timedelta(minutes=5)
CONTENT = TemplateContent(subject="Hello", html="<p>Hello</p>", text=None, engine="html", variables=None, blocks=None)


async def test_webhooks_are_kept_changed_and_removed(store: Store, samples: Samples) -> None:
    made = [samples.webhook(url=f"https://h{number}.example.org/100%_{number}") for number in range(5)]
    for each in (*made, samples.webhook(account_id=AccountId(2))):
        await store.add_webhook(each)
    assert await store.get_webhook(ACCOUNT, made[0].id) == made[0]
    assert await store.get_webhook(AccountId(2), made[0].id) is None
    page = await store.page_webhooks(ACCOUNT, limit=2)
    assert (list(page.items), page.has_more) == ([made[4], made[3]], True)
    rest = await store.page_webhooks(ACCOUNT, limit=3, before=made[3].id)
    assert (list(rest.items), rest.has_more) == ([made[2], made[1], made[0]], False)
    for text, count in (("H3.", 1), ("100%", 5), ("%_4", 1), ("zz", 0)):
        assert await store.count_webhooks(ACCOUNT, text=text) == count
        assert len((await store.page_webhooks(ACCOUNT, text=text, limit=9)).items) == count
    assert await store.count_webhooks(ACCOUNT) == 5
    changed = replace(
        made[0],
        url="https://new.example/",
        events=(WebhookEvent.EMAIL_OPENED,),
        updated_at=LATER,
        failing_since=NOW,
        disabled_reason="r",
        is_active=False,
    )
    await store.update_webhook(made[0], changed)
    assert await store.get_webhook(ACCOUNT, made[0].id) == changed
    for missing in (replace(changed, account_id=AccountId(2)), replace(changed, id=WebhookId(5))):
        with pytest.raises(NotFound):
            await store.update_webhook(missing, missing)
        with pytest.raises(NotFound):
            await store.remove_webhook(missing.account_id, missing.id)


async def refused(attempt: Awaitable[Any]) -> None:
    with pytest.raises(Changed):
        await attempt


async def test_a_webhook_is_replaced_as_it_was_read(store: Store, samples: Samples) -> None:
    webhook = samples.webhook()
    await store.add_webhook(webhook)
    await store.disable_webhook(webhook.id, "it failed for days", LATER)
    await refused(store.update_webhook(webhook, replace(webhook, url="https://new.example/")))
    found = await store.get_webhook(ACCOUNT, webhook.id)
    assert found is not None
    assert (found.is_active, found.disabled_reason) == (False, "it failed for days")


async def outcomes(attempts: list[Awaitable[Any]]) -> list[str]:
    return sorted(type(each).__name__ for each in await asyncio.gather(*attempts, return_exceptions=True))


async def test_webhooks_have_a_limit(store: Store, samples: Samples) -> None:
    hooks: list[Awaitable[Any]] = [store.add_webhook(samples.webhook(), limit=3) for _ in range(5)]
    assert await outcomes(hooks) == ["LimitReached"] * 2 + ["NoneType"] * 3
    assert await store.count_webhooks(ACCOUNT) == 3
    with pytest.raises(LimitReached, match="3 webhooks, the most that it may have: remove one first"):
        await store.add_webhook(replace(samples.webhook(), mode=KeyMode.TEST), limit=3)
