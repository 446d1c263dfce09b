"""Entries of the audit: who changed what, when, from where."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from sendryd.model.ids import AccountId, AuditId
from sendryd.model.people import AuditEntry
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import AuditStore, PeopleStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Where a change comes from."""

    address: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who changes something."""

    account_id: AccountId
    actor: str  # as the audit names it: a person's email, `key_…`, `operator` or `system`
    client: Client
    name: str = ""  # a person's, as pages say it


class Audit:
    """Makes entries, which the store writes in the transaction of the change."""

    def __init__(self, store: PeopleStore, *, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    def entry(
        self,
        account_id: AccountId,
        actor: str,
        client: Client,
        action: str,
        target: str,
        *,
        before: Mapping[str, object] | None = None,
        after: Mapping[str, object] | None = None,
    ) -> AuditEntry:
        """An entry of this moment. `before` and `after` hold no secrets."""
        by = By(account_id=account_id, actor=actor, client=client)
        return make_entry(by, action, target, clock=self._clock, ids=self._ids, before=before, after=after)

    async def add(
        self,
        account_id: AccountId,
        actor: str,
        client: Client,
        action: str,
        target: str,
        *,
        before: Mapping[str, object] | None = None,
        after: Mapping[str, object] | None = None,
    ) -> None:
        """Writes an entry of its own."""
        await self._store.add_audit(self.entry(account_id, actor, client, action, target, before=before, after=after))


def make_entry(
    by: By,
    action: str,
    target: str,
    *,
    clock: Clock,
    ids: IdSource,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> AuditEntry:
    """An entry of this moment. `before` and `after` hold no secrets."""
    return AuditEntry(
        id=AuditId(ids.next()),
        account_id=by.account_id,
        actor=by.actor,
        address=by.client.address,
        action=action,
        target=target,
        created_at=clock.now(),
        before=before or {},
        after=after or {},
    )


StoreT = TypeVar("StoreT", bound=AuditStore)


class AuditedChanges(Generic[StoreT]):
    """Operations whose changes are in the audit, each in the transaction of the change, once `by` has said who makes them."""

    def __init__(self, store: StoreT, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._author: By | None = None

    def by(self, author: By) -> Self:
        """The same operations, on behalf of somebody."""
        other = copy.copy(self)
        other._author = author
        return other

    def _audited(
        self, action: str, target: str, *, before: Mapping[str, object] | None = None, after: Mapping[str, object] | None = None
    ) -> StoreT:
        """The store for a change, which writes the entry with it. `before` and `after` hold no secrets."""
        if self._author is None:
            return self._store
        return self._store.audited(make_entry(self._author, action, target, clock=self._clock, ids=self._ids, before=before, after=after))


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """What differs between two states, as the audit shows it."""
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}
