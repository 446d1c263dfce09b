"""Adding sending domains, and proving them by DNS."""

import asyncio
from typing import Final

from sendryd.message.author import normalise_domain
from sendryd.message.dkim import generate_key
from sendryd.message.errors import MalformedMessage
from sendryd.model.domain import DomainSettings, DomainStatus, RecordPurpose, SendingDomain
from sendryd.model.ids import AccountId, DomainId
from sendryd.policy.dnsrecords import (
    RecordSettings,
    Unknown,
    check_dkim,
    check_dmarc,
    evaluate,
    has_mechanism,
    spf_policies,
    spf_terms,
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
            checked_at=now,
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
        mechanism = self._settings.spf_mechanism
        if not policies:
            return "No SPF record was found: publish it."
        if len(policies) > 1:
            return "There are several SPF records: merge them into one, or receivers will ignore them all."
        answer = await self._authorises(policies[0], name, mechanism, [MAX_SPF_LOOKUPS])
        if isinstance(answer, Unknown):
            return answer
        return "" if answer else f"The SPF record does not authorise this server: add {mechanism} before its all term."

    async def _authorises(self, policy: str, name: str, mechanism: str, left: list[int]) -> bool | Unknown:
        """Whether a policy, or one that it includes or redirects to, has our mechanism."""
        if has_mechanism(policy, mechanism, name):
            return True
        unknown: Unknown | None = None
        for term in spf_terms(policy):
            bare = term.removeprefix("+")
            if not bare.startswith(("include:", "redirect=")) or not left[0]:
                continue
            left[0] -= 1
            other = bare.replace("=", ":", 1).partition(":")[2]
            texts = await self._texts(other)
            if isinstance(texts, Unknown):
                unknown = texts
                continue
            policies = spf_policies(texts)
            answer = await self._authorises(policies[0], other, mechanism, left) if len(policies) == 1 else False
            if answer is True:
                return True
            if isinstance(answer, Unknown):
                unknown = answer
        return unknown or False


def parse_name(text: str) -> str:
    """A domain name as it is stored. Raises `BadDomainName`."""
    try:
        return normalise_domain(text.strip().rstrip("."))
    except MalformedMessage:
        raise BadDomainName(f"{text!r} is not a domain name such as example.com") from None
