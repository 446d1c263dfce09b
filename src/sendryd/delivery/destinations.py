"""Destination look-up: the mail servers of a domain and their addresses, or why there are none.

Reads: DNS, the configured smart host, the domain's policies of TLS (`delivery.sts_policies`, `delivery.dane_lookup`). Writes: nothing.
Strategy: the MX records in order of preference, the domain itself where it has none (implicit MX); a smart host replaces all of that. What was
found is kept for a moment, so that mail to a busy destination waits for no look-up.
When things fail: DNS that gives no answer defers; a domain that DNS denies is asked for again some minutes later before its mail bounces
(`delivery.denials`); a domain that takes no mail bounces at once.
Limits: `MAX_ROUTES`. Standards: RFC 5321 §5.1, RFC 7505.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sendryd.delivery.dane_lookup import DaneLookup
from sendryd.delivery.denials import CONFIRM_DELAY, Denials
from sendryd.delivery.sts_policies import StsPolicies
from sendryd.policy.mtasts import StsPolicy
from sendryd.policy.replies.verdict import Category, Kind, Verdict, local_verdict
from sendryd.policy.retry import RetryPlan
from sendryd.policy.routing import (
    ANY_DOMAIN,
    MAX_ROUTE_HOSTS,
    MailHost,
    MxRecord,
    NextHop,
    NullMx,
    RoutingProblem,
    Security,
    SmartHost,
    lane_key,
    order_hosts,
)
from sendryd.policy.smarthost import lane_of, split_lane
from sendryd.runtime.clock import Clock
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import Rand
from sendryd.runtime.resolver import DnsResolver
from sendryd.store.base import ClaimedDelivery

ROUTE_TIME: Final = 5.0  # seconds for which a route is used without asking the resolver, which keeps every answer for as long
MAX_ROUTES: Final = 10_000

log = get_logger("delivery")


@dataclass(frozen=True, slots=True)
class NoRoute:
    """Mail for a domain cannot be sent now, or not at all."""

    verdict: Verdict
    is_silent: bool = False  # DNS gave no answer: the destination is left alone for a while
    is_denied: bool = False  # DNS says that there is no such destination


@dataclass(frozen=True, slots=True)
class _Found:
    """What DNS said of a domain."""

    records: tuple[MxRecord, ...]  # those with an address, and our own
    hosts: dict[str, MailHost]  # by name
    until: float  # monotonic seconds
    sts: StsPolicy | None = None
    mx: tuple[str, ...] = ()
    smart_host: NextHop | None = None  # as all mail to it has it: it has no order that changes


class Destinations:
    """Finds the next hop of a domain, or of the lane of a sending domain's own smart host. With a smart host for everything every domain has the
    same. What a sending domain says of its smart host (TLS, login) is the worker's to add.
    """

    def __init__(
        self,
        resolver: DnsResolver,
        denials: Denials,
        *,
        hostname: str,
        mx_port: int,
        smart_host: SmartHost | None,
        plan: RetryPlan,
        clock: Clock,
        rand: Rand,
        policies: StsPolicies | None = None,
        dane: DaneLookup | None = None,
        own_addresses: frozenset[str] = frozenset(),
        is_host_own: bool = False,
    ) -> None:
        """`policies` has the MTA-STS policies of domains, `dane` the keys of mail servers; without them none is obeyed.

        `own_addresses` take mail for this process on the port of mail servers; `is_host_own`: so does every address of `hostname`.
        """
        self._resolver = resolver
        self._denials = denials
        self._policies = policies
        self._dane = dane
        self._own_names = {hostname.lower()}
        self._own_addresses = own_addresses
        self._own_host = hostname if is_host_own else None
        self._mx_port = mx_port
        self._smart_host = smart_host
        # An operator whose retries all come sooner wants this one sooner too.
        self._confirm_delay: timedelta = min(CONFIRM_DELAY, max(plan.delays))
        self._clock = clock
        self._rand = rand
        self._found: OrderedDict[str, _Found] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Destinations {len(self._found)} kept>"

    def known(self, domain: str) -> NextHop | None:
        """The next hop of a domain that was looked up just now; None: `find` has to be awaited."""
        found = self._found.get(domain if lane_of(domain) else lane_key(domain, has_smart_host=self._smart_host is not None))
        if found is None or found.until <= self._clock.monotonic():
            return None
        return found.smart_host or self._order(domain, found)

    async def find(self, domain: str) -> NextHop | NoRoute:
        """The hosts and addresses that take mail for a domain, or why there are none. Raises nothing but cancellation."""
        try:
            if lane_of(domain):
                host, port = split_lane(domain)
                return await self._find_smart_host(domain, SmartHost(host, port, Security.STARTTLS))
            return await (self._find_smart_host(ANY_DOMAIN, self._smart_host) if self._smart_host else self._find(domain))
        except Exception:
            log.exception("look_up_failed", domain=domain)
            return NoRoute(local_verdict(Kind.DEFERRED, Category.OTHER, "4.3.0", "Internal error"), is_silent=True)

    def judge(self, problem: NoRoute, domain: str, delivery: ClaimedDelivery) -> Verdict:
        """What it means for one recipient: a denial bounces only what was denied before."""
        if not problem.is_denied:
            return problem.verdict
        denial = problem.verdict
        was_denied = delivery.last_reply.startswith(denial.sentence)
        is_confirmed = self._denials.is_confirmed(domain, self._confirm_delay.total_seconds(), was_denied=was_denied)
        if is_confirmed and not self._denials.is_suspicious:
            return denial
        what = (
            "DNS denies very many domains just now, so the message is kept"
            if is_confirmed
            else "DNS is asked again before the message bounces"
        )
        return replace(
            denial,
            kind=Kind.DEFERRED,
            enhanced=f"4{denial.enhanced[1:]}",
            sentence=f"{denial.sentence}: {what}",
            retry_in=None if is_confirmed else self._confirm_delay,
        )

    async def _find_smart_host(self, lane: str, smart_host: SmartHost) -> NextHop | NoRoute:
        host = smart_host.host
        try:
            addresses = (host,) if _is_literal(host) else await self._resolver.addresses(host)
        except LookupFailed as error:
            return _silent("4.4.3", f"DNS gave no answer: {error}")
        if not addresses:
            return _silent("4.4.4", f"The smart host {host} has no address")
        found = MailHost(host, tuple(addresses))
        next_hop = NextHop(lane, (found,), smart_host.port, smart_host)
        self._keep(lane, _Found((), {host: found}, self._clock.monotonic() + ROUTE_TIME, smart_host=next_hop))
        return next_hop

    async def _find(self, domain: str) -> NextHop | NoRoute:
        try:
            records = await self._resolver.mx(domain)
        except LookupFailed as error:
            if error.is_temporary:
                return _silent("4.4.3", f"DNS gave no answer: {error}")
            return self._deny(domain, f"The domain {domain} does not exist")
        hosts = order_hosts(domain, records, own_names=self._own_names, shuffle=self._rand.shuffled)
        if hosts is RoutingProblem.NULL_MX:
            return NoRoute(local_verdict(Kind.BOUNCED, Category.BAD_DOMAIN, "5.1.10", f"The domain {domain} takes no mail"))
        if isinstance(hosts, RoutingProblem):
            return _loop(domain)
        found, has_temporary = await self._resolve_hosts(hosts)
        own_hosts = await self._find_own(found)
        if own_hosts:  # this server under another name
            others = order_hosts(domain, records, own_names=self._own_names | own_hosts, shuffle=self._rand.shuffled)
            if isinstance(others, RoutingProblem):
                return _loop(domain)
            found = {host: found[host] for host in others if host in found}
        if not found:
            sentence = f"No mail server of {domain} has an address"
            if has_temporary:
                return _silent("4.4.4", sentence)
            if records:
                return NoRoute(local_verdict(Kind.DEFERRED, Category.DNS_FAILURE, "4.4.4", sentence))
            return self._deny(domain, f"The domain {domain} has no mail server")
        if not records:  # the resolver tells of the others, but for those that it knew already
            self._denials.note_answered(domain)
        kept = () if isinstance(records, NullMx) else tuple(each for each in records if each.host in found or each.host in self._own_names)
        if self._dane is not None:
            found = await self._dane.add(domain, found.values())
        sts = await self._policies.find(domain) if self._policies is not None else None
        best = () if isinstance(records, NullMx) else sorted(records, key=lambda each: (each.preference, each.host))[:MAX_ROUTE_HOSTS]
        mx = tuple(sorted({each.host for each in best}))
        answer = _Found(kept, found, self._clock.monotonic() + ROUTE_TIME, sts, mx)
        self._keep(domain, answer)
        return self._order(domain, answer)

    def _keep(self, domain: str, found: _Found) -> None:
        self._found[domain] = found
        self._found.move_to_end(domain)
        if len(self._found) > MAX_ROUTES:
            self._found.popitem(last=False)

    def _order(self, domain: str, found: _Found) -> NextHop:
        names = order_hosts(domain, found.records, own_names=self._own_names, shuffle=self._rand.shuffled)
        hosts = found.hosts.values() if isinstance(names, RoutingProblem) else [found.hosts[name] for name in names]
        return NextHop(domain, tuple(hosts), self._mx_port, sts=found.sts, mx=found.mx)

    def _deny(self, domain: str, sentence: str) -> NoRoute:
        self._denials.note_denied(domain)
        return NoRoute(local_verdict(Kind.BOUNCED, Category.BAD_DOMAIN, "5.1.2", sentence), is_denied=True)

    async def _find_own(self, hosts: Mapping[str, MailHost]) -> set[str]:
        """The hosts that are this server by their addresses."""
        own = set(self._own_addresses)
        if self._own_host is not None and hosts:
            try:
                own.update(await self._resolver.addresses(self._own_host))
            except LookupFailed as error:
                log.debug("own_name_not_resolved", hostname=self._own_host, error=str(error))
        return {name for name, host in hosts.items() if not own.isdisjoint(host.addresses)} if own else set()

    async def _resolve_hosts(self, hosts: Sequence[str]) -> tuple[dict[str, MailHost], bool]:
        """Those that have an address, by name, and whether a look-up gave no answer. One host at a time: a domain may not use up the look-ups of others."""
        found: dict[str, MailHost] = {}
        has_temporary = False
        for host in hosts:
            try:
                addresses = await self._resolver.addresses(host)
            except LookupFailed as error:
                has_temporary = has_temporary or error.is_temporary
            else:
                if addresses:
                    found[host] = MailHost(host, tuple(addresses))
        return found, has_temporary


def _loop(domain: str) -> NoRoute:
    return NoRoute(local_verdict(Kind.BOUNCED, Category.ROUTING_ERROR, "5.4.6", f"Mail for {domain} would come back here"))


def _silent(enhanced: str, sentence: str) -> NoRoute:
    return NoRoute(local_verdict(Kind.DEFERRED, Category.DNS_FAILURE, enhanced, sentence), is_silent=True)


def _is_literal(host: str) -> bool:
    return host.replace(".", "").isdigit() or ":" in host
