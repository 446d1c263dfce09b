"""What replies bring: rules whose pattern a reply matches often enough suspend a site or limit it, for a time.

Effects end by themselves, and a limit goes back in steps: for as long again as it held, it rises evenly to what the rules allow without it. Replies
that this server made up itself (a suspension, a policy that is not met) count for no rule.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sendryd.policy.shaping.limits import Limits, Rate
from sendryd.policy.shaping.rules import ReplyRule
from sendryd.valuetype import valuetype

HOUR: Final = timedelta(hours=1)
_UNLIMITED: Final = 10  # times the limit at the end of the way back, where the rules allow any number


@valuetype(frozen=True, slots=True, kw_only=True)
class Effect:
    """One rule in force for a site."""

    site: str
    rule: str  # its name
    reply: str  # that brought it
    began_at: datetime
    ends_at: datetime
    suspends: bool
    limits: Limits

    @property
    def is_over_at(self) -> datetime:
        """When nothing of it is left: a limit has its way back after its end."""
        return self.ends_at if self.suspends else self.ends_at + (self.ends_at - self.began_at)

    def at(self, now: datetime, usual: Limits) -> Limits:
        """Its limits at a moment. `usual` are those of the site without it."""
        if self.suspends or now >= self.is_over_at:
            return Limits()
        if now < self.ends_at:
            return self.limits
        share = (now - self.ends_at) / (self.is_over_at - self.ends_at)
        connections = self.limits.connections
        if connections is not None:
            most = usual.connections or _UNLIMITED * connections
            connections = max(connections, connections + int((most - connections) * share))
        return Limits(
            connections=connections,
            connection_rate=_rise(self.limits.connection_rate, usual.connection_rate, share),
            message_rate=_rise(self.limits.message_rate, usual.message_rate, share),
        )


@dataclass(slots=True)
class Matches:
    """When replies of a site matched one rule, in the last hour, and for which domains: the latest ones, as many as the rule takes."""

    found: deque[tuple[datetime, str]]

    def note(self, rule: ReplyRule, now: datetime, domain: str) -> bool:
        """One more. True if that makes enough of them, which then count no more. Where it takes several, they are of two recipient domains, or of one
        that the rules name as the provider's: whoever else has a domain at a site cannot have it limited for all.
        """
        self.found.append((now, domain))
        while len(self.found) > rule.matches or now - self.found[0][0] > HOUR:
            self.found.popleft()
        if len(self.found) < rule.matches:
            return False
        domains = {each for _, each in self.found}
        if rule.matches > 1 and len(domains) == 1 and not domains <= rule.domains:
            return False
        self.found.clear()
        return True


def make_effect(site: str, rule: ReplyRule, reply: str, now: datetime) -> Effect:
    """The effect of a rule from now on."""
    return Effect(
        site=site,
        rule=rule.name,
        reply=reply,
        began_at=now,
        ends_at=now + timedelta(seconds=rule.seconds),
        suspends=rule.suspends,
        limits=rule.limits,
    )


def _rise(limit: Rate | None, usual: Rate | None, share: float) -> Rate | None:
    if limit is None:
        return None
    most = usual.per_second * limit.seconds if usual is not None else float(_UNLIMITED * limit.count)
    return Rate(max(limit.count, limit.count + int((most - limit.count) * share)), limit.seconds)
