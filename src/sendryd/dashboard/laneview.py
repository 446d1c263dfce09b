"""What the delivery engine knows of a destination, as the pages of the queue show it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.model.lane import NOT_CONNECTED, LaneSnapshot, LimitCause, LimitChange, TriedServer
from sendryd.policy.explain.words import clock
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.store.base import LimitedDestination

STALE: Final = timedelta(minutes=2)  # after which a rate that was not written again says nothing
CAUSES: Final[Mapping[LimitCause, str]] = {
    LimitCause.WINDOW: "what it takes: more with each session that goes well, fewer after a failure",
    LimitCause.SUSPENDED: "several tries failed in a row: nothing is tried for a while",
    LimitCause.PROBE: "a single try, to see whether it answers again",
    LimitCause.PERSON: "set by a person",
    LimitCause.RULE: "a shaping rule, for what its servers said",
}


@dataclass(frozen=True, slots=True)
class ServerView:
    """A mail server that was tried."""

    name: str
    address: str
    tls: str
    outcome: str
    is_reached: bool
    at: Moment


@dataclass(frozen=True, slots=True)
class LimitView:
    """A line of the history of limits."""

    at: Moment
    text: str  # `12 at once`
    cause: str
    is_stopped: bool


@dataclass(frozen=True, slots=True)
class HandView:
    """A limit that a person has set."""

    sessions: int
    by: str
    since: Moment
    until: Moment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """A lane. Empty texts are left out."""

    sending: str  # `3 of 20 at once`
    rate: str  # `20 a minute`
    suspended_until: Moment | None
    last_success: Moment | None
    last_reply: str
    servers: tuple[ServerView, ...]
    through: str  # the smart host that everything goes through
    site: str  # whose sessions, limit and suspension these are, where other domains share them
    rule: str  # the shaping rule that holds it back, with its end
    rule_name: str


def lane_view(lane: LaneSnapshot, now: datetime, *, has_words: bool) -> LaneView:
    """The view of a lane. `has_words`: with what servers said, which may be about the mail of another account."""
    until = lane.suspended_until
    rate = lane.per_minute if now - lane.at <= STALE else 0
    return LaneView(
        sending=f"{lane.sending} of {lane.limit} at once",
        rate=f"{rate:,} a minute" if rate else "",
        suspended_until=moment_of(until) if until is not None and until > now else None,
        last_success=moment_of(lane.last_success) if lane.last_success else None,
        last_reply=lane.last_reply if has_words else "",
        servers=tuple(
            ServerView(
                f"{each.host}:{each.port}",
                each.address,
                each.tls or "without TLS",
                _outcome(each, has_words=has_words),
                not each.fault,
                moment_of(each.at),
            )
            for each in lane.servers
        ),
        through=lane.servers[0].host if lane.next_hop == ANY_DOMAIN and lane.servers else "",
        site=lane.site,
        rule=f"{lane.rule} until {clock(lane.rule_until, now)}" if lane.rule and lane.rule_until and lane.rule_until > now else "",
        rule_name=lane.rule,
    )


def limit_views(changes: Iterable[LimitChange]) -> tuple[LimitView, ...]:
    """The history of limits."""
    return tuple(
        LimitView(
            moment_of(each.at),
            f"{each.sessions} at once" if each.sessions else "none",
            CAUSES[each.cause],
            each.cause is LimitCause.SUSPENDED,
        )
        for each in changes
    )


def hand_view(limit: LimitedDestination) -> HandView:
    """A limit that a person has set."""
    return HandView(limit.sessions, limit.by, moment_of(limit.since), moment_of(limit.until) if limit.until else None)


def _outcome(server: TriedServer, *, has_words: bool) -> str:
    if not server.fault:
        return "answered"
    return server.fault if has_words else "did not answer" if server.fault.startswith(NOT_CONNECTED) else "broke the session"
