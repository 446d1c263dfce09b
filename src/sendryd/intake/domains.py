"""Adding sending domains, and proving them by DNS."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from sendryd.message.author import normalise_domain
from sendryd.message.dkim import generate_key
from sendryd.message.errors import MalformedMessage
from sendryd.model.domain import DomainSettings, DomainStatus, RecordPurpose, SendingDomain
from sendryd.model.ids import AccountId, DomainId
from sendryd.policy.dnsrecords import (
    MAX_NAME,
    RecordSettings,
    Unknown,
    check_dkim,
    check_dmarc,
    dkim_name,
    evaluate,
    read_spf,
    spf_policies,
    wanted_records,
)
from sendryd.runtime.clock import Clock
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.resolver import DnsResolver
from sendryd.store.base import AccountStore, DomainCheck, NewDomain

MAX_SPF_LOOKUPS: Final = 10  # RFC 7208 §4.6.4


class BadDomainName(ValueError):
    """Not a name that can be a sending domain; the message says why."""


class DomainOffice:
    """What is done with sending domains, at whatever door."""

    def __init__(
        self,
        store: AccountStore,
        resolver: DnsResolver,
        settings: RecordSettings,
        *,
        selector: str,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._store = store
        self._resolver = resolver
        self._settings = settings
        self._selector = selector
        self._clock = clock
        self._ids = ids

    async def add(self, account_id: AccountId, name: str) -> SendingDomain:
        """A new domain with a DKIM key of its own. Raises `BadDomainName`, and `Conflict` if the account has it already."""
        name = parse_name(name)
        if len(dkim_name(name, self._selector)) > MAX_NAME:
            raise BadDomainName(f"{name} is too long: its DKIM record would have a name of more than {MAX_NAME} octets")
        private_key, public_key = await asyncio.to_thread(generate_key)
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
        await self._store.add_domain(NewDomain(domain=domain, private_key=private_key))
        return domain

    async def verify(self, domain: SendingDomain) -> SendingDomain:
        """Looks at the published records, past the cache, and stores what follows. Raises `NotFound` if the domain is gone."""
        records = wanted_records(domain.name, domain.selector, domain.public_key, self._settings)
        names = {record.purpose: record.name for record in records}
        dkim, dmarc, spf = await asyncio.gather(
            self._texts(names[RecordPurpose.DKIM]),
            self._texts(names[RecordPurpose.DMARC]),
            self._texts(names[RecordPurpose.SPF]),
        )
        reasons: dict[RecordPurpose, str | Unknown] = {
            RecordPurpose.DKIM: dkim if isinstance(dkim, Unknown) else check_dkim(dkim, domain.public_key),
            RecordPurpose.DMARC: dmarc if isinstance(dmarc, Unknown) else check_dmarc(dmarc),
            RecordPurpose.SPF: spf if isinstance(spf, Unknown) else await self._check_spf(domain.name, spf),
        }
        now = self._clock.now()
        found = evaluate(domain, records, reasons, now)
        check = DomainCheck(
            status=found.status,
            records=found.records,
            checked_at=now if found.is_conclusive else domain.checked_at or now,
            verified_at=found.verified_at,
            failing_since=found.failing_since,
            failures=found.failures,
        )
        return await self._store.record_domain_check(domain.id, check)

    async def _texts(self, name: str) -> tuple[str, ...] | Unknown:
        try:
            return await self._resolver.txt(name, fresh=True)
        except LookupFailed as error:
            if error.is_temporary:
                return Unknown(f"{name} could not be looked up: DNS gave no answer; try again later.")
            return ()

    async def _check_spf(self, name: str, found: tuple[str, ...]) -> str | Unknown:
        policies = spf_policies(found)
        if not policies:
            return "No SPF record was found: publish it."
        if len(policies) > 1:  # RFC 7208 §4.5
            return "There are several SPF records: merge them into one, or receivers will ignore them all."
        search = _SpfSearch(self._texts, self._settings.spf_mechanism)
        if await search.does_authorise(policies[0], name):
            return ""
        if search.unknown is not None:
            return search.unknown
        advice = f"add {self._settings.spf_mechanism} before its all term."
        if search.is_over_limit:
            return f"The SPF record needs more than {MAX_SPF_LOOKUPS} look-ups: remove some, and {advice}"
        return f"The SPF record does not authorise this server: {advice}"


class _SpfSearch:
    """Looks for our mechanism in a policy and in those that it includes or redirects to."""

    def __init__(self, texts: Callable[[str], Awaitable[tuple[str, ...] | Unknown]], mechanism: str) -> None:
        self._texts = texts
        self._mechanism = mechanism
        self._lookups = 0
        self.unknown: Unknown | None = None  # the last policy that could not be looked up
        self.is_over_limit = False

    async def does_authorise(self, policy: str, name: str) -> bool:
        """Whether a domain's policy lets the mechanism pass."""
        reading = read_spf(policy, self._mechanism, name)
        if reading.does_authorise:
            return True
        for other in reading.others:
            if self._lookups >= MAX_SPF_LOOKUPS:
                self.is_over_limit = True
                return False
            self._lookups += 1
            texts = await self._texts(other)
            if isinstance(texts, Unknown):
                self.unknown = texts
                continue
            policies = spf_policies(texts)
            if len(policies) == 1 and await self.does_authorise(policies[0], other):
                return True
        return False


def parse_name(text: str) -> str:
    """A domain name as it is stored. Raises `BadDomainName`."""
    try:
        return normalise_domain(text.strip().removesuffix("."))
    except MalformedMessage:
        raise BadDomainName(f"{text!r} is not a domain name such as example.com") from None
