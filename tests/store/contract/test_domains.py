"""Sending domains: their keys, checks, settings, logos and limits."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import HoldReason
from sendryd.model.domain import (
    RESOLVER,
    Bimi,
    DnsRecord,
    DomainSettings,
    DomainStatus,
    PastCheck,
    RecordPurpose,
    Sighting,
    TlsPolicy,
)
from sendryd.model.ids import (
    AccountId,
    DomainId,
)
from sendryd.store.base import (
    MAX_CHECKS,
    DomainCheck,
    MailStore,
    NewDomain,
    QueueFilter,
)
from sendryd.store.errors import Changed, Conflict, NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

OTHER = AccountId(2)
LATER = NOW + timedelta(minutes=5)
BIMI = Bimi(
    logo_url="https://example.test/logo.svg",
    vmc_url=None,
    selector="default",
    is_verified=False,
    verified_at=None,
    created_at=NOW,
    updated_at=NOW,
)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def test_domains(store: MailStore, samples: Samples) -> None:
    new = samples.domain()
    await store.add_domain(new)
    assert await store.find_domain(ACCOUNT, "example.test") == new.domain
    assert await store.find_domain(AccountId(2), "example.test") is None
    assert await store.read_private_key(new.domain.id) == b"PEM"
    with pytest.raises(Conflict):
        await store.add_domain(samples.domain())
    version = await store.read_config_version()
    record = DnsRecord(purpose=RecordPurpose.SPF, type="TXT", name="example.test", value="v", is_required=True, is_verified=True)
    check = DomainCheck(
        status=DomainStatus.VERIFIED, records=(record,), checked_at=LATER, verified_at=LATER, failing_since=None, failures=0
    )
    checked = await store.record_domain_check(new.domain, check)
    assert (checked.status, checked.records, checked.verified_at) == (DomainStatus.VERIFIED, (record,), LATER)
    settings = DomainSettings(include_subdomains=True, tls_policy=TlsPolicy.ENFORCED, custom_return_path="rp")
    assert (await store.set_domain_settings(checked, settings)).settings == settings
    assert await store.get_domain(new.domain.id) == replace(checked, settings=settings)
    assert await store.read_config_version() > version
    assert len(await store.list_domains()) == len(await store.list_domains(ACCOUNT)) == 1
    await store.remove_domain(new.domain.id, NOW)
    assert await store.read_private_key(new.domain.id) is None
    for attempt in (store.remove_domain(new.domain.id, NOW), store.set_domain_settings(replace(new.domain, id=DomainId(9)), settings)):
        with pytest.raises(NotFound):
            await attempt


async def test_domains_are_listed_by_pages_and_searched(store: MailStore, samples: Samples) -> None:
    await store.ensure_account(OTHER, "other", NOW)
    made = [samples.domain(name) for name in ("one.test", "two.test", "my_shop.test", "three.example")]
    for new in (*made, samples.domain("four.test", OTHER)):
        await store.add_domain(new)
    page = await store.page_domains(ACCOUNT, limit=2)
    assert ([each.name for each in page.items], page.has_more) == (["three.example", "my_shop.test"], True)
    page = await store.page_domains(ACCOUNT, limit=2, before=page.items[-1].id)
    assert ([each.name for each in page.items], page.has_more) == (["two.test", "one.test"], False)
    page = await store.page_domains(ACCOUNT, text="TEST", limit=1, before=made[2].domain.id)
    assert ([each.name for each in page.items], page.has_more) == (["two.test"], True)
    page = await store.page_domains(ACCOUNT, text="_", limit=9)
    assert [each.name for each in page.items] == ["my_shop.test"]
    assert await store.count_domains(ACCOUNT) == 4
    assert await store.count_domains(ACCOUNT, text="Test") == 3
    assert await store.count_domains(ACCOUNT, text="%") == 0
    assert await store.count_domains(OTHER) == 1


async def test_a_logo_is_kept_replaced_and_goes_with_its_domain(store: MailStore, samples: Samples) -> None:
    new = samples.domain()
    await store.add_domain(new)
    number = new.domain.id
    assert await store.get_bimi(number) is None
    await store.set_bimi(number, None, None)
    await store.set_bimi(number, None, BIMI)
    assert await store.get_bimi(number) == BIMI
    found = replace(BIMI, vmc_url="https://example.test/v.pem", selector="s2", is_verified=True, verified_at=LATER, updated_at=LATER)
    await store.set_bimi(number, BIMI, found)
    assert await store.get_bimi(number) == found
    await store.set_bimi(number, found, None)
    assert await store.get_bimi(number) is None
    await store.set_bimi(number, None, BIMI)
    await store.remove_domain(number, NOW)
    assert await store.get_bimi(number) is None
    for bimi in (BIMI, None):
        with pytest.raises(NotFound):
            await store.set_bimi(number, None, bimi)


async def refused(attempt: Awaitable[Any]) -> None:
    with pytest.raises(Changed):
        await attempt


async def test_settings_of_a_domain_are_replaced_as_they_were_read(store: MailStore, samples: Samples) -> None:
    new = samples.domain()
    await store.add_domain(new)
    first = await store.set_domain_settings(new.domain, DomainSettings(track_opens=True))
    await refused(store.set_domain_settings(new.domain, DomainSettings(track_clicks=True)))
    assert await store.get_domain(new.domain.id) == first
    check = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=NOW, verified_at=NOW, failing_since=None, failures=0)
    checked = await store.record_domain_check(new.domain, check)  # settings are not what a check begins from
    assert checked.settings.track_opens
    await refused(store.record_domain_check(first, replace(check, status=DomainStatus.FAILED)))
    await store.set_domain_settings(first, DomainSettings(track_clicks=True))  # nor the other way round


async def test_a_logo_is_replaced_as_it_was_read(store: MailStore, samples: Samples) -> None:
    new = samples.domain()
    await store.add_domain(new)
    await store.set_bimi(new.domain.id, None, BIMI)
    other = replace(BIMI, selector="other")
    await refused(store.set_bimi(new.domain.id, None, other))
    await store.set_bimi(new.domain.id, BIMI, other)
    await refused(store.set_bimi(new.domain.id, BIMI, None))
    assert await store.get_bimi(new.domain.id) == other


async def outcomes(attempts: list[Awaitable[Any]]) -> list[str]:
    return sorted(type(each).__name__ for each in await asyncio.gather(*attempts, return_exceptions=True))


async def test_domains_have_a_limit(store: MailStore, samples: Samples) -> None:
    attempts: list[Awaitable[Any]] = [store.add_domain(samples.domain(f"d{number}.test"), limit=3) for number in range(5)]
    assert await outcomes(attempts) == ["LimitReached"] * 2 + ["NoneType"] * 3
    assert await store.count_domains(ACCOUNT) == 3
    for domain in await store.list_domains(ACCOUNT):
        assert await store.read_private_key(domain.id) is not None


async def add(store: MailStore, samples: Samples, name: str = "example.test", account_id: AccountId = ACCOUNT) -> NewDomain:
    new = samples.domain(name, account_id)
    await store.add_domain(new)
    return new


async def verify(store: MailStore, domain_id: DomainId) -> None:
    check = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=NOW, verified_at=NOW, failing_since=None, failures=0)
    domain = await store.get_domain(domain_id)
    assert domain is not None
    await store.record_domain_check(domain, check)


@pytest.mark.parametrize("is_verified", [True, False])
async def test_a_successor_has_the_name_and_is_verified(store: MailStore, samples: Samples, is_verified: bool) -> None:
    await store.ensure_account(OTHER, "other", NOW)
    gone = await add(store, samples)
    assert await store.find_successor(gone.domain.id) is None
    await store.remove_domain(gone.domain.id, NOW)
    stranger = await add(store, samples, account_id=OTHER)
    await verify(store, stranger.domain.id)
    assert await store.find_successor(gone.domain.id) is None
    again = await add(store, samples)
    if is_verified:
        await verify(store, again.domain.id)
    assert await store.find_successor(gone.domain.id) == (again.domain.id if is_verified else None)


async def test_removed_domains_are_forgotten_once_no_mail_waits_for_them(store: MailStore, samples: Samples) -> None:
    for number, name in enumerate(("one.test", "two.test", "three.test"), 1):
        new = samples.domain(name)
        await store.add_domain(replace(new, domain=replace(new.domain, id=DomainId(number))))
        await store.remove_domain(DomainId(number), NOW + (2 * DAY if number == 3 else timedelta()))
    await store.accept(samples.message(["a@one.test"]))  # that the first was to sign
    await store.hold_for_domain(DomainId(1), NOW)
    assert await store.delete_removed_domains(created_before=NOW + DAY, limit=9) == 1
    assert await store.delete_removed_domains(created_before=NOW + DAY, limit=9) == 0
    (held,) = await store.list_queue(QueueFilter())
    assert held.hold_reason is HoldReason.DOMAIN_REMOVED
    assert await store.release_for_domain(ACCOUNT, "one.test", NOW) == 1
    await store.cancel(QueueFilter(), NOW, samples.event)
    assert await store.delete_removed_domains(created_before=NOW + 3 * DAY, limit=9) == 2


def past(minute: int, fault: str = "") -> PastCheck:
    sighting = Sighting(purpose=RecordPurpose.SPF, texts=(f"v=spf1 ip4:192.0.2.{minute} -all",), servers=("ns1.example", RESOLVER))
    silent = Sighting(purpose=RecordPurpose.DKIM, texts=None, servers=(RESOLVER,))
    faults = {RecordPurpose.SPF: fault, RecordPurpose.DKIM: "no answer"}
    return PastCheck(at=NOW + timedelta(minutes=minute), status=DomainStatus.PENDING, faults=faults, sightings=(sighting, silent))


async def test_the_last_checks_of_a_domain_are_kept(store: MailStore, samples: Samples) -> None:
    domain, other = samples.domain().domain, samples.domain("other.test").domain
    for each in (domain, other):
        await store.add_domain(NewDomain(domain=each, private_key=b"PEM"))
    for minute in range(MAX_CHECKS + 3):
        check = DomainCheck(
            status=DomainStatus.PENDING,
            records=(),
            checked_at=NOW + timedelta(minutes=minute),
            verified_at=None,
            failing_since=None,
            failures=minute,
            past=past(minute),
        )
        domain = await store.record_domain_check(domain, check)
    kept = await store.list_domain_checks(domain.id)
    assert kept == [past(minute) for minute in reversed(range(3, MAX_CHECKS + 3))]
    assert await store.list_domain_checks(domain.id, limit=2) == kept[:2]
    assert (kept[0].found(RecordPurpose.SPF), kept[0].found(RecordPurpose.DKIM)) == (("v=spf1 ip4:192.0.2.52 -all",), ())
    assert await store.list_domain_checks(other.id) == []
    await store.remove_domain(domain.id, LATER)
    assert await store.list_domain_checks(domain.id) == []


async def test_a_check_that_was_overtaken_is_not_kept(store: MailStore, samples: Samples) -> None:
    new = samples.domain()
    await store.add_domain(new)
    check = DomainCheck(
        status=DomainStatus.PENDING, records=(), checked_at=LATER, verified_at=None, failing_since=None, failures=1, past=past(1)
    )
    await store.record_domain_check(new.domain, check)
    with pytest.raises(Changed):
        await store.record_domain_check(new.domain, check)
    assert await store.list_domain_checks(new.domain.id) == [past(1)]


async def test_the_password_of_a_smart_host_is_read_by_itself_and_changes_the_configuration(store: MailStore, samples: Samples) -> None:
    new = samples.domain()
    await store.add_domain(new)
    assert await store.read_smarthost_password(new.domain.id) == ""
    before = await store.read_config_version()
    domain = await store.set_domain_settings(new.domain, new.domain.settings, smarthost_password="s3cret")
    assert await store.read_config_version() != before
    assert await store.read_smarthost_password(domain.id) == "s3cret"
    await store.set_domain_settings(domain, replace(domain.settings, track_opens=True))
    assert await store.read_smarthost_password(domain.id) == "s3cret"
    assert await store.read_smarthost_password(DomainId(99)) == ""
    await store.remove_domain(domain.id, NOW)
    assert await store.read_smarthost_password(domain.id) == ""


async def test_waiting_mail_of_a_domain_moves_to_the_lane_of_its_smart_host_and_back(store: MailStore, samples: Samples) -> None:
    lane = "smtp.example.com:587"
    first, leased = samples.message(["a@one.test", '"b@x"@two.test']), samples.message(["c@three.test"], lease=samples.lease())
    other = samples.message(["d@one.test"])
    other = replace(other, message=replace(other.message, signing_domain_id=DomainId(77)))
    for new in (first, leased, other, samples.message(["test@one.test"], mode=KeyMode.TEST)):
        await store.accept(new)
    assert await store.reroute(DomainId(1), lane) == 3
    assert await store.reroute(DomainId(1), lane) == 0
    claims = await store.claim_deliveries(now=NOW, lease=samples.lease(), limit=9, busy=frozenset(), per_domain=9)
    assert sorted((each.domain, len(each.deliveries)) for each in claims) == [("one.test", 1), (lane, 2)]
    some = first.deliveries[1].id
    assert await store.reroute(DomainId(1), None, [some, other.deliveries[0].id]) == 1
    assert {each.domain for each in await store.list_queue(QueueFilter(delivery_id=some))} == {"two.test"}
    assert await store.reroute(DomainId(1), None) == 2


async def test_a_large_queue_moves_to_another_lane_in_parts(store: MailStore, samples: Samples) -> None:
    for first in range(0, 2100, 700):
        await store.accept(samples.message([f"u{number}@one.test" for number in range(first, first + 700)]))
    assert await store.reroute(DomainId(1), "smtp.example.com:587") == 2100
    assert await store.list_queue(QueueFilter(domain="one.test")) == []
    assert await store.reroute(DomainId(1), None) == 2100
    assert len(await store.list_queue(QueueFilter(domain="one.test"))) == 2100
