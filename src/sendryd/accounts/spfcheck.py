"""Asks DNS what receivers make of a domain's SPF record for mail of this installation (RFC 7208 `check_host`).

Does: evaluates the record for every address of the host name, A and AAAA: mail may leave from each of them.
Reads: DNS, past the cache. No answer (SERVFAIL, time-out) is no result.
A host name without an address, as on a machine that is only tried out, counts as a host with one address that no other host has: then the
mechanism that domains are asked for authorises, and other addresses do not.
"""

import asyncio
import ipaddress
import re
from typing import Final

from sendryd.policy.dnsrecords import RecordSettings, Unknown, explain_spf, find_spf_fault
from sendryd.policy.spf import Address, SpfAnswer, SpfQuery, SpfResult, SpfVerdict, check_host
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.resolver import RecordResolver

MAX_TIME: Final = 12.0  # seconds: with the ten that one look-up may take before it, less than the 30 that clients wait for an answer
DUMMY: Final = "192.0.0.8"  # RFC 7600: an IPv4 address that no host has
LOCAL_SUFFIX: Final = ".localhost"  # makes a host name of one label, which no SPF record can name, one that can be read (RFC 6761 §6.3)


class SpfCheck:
    """One check of one domain."""

    def __init__(self, resolver: RecordResolver, settings: RecordSettings) -> None:
        self._resolver = resolver
        self._hostname = settings.hostname.lower()
        self._settings = settings
        self._answers: dict[tuple[str, str], SpfAnswer] = {}

    async def check(self, domain: str, texts: tuple[str, ...]) -> str | Unknown:
        """What is wrong with the TXT records of a domain as far as SPF goes: one sentence, empty if nothing is."""
        fault = find_spf_fault(texts)
        if fault:
            return fault
        try:
            async with asyncio.timeout(MAX_TIME):
                return await self._evaluate(domain, texts)
        except TimeoutError:
            return Unknown(f"The policies that {domain} includes could not be looked up: DNS took too long; try again later.")
        except LookupFailed as error:
            return Unknown(f"The addresses of {self._hostname} could not be looked up: {error}; try again later.")

    async def _evaluate(self, domain: str, texts: tuple[str, ...]) -> str | Unknown:
        addresses = [ipaddress.ip_address(text) for kind in ("A", "AAAA") for text in await self._resolver.lookup(self._hostname, kind)]
        if not addresses:
            texts = self._stand_in(texts)
            addresses = [ipaddress.ip_address(DUMMY)]
        self._answers[domain.lower(), "TXT"] = texts
        for address in addresses:
            verdict = await self._ask(address, domain)
            if verdict.result is SpfResult.TEMPERROR:
                return Unknown(f"The SPF record could not be evaluated: {verdict.reason}; try again later.")
            if verdict.result is not SpfResult.PASS:
                host = f"{self._hostname} ({address})" if str(address) != DUMMY else ""
                return explain_spf(verdict, host, self._settings.spf_mechanism)
        return ""

    def _stand_in(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        """Answers for a host name that has no address. Returns the texts with a name that can be read."""
        name = self._hostname
        if "." not in name:
            name += LOCAL_SUFFIX
            texts = tuple(re.sub(rf"(?i)(?<=\ba:){re.escape(self._hostname)}(?=[ /]|$)", name, text) for text in texts)
        self._answers[name, "A"] = (DUMMY,)
        if self._settings.spf_include:
            self._answers[self._settings.spf_include.lower(), "TXT"] = (f"v=spf1 ip4:{DUMMY} -all",)
        return texts

    async def _ask(self, address: Address, domain: str) -> SpfVerdict:
        evaluation = check_host(address, domain, sender=f"postmaster@{domain}", helo=self._hostname)
        try:
            query = next(evaluation)
            while True:
                query = evaluation.send(await self._answer(query))
        except StopIteration as done:
            verdict: SpfVerdict = done.value
            return verdict

    async def _answer(self, query: SpfQuery) -> SpfAnswer:
        key = query.name.lower(), query.kind
        if key not in self._answers:
            try:
                self._answers[key] = await self._resolver.lookup(*key)
            except LookupFailed:
                self._answers[key] = None
        return self._answers[key]
