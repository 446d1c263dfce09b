"""Rotation: which hosts and addresses an attempt tries when there are more than its limit; others in each attempt. Pure."""

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import TypeVar

Item = TypeVar("Item")


def take_turn(items: Sequence[Item], size: int, turn: int) -> list[Item]:
    """The `turn`-th group of `size` items, wrapping around, so that every item gets its turn."""
    if len(items) <= size:
        return list(items)
    start = turn * size % len(items)
    return [items[(start + number) % len(items)] for number in range(size)]


def mix_families(addresses: Sequence[str], seed: int) -> list[str]:
    """IPv4 and IPv6 addresses in alternation; `seed` selects the first of each family.

    The order of DNS answers is not used, because servers change it; the same seed gives the same order.
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
