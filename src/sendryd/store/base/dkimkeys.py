"""DKIM keys of domains that rotate them. The active key is part of its domain."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sendryd.model.domain import DkimKey, DnsRecord, SendingDomain
from sendryd.model.ids import DkimKeyId, DomainId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDkimKey:
    """A pending key to store, with its private half."""

    key: DkimKey
    private_key: bytes  # PEM, PKCS #8


class DkimKeyStore(Protocol):
    """Pending, active and retired DKIM keys."""

    async def add_dkim_key(self, new: NewDkimKey) -> None:
        """Stores a pending key. Durable. Raises `NotFound` for an unknown domain, and `Conflict` if the domain has a pending key, or has had a key
        of this selector.
        """
        ...

    async def list_dkim_keys(self, domain_id: DomainId) -> list[DkimKey]:
        """The keys of a domain, newest first; none if it has never had but one."""
        ...

    async def list_pending_dkim_keys(self) -> list[DkimKey]:
        """The pending keys of all domains."""
        ...

    async def note_dkim_key(self, key_id: DkimKeyId, seen_at: datetime | None) -> None:
        """Stores whether the last check has found the record of a pending key. A key that is not pending stays as it is."""
        ...

    async def activate_dkim_key(
        self, before: SendingDomain, key_id: DkimKeyId, records: tuple[DnsRecord, ...], now: datetime
    ) -> SendingDomain:
        """Makes a pending key the domain's, and retires the domain's key, whose private half is erased. Durable.

        Raises `NotFound` if there is no such domain or pending key, `NotAllowed` if its record was not found by the last check or its time has not
        come, and `Changed` if the domain has another key than `before`.
        """
        ...

    async def remove_dkim_key(self, key_id: DkimKeyId) -> None:
        """Removes a pending or retired key. Raises `NotFound`, also for an active one."""
        ...
