"""Suppressions: kept as first given, listed, lifted."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sendryd.model.ids import AccountId, SuppressionId
from sendryd.model.suppression import Suppression, SuppressionReason, Unsubscribe
from sendryd.store.base import Store
from sendryd.store.errors import NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

OTHER = AccountId(2)


def suppression(samples: Samples, email: str, reason: SuppressionReason = SuppressionReason.MANUAL) -> Suppression:
    return Suppression(id=SuppressionId(samples.number()), account_id=ACCOUNT, email=email, reason=reason, created_at=NOW)


def emails(items: Sequence[Suppression | Unsubscribe]) -> list[str]:
    return [each.email for each in items]


async def test_a_suppression_stands_as_it_was_first_given(store: Store, samples: Samples) -> None:
    first = suppression(samples, "a@example.org", SuppressionReason.HARD_BOUNCE)
    assert await store.add_suppressions([first, suppression(samples, "b@example.org")]) == 2
    again = [suppression(samples, "a@example.org"), suppression(samples, "c@example.org"), suppression(samples, "c@example.org")]
    assert await store.add_suppressions(again) == 1
    assert await store.get_suppression(ACCOUNT, "a@example.org") == first
    assert await store.get_suppression(ACCOUNT, "d@example.org") is None
    assert await store.get_suppression(OTHER, "a@example.org") is None
    assert await store.find_suppressed(ACCOUNT, ["a@example.org", "d@example.org"]) == {"a@example.org"}
    assert await store.add_suppressions([]) == 0


async def test_the_same_address_in_two_accounts(store: Store, samples: Samples) -> None:
    mine = suppression(samples, "a@example.org")
    other = replace(suppression(samples, "a@example.org"), account_id=OTHER)
    assert await store.add_suppressions([mine, other]) == 2
    await store.remove_suppression(ACCOUNT, "a@example.org")
    assert await store.get_suppression(OTHER, "a@example.org") == other
    assert (await store.page_suppressions(ACCOUNT, limit=5)).items == ()


async def test_suppressions_are_listed_newest_first_by_pages(store: Store, samples: Samples) -> None:
    await store.add_suppressions([suppression(samples, f"u{number}@example.org") for number in range(5)])
    await store.add_suppressions([replace(suppression(samples, "x@example.org"), account_id=OTHER)])
    first = await store.page_suppressions(ACCOUNT, limit=2)
    assert (emails(first.items), first.has_more) == (["u4@example.org", "u3@example.org"], True)
    second = await store.page_suppressions(ACCOUNT, limit=3, before=first.items[-1].id)
    assert (emails(second.items), second.has_more) == (["u2@example.org", "u1@example.org", "u0@example.org"], False)


async def test_suppressions_are_filtered(store: Store, samples: Samples) -> None:
    for email, reason in (("ann@example.org", SuppressionReason.COMPLAINT), ("b_b@example.org", SuppressionReason.MANUAL)):
        await store.add_suppressions([suppression(samples, email, reason)])

    async def found(text: str | None = None, reason: SuppressionReason | None = None) -> list[str]:
        return emails((await store.page_suppressions(ACCOUNT, text=text, reason=reason, limit=9)).items)

    assert await found("ANN@") == ["ann@example.org"]
    assert await found("_") == ["b_b@example.org"]  # no wildcard
    assert await found("%") == await found("\\") == []
    assert await found("example", SuppressionReason.COMPLAINT) == ["ann@example.org"]
    assert await found(reason=SuppressionReason.UNSUBSCRIBE) == []


async def test_what_is_not_suppressed_cannot_be_lifted(store: Store, samples: Samples) -> None:
    await store.add_suppressions([suppression(samples, "a@example.org")])
    with pytest.raises(NotFound):
        await store.remove_suppression(OTHER, "a@example.org")
    await store.remove_suppression(ACCOUNT, "a@example.org")
    with pytest.raises(NotFound):
        await store.remove_suppression(ACCOUNT, "a@example.org")
    assert await store.find_suppressed(ACCOUNT, ["a@example.org"]) == frozenset()
