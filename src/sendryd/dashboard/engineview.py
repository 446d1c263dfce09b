"""The delivery engine on the page Health: sites with the rules that hold for them, and what people have stopped, until when. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final
from urllib.parse import quote

from sendryd.accounts.egress import AddressState
from sendryd.accounts.siteboard import SiteView as Site
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.model.ids import ORGANIZATION_PREFIX, format_id
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.shaping.limits import Limits
from sendryd.policy.shaping.rules import Rules
from sendryd.store.base import EgressKind, EgressSuspension, PausedDestination, SuspendedAccount

MAX_DOMAINS: Final = 3  # of a site that are named
ALL: Final = "All mail"


@dataclass(frozen=True, slots=True)
class EffectView:
    """A rule that a reply has brought into force."""

    rule: str
    text: str
    reply: str
    until: Moment


@dataclass(frozen=True, slots=True)
class SiteView:
    """Destinations with the same mail servers."""

    name: str
    path: str  # the page of one of its domains
    domains: str  # `a.test, b.test and 3 more`
    sending: str  # `3 of 20`
    rate: str  # `12 a minute`; empty if nothing left lately
    suspended_until: Moment | None
    rules: str  # in words
    is_ruled: bool  # a rule names its provider
    is_paused: bool  # by a person
    effects: tuple[EffectView, ...]  # what its replies have brought


@dataclass(frozen=True, slots=True)
class AddressView:
    """An address that mail leaves from."""

    address: str
    hello_name: str
    today: str  # `40 of 100`; empty if it does not warm up
    is_suspended: bool


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool of addresses."""

    name: str
    is_suspended: bool
    addresses: tuple[AddressView, ...]


@dataclass(frozen=True, slots=True)
class StopView:
    """What a person has stopped."""

    kind: str
    target: str  # as the form that lets it go on says it
    name: str
    by: str
    since: Moment
    until: Moment | None
    reason: str


def site_views(sites: Iterable[Site], rules: Rules) -> tuple[SiteView, ...]:
    """The sites, in the order that they are given in."""
    return tuple(_site(each, rules) for each in sites if each.name != ANY_DOMAIN)


def _site(site: Site, rules: Rules) -> SiteView:
    more = len(site.domains) - MAX_DOMAINS
    return SiteView(
        name=site.name,
        path=f"/queue/{quote(site.domains[0] if site.domains else site.name)}",
        domains=", ".join(site.domains[:MAX_DOMAINS]) + (f" and {more} more" if more > 0 else ""),
        sending=f"{site.sending} of {site.limit}" if site.limit else "",
        rate=f"{site.per_minute:,} a minute" if site.per_minute else "",
        suspended_until=moment_of(site.suspended_until) if site.suspended_until else None,
        rules=limits_text(rules.limits_of(site.name)),
        is_ruled=site.name in rules.providers,
        is_paused=site.paused is not None,
        effects=tuple(
            EffectView(each.rule, "no tries" if each.suspends else limits_text(each.limits), each.reply, moment_of(each.ends_at))
            for each in site.effects
        ),
    )


def limits_text(limits: Limits) -> str:
    """The limits of a rule in words."""
    words = [
        f"{limits.connections} sessions at once" if limits.connections is not None else "",
        f"{limits.messages_per_connection} messages in each" if limits.messages_per_connection is not None else "",
        str(limits.connection_rate).replace(" in ", " new sessions in ", 1) if limits.connection_rate is not None else "",
        str(limits.message_rate).replace(" in ", " messages in ", 1) if limits.message_rate is not None else "",
        "only encrypted" if limits.is_tls_required else "",
    ]
    return ", ".join(filter(None, words)) or "no limit"


def stop_views(
    paused: Iterable[PausedDestination], suspended: Iterable[SuspendedAccount], egress: Iterable[EgressSuspension], now: datetime
) -> tuple[StopView, ...]:
    """What is stopped now."""
    rows: list[tuple[str, str, PausedDestination | SuspendedAccount | EgressSuspension]] = [
        ("Destination", each.domain, each) for each in paused
    ]
    rows += [("Account", format_id(ORGANIZATION_PREFIX, each.account_id), each) for each in suspended]
    rows += [(each.kind.value.capitalize(), each.name, each) for each in egress]
    return tuple(
        StopView(
            kind,
            target,
            ALL if target == ANY_DOMAIN else target,
            each.by,
            moment_of(each.since),
            moment_of(each.until) if each.until else None,
            each.reason,
        )
        for kind, target, each in rows
        if not each.is_over(now)
    )


def pool_views(states: Iterable[AddressState]) -> tuple[PoolView, ...]:
    """The pools with their addresses, in the order of the setting."""
    return tuple(_pool(name, tuple(members)) for name, members in groupby(states, key=lambda each: each.pool))


def _pool(name: str, members: tuple[AddressState, ...]) -> PoolView:
    addresses = tuple(
        AddressView(
            each.source.address,
            each.source.hello_name,
            each.today,
            each.suspension is not None and each.suspension.kind is EgressKind.ADDRESS,
        )
        for each in members
    )
    return PoolView(name, any(each.pool_suspension is not None for each in members), addresses)
