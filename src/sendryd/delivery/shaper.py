"""Shaping of sites in this process: rates, and what their replies have brought.

Does: says how many sessions a site may have, and when the next message and the next session may begin. Follows the replies of servers.
Reads: the rules (`delivery.sites`). Effects of replies are kept in the store by `delivery.shapingkeeper`, so that a restart forgets none.
Limits: sites whose rates are followed, and whose matches are counted. A site that is dropped starts with a full rate; an effect is not dropped.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sendryd.delivery.sessions import OpenSessions
from sendryd.delivery.sites import Sites
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.shaping.effects import Effect, Matches, make_effect
from sendryd.policy.shaping.gcra import Gate
from sendryd.policy.shaping.limits import NO_LIMITS, Limits, Rate
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger

MAX_SITES: Final = 10_000
MAX_REPLY: Final = 300  # characters of the reply that is kept with an effect
STORED_TO: Final = timedelta(milliseconds=1)  # the store keeps times to this
LOOK_INTERVAL: Final = 5.0  # seconds between looks at how far the limits of an effect have gone back

log = get_logger("delivery")


@dataclass(slots=True)
class _Pace:
    """The rates of one site, while nothing of its limits changes."""

    limits: Limits
    messages: Gate | None
    connections: Gate | None
    looked: float = 0.0  # when its limits were found, in monotonic seconds

    def adapt(self, limits: Limits) -> None:
        """Keeps what was counted under a rate that stays as it is."""
        if limits.message_rate != self.limits.message_rate:
            self.messages = _gate(limits.message_rate, has_bursts=False)
        if limits.connection_rate != self.limits.connection_rate:
            self.connections = _gate(limits.connection_rate, has_bursts=True)
        self.limits = limits


class Shaper:
    """Rates and effects. Sites are known by their names."""

    def __init__(self, sites: Sites, clock: Clock) -> None:
        self.sites = sites
        self._clock = clock
        self._paces: OrderedDict[str, _Pace] = OrderedDict()
        self._matches: OrderedDict[tuple[str, str], Matches] = OrderedDict()
        self._effects: dict[str, dict[str, Effect]] = {}  # by site and rule
        self.sessions = OpenSessions()
        self.has_news = False  # effects that the store does not know

    def __repr__(self) -> str:
        return f"<Shaper {len(self._paces)} sites, {len(self._effects)} with effects>"

    # What a site may get.

    def limits(self, site: str) -> Limits:
        """The limits of a site now."""
        if site == ANY_DOMAIN:
            return NO_LIMITS
        usual = self.sites.limits(site)
        effects = self._effects.get(site)
        if not effects:
            return usual
        now, found = self._clock.settled(), usual
        for effect in effects.values():
            found = found.within(effect.at(now, usual))
        return found

    def wait(self, site: str, now: float, *, busy: int = 0) -> float:
        """Seconds until the next message may go to a site, beside attempts that are under way; 0: now. Without an idle session it needs a new one."""
        pace = self._pace(site, now)
        if pace is None:
            return 0.0
        pause = pace.messages.wait(now) if pace.messages is not None else 0.0
        opened = self.sessions.count(site)
        if pace.connections is not None and opened <= busy:
            pause = max(pause, pace.connections.wait(now, ahead=busy - opened))
        return pause

    def take(self, site: str, now: float) -> None:
        """A message goes to a site."""
        pace = self._pace(site, now)
        if pace is not None and pace.messages is not None:
            pace.messages.take(now)

    async def connect(self, domain: str) -> None:
        """Waits until a session with the servers of a domain may begin. An attempt begins when it may (`wait`), so that is seldom long."""
        now = self._clock.monotonic()
        pace = self._pace(self.sites.site_of(domain) or domain, now)
        if pace is None or pace.connections is None:
            return
        pause = pace.connections.wait(now)
        pace.connections.take(now)
        if pause > 0:
            await self._clock.sleep(pause)

    def suspension(self, site: str) -> float:
        """Seconds for which the replies of a site have suspended it; 0: they have not."""
        effects = self._effects.get(site)
        if not effects:
            return 0.0
        now = self._clock.settled()
        return max([(each.ends_at - now).total_seconds() for each in effects.values() if each.suspends], default=0.0)

    def _pace(self, site: str, now: float) -> _Pace | None:
        """None: no rate limits the site, which is the case of nearly all."""
        if site == ANY_DOMAIN:
            return None
        pace = self._paces.get(site)
        if pace is not None and now - pace.looked < LOOK_INTERVAL:
            return pace
        limits = self.limits(site)
        if pace is None:
            if limits.message_rate is None and limits.connection_rate is None:
                return None
            pace = self._paces[site] = _Pace(
                limits, _gate(limits.message_rate, has_bursts=False), _gate(limits.connection_rate, has_bursts=True)
            )
            if len(self._paces) > MAX_SITES:
                self._paces.popitem(last=False)
        pace.adapt(limits)
        pace.looked = now
        return pace

    # What its replies bring.

    def note_replies(self, site: str, domain: str, replies: Iterable[str]) -> list[Effect]:
        """Replies of a site's servers to mail for a domain, each once. Returns the effects that they bring."""
        rules = self.sites.rules.replies_of(site) if site != ANY_DOMAIN else ()
        brought: list[Effect] = []
        for reply in replies if rules else ():
            for rule in rules:
                if rule.pattern.search(reply) and self._count(site, rule.name).note(rule, self._clock.settled(), domain):
                    brought.append(make_effect(site, rule, reply[:MAX_REPLY], self._clock.settled()))
        for effect in brought:
            self._put(effect)
            log.warning(
                "site_shaped", site=site, rule=effect.rule, seconds=(effect.ends_at - effect.began_at).total_seconds(), reply=effect.reply
            )
        self.has_news = self.has_news or bool(brought)
        return brought

    def effects_of(self, site: str) -> list[Effect]:
        """The effects in force for a site."""
        return list(self._effects.get(site, {}).values())

    def all_effects(self) -> list[Effect]:
        """Those in force. Forgets those of which nothing is left."""
        now = self._clock.settled()
        kept: dict[str, dict[str, Effect]] = {}
        for site, effects in self._effects.items():
            if left := {name: each for name, each in effects.items() if each.is_over_at > now}:
                kept[site] = left
        if len(kept) < len(self._effects):
            self.has_news = True
        self._effects = kept
        return [each for effects in kept.values() for each in effects.values()]

    def end(self, ended: Mapping[tuple[str, str], datetime]) -> set[str]:
        """Forgets effects that a person has ended, by site and rule, since they began. Returns the sites."""
        found = [
            (site, rule)
            for (site, rule), moment in ended.items()
            if (effect := self._effects.get(site, {}).get(rule)) is not None and effect.began_at <= moment
        ]
        for site, rule in found:
            del self._effects[site][rule]
            if not self._effects[site]:
                del self._effects[site]
            if pace := self._paces.get(site):
                pace.looked = float("-inf")
            log.info("effect_ended", site=site, rule=rule)
        self.has_news = self.has_news or bool(found)
        return {site for site, _ in found}

    def load(self, effects: Iterable[Effect]) -> None:
        """Effects that an earlier run has left."""
        for each in effects:
            if each.is_over_at > self._clock.settled():
                self._put(each)

    def take_over(self, stored: Iterable[Effect]) -> None:
        """Effects as the store has them. Those of other processes are obeyed here too; what is missing there is to be stored again."""
        known = {(each.site, each.rule): each for each in self.all_effects()}
        now = self._clock.settled()
        for each in stored:
            mine = known.pop((each.site, each.rule), None)
            if each.is_over_at > now and (mine is None or mine.began_at < each.began_at):
                self._put(each)
            elif mine is not None and mine.began_at - each.began_at >= STORED_TO:
                self.has_news = True
        self.has_news = self.has_news or bool(known)

    def use_rules(self) -> None:
        """The rules have changed: rates are found again."""
        for pace in self._paces.values():
            pace.looked = float("-inf")

    def _put(self, effect: Effect) -> None:
        self._effects.setdefault(effect.site, {})[effect.rule] = effect
        if pace := self._paces.get(effect.site):
            pace.looked = float("-inf")

    def _count(self, site: str, rule: str) -> Matches:
        found = self._matches.setdefault((site, rule), Matches(deque()))
        self._matches.move_to_end((site, rule))
        if len(self._matches) > MAX_SITES:
            self._matches.popitem(last=False)
        return found


def _gate(rate: Rate | None, *, has_bursts: bool) -> Gate | None:
    return Gate(rate, has_bursts=has_bursts) if rate is not None else None
