"""The clock that machines share."""

from datetime import datetime, timedelta

import pytest

from sendryd.runtime.clock import TOLERANCE, SystemClock

MINUTE = timedelta(minutes=1)


def machine_time() -> datetime:
    return SystemClock().now()


@pytest.mark.parametrize("ahead", [MINUTE, -MINUTE, timedelta(days=400)])
async def test_it_goes_by_a_clock_that_differs(ahead: timedelta) -> None:
    async def read() -> datetime:
        return machine_time() + ahead

    clock = SystemClock()
    found = await clock.follow(read)
    assert found is not None
    assert abs(found - ahead) < TOLERANCE
    assert abs(clock.now() - machine_time() - ahead) < TOLERANCE
    assert abs(clock.unix_ms() / 1000 - clock.now().timestamp()) < 1
    assert await clock.follow(read) is None


async def test_a_small_difference_is_no_reason_to_jump() -> None:
    async def read() -> datetime:
        return machine_time() + TOLERANCE / 2

    clock = SystemClock()
    assert await clock.follow(read) is None
    assert abs(clock.now() - machine_time()) < TOLERANCE / 2


async def test_it_goes_back_once_the_other_clock_does() -> None:
    offset = MINUTE

    async def read() -> datetime:
        return machine_time() + offset

    clock = SystemClock()
    await clock.follow(read)
    offset = timedelta()
    await clock.follow(read)
    assert abs(clock.now() - machine_time()) < TOLERANCE
