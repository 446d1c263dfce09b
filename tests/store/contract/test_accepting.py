"""Accepting: a message is stored whole, once, or not at all."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import AccountId, ApiKeyId
from sendryd.model.message import TlsDemand
from sendryd.store.base import (
    MailStore,
    MessageFilter,
)
from sendryd.store.errors import Conflict
from sendryd.testing.samples import ACCOUNT, NOW, Samples

LIVE = MessageFilter(mode=KeyMode.LIVE)
SINCE = NOW - timedelta(days=1)
LATEST = NOW + timedelta(days=1)


async def test_what_is_accepted_can_be_read(store: MailStore, samples: Samples) -> None:
    new = samples.message(["a@example.org", "b@example.org"], content=b"From: x\r\n\r\n" + b"y" * 300_000, subject="Gr\u00fc\u00dfe \ud800")
    await store.accept(new)
    summary = await store.get_message(ACCOUNT, new.message.id)
    assert summary is not None
    assert (summary.message.to, summary.message.size) == (new.message.to, new.message.size)
    assert summary.states == {DeliveryState.QUEUED: 2}
    assert summary.last_event is EventType.QUEUED
    assert await store.read_content(new.message.id) == new.content
    assert await store.get_message(AccountId(2), new.message.id) is None


async def test_an_id_is_accepted_once(store: MailStore, samples: Samples) -> None:
    new = samples.message()
    await store.accept(new)
    with pytest.raises(Conflict):
        await store.accept(new)
    await store.accept(samples.message())
    assert await store.count_messages(ACCOUNT, LIVE) == 2


async def test_a_bad_operation_fails_alone(store: MailStore, samples: Samples) -> None:
    twice = samples.message()
    await store.accept(twice)
    results = await asyncio.gather(*(store.accept(each) for each in [samples.message(), twice, samples.message()]), return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["NoneType", "Conflict", "NoneType"]
    assert await store.read_content(twice.message.id) == twice.content


async def test_a_cancelled_caller_does_not_stop_the_others(store: MailStore, samples: Samples) -> None:
    first = samples.message()
    task = asyncio.create_task(store.accept(first))
    await asyncio.sleep(0)
    task.cancel()
    await store.accept(samples.message())
    await asyncio.wait([task])
    assert await store.get_message(ACCOUNT, first.message.id) is not None


async def test_only_the_bad_ones_of_a_batch_fail(store: MailStore, samples: Samples) -> None:
    taken = [samples.message() for _ in range(3)]
    for new in taken:
        await store.accept(new)
    fresh = [samples.message() for _ in range(40)]
    batch = [*fresh[:5], taken[0], *fresh[5:20], taken[1], taken[2], *fresh[20:]]
    results = await asyncio.gather(*(store.accept(new) for new in batch), return_exceptions=True)
    assert [new for new, result in zip(batch, results, strict=True) if result is not None] == taken
    for new in fresh:
        assert await store.read_content(new.message.id) == new.content
    assert (await store.count_queue())[DeliveryState.QUEUED] == 43


async def test_what_an_account_and_a_key_had_accepted(store: MailStore, samples: Samples) -> None:
    early = Samples(NOW - timedelta(hours=2))
    await store.accept(early.message(created_at=NOW - timedelta(hours=2)))
    await store.accept_all([samples.message(api_key_id=1), samples.message(api_key_id=2)], None, kept_since=SINCE)
    await store.accept(samples.message(account_id=AccountId(2)))
    assert await store.count_accepted(ACCOUNT, None, KeyMode.LIVE, NOW - timedelta(hours=3), LATEST) == 3
    assert await store.count_accepted(ACCOUNT, None, KeyMode.LIVE, NOW - timedelta(hours=3), NOW) == 1
    assert await store.count_accepted(ACCOUNT, None, KeyMode.LIVE, NOW, LATEST) == 2
    assert await store.count_accepted(ACCOUNT, ApiKeyId(2), KeyMode.LIVE, NOW, LATEST) == 1
    assert await store.count_accepted(ACCOUNT, ApiKeyId(3), KeyMode.LIVE, NOW, LATEST) == 0
    assert await store.count_accepted(ACCOUNT, None, KeyMode.LIVE, NOW + timedelta(seconds=1), LATEST) == 0
    await store.accept(samples.message(mode=KeyMode.TEST))
    assert await store.count_accepted(ACCOUNT, None, KeyMode.LIVE, NOW, LATEST) == 2
    assert await store.count_accepted(ACCOUNT, None, KeyMode.TEST, NOW, LATEST) == 1


async def test_every_option_of_a_message_comes_back(store: MailStore, samples: Samples) -> None:
    new = samples.message(scheduled_at=NOW + timedelta(hours=1))
    message = replace(
        new.message,
        tags=(("kind", "Gr\u00fc\u00dfe"), ("n", "")),
        track_clicks=True,
        ret="HDRS",
        envid="e+3D1",
        tls_demand=TlsDemand.REQUIRED,
        list_id="news",
        unsubscribe_url="https://example.org/u?a=1",
    )
    await store.accept(replace(new, message=message))
    found = await store.get_message(ACCOUNT, message.id)
    assert found is not None
    assert found.message == message
