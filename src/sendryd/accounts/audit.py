"""Entries of the audit: who changed what, when, from where."""

from collections.abc import Mapping
from dataclasses import dataclass

from sendryd.model.ids import AccountId, AuditId
from sendryd.model.people import AuditEntry
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import PeopleStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Where a change comes from."""

    address: str = ""
    agent: str = ""


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
        return AuditEntry(
            id=AuditId(self._ids.next()),
            account_id=account_id,
            actor=actor,
            address=client.address,
            action=action,
            target=target,
            created_at=self._clock.now(),
            before=before or {},
            after=after or {},
        )

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
