"""What the delivery engine knows of a destination, as the pages of the queue show it. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.model.lane import NOT_CONNECTED, LaneSnapshot, TriedServer
from sendryd.policy.routing import ANY_DOMAIN

STALE: Final = timedelta(minutes=2)  # after which a rate that was not written again says nothing


@dataclass(frozen=True, slots=True)
class ServerView:
    """A mail server that was tried."""

    name: str
    address: str
    tls: str
    outcome: str
    is_reached: bool
    at: Moment


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
    )


def _outcome(server: TriedServer, *, has_words: bool) -> str:
    if not server.fault:
        return "answered"
    return server.fault if has_words else "did not answer" if server.fault.startswith(NOT_CONNECTED) else "broke the session"
