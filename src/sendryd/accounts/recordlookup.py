"""Looks up the records of a sending domain, past the caches, and keeps who answered what.

The authoritative servers of the domain know first what was published. A check judges by their answer if all that answer agree, and by the
resolver's if they do not, or if none answers. Where the resolver gets no answer, neither do receivers: then there is none.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sendryd.model.domain import RESOLVER, DnsRecord, RecordPurpose, Sighting
from sendryd.policy.dnsrecords import MAX_NAME, Unknown, doubled_name, explain_doubled, is_for
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.publicsuffix import organisational_domain
from sendryd.runtime.resolver import RecordResolver
from sendryd.runtime.zoneservers import ZoneServers

MAX_TEXTS: Final = 10  # of one answer that are kept: an edit of more lines would not be read
MAX_TEXT: Final = 4_096  # characters of one that are kept: a DKIM key of 4096 bits has 750

Texts = tuple[str, ...] | Unknown


@dataclass(frozen=True, slots=True)
class Found:
    """What DNS has for a purpose."""

    texts: Texts  # to judge by
    sightings: tuple[Sighting, ...]  # the one to judge by first


class RecordLookup:
    """Asks DNS for the records of domains."""

    def __init__(self, resolver: RecordResolver, servers: ZoneServers | None) -> None:
        self._resolver = resolver
        self._servers = servers

    async def texts(self, name: str) -> Texts:
        """The TXT records of a name as this installation's resolver has them, past our cache."""
        try:
            return await self._resolver.txt(name, fresh=True)
        except LookupFailed as error:
            if error.is_temporary:
                return Unknown(f"{name} could not be looked up: DNS gave no answer; try again later.")
            return ()

    async def find(self, domain: str, purpose: RecordPurpose, name: str) -> Found:
        """The records of one name in the zone of a domain."""
        (found,) = (await self._find_names(domain, {purpose: name})).values()
        return found

    async def find_all(self, domain: str, records: Sequence[DnsRecord]) -> dict[RecordPurpose, Found]:
        """The records of each purpose. DMARC may be had from the organisational domain (RFC 7489 §6.6.3)."""
        found = await self._find_names(domain, {record.purpose: record.name for record in records})
        own = found[RecordPurpose.DMARC].texts
        organisation = await asyncio.to_thread(organisational_domain, domain)  # the first call reads a long list
        is_there = isinstance(own, Unknown) or any(is_for(RecordPurpose.DMARC, text) for text in own)
        if organisation != domain and not is_there:
            above = await self.texts(f"_dmarc.{organisation}")
            if above:
                found[RecordPurpose.DMARC] = Found(above, (_sight(RecordPurpose.DMARC, above, (RESOLVER,)),))
        return found

    async def explain_doubled(self, domain: str, record: DnsRecord, found: Texts) -> str:
        """What to change if a missing record is where a DNS panel puts it that appends the domain; empty if it is not there."""
        if isinstance(found, Unknown) or any(is_for(record.purpose, text) for text in found):
            return ""
        doubled = doubled_name(record.name, domain)
        there = await self.texts(doubled) if len(doubled) <= MAX_NAME else ()
        is_there = not isinstance(there, Unknown) and any(is_for(record.purpose, text) for text in there)
        return explain_doubled(record, domain) if is_there else ""

    async def _find_names(self, domain: str, names: Mapping[RecordPurpose, str]) -> dict[RecordPurpose, Found]:
        servers, answers = await asyncio.gather(self._list_servers(domain), asyncio.gather(*(self.texts(name) for name in names.values())))
        found = await asyncio.gather(
            *(self._compare(purpose, name, texts, servers) for (purpose, name), texts in zip(names.items(), answers, strict=True))
        )
        return dict(zip(names, found, strict=True))

    async def _list_servers(self, domain: str) -> tuple[str, ...]:
        return await self._servers.list_servers(domain) if self._servers is not None else ()

    async def _compare(self, purpose: RecordPurpose, name: str, texts: Texts, servers: tuple[str, ...]) -> Found:
        asked = await asyncio.gather(*(self._servers.texts(server, name) for server in servers)) if self._servers is not None else []
        own = None if isinstance(texts, Unknown) else texts
        groups: dict[frozenset[str] | None, tuple[tuple[str, ...] | None, list[str]]] = {}
        for server, answer in [*zip(servers, asked, strict=True), (RESOLVER, own)]:
            key = None if answer is None else frozenset(_kept(purpose, answer))
            groups.setdefault(key, (answer, []))[1].append(server)
        authoritative = [answer for answer, who in groups.values() if answer is not None and who != [RESOLVER]]
        judged = authoritative[0] if len(authoritative) == 1 and own is not None else texts
        sightings = [_sight(purpose, answer, tuple(who)) for answer, who in groups.values()]
        first = _sight(purpose, judged, ()).texts
        return Found(judged, tuple(sorted(sightings, key=lambda each: each.texts != first)))


def _sight(purpose: RecordPurpose, texts: Texts | None, servers: tuple[str, ...]) -> Sighting:
    return Sighting(purpose=purpose, texts=None if texts is None or isinstance(texts, Unknown) else _kept(purpose, texts), servers=servers)


def _kept(purpose: RecordPurpose, texts: Sequence[str]) -> tuple[str, ...]:
    """The texts that bear on the purpose, bounded. A name of our own choosing has no records of others; that of SPF has."""
    mine = [text for text in texts if purpose is not RecordPurpose.SPF or is_for(RecordPurpose.SPF, text)]
    return tuple(text[:MAX_TEXT] for text in mine[:MAX_TEXTS])
