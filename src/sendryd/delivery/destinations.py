"""Destination look-up: the mail servers of a domain and their addresses, or why there are none.

Reads: DNS, the configured smart host. Writes: nothing.
Strategy: the MX records in order of preference, the domain itself where it has none (implicit MX); a smart host replaces all of that.
When things fail: DNS that gives no answer defers; a domain that DNS denies, or that takes no mail, bounces.
Standards: RFC 5321 §5.1, RFC 7505.
"""

from collections.abc import Sequence

from sendryd.delivery.verdict import Verdict, local_verdict
from sendryd.policy.classify import Category, Kind
from sendryd.policy.routing import RoutingProblem, SmartHost, order_hosts
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.rand import Rand
from sendryd.runtime.resolver import DnsResolver

Route = list[tuple[str, Sequence[str]]]  # hosts to try with their addresses, best first


class Destinations:
    """Finds the route to a domain."""

    def __init__(self, resolver: DnsResolver, rand: Rand, *, hostname: str, smart_host: SmartHost | None) -> None:
        self._resolver = resolver
        self._rand = rand
        self._own_names = {hostname.lower()}
        self._smart_host = smart_host

    async def find_route(self, domain: str) -> Route | Verdict:
        """The hosts and addresses that take mail for a domain; a verdict for all its recipients if there are none."""
        smart_host, resolver = self._smart_host, self._resolver
        try:
            if smart_host is not None:
                host = smart_host.host
                return [(host, (host,) if _is_literal(host) else await resolver.addresses(host))]
            records = await resolver.mx(domain)
            hosts = order_hosts(domain, records, own_names=self._own_names, shuffle=self._rand.shuffled)
        except LookupFailed as error:
            if error.is_temporary or smart_host is not None:
                return local_verdict(Kind.DEFERRED, Category.DNS_FAILURE, "4.4.3", f"DNS gave no answer: {error}")
            return local_verdict(Kind.BOUNCED, Category.BAD_DOMAIN, "5.1.2", f"The domain {domain} does not exist")
        if hosts is RoutingProblem.NULL_MX:
            return local_verdict(Kind.BOUNCED, Category.BAD_DOMAIN, "5.1.10", f"The domain {domain} takes no mail")
        if isinstance(hosts, RoutingProblem):
            return local_verdict(Kind.BOUNCED, Category.ROUTING_ERROR, "5.4.6", f"Mail for {domain} would come back here")
        found, has_temporary = await self._resolve_hosts(hosts)
        if not found:
            if has_temporary or records:
                return local_verdict(Kind.DEFERRED, Category.DNS_FAILURE, "4.4.4", f"No mail server of {domain} has an address")
            return local_verdict(Kind.BOUNCED, Category.BAD_DOMAIN, "5.1.2", f"The domain {domain} has no mail server")
        return found

    async def _resolve_hosts(self, hosts: Sequence[str]) -> tuple[Route, bool]:
        found: Route = []
        has_temporary = False
        for host in hosts:
            try:
                addresses = await self._resolver.addresses(host)
            except LookupFailed as error:
                has_temporary = has_temporary or error.is_temporary
            else:
                if addresses:
                    found.append((host, addresses))
        return found, has_temporary


def _is_literal(host: str) -> bool:
    return host.replace(".", "").isdigit() or ":" in host
