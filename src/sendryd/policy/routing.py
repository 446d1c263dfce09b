"""Routing: the next hop of a domain, and the order in which its hosts are tried (RFC 5321 §5.1, RFC 7505)."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from sendryd.policy.mtasts import StsPolicy
from sendryd.policy.tls import NO_DANE, HostDane
from sendryd.valuetype import valuetype

MAX_HOSTS: Final = 5  # hosts in one attempt; further ones are tried in later attempts
MAX_ADDRESSES: Final = 2  # addresses of one host in one attempt
MAX_ROUTE_HOSTS: Final = 20  # hosts of a domain whose addresses are looked up; attempts rotate through them
ANY_DOMAIN: Final = "*"  # the domain of a smart host's next hop, and of a pause of all mail
BEST_HOSTS: Final = 10  # of those, by preference; the others are drawn at random, so that every host of a very long list gets a turn


@dataclass(frozen=True, slots=True)
class MxRecord:
    """One mail exchanger."""

    preference: int
    host: str  # lower case, without the final dot


@dataclass(frozen=True, slots=True)
class NullMx:
    """The domain says that it takes no mail (RFC 7505)."""


class Security(Enum):
    """The TLS mode of a smart host."""

    STARTTLS = "starttls"
    IMPLICIT_TLS = "implicit_tls"
    CLEAR_TEXT = "clear_text"


@dataclass(frozen=True, slots=True)
class SmartHost:
    """A configured next hop: of everything, or of one sending domain."""

    host: str
    port: int
    security: Security
    credentials: tuple[str, str] | None = field(default=None, repr=False)  # user name and password
    may_be_private: bool = True  # an operator has named it; a tenant's may not be inside our network


@valuetype(frozen=True, slots=True)
class MailHost:
    """One mail server of a next hop. What is known of its TLS is kept by its name, its silences by its addresses."""

    name: str  # lower case, without the final dot; of a smart host as it is configured
    addresses: tuple[str, ...]  # IP addresses
    dane: HostDane = NO_DANE


@valuetype(frozen=True, slots=True)
class NextHop:
    """Where mail goes: the mail servers of a domain, or the smart host. Lanes are kept by `lane_key` of its domain."""

    domain: str  # `ANY_DOMAIN` if there is a smart host, the smart host's lane if it is that of a sending domain
    hosts: tuple[MailHost, ...]  # those to try, best first
    port: int
    smart_host: SmartHost | None = None
    sts: StsPolicy | None = None  # the domain's MTA-STS policy
    mx: tuple[
        str, ...
    ] = ()  # the names in its MX records, also of servers without an address, at most `MAX_ROUTE_HOSTS`; empty: it has none


def lane_key(domain: str, *, has_smart_host: bool) -> str:
    """The key of a domain's lane, known before its mail servers are: the domain, or `ANY_DOMAIN` with a smart host."""
    return ANY_DOMAIN if has_smart_host else domain


class RoutingProblem(Enum):
    """The reason why a domain has no host to try."""

    NULL_MX = "the domain takes no mail (null MX)"
    LOOP = "the domain's mail would come back to this server"


def order_hosts(
    domain: str,
    records: Sequence[MxRecord] | NullMx,
    *,
    own_names: Collection[str],
    shuffle: Callable[[list[str]], list[str]],
) -> list[str] | RoutingProblem:
    """The hosts to try, best first, those of one preference in random order.

    No records at all means the domain's own address (implicit MX, RFC 5321 §5.1); the caller distinguishes that from a failed look-up.
    If this server is among the hosts, those of its preference or worse are left out (RFC 5321 §5.1), to avoid a loop.
    """
    if isinstance(records, NullMx):
        return RoutingProblem.NULL_MX
    if not records:
        return RoutingProblem.LOOP if domain in own_names else [domain]
    own = min((record.preference for record in records if record.host in own_names), default=None)
    by_preference: dict[int, list[str]] = {}
    for record in records:
        if own is None or record.preference < own:
            by_preference.setdefault(record.preference, []).append(record.host)
    hosts = list(dict.fromkeys(host for preference in sorted(by_preference) for host in shuffle(by_preference[preference])))
    if len(hosts) > MAX_ROUTE_HOSTS:
        drawn = set(shuffle(hosts[BEST_HOSTS:])[: MAX_ROUTE_HOSTS - BEST_HOSTS])
        hosts = [host for number, host in enumerate(hosts) if number < BEST_HOSTS or host in drawn]
    return hosts or RoutingProblem.LOOP
