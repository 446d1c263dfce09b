"""Looks up the records of a domain whose mail comes in here: MTA-STS, TLS-RPT, DANE.

Reads: DNS, past the cache. Writes: nothing. Where not every MX record of a domain leads here there is nothing to publish, because the policy would
keep mail from the other servers.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sendryd.model.domain import DnsRecord, RecordPurpose, SendingDomain
from sendryd.policy.dnsrecords import NO_ANSWER, Unknown
from sendryd.policy.inboundrecords import (
    OF_INBOUND,
    InboundSettings,
    check_sts_host,
    check_sts_record,
    check_tls_reports,
    check_tlsa,
    inbound_records,
    leads_here,
)
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.resolver import RecordResolver

Reasons = Mapping[RecordPurpose, str | Unknown]


@dataclass(frozen=True, slots=True)
class Examined:
    """The records to publish, and the fault of each."""

    records: tuple[DnsRecord, ...]
    reasons: Reasons


NOTHING: Final = Examined((), {})


class InboundRecords:
    """Examines domains."""

    def __init__(self, resolver: RecordResolver, read_settings: Callable[[], InboundSettings] | None) -> None:
        """`read_settings` reads the certificate, which changes; None: no mail comes in here."""
        self._resolver = resolver
        self._read_settings = read_settings

    async def examine(self, domain: SendingDomain) -> Examined:
        """The records of a domain; none if its mail goes elsewhere."""
        if self._read_settings is None:
            return NOTHING
        settings = await asyncio.to_thread(self._read_settings)
        try:
            hosts = await self._resolver.lookup(domain.name, "MX")
        except LookupFailed:
            kept = tuple(record for record in domain.records if record.purpose in OF_INBOUND)
            return Examined(kept, {record.purpose: _unknown(record.name) for record in kept})
        if not leads_here(hosts, settings.hostname):
            return NOTHING
        records = inbound_records(domain.name, domain.settings.mta_sts, settings)
        faults = await asyncio.gather(*(self._fault(record) for record in records))
        return Examined(records, {record.purpose: fault for record, fault in zip(records, faults, strict=True)})

    def again(self, domain: SendingDomain) -> tuple[DnsRecord, ...]:
        """The records of a domain whose settings have changed, as the last check found that its mail comes in here."""
        if self._read_settings is None or not any(record.purpose in OF_INBOUND for record in domain.records):
            return ()
        return inbound_records(domain.name, domain.settings.mta_sts, self._read_settings())

    async def _fault(self, record: DnsRecord) -> str | Unknown:
        try:
            match record.purpose:
                case RecordPurpose.MTA_STS:
                    return check_sts_record(await self._resolver.lookup(record.name, "TXT"), record.value)
                case RecordPurpose.MTA_STS_HOST:
                    return check_sts_host(await self._addresses(record.name), await self._addresses(record.value), record.value)
                case RecordPurpose.TLS_RPT:
                    return check_tls_reports(await self._resolver.lookup(record.name, "TXT"), record.value)
                case _:
                    return check_tlsa(await self._resolver.lookup(record.name, "TLSA"), record.value)
        except LookupFailed:
            return _unknown(record.name)

    async def _addresses(self, name: str) -> tuple[str, ...]:
        four, six = await asyncio.gather(self._resolver.lookup(name, "A"), self._resolver.lookup(name, "AAAA"))
        return four + six


def _unknown(name: str) -> Unknown:
    return Unknown(f"{name} {NO_ANSWER}: DNS gave no answer; try again later.")
