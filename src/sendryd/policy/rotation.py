"""Which hosts and addresses an attempt takes when there are more than it may try: others at each attempt. Pure."""

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import TypeVar

Item = TypeVar("Item")


def take_turn(items: Sequence[Item], size: int, turn: int) -> list[Item]:
    """The `turn`-th group of `size` items, counted on from the beginning where they end: every item comes in its turn."""
    if len(items) <= size:
        return list(items)
    start = turn * size % len(items)
    return [items[(start + number) % len(items)] for number in range(size)]


def mix_families(addresses: Sequence[str], seed: int) -> list[str]:
    """IPv4 and IPv6 addresses by turns, for as long as there are both; `seed` says with which of each family to begin.

    The order of DNS answers is not kept, because servers change it from answer to answer: with the same seed the order stays the same.
    """
    if len(addresses) == 1:
        return list(addresses)
    four = sorted(address for address in addresses if ":" not in address)
    six = sorted(address for address in addresses if ":" in address)
    pairs = zip_longest(_begin_at(four, seed), _begin_at(six, seed))
    return [address for address in chain.from_iterable(pairs) if address is not None]


def _begin_at(items: list[str], seed: int) -> list[str]:
    start = seed % len(items) if items else 0
    return items[start:] + items[:start]
