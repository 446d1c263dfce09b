"""Suppressions and unsubscribes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sendryd.model.ids import AccountId, SuppressionId, UnsubscribeId
from sendryd.model.suppression import Suppression, SuppressionReason, Unsubscribe
from sendryd.store.base.paging import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSuppression:
    """An address to suppress. An existing suppression stays as it is."""

    id: SuppressionId
    email: str  # as `policy.address_key.normalise_address` makes it
    reason: SuppressionReason


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUnsubscribe:
    """An address to remove from a list; without a list, from all marketing. An existing unsubscribe stays as it is."""

    id: UnsubscribeId
    email: str  # as `policy.address_key.normalise_address` makes it
    list_id: str | None
    reason: str | None


class ListStore(Protocol):
    """Suppressions and unsubscribes for the API and the command line. Addresses are as `policy.address_key.normalise_address` makes them."""

    async def add_suppressions(self, suppressions: Sequence[Suppression]) -> int:
        """Stores suppressions; existing ones stay as they are. Durable. Returns how many are new."""
        ...

    async def get_suppression(self, account_id: AccountId, email: str) -> Suppression | None:
        """One suppression."""
        ...

    async def page_suppressions(
        self,
        account_id: AccountId,
        *,
        text: str | None = None,
        reason: SuppressionReason | None = None,
        limit: int,
        before: SuppressionId | None = None,
    ) -> Page[Suppression]:
        """Suppressions with this text in their address (case-insensitive), newest first."""
        ...

    async def remove_suppression(self, account_id: AccountId, email: str) -> None:
        """Lifts a suppression. Durable. Raises `NotFound`."""
        ...

    async def add_unsubscribes(self, unsubscribes: Sequence[Unsubscribe]) -> list[Unsubscribe]:
        """Stores unsubscribes; an existing one for the same address and list stays as it is. Durable. Returns the stored ones in the order given:
        each the given one, or the older one that it repeats.
        """
        ...

    async def get_unsubscribe(self, account_id: AccountId, unsubscribe_id: UnsubscribeId) -> Unsubscribe | None:
        """One unsubscribe."""
        ...

    async def page_unsubscribes(
        self,
        account_id: AccountId,
        *,
        email: str | None = None,
        list_id: str | None = None,
        limit: int,
        before: UnsubscribeId | None = None,
    ) -> Page[Unsubscribe]:
        """Unsubscribes of this address and this list, newest first."""
        ...

    async def remove_unsubscribe(self, account_id: AccountId, unsubscribe_id: UnsubscribeId) -> None:
        """Removes an unsubscribe: the address receives the list's mail again. Durable. Raises `NotFound`."""
        ...
