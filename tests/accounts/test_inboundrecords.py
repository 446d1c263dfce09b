"""Domains whose mail comes in here: which records are advised, and what a check finds of them."""

from dataclasses import replace

import pytest

from sendryd.accounts.domains import Domains
from sendryd.model.domain import DnsRecord, DomainStatus, RecordPurpose, SendingDomain, StsMode
from sendryd.policy.dnsrecords import RecordSettings
from sendryd.policy.inboundrecords import OF_INBOUND, InboundSettings
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import Store
from sendryd.testing.clock import ManualClock
from sendryd.testing.keys import take_key
from sendryd.testing.samples import ACCOUNT
from sendryd.testing.zone import ZoneResolver

NAME = "example.test"
INBOUND = InboundSettings(hostname="relay.test", web_host="links.test", report_domain="b.test", tlsa="3 1 1 ab")


@pytest.fixture
def zone() -> ZoneResolver:
    zone = ZoneResolver()
    zone.records = {("relay.test", "A"): ("192.0.2.25",), ("links.test", "A"): ("192.0.2.80",)}
    return zone


@pytest.fixture
def domains(store: Store, zone: ZoneResolver, clock: ManualClock) -> Domains:
    settings = RecordSettings("relay.test", report_address="mailto:dmarc@b.test")
    ids = IdSource(clock, SeededRand(7))
    return Domains(store, zone, settings, selector="sendry", clock=clock, ids=ids, make_key=take_key, inbound=lambda: INBOUND)


@pytest.fixture
async def domain(domains: Domains) -> SendingDomain:
    return await domains.add(ACCOUNT, NAME)


def inbound_of(domain: SendingDomain) -> dict[RecordPurpose, DnsRecord]:
    return {record.purpose: record for record in domain.records if record.purpose in OF_INBOUND}


async def test_records_for_incoming_mail_are_advised_once_the_mx_leads_here(
    domains: Domains, zone: ZoneResolver, domain: SendingDomain
) -> None:
    zone.publish(domain)
    assert "rua=mailto:dmarc@b.test" in domain.records[0].value
    assert inbound_of((await domains.verify(domain)).domain) == {}
    zone.records[NAME, "MX"] = ("relay.test",)
    after = (await domains.verify(domain)).domain
    assert set(inbound_of(after)) == OF_INBOUND
    assert all(record.reason and not record.is_required for record in inbound_of(after).values())
    assert after.status is DomainStatus.VERIFIED  # they are optional
    zone.records[NAME, "MX"] = ("relay.test", "backup.test")
    assert inbound_of((await domains.verify(after)).domain) == {}


async def test_published_records_are_right(domains: Domains, zone: ZoneResolver, domain: SendingDomain) -> None:
    zone.records[NAME, "MX"] = ("relay.test",)
    zone.publish((await domains.verify(domain)).domain)
    zone.records["mta-sts.example.test", "A"] = ("192.0.2.80",)
    zone.records["_25._tcp.relay.test", "TLSA"] = ("3 1 1 ab",)
    after = (await domains.verify(domain)).domain
    assert [record for record in after.records if not record.is_verified] == []


async def test_a_changed_mode_is_another_record(domains: Domains, zone: ZoneResolver, domain: SendingDomain) -> None:
    zone.records[NAME, "MX"] = ("relay.test",)
    zone.publish((await domains.verify(domain)).domain)
    before = (await domains.verify(domain)).domain
    assert inbound_of(before)[RecordPurpose.MTA_STS].is_verified
    after = await domains.change(domain.id, lambda settings: replace(settings, mta_sts=StsMode.ENFORCE))
    changed = inbound_of(after)[RecordPurpose.MTA_STS]
    assert changed.value != inbound_of(before)[RecordPurpose.MTA_STS].value
    assert not changed.is_verified
    assert inbound_of(after)[RecordPurpose.TLS_RPT].is_verified
    found = (await domains.verify(after)).domain
    assert "another policy" in inbound_of(found)[RecordPurpose.MTA_STS].reason


async def test_no_answer_changes_nothing(domains: Domains, zone: ZoneResolver, domain: SendingDomain) -> None:
    zone.records[NAME, "MX"] = ("relay.test",)
    zone.publish((await domains.verify(domain)).domain)
    before = (await domains.verify(domain)).domain
    zone.silent.add(NAME)
    after = (await domains.verify(before)).domain
    assert inbound_of(after)[RecordPurpose.TLS_RPT].is_verified
    assert "no answer" in inbound_of(after)[RecordPurpose.TLS_RPT].reason
