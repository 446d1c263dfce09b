"""Asks the authoritative name servers of a domain, whose answers no cache has delayed.

Does: finds the NS records of the zone that a domain is in, and asks each server for TXT records, over UDP and, for truncated answers, TCP.
Limits: `MAX_SERVERS` servers of a zone, `TIMEOUT` for each answer. A server that gave none is left alone for `PAUSE`.
When things fail: a server without an answer is None; no zone or no reachable server means no answers at all, which callers must expect where
outgoing DNS is filtered.
Standards: RFC 1035 §4.1.1 (AA, TC), RFC 2308 §2.2 (no data).
"""

from typing import Any, Final, Protocol

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from sendryd.policy.destinations import is_public
from sendryd.runtime.clock import Clock
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.publicsuffix import organisational_domain
from sendryd.runtime.resolver import RecordResolver

MAX_SERVERS: Final = 4  # most zones have two to four; more would only repeat them
TIMEOUT: Final = 2.0  # seconds for one answer, TCP included: a person waits for the slowest server
PAUSE: Final = 60.0  # seconds: outgoing DNS that is filtered must not slow down each check
PORT: Final = 53
MAX_SILENT: Final = 1_000  # servers that are remembered to be silent


class ZoneServers(Protocol):
    """The authoritative servers of zones."""

    async def list_servers(self, domain: str) -> tuple[str, ...]:
        """The names of the servers of a domain's zone; none if they are not known."""
        ...

    async def texts(self, server: str, name: str) -> tuple[str, ...] | None:
        """The TXT records of a name as the server has them; None: it gave no answer of its own."""
        ...


class DnsZoneServers:
    """`ZoneServers` on dnspython."""

    def __init__(self, resolver: RecordResolver, clock: Clock, *, allow_private: bool, port: int = PORT, timeout: float = TIMEOUT) -> None:
        self._resolver = resolver
        self._clock = clock
        self._allow_private = allow_private
        self._port = port
        self._timeout = timeout
        self._silent: dict[str, float] = {}  # monotonic seconds until which a server is left alone

    async def list_servers(self, domain: str) -> tuple[str, ...]:
        last = organisational_domain(domain)
        try:
            while domain:
                found = await self._resolver.lookup(domain, "NS")
                if found or domain == last:
                    return tuple(sorted({name.lower() for name in found})[:MAX_SERVERS])
                domain = domain.partition(".")[2]
        except LookupFailed:
            pass
        return ()

    async def texts(self, server: str, name: str) -> tuple[str, ...] | None:
        if self._clock.monotonic() < self._silent.get(server, 0.0):
            return None
        try:
            address = await self._find_address(server)
            answer = await self._ask(address, name) if address else None
        except (LookupFailed, OSError, dns.exception.DNSException):
            answer = None
        if answer is None or not answer.flags & dns.flags.AA or answer.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            self._note_silent(server)
            return None
        return _read(answer, name)

    async def _find_address(self, server: str) -> str:
        addresses = await self._resolver.addresses(server)
        return next((each for each in addresses if self._allow_private or is_public(each)), "")

    async def _ask(self, address: str, name: str) -> dns.message.Message:
        query = dns.message.make_query(dns.name.from_text(name), dns.rdatatype.TXT)
        query.flags &= ~dns.flags.RD  # an authoritative server answers by itself or not at all
        answer, _ = await dns.asyncquery.udp_with_fallback(query, address, timeout=self._timeout, port=self._port)
        return answer

    def _note_silent(self, server: str) -> None:
        if len(self._silent) >= MAX_SILENT:
            self._silent.clear()
        self._silent[server] = self._clock.monotonic() + PAUSE


def _read(answer: dns.message.Message, name: str) -> tuple[str, ...] | None:
    """The texts of an answer; None if the name is an alias, whose target may be in another's zone."""
    owner = dns.name.from_text(name)
    if any(rrset.rdtype == dns.rdatatype.CNAME and rrset.name == owner for rrset in answer.answer):
        return None
    records: list[Any] = [
        record for rrset in answer.answer if rrset.rdtype == dns.rdatatype.TXT and rrset.name == owner for record in rrset
    ]
    return tuple(b"".join(record.strings).decode("utf-8", "replace") for record in records)
