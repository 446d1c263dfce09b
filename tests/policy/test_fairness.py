"""Whose message goes next."""

from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.model.message import MessageClass
from sendryd.policy.fairness import WEIGHTS, FairQueue, cost_of

OTP, TRANSACTIONAL, BULK = MessageClass.OTP, MessageClass.TRANSACTIONAL, MessageClass.BULK


def put(queue: FairQueue[str], account: int, number: int = 1, priority: MessageClass = TRANSACTIONAL, cost: float = 1.0) -> None:
    for each in range(number):
        queue.put(account, priority, cost, f"{account} {priority} {each}")


def test_one_account_keeps_the_order_of_its_messages() -> None:
    queue = FairQueue[str]()
    put(queue, 1, 3)
    assert [queue.take() for _ in range(3)] == ["1 transactional 0", "1 transactional 1", "1 transactional 2"]
    assert not queue


def test_an_account_that_comes_later_waits_for_one_message() -> None:
    queue = FairQueue[str]()
    put(queue, 1, 100_000)
    for _ in range(500):
        queue.take()
    put(queue, 2)
    assert "2 transactional 0" in [queue.take(), queue.take()]


def test_accounts_take_turns_however_much_each_has() -> None:
    queue = FairQueue[str]()
    put(queue, 1, 1000)
    put(queue, 2, 100)
    put(queue, 3, 50)
    taken = Counter(queue.take()[0] for _ in range(150))
    assert taken == {"1": 50, "2": 50, "3": 50}


def test_a_large_message_counts_as_many_small_ones() -> None:
    queue = FairQueue[str]()
    put(queue, 1, 100, cost=cost_of(9 * 64 * 1024))
    put(queue, 2, 1000)
    taken = Counter(queue.take()[0] for _ in range(110))
    assert taken["2"] == 10 * taken["1"]


def test_classes_of_an_account_have_their_parts() -> None:
    queue = FairQueue[str]()
    for priority in MessageClass:
        put(queue, 1, 1000, priority)
    taken = Counter(queue.take().split()[1] for _ in range(1200))
    assert taken == {"otp": 800, "transactional": 300, "bulk": 100}


def test_a_one_time_password_passes_what_waits_of_its_account() -> None:
    queue = FairQueue[str]()
    put(queue, 1, 1000, BULK)
    for _ in range(100):
        queue.take()
    put(queue, 1, 1, OTP)
    assert queue.peek() == "1 otp 0"


def test_an_urgent_class_does_not_take_the_turns_of_other_accounts() -> None:
    queue = FairQueue[str]()
    put(queue, 1, 1000, OTP)
    put(queue, 2, 1000, BULK)
    assert Counter(queue.take()[0] for _ in range(100)) == {"1": 50, "2": 50}


def test_an_account_that_stays_away_saves_nothing_up() -> None:
    queue = FairQueue[str]()
    put(queue, 1, 1000)
    put(queue, 2)
    for _ in range(500):
        queue.take()
    put(queue, 2, 500)
    assert Counter(queue.take()[0] for _ in range(100)) == {"1": 50, "2": 50}


def test_a_later_queue_goes_on_with_the_turns() -> None:
    taken: Counter[str] = Counter()
    tags, now = None, 0.0
    for _ in range(120):
        queue = FairQueue[str](tags, now)
        for priority in MessageClass:
            put(queue, 1, 4, priority)
        taken.update(queue.take().split()[1] for _ in range(2))
        tags, now = queue.tags(), queue.now
    assert taken == {"otp": 160, "transactional": 60, "bulk": 20}


def test_what_is_not_wanted_any_more_is_taken_out() -> None:
    queue = FairQueue[str]()
    put(queue, 1, 3)
    put(queue, 2, 2)
    assert sorted(queue.take_all(lambda item: item.endswith("1"))) == ["1 transactional 1", "2 transactional 1"]
    assert [queue.take() for _ in range(len(queue))] == ["1 transactional 0", "2 transactional 0", "1 transactional 2"]


def test_accounts_without_mail_are_forgotten() -> None:
    queue = FairQueue[str]()
    for account in range(10_000):
        put(queue, account)
        queue.take()
    assert len(queue.tags()) < 20


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(list(WEIGHTS)), st.floats(1.0, 700.0)) | st.none(), max_size=60))
def test_all_is_taken_once_and_each_class_in_its_order(steps: list[tuple[int, MessageClass, float] | None]) -> None:
    queue, numbers = FairQueue[tuple[int, MessageClass, int]](), count()
    waiting: set[tuple[int, MessageClass, int]] = set()
    taken: list[tuple[int, MessageClass, int]] = []
    for step in steps:
        if step is not None:
            item = (step[0], step[1], next(numbers))
            queue.put(step[0], step[1], step[2], item)
            waiting.add(item)
        elif queue:
            first = queue.peek()
            taken.append(queue.take())
            assert taken[-1] == first
    taken += [queue.take() for _ in range(len(queue))]
    assert set(taken) == waiting
    assert len(taken) == len(waiting)
    for key in {each[:2] for each in taken}:
        order = [each[2] for each in taken if each[:2] == key]
        assert order == sorted(order)


def test_of_an_empty_queue_nothing_is_taken() -> None:
    with pytest.raises(IndexError):
        FairQueue[str]().take()


def test_what_is_taken_back_is_the_last_of_the_least_urgent_class_of_who_has_most() -> None:
    queue: FairQueue[str] = FairQueue()
    for account, priority, item in [(1, BULK, "b1"), (1, OTP, "o1"), (1, BULK, "b2"), (2, OTP, "o2"), (2, TRANSACTIONAL, "t2")]:
        queue.put(account, priority, 1.0, item)
    assert [queue.take_last(), queue.take_last(), queue.take_last()] == ["b2", "b1", "t2"]
    assert {queue.take_last(), queue.take_last()} == {"o1", "o2"}
    assert queue.waiting == queue.accounts == 0
    queue.put(1, BULK, 1.0, "b3")
    assert queue.take() == "b3"
