"""Sites: which domains are with the same mail servers, and what the rules say of each site.

Domains with the same MX records are one site, and so are all domains of a provider that the shaping rules name. A domain belongs to a site from its
look-up on, and each look-up finds it again; before the first it is a destination of its own. The policies of TLS are those of the domain, and each
attempt goes to the servers of its domain: a site only counts and limits. A domain whose servers fail while others of its provider work is set apart
for an hour: `evil.example@google` has the provider's limits, and its failures are its own.
Limits: domains whose site is remembered, and those set apart; of a site that gets no mail nothing else is.
"""

from collections import OrderedDict
from typing import Final

from sendryd.policy.routing import ANY_DOMAIN, NextHop
from sendryd.policy.shaping.limits import NO_LIMITS, Limits
from sendryd.policy.shaping.rules import EMPTY_RULES, Rules, site_of

MAX_DOMAINS: Final = 50_000
MAX_APART: Final = 10_000
APART_TIME: Final = 3600.0  # seconds
MAX_NAMES: Final = 400  # characters of the MX records that are kept for other rules; a domain with more is looked up again


class Sites:
    """The sites of domains, by the rules."""

    def __init__(self, rules: Rules = EMPTY_RULES) -> None:
        self.rules = rules
        # By domain: the site, the MX records unless they are long, and the rules that it was found by.
        self._sites: OrderedDict[str, tuple[str, tuple[str, ...] | None, Rules]] = OrderedDict()
        self._apart: OrderedDict[str, float] = OrderedDict()  # domains set apart, and until when in monotonic seconds

    def __repr__(self) -> str:
        return f"<Sites of {len(self._sites)} domains>"

    def site_of(self, domain: str) -> str | None:
        """The site of a domain that was looked up."""
        found = self._sites.get(domain)
        if found is None:
            return None
        site, mx, rules = found
        if rules is not self.rules and mx is None:
            del self._sites[domain]
            return None
        if rules is not self.rules:  # now, and not for all domains at once when the rules change
            site = self._find(domain, mx or ())
            self._sites[domain] = site, mx, self.rules
        return site

    def presumed(self, domain: str) -> str:
        """The site of a domain; of one that was not looked up the provider whose rule names it, else the domain."""
        return self.site_of(domain) or site_of(self.rules, domain, ())

    def _find(self, domain: str, mx: tuple[str, ...]) -> str:
        site = site_of(self.rules, domain, mx)
        return f"{domain}@{site}" if domain in self._apart and self.is_provider(site) else site

    def is_provider(self, site: str) -> bool:
        """Its domains may have different servers. Those of another site have the same."""
        return site in self.rules.providers

    def set_apart(self, domain: str, now: float) -> str:
        """Makes a domain of a provider a site of its own for a time. Returns that."""
        self._apart[domain] = now + APART_TIME
        self._apart.move_to_end(domain)
        if len(self._apart) > MAX_APART:
            self._apart.popitem(last=False)
        site, mx, _ = self._sites[domain]
        if self.is_provider(site):
            site = f"{domain}@{site}"
            self._sites[domain] = site, mx, self.rules
        return site

    def note(self, domain: str, next_hop: NextHop, now: float = 0.0) -> str:
        """The site of a domain that was looked up just now."""
        if self._apart and self._apart.get(domain, now) < now:
            del self._apart[domain]
        site = self._find(domain, next_hop.mx)
        self._sites[domain] = site, next_hop.mx if sum(map(len, next_hop.mx)) <= MAX_NAMES else None, self.rules
        self._sites.move_to_end(domain)
        if len(self._sites) > MAX_DOMAINS:
            self._sites.popitem(last=False)
        return site

    def forget(self, domain: str) -> None:
        """Mail to the domain cannot be sent: it is a destination of its own again."""
        self._sites.pop(domain, None)

    def use(self, rules: Rules) -> None:
        """Obeys other rules from now on."""
        self.rules = rules

    def limits_of(self, domain: str, mx: tuple[str, ...] = ()) -> Limits:
        """What the rules say of the site of a domain. `mx`: its MX records, if its site was forgotten meanwhile."""
        return self.limits(self.site_of(domain) or site_of(self.rules, domain, mx))

    def limits(self, site: str) -> Limits:
        """What the rules say of a site. A smart host is the operator's own: no rule limits it."""
        return NO_LIMITS if site == ANY_DOMAIN else self.rules.limits_of(site)
