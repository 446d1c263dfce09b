"""Searches that people keep."""

from dataclasses import replace

import pytest

from sendryd.model.ids import AccountId, PersonId, SavedViewId
from sendryd.model.savedview import SavedView
from sendryd.store.base import Store
from sendryd.store.errors import Conflict, LimitReached, NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

from .test_people import joined


def view(samples: Samples, person_id: PersonId | None, name: str = "Slow") -> SavedView:
    return SavedView(
        id=SavedViewId(samples.number()),
        account_id=ACCOUNT,
        person_id=person_id,
        name=name,
        query="status:deferred @gmail.com",
        made_by="ann@acme.example",
        created_at=NOW,
    )


async def test_a_person_sees_their_own_views_and_the_shared_ones(store: Store, samples: Samples) -> None:
    (ann, _), (bob, _) = await joined(store, samples), await joined(store, samples, "bob@acme.example")
    own, shared, others = view(samples, ann.id), view(samples, None), view(samples, bob.id, "Bob's")
    for each in (own, shared, others):
        await store.add_saved_view(each, limit=1)
    assert await store.list_saved_views(ACCOUNT, ann.id) == [own, shared]
    assert await store.list_saved_views(ACCOUNT, bob.id) == [others, shared]
    assert await store.list_saved_views(AccountId(77), ann.id) == []


async def test_a_name_is_an_owners_once_and_their_number_has_a_limit(store: Store, samples: Samples) -> None:
    (ann, _) = await joined(store, samples)
    await store.add_saved_view(view(samples, ann.id), limit=2)
    with pytest.raises(Conflict):
        await store.add_saved_view(view(samples, ann.id), limit=2)
    await store.add_saved_view(view(samples, ann.id, "Another"), limit=2)
    with pytest.raises(LimitReached, match="2 views"):
        await store.add_saved_view(view(samples, ann.id, "Third"), limit=2)
    await store.add_saved_view(view(samples, None), limit=2)
    assert [each.name for each in await store.list_saved_views(ACCOUNT, ann.id)] == ["Another", "Slow", "Slow"]


async def test_only_the_owners_view_is_removed(store: Store, samples: Samples) -> None:
    (ann, _), (bob, _) = await joined(store, samples), await joined(store, samples, "bob@acme.example")
    own, shared = view(samples, ann.id), view(samples, None)
    for each in (own, shared):
        await store.add_saved_view(each, limit=5)
    for person_id, one in ((bob.id, own), (None, own), (ann.id, shared), (ann.id, replace(own, id=SavedViewId(1)))):
        with pytest.raises(NotFound):
            await store.remove_saved_view(ACCOUNT, person_id, one.id)
    await store.remove_saved_view(ACCOUNT, ann.id, own.id)
    await store.remove_saved_view(ACCOUNT, None, shared.id)
    assert await store.list_saved_views(ACCOUNT, ann.id) == []
