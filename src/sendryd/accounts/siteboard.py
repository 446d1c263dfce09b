"""Sites for people who look after the queue: what each gets just now and why.

Suspending and resuming a site is `Destinations.pause` and `resume` with its name, as is a limit of sessions: pauses and limits name a domain or a site.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sendryd.model.lane import LaneSnapshot, LimitCause
from sendryd.policy.shaping.effects import Effect
from sendryd.store.base import LimitedDestination, NextHopStore, PausedDestination

LATELY: Final = timedelta(hours=1)  # a site that got nothing for longer is not listed, unless something holds it back
MAX_LANES: Final = 1000  # domains that are read
MAX_DOMAINS: Final = 50  # of one site that are named


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteView:
    """One site at a moment."""

    name: str
    domains: tuple[str, ...]  # that had mail lately, by name
    sending: int  # sessions under way
    limit: int  # sessions at once
    cause: LimitCause  # of the limit
    per_minute: int  # messages delivered in the last minute
    suspended_until: datetime | None
    effects: tuple[Effect, ...]  # what its replies have brought: suspensions and limits, with rule, reply and end
    paused: PausedDestination | None  # by a person
    limited: LimitedDestination | None  # by a person


async def list_sites(store: NextHopStore, now: datetime) -> list[SiteView]:
    """The sites that got mail lately or that something holds back: suspended and shaped ones first, then the busiest."""
    lanes: dict[str, list[LaneSnapshot]] = {}
    for lane in await store.list_lanes(since=now - LATELY, limit=MAX_LANES):
        lanes.setdefault(lane.site or lane.next_hop, []).append(lane)
    effects: dict[str, list[Effect]] = {}
    for effect in await store.list_shaping_effects():
        if effect.is_over_at > now:
            effects.setdefault(effect.site, []).append(effect)
    paused = {each.domain: each for each in await store.list_paused_destinations() if not each.is_over(now)}
    limited = {each.domain: each for each in await store.list_limited_destinations() if not each.is_over(now)}
    names = {*lanes, *effects}
    found = [_view(name, lanes.get(name, []), effects.get(name, []), paused.get(name), limited.get(name), now) for name in names]
    return sorted(found, key=lambda site: (not (site.suspended_until or site.effects or site.paused), -site.per_minute, site.name))


def _view(
    name: str,
    lanes: list[LaneSnapshot],
    effects: list[Effect],
    paused: PausedDestination | None,
    limited: LimitedDestination | None,
    now: datetime,
) -> SiteView:
    latest = max(lanes, key=lambda lane: lane.at, default=None)
    suspended = [each.ends_at for each in effects if each.suspends and each.ends_at > now]
    if latest is not None and latest.suspended_until is not None and latest.suspended_until > now:
        suspended.append(latest.suspended_until)
    return SiteView(
        name=name,
        domains=tuple(sorted(each.next_hop for each in lanes)[:MAX_DOMAINS]),
        sending=latest.sending if latest is not None else 0,
        limit=latest.limit if latest is not None else 0,
        cause=latest.cause if latest is not None else LimitCause.WINDOW,
        per_minute=sum(each.per_minute for each in lanes),
        suspended_until=max(suspended, default=None),
        effects=tuple(effects),
        paused=paused,
        limited=limited,
    )
