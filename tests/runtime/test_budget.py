"""Shares of a budget: limits, reserves, and the order in which who waits is served."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.runtime.budget import BudgetExhausted, ContentBudget, Share

TIMEOUT = 30.0


async def waiting(budget: Share, count: int) -> None:
    while budget.waiting < count:
        await asyncio.sleep(0)


def test_a_share_cannot_take_what_another_has_reserved() -> None:
    budget = Share(100)
    first, second = budget.share(100, reserved=30), budget.share(100, reserved=20)
    assert first.try_take(80)
    assert not first.try_take(1)
    assert second.try_take(20)
    assert not second.try_take(1)
    first.give_back(80)
    assert second.try_take(50)
    assert budget.taken == 70


def test_an_owner_has_a_limit_of_its_own() -> None:
    share = Share(100)
    assert share.part("one", 40).try_take(40)
    assert not share.part("one", 40).try_take(1)
    assert share.part("two", 40).try_take(40)
    share.part("one", 40).give_back(40)
    assert share.taken == 40


async def test_who_waits_gets_what_is_given_back() -> None:
    share = Share(10)
    assert share.try_take(10)
    task = asyncio.create_task(share.take(6, TIMEOUT))
    await waiting(share, 1)
    share.give_back(5)
    await asyncio.sleep(0)
    assert not task.done()
    share.give_back(5)
    await task
    assert share.taken == 6


async def test_small_requests_do_not_starve_a_large_one() -> None:
    share = Share(10)
    assert share.try_take(6)
    large = asyncio.create_task(share.take(8, TIMEOUT))
    await waiting(share, 1)
    assert not share.try_take(2)
    share.give_back(6)
    await large
    assert share.try_take(2)


async def test_live_keys_are_served_before_test_keys() -> None:
    budget = Share(10)
    blocker, live, test = budget.share(10), budget.share(10), budget.share(10, rank=1)
    assert blocker.try_take(10)
    served: list[str] = []

    async def take(name: str, share: Share) -> None:
        async with share.hold(10, TIMEOUT):
            served.append(name)

    tasks = [asyncio.create_task(take("test", test))]
    await waiting(budget, 1)
    tasks.append(asyncio.create_task(take("live", live)))
    await waiting(budget, 2)
    blocker.give_back(10)
    await asyncio.gather(*tasks)
    assert served == ["live", "test"]


async def test_shares_take_turns() -> None:
    budget = Share(1)
    blocker, many, one = budget.share(1), budget.share(1), budget.share(1)
    assert blocker.try_take(1)
    served: list[str] = []

    async def take(name: str, share: Share) -> None:
        async with share.hold(1, TIMEOUT):
            served.append(name)

    tasks = [asyncio.create_task(take("many", many)) for _ in range(5)]
    await waiting(budget, 5)
    tasks.append(asyncio.create_task(take("one", one)))
    await waiting(budget, 6)
    blocker.give_back(1)
    await asyncio.gather(*tasks)
    assert served.index("one") <= 1


async def test_waiting_ends_and_makes_room_for_the_next() -> None:
    share = Share(10)
    assert share.try_take(6)
    large = asyncio.create_task(share.take(8, 0.02))
    await waiting(share, 1)
    small = asyncio.create_task(share.take(4, TIMEOUT))
    with pytest.raises(BudgetExhausted):
        await large
    await small
    assert share.taken == 10


async def test_who_is_cancelled_leaves_nothing_taken() -> None:
    share = Share(10)
    assert share.try_take(10)
    task = asyncio.create_task(share.take(8, TIMEOUT))
    await waiting(share, 1)
    share.give_back(10)  # it is served, and cancelled before it runs
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert share.taken == 0


async def test_work_that_needs_more_than_all_gets_all() -> None:
    share = Share(10)
    async with share.hold(50, TIMEOUT):
        assert share.taken == 10
    assert share.taken == 0


async def test_test_keys_and_one_live_key_leave_room_for_the_others() -> None:
    budget = ContentBudget()
    for number in range(100):
        while budget.receipt(number, is_test=True).try_take(64 * 1024):
            pass
    while budget.receipt("one", is_test=False).try_take(64 * 1024):
        pass
    assert budget.receipt("two", is_test=False).try_take(8 * 1024 * 1024)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40)), max_size=60))
def test_no_sequence_of_takes_goes_beyond_a_limit(steps: list[tuple[int, int]]) -> None:
    budget = Share(100)
    group = budget.share(60, reserved=20)
    shares = [budget.share(50, reserved=10), group.share(30, reserved=5), group.share(60), budget.share(100)]
    taken: list[tuple[Share, int]] = []
    for index, octets in steps:
        if shares[index].try_take(octets):
            taken.append((shares[index], octets))
        elif taken:
            share, given = taken.pop(0)
            share.give_back(given)
        assert budget.taken == sum(octets for _, octets in taken) <= 100
        assert all(share.taken <= share.limit for share in (*shares, group))
    for share, octets in taken:
        share.give_back(octets)
    assert budget.taken == 0
    assert budget._common_taken == 0


async def test_who_is_cancelled_just_before_its_turn_leaves_the_line() -> None:
    share = Share(10)
    assert share.try_take(10)
    task = asyncio.create_task(share.take(5, TIMEOUT))
    await waiting(share, 1)
    task.cancel()
    share.give_back(10)  # before the task has noticed
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (share.taken, share.waiting) == (0, 0)
    assert share.try_take(10)
