"""Unsubscribes: kept as first given, by list or for all lists."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.ids import AccountId, UnsubscribeId
from sendryd.model.suppression import Unsubscribe
from sendryd.store.base import Store
from sendryd.store.errors import NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

OTHER = AccountId(2)


def unsubscribe(samples: Samples, email: str, list_id: str | None = None, reason: str | None = None) -> Unsubscribe:
    number = UnsubscribeId(samples.number())
    return Unsubscribe(id=number, account_id=ACCOUNT, email=email, list_id=list_id, reason=reason, created_at=NOW)


async def test_an_unsubscribe_stands_as_it_was_first_given(store: Store, samples: Samples) -> None:
    every, news = unsubscribe(samples, "a@example.org", reason="too much"), unsubscribe(samples, "a@example.org", "news")
    assert await store.add_unsubscribes([every, news]) == [every, news]
    later = replace(unsubscribe(samples, "a@example.org", "news", "again"), created_at=NOW + timedelta(days=1))
    fresh = unsubscribe(samples, "a@example.org", "offers")
    assert await store.add_unsubscribes([later, fresh, later]) == [news, fresh, news]
    assert await store.get_unsubscribe(ACCOUNT, every.id) == every
    assert await store.get_unsubscribe(OTHER, every.id) is None
    assert await store.get_unsubscribe(ACCOUNT, later.id) is None


async def test_who_has_unsubscribed_from_what(store: Store, samples: Samples) -> None:
    every, news = unsubscribe(samples, "all@example.org"), unsubscribe(samples, "news@example.org", "news")
    await store.add_unsubscribes([every, news])
    both = ["all@example.org", "news@example.org", "none@example.org"]
    assert await store.find_unsubscribed(ACCOUNT, "news", both) == {"all@example.org", "news@example.org"}
    assert await store.find_unsubscribed(ACCOUNT, "offers", both) == {"all@example.org"}
    assert await store.find_unsubscribed(ACCOUNT, None, both) == {"all@example.org"}
    await store.remove_unsubscribe(ACCOUNT, every.id)
    assert await store.find_unsubscribed(ACCOUNT, "offers", both) == frozenset()
    for account_id, number in ((ACCOUNT, every.id), (OTHER, news.id)):
        with pytest.raises(NotFound):
            await store.remove_unsubscribe(account_id, number)


async def test_unsubscribes_are_listed_and_filtered(store: Store, samples: Samples) -> None:
    made = [unsubscribe(samples, f"u{number % 2}@example.org", ("news", "offers", None)[number // 2]) for number in range(6)]
    await store.add_unsubscribes(made)
    await store.add_unsubscribes([replace(unsubscribe(samples, "u0@example.org"), account_id=OTHER)])
    page = await store.page_unsubscribes(ACCOUNT, limit=4)
    assert (list(page.items), page.has_more) == (made[:1:-1], True)
    page = await store.page_unsubscribes(ACCOUNT, limit=4, before=page.items[-1].id)
    assert (list(page.items), page.has_more) == (made[1::-1], False)
    page = await store.page_unsubscribes(ACCOUNT, email="u0@example.org", limit=2)
    assert (list(page.items), page.has_more) == ([made[4], made[2]], True)
    page = await store.page_unsubscribes(ACCOUNT, email="u0@example.org", limit=2, before=made[2].id)
    assert (list(page.items), page.has_more) == ([made[0]], False)
    page = await store.page_unsubscribes(ACCOUNT, list_id="offers", limit=9)
    assert list(page.items) == [made[3], made[2]]
    page = await store.page_unsubscribes(ACCOUNT, email="u1@example.org", list_id="news", limit=9)
    assert list(page.items) == [made[1]]
