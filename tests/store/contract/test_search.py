"""Searches by terms: the same hits before, while and after the index takes the messages."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId, MessageId
from sendryd.model.message import MessageStatus
from sendryd.policy.searchterms import SearchTerm, Wanted, wanted_whole, wanted_words
from sendryd.store.base import MessageFilter, NewMessage, Store
from sendryd.testing.samples import ACCOUNT, NOW, Samples

LATER = NOW + timedelta(days=1)
LIVE = MessageFilter(mode=KeyMode.LIVE)

Follow = Callable[[Store], Awaitable[None]]


async def nothing(store: Store) -> None:
    """All messages are beside the index."""


async def one_step(store: Store) -> None:
    """The first message is in the index."""
    await store.follow(until=LATER, limit=1)


async def whole(store: Store) -> None:
    """All messages are in the index."""
    while await store.follow(until=LATER, limit=2):
        pass


@pytest.fixture(params=[nothing, one_step, whole])
def follow(request: pytest.FixtureRequest) -> Follow:
    """How much of the messages the index takes."""
    chosen: Follow = request.param
    return chosen


def words(text: str) -> Wanted:
    return Wanted(wanted_words(text))


def whole_text(text: str) -> Wanted:
    return Wanted((wanted_whole(text),))


async def find(store: Store, wanted: Wanted, which: MessageFilter = LIVE, account_id: AccountId = ACCOUNT) -> list[MessageId]:
    hits = await store.search_messages(account_id, replace(which, wanted=wanted), limit=50)
    assert not hits.has_more
    assert not hits.index.misses
    return [each.message.id for each in hits.items]


async def put(store: Store, *messages: NewMessage) -> list[MessageId]:
    for new in messages:
        await store.accept(new)
    return [each.message.id for each in messages]


async def test_words_addresses_and_domains_find_mail(store: Store, samples: Samples, follow: Follow) -> None:
    ann, bob, zoe = await put(
        store,
        samples.message(("ann.lee@gmail.com",), subject="Your Order 481"),
        samples.message(("bob@corp.example",), subject="Orderly news"),
        samples.message(("zoé@gmail.com",), subject="東京都の天気 📦"),
    )
    await follow(store)
    asked = {
        "order": [bob, ann],
        "your": [ann],
        "481 ord": [ann],
        "rder": [],
        "lee": [ann],
        "京都": [zoe],
        "京": [zoe],
        "📦": [zoe],
        "corp": [bob],
    }
    assert {text: await find(store, words(text)) for text in asked} == asked
    exact = {"ann.lee@gmail.com": [ann], "ANN.lee@Gmail.com": [ann], "lee@gmail.com": [], "@gmail.com": [zoe, ann], "zoe@gmail.com": [zoe]}
    assert {text: await find(store, whole_text(text)) for text in exact} == exact
    assert await find(store, Wanted((SearchTerm("@gmail.com"),), none_of=(wanted_words("order"),))) == [zoe]
    assert await find(store, Wanted(none_of=(wanted_words("order"),))) == [zoe]


async def test_accounts_and_modes_are_apart(store: Store, samples: Samples, follow: Follow) -> None:
    other = AccountId(2)
    await store.ensure_account(other, "other", NOW)
    own, test, others = await put(store, samples.message(), samples.message(mode=KeyMode.TEST), samples.message(account_id=other))
    await follow(store)
    assert await find(store, words("hello")) == [own]
    assert await find(store, words("hello"), MessageFilter(mode=KeyMode.TEST)) == [test]
    assert await find(store, words("hello"), account_id=other) == [others]


async def test_terms_that_are_words_of_the_query_language_are_terms(store: Store, samples: Samples, follow: Follow) -> None:
    texts = ['"', '""', "* OR x", "NOT", "a\x00b", "-", "(", "terms:hello", "\ud800", "AND", "'"]
    (own,) = await put(store, samples.message(subject="NOT AND"))
    await follow(store)
    for text in texts:
        found = await find(store, Wanted((SearchTerm(text, is_prefix=True),)))
        assert found in ([], [own])
    assert await find(store, words("NOT")) == [own]


async def test_pages_go_on_where_the_last_one_ended(store: Store, samples: Samples, follow: Follow) -> None:
    made = await put(store, *(samples.message(subject=f"Page {number}") for number in range(7)))
    await follow(store)
    found: list[MessageId] = []
    before = None
    which = replace(LIVE, wanted=words("page"))
    for has_more in (True, True, True, False):
        hits = await store.search_messages(ACCOUNT, which, limit=2, before=before)
        assert hits.has_more is has_more
        found += [each.message.id for each in hits.items]
        before = found[-1]
    assert found == made[::-1]
    page = await store.list_messages(ACCOUNT, which, limit=5)
    assert [each.message.id for each in page.items] == made[:1:-1]
    assert page.has_more
    assert await store.count_messages(ACCOUNT, which) == 7


async def test_the_other_conditions_hold_too(store: Store, samples: Samples, follow: Follow) -> None:
    scheduled, sent, _ = await put(
        store,
        samples.message(scheduled_at=LATER, api_key_id=5),
        samples.message(api_key_id=5, lease=samples.lease()),
        samples.message(api_key_id=6),
    )
    await follow(store)
    assert await find(store, words("hello"), replace(LIVE, api_key_id=5)) == [sent, scheduled]  # type: ignore[arg-type]
    assert await find(store, words("hello"), replace(LIVE, api_key_id=5, states=frozenset({DeliveryState.LEASED}))) == [sent]  # type: ignore[arg-type]
    assert await find(store, words("hello"), replace(LIVE, status=MessageStatus.SENDING)) == [sent]
    assert await find(store, words("hello"), replace(LIVE, created_from=NOW + timedelta(hours=1))) == []


async def test_a_changed_message_is_found_by_its_new_words(store: Store, samples: Samples, follow: Follow) -> None:
    new = samples.message(subject="Old words", scheduled_at=LATER, source_request=b"source")
    (own,) = await put(store, new)
    await follow(store)
    await store.amend(replace(new, message=replace(new.message, subject="Fresh words")), NOW)
    await follow(store)
    assert await find(store, words("fresh")) == [own]
    assert await find(store, words("old")) == []
    await store.prune_derived(NOW)
    await follow(store)
    assert await find(store, words("fresh")) == [own]


async def test_deleted_messages_are_not_found(store: Store, samples: Samples, follow: Follow) -> None:
    await put(store, samples.message(mode=KeyMode.TEST))
    await follow(store)
    assert await store.delete_messages(created_before=LATER, limit=9) == 1
    assert await find(store, words("hello"), MessageFilter(mode=KeyMode.TEST)) == []


async def test_a_message_that_was_stored_late_is_found_after_a_comparison(store: Store, samples: Samples) -> None:
    late, prompt = samples.message(subject="Late"), samples.message(subject="Prompt")
    await put(store, prompt)
    await whole(store)
    await put(store, late)
    start = NOW.replace(second=0)
    await store.repair_derived(start=start, end=start + timedelta(minutes=1))
    assert await find(store, words("late")) == [late.message.id]
    minutes = await store.list_minutes(ACCOUNT, KeyMode.LIVE, start=start, end=LATER)
    assert [each.accepted for each in minutes] == [2]
    assert await store.repair_derived(start=start, end=start + timedelta(minutes=1)) == 0


async def test_rare_states_are_listed_newest_first(store: Store, samples: Samples) -> None:
    made = await put(store, *(samples.message(("a@x.example", "b@x.example"), subject=str(number)) for number in range(5)))
    await store.cancel_message(ACCOUNT, made[1], NOW, samples.event)
    await store.cancel_message(ACCOUNT, made[3], NOW, samples.event)
    for which in (replace(LIVE, status=MessageStatus.CANCELLED), replace(LIVE, states=frozenset({DeliveryState.CANCELLED}))):
        page = await store.list_messages(ACCOUNT, which, limit=1)
        assert ([each.message.id for each in page.items], page.has_more) == ([made[3]], True)
        hits = await store.search_messages(ACCOUNT, which, limit=1, before=made[3])
        assert ([each.message.id for each in hits.items], hits.has_more) == ([made[1]], False)
    waiting = await store.search_messages(ACCOUNT, replace(LIVE, status=MessageStatus.QUEUED), limit=9)
    assert [each.message.id for each in waiting.items] == [made[4], made[2], made[0]]
