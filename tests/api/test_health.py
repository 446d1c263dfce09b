"""Readiness: the reason, how often the store is tried, and shutting down."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from starlette.requests import Request

from sendryd.api.health import READINESS_KEPT, Health
from sendryd.store.base import SpoolReport
from sendryd.store.errors import StoreFull
from sendryd.testing.clock import ManualClock


class Disk:
    """A store of which only this is asked."""

    def __init__(self) -> None:
        self.is_full = False
        self.tries = 0

    async def check_writable(self) -> None:
        self.tries += 1
        await asyncio.sleep(0)
        if self.is_full:
            raise StoreFull("the disk is full")

    async def delete_messages(self, **_: object) -> int:
        return 0

    async def delete_events(self, **_: object) -> int:
        return 0

    async def delete_answers(self, **_: object) -> int:
        return 0

    async def compare_spool(self) -> SpoolReport:
        return SpoolReport(segments=0, messages=0)

    async def read_clock(self) -> datetime | None:
        return None

    async def note_clock(self, settled: datetime) -> None:
        raise AssertionError("health notes no time")

    def can_write(self) -> bool:
        return True

    def statistics(self) -> Mapping[str, int | float]:
        return {}


async def render() -> bytes:
    return b""


def made() -> tuple[Disk, ManualClock, Health, Callable[[], Awaitable[tuple[int, bytes]]]]:
    disk, clock = Disk(), ManualClock()
    health = Health(disk, render, clock)

    async def ask() -> tuple[int, bytes]:
        answer = await health.get_readiness(Request({"type": "http", "headers": []}))
        return answer.status_code, bytes(answer.body)

    return disk, clock, health, ask


async def test_a_full_disk_is_503_with_the_reason_and_over_when_it_is() -> None:
    disk, clock, _, ask = made()
    assert (await ask())[0] == 200
    disk.is_full = True
    clock.advance(timedelta(seconds=READINESS_KEPT))
    status, body = await ask()
    assert status == 503
    assert b"the disk is full" in body
    disk.is_full = False
    clock.advance(timedelta(seconds=READINESS_KEPT))
    assert (await ask())[0] == 200


async def test_the_store_is_tried_once_a_second_however_often_it_is_asked() -> None:
    disk, clock, _, ask = made()
    disk.is_full = True
    answers = await asyncio.gather(*(ask() for _ in range(20)))
    assert disk.tries == 1
    assert {status for status, _ in answers} == {503}
    clock.advance(timedelta(seconds=READINESS_KEPT * 0.9))
    await ask()
    assert disk.tries == 1


async def test_a_server_that_stops_is_not_ready() -> None:
    disk, _, health, ask = made()
    health.is_stopping = True
    assert await ask() == (503, b'{"status":"unavailable","reason":"shutting down"}')
    assert disk.tries == 0
