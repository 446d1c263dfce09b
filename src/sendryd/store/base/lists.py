"""Suppressions and unsubscribes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sendryd.model.ids import AccountId, SuppressionId, UnsubscribeId
from sendryd.model.suppression import Suppression, SuppressionReason, Unsubscribe
from sendryd.store.base.paging import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSuppression:
    """An address to be suppressed. One that is suppressed already stays as it is."""

    id: SuppressionId
    email: str  # as `policy.address_key.normalise_address` makes it
    reason: SuppressionReason


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUnsubscribe:
    """An address to be taken off a list, or off all of them. One that is off already stays as it is."""

    id: UnsubscribeId
    email: str  # as `policy.address_key.normalise_address` makes it
    list_id: str | None
    reason: str | None


class ListStore(Protocol):
    """What the API and the command line do with the lists. Addresses are as `policy.address_key.normalise_address` makes them."""

    async def add_suppressions(self, suppressions: Sequence[Suppression]) -> int:
        """Stores suppressions, leaving those alone that are there. Durable. Returns how many are new."""
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
        """Stores unsubscribes, leaving those alone that are there for the same address and list. Durable. Returns, in order, those that stand
        now: the given ones, or the older ones in their places.
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
        """Subscribes an address again. Durable. Raises `NotFound`."""
        ...
