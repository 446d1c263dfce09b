"""DKIM keys of domains that rotate them, in dictionaries."""

from dataclasses import replace
from datetime import datetime

from sendryd.model.domain import DkimKey, DkimKeyState, DnsRecord, SendingDomain
from sendryd.model.ids import DkimKeyId, DomainId
from sendryd.policy.dkimkeys import first_key
from sendryd.store.base import NewDkimKey, NewDomain
from sendryd.store.errors import Conflict, NotFound
from sendryd.store.memory.accounts import MemoryAccounts
from sendryd.store.rules import check_activation, check_new_selector, check_unchanged


class MemoryDkimKeys(MemoryAccounts):
    """`DkimKeyStore`."""

    def __init__(self) -> None:
        super().__init__()
        self._dkim_keys: dict[DkimKeyId, NewDkimKey] = {}

    async def add_dkim_key(self, new: NewDkimKey) -> None:
        domain = self._domains.get(new.key.domain_id)
        if domain is None:
            raise NotFound("no such domain")
        check_new_selector(domain.domain.selector, new.key.selector)
        if any(each.state is DkimKeyState.PENDING or each.selector == new.key.selector for each in self._keys_of(domain.domain.id)):
            raise Conflict("the domain has a pending key")
        self._dkim_keys[new.key.id] = new

    async def list_dkim_keys(self, domain_id: DomainId) -> list[DkimKey]:
        return self._keys_of(domain_id)

    def _keys_of(self, domain_id: DomainId) -> list[DkimKey]:
        if domain_id not in self._domains:
            return []
        keys = [each.key for each in self._dkim_keys.values() if each.key.domain_id == domain_id]
        return sorted(keys, key=lambda key: key.id, reverse=True)

    async def list_pending_dkim_keys(self) -> list[DkimKey]:
        keys = [each.key for each in self._dkim_keys.values() if each.key.domain_id in self._domains]
        return [key for key in keys if key.state is DkimKeyState.PENDING]

    async def note_dkim_key(self, key_id: DkimKeyId, seen_at: datetime | None) -> None:
        new = self._dkim_keys.get(key_id)
        if new is not None and new.key.state is DkimKeyState.PENDING:
            self._dkim_keys[key_id] = replace(new, key=replace(new.key, seen_at=seen_at))

    async def activate_dkim_key(
        self, before: SendingDomain, key_id: DkimKeyId, records: tuple[DnsRecord, ...], now: datetime
    ) -> SendingDomain:
        found, new = self._domains.get(before.id), self._dkim_keys.get(key_id)
        if found is None:
            raise NotFound("no such domain")
        check_unchanged(found.domain.public_key, before.public_key, "the domain")
        if new is None or new.key.domain_id != before.id or new.key.state is not DkimKeyState.PENDING:
            raise NotFound("no such pending key")
        check_activation(new.key, now)
        self._retire(found.domain, now)
        self._dkim_keys[key_id] = NewDkimKey(key=replace(new.key, active_at=now), private_key=b"")
        domain = replace(found.domain, selector=new.key.selector, public_key=new.key.public_key, records=records)
        self._domains[before.id] = NewDomain(domain=domain, private_key=new.private_key)
        self._version += 1
        return domain

    def _retire(self, domain: SendingDomain, now: datetime) -> None:
        active = next((key for key in self._keys_of(domain.id) if key.state is DkimKeyState.ACTIVE), None) or first_key(domain)
        self._dkim_keys[active.id] = NewDkimKey(key=replace(active, retired_at=now), private_key=b"")

    async def remove_dkim_key(self, key_id: DkimKeyId) -> None:
        new = self._dkim_keys.get(key_id)
        if new is None or new.key.state is DkimKeyState.ACTIVE:
            raise NotFound("no such pending or retired key")
        del self._dkim_keys[key_id]
