"""Suppressions and unsubscribes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.ids import AccountId, SuppressionId, UnsubscribeId
from sendryd.model.suppression import Suppression, SuppressionReason, Unsubscribe
from sendryd.store.base import Store
from sendryd.store.errors import NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

OTHER = AccountId(2)


def suppression(samples: Samples, email: str, reason: SuppressionReason = SuppressionReason.MANUAL) -> Suppression:
    return Suppression(id=SuppressionId(samples.number()), account_id=ACCOUNT, email=email, reason=reason, created_at=NOW)


def unsubscribe(samples: Samples, email: str, list_id: str | None = None, reason: str | None = None) -> Unsubscribe:
    number = UnsubscribeId(samples.number())
    return Unsubscribe(id=number, account_id=ACCOUNT, email=email, list_id=list_id, reason=reason, created_at=NOW)


def emails(items: Sequence[Suppression | Unsubscribe]) -> list[str]:
    return [each.email for each in items]


async def test_a_suppression_stands_as_it_was_first_given(full_store: Store, samples: Samples) -> None:
    first = suppression(samples, "a@example.org", SuppressionReason.HARD_BOUNCE)
    assert await full_store.add_suppressions([first, suppression(samples, "b@example.org")]) == 2
    again = [suppression(samples, "a@example.org"), suppression(samples, "c@example.org"), suppression(samples, "c@example.org")]
    assert await full_store.add_suppressions(again) == 1
    assert await full_store.get_suppression(ACCOUNT, "a@example.org") == first
    assert await full_store.get_suppression(ACCOUNT, "d@example.org") is None
    assert await full_store.get_suppression(OTHER, "a@example.org") is None
    assert await full_store.find_suppressed(ACCOUNT, ["a@example.org", "d@example.org"]) == {"a@example.org"}
    assert await full_store.add_suppressions([]) == 0


async def test_the_same_address_in_two_accounts(full_store: Store, samples: Samples) -> None:
    mine = suppression(samples, "a@example.org")
    other = replace(suppression(samples, "a@example.org"), account_id=OTHER)
    assert await full_store.add_suppressions([mine, other]) == 2
    await full_store.remove_suppression(ACCOUNT, "a@example.org")
    assert await full_store.get_suppression(OTHER, "a@example.org") == other
    assert (await full_store.page_suppressions(ACCOUNT, limit=5)).items == ()


async def test_suppressions_are_listed_newest_first_by_pages(full_store: Store, samples: Samples) -> None:
    await full_store.add_suppressions([suppression(samples, f"u{number}@example.org") for number in range(5)])
    await full_store.add_suppressions([replace(suppression(samples, "x@example.org"), account_id=OTHER)])
    first = await full_store.page_suppressions(ACCOUNT, limit=2)
    assert (emails(first.items), first.has_more) == (["u4@example.org", "u3@example.org"], True)
    second = await full_store.page_suppressions(ACCOUNT, limit=3, before=first.items[-1].id)
    assert (emails(second.items), second.has_more) == (["u2@example.org", "u1@example.org", "u0@example.org"], False)


async def test_suppressions_are_filtered(full_store: Store, samples: Samples) -> None:
    for email, reason in (("ann@example.org", SuppressionReason.COMPLAINT), ("b_b@example.org", SuppressionReason.MANUAL)):
        await full_store.add_suppressions([suppression(samples, email, reason)])

    async def found(text: str | None = None, reason: SuppressionReason | None = None) -> list[str]:
        return emails((await full_store.page_suppressions(ACCOUNT, text=text, reason=reason, limit=9)).items)

    assert await found("ANN@") == ["ann@example.org"]
    assert await found("_") == ["b_b@example.org"]  # no wildcard
    assert await found("%") == await found("\\") == []
    assert await found("example", SuppressionReason.COMPLAINT) == ["ann@example.org"]
    assert await found(reason=SuppressionReason.UNSUBSCRIBE) == []


async def test_what_is_not_suppressed_cannot_be_lifted(full_store: Store, samples: Samples) -> None:
    await full_store.add_suppressions([suppression(samples, "a@example.org")])
    with pytest.raises(NotFound):
        await full_store.remove_suppression(OTHER, "a@example.org")
    await full_store.remove_suppression(ACCOUNT, "a@example.org")
    with pytest.raises(NotFound):
        await full_store.remove_suppression(ACCOUNT, "a@example.org")
    assert await full_store.find_suppressed(ACCOUNT, ["a@example.org"]) == frozenset()


async def test_an_unsubscribe_stands_as_it_was_first_given(full_store: Store, samples: Samples) -> None:
    every, news = unsubscribe(samples, "a@example.org", reason="too much"), unsubscribe(samples, "a@example.org", "news")
    assert await full_store.add_unsubscribes([every, news]) == [every, news]
    later = replace(unsubscribe(samples, "a@example.org", "news", "again"), created_at=NOW + timedelta(days=1))
    fresh = unsubscribe(samples, "a@example.org", "offers")
    assert await full_store.add_unsubscribes([later, fresh, later]) == [news, fresh, news]
    assert await full_store.get_unsubscribe(ACCOUNT, every.id) == every
    assert await full_store.get_unsubscribe(OTHER, every.id) is None
    assert await full_store.get_unsubscribe(ACCOUNT, later.id) is None


async def test_who_has_unsubscribed_from_what(full_store: Store, samples: Samples) -> None:
    every, news = unsubscribe(samples, "all@example.org"), unsubscribe(samples, "news@example.org", "news")
    await full_store.add_unsubscribes([every, news])
    both = ["all@example.org", "news@example.org", "none@example.org"]
    assert await full_store.find_unsubscribed(ACCOUNT, "news", both) == {"all@example.org", "news@example.org"}
    assert await full_store.find_unsubscribed(ACCOUNT, "offers", both) == {"all@example.org"}
    assert await full_store.find_unsubscribed(ACCOUNT, None, both) == {"all@example.org"}
    await full_store.remove_unsubscribe(ACCOUNT, every.id)
    assert await full_store.find_unsubscribed(ACCOUNT, "offers", both) == frozenset()
    for account_id, number in ((ACCOUNT, every.id), (OTHER, news.id)):
        with pytest.raises(NotFound):
            await full_store.remove_unsubscribe(account_id, number)


async def test_unsubscribes_are_listed_and_filtered(full_store: Store, samples: Samples) -> None:
    made = [unsubscribe(samples, f"u{number % 2}@example.org", ("news", "offers", None)[number // 2]) for number in range(6)]
    await full_store.add_unsubscribes(made)
    await full_store.add_unsubscribes([replace(unsubscribe(samples, "u0@example.org"), account_id=OTHER)])
    page = await full_store.page_unsubscribes(ACCOUNT, limit=4)
    assert (list(page.items), page.has_more) == (made[:1:-1], True)
    page = await full_store.page_unsubscribes(ACCOUNT, limit=4, before=page.items[-1].id)
    assert (list(page.items), page.has_more) == (made[1::-1], False)
    page = await full_store.page_unsubscribes(ACCOUNT, email="u0@example.org", limit=2)
    assert (list(page.items), page.has_more) == ([made[4], made[2]], True)
    page = await full_store.page_unsubscribes(ACCOUNT, email="u0@example.org", limit=2, before=made[2].id)
    assert (list(page.items), page.has_more) == ([made[0]], False)
    page = await full_store.page_unsubscribes(ACCOUNT, list_id="offers", limit=9)
    assert list(page.items) == [made[3], made[2]]
    page = await full_store.page_unsubscribes(ACCOUNT, email="u1@example.org", list_id="news", limit=9)
    assert list(page.items) == [made[1]]
