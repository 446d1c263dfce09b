"""The examination of the installation runs in the background, and not too often."""

import asyncio
from datetime import timedelta

from sendryd.dashboard.examination import MIN_AGE, Examination
from sendryd.policy.health import Check, Finding, Verdict
from sendryd.testing.clock import ManualClock

FINDING = Finding(check=Check.DISK, verdict=Verdict.RIGHT, sentence="There is room.")


class Doctor:
    """Counts examinations, which end when the gate is open."""

    def __init__(self) -> None:
        self.times = 0
        self.gate = asyncio.Event()
        self.fault: Exception | None = None

    async def examine(self) -> list[Finding]:
        self.times += 1
        await self.gate.wait()
        if self.fault:
            raise self.fault
        return [FINDING]


async def test_the_first_page_waits_a_little_and_the_next_ones_get_the_last_result() -> None:
    doctor, clock = Doctor(), ManualClock()
    examination = Examination(doctor.examine, clock)
    assert await examination.latest(patience=0.0) is None
    assert examination.is_running
    doctor.gate.set()
    first = await examination.latest()
    assert first is not None
    assert (first.findings, first.at, doctor.times) == ((FINDING,), clock.now(), 1)
    assert await examination.latest() is first
    clock.advance(MIN_AGE + timedelta(seconds=1))
    doctor.gate.clear()
    assert await examination.latest() is first
    assert await examination.latest() is first
    doctor.gate.set()
    await examination.run_now()
    assert doctor.times == 2
    again = await examination.latest()
    assert again is not None
    assert again.at == clock.now()


async def test_a_failed_examination_leaves_the_last_result() -> None:
    doctor = Doctor()
    examination = Examination(doctor.examine, ManualClock())
    doctor.gate.set()
    first = await examination.latest()
    doctor.fault = OSError("x")
    await examination.run_now()
    assert await examination.latest() is first
    assert not examination.is_running
