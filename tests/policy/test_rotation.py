"""Which hosts and addresses come in their turn."""

from hypothesis import given
from hypothesis import strategies as st

from sendryd.policy.rotation import mix_families, take_turn

ADDRESSES = st.sets(st.integers(1, 99).flatmap(lambda number: st.sampled_from((f"192.88.98.{number}", f"2620:fe::{number}"))), max_size=9)


@given(st.lists(st.integers(), unique=True, max_size=30), st.integers(1, 6), st.integers(0, 100))
def test_every_item_comes_within_as_many_turns_as_there_are_groups(items: list[int], size: int, turn: int) -> None:
    groups = -(-len(items) // size)
    turns = [take_turn(items, size, turn + number) for number in range(groups)]
    assert {item for each in turns for item in each} == set(items)
    assert all(len(each) == len(set(each)) == min(size, len(items)) for each in turns)


@given(ADDRESSES, st.integers(0, 2**63), st.randoms(use_true_random=False))
def test_both_families_come_early_whatever_the_order_of_the_answer(addresses: set[str], seed: int, random: object) -> None:
    del random
    found = mix_families(sorted(addresses), seed)
    assert sorted(found) == sorted(addresses)
    assert mix_families(sorted(addresses, reverse=True), seed) == found
    families = {":" in address for address in addresses}
    assert {":" in address for address in found[:2]} == families


def test_messages_begin_with_different_addresses() -> None:
    assert {mix_families(["192.88.98.1", "192.88.98.2", "192.88.98.3"], seed)[0] for seed in range(3)} == {
        "192.88.98.1",
        "192.88.98.2",
        "192.88.98.3",
    }
