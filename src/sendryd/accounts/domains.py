"""Domain operations, shared by the REST API and the command line: adding, changing, removing and verifying sending domains and their logos.

A change that webhooks report is stored with its notice in one transaction.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Protocol, Self

from typing_extensions import override

from sendryd.accounts.audit import AuditedChanges, By, changes
from sendryd.accounts.changes import reapply
from sendryd.accounts.dkim_rotation import DkimRotation
from sendryd.accounts.domain_settings import BadDomainName, BadDomainSetting, check_settings, parse_name
from sendryd.accounts.inboundrecords import InboundRecords
from sendryd.accounts.recordlookup import RecordLookup, Texts
from sendryd.accounts.spfcheck import SpfCheck
from sendryd.message.dkim import generate_key
from sendryd.model.domain import (
    Bimi,
    DnsRecord,
    DomainSettings,
    DomainStatus,
    PastCheck,
    RecordPurpose,
    SendingDomain,
    Sighting,
    StsMode,
)
from sendryd.model.ids import DOMAIN_PREFIX, AccountId, DomainId, format_id
from sendryd.model.moment import timestamp
from sendryd.model.webhook import WebhookEvent
from sendryd.policy.bimi import bimi_name, check_bimi
from sendryd.policy.dnsrecords import (
    MAX_NAME,
    OF_RETURN_PATH,
    Evaluation,
    RecordSettings,
    Unknown,
    check_dkim,
    check_dmarc,
    check_mx,
    dkim_name,
    evaluate,
    wanted_records,
)
from sendryd.policy.inboundrecords import InboundSettings
from sendryd.policy.smarthost import smart_host_lane
from sendryd.runtime.clock import Clock
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.resolver import RecordResolver
from sendryd.runtime.zoneservers import ZoneServers
from sendryd.store.base import AccountStore, AuditStore, DkimKeyStore, DomainCheck, NewDomain, Notice, QueueStore
from sendryd.store.errors import Changed, Conflict, LimitReached, NotFound

Change = Callable[[DomainSettings], DomainSettings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The result of checking a domain's records."""

    domain: SendingDomain  # as it is stored now
    found: Mapping[RecordPurpose, tuple[str, ...]]  # the records that bear on each purpose; none also where DNS gave no answer


@dataclass(frozen=True, slots=True, kw_only=True)
class BimiVerification:
    """The result of checking a logo's record."""

    bimi: Bimi  # as it is stored now
    reason: str  # why the record is not right: one sentence; empty if it is


class DomainStore(AccountStore, DkimKeyStore, QueueStore, AuditStore, Protocol):
    """Domains, and the mail that waits for them."""


class Domains(AuditedChanges[DomainStore]):
    """Adds, changes, verifies and removes sending domains."""

    def __init__(
        self,
        store: DomainStore,
        resolver: RecordResolver,
        settings: RecordSettings,
        *,
        selector: str,
        clock: Clock,
        ids: IdSource,
        max_domains: int | None = None,
        make_key: Callable[[], tuple[bytes, str]] = generate_key,
        servers: ZoneServers | None = None,
        inbound: Callable[[], InboundSettings] | None = None,
        pools: Collection[str] = (),
    ) -> None:
        """`inbound` says what is done for domains whose mail comes in here; None: none does. `pools` are the names of the address pools that mail may
        leave from.
        """
        super().__init__(store, clock, ids)
        self._make_key = make_key
        self._lookup = RecordLookup(resolver, servers)
        self.rotation = DkimRotation(store, self._lookup, settings, selector=selector, clock=clock, ids=ids, make_key=make_key)
        self._resolver = resolver
        self._inbound = InboundRecords(resolver, inbound)
        self._settings = settings
        self._selector = selector
        self._max_domains = max_domains
        self._pools = pools

    @override
    def by(self, author: By) -> Self:
        other = super().by(author)
        other.rotation = self.rotation.by(author)
        return other

    async def get(self, account_id: AccountId, domain_id: DomainId) -> SendingDomain:
        """Get a domain of the account. Raises `NotFound`."""
        domain = await self._store.get_domain(domain_id)
        if domain is None or domain.account_id != account_id:
            raise NotFound("no such domain")
        return domain

    async def add(self, account_id: AccountId, name: str) -> SendingDomain:
        """Add a domain with a new DKIM key. Raises `BadDomainName`, `LimitReached`, and `Conflict` if the account has the domain already."""
        name = parse_name(name)
        if len(dkim_name(name, self._selector)) > MAX_NAME:
            raise BadDomainName("name", f"{name} is too long: its DKIM record would have a name of more than {MAX_NAME} octets")
        if self._max_domains is not None and await self._store.count_domains(account_id) >= self._max_domains:
            await self._refuse_another(account_id, name, self._max_domains)
        private_key, public_key = await asyncio.to_thread(self._make_key)
        domain = SendingDomain(
            id=DomainId(self._ids.next()),
            account_id=account_id,
            name=name,
            status=DomainStatus.PENDING,
            selector=self._selector,
            public_key=public_key,
            settings=DomainSettings(),
            created_at=self._clock.now(),
            records=wanted_records(name, self._selector, public_key, self._settings),
        )
        notice = self._notice(WebhookEvent.DOMAIN_CREATED, domain)
        await self._audited("domain.added", domain.name).add_domain(
            NewDomain(domain=domain, private_key=private_key), notice, limit=self._max_domains
        )
        return domain

    async def _refuse_another(self, account_id: AccountId, name: str, limit: int) -> None:
        """Refuse before the key is made, which takes long. Raises `Conflict`, `LimitReached`."""
        if await self._store.find_domain(account_id, name) is not None:
            raise Conflict("the domain exists")
        raise LimitReached(limit, "domain", "remove one first")

    @property
    def pools(self) -> tuple[str, ...]:
        """The names of the address pools that mail may leave from now."""
        return tuple(self._pools)

    async def change(self, domain_id: DomainId, change: Change, *, is_operator: bool = False) -> SendingDomain:
        """Replace a domain's settings by the result of `change`, whose smart host may have its password. `is_operator`: private addresses may be
        named. Raises `NotFound`, and `BadDomainSetting` for a setting the domain cannot have.
        """
        before = ""  # the lane of its mail

        async def attempt() -> SendingDomain:
            nonlocal before
            domain = await self._get(domain_id)
            before = await self._lane(domain)
            settings = change(domain.settings)
            if settings == domain.settings:
                return domain
            checked = check_settings(domain, settings, pools=self.pools, is_operator=is_operator)
            after = replace(domain, settings=checked.settings)
            was, is_now = changes(asdict(domain.settings), asdict(after.settings))
            if checked.smarthost_password:
                is_now = {**is_now, "smarthost_password": "set"}
            store = self._audited("domain.changed", domain.name, before=was, after=is_now)
            records = self._records(after) if _published(after) != _published(domain) else None
            return await store.set_domain_settings(
                domain,
                after.settings,
                self._notice(WebhookEvent.DOMAIN_UPDATED, after),
                records=records,
                smarthost_password=checked.smarthost_password,
            )

        after = await reapply(attempt)
        # If the program is stopped between the two, the mail moves when its turn comes (`delivery.smarthosts`).
        lane = await self._lane(after)
        if lane != before:
            await self._store.reroute(domain_id, lane or None)
        return after

    async def _lane(self, domain: SendingDomain) -> str:
        """The lane of the smart host of a domain, or of its account; empty if neither has one."""
        account = await self._store.get_account(domain.account_id) if not domain.settings.smarthost else None
        return smart_host_lane(domain.settings.smarthost or (account.settings.smarthost.url if account else ""), domain.account_id)

    def _records(self, domain: SendingDomain) -> tuple[DnsRecord, ...]:
        """The records to publish, those that stay with the results of the last check."""
        known = {(record.purpose, record.name, record.value): record for record in domain.records}
        wanted = wanted_records(domain.name, domain.selector, domain.public_key, self._settings, domain.settings.custom_return_path)
        return tuple(known.get((each.purpose, each.name, each.value), each) for each in (*wanted, *self._inbound.again(domain)))

    async def _get(self, domain_id: DomainId) -> SendingDomain:
        domain = await self._store.get_domain(domain_id)
        if domain is None:
            raise NotFound("no such domain")
        return domain

    async def remove(self, domain: SendingDomain) -> int:
        """Removes a domain, its key and its logo. Raises `NotFound`.

        Returns how many waiting deliveries of it are held from now on: until a domain of this name is verified, or an operator releases
        them. One that is under way, or that is accepted in this moment, is held when it falls due.
        """
        now = self._clock.now()
        store = self._audited("domain.removed", domain.name, before={"status": domain.status.value})
        await store.remove_domain(domain.id, now, self._notice(WebhookEvent.DOMAIN_DELETED, domain))
        return await self._store.hold_for_domain(domain.id, now)

    async def verify(self, domain: SendingDomain) -> Verification:
        """Check the published records, past the caches, and store the result. A pending DKIM key whose record is there and whose time has come
        becomes the active one. Raises `NotFound` if the domain is gone.
        """
        records = wanted_records(domain.name, domain.selector, domain.public_key, self._settings, domain.settings.custom_return_path)
        own = [record for record in records if record.purpose not in OF_RETURN_PATH]
        found = await self._lookup.find_all(domain.name, own)
        reasons = await self._judge(domain, own, {purpose: each.texts for purpose, each in found.items()})
        if domain.settings.custom_return_path is not None:
            reasons |= await self._judge_return_path(domain.settings.custom_return_path)
        inbound = await self._inbound.examine(domain)
        records, reasons = records + inbound.records, {**reasons, **inbound.reasons}
        sightings = tuple(sighting for each in found.values() for sighting in each.sightings)

        async def attempt() -> SendingDomain:
            current = await self._get(domain.id)  # another check may have ended while this one waited for DNS
            # And the key may have been rotated, or the return path changed: this check has not looked for the new ones.
            if (current.public_key, *_published(current)) != (domain.public_key, *_published(domain)):
                return current
            return await self._record(current, evaluate(current, records, reasons, self._clock.now()), sightings)

        after = await reapply(attempt)
        if after.status is DomainStatus.VERIFIED:  # each time: the program may have been stopped between the two
            await self._store.release_for_domain(after.account_id, after.name, self._clock.now())
        after = await self.rotation.check(after)
        return Verification(domain=after, found={purpose: each.sightings[0].texts or () for purpose, each in found.items()})

    async def _judge(
        self, domain: SendingDomain, records: Sequence[DnsRecord], texts: Mapping[RecordPurpose, Texts]
    ) -> dict[RecordPurpose, str | Unknown]:
        dkim, dmarc, spf = texts[RecordPurpose.DKIM], texts[RecordPurpose.DMARC], texts[RecordPurpose.SPF]
        spf_check = SpfCheck(self._resolver, self._settings)
        reasons: dict[RecordPurpose, str | Unknown] = {
            RecordPurpose.DKIM: dkim if isinstance(dkim, Unknown) else check_dkim(dkim, domain.public_key),
            RecordPurpose.DMARC: dmarc if isinstance(dmarc, Unknown) else check_dmarc(dmarc),
            RecordPurpose.SPF: spf if isinstance(spf, Unknown) else await spf_check.check(domain.name, spf),
        }
        wrong = [record for record in records if reasons[record.purpose]]
        doubled = await asyncio.gather(*(self._lookup.explain_doubled(domain.name, each, texts[each.purpose]) for each in wrong))
        return {**reasons, **{record.purpose: reason for record, reason in zip(wrong, doubled, strict=True) if reason}}

    async def _judge_return_path(self, name: str) -> dict[RecordPurpose, str | Unknown]:
        """The faults of the records of a domain's own return path."""
        no_answer = Unknown(f"{name} could not be looked up: DNS gave no answer; try again later.")
        try:
            hosts = await self._resolver.lookup(name, "MX")
            texts = await self._resolver.lookup(name, "TXT")
        except LookupFailed:
            return dict.fromkeys(OF_RETURN_PATH, no_answer)
        return {
            RecordPurpose.RETURN_PATH: check_mx(hosts, self._settings.hostname),
            RecordPurpose.RETURN_PATH_SPF: await SpfCheck(self._resolver, self._settings).check(name, texts),
        }

    async def _record(self, domain: SendingDomain, found: Evaluation, sightings: tuple[Sighting, ...]) -> SendingDomain:
        now = self._clock.now()
        faults = {record.purpose: record.reason for record in found.records}
        check = DomainCheck(
            status=found.status,
            records=found.records,
            checked_at=now if found.is_conclusive else domain.checked_at or now,
            verified_at=found.verified_at,
            failing_since=found.failing_since,
            failures=found.failures,
            past=PastCheck(at=now, status=found.status, faults=faults, sightings=sightings),
        )
        changed = replace(domain, status=found.status)
        notice = self._notice(WebhookEvent.DOMAIN_UPDATED, changed) if found.status is not domain.status else None
        return await self._store.record_domain_check(domain, check, notice)

    async def set_bimi(self, domain: SendingDomain, *, logo_url: str, vmc_url: str | None, selector: str) -> Bimi:
        """Set a domain's logo. A changed logo needs verification again. Raises `BadDomainSetting` for a value that cannot stand in the
        record, and `NotFound` if the domain is gone.
        """
        for field, url in (("logo_url", logo_url), ("vmc_url", vmc_url)):
            if url is not None and ";" in url:  # it ends a tag of the record
                raise BadDomainSetting(field, f"{field}: write the semicolon as %3B")
        if len(bimi_name(domain.name, selector)) > MAX_NAME:
            raise BadDomainSetting(
                "selector", f"selector: {selector} is too long: the record would have a name of more than {MAX_NAME} octets"
            )

        async def attempt() -> Bimi:
            return await self._set_bimi(domain, logo_url=logo_url, vmc_url=vmc_url, selector=selector)

        return await reapply(attempt)

    async def _set_bimi(self, domain: SendingDomain, *, logo_url: str, vmc_url: str | None, selector: str) -> Bimi:
        now = self._clock.now()
        before = await self._store.get_bimi(domain.id)
        if before is not None and (before.logo_url, before.vmc_url, before.selector) == (logo_url, vmc_url, selector):
            return before
        bimi = Bimi(
            logo_url=logo_url,
            vmc_url=vmc_url,
            selector=selector,
            is_verified=False,
            verified_at=None,
            created_at=before.created_at if before else now,
            updated_at=now,
        )
        await self._audited("domain.logo_set", domain.name, after={"logo_url": logo_url}).set_bimi(domain.id, before, bimi)
        return bimi

    async def remove_bimi(self, domain: SendingDomain) -> None:
        """Remove a domain's logo. Raises `NotFound` if it has none."""

        async def attempt() -> None:
            before = await self._store.get_bimi(domain.id)
            if before is None:
                raise NotFound("no logo")
            await self._audited("domain.logo_removed", domain.name).set_bimi(domain.id, before, None)

        await reapply(attempt)

    async def verify_bimi(self, domain: SendingDomain) -> BimiVerification:
        """Check the published record of a domain's logo, past the cache, and store the result. Without an answer from DNS, nothing is
        stored. Raises `NotFound` if the domain has no logo or is gone.
        """
        bimi = await self._store.get_bimi(domain.id)
        if bimi is None:
            raise NotFound("no logo")
        texts = await self._lookup.texts(bimi_name(domain.name, bimi.selector))
        if isinstance(texts, Unknown):
            return BimiVerification(bimi=bimi, reason=texts.reason)
        reason = check_bimi(texts, bimi.logo_url, bimi.vmc_url)
        now = self._clock.now()
        after = replace(bimi, is_verified=not reason, verified_at=bimi.verified_at if reason else now)
        if after.is_verified is not bimi.is_verified:
            after = replace(after, updated_at=now)
        with suppress(Changed):  # it was set to another one meanwhile, of which this says nothing
            await self._store.set_bimi(domain.id, bimi, after)
        return BimiVerification(bimi=after, reason=reason)

    def _notice(self, event: WebhookEvent, domain: SendingDomain) -> Notice:
        settings = domain.settings
        body: dict[str, object] = {
            "domain_id": format_id(DOMAIN_PREFIX, domain.id),
            "name": domain.name,
            "status": domain.status.value,
            "region": settings.region,
            "tls_policy": settings.tls_policy.value,
            "custom_return_path": settings.custom_return_path,
            "include_subdomains": settings.include_subdomains,
            "tracking": {"opens": settings.track_opens, "clicks": settings.track_clicks},
            "created_at": timestamp(domain.created_at),
        }
        return Notice(type=event, body=body, created_at=self._clock.now())


def _published(domain: SendingDomain) -> tuple[str | None, StsMode]:
    """The settings that records depend on."""
    return domain.settings.custom_return_path, domain.settings.mta_sts
