"""Searches of the Emails page that people keep, for themselves or for the whole account."""

from typing import Final

from sendryd.accounts.audit import By, make_entry
from sendryd.accounts.errors import BadField
from sendryd.model.ids import SAVED_VIEW_PREFIX, PersonId, SavedViewId, format_id
from sendryd.model.savedview import SavedView
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import Store

MAX_VIEWS: Final = 30  # of a person, and shared: the page lists all of them in a row
MAX_NAME: Final = 40  # characters
MAX_QUERY: Final = 500


class SavedViews:
    """Views of an account. The caller has checked the right to change shared ones."""

    def __init__(self, store: Store, *, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def list(self, by: By, person_id: PersonId) -> list[SavedView]:
        """A person's views and the shared ones, by name."""
        return await self._store.list_saved_views(by.account_id, person_id)

    async def add(self, by: By, person_id: PersonId, *, name: str, query: str, is_shared: bool) -> SavedView:
        """Keeps a search. Raises `BadField`, `Conflict` for a name that is taken, `LimitReached`."""
        name, query = " ".join(name.split()), query.strip()
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise BadField("name", f"Enter a name of 1 to {MAX_NAME} characters.")
        if not query or len(query) > MAX_QUERY:
            raise BadField("q", f"A view keeps a search of 1 to {MAX_QUERY} characters: search first.")
        view = SavedView(
            id=SavedViewId(self._ids.next()),
            account_id=by.account_id,
            person_id=None if is_shared else person_id,
            name=name,
            query=query,
            made_by=by.actor,
            created_at=self._clock.now(),
        )
        await self._writing(by, view, "view.shared", is_shared=is_shared).add_saved_view(view, limit=MAX_VIEWS)
        return view

    async def remove(self, by: By, view: SavedView) -> None:
        """Forgets a view. Raises `NotFound`."""
        store = self._writing(by, view, "view.removed", is_shared=view.person_id is None)
        await store.remove_saved_view(by.account_id, view.person_id, view.id)

    def _writing(self, by: By, view: SavedView, action: str, *, is_shared: bool) -> Store:
        """The audit has shared views alone."""
        if not is_shared:
            return self._store
        after = {"name": view.name, "query": view.query}
        return self._store.audited(
            make_entry(by, action, format_id(SAVED_VIEW_PREFIX, view.id), clock=self._clock, ids=self._ids, after=after)
        )
