"""Lanes: one for each site or smart host, with the claims that wait, the attempts under way and what is known of the next hop.

Strategy: a lane has a window of attempts that grows with success; after failures in a row it is suspended (`policy.throttle`). A destination without
a recent success is cold (`delivery.places`), and so is one whose attempts stall. A lane of which nothing is known that a new one would not start
with is dropped. Accounts and classes take turns in it (`policy.fairness`), and one that has little waiting finds room where others have filled the lane.
Limits: claims of a lane, waiting or under way.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from sendryd.delivery.crowd import Crowd
from sendryd.delivery.goodhosts import GoodHosts
from sendryd.delivery.lanestate import Held, LaneState, claim_key, take_out
from sendryd.delivery.ownership import Ownership
from sendryd.delivery.places import Places
from sendryd.delivery.shaper import Shaper
from sendryd.delivery.sites import MAX_DOMAINS
from sendryd.model.ids import AccountId
from sendryd.model.message import MessageClass
from sendryd.policy.fairness import cost_of
from sendryd.policy.routing import ANY_DOMAIN, NextHop
from sendryd.policy.shaping.effects import Effect
from sendryd.policy.smarthost import domain_of, lane_of
from sendryd.policy.throttle import Lane, Signal, new_lane, note_failure, note_silence, note_success
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import Claim

# Claims of a lane, waiting or under way, for each attempt that it may have at once. The overflow stays in the database and costs a second read of
# its content, about a third of an attempt.
WAITING_FACTOR: Final = 10
MAX_LANE_DOMAINS: Final = 5_000  # domains of a lane that are stepped over while it is full; while it is suspended all that are known
COLD_WAITING: Final = 20  # claims of a lane without a recent success: it starts one or two at a time
FEW_WAITING: Final = 4  # claims that each account and class may have in a lane that others have filled
LANE_MEMORY: Final = 600.0  # seconds for which failures of a next hop are remembered that is neither used nor suspended
STALL_TIME: Final = 60.0  # seconds of an attempt, beside what its content may take: a session that goes on has ended by then
STALL_RATE: Final = 64 * 1024  # octets of content in a second: a slow line is no stall

log = get_logger("delivery")


class Lanes:
    """All lanes, by the names of sites, or the one of a smart host."""

    def __init__(self, places: Places, clock: Clock, shaper: Shaper, *, delays: tuple[float, ...], has_smart_host: bool) -> None:
        """`delays` are those of the retry plan, in seconds: suspensions begin with the first."""
        self._shaper, self._sites = shaper, shaper.sites
        self._places = places
        self._good_hosts = GoodHosts()
        self._clock = clock
        self._delays = delays
        self._has_smart_host = has_smart_host
        self.ownership: Ownership | None = None  # None: no other process delivers
        self._lanes: dict[str, LaneState] = {}
        self.crowd = Crowd()  # claims in all lanes that wait to be started
        self.paused: frozenset[str] = frozenset()  # domains that a person has paused; `ANY_DOMAIN`: all
        self.suspended: frozenset[AccountId] = frozenset()  # accounts whose mail is held
        self.caps: Mapping[str, int] = {}  # the most sessions at once that a person allows, by domain

    def __len__(self) -> int:
        return len(self._lanes)

    def keys(self, domains: Iterable[str]) -> list[str]:
        """The keys of their lanes, each once."""
        return list(dict.fromkeys(map(self.key_of, domains)))

    def key_of(self, domain: str) -> str:
        """The key of the lane of a domain, or of a site by its name. The smart host of a sending domain has its own, also beside one for all mail."""
        if self._has_smart_host:
            return lane_of(domain) or ANY_DOMAIN
        return self._sites.site_of(domain) or domain

    def find(self, key: str) -> LaneState | None:
        """The lane, if there is one."""
        return self._lanes.get(key)

    def open(self, key: str) -> LaneState:
        """The lane, made if there is none."""
        state = self._lanes.get(key)
        if state is None:
            state = self._lanes[key] = LaneState(key, self.fresh(key))
        return state

    def fresh(self, key: str) -> Lane:
        """A lane of which nothing is known."""
        lane = new_lane(is_smart_host=key == ANY_DOMAIN, most=self._sites.limits(key).connections)
        return self._suspend_by_replies(key, lane)

    def _suspend_by_replies(self, key: str, lane: Lane) -> Lane:
        """The lane, suspended for as long as what servers said suspends the site: no success that was under way ends that."""
        pause = self._shaper.suspension(key)
        return replace(lane, suspended_until=max(self._clock.monotonic() + pause, lane.suspended_until or 0.0)) if pause > 0 else lane

    def all(self) -> list[LaneState]:
        """All of them."""
        return list(self._lanes.values())

    def limit(self, state: LaneState, *, of: str = "") -> int:
        """Sessions that the lane may have at once: what it has earned, or the fewer that the rules or a person allow. A limit of a person for
        one domain limits its site. Processes share those of the smart host for all mail: one may get none. `of` is a domain of the lane that has no
        mail in it now.
        """
        most = self._most(state, of)
        if self.ownership is not None and state.key == ANY_DOMAIN:
            most = self.ownership.share(most)
        return min(state.lane.limit, most)

    def _most(self, state: LaneState, of: str = "") -> int:
        """Sessions that the lane may have at once in all processes together."""
        most, ruled = state.lane.max_window, self._shaper.limits(state.key).connections
        if ruled is not None:
            most = min(most, ruled)
        allowed = self.cap(state, of=of) if self.caps else None
        return most if allowed is None else min(most, allowed)

    def leaves_some_out(self, state: LaneState) -> bool:
        """Whether other processes get no session of the smart host for all mail."""
        return self.ownership is not None and self.ownership.leaves_some_out(self._most(state))

    def cap(self, state: LaneState, *, of: str = "") -> int | None:
        """Sessions that a person allows; None: any number. `of` as for `limit`."""
        if not self.caps:
            return None
        return min((number for name, number in self.caps.items() if name in {state.key, of} or name in state.domains), default=None)

    def use_rules(self) -> list[LaneState]:
        """The rules have changed: windows grow up to other limits, and claims move to their present sites. Returns all lanes: any may start more."""
        for key, state in tuple(self._lanes.items()):
            most = self.fresh(key).max_window
            state.lane = replace(state.lane, max_window=most, window=min(state.lane.window, most))
            self._move(state, lambda claim, key=key: self.key_of(claim.domain) != key)  # type: ignore[misc]
        return self.all()

    def is_paused(self, domain: str) -> bool:
        """Whether a person has paused the domain, its site, or all mail."""
        return bool(self.paused) and bool(self.pause_of(domain))

    def pause_of(self, domain: str) -> str:
        """What a person has paused: the domain, all mail, or the domain's site; empty if it is none of them."""
        names = (domain, ANY_DOMAIN, self.key_of(domain), self._sites.presumed(domain))
        return next((name for name in names if name in self.paused), "")

    def is_suspended(self, domain: str) -> bool:
        """Whether the domain's lane is."""
        state = self._lanes.get(self.key_of(domain))
        return state is not None and state.lane.is_suspended(self._clock.monotonic())

    def is_stopped(self, claim: Claim) -> bool:
        """Whether a person has stopped the claim's account or one of its destinations, also one that a smart host takes it to."""
        return claim.message.account_id in self.suspended or (bool(self.paused) and self._is_any_paused(claim))

    def _is_any_paused(self, claim: Claim) -> bool:
        is_of_relay = bool(lane_of(claim.domain))
        domains = {claim.domain, *(domain_of(each.forward_path, None) if is_of_relay else each.domain for each in claim.deliveries)}
        return any(map(self.is_paused, domains))

    # The waiting claims.

    def enqueue(self, claim: Claim, held: Held | None) -> LaneState:
        """Puts a claim into its lane, where accounts and classes take turns."""
        state = self.open(self.key_of(claim.domain))
        self._put(state, claim, held)
        return state

    def _put(self, state: LaneState, claim: Claim, held: Held | None) -> None:
        self._know(state, claim.domain, self._clock.monotonic())
        message = claim.message
        state.waiting.put(message.account_id, claim.priority, cost_of(message.size), (claim, held))
        self.crowd.note(claim, 1)

    def _know(self, state: LaneState, domain: str, now: float) -> None:
        """The lane has mail of the domain, here or in the database."""
        state.domains.pop(domain, None)
        state.domains[domain] = None
        if len(state.domains) > (MAX_DOMAINS if state.lane.is_suspended(now) else MAX_LANE_DOMAINS):
            del state.domains[next(iter(state.domains))]

    def set_aside(self, state: LaneState) -> tuple[Claim, Held | None]:
        """Takes the claim whose turn it is out of its line until `put_back`."""
        state.beside += 1
        claim, held = self.dequeue(state)
        self.crowd.note(claim, 1)
        return claim, held

    def put_back(self, state: LaneState, claim: Claim, held: Held | None) -> None:
        """Puts a claim before all that wait: it has had its turn."""
        state.beside -= 1
        state.ready.append((claim, held))

    def dequeue(self, state: LaneState) -> tuple[Claim, Held | None]:
        """Takes the claim whose turn it is."""
        claim, held = state.ready.pop(0) if state.ready else state.waiting.take()
        self.crowd.note(claim, -1)
        return claim, held

    def dequeue_of(self, state: LaneState, domain: str, most: int) -> list[tuple[Claim, Held | None]]:
        """Takes claims of a domain as long as it is their turn, `most` of them at the most; `ANY_DOMAIN`: of all."""
        taken: list[tuple[Claim, Held | None]] = []
        while len(taken) < most and state.number_waiting and domain in {ANY_DOMAIN, state.peek().domain}:
            taken.append(self.dequeue(state))
        return taken

    def take_paused(self) -> list[tuple[Claim, Held | None]]:
        """Takes the waiting claims of paused domains and suspended accounts out of their lanes."""
        taken = []
        for state in self._lanes.values():
            taken += take_out(state, self.is_stopped)
        return self._taken(taken)

    def _taken(self, taken: list[tuple[Claim, Held | None]]) -> list[tuple[Claim, Held | None]]:
        for claim, _ in taken:
            self.crowd.note(claim, -1)
        return taken

    # The sites of domains.

    def join(self, domain: str, next_hop: NextHop, state: LaneState) -> LaneState:
        """The lane of the site that a domain is with, as its look-up has found. Its claims in another lane move there."""
        if self._has_smart_host:
            return state
        target = self.open(self._sites.note(domain, next_hop, self._clock.monotonic()))
        self._move(state, lambda claim: claim.domain == domain)
        return target

    def leave(self, domain: str, state: LaneState) -> LaneState:
        """A lane of its own for a domain that has no route."""
        if self._has_smart_host:
            return state
        self._sites.forget(domain)
        target = self.open(domain)
        self._move(state, lambda claim: claim.domain == domain)
        return target

    def _move(self, state: LaneState, is_wanted: Callable[[Claim], bool]) -> None:
        """Moves waiting claims to the lanes where their domains belong."""
        if self._has_smart_host:
            return
        for claim, held in self._taken(take_out(state, is_wanted)):
            state.domains.pop(claim.domain, None)
            self._put(self.open(self.key_of(claim.domain)), claim, held)

    def most_waiting(self, state: LaneState, now: float) -> int:
        """Claims that the lane may have, waiting or under way."""
        most = WAITING_FACTOR * self.limit(state)
        return min(COLD_WAITING, most) if self.is_cold(state.key, now) else most

    def take_excess(self, state: LaneState) -> list[tuple[Claim, Held | None]]:
        """Takes out what is more than twice what the lane may have: many domains have joined it. What the database keeps is stepped over."""
        excess = state.load - 2 * self.most_waiting(state, self._clock.monotonic())
        return self._taken([state.waiting.take_last() for _ in range(min(excess, state.waiting.waiting))])

    def has_room(self, claim: Claim) -> bool:
        """Whether a claim from the database may wait in the lane of its site. If not, its domain is stepped over from now on."""
        key = self.key_of(claim.domain)
        state = self._lanes.get(key)
        now = self._clock.monotonic()
        if state is None or key in {claim.domain, ANY_DOMAIN}:
            return True
        if not state.lane.is_suspended(now) and state.load < 2 * self.most_waiting(state, now):
            return True
        if self.has_turn(
            state, claim.message.account_id, claim.priority, now, few=state.share(self.most_waiting(state, now), least=FEW_WAITING)
        ):
            return True
        self._know(state, claim.domain, now)
        return False

    def is_full(self, state: LaneState, now: float) -> bool:
        """It takes no more claims: it is suspended or paused, or has as many as it can start soon."""
        return state.lane.is_suspended(now) or state.key in self.paused or state.load >= self.most_waiting(state, now)

    def has_turn(self, state: LaneState, account_id: AccountId, priority: MessageClass, now: float, *, few: int = FEW_WAITING) -> bool:
        """Whether the lane, full as it is, takes a claim of an account and class that have few in it: what others have waiting is no reason to wait."""
        if state.lane.is_suspended(now) or state.key in self.paused or state.load >= 4 * self.most_waiting(state, now):
            return False
        return state.waiting.waiting_of(account_id, priority) < few

    def full(self, now: float) -> frozenset[str]:
        """The domains of lanes that take no more claims, or `ANY_DOMAIN`."""
        full: set[str] = set()
        for key, state in self._lanes.items():
            if self.is_full(state, now):
                full.add(key)
                full.update(state.domains)
        return frozenset(full)

    # What is known.

    def is_cold(self, key: str, now: float) -> bool:
        """The next hop has no recent success. The smart host of all mail is the operator's own choice, and there is no other."""
        return key != ANY_DOMAIN and self._places.is_cold(key, now)

    def note(self, state: LaneState, signal: Signal, domain: str = "", hosts_of: Callable[[], Collection[str]] = tuple) -> LaneState:
        """What an attempt for a domain tells of the next hop. `hosts_of` gives the hosts that spoke to us, or failed; it is asked for a provider's alone.
        Returns the lane of which it tells.
        """
        now = self._clock.monotonic()
        if signal is Signal.GOOD:
            state.lane = note_success(state.lane)
            self._places.note_success(state.key, now)
            if self._sites.is_provider(state.key):
                self._good_hosts.note_success(state.key, hosts_of(), now)
        elif signal is Signal.BAD:
            hosts = hosts_of() if self._sites.is_provider(state.key) else ()
            if hosts and not self._good_hosts.speak_for(state.key, hosts, now):
                state = self._set_apart(state, domain, now)
            if not state.lane.is_suspended(now):  # by another attempt of the same moment
                self._suspend(state, note_failure(state.lane, now=now, delays=self._delays), now)
        state.lane = self._suspend_by_replies(state.key, state.lane)
        return state

    def _set_apart(self, state: LaneState, domain: str, now: float) -> LaneState:
        """A lane of its own for a domain of a provider, some of whose other servers work. Its claims move there."""
        if self._sites.site_of(domain) is None:
            return self.open(domain)
        target = self.open(self._sites.set_apart(domain, now))
        if target is not state:
            self._move(state, lambda claim: claim.domain == domain)
            log.info("domain_set_apart", domain=domain, site=state.key)
        return target

    def note_replies(self, state: LaneState, domain: str, replies: Collection[str]) -> None:
        """What servers said: the rules may suspend or limit the site for it."""
        for effect in self._shaper.note_replies(state.key, domain, replies) if replies else ():
            if effect.suspends:
                state.lane = self._suspend_by_replies(state.key, state.lane)
            elif effect.limits.connections is not None:  # after it the window grows from there
                state.lane = replace(state.lane, window=min(state.lane.window, float(effect.limits.connections)))

    def effect_of(self, key: str) -> Effect | None:
        """What the replies of a site have brought to it and holds now: of several the one that ends last."""
        now = self._clock.settled()
        return max((each for each in self._shaper.effects_of(key) if each.ends_at > now), key=lambda each: each.ends_at, default=None)

    def note_silence(self, state: LaneState) -> None:
        """DNS gave no answer for the next hop."""
        now = self._clock.monotonic()
        if not state.lane.is_suspended(now):
            note = note_failure if state.key == ANY_DOMAIN else note_silence
            self._suspend(state, note(state.lane, now=now, delays=self._delays), now)

    def _suspend(self, state: LaneState, lane: Lane, now: float) -> None:
        state.lane = lane
        if lane.is_suspended(now):
            self._places.note_trouble(state.key)
            log.warning("lane_suspended", next_hop=state.key, seconds=round((lane.suspended_until or now) - now, 1))

    def end_suspensions(self, domains: Iterable[str]) -> None:
        """Ends those of lanes that somebody wants tried. One that replies have brought allows a probe, and goes on after it."""
        now = self._clock.monotonic()
        for key in self.keys(domains):
            is_ruled = self._shaper.suspension(key) > 0
            state = self.open(key) if is_ruled else self._lanes.get(key)
            if state is not None and state.lane.is_suspended(now):
                suspensions = max(state.lane.suspensions, 1) if is_ruled else state.lane.suspensions
                state.lane = replace(state.lane, suspended_until=None, suspensions=suspensions)
                log.info("suspension_ended", next_hop=key)

    def relax(self, sites: Iterable[str]) -> list[LaneState]:
        """A person has ended what replies have brought to sites: nothing is known against their lanes any more. Returns the lanes."""
        found = [state for key in sites if (state := self._lanes.get(key)) is not None]
        for state in found:
            state.lane = self.fresh(state.key)
        return found

    def note_stalls(self) -> None:
        """Destinations of whose attempts half or more stall count as cold."""
        now = self._clock.monotonic()
        for key, state in self._lanes.items():
            stalled = sum(moment <= now for moment in state.stalls.values())
            if stalled and 2 * stalled >= state.busy and not self.is_cold(key, now):
                self._places.note_trouble(key)
                log.warning("destination_stalls", next_hop=key, attempts=stalled)

    def begin(self, state: LaneState, claim: Claim, now: float) -> None:
        """An attempt begins."""
        state.busy += 1
        state.stalls[claim_key(claim)] = now + STALL_TIME + claim.message.size / STALL_RATE

    def end(self, state: LaneState, claim: Claim) -> None:
        """Its session is over; the outcome is not stored yet."""
        state.busy -= 1
        state.stalls.pop(claim_key(claim), None)

    def forget_idle(self) -> None:
        """Drops what is known of next hops that nothing was sent to for long: there are as many as domains in the world."""
        for state in tuple(self._lanes.values()):
            self.forget_if_idle(state)

    def forget_if_idle(self, state: LaneState) -> None:
        """Drops a lane of which nothing is known that a new one would not start with, or nothing recent."""
        if state.load or state.beside or state.is_looking_up or state.lane.is_suspended(self._clock.monotonic()):
            return
        is_default = not state.lane.failures and not state.lane.suspensions
        used = max(state.used, state.lane.suspended_until or 0.0)
        if (is_default or self._clock.monotonic() - used >= LANE_MEMORY) and self._lanes.get(state.key) is state:
            del self._lanes[state.key]
