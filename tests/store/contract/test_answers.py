"""Idempotent answers: several messages and the answer to their request, all of it or nothing, once."""

import asyncio
from datetime import datetime, timedelta

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId
from sendryd.store.base import Answer, MailStore, MessageFilter
from sendryd.store.errors import AlreadyAnswered, Conflict
from sendryd.testing.samples import ACCOUNT, NOW, Samples

from .backends import Open

LIVE = MessageFilter(mode=KeyMode.LIVE)
SINCE = NOW - timedelta(days=1)


def answer(key: str = "k", body: bytes = b"{}", created_at: datetime = NOW, account_id: AccountId = ACCOUNT) -> Answer:
    return Answer(account_id=account_id, key=key, fingerprint=b"f" * 32, body=body, created_at=created_at)


async def test_messages_and_their_answer_are_stored_together(store: MailStore, samples: Samples) -> None:
    new = [samples.message(content=b"From: %d\r\n\r\n" % number) for number in range(3)]
    await store.accept_all(new, answer(), kept_since=SINCE)
    assert await store.find_answer(ACCOUNT, "k", kept_since=SINCE) == answer()
    assert await store.find_answer(ACCOUNT, "other", kept_since=SINCE) is None
    assert await store.find_answer(AccountId(2), "k", kept_since=SINCE) is None
    for each in new:
        assert await store.read_content(each.message.id) == each.content
    assert await store.count_messages(ACCOUNT, LIVE) == 3


async def test_what_was_answered_is_not_done_again(store: MailStore, samples: Samples) -> None:
    await store.accept_all([samples.message()], answer(body=b"first"), kept_since=SINCE)
    with pytest.raises(AlreadyAnswered) as caught:
        await store.accept_all([samples.message()], answer(body=b"second"), kept_since=SINCE)
    assert caught.value.answer.body == b"first"
    await store.accept_all([samples.message()], answer(key="l"), kept_since=SINCE)
    await store.accept_all([samples.message()], answer(account_id=AccountId(2)), kept_since=SINCE)
    await store.accept_all([samples.message()], None, kept_since=SINCE)
    assert await store.count_messages(ACCOUNT, LIVE) == 4


async def test_an_old_answer_is_replaced(store: MailStore, samples: Samples) -> None:
    await store.accept_all(
        [samples.message()], answer(body=b"old", created_at=NOW - timedelta(days=2)), kept_since=SINCE - timedelta(days=2)
    )
    assert await store.find_answer(ACCOUNT, "k", kept_since=SINCE) is None
    await store.accept_all([samples.message()], answer(body=b"new"), kept_since=SINCE)
    found = await store.find_answer(ACCOUNT, "k", kept_since=SINCE)
    assert found is not None
    assert found.body == b"new"


async def test_a_message_that_is_there_keeps_out_the_others_and_the_answer(store: MailStore, samples: Samples) -> None:
    there = samples.message()
    await store.accept(there)
    with pytest.raises(Conflict):
        await store.accept_all([samples.message(), there], answer(), kept_since=SINCE)
    assert await store.count_messages(ACCOUNT, LIVE) == 1
    assert await store.find_answer(ACCOUNT, "k", kept_since=SINCE) is None
    assert await store.read_content(there.message.id) == there.content


async def test_of_many_at_the_same_moment_one_is_done(store: MailStore, samples: Samples) -> None:
    repeats = [store.accept_all([samples.message()], answer(body=b"%d" % number), kept_since=SINCE) for number in range(20)]
    others = [store.accept(samples.message()) for _ in range(20)]
    mixed = [each for pair in zip(repeats, others, strict=True) for each in pair]
    results = await asyncio.gather(*mixed, return_exceptions=True)
    refused = [result for result in results if isinstance(result, AlreadyAnswered)]
    assert (len(refused), results.count(None)) == (19, 21)
    assert {each.answer.body for each in refused} == {b"0"}
    assert await store.count_messages(ACCOUNT, LIVE) == 21


async def test_a_twin_of_one_that_fails_is_done_in_its_place(store: MailStore, samples: Samples) -> None:
    there = samples.message()
    await store.accept(there)
    results = await asyncio.gather(
        store.accept_all([there], answer(body=b"first"), kept_since=SINCE),
        store.accept_all([samples.message()], answer(body=b"second"), kept_since=SINCE),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [Conflict, type(None)]
    found = await store.find_answer(ACCOUNT, "k", kept_since=SINCE)
    assert found is not None
    assert found.body == b"second"


async def test_twins_of_two_processes_and_of_two_starts(open_store: Open, samples: Samples) -> None:
    first, second = await open_store(), await open_store()
    calls = [store.accept_all([samples.message()], answer(), kept_since=SINCE) for store in (first, second) for _ in range(10)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert (sum(isinstance(result, AlreadyAnswered) for result in results), results.count(None)) == (19, 1)
    await first.aclose()
    await second.aclose()
    again = await open_store()
    with pytest.raises(AlreadyAnswered):
        await again.accept_all([samples.message()], answer(), kept_since=SINCE)
    assert await again.count_messages(ACCOUNT, LIVE) == 1
    await again.aclose()


async def test_old_answers_are_deleted_in_steps(store: MailStore, samples: Samples) -> None:
    for number in range(5):
        made = answer(key=str(number), created_at=NOW - timedelta(days=number))
        await store.accept_all([samples.message()], made, kept_since=NOW - timedelta(days=9))
    assert await store.delete_answers(created_before=NOW - timedelta(days=1), limit=2) == 2
    assert await store.delete_answers(created_before=NOW - timedelta(days=1), limit=2) == 1
    assert await store.delete_answers(created_before=NOW - timedelta(days=1), limit=2) == 0
    left = [number for number in range(5) if await store.find_answer(ACCOUNT, str(number), kept_since=NOW - timedelta(days=9))]
    assert left == [0, 1]
