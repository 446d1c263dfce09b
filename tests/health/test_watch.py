"""The watch keeps findings with their history, and examines once at a time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from sendryd.health import Watch
from sendryd.policy.health import Check, Finding, Verdict
from sendryd.policy.health.history import KEPT, FindingSpan
from sendryd.store.base import Store
from sendryd.testing.clock import ManualClock
from sendryd.testing.stores import open_new_store
from sendryd.upkeep.health import ALL_EVERY, HealthKeeper

MINUTE = timedelta(minutes=1)


class Machine:
    """What is examined, and how often."""

    def __init__(self) -> None:
        self.verdict = Verdict.RIGHT
        self.asked: list[bool] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fault: Exception | None = None

    async def examine(self, is_quick: bool) -> list[Finding]:
        self.asked.append(is_quick)
        await self.gate.wait()
        if self.fault:
            raise self.fault
        disk = Finding(check=Check.DISK, verdict=self.verdict, sentence="The disk.")
        return [disk] if is_quick else [disk, Finding(check=Check.PTR, verdict=Verdict.RIGHT, sentence="A name.")]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = open_new_store(tmp_path)
    yield made
    await made.aclose()


async def test_findings_have_the_time_since_which_they_are_so(store: Store) -> None:
    machine, clock = Machine(), ManualClock()
    watch, start = Watch(machine.examine, store, clock), clock.now()
    await watch.look(is_quick=False)
    clock.advance(MINUTE)
    machine.verdict = Verdict.WRONG
    await watch.look(is_quick=True)
    assert [(each.finding.check, each.finding.verdict, each.began_at) for each in await store.list_finding_spans()] == [
        (Check.PTR, Verdict.RIGHT, start),
        (Check.DISK, Verdict.WRONG, start + MINUTE),
    ]
    (over,) = [each for each in await store.list_finding_spans(ended_since=start) if each.ended_at]
    assert over == FindingSpan(
        finding=Finding(check=Check.DISK, verdict=Verdict.RIGHT, sentence="The disk."), began_at=start, ended_at=start + MINUTE
    )
    clock.advance(KEPT + MINUTE)
    machine.verdict = Verdict.RIGHT
    await watch.look(is_quick=True)
    assert over not in await store.list_finding_spans(ended_since=start)


async def test_all_checks_are_made_once_an_hour(store: Store) -> None:
    machine, clock = Machine(), ManualClock()
    keeper = HealthKeeper(Watch(machine.examine, store, clock), clock=clock)
    for _ in range(ALL_EVERY + 2):
        await keeper.run_once()
    assert [at for at, is_quick in enumerate(machine.asked) if not is_quick] == [1, ALL_EVERY + 1]


async def test_who_asks_twice_shares_one_examination(store: Store) -> None:
    machine, clock = Machine(), ManualClock()
    watch = Watch(machine.examine, store, clock)
    machine.gate.clear()
    await watch.run_now(patience=0.0)
    assert watch.is_running
    machine.gate.set()
    await watch.run_now()
    assert (machine.asked, watch.is_running, watch.examined_at) == ([False], False, clock.now())


async def test_an_examination_that_fails_leaves_the_findings(store: Store) -> None:
    machine = Machine()
    watch = Watch(machine.examine, store, ManualClock())
    await watch.run_now()
    before = await store.list_finding_spans()
    machine.fault = OSError("x")
    await watch.run_now()
    assert await store.list_finding_spans() == before
    assert not watch.is_running
