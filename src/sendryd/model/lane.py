"""What the delivery engine knows of a next hop, as others read it."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sendryd.valuetype import valuetype

NOT_CONNECTED: Final = "not connected"  # how the fault of a server begins that TCP did not reach


@valuetype(frozen=True, slots=True, kw_only=True)
class TriedServer:
    """One address of one host, and what came of the last session with it."""

    host: str
    address: str
    port: int
    tls: str  # version and cipher; empty in clear text
    fault: str  # why there was no session, or why it broke; empty if it went well
    at: datetime


class LimitCause(StrEnum):
    """Why a next hop has its limit of sessions at once."""

    WINDOW = "window"  # what the delivery engine found by itself
    SUSPENDED = "suspended"  # several tries failed in a row
    PROBE = "probe"  # a single session looks whether it answers again
    PERSON = "person"  # a person set a lower one
    RULE = "rule"  # the shaping rules allow no more for what its servers said


@valuetype(frozen=True, slots=True, kw_only=True)
class LimitChange:
    """A limit of sessions at once, from a moment on."""

    at: datetime
    sessions: int  # 0: suspended
    cause: LimitCause


@valuetype(frozen=True, slots=True, kw_only=True)
class LaneSnapshot:
    """The lane of a next hop at a moment."""

    next_hop: str  # a domain; `*` for the smart host
    at: datetime
    sending: int  # sessions under way
    limit: int  # sessions at once
    cause: LimitCause = LimitCause.WINDOW  # of the limit
    per_minute: int  # attempts that delivered, in the last minute
    suspended_until: datetime | None
    last_success: datetime | None
    last_reply: str  # of the last attempt: the server's, or our sentence where it said none
    servers: tuple[TriedServer, ...]  # in the order in which the last attempt tried them, then others
    rule: str = ""  # the shaping rule that suspends or limits it for what its servers said; empty: none does
    rule_until: datetime | None = None  # the end of that
    rule_reply: str = ""  # what its servers said
    site: str = ""  # whose sessions, limit and suspension these are, where it is not the domain's own
