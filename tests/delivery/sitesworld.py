"""A scheduler with sites, in virtual time: its worker delivers each message in a second, its DNS forgets after five."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import cast

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.destinations import Destinations, NoRoute
from sendryd.delivery.dialoguenotes import AttemptNotes
from sendryd.delivery.ownership import Ownership
from sendryd.delivery.scheduler import Scheduler
from sendryd.delivery.shaper import Shaper
from sendryd.delivery.sites import Sites
from sendryd.delivery.target import Target
from sendryd.delivery.worker import Worker
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId, DeliveryId
from sendryd.model.message import MessageClass
from sendryd.policy.replies.verdict import Category, Kind, Verdict, local_verdict
from sendryd.policy.retry import RetryPlan
from sendryd.policy.routing import MailHost, NextHop
from sendryd.policy.shaping.rules import Rules, read_rules
from sendryd.policy.throttle import Signal
from sendryd.policy.tls import OPPORTUNISTIC
from sendryd.runtime.budget import Share
from sendryd.runtime.rand import SeededRand
from sendryd.runtime.wakeup import Wakeup
from sendryd.store.base import Claim, MailStore, Outcome
from sendryd.store.memory import MemoryStore
from sendryd.testing.samples import ACCOUNT, NOW, OWNER, Samples, claim_of
from sendryd.testing.virtualtime import VirtualClock

RULES = read_rules('[provider.big]\nmx = ["big.test"]\nconnections = 4\nmessages_per_connection = 20\ntls = "required"')
SILENT = NoRoute(local_verdict(Kind.DEFERRED, Category.DNS_FAILURE, "4.4.3", "DNS gave no answer"), is_silent=True)


class CountingWorker:
    """Delivers each message in a second, and counts how many at once."""

    def __init__(self, store: MailStore, clock: VirtualClock) -> None:
        self._store, self._clock = store, clock
        self.unrecorded = self.damaged = 0
        self.signal = Signal.GOOD
        self.seconds = 1.0  # of each attempt
        self.failing: set[str] = set()  # domains whose servers cannot be reached
        self.verdict: Verdict | None = None  # what the server says instead
        self.tried: list[str] = []
        self.delivered: list[tuple[float, AccountId, MessageClass]] = []
        self.began: list[float] = []  # when each attempt began
        self.unroutable: list[str] = []
        self.at_once = self.most_at_once = 0

    async def attempt(self, claim: Claim, content: bytes | None, route: NextHop | NoRoute) -> Attempt:
        if isinstance(route, NoRoute):
            self.unroutable.append(claim.domain)
            return Attempt(claim, AttemptNotes(NOW, lambda: 0.0), Signal.NEUTRAL)
        assert route.domain in {claim.domain, "*"}
        self.began.append(self._clock.monotonic())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self._clock.sleep(self.seconds)
        self.at_once -= 1
        self.tried.append(claim.domain)
        self.delivered.append((self._clock.monotonic(), claim.message.account_id, claim.priority))
        attempt = Attempt(claim, AttemptNotes(NOW, lambda: 0.0), Signal.BAD if claim.domain in self.failing else self.signal)
        host = route.hosts[0]
        attempt.notes.begin(Target(host=host.name, address=host.addresses[0], port=route.port, tls=OPPORTUNISTIC), None)
        if self.verdict is not None:
            attempt.judge_rest(self.verdict)
        return attempt

    async def record(self, attempt: Attempt) -> frozenset[DeliveryId]:
        claim, is_good = attempt.claim, attempt.signal is Signal.GOOD and not attempt.verdicts
        state = DeliveryState.DELIVERED if is_good else DeliveryState.QUEUED
        due_at = None if is_good else self._clock.now() + timedelta(hours=1)
        outcomes = [Outcome(delivery_id=each.id, state=state, due_at=due_at, reply="", events=()) for each in claim.deliveries]
        await self._store.record_attempt(claim.lease, outcomes, self._clock.now())
        return frozenset()


class MxRecords:
    """Finds the servers of domains after a moment; forgets them after five seconds."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._found: dict[str, float] = {}
        self.mx: dict[str, tuple[str, ...]] = {}
        self.memory = 5.0  # seconds that an answer is known
        self.problems: dict[str, NoRoute] = {}  # of domains to which no mail can be sent
        self.slow: dict[str, float] = {}  # seconds that the look-up of a domain takes
        self.looked_up: list[str] = []

    def known(self, domain: str) -> NextHop | None:
        is_known = domain in self.mx and domain not in self.problems and self._found.get(domain, 0.0) > self._clock.monotonic()
        return self._route(domain) if is_known else None

    async def find(self, domain: str) -> NextHop | NoRoute:
        self.looked_up.append(domain)
        await self._clock.sleep(self.slow.get(domain, 0.1))
        if domain in self.problems or domain not in self.mx:
            return self.problems.get(domain, SILENT)
        self._found[domain] = self._clock.monotonic() + self.memory
        return self._route(domain)

    def _route(self, domain: str) -> NextHop:
        mx = self.mx[domain]
        return NextHop(domain, tuple(MailHost(name, ("192.0.2.1",)) for name in mx), 25, mx=mx)


class World:
    """A scheduler with sites."""

    def __init__(
        self,
        rules: Rules = RULES,
        store: MemoryStore | None = None,
        *,
        has_smart_host: bool = False,
        dns: type[MxRecords] = MxRecords,
        worker: type[CountingWorker] = CountingWorker,
        ownership: Ownership | None = None,
    ) -> None:
        self.clock, self.store, self.wakeup = VirtualClock(), store or MemoryStore(), Wakeup()
        self.shaper = Shaper(Sites(rules), self.clock)
        self.samples = Samples(self.clock.now() + timedelta(days=1 if store else 0))
        self.worker, self.dns = worker(self.store, self.clock), dns(self.clock)
        self.scheduler = Scheduler(
            self.store,
            cast("Worker", self.worker),
            cast("Destinations", self.dns),
            plan=RetryPlan((timedelta(minutes=1),), timedelta(hours=72)),
            owner=OWNER,
            clock=self.clock,
            rand=SeededRand(1),
            wakeup=self.wakeup,
            has_smart_host=has_smart_host,
            memory=Share(1 << 20),
            shaper=self.shaper,
            ownership=ownership,
        )

    async def queue(
        self,
        domain: str,
        number: int = 1,
        account: AccountId = ACCOUNT,
        *,
        priority: MessageClass = MessageClass.TRANSACTIONAL,
        lane: str = "",
    ) -> None:
        for _ in range(number):
            new = self.samples.message([f"u@{domain}"], created_at=self.clock.now(), account_id=account, priority=priority, lane=lane)
            await self.store.accept(new)
        self.wakeup.set()

    async def hand_over(self, domain: str, account: AccountId = ACCOUNT) -> bool:
        lease = self.scheduler.reserve([domain], 100, account_id=account, priority=MessageClass.TRANSACTIONAL)
        if lease is None:
            return False
        new = self.samples.message([f"u@{domain}"], created_at=self.clock.now(), lease=lease, account_id=account)
        await self.store.accept(new)
        self.scheduler.offer(lease, [claim_of(new, lease)], new.content)
        return True

    async def run(self, seconds: float) -> None:
        running = asyncio.ensure_future(self.scheduler.run())
        await self.clock.sleep(seconds)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
