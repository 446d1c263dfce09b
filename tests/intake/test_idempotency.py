"""Requests under one idempotency key at once: one goes ahead, the others wait, and nothing is left behind."""

import asyncio

import pytest

from sendryd.intake.idempotency import WAIT_TIMEOUT, KeyBusy, KeyLocks
from sendryd.model.ids import AccountId

pytestmark = pytest.mark.virtual_time
ONE, TWO = AccountId(1), AccountId(2)


class Crowd:
    """Those who have their turn now, and how many there were at once."""

    def __init__(self) -> None:
        self.locks = KeyLocks()
        self.gate = asyncio.Event()
        self.inside = 0
        self.most = 0
        self.order: list[int] = []

    async def come(self, number: int = 0, account: AccountId = ONE, key: str = "k") -> None:
        async with self.locks.hold(account, key):
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.order.append(number)
            try:
                await self.gate.wait()
            finally:
                self.inside -= 1

    async def wait_inside(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.inside < count:
                await asyncio.sleep(0)


async def test_requests_with_one_key_run_in_order_of_arrival() -> None:
    crowd = Crowd()
    tasks = [asyncio.create_task(crowd.come(number)) for number in range(5)]
    await crowd.wait_inside(1)
    assert repr(crowd.locks) == "<KeyLocks 1 keys in use>"
    crowd.gate.set()
    await asyncio.gather(*tasks)
    assert (crowd.most, crowd.order) == (1, [0, 1, 2, 3, 4])
    assert repr(crowd.locks) == "<KeyLocks 0 keys in use>"


async def test_other_keys_and_other_accounts_wait_for_nobody() -> None:
    crowd = Crowd()
    tasks = [asyncio.create_task(crowd.come(0, account, key)) for account, key in ((ONE, "a"), (ONE, "b"), (TWO, "a"))]
    await crowd.wait_inside(3)
    crowd.gate.set()
    await asyncio.gather(*tasks)


async def test_a_twin_waits_no_longer_than_it_was_promised() -> None:
    crowd = Crowd()
    first = asyncio.create_task(crowd.come(1))
    await crowd.wait_inside(1)
    before = asyncio.get_running_loop().time()
    with pytest.raises(KeyBusy):
        await crowd.come(2)
    assert asyncio.get_running_loop().time() - before == pytest.approx(WAIT_TIMEOUT)
    crowd.gate.set()
    await first
    await crowd.come(3)
    assert crowd.order == [1, 3]
    assert repr(crowd.locks) == "<KeyLocks 0 keys in use>"


async def test_time_in_a_turn_is_not_time_waited_for_it() -> None:
    crowd = Crowd()
    async with crowd.locks.hold(ONE, "k"):
        await asyncio.sleep(3 * WAIT_TIMEOUT)
    crowd.gate.set()
    await crowd.come()


async def test_a_turn_that_fails_lets_the_next_go_ahead() -> None:
    crowd = Crowd()
    with pytest.raises(ZeroDivisionError):
        async with crowd.locks.hold(ONE, "k"):
            raise ZeroDivisionError
    crowd.gate.set()
    await crowd.come()
    assert repr(crowd.locks) == "<KeyLocks 0 keys in use>"


async def test_who_gives_up_leaves_the_others_their_turns() -> None:
    crowd = Crowd()
    tasks = [asyncio.create_task(crowd.come(number)) for number in range(4)]
    await crowd.wait_inside(1)
    tasks[2].cancel()  # while it waits
    tasks[0].cancel()  # in its turn
    await asyncio.gather(tasks[0], tasks[2], return_exceptions=True)
    await crowd.wait_inside(1)
    crowd.gate.set()
    await asyncio.gather(tasks[1], tasks[3])
    assert (crowd.most, crowd.order) == (1, [0, 1, 3])
    assert repr(crowd.locks) == "<KeyLocks 0 keys in use>"
