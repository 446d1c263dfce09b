"""Adding sending domains, and proving them by DNS."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.accounts.domain_settings import BadDomainName, BadDomainSetting, parse_name
from sendryd.accounts.domains import Domains
from sendryd.message.dkim import load_private_key
from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.domain import DnsRecord, DomainSettings, DomainStatus, RecordPurpose, SendingDomain, TlsPolicy
from sendryd.model.ids import AccountId, DomainId, WebhookId, format_id
from sendryd.model.webhook import Notification, Webhook, WebhookEvent
from sendryd.policy.bimi import bimi_name, bimi_value
from sendryd.policy.dnsrecords import RecordSettings
from sendryd.policy.smarthost import smart_host_lane
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import QueueFilter, Store
from sendryd.store.errors import Conflict, NotFound
from sendryd.testing.cases import cases
from sendryd.testing.clock import ManualClock
from sendryd.testing.keys import take_key
from sendryd.testing.samples import NOW, Samples

ACCOUNT = AccountId(1)
NAME = "example.test"
SPF = "v=spf1 a:relay.test ~all"


class Zone:
    """A resolver with the answers of a dictionary: a name that is missing does not exist."""

    def __init__(self) -> None:
        self.texts: dict[str, tuple[str, ...]] = {}
        self.records: dict[tuple[str, str], tuple[str, ...]] = {("relay.test", "A"): ("192.0.2.25",)}
        self.silent: set[str] = set()
        self.asked: list[str] = []

    async def txt(self, name: str, *, fresh: bool = False) -> tuple[str, ...]:
        assert fresh
        self.asked.append(name)
        if name in self.silent:
            raise LookupFailed(f"TXT of {name}: no answer in time", is_temporary=True)
        if name not in self.texts:
            raise LookupFailed(f"the name {name} does not exist", is_temporary=False)
        return self.texts[name]

    async def lookup(self, name: str, kind: str) -> tuple[str, ...]:
        self.asked.append(name)
        if name in self.silent:
            raise LookupFailed(f"{kind} of {name}: no answer in time", is_temporary=True)
        return self.texts.get(name, ()) if kind == "TXT" else self.records.get((name, kind), ())

    async def mx(self, domain: str) -> tuple[()]:
        raise AssertionError(domain)

    async def addresses(self, host: str) -> tuple[str, ...]:
        raise AssertionError(host)

    def publish(self, domain: SendingDomain) -> None:
        for record in domain.records:
            self.texts[record.name] = (record.value,)


@pytest.fixture
def zone() -> Zone:
    return Zone()


@pytest.fixture
def domains(store: Store, zone: Zone, clock: ManualClock) -> Domains:
    ids = IdSource(clock, SeededRand(7))
    return Domains(store, zone, RecordSettings("relay.test"), selector="sendry", clock=clock, ids=ids, make_key=take_key)


@pytest.fixture
async def domain(domains: Domains) -> SendingDomain:
    return await domains.add(ACCOUNT, NAME)


def record_of(domain: SendingDomain, purpose: RecordPurpose) -> DnsRecord:
    return next(record for record in domain.records if record.purpose is purpose)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.COM", "example.com"),
        (" example.com. ", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("a.b.c.d", "a.b.c.d"),
    ],
)
def test_names_are_brought_into_one_form(text: str, name: str) -> None:
    assert parse_name(text) == name


@cases(
    "text",
    [
        "",
        ".",
        "localhost",
        "example.com..",
        ".example.com",
        "a..b",
        "192.0.2.1",
        "[::1]",
        "::1",
        "-a.test",
        "a-.test",
        "a_b.test",
        "user@example.com",
        "http://example.com",
        "example.com/",
        "*.example.com",
        "xn--a.test",
        "a b.test",
        "example.com\n.test",
        "x" * 64 + ".test",
        ".".join(["abcdefg"] * 40),
        "xn--\u00e9.test",
        "a\u3002test",
        "exa\u00admple.test",
    ],
)
def test_what_is_no_domain_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(BadDomainName, match="is not a domain name"):
        parse_name(text)


async def test_a_new_domain_has_a_key_of_its_own_and_waits(store: Store, domain: SendingDomain) -> None:
    assert (domain.name, domain.status, domain.selector) == (NAME, DomainStatus.PENDING, "sendry")
    assert not any(record.is_verified or record.reason for record in domain.records)
    assert await store.find_domain(ACCOUNT, NAME) == domain
    pem = await store.read_private_key(domain.id)
    assert pem is not None
    assert load_private_key(pem).key_size == 2048


async def test_a_domain_is_added_once(domains: Domains, domain: SendingDomain) -> None:
    with pytest.raises(Conflict):
        await domains.add(domain.account_id, "EXAMPLE.test.")


async def test_a_domain_is_found_in_its_own_account_alone(domains: Domains, domain: SendingDomain) -> None:
    assert await domains.get(ACCOUNT, domain.id) == domain
    for account, number in ((AccountId(2), domain.id), (ACCOUNT, DomainId(7))):
        with pytest.raises(NotFound):
            await domains.get(account, number)


async def test_a_name_with_no_room_for_its_records_is_refused(domains: Domains) -> None:
    name = ".".join(["a" * 59] * 4) + ".test"
    assert parse_name(name) == name
    with pytest.raises(BadDomainName, match="too long"):
        await domains.add(ACCOUNT, name)


async def test_a_published_domain_is_verified(
    domains: Domains, store: Store, zone: Zone, clock: ManualClock, domain: SendingDomain
) -> None:
    zone.publish(domain)
    clock.advance(timedelta(minutes=1))
    after = (await domains.verify(domain)).domain
    assert (after.status, after.verified_at, after.checked_at) == (DomainStatus.VERIFIED, clock.now(), clock.now())
    assert all(record.is_verified and not record.reason for record in after.records)
    assert await store.get_domain(domain.id) == after


async def test_nothing_published_has_a_reason_for_each_record(domains: Domains, domain: SendingDomain) -> None:
    after = (await domains.verify(domain)).domain
    assert after.status is DomainStatus.PENDING
    assert [record.reason.partition(" record")[0] for record in after.records] == ["No DMARC", "No DKIM", "No SPF"]


@pytest.mark.parametrize("purpose", [RecordPurpose.DKIM, RecordPurpose.SPF])
async def test_each_required_record_is_required(domains: Domains, zone: Zone, domain: SendingDomain, purpose: RecordPurpose) -> None:
    zone.publish(domain)
    del zone.texts[record_of(domain, purpose).name]
    after = (await domains.verify(domain)).domain
    assert after.status is DomainStatus.PENDING
    assert not record_of(after, purpose).is_verified


async def test_dmarc_is_advised_alone(domains: Domains, zone: Zone, domain: SendingDomain) -> None:
    zone.publish(domain)
    del zone.texts[f"_dmarc.{NAME}"]
    after = (await domains.verify(domain)).domain
    assert after.status is DomainStatus.VERIFIED
    assert not record_of(after, RecordPurpose.DMARC).is_verified
    assert record_of(after, RecordPurpose.DMARC).reason


async def test_silence_changes_nothing_but_the_reason(domains: Domains, zone: Zone, clock: ManualClock, domain: SendingDomain) -> None:
    zone.publish(domain)
    verified = (await domains.verify(domain)).domain
    zone.silent = set(zone.texts)
    clock.advance(timedelta(days=3))
    after = (await domains.verify(verified)).domain
    for before, now in zip(verified.records, after.records, strict=True):
        assert now.is_verified is before.is_verified
        assert "could not be looked up" in now.reason
    assert (after.status, after.verified_at, after.checked_at) == (verified.status, verified.verified_at, verified.checked_at)
    assert (after.failures, after.failing_since) == (0, None)


async def test_the_status_falls_after_three_checks_over_a_day(
    domains: Domains, zone: Zone, clock: ManualClock, domain: SendingDomain
) -> None:
    zone.publish(domain)
    domain = (await domains.verify(domain)).domain
    zone.texts[NAME] = ("v=spf1 -all",)
    seen = []
    for hours in (0, 1, 1, 21, 1):
        clock.advance(timedelta(hours=hours))
        domain = (await domains.verify(domain)).domain
        seen.append(domain.status)
    assert seen == [DomainStatus.VERIFIED] * 4 + [DomainStatus.FAILED]
    zone.publish(domain)
    assert (await domains.verify(domain)).domain.status is DomainStatus.VERIFIED


@cases(
    ("record", "says"),
    [
        ("v=spf1 ip4:192.0.2.25 -all", ""),
        ("v=spf1 ip4:192.0.2.0/24 -all", ""),
        ("v=spf1 mx -all", ""),
        ("v=spf1 +a:Relay.Test. -all", ""),
        ("v=spf1 redirect=a.test", ""),
        ("v=spf1 include:b.test ~all", ""),
        ("v=spf1 exists:%{ir}.list.test -all", ""),
        ("v=spf1 +all", ""),
        ("v=spf1 -all", "does not authorise this server, relay.test (192.0.2.25)"),
        ("v=spf1 ?a:relay.test -all", "does not authorise"),
        ("v=spf1 ~a:relay.test +all", "does not authorise"),
        ("v=spf1 include:a.test -a:relay.test +all", ""),
        ("v=spf1 redirect=a.test -all", "does not authorise"),
        ("v=spf1 ip4:192.0.2.24 -all", "does not authorise"),
        ("v=spf1", "does not authorise"),
        ("v=spf1 ipv4:198.51.100.1 a:relay.test ~all", "permanent error, as the term 'ipv4:198.51.100.1' is not one that SPF has"),
        ("v=spf1 include:x.test, a:relay.test ~all", "permanent error, as the term 'include:x.test,' does not name a domain"),
        ("v=spf1 a:relay.test ~ all", "permanent error, as the term '~' is not one"),
        ("v=spf1 include:gone.test a:relay.test ~all", "permanent error, as it includes gone.test, which has no SPF record"),
        ("v=spf1 include:two.test a:relay.test ~all", "permanent error, as two.test has several SPF records"),
        (f"v=spf1 include:{NAME} -all", "permanent error, as it needs more than 10 look-ups"),
        (f"v=spf1 {' '.join(f'include:inc{n}.test' for n in range(11))} a:relay.test ~all", "more than 10 look-ups"),
        (f"v=spf1 {' '.join(f'a:h{n}.test' for n in range(10))} a:relay.test ~all", "permanent error"),
        ("v=spf1 a:x.test a:y.test a:z.test a:relay.test ~all", "more than 2 of the names that it looks up do not exist"),
    ],
)
async def test_spf_is_what_receivers_make_of_it(domains: Domains, zone: Zone, domain: SendingDomain, record: str, says: str) -> None:
    zone.publish(domain)
    zone.texts |= {
        NAME: ("google-site-verification=1", record),
        "a.test": (SPF,),
        "b.test": ("v=spf1 include:a.test ~all",),
        "two.test": (SPF, SPF),
        **{f"inc{number}.test": ("v=spf1 ip4:198.51.100.1 -all",) for number in range(11)},
    }
    zone.records |= {
        (NAME, "MX"): ("mx1.test", "relay.test"),
        ("mx1.test", "A"): ("198.51.100.1",),
        ("25.2.0.192.list.test", "A"): ("127.0.0.2",),
    }
    after = record_of((await domains.verify(domain)).domain, RecordPurpose.SPF)
    assert says in after.reason
    assert (after.is_verified, bool(after.reason)) == (not says, bool(says))


async def test_every_address_of_the_host_must_pass(domains: Domains, zone: Zone, domain: SendingDomain) -> None:
    zone.publish(domain)
    zone.records["relay.test", "AAAA"] = ("2001:db8::25",)
    assert (await domains.verify(domain)).domain.status is DomainStatus.VERIFIED
    zone.texts[NAME] = ("v=spf1 ip4:192.0.2.25 -all",)
    assert "relay.test (2001:db8::25)" in record_of((await domains.verify(domain)).domain, RecordPurpose.SPF).reason
    zone.texts[NAME] = ("v=spf1 ip4:192.0.2.25 ip6:2001:db8::/32 -all",)
    assert record_of((await domains.verify(domain)).domain, RecordPurpose.SPF).is_verified


@pytest.mark.parametrize("silent", ["relay.test", "silent.test"])
async def test_no_answer_of_dns_is_no_result(domains: Domains, zone: Zone, clock: ManualClock, domain: SendingDomain, silent: str) -> None:
    zone.publish(domain)
    verified = (await domains.verify(domain)).domain
    zone.texts[NAME] = ("v=spf1 include:silent.test -all",)
    zone.silent = {silent}
    clock.advance(timedelta(days=3))
    after = (await domains.verify(verified)).domain
    assert (after.status, after.failures) == (DomainStatus.VERIFIED, 0)
    assert "could not be" in record_of(after, RecordPurpose.SPF).reason


@pytest.mark.parametrize(
    ("settings", "addresses"),
    [
        (RecordSettings("relay.test"), ()),
        (RecordSettings("relay.test"), ("127.0.0.1",)),
        (RecordSettings("localhost"), ()),
        (RecordSettings("relay.test", "_spf.relay.test"), ()),
    ],
)
async def test_a_host_without_a_public_address_is_tried_out_with_the_record_that_is_asked_for(
    store: Store, zone: Zone, clock: ManualClock, settings: RecordSettings, addresses: tuple[str, ...]
) -> None:
    zone.records["relay.test", "A"] = addresses
    domains = Domains(store, zone, settings, selector="sendry", clock=clock, ids=IdSource(clock, SeededRand(7)), make_key=take_key)
    domain = await domains.add(ACCOUNT, NAME)
    zone.publish(domain)
    assert (await domains.verify(domain)).domain.status is DomainStatus.VERIFIED
    for wrong in ("v=spf1 ip4:198.51.100.1 -all", f"v=spf1 ipv4:1 {settings.spf_mechanism} ~all"):
        zone.texts[NAME] = (wrong,)
        assert not record_of((await domains.verify(domain)).domain, RecordPurpose.SPF).is_verified


@pytest.mark.parametrize(
    ("texts", "is_verified", "says"),
    [
        ({"_dmarc.org.test": ("v=DMARC1; p=reject",)}, True, ""),
        ({"_dmarc.mail.org.test": ("unrelated",), "_dmarc.org.test": ("v=DMARC1; p=none",)}, True, ""),
        ({"_dmarc.mail.org.test": ("v=DMARC1; p=maybe",), "_dmarc.org.test": ("v=DMARC1; p=none",)}, False, "no policy"),
        ({"_dmarc.test": ("v=DMARC1; p=none",)}, False, "No DMARC record"),
        ({"_dmarc.org.test": ("v=DMARC1; p=none", "v=DMARC1; p=none")}, False, "several"),
    ],
)
async def test_dmarc_of_the_organisational_domain_holds(
    domains: Domains, zone: Zone, texts: dict[str, tuple[str, ...]], is_verified: bool, says: str
) -> None:
    domain = await domains.add(ACCOUNT, "mail.org.test")
    zone.texts |= texts
    record = record_of((await domains.verify(domain)).domain, RecordPurpose.DMARC)
    assert (record.is_verified, says in record.reason, bool(record.reason)) == (is_verified, True, bool(says))


async def test_a_record_at_its_doubled_name_is_found(domains: Domains, zone: Zone, domain: SendingDomain) -> None:
    zone.texts = {f"{record.name}.{NAME}": (record.value,) for record in domain.records}
    dmarc, dkim, spf = (await domains.verify(domain)).domain.records
    assert dkim.reason == (
        f"No DKIM record was found at sendry._domainkey.{NAME}, but one at sendry._domainkey.{NAME}.{NAME}:"
        f" your DNS panel appends {NAME} to names, so enter sendry._domainkey as the name."
    )
    assert dmarc.reason.endswith("so enter _dmarc as the name.")
    assert spf.reason.endswith("so enter @ as the name.")
    zone.publish(domain)
    assert all(record.is_verified for record in (await domains.verify(domain)).domain.records)


async def test_a_domain_that_is_gone_is_not_found(domains: Domains, store: Store, domain: SendingDomain, clock: ManualClock) -> None:
    await store.remove_domain(domain.id, clock.now())
    with pytest.raises(NotFound):
        await domains.verify(domain)


async def test_verification_reports_the_records_found_for_each_purpose(domains: Domains, zone: Zone, domain: SendingDomain) -> None:
    nothing = await domains.verify(domain)
    assert nothing.found == {RecordPurpose.DKIM: (), RecordPurpose.DMARC: (), RecordPurpose.SPF: ()}
    zone.publish(domain)
    zone.texts[NAME] = ("google-site-verification=1", "v=spf1 -all")
    zone.silent = {f"_dmarc.{NAME}"}
    found = (await domains.verify(domain)).found
    assert found[RecordPurpose.SPF] == ("v=spf1 -all",)
    assert found[RecordPurpose.DKIM] == (record_of(domain, RecordPurpose.DKIM).value,)
    assert found[RecordPurpose.DMARC] == ()


# Settings.


async def test_settings_are_changed_and_kept(domains: Domains, store: Store, domain: SendingDomain) -> None:
    change = DomainSettings(tls_policy=TlsPolicy.ENFORCED, custom_return_path=f"Bounces.{NAME}.", track_opens=True, region="eu")
    after = await domains.change(domain.id, lambda _: change)
    assert after.settings == replace(change, custom_return_path=f"bounces.{NAME}")
    assert await store.get_domain(domain.id) == after
    assert (
        await domains.change(domain.id, lambda settings: replace(settings, custom_return_path=None))
    ).settings.custom_return_path is None


async def test_changes_at_once_do_not_undo_one_another(domains: Domains, store: Store, domain: SendingDomain) -> None:
    await asyncio.gather(
        domains.change(domain.id, lambda settings: replace(settings, track_opens=True)),
        domains.change(domain.id, lambda settings: replace(settings, track_clicks=True)),
        domains.change(domain.id, lambda settings: replace(settings, include_subdomains=True)),
    )
    stored = await store.get_domain(domain.id)
    assert stored is not None
    assert stored.settings == DomainSettings(track_opens=True, track_clicks=True, include_subdomains=True)


async def test_waiting_mail_is_read_only_if_its_lane_changes(domains: Domains, store: Store, domain: SendingDomain) -> None:
    new = Samples().message(["a@one.test"], created_at=NOW)
    await store.accept(replace(new, message=replace(new.message, signing_domain_id=domain.id)))

    async def lane() -> str:
        (waiting,) = await store.list_queue(QueueFilter())
        return waiting.domain

    url = "smtp://app@smtp.example.com:587"
    await domains.change(domain.id, lambda settings: replace(settings, smarthost=url))
    assert await lane() == smart_host_lane(url, ACCOUNT)
    await store.reroute(domain.id, "elsewhere.test:25")
    await domains.change(domain.id, lambda settings: replace(settings, track_opens=True))
    assert await lane() == "elsewhere.test:25"
    await domains.change(domain.id, lambda settings: replace(settings, smarthost=""))
    assert await lane() == "one.test"


@pytest.mark.parametrize("name", [NAME, "bounces.other.test", f"not{NAME}", "localhost", "a b", "", f"-.{NAME}"])
async def test_a_return_path_is_a_subdomain(domains: Domains, store: Store, domain: SendingDomain, name: str) -> None:
    with pytest.raises(BadDomainSetting, match="custom_return_path") as caught:
        await domains.change(domain.id, lambda settings: replace(settings, custom_return_path=name))
    assert caught.value.field == "custom_return_path"
    assert await store.get_domain(domain.id) == domain


async def test_what_is_gone_cannot_be_changed(domains: Domains, domain: SendingDomain) -> None:
    await domains.remove(domain)
    with pytest.raises(NotFound):
        await domains.change(domain.id, lambda settings: replace(settings, track_opens=True))
    with pytest.raises(NotFound):
        await domains.remove(domain)


# What webhooks are told.


@pytest.fixture
async def webhook(store: Store, clock: ManualClock) -> Webhook:
    events = (WebhookEvent.DOMAIN_CREATED, WebhookEvent.DOMAIN_UPDATED, WebhookEvent.DOMAIN_DELETED)
    made = Webhook(
        id=WebhookId(5),
        account_id=ACCOUNT,
        url="https://hook.test/",
        events=events,
        secret="whsec_x",
        is_active=True,
        created_at=clock.now(),
        updated_at=clock.now(),
    )
    await store.add_webhook(made)
    return made


async def owed(store: Store) -> list[Notification]:
    """Oldest first."""
    await store.fan_out(limit=100)
    return list(reversed((await store.page_notifications(ACCOUNT, limit=100)).items))


@pytest.mark.usefixtures("webhook")
async def test_webhooks_are_told_what_becomes_of_a_domain(domains: Domains, store: Store, zone: Zone, clock: ManualClock) -> None:
    domain = await domains.add(ACCOUNT, NAME)
    clock.advance(timedelta(seconds=1))
    await domains.verify(domain)
    zone.publish(domain)
    await domains.verify(domain)
    clock.advance(timedelta(seconds=1))
    await domains.verify(domain)
    domain = await domains.change(domain.id, lambda settings: replace(settings, track_opens=True))
    clock.advance(timedelta(seconds=1))
    await domains.change(domain.id, lambda settings: replace(settings, track_opens=True))
    await domains.remove(domain)
    told = await owed(store)
    assert [each.type.value for each in told] == ["domain.created", "domain.updated", "domain.updated", "domain.deleted"]
    bodies = [each.body or {} for each in told]
    assert {body["domain_id"] for body in bodies} == {format_id("dom", domain.id)}
    assert [body["status"] for body in bodies] == ["pending", "verified", "verified", "verified"]
    assert [body["tracking"]["opens"] for body in bodies] == [False, False, True, True]
    assert bodies[0]["created_at"] == "2026-03-01T12:00:00.000Z"


@pytest.mark.usefixtures("webhook")
async def test_failed_domain_changes_send_no_notification(domains: Domains, store: Store) -> None:
    domain = await domains.add(ACCOUNT, NAME)
    with pytest.raises(Conflict):
        await domains.add(ACCOUNT, NAME)
    with pytest.raises(BadDomainSetting):
        await domains.change(domain.id, lambda settings: replace(settings, custom_return_path="other.test"))
    assert [each.type for each in await owed(store)] == [WebhookEvent.DOMAIN_CREATED]


@pytest.mark.usefixtures("webhook")
async def test_a_check_that_was_overtaken_tells_nothing_twice(domains: Domains, store: Store, zone: Zone) -> None:
    domain = await domains.add(ACCOUNT, NAME)
    zone.publish(domain)
    await domains.verify(domain)
    await domains.verify(domain)  # with the domain as it was before
    assert [each.type.value for each in await owed(store)] == ["domain.created", "domain.updated"]


# Logos.

LOGO = "https://example.test/logo.svg"


async def test_a_logo_is_proved_by_its_record(
    domains: Domains, store: Store, zone: Zone, clock: ManualClock, domain: SendingDomain
) -> None:
    bimi = await domains.set_bimi(domain, logo_url=LOGO, vmc_url=None, selector="default")
    assert (bimi.is_verified, bimi.verified_at) == (False, None)
    found = await domains.verify_bimi(domain)
    assert "No BIMI record" in found.reason
    assert found.bimi == bimi
    zone.texts[bimi_name(NAME, "default")] = (bimi_value(LOGO, None),)
    clock.advance(timedelta(minutes=1))
    found = await domains.verify_bimi(domain)
    assert (found.reason, found.bimi.is_verified, found.bimi.verified_at) == ("", True, clock.now())
    assert await store.get_bimi(domain.id) == found.bimi
    zone.silent = set(zone.texts)
    unknown = await domains.verify_bimi(domain)
    assert unknown.bimi == found.bimi
    assert "could not be looked up" in unknown.reason
    zone.silent, zone.texts = set(), {}
    lost = await domains.verify_bimi(domain)
    assert (lost.bimi.is_verified, lost.bimi.verified_at) == (False, found.bimi.verified_at)


async def test_another_logo_has_to_be_proved_anew(domains: Domains, zone: Zone, clock: ManualClock, domain: SendingDomain) -> None:
    first = await domains.set_bimi(domain, logo_url=LOGO, vmc_url=None, selector="default")
    zone.texts[bimi_name(NAME, "default")] = (bimi_value(LOGO, None),)
    verified = (await domains.verify_bimi(domain)).bimi
    clock.advance(timedelta(minutes=1))
    assert await domains.set_bimi(domain, logo_url=LOGO, vmc_url=None, selector="default") == verified
    other = await domains.set_bimi(domain, logo_url=LOGO, vmc_url="https://example.test/vmc.pem", selector="default")
    assert (other.is_verified, other.verified_at, other.created_at) == (False, None, first.created_at)
    assert other.updated_at > first.updated_at


async def test_there_is_no_logo_to_prove(domains: Domains, domain: SendingDomain) -> None:
    with pytest.raises(NotFound):
        await domains.verify_bimi(domain)
    with pytest.raises(NotFound):
        await domains.set_bimi(replace(domain, id=DomainId(9)), logo_url=LOGO, vmc_url=None, selector="default")


@pytest.mark.parametrize(
    ("logo_url", "vmc_url", "selector", "field"),
    [
        (LOGO + ";a", None, "default", "logo_url"),
        (LOGO, "https://example.test/;.pem", "default", "vmc_url"),
        (LOGO, None, "a" * 240, "selector"),
    ],
)
async def test_a_logo_whose_record_cannot_be_written_is_refused(
    domains: Domains, domain: SendingDomain, logo_url: str, vmc_url: str | None, selector: str, field: str
) -> None:
    with pytest.raises(BadDomainSetting, match=f"^{field}: ") as caught:
        await domains.set_bimi(domain, logo_url=logo_url, vmc_url=vmc_url, selector=selector)
    assert caught.value.field == field


async def test_a_removed_domain_holds_its_mail_until_it_is_added_again_and_verified(
    domains: Domains, store: Store, zone: Zone, domain: SendingDomain, clock: ManualClock
) -> None:
    new = Samples(clock.now()).message()
    await store.accept(replace(new, message=replace(new.message, signing_domain_id=domain.id)))
    assert await domains.remove(domain) == 1
    again = await domains.add(ACCOUNT, NAME)
    await domains.verify(again)
    assert [each.hold_reason for each in await store.list_queue(QueueFilter())] == [HoldReason.DOMAIN_REMOVED]
    zone.publish(again)
    await domains.verify(again)
    assert [each.state for each in await store.list_queue(QueueFilter())] == [DeliveryState.QUEUED]
