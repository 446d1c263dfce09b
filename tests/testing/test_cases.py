"""Tables of cases: every case runs, and the ones that fail are named."""

import asyncio
import inspect

import pytest

from sendryd.testing.cases import cases


def test_every_case_runs_and_those_that_fail_are_named() -> None:
    ran = []

    @cases("number, limit", [(1, 5), (7, 5), (2, 5), (9, 5)], ids=["a", "b", "c", "d"])
    def check(number: int, limit: int) -> None:
        ran.append(number)
        assert number < limit

    with pytest.raises(ExceptionGroup, match="2 of 4 cases fail") as raised:
        check()
    assert ran == [1, 7, 2, 9]
    assert [each.__notes__ for each in raised.value.exceptions] == [["case 1 b: number=7, limit=5"], ["case 3 d: number=9, limit=5"]]


def test_tables_multiply_and_fixtures_stay_arguments() -> None:
    ran = []

    @cases("one", "ab")
    @cases(("two", "three"), [(1, 2), (3, 4)])
    def check(one: str, two: int, three: int, fixture: str) -> None:
        ran.append((one, two, three, fixture))

    assert list(inspect.signature(check).parameters) == ["fixture"]
    check(fixture="f")
    assert ran == [("a", 1, 2, "f"), ("a", 3, 4, "f"), ("b", 1, 2, "f"), ("b", 3, 4, "f")]


async def test_asynchronous_cases_share_loop_and_fixtures() -> None:
    loops = []

    @cases("number", [1, 2, 3])
    async def check(number: int, fixture: list[int]) -> None:
        loops.append(asyncio.get_running_loop())
        fixture.append(number)
        assert number != 2

    fixture: list[int] = []
    assert inspect.iscoroutinefunction(check)
    assert list(inspect.signature(check).parameters) == ["fixture"]
    with pytest.raises(ExceptionGroup, match="1 of 3 cases fail") as raised:
        await check(fixture=fixture)
    assert raised.value.exceptions[0].__notes__ == ["case 1: number=2"]
    assert fixture == [1, 2, 3]
    assert len(set(loops)) == 1


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 values are needed"):
        cases("one, two", [(1, 2, 3)])
