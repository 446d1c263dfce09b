"""What the SQLite store costs: durable accepts, claims and outcomes, and the same on top of a long queue.

    python benchmarks/store.py                            # the short round
    python benchmarks/store.py --queued 1000,1000000      # the cost of a message on top of a thousand and of a million that wait
    python benchmarks/store.py --queued 1000 --json       # that alone, as JSON
    python benchmarks/store.py --directory /var/tmp       # on another disk

Figures: operations a second, and microseconds of processor time of the whole process for each, callers included.
"""

import argparse
import asyncio
import gc
import json
import os
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path

import uvloop
from machine import describe

from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.store.base import Claim, Lease, NewMessage, Outcome
from sendryd.store.sqlite import SqliteStore, open_store
from sendryd.testing.samples import ACCOUNT, NOW, Samples

CONTENT = b"From: a@example.test\r\nSubject: Hello\r\n\r\n" + os.urandom(2480).hex().encode()  # 5 KB
SMALL = b"From: a@example.test\r\n\r\nbody\r\n"
BUSY = "dead.test"
CLAIMED = 20  # deliveries of one claim while the queue is long


@dataclass(frozen=True, slots=True)
class Figure:
    """How fast, and at what cost."""

    rate: float  # a second
    cpu: float  # microseconds for each

    def __str__(self) -> str:
        return f"{self.rate:8,.0f}/s  {self.cpu:6.1f} us CPU"


async def measure(total: int, callers: int, work: Callable[[int], Awaitable[object]]) -> Figure:
    """Runs `work` so many times, by so many callers at once."""
    numbers = count()

    async def call() -> None:
        while (number := next(numbers)) < total:
            await work(number)

    gc.collect()
    started, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(call() for _ in range(callers)))
    return Figure(total / (time.perf_counter() - started), (time.process_time() - spent) / total * 1e6)


class Bench:
    """A store and values to fill it with."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.samples = Samples()
        self.lease = self.samples.lease()
        self.now = NOW

    def outcomes(self, delivery_ids: list[int]) -> list[Outcome]:
        """Delivered, with its two events."""
        types = (EventType.SENT, EventType.DELIVERED)
        return [
            Outcome(
                delivery_id=number,  # type: ignore[arg-type]  # taken from values that have the type
                state=DeliveryState.DELIVERED,
                due_at=None,
                reply="250 2.0.0 Ok: queued as 4XyZ",
                events=tuple(self.samples.event(each, {"code": 250, "reply": "2.0.0 Ok", "host": "mx.example.org"}) for each in types),
            )
            for number in delivery_ids
        ]

    async def accept(self, message: NewMessage) -> None:
        """One durable accept."""
        await self.store.accept(message)

    async def record(self, lease: Lease, delivery_ids: list[int]) -> None:
        """One outcome for each delivery of a message."""
        await self.store.record_attempt(lease, self.outcomes(delivery_ids), self.now)

    async def hot_path(self, total: int, callers: int) -> tuple[Figure, Figure]:
        """Accepts that hand their delivery over, then their outcomes."""
        messages = [self.samples.message(content=CONTENT, lease=self.lease) for _ in range(total)]
        accepted = await measure(total, callers, lambda number: self.accept(messages[number]))
        recorded = await measure(total, callers, lambda number: self.record(self.lease, [messages[number].deliveries[0].id]))
        return accepted, recorded

    async def through_queue(self, total: int, callers: int, busy: frozenset[str] = frozenset()) -> tuple[Figure, Figure, Figure]:
        """Accepts that wait in the queue, then claims, then outcomes. A claim counts for each delivery that it takes."""
        self.now += timedelta(seconds=20)
        messages = [self.samples.message([f"user@d{number % 40}.test"], content=CONTENT, created_at=self.now) for number in range(total)]
        accepted = await measure(total, callers, lambda number: self.accept(messages[number]))
        claims: list[Claim] = []

        async def claim(_: int) -> None:
            lease = self.samples.lease()
            claims.extend(await self.store.claim_deliveries(now=self.now, lease=lease, limit=CLAIMED, busy=busy, per_domain=CLAIMED))

        rounds = total // CLAIMED
        claimed = await measure(rounds, 1, claim)
        if len(claims) < rounds * CLAIMED * 0.95:
            raise RuntimeError(f"only {len(claims)} of {total} were claimed")
        recorded = await measure(
            len(claims), callers, lambda number: self.record(claims[number].lease, [each.id for each in claims[number].deliveries])
        )
        return accepted, Figure(claimed.rate * CLAIMED, claimed.cpu / CLAIMED), recorded

    async def fill(self, total: int) -> None:
        """Queues messages: half due, for a domain that is busy; half to be tried later, for many domains."""

        async def add(number: int) -> None:
            if number % 2:
                message = self.samples.message([f"user@{BUSY}"], content=SMALL)
            else:
                message = self.samples.message([f"user@e{number % 10_000}.test"], content=SMALL, due_at=NOW + timedelta(hours=1))
            await self.accept(message)

        await measure(total, 500, add)


async def measure_hot_path(folder: Path, messages: int) -> None:
    """Prints what accepts and outcomes cost by the number of callers."""
    store = open_store(folder, monotonic=time.monotonic)
    await store.ensure_account(ACCOUNT, "default", NOW)
    bench = Bench(store)
    await bench.hot_path(500, 20)
    for callers in (1, 20, 100):
        total = messages // 20 if callers == 1 else messages
        before = store.statistics()
        accepted, recorded = await bench.hot_path(total, callers)
        after = store.statistics()
        commits = (after["commits"] - before["commits"]) / 2
        print(f"accept   {callers:4} callers  {accepted}  {total / commits:5.1f} in a commit")
        print(f"record   {callers:4} callers  {recorded}")
    await store.aclose()


async def measure_queue(folder: Path, messages: int, queued: int) -> dict[str, Figure]:
    """What an accept, a claim and an outcome cost on top of a queue."""
    store = open_store(folder, monotonic=time.monotonic)
    await store.ensure_account(ACCOUNT, "default", NOW)
    bench = Bench(store)
    await bench.fill(queued)
    figures = [await bench.through_queue(messages // 4, 100, frozenset({BUSY})) for _ in range(4)]
    best = [min((figure[part] for figure in figures), key=lambda each: each.cpu) for part in range(3)]
    await store.aclose()
    return dict(zip(("accept", "claim", "record"), best, strict=True))


def peak_memory() -> float:
    """Megabytes, of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def run(arguments: argparse.Namespace) -> None:
    """All scenarios, each on a store of its own."""
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        if not arguments.json:
            await measure_hot_path(Path(name) / "hot", arguments.messages)
        costs: dict[int, float] = {}
        for queued in map(int, arguments.queued.split(",")):
            found = await measure_queue(Path(name) / f"queue-{queued}", arguments.messages, queued)
            costs[queued] = sum(figure.cpu for figure in found.values())
            if arguments.json:
                parts = {word: round(figure.cpu, 1) for word, figure in found.items()}
                print(json.dumps({"queued": queued, "cost": round(costs[queued], 1), "peak_mb": round(peak_memory()), **parts}))
                continue
            for word, figure in found.items():
                print(f"{word:7}  {queued:9,} queued  {figure}")
        if not arguments.json:
            few, many = min(costs), max(costs)
            print(f"a message costs {costs[many] / costs[few]:.2f} times as much with {many:,} queued as with {few:,}")
            print(f"peak memory {peak_memory():.0f} MB")


def main() -> None:
    """Prints the machine, the command, and the figures."""
    parser = argparse.ArgumentParser(description="What the SQLite store costs.")
    parser.add_argument("--messages", type=int, default=8_000, help="messages in one measurement")
    parser.add_argument("--queued", default="1000,50000", help="lengths of queues")
    parser.add_argument("--json", action="store_true", help="the queues alone, a JSON object for each")
    parser.add_argument("--directory", type=Path, default=None, help="where to make the databases")
    arguments = parser.parse_args()
    if not arguments.json:
        print(describe())
    uvloop.run(run(arguments))


if __name__ == "__main__":
    main()
