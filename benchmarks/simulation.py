"""A cluster at a size that no machine here has: the program's own delivery engine on virtual time.

    python benchmarks/simulation.py --per-day 100e6 --nodes 8                 # two minutes of the peak
    python benchmarks/simulation.py --per-day 10e6 --nodes 2 --outage google  # a large provider takes no connections for the first half

Real: scheduler, claiming, lanes and their windows, places, the shaping rules of the program, sites, shares of nodes, suspensions, delays of retries.
Simulated: time; the receivers (how long a session and a message take); the processor of each node and of the database, a queue each with a cost
for each message; DNS; the queue's table, which gives the oldest due mail of each domain in turn. One account sends mail of one class. Messages
come at random, at the average rate of the peak.
"""

import argparse
import asyncio
import heapq
import json
import statistics
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, cast

from machine import describe

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.destinations import Destinations, NoRoute
from sendryd.delivery.dialoguenotes import AttemptNotes
from sendryd.delivery.places import MAX_ATTEMPTS
from sendryd.delivery.rulefile import own_rules
from sendryd.delivery.scheduler import Scheduler
from sendryd.delivery.shaper import Shaper
from sendryd.delivery.sites import Sites
from sendryd.delivery.target import Target
from sendryd.delivery.worker import Worker
from sendryd.model.ids import AccountId, DeliveryId
from sendryd.model.message import MessageClass
from sendryd.policy.retry import RetryPlan
from sendryd.policy.routing import MailHost, NextHop
from sendryd.policy.shaping.rules import Rules, read_rules, site_of
from sendryd.policy.throttle import Signal
from sendryd.policy.tls import OPPORTUNISTIC
from sendryd.runtime.budget import Share
from sendryd.runtime.rand import SeededRand
from sendryd.runtime.wakeup import Wakeup
from sendryd.store.base import Claim, CrowdedLane, Lease, NewMessage, OneHop, Owner
from sendryd.store.base.nodes import shard_of
from sendryd.store.memory import MemoryStore
from sendryd.testing.samples import ACCOUNT, NOW, Samples, claim_of
from sendryd.testing.virtualtime import VirtualClock, VirtualTimeLoop

DAY = 86_400.0  # seconds
SIZE = 100  # octets that a simulated message takes of the memory that its node holds contents in


@dataclass(frozen=True, slots=True)
class Provider:
    """Where mail goes. Its name servers and the time that it takes are assumptions; the limits are the program's rules for its servers."""

    name: str
    mx: str
    share: float  # of all mail
    seconds: float  # for a message over an open session
    opening: float = 0.3  # seconds for a new session


PROVIDERS = (
    Provider("gmail.com", "gmail-smtp-in.l.google.com", 0.35, 0.40),
    Provider("outlook.com", "outlook-com.olc.protection.outlook.com", 0.15, 0.45),
    Provider("yahoo.com", "mta5.am0.yahoodns.net", 0.10, 0.40),
    Provider("icloud.com", "mx01.mail.icloud.com", 0.05, 0.35),
    Provider("business.example", "business.mail.protection.outlook.com", 0.10, 0.45),
)
MX = {each.name: each.mx for each in PROVIDERS}
OTHERS = Provider("", "", 0.25, 0.30)  # as many domains as asked for, the n-th with a share of 1/n of the first's


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated."""

    per_day: float
    nodes: int = 1
    peak: float = 3.0  # times the average of the day
    seconds: float = 120.0  # of the peak
    domains: int = 5000  # beside the large providers
    sessions: int | None = None  # of each large provider, instead of the rules of the program
    node_us: float = 850.0  # processor time of a node's process for each message, from accepting to the outcome
    database_us: float = 150.0  # of the database
    database_cores: int = 8
    is_grown: bool = False  # the windows of the large providers are as after hours of this traffic, not as after a start
    outage: str = ""  # a part of the name of the provider's servers that take no connections in the first half
    seed: int = 1

    @property
    def rate(self) -> float:
        """Messages a second in the peak."""
        return self.per_day * self.peak / DAY


@dataclass(slots=True)
class Processor:
    """Cores that do one piece of work after the other."""

    cores: int
    busy: float = 0.0  # seconds in all
    _free: list[float] = field(default_factory=list)  # when each core is free again

    def work(self, now: float, seconds: float) -> float:
        """Seconds until a piece of work that is asked for now is done."""
        if not self._free:
            self._free = [now] * self.cores
        done = max(now, self._free[0]) + seconds
        heapq.heapreplace(self._free, done)
        self.busy += seconds
        return done - now


class Queue:
    """The queue's table as one process sees all of it: claims are as cheap with a million messages as with none."""

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self._ready: list[dict[str, deque[tuple[NewMessage, int]]]] = [
            {} for _ in range(nodes)
        ]  # of each node, by domain; with its attempts
        self._later: list[tuple[datetime, int, NewMessage, int]] = []
        self._leased: dict[DeliveryId, tuple[NewMessage, int]] = {}
        self._sites: dict[str, str] = {}
        self._count = 0
        self.waiting = 0

    def node_of(self, site: str) -> int:
        """Whose share a site is in."""
        return shard_of(site) % self._nodes

    def put(self, new: NewMessage, attempts: int = 0) -> None:
        """Mail that is due."""
        domain = new.deliveries[0].domain
        self._ready[self.node_of(self._sites.get(domain, domain))].setdefault(domain, deque()).append((new, attempts))
        self.waiting += 1

    def lease(self, new: NewMessage) -> None:
        """Mail that the door hands to its own delivery engine."""
        self._leased[new.deliveries[0].id] = new, 0

    def move(self, domains: dict[str, str]) -> None:
        """Mail of domains goes to the owner of their site."""
        for domain, site in domains.items():
            self._sites[domain] = site
            for node, ready in enumerate(self._ready):
                if node != self.node_of(site) and (moved := ready.pop(domain, None)):
                    self._ready[self.node_of(site)].setdefault(domain, deque()).extend(moved)

    def _fall_due(self, now: datetime) -> None:
        while self._later and self._later[0][0] <= now:
            _, _, new, attempts = heapq.heappop(self._later)
            self.put(new, attempts)

    def claim(self, node: int, now: datetime, lease: Lease, limit: int, busy: frozenset[str], per_domain: int) -> list[Claim]:
        """The oldest mail of each domain in turn, without those that are busy."""
        self._fall_due(now)
        ready, claims = self._ready[node], list[Claim]()
        for domain in tuple(ready):
            if domain in busy:
                continue
            line = ready.pop(domain)
            for _ in range(min(per_domain, len(line), limit - len(claims))):
                new, attempts = line.popleft()
                delivery = new.deliveries[0]
                self._leased[delivery.id] = new, attempts
                taken = claim_of(new, lease)
                deliveries = tuple(replace(each, attempts=attempts) for each in taken.deliveries) if attempts else taken.deliveries
                claims.append(Claim(message=new.message, domain=domain, deliveries=deliveries, lease=lease))
            if line:
                ready[domain] = line  # at the end: the others come first next time
            if len(claims) >= limit:
                break
        self.waiting -= len(claims)
        return claims

    def release(self, delivery_ids: Sequence[DeliveryId]) -> None:
        """Mail that was not started is due again."""
        for number in delivery_ids:
            self.put(*self._leased.pop(number))

    def settle(self, number: DeliveryId, due_at: datetime | None) -> None:
        """An outcome; `due_at`: it is to be tried again then."""
        new, attempts = self._leased.pop(number)
        if due_at is not None:
            self._count += 1
            heapq.heappush(self._later, (due_at, self._count, new, attempts + 1))

    @property
    def next_due(self) -> datetime | None:
        """When mail that waits for another attempt falls due."""
        return self._later[0][0] if self._later else None


class View(MemoryStore):
    """The queue as one node may claim from it."""

    def __init__(self, queue: Queue, node: int) -> None:
        super().__init__()
        self._queue, self._node = queue, node
        self.claims = 0  # claims made, whether they found mail or not

    async def claim_deliveries(
        self,
        *,
        now: datetime,
        lease: Lease,
        limit: int,
        busy: frozenset[str],
        per_domain: int,
        settled: datetime | None = None,
        served: frozenset[tuple[AccountId, MessageClass]] = frozenset(),
        crowded: Sequence[CrowdedLane] = (),
        one_hop: OneHop | None = None,
    ) -> list[Claim]:
        del settled, crowded, one_hop  # one account sends, and there is no smart host
        self.claims += 1
        return [] if served else self._queue.claim(self._node, now, lease, limit, busy, per_domain)

    async def release(self, lease: Lease, delivery_ids: Sequence[DeliveryId]) -> None:
        del lease
        self._queue.release(delivery_ids)

    async def due_at(self, *, busy: frozenset[str] = frozenset()) -> datetime | None:
        del busy
        return self._queue.next_due


class Names:
    """DNS: an answer after some milliseconds, known for a while."""

    MEMORY = 300.0  # seconds

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[NextHop, float]] = {}

    def known(self, domain: str) -> NextHop | None:
        found = self._known.get(domain)
        return found[0] if found is not None and found[1] > self._clock.monotonic() else None

    async def find(self, domain: str) -> NextHop | NoRoute:
        await self._clock.sleep(0.02)
        name = MX.get(domain, f"mx.{domain}")
        hop = NextHop(domain, (MailHost(name, ("192.0.2.1",)),), 25, mx=(name,))
        self._known[domain] = hop, self._clock.monotonic() + self.MEMORY
        return hop


class Receivers:
    """What receivers do with an attempt, and what it costs the node and the database."""

    def __init__(self, plan: Plan, world: "World", node: int) -> None:
        self._plan, self._world = plan, world
        self._providers = {each.name: each for each in PROVIDERS}
        self._random = Random(plan.seed + node)
        self._used: Counter[str] = Counter()  # messages by site
        self.processor = Processor(1)
        self.unrecorded = self.damaged = 0

    async def attempt(self, claim: Claim, content: bytes | None, route: NextHop | NoRoute) -> Attempt:
        del content
        world, clock = self._world, self._world.clock
        assert isinstance(route, NextHop)
        attempt = Attempt(claim, AttemptNotes(NOW, clock.monotonic))
        host = route.hosts[0]
        attempt.notes.begin(Target(host=host.name, address=host.addresses[0], port=route.port, tls=OPPORTUNISTIC), None)
        provider = self._providers.get(claim.domain, OTHERS)
        site = world.site_of(claim.domain)
        world.begin(site)
        try:
            await clock.sleep(self.processor.work(clock.monotonic(), self._plan.node_us / 1e6))
            if world.is_out(host.name):
                await clock.sleep(10.0)  # no answer to a connection
                attempt.signal = Signal.BAD
                return attempt
            per_session = world.rules.limits_of(site).messages_per_connection
            self._used[site] += 1
            is_new = self._used[site] % (per_session or 100) == 1 or (per_session or 0) == 1 or provider is OTHERS
            seconds = provider.seconds * self._random.lognormvariate(0.0, 0.4)
            await clock.sleep(seconds + (provider.opening if is_new else 0.0))
            attempt.signal = Signal.GOOD
        finally:
            world.end(site)
        return attempt

    async def record(self, attempt: Attempt) -> frozenset[DeliveryId]:
        world, claim = self._world, attempt.claim
        now = world.clock.monotonic()
        await world.clock.sleep(world.database.work(now, self._plan.database_us / 2e6))
        delivery, is_good = claim.deliveries[0], attempt.signal is Signal.GOOD
        due_at = None if is_good else world.clock.now() + world.plan_of_retries.delay(delivery.attempts + 1)
        world.queue.settle(delivery.id, due_at)
        world.note(claim, is_good=is_good)
        return frozenset()


class Shared:
    """`delivery.ownership.Ownership` of one node: its share of 256."""

    def __init__(self, world: "World", node: int) -> None:
        self._world, self._node = world, node

    def share(self, most: int) -> int:
        return most

    def leaves_some_out(self, most: int) -> bool:
        del most
        return False

    @property
    def may_begin(self) -> bool:
        return True

    def owns(self, site: str) -> bool:
        return self._world.queue.node_of(site) == self._node

    async def move(self, domains: dict[str, str]) -> None:
        self._world.queue.move(domains)

    def ring(self) -> None:
        self._world.ring()


def rules_of(plan: Plan) -> Rules:
    """The program's rules; with other numbers of sessions for the large providers if the plan has them."""
    rules = own_rules()
    if plan.sessions is None:
        return rules
    names = ("google", "microsoft", "yahoo", "icloud", "office365")
    return read_rules("".join(f"[provider.{name}]\nconnections = {plan.sessions}\n" for name in names), over=rules)


class World:
    """The cluster and all that it talks to."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.clock, self.rules = plan, VirtualClock(), rules_of(plan)
        self.plan_of_retries = RetryPlan((timedelta(minutes=1), timedelta(minutes=5)), timedelta(hours=72))
        self.database = Processor(plan.database_cores)
        self.queue = Queue(plan.nodes)
        self.samples = Samples(self.clock.now())
        self.bells = [Wakeup() for _ in range(plan.nodes)]
        self.workers = [Receivers(plan, self, node) for node in range(plan.nodes)]
        self.views = [View(self.queue, node) for node in range(plan.nodes)]
        self.schedulers = [self._scheduler(node) for node in range(plan.nodes)]
        if plan.is_grown:
            self._grow()
        self._random = Random(plan.seed)
        self._names, self._weights = self._domains()
        self.began = self.clock.monotonic()
        self.accepted = self.delivered = self.deferred = self.handed_over = 0
        self.waits: list[float] = []
        self.at_once: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        self.by_site: Counter[str] = Counter()
        self._came: dict[DeliveryId, float] = {}
        self.found: dict[str, Any] = {}

    def _scheduler(self, node: int) -> Scheduler:
        return Scheduler(
            self.views[node],
            cast("Worker", self.workers[node]),
            cast("Destinations", Names(self.clock)),
            plan=self.plan_of_retries,
            owner=Owner(node=f"node{node}", boot=1),
            clock=self.clock,
            rand=SeededRand(node),
            wakeup=self.bells[node],
            has_smart_host=False,
            memory=Share(64 << 20),
            shaper=Shaper(Sites(self.rules), self.clock),
            ownership=Shared(self, node) if self.plan.nodes > 1 else None,
        )

    def _grow(self) -> None:
        """A window grows by one session for each round of good ones: from 5 to 500 sessions in minutes."""
        for provider in PROVIDERS:
            site = self.site_of(provider.name)
            scheduler = self.schedulers[self.queue.node_of(site)]
            state = scheduler._lanes.open(site)
            state.lane = replace(state.lane, window=float(state.lane.max_window))
            scheduler._places.note_success(site, self.clock.monotonic())

    def _domains(self) -> tuple[list[str], list[float]]:
        names, weights = [each.name for each in PROVIDERS], [each.share for each in PROVIDERS]
        whole = sum(1 / number for number in range(1, self.plan.domains + 1))
        for number in range(1, self.plan.domains + 1):
            names.append(f"d{number}.example")
            weights.append(OTHERS.share / number / whole)
        total = 0.0
        return names, [total := total + weight for weight in weights]

    def site_of(self, domain: str) -> str:
        """As the program names it."""
        return site_of(self.rules, domain, (MX.get(domain, f"mx.{domain}"),))

    def is_out(self, host: str) -> bool:
        """The host takes no connections now."""
        return bool(self.plan.outage) and self.plan.outage in host and self.clock.monotonic() - self.began < self.plan.seconds / 2

    def ring(self) -> None:
        for bell in self.bells:
            bell.set()

    def begin(self, site: str) -> None:
        self.at_once[site] += 1
        self.most_at_once[site] = max(self.most_at_once[site], self.at_once[site])

    def end(self, site: str) -> None:
        self.at_once[site] -= 1

    def note(self, claim: Claim, *, is_good: bool) -> None:
        """An outcome is stored."""
        if not is_good:
            self.deferred += 1
            return
        self.delivered += 1
        self.by_site[self.site_of(claim.domain)] += 1
        self.waits.append(self.clock.monotonic() - self._came.pop(claim.deliveries[0].id))

    async def accept(self, number: int) -> None:
        """A message comes in at a node: the database takes it, then it is handed over or waits."""
        domain = self._random.choices(self._names, cum_weights=self._weights)[0]
        scheduler = self.schedulers[number % self.plan.nodes]
        lease = scheduler.reserve([domain], SIZE, account_id=ACCOUNT, priority=MessageClass.TRANSACTIONAL)
        new = self.samples.message([f"u@{domain}"], created_at=self.clock.now(), lease=lease)
        self.accepted += 1
        self._came[new.deliveries[0].id] = now = self.clock.monotonic()
        await self.clock.sleep(self.database.work(now, self.plan.database_us / 2e6))
        if lease is None:
            self.queue.put(new)
            self.bells[self.queue.node_of(self.site_of(domain))].set()
        else:
            self.handed_over += 1
            self.queue.lease(new)
            scheduler.offer(lease, [claim_of(new, lease)], new.content)

    async def run(self) -> None:
        """The whole time. Each hundredth of a second as many messages come as chance has it."""
        running = [asyncio.ensure_future(scheduler.run()) for scheduler in self.schedulers]
        coming: set[asyncio.Task[None]] = set()
        number, owed = 0, 0.0
        while self.clock.monotonic() - self.began < self.plan.seconds:
            owed += self.plan.rate / 100 * self._random.expovariate(1.0)
            for _ in range(int(owed)):
                task = asyncio.ensure_future(self.accept(number))
                coming.add(task)
                task.add_done_callback(coming.discard)
                number += 1
            owed %= 1.0
            await self.clock.sleep(0.01)
        await asyncio.gather(*coming)
        self.found = self.figures()
        for scheduler in self.schedulers:
            await scheduler.stop(0.0)
        await asyncio.gather(*running)

    def figures(self) -> dict[str, Any]:
        """What the time has shown."""
        plan, waits = self.plan, sorted(self.waits)
        busiest = [(site, count, self.most_at_once[site]) for site, count in self.by_site.most_common(6)]
        return {
            "per_day": plan.per_day,
            "nodes": plan.nodes,
            "asked_per_s": round(plan.rate),
            "accepted": self.accepted,
            "delivered": self.delivered,
            "delivered_per_s": round(self.delivered / plan.seconds),
            "handed_over_share": round(self.handed_over / max(1, self.accepted), 3),
            "deferred": self.deferred,
            "waiting": self.accepted - self.delivered,
            "wait_p50_s": round(statistics.median(waits), 2) if waits else None,
            "wait_p99_s": round(waits[int(len(waits) * 0.99)], 2) if waits else None,
            "sites": [{"site": site, "per_s": round(count / plan.seconds, 1), "sessions": most} for site, count, most in busiest],
            "claims_per_message": round(sum(each.claims for each in self.views) / max(1, self.accepted), 2),
            "node_load": [round(each.processor.busy / plan.seconds, 2) for each in self.workers],
            "database_load": round(self.database.busy / plan.seconds / plan.database_cores, 2),
            "attempts": [int(each.statistics()["attempts"]) for each in self.schedulers],
            "limits_first": self.first_limit(),
        }

    def first_limit(self) -> str:
        """What is used up while mail waits; the sites' sessions before the processors, since those are what a person can change."""
        under_way = sum(each.statistics()["attempts"] for each in self.schedulers)
        if self.accepted - self.delivered - under_way < 0.05 * self.accepted:
            return "nothing"
        if self.database.busy > 0.95 * self.plan.seconds * self.plan.database_cores:
            return "the database"
        if max(each.processor.busy for each in self.workers) > 0.9 * self.plan.seconds:
            return "the process that owns the busiest sites"
        if max(int(each.statistics()["attempts"]) for each in self.schedulers) >= 0.9 * MAX_ATTEMPTS:
            return "places for attempts of a process"
        return "sessions that sites may have"


def simulate(plan: Plan) -> dict[str, Any]:
    """Runs a plan on a loop of its own."""

    async def work() -> dict[str, Any]:
        world = World(plan)
        await world.run()
        return world.found

    loop = VirtualTimeLoop()
    asyncio.set_event_loop(loop)
    began = time.perf_counter()
    try:
        return {**loop.run_until_complete(work()), "took_s": round(time.perf_counter() - began, 1)}
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        asyncio.set_event_loop(None)


def main() -> None:
    """Prints what a plan shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-day", type=float, default=10e6)
    for name, kind in (("nodes", int), ("peak", float), ("seconds", float), ("domains", int), ("sessions", int), ("node-us", float)):
        parser.add_argument(f"--{name}", type=kind, default=None)
    parser.add_argument("--database-us", type=float, default=None)
    parser.add_argument("--database-cores", type=int, default=None)
    parser.add_argument("--outage", default=None)
    parser.add_argument("--is-grown", action="store_true", default=None)
    parser.add_argument("--json", action="store_true")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    as_json = given.pop("json")
    found = simulate(replace(Plan(given["per_day"]), **given))
    if as_json:
        print(json.dumps(found))
        return
    print(describe())
    for name, value in found.items():
        print(f"{name:18} {value}")


if __name__ == "__main__":
    main()
