"""The delivery engine on the page Health: sites with the rules that hold for them, and what people have stopped, until when. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.model.ids import ORGANIZATION_PREFIX, format_id
from sendryd.model.lane import LaneSnapshot
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.shaping.limits import Limits
from sendryd.policy.shaping.rules import Rules
from sendryd.store.base import EgressSuspension, PausedDestination, SuspendedAccount

STALE: Final = timedelta(minutes=2)  # after which a rate that was not written again says nothing
MAX_DOMAINS: Final = 3  # of a site that are named
ALL: Final = "All mail"


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


@dataclass(frozen=True, slots=True)
class StopView:
    """What a person has stopped."""

    kind: str
    name: str
    by: str
    since: Moment
    until: Moment | None
    reason: str


def site_views(lanes: Iterable[LaneSnapshot], rules: Rules, now: datetime) -> tuple[SiteView, ...]:
    """The sites of these lanes, the busiest first."""
    sites: dict[str, list[LaneSnapshot]] = {}
    for lane in lanes:
        if lane.next_hop != ANY_DOMAIN:
            sites.setdefault(lane.site or lane.next_hop, []).append(lane)
    views = [_site(name, found, rules, now) for name, found in sites.items()]
    return tuple(view for _, view in sorted(views, key=lambda each: (-each[0], each[1].name)))


def _site(name: str, lanes: Sequence[LaneSnapshot], rules: Rules, now: datetime) -> tuple[int, SiteView]:
    latest = max(lanes, key=lambda lane: lane.at)
    per_minute = max((lane.per_minute for lane in lanes if now - lane.at <= STALE), default=0)
    ends = [lane.suspended_until for lane in lanes if lane.suspended_until is not None and lane.suspended_until > now]
    names = sorted(lane.next_hop for lane in lanes)
    more = len(names) - MAX_DOMAINS
    view = SiteView(
        name=name,
        path=f"/queue/{quote(latest.next_hop)}",
        domains=", ".join(names[:MAX_DOMAINS]) + (f" and {more} more" if more > 0 else ""),
        sending=f"{latest.sending} of {latest.limit}",
        rate=f"{per_minute:,} a minute" if per_minute else "",
        suspended_until=moment_of(max(ends)) if ends else None,
        rules=limits_text(rules.limits_of(name)),
        is_ruled=name in rules.providers,
    )
    return latest.sending + per_minute, view


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
    rows = [("Destination", ALL if each.domain == ANY_DOMAIN else each.domain, each) for each in paused if not each.is_over(now)]
    views = [_stop(kind, name, each.by, each.since, each.until, each.reason) for kind, name, each in rows]
    views += [
        _stop("Account", format_id(ORGANIZATION_PREFIX, each.account_id), each.by, each.since, each.until, each.reason)
        for each in suspended
        if not each.is_over(now)
    ]
    views += [
        _stop(each.kind.value.capitalize(), each.name, each.by, each.since, each.until, each.reason)
        for each in egress
        if not each.is_over(now)
    ]
    return tuple(views)


def _stop(kind: str, name: str, by: str, since: datetime, until: datetime | None, reason: str) -> StopView:
    return StopView(kind, name, by, moment_of(since), moment_of(until) if until else None, reason)
