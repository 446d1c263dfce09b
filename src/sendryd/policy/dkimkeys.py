"""DKIM keys that replace one another: selectors, the record of a key, and when the record of a retired one may go. Pure.

Mail is signed as it is delivered. The record of a retired key stays for as long as other servers may hold mail that it has signed.
Standards: RFC 6376 §3.6 (key records), RFC 5321 §4.5.4.1 (how long servers try).
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from sendryd.model.domain import DkimKey, DkimKeyState, DnsRecord, RecordPurpose, SendingDomain
from sendryd.model.ids import DkimKeyId
from sendryd.policy.dnsrecords import dkim_name

MARGIN: Final = timedelta(days=7)  # other servers try for four to five days; some readers check signatures in a mailbox, days later


def next_selector(base: str, today: datetime, taken: Collection[str]) -> str:
    """A selector that the domain has not had: caches may still know the record of an earlier one."""
    dated = f"{base}-{today:%Y%m%d}"
    names = [dated, *(f"{dated}-{number}" for number in range(2, len(taken) + 2))]
    return next(name for name in names if name not in taken)


def first_key(domain: SendingDomain) -> DkimKey:
    """The key that a domain signs with, where it has had no other. It has the domain's number, which no key that was made later has."""
    start = domain.created_at
    return DkimKey(
        id=DkimKeyId(domain.id),
        domain_id=domain.id,
        selector=domain.selector,
        public_key=domain.public_key,
        created_at=start,
        starts_at=start,
        active_at=start,
    )


def all_keys(domain: SendingDomain, stored: Sequence[DkimKey]) -> list[DkimKey]:
    """The keys of a domain: pending, active, retired. The active one is stored only once it has replaced another."""
    active = next((key for key in stored if key.state is DkimKeyState.ACTIVE), None) or first_key(domain)
    pending = [key for key in stored if key.state is DkimKeyState.PENDING]
    return [*pending, active, *(key for key in stored if key.state is DkimKeyState.RETIRED)]


def key_record(domain: str, key: DkimKey) -> DnsRecord:
    """The record to publish for a key."""
    return DnsRecord(
        purpose=RecordPurpose.DKIM,
        type="TXT",
        name=dkim_name(domain, key.selector),
        value=f"v=DKIM1; k=rsa; p={key.public_key}",
        is_required=True,
        is_verified=key.seen_at is not None,
    )


def safe_to_remove(retired_at: datetime, queue_lifetime: timedelta) -> datetime:
    """When the record of a retired key may be removed: no mail that it has signed is on its way any more."""
    return retired_at + queue_lifetime + MARGIN
