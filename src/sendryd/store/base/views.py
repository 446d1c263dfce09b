"""Searches that people keep."""

from typing import Protocol

from sendryd.model.ids import AccountId, PersonId, SavedViewId
from sendryd.model.savedview import SavedView


class SavedViewStore(Protocol):
    """Saved views of the Emails page."""

    async def add_saved_view(self, view: SavedView, *, limit: int) -> None:
        """Keeps a view. Durable. Raises `Conflict` if its owner has one of that name, and `LimitReached` beyond `limit` views of one owner."""
        ...

    async def list_saved_views(self, account_id: AccountId, person_id: PersonId) -> list[SavedView]:
        """A person's views and those that the account shares, by name."""
        ...

    async def remove_saved_view(self, account_id: AccountId, person_id: PersonId | None, view_id: SavedViewId) -> None:
        """Forgets a view of a person; without a person, one that the account shares. Raises `NotFound`."""
        ...
