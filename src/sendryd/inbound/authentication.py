"""Judges where mail that came in is really from: SPF, DKIM, DMARC. The results are a field that readers of the mail see; no mail is refused for them.

Reads: DNS, past no cache of its own. Strategy: look-ups of one mail run one after the other, within `MAX_TIME` in all; signatures are computed in a
thread. When DNS gives no answer the result is `temperror`.
Standards: RFC 7208, RFC 6376, RFC 7489, RFC 8601 (the field).
"""

import asyncio
import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from sendryd.message.author import parse_author
from sendryd.message.dkimverify import DkimResult, Signature, read_signatures, verify_signature
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.trace import results_name
from sendryd.policy.dmarc import Authenticated, DmarcResult, find_policy, judge_dmarc
from sendryd.policy.spf import SpfAnswer, SpfQuery, SpfResult, SpfVerdict, check_host
from sendryd.runtime.clock import Clock
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.publicsuffix import organisational_domain
from sendryd.runtime.resolver import RecordResolver

MAX_TIME: Final = 15.0  # seconds for all look-ups of one mail: other servers wait ten minutes for our reply
FIELD: Final = "Authentication-Results"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.@_+=/:-]")  # of what strangers chose, in the field


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What was found."""

    spf: SpfResult
    spf_domain: str
    dkim: tuple[tuple[str, DkimResult], ...]  # by domain
    dmarc: DmarcResult
    author_domain: str  # empty: the mail has no readable author


class Authenticator:
    """Judges mails."""

    def __init__(self, resolver: RecordResolver, hostname: str, clock: Clock) -> None:
        self._resolver = resolver
        self._hostname = hostname
        self._clock = clock

    async def judge(self, content: bytes, *, client: str, hello: str, reverse_path: str) -> Results:
        """The results for one mail. Never raises."""
        try:
            headers = HeaderBlock.parse_new(content)
            author = parse_author(headers.get(b"from") or b"").domain if headers.count(b"from") == 1 else ""
        except MalformedMessage:
            headers, author = None, ""
        domain = reverse_path.rpartition("@")[2] or hello
        spf, dmarc = SpfResult.TEMPERROR, DmarcResult.TEMPERROR
        dkim: list[tuple[str, DkimResult]] = []
        try:
            async with asyncio.timeout(MAX_TIME):
                spf = (await self._check_spf(client, domain, reverse_path or f"postmaster@{hello}", hello)).result
                if headers is not None:
                    await self._check_dkim(headers, dkim)
                proved = Authenticated(
                    domain.lower() if spf is SpfResult.PASS else "", [name for name, result in dkim if result is DkimResult.PASS]
                )
                dmarc = await self._check_dmarc(author, proved)
        except TimeoutError:
            pass
        return Results(spf=spf, spf_domain=domain, dkim=tuple(dkim), dmarc=dmarc, author_domain=author)

    async def _check_spf(self, client: str, domain: str, sender: str, hello: str) -> SpfVerdict:
        evaluation = check_host(ipaddress.ip_address(client), domain, sender=sender, helo=hello)
        try:
            query = next(evaluation)
            while True:
                query = evaluation.send(await self._answer(query))
        except StopIteration as done:
            verdict: SpfVerdict = done.value
            return verdict

    async def _answer(self, query: SpfQuery) -> SpfAnswer:
        try:
            return await self._resolver.lookup(query.name, query.kind)
        except LookupFailed:
            return None

    async def _check_dkim(self, headers: HeaderBlock, found: list[tuple[str, DkimResult]]) -> None:
        for each in read_signatures(headers, int(self._clock.now().timestamp())):
            if not isinstance(each, Signature):
                found.append(each)
                continue
            try:
                texts = await self._resolver.lookup(each.key_name, "TXT")
            except LookupFailed:
                found.append((each.domain, DkimResult.TEMPERROR))
                continue
            result = await asyncio.to_thread(verify_signature, headers, each, texts[0]) if len(texts) == 1 else DkimResult.PERMERROR
            found.append((each.domain, result))

    async def _check_dmarc(self, author: str, proved: Authenticated) -> DmarcResult:
        if not author:
            return DmarcResult.NONE
        try:
            policy = find_policy(await self._resolver.lookup(f"_dmarc.{author}", "TXT"))
            organisation = await asyncio.to_thread(organisational_domain, author)  # the first call reads a long list
            if policy is None and organisation != author:
                policy = find_policy(await self._resolver.lookup(f"_dmarc.{organisation}", "TXT"))
        except LookupFailed:
            return DmarcResult.TEMPERROR
        return judge_dmarc(author, policy, proved, organisational_domain)

    def field(self, results: Results) -> tuple[str, str]:
        """The header field that says what was found (RFC 8601 §2.2)."""
        parts = [f"{self._hostname}", f"spf={results.spf.value} smtp.mailfrom={_safe(results.spf_domain)}"]
        parts += [f"dkim={result.value} header.d={_safe(domain)}" for domain, result in results.dkim] or ["dkim=none"]
        parts.append(f"dmarc={results.dmarc.value}" + (f" header.from={_safe(results.author_domain)}" if results.author_domain else ""))
        return FIELD, "; ".join(parts)

    def is_own(self, name: str, value: str) -> bool:
        """Whether a field of a mail claims to be ours (RFC 8601 §5): it is left out."""
        return name.lower() == FIELD.lower() and results_name(value) == self._hostname.rstrip(".").lower()


def _safe(text: str) -> str:
    return _UNSAFE.sub("?", text)[:255] or "?"
