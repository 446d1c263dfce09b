"""Requests for transcripts, and deliveries that ended without an attempt's outcome."""

from datetime import timedelta

import pytest

from sendryd.model.event import EventType
from sendryd.store.base import MailStore, QueueFilter, TraceRequest
from sendryd.testing.samples import NOW, Samples

UNTIL = NOW + timedelta(hours=1)


async def test_a_request_lasts_for_its_sessions(store: MailStore) -> None:
    await store.add_trace(TraceRequest(domain="example.org", sessions=2, until=UNTIL))
    await store.count_traced("example.org")
    (left,) = await store.list_traces(now=NOW)
    assert (left.domain, left.sessions, left.until) == ("example.org", 1, UNTIL)
    await store.count_traced("example.org")
    assert await store.list_traces(now=NOW) == []
    await store.count_traced("example.org")


async def test_a_request_lapses_and_is_replaced(store: MailStore) -> None:
    for sessions in (3, 5):
        await store.add_trace(TraceRequest(domain="example.org", sessions=sessions, until=UNTIL))
    assert [each.sessions for each in await store.list_traces(now=NOW)] == [5]
    assert await store.list_traces(now=UNTIL) == []


@pytest.mark.parametrize("how", ["cancel", "expire"])
async def test_what_was_cancelled_or_has_expired_is_found_with_its_message(store: MailStore, samples: Samples, how: str) -> None:
    new = samples.message(["a@example.org", "b@example.org"])
    await store.accept(new)
    assert await store.list_ended(since=NOW - timedelta(days=1)) == []
    if how == "cancel":
        await store.cancel(QueueFilter(), NOW, samples.event)
    else:
        await store.expire_deliveries(now=UNTIL, created_before=UNTIL, make_event=samples.event, limit=10)
    ids = await store.list_ended(since=NOW - timedelta(days=1))
    assert ids == sorted(ids)
    found = await store.read_ended(ids)
    assert await store.read_ended(ids[1:]) == found[1:]
    assert [each.event.recipient for each in found] == ["a@example.org", "b@example.org"]
    assert {each.event.type for each in found} == {EventType.CANCELLED if how == "cancel" else EventType.FAILED}
    assert {each.message.id for each in found} == {new.message.id}
    assert await store.list_ended(since=NOW + timedelta(days=4000)) == []
