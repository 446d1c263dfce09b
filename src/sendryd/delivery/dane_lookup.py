"""DANE look-up: what the DNS, authenticated by DNSSEC, says of the keys of a domain's mail servers.

Reads: TLSA records at `_PORT._tcp` of each server. Writes: nothing.
Strategy: asked for only where the answers that led to the server, MX and address, were authenticated; elsewhere many name servers fail at such
questions, and an answer would prove nothing (RFC 7672 §2.2).
When things fail: no answer means that the server gets no mail, because whoever can suppress the answer could else have the mail in clear text.
Limits: one server at a time; the resolver keeps the answers.
"""

from collections.abc import Iterable
from dataclasses import replace

from sendryd.policy.routing import MailHost
from sendryd.policy.tls import NO_DANE, HostDane
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.resolver import SecureResolver


class DaneLookup:
    """Asks for mail servers that take mail on one port."""

    def __init__(self, resolver: SecureResolver, *, port: int) -> None:
        self._resolver = resolver
        self._port = port

    async def add(self, domain: str, hosts: Iterable[MailHost]) -> dict[str, MailHost]:
        """The mail servers of a domain with what DNS says of them, by name. Their names and addresses have just been looked up."""
        is_secure = self._resolver.is_secure(domain, "MX")
        return {host.name: replace(host, dane=await self._find(host.name)) if is_secure else host for host in hosts}

    async def _find(self, host: str) -> HostDane:
        if not (self._resolver.is_secure(host, "A") or self._resolver.is_secure(host, "AAAA")):
            return NO_DANE
        name = f"_{self._port}._tcp.{host}"
        try:
            records = await self._resolver.tlsa(name)
        except LookupFailed as error:
            return HostDane(failure=str(error))
        return HostDane(records) if self._resolver.is_secure(name, "TLSA") else NO_DANE
