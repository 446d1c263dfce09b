"""Rotation of DKIM keys: when the next key signs, and what it waits for."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.accounts.audit import By, Client
from sendryd.accounts.domains import Domains
from sendryd.model.domain import DkimKey, DkimKeyState, DomainStatus, RecordPurpose, SendingDomain
from sendryd.model.ids import AccountId
from sendryd.policy.dkimkeys import key_record
from sendryd.policy.dnsrecords import RecordSettings
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import Store
from sendryd.store.errors import Conflict, NotFound
from sendryd.testing.clock import ManualClock
from sendryd.testing.keys import take_key

from .test_domains import Zone
from .test_recordlookup import Servers

ACCOUNT = AccountId(1)
MARA = By(account_id=ACCOUNT, actor="mara@acme.example", client=Client(address="192.0.2.1"))


def make(store: Store, zone: Zone, clock: ManualClock, servers: Servers | None = None) -> Domains:
    ids = IdSource(clock, SeededRand(7))
    return Domains(store, zone, RecordSettings("relay.test"), selector="sendry", clock=clock, ids=ids, make_key=take_key, servers=servers)


async def add_verified(domains: Domains, zone: Zone) -> SendingDomain:
    domain = await domains.add(ACCOUNT, "example.test")
    zone.publish(domain)
    return (await domains.verify(domain)).domain


def publish(zone: Zone, domain: SendingDomain, key: DkimKey) -> None:
    record = key_record(domain.name, key)
    zone.texts[record.name] = (record.value,)


async def states(store: Store, domain: SendingDomain) -> list[tuple[str, DkimKeyState]]:
    return [(key.selector, key.state) for key in await store.list_dkim_keys(domain.id)]


async def test_a_key_signs_once_its_record_is_found(store: Store, clock: ManualClock) -> None:
    zone = Zone()
    domains = make(store, zone, clock)
    domain = await add_verified(domains, zone)
    key = await domains.rotation.begin(domain)
    after = (await domains.verify(domain)).domain
    assert after.selector == domain.selector  # its record is not there: the present key goes on
    publish(zone, domain, key)
    after = (await domains.verify(after)).domain
    assert (after.selector, after.public_key, after.status) == (key.selector, key.public_key, DomainStatus.VERIFIED)
    assert await states(store, domain) == [(key.selector, DkimKeyState.ACTIVE), (domain.selector, DkimKeyState.RETIRED)]
    (wanted,) = [record for record in after.records if record.purpose is RecordPurpose.DKIM]
    assert (wanted.name, wanted.is_verified) == (f"{key.selector}._domainkey.example.test", True)
    assert (await domains.verify(after)).domain.status is DomainStatus.VERIFIED


async def test_a_key_waits_for_its_time(store: Store, clock: ManualClock) -> None:
    zone = Zone()
    domains = make(store, zone, clock)
    domain = await add_verified(domains, zone)
    key = await domains.rotation.begin(domain, clock.now() + timedelta(days=2))
    publish(zone, domain, key)
    assert (await domains.verify(domain)).domain.selector == domain.selector
    (pending,) = await store.list_dkim_keys(domain.id)
    assert (pending.state, pending.seen_at) == (DkimKeyState.PENDING, clock.now())
    clock.advance(timedelta(days=2))
    assert (await domains.verify(domain)).domain.selector == key.selector


@pytest.mark.parametrize("answer", [(), ("v=DKIM1; k=rsa; p=AAAA",), None])
async def test_a_record_that_is_gone_at_its_time_holds_the_key_back(
    store: Store, clock: ManualClock, answer: tuple[str, ...] | None
) -> None:
    zone = Zone()
    domains = make(store, zone, clock)
    domain = await add_verified(domains, zone)
    key = await domains.rotation.begin(domain, clock.now() + timedelta(hours=1))
    publish(zone, domain, key)
    await domains.verify(domain)
    clock.advance(timedelta(hours=2))
    name = key_record(domain.name, key).name
    if answer is None:
        zone.silent.add(name)
    else:
        zone.texts[name] = answer
    assert (await domains.verify(domain)).domain.selector == domain.selector


async def test_every_server_that_answers_must_have_the_record(store: Store, clock: ManualClock) -> None:
    zone, servers = Zone(), Servers()
    domains = make(store, zone, clock, servers)
    domain = await add_verified(domains, zone)
    key = await domains.rotation.begin(domain)
    publish(zone, domain, key)
    value = key_record(domain.name, key).value
    servers.answers = {"ns1": (value,), "ns2": ()}  # one lags
    await domains.rotation.check(domain)
    assert (await store.list_dkim_keys(domain.id))[0].state is DkimKeyState.PENDING
    servers.answers = {"ns1": (value,), "ns2": None}
    assert (await domains.rotation.check(domain)).selector == key.selector


async def test_a_check_that_began_before_a_rotation_changes_nothing(store: Store, clock: ManualClock) -> None:
    zone = Zone()
    domains = make(store, zone, clock)
    domain = await add_verified(domains, zone)
    key = await domains.rotation.begin(domain)
    publish(zone, domain, key)
    after = (await domains.verify(domain)).domain
    del zone.texts[f"{domain.selector}._domainkey.example.test"]
    assert (await domains.verify(domain)).domain == after  # it has looked for the old key
    assert await store.get_domain(domain.id) == after


async def test_a_rotation_is_called_off_and_a_retired_key_is_forgotten(store: Store, clock: ManualClock) -> None:
    zone = Zone()
    domains = make(store, zone, clock).by(MARA)
    domain = await add_verified(domains, zone)
    first = await domains.rotation.begin(domain)
    with pytest.raises(Conflict):
        await domains.rotation.begin(domain)
    assert (await domains.rotation.call_off(domain)).id == first.id
    with pytest.raises(NotFound):
        await domains.rotation.call_off(domain)
    second = await domains.rotation.begin(domain)
    publish(zone, domain, second)
    after = (await domains.verify(domain)).domain
    with pytest.raises(NotFound):
        await domains.rotation.forget(after, second.selector)
    await domains.rotation.forget(after, domain.selector)
    assert await states(store, domain) == [(second.selector, DkimKeyState.ACTIVE)]
    actions = [each.action for each in (await store.list_audit(ACCOUNT, limit=20)).items]
    assert actions == [
        "domain.key_forgotten",
        "domain.key_activated",
        "domain.key_added",
        "domain.key_called_off",
        "domain.key_added",
        "domain.added",
    ]


async def test_the_program_itself_is_in_the_audit_when_it_activates_a_key(store: Store, clock: ManualClock) -> None:
    zone = Zone()
    domains = make(store, zone, clock)
    domain = await add_verified(domains, zone)
    key = await domains.rotation.begin(domain)
    publish(zone, domain, key)
    await domains.verify(domain)
    (entry,) = (await store.list_audit(ACCOUNT, limit=9)).items
    assert (entry.actor, entry.action, entry.target) == ("system", "domain.key_activated", "example.test")
    assert (entry.before, entry.after) == ({"selector": domain.selector}, {"selector": key.selector})


async def test_settings_are_in_the_audit_as_they_were_and_are(store: Store, clock: ManualClock) -> None:
    domains = make(store, Zone(), clock).by(MARA)
    domain = await domains.add(ACCOUNT, "example.test")
    await domains.change(domain.id, lambda settings: replace(settings, track_opens=True))
    entry = (await store.list_audit(ACCOUNT, limit=1)).items[0]
    assert (entry.action, entry.before, entry.after) == ("domain.changed", {"track_opens": False}, {"track_opens": True})
