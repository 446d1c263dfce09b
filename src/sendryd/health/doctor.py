"""Examines the installation, each thing on its own: what cannot be looked at is a finding too, and the others go on."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from sendryd.accounts.spfcheck import SpfCheck
from sendryd.health.stored import StoredState
from sendryd.policy.destinations import is_public
from sendryd.policy.dnsrecords import RecordSettings, Unknown
from sendryd.policy.egress import Pools, Source, family_of
from sendryd.policy.health import Check, Finding, worst_first
from sendryd.policy.health.bounces import judge_bounce_mx, judge_bounce_spf, judge_no_bounces, judge_report_agreement
from sendryd.policy.health.finding import unknown
from sendryd.policy.health.machine import judge_certificate, judge_clock, judge_disk, judge_running, judge_versions
from sendryd.policy.health.mail import judge_data
from sendryd.policy.health.network import (
    Dialled,
    NamedSmartHost,
    NoAnswer,
    block_list_name,
    judge_block_list,
    judge_hello_name,
    judge_host_name,
    judge_http,
    judge_named_smart_host,
    judge_port_25,
    judge_private_smart_host,
    judge_ptr,
    judge_resolver,
    judge_smart_host,
    judge_source,
)
from sendryd.policy.health.server import ServerState, judge_server
from sendryd.runtime import machine
from sendryd.runtime.clock import Clock
from sendryd.runtime.dial import bind_fault
from sendryd.runtime.dialling import dial
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.resolver import RecordResolver

CHECK_TIMEOUT: Final = 25.0  # seconds for one check: two connections and their look-ups, each at its own limit
# Domains whose servers answer from everywhere: whether one of them can be reached says whether mail can leave.
WELL_KNOWN: Final = ("gmail.com", "outlook.com", "yahoo.com")

SMART_HOST_TIMEOUT: Final = 10.0  # seconds to look up, connect and greet
DIALLED_AT_ONCE: Final = 25  # smart hosts: two rounds of them fit into one check
MAX_SMART_HOSTS: Final = 2 * DIALLED_AT_ONCE

Look = Callable[[], Awaitable[Iterable[Finding]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What the settings say."""

    data_dir: Path
    exists: bool  # there is a database in it
    database_fault: str = ""  # why it cannot be opened
    is_running: bool | None = None
    hostname: str
    resolver: str = ""
    allow_private_networks: bool = False
    mx_port: int = 25
    smart_host: tuple[str, int] | None = None
    smart_host_is_encrypted: bool = False  # TLS from the start
    certificate: Path
    has_own_certificate: bool
    http_listen: str
    http_is_encrypted: bool
    http_is_loopback: bool
    smtp_is_loopback: bool
    public_url: str = ""
    block_lists: tuple[str, ...] = ()
    bounce_domain: str = ""
    is_inbound_open: bool = False  # port 25 is open for bounces
    spf_include: str = ""
    pools: Pools = field(default_factory=dict)


class Doctor:
    """Examines an installation."""

    def __init__(
        self,
        installation: Installation,
        *,
        clock: Clock,
        resolver: RecordResolver,
        stored: StoredState | None,
        server: Callable[[], Awaitable[ServerState]] | None = None,
    ) -> None:
        """`stored`: None if the database cannot be opened. `server` looks at the server that the database is on; None: it is in the data directory."""
        self._server = server
        self._installation = installation
        self._clock = clock
        self._resolver = resolver
        self._stored = stored

    async def examine(self, *, is_quick: bool = False) -> list[Finding]:
        """Every finding, what is wrong first, in the order in which to mend it. Never raises for what it looks at.

        `is_quick`: of this machine alone, without the spool.
        """
        looks: list[tuple[Check, Look]] = [
            (Check.DATA, self._data),
            (Check.DISK, self._disk),
            (Check.CLOCK, self._time),
            (Check.CERTIFICATE, self._certificate),
        ]
        if self._stored is not None:
            looks.append((Check.QUEUE, self._stored.queue))
        if not is_quick:
            looks += [
                (Check.HOST_NAME, self._names),
                (Check.EGRESS, self._egress),
                (Check.PORT_25, self._way_out),
                (Check.BOUNCES, self._bounces),
            ]
            if self._stored is not None:
                looks += [(Check.SPOOL, self._stored.spool)] if self._server is None else []
                looks += [
                    (Check.DOMAIN, self._stored.domains),
                    (Check.SMART_HOST, partial(self._smart_hosts, self._stored)),
                ]
        found = await asyncio.gather(*(self._guarded(check, look) for check, look in looks))
        return worst_first(finding for findings in found for finding in findings)

    async def _guarded(self, check: Check, look: Look) -> list[Finding]:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                return list(await look())
        except TimeoutError:
            return [unknown(check, f"The check {check.value} was given up after {CHECK_TIMEOUT:.0f} s.", "Check again.")]
        except Exception as error:  # a check that fails must not hide the others
            return [unknown(check, f"The check {check.value} failed: {str(error) or type(error).__name__}.", "Check again.")]

    async def _data(self) -> list[Finding]:
        known = self._installation
        found = [judge_running(known.is_running)]
        if self._server is None:
            found.append(judge_data(str(known.data_dir), exists=known.exists, fault=known.database_fault))
        else:
            found += judge_server(await self._server())
        return [*found, judge_versions(machine.python_version(), machine.openssl_version(), self._clock.now().date())]

    async def _disk(self) -> list[Finding]:
        folder = self._installation.data_dir
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return [judge_disk(await asyncio.to_thread(machine.observe_disk, folder))]

    async def _time(self) -> list[Finding]:
        noted = await self._stored.last_noted() if self._stored else None
        return [judge_clock(self._clock.now(), noted, is_synchronised=machine.is_clock_synchronised())]

    async def _certificate(self) -> list[Finding]:
        known = self._installation
        http = judge_http(known.http_listen, known.public_url, is_encrypted=known.http_is_encrypted, is_loopback=known.http_is_loopback)
        if not known.exists and known.has_own_certificate:
            return [http]  # made at the first start
        certificate, fault = None, ""
        try:
            certificate = machine.observe_certificate(known.certificate, is_own=known.has_own_certificate)
        except (OSError, ValueError) as error:
            fault = f"{known.certificate}: {getattr(error, 'strerror', None) or error}"
        judged = judge_certificate(certificate, known.hostname, self._clock.now(), fault=fault, is_loopback=known.smtp_is_loopback)
        return [http, judged]

    async def _names(self) -> list[Finding]:
        known = self._installation
        asked = await asyncio.gather(*(self._ask(domain, "MX") for domain in WELL_KNOWN))
        answers = any(not isinstance(each, NoAnswer) for each in asked)
        found = [judge_resolver(answers, WELL_KNOWN, known.resolver)]
        if not answers:
            return found
        addresses = await self._addresses(known.hostname)
        found.append(judge_host_name(known.hostname, addresses, allow_private=known.allow_private_networks))
        if isinstance(addresses, NoAnswer):
            return found
        if known.smart_host is None:  # with one, receivers see its address
            found += await asyncio.gather(*(self._ptr(address) for address in addresses))
            found += await asyncio.gather(*(self._listed(zone, each) for zone in known.block_lists for each in addresses))
        return found

    async def _egress(self) -> list[Finding]:
        """Whether each address of the pools can be used, and has the name that it gives."""
        known = self._installation
        sources = list({each.address: each for sources in known.pools.values() for each in sources}.values())
        found = [judge_source(each.address, bind_fault(each.address)) for each in sources]
        for named in await asyncio.gather(*(self._source_name(each) for each in sources)):
            found += named
        return found + (await self._stored.pools(known.pools) if self._stored is not None else [])

    async def _source_name(self, source: Source) -> list[Finding]:
        addresses = await self._addresses(source.hello_name)
        if is_public(source.address) or self._installation.allow_private_networks:
            return [judge_hello_name(source.hello_name, source.address, addresses), await self._ptr(source.address, source.hello_name)]
        if isinstance(addresses, NoAnswer):  # addresses are translated on the way: receivers see another one
            return [judge_hello_name(source.hello_name, source.address, addresses)]
        outside = [each for each in addresses if family_of(each) == source.family]
        return list(await asyncio.gather(*(self._ptr(each, source.hello_name) for each in outside)))

    async def _ptr(self, address: str, hostname: str = "") -> Finding:
        names = await self._ask(ipaddress.ip_address(address).reverse_pointer, "PTR")
        confirmed: list[str] = []
        if not isinstance(names, NoAnswer):
            names = [name.rstrip(".").lower() for name in names]
            for name in names:
                back = await self._addresses(name)
                confirmed += [name] if not isinstance(back, NoAnswer) and address in back else []
        return judge_ptr(hostname or self._installation.hostname, address, names, confirmed)

    async def _listed(self, zone: str, address: str) -> Finding:
        return judge_block_list(zone, address, await self._ask(block_list_name(zone, address), "A"))

    async def _bounces(self) -> list[Finding]:
        known = self._installation
        domain, is_open = known.bounce_domain, known.is_inbound_open
        if not domain:
            found = judge_no_bounces(is_listening=is_open)
            return [found] if found else []
        mx = judge_bounce_mx(domain, known.hostname, await self._ask(domain, "MX"), is_listening=is_open)
        settings = RecordSettings(known.hostname, known.spf_include)
        texts = await self._ask(domain, "TXT")
        fault = (
            Unknown(texts.reason) if isinstance(texts, NoAnswer) else await SpfCheck(self._resolver, settings).check(domain, tuple(texts))
        )
        findings = [mx, judge_bounce_spf(domain, fault, f"v=spf1 {settings.spf_mechanism} ~all")]
        other = await self._stored.other_domain(domain) if self._stored and is_open else ""
        if other:
            findings.append(judge_report_agreement(domain, other, await self._ask(f"{other}._report._dmarc.{domain}", "TXT")))
        return findings

    async def _way_out(self) -> list[Finding]:
        known = self._installation
        if known.smart_host is not None:
            host, port = known.smart_host
            return [judge_smart_host(await dial(f"{host}:{port}", host, port, is_encrypted=known.smart_host_is_encrypted))]
        tries: list[Dialled] = []
        for domain in WELL_KNOWN:
            hosts = await self._ask(domain, "MX")
            for host in () if isinstance(hosts, NoAnswer) else hosts[:1]:
                tries += await self._dial_host(host)
            if any(not each.failure for each in tries):
                break
        return [judge_port_25(tries, known.mx_port)]

    async def _smart_hosts(self, stored: StoredState) -> list[Finding]:
        """Whether the smart hosts of domains and accounts can be reached."""
        named = await stored.smart_hosts()
        places = asyncio.Semaphore(DIALLED_AT_ONCE)
        found = list(await asyncio.gather(*(self._named_smart_host(each, places) for each in named[:MAX_SMART_HOSTS])))
        if len(named) > MAX_SMART_HOSTS:
            more = f"{len(named) - MAX_SMART_HOSTS} more smart hosts of domains were not tried: a check has time for {MAX_SMART_HOSTS}."
            found.append(unknown(Check.SMART_HOST, more, about="the others"))
        return found

    async def _named_smart_host(self, named: NamedSmartHost, places: asyncio.Semaphore) -> Finding:
        async with places:
            try:
                async with asyncio.timeout(SMART_HOST_TIMEOUT):
                    addresses = (named.host,) if _is_address(named.host) else await self._addresses(named.host)
                    if isinstance(addresses, NoAnswer):
                        return judge_named_smart_host(named, f"DNS has no address for it ({addresses.reason})")
                    private = [each for each in addresses if not is_public(each)]
                    if private and not (named.may_be_private or self._installation.allow_private_networks):
                        return judge_private_smart_host(named, private[0])
                    tries = [await dial(named.place, each, named.port, is_encrypted=named.is_encrypted) for each in addresses[:1]]
            except TimeoutError:
                return judge_named_smart_host(named, f"no answer within {SMART_HOST_TIMEOUT:.0f} s")
        return judge_named_smart_host(named, tries[0].failure if tries else "DNS has no address for it")

    async def _dial_host(self, host: str) -> list[Dialled]:
        addresses = await self._ask(host, "A")
        first = () if isinstance(addresses, NoAnswer) else addresses[:1]
        return [await dial(host, address, self._installation.mx_port) for address in first]

    async def _addresses(self, name: str) -> Sequence[str] | NoAnswer:
        both = await asyncio.gather(self._ask(name, "A"), self._ask(name, "AAAA"))
        answers = [each for each in both if not isinstance(each, NoAnswer)]
        return [address for each in answers for address in each] if answers else both[0]

    async def _ask(self, name: str, kind: str) -> Sequence[str] | NoAnswer:
        try:
            return await self._resolver.lookup(name, kind)
        except LookupFailed as error:
            return NoAnswer(str(error))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
