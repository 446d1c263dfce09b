"""Rotation of DKIM keys: a new key waits until its record is published and its time has come, then it signs instead of the old one.

No mail is ever signed by a key whose record was not found, and the record of the old key keeps the mail valid that it has signed.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sendryd.accounts.audit import AuditedChanges, By, Client
from sendryd.accounts.errors import BadField
from sendryd.accounts.recordlookup import Found, RecordLookup
from sendryd.model.domain import RESOLVER, DkimKey, DkimKeyState, DnsRecord, RecordPurpose, SendingDomain
from sendryd.model.ids import DkimKeyId
from sendryd.model.moment import timestamp
from sendryd.policy.dkimkeys import key_record, next_selector
from sendryd.policy.dnsrecords import MAX_NAME, RecordSettings, Unknown, check_dkim, wanted_records
from sendryd.policy.inboundrecords import OF_INBOUND
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import AccountStore, AuditStore, DkimKeyStore, NewDkimKey
from sendryd.store.errors import Changed, NotAllowed, NotFound


class BadRotation(BadField):
    """The rotation cannot begin as asked; the message says why."""


class Store(AccountStore, DkimKeyStore, AuditStore, Protocol):
    """Domains and their keys."""


class DkimRotation(AuditedChanges[Store]):
    """Begins, checks, finishes and calls off rotations."""

    def __init__(
        self,
        store: Store,
        lookup: RecordLookup,
        settings: RecordSettings,
        *,
        selector: str,
        clock: Clock,
        ids: IdSource,
        make_key: Callable[[], tuple[bytes, str]],
    ) -> None:
        super().__init__(store, clock, ids)
        self._lookup = lookup
        self._settings = settings
        self._selector = selector
        self._make_key = make_key

    async def begin(self, domain: SendingDomain, starts_at: datetime | None = None) -> DkimKey:
        """Make a pending key. It signs from `starts_at` on, by default as soon as its record is found. Raises `BadRotation`, `Conflict` if the
        domain has a pending key, and `NotFound` if it is gone.
        """
        now = self._clock.now()
        taken = {domain.selector, *(key.selector for key in await self._store.list_dkim_keys(domain.id))}
        private_key, public_key = await asyncio.to_thread(self._make_key)
        key = DkimKey(
            id=DkimKeyId(self._ids.next()),
            domain_id=domain.id,
            selector=next_selector(self._selector, now, taken),
            public_key=public_key,
            created_at=now,
            starts_at=max(starts_at or now, now),
        )
        if len(key_record(domain.name, key).name) > MAX_NAME:
            raise BadRotation(
                "name", f"{domain.name} is too long: the record of the new key would have a name of more than {MAX_NAME} octets"
            )
        after = {"selector": key.selector, "starts_at": timestamp(key.starts_at)}
        await self._audited("domain.key_added", domain.name, after=after).add_dkim_key(NewDkimKey(key=key, private_key=private_key))
        return key

    async def find(self, domain: SendingDomain, state: DkimKeyState, selector: str | None = None) -> DkimKey:
        """The key of a domain in this state. Raises `NotFound`."""
        keys = await self._store.list_dkim_keys(domain.id)
        found = next((key for key in keys if key.state is state and selector in {None, key.selector}), None)
        if found is None:
            raise NotFound("no such key")
        return found

    async def call_off(self, domain: SendingDomain) -> DkimKey:
        """Remove the pending key. Raises `NotFound` if there is none."""
        key = await self.find(domain, DkimKeyState.PENDING)
        await self._audited("domain.key_called_off", domain.name, before={"selector": key.selector}).remove_dkim_key(key.id)
        return key

    async def forget(self, domain: SendingDomain, selector: str) -> DkimKey:
        """Remove a retired key, whose record is removed from DNS. Raises `NotFound`."""
        key = await self.find(domain, DkimKeyState.RETIRED, selector)
        await self._audited("domain.key_forgotten", domain.name, before={"selector": key.selector}).remove_dkim_key(key.id)
        return key

    async def check(self, domain: SendingDomain) -> SendingDomain:
        """Look for the record of a pending key, and activate the key if it is there and its time has come. Gives the domain as it is then."""
        pending = next((key for key in await self._store.list_dkim_keys(domain.id) if key.state is DkimKeyState.PENDING), None)
        if pending is None:
            return domain
        found = await self._lookup.find(domain.name, RecordPurpose.DKIM, key_record(domain.name, pending).name)
        if isinstance(found.texts, Unknown):
            return domain
        now = self._clock.now()
        is_seen = _is_everywhere(found, pending.public_key)
        await self._store.note_dkim_key(pending.id, now if is_seen else None)
        if not is_seen or pending.starts_at > now:
            return domain
        program = By(account_id=domain.account_id, actor="system", client=Client())
        return await (self if self._author else self.by(program)).activate(domain, pending, now)

    async def activate(self, domain: SendingDomain, key: DkimKey, now: datetime) -> SendingDomain:
        """Let a pending key sign whose record was just found and whose time has come. Gives the domain as it is then."""
        store = self._audited("domain.key_activated", domain.name, before={"selector": domain.selector}, after={"selector": key.selector})
        try:
            return await store.activate_dkim_key(domain, key.id, self._records(domain, key), now)
        except (Changed, NotAllowed, NotFound):  # another check has done it, or the rotation was called off
            return await self._store.get_domain(domain.id) or domain

    def _records(self, domain: SendingDomain, key: DkimKey) -> tuple[DnsRecord, ...]:
        """The records of the domain with the new key, which was found, and the others as they were."""
        before = {record.purpose: record for record in domain.records}
        wanted = wanted_records(domain.name, key.selector, key.public_key, self._settings, domain.settings.custom_return_path)
        return tuple(
            replace(record, is_verified=True) if record.purpose is RecordPurpose.DKIM else before.get(record.purpose, record)
            for record in (*wanted, *(each for each in domain.records if each.purpose in OF_INBOUND))
        )


def _is_everywhere(found: Found, public_key: str) -> bool:
    """Whether each authoritative server that answers has the key; without one, whether the resolver has it. Receivers may ask any of them."""
    answers = [each for each in found.sightings if each.texts is not None]
    asked = [each for each in answers if each.servers != (RESOLVER,)] or answers
    return bool(asked) and not any(check_dkim(each.texts or (), public_key) for each in asked)
