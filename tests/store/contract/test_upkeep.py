"""Upkeep: retention, whether it can be written, whether contents are there, the clock."""

from datetime import timedelta

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.store.base import EventFilter, MailStore
from sendryd.store.errors import NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

LIVE_EVENTS = EventFilter(mode=KeyMode.LIVE)
LATER = NOW + timedelta(minutes=5)


async def test_retention_spares_what_still_waits(store: MailStore, samples: Samples) -> None:
    old = Samples(NOW - timedelta(days=40))
    done = old.message(mode=KeyMode.TEST, created_at=NOW - timedelta(days=40))
    waiting = old.message(created_at=NOW - timedelta(days=40))
    for new in (done, waiting, samples.message()):
        await store.accept(new)
    assert await store.delete_messages(created_before=NOW - timedelta(days=30), limit=10) == 1
    assert await store.get_message(ACCOUNT, done.message.id) is None
    with pytest.raises(NotFound):
        await store.read_content(done.message.id)
    assert await store.read_content(waiting.message.id) == waiting.content
    assert await store.count_events(ACCOUNT, EventFilter(mode=KeyMode.TEST)) == 1
    assert await store.delete_events(created_before=NOW - timedelta(days=30), limit=10) == 2
    assert await store.count_events(ACCOUNT, LIVE_EVENTS) == 1


async def test_it_can_be_written(store: MailStore) -> None:
    before = store.statistics()["commits"]
    await store.check_writable()
    assert store.can_write()
    assert store.statistics()["commits"] > before


async def test_a_store_in_order_has_all_its_contents_and_room(store: MailStore, samples: Samples) -> None:
    for _ in range(2):
        await store.accept(samples.message())
    report = await store.compare_spool()
    assert report.is_whole
    assert (report.messages, report.unknown, report.affected) == (2, (), 0)
    store.check_room(1)


async def test_the_clock_is_noted_for_the_next_start(store: MailStore) -> None:
    assert await store.read_clock() is None
    for moment in (NOW, LATER):
        await store.note_clock(moment)
        assert await store.read_clock() == moment
