"""Pools of addresses: how they are written, and which address a message leaves from."""

from collections import Counter
from datetime import date

import pytest

from sendryd.policy.egress import MAX_SOURCES, BadEgress, Source, parse_pools, pool_of, rank, write_pools
from sendryd.testing.cases import cases

POOL = tuple(Source(f"192.0.2.{number}", f"out{number}.example.com") for number in range(1, 6))


def test_a_pool_has_addresses_of_both_families_with_names_weights_and_ramps() -> None:
    pools = parse_pools(
        "default 192.0.2.1 Out1.example.com weight=2, default 2001:DB8::0:1 out1.example.com,bulk 192.0.2.9 b.example.com warmup_from=2027-03-01"
    )
    assert pools == {
        "default": (Source("192.0.2.1", "out1.example.com", 2), Source("2001:db8::1", "out1.example.com")),
        "bulk": (Source("192.0.2.9", "b.example.com", warmup_from=date(2027, 3, 1)),),
    }
    assert [source.family for source in pools["default"]] == [4, 6]
    assert parse_pools(write_pools(pools)) == pools


def test_no_text_is_no_pool() -> None:
    assert parse_pools(" , ") == {}


@cases(
    ("text", "says"),
    [
        ("192.0.2.1", "write POOL ADDRESS NAME"),
        ("default 192.0.2.1", "write POOL ADDRESS NAME"),
        ("Bulk! 192.0.2.1 a.example.com", "no name of a pool"),
        ("default 192.0.2.256 a.example.com", "no IP address"),
        ("default 0.0.0.0 a.example.com", "cannot leave from"),
        ("default ff02::1 a.example.com", "cannot leave from"),
        ("default 192.0.2.1 -a-", "no host name"),
        ("default 192.0.2.1 a.example.com weight=0", "from 1 to 1000"),
        ("default 192.0.2.1 a.example.com weight=1.5", "from 1 to 1000"),
        ("default 192.0.2.1 a.example.com warmup_from=tomorrow", "a date as 2027-03-01"),
        ("default 192.0.2.1 a.example.com speed=9", "neither weight=N nor warmup_from"),
        ("default 192.0.2.1 a.example.com, default 192.0.2.1 a.example.com", "twice"),
        ("a 192.0.2.1 a.example.com, b 192.0.2.1 b.example.com", "the same name"),
        (",".join(f"a 10.0.{n // 250}.{n % 250} a.example.com" for n in range(MAX_SOURCES + 1)), "at most 256"),
    ],
)
def test_what_lists_no_pools_says_what_to_change(text: str, says: str) -> None:
    with pytest.raises(BadEgress, match=says):
        parse_pools(text)


def test_a_message_has_one_order_whatever_the_order_of_the_setting() -> None:
    for message in range(100):
        assert rank(POOL, message=message, account=1) == rank(reversed(POOL), message=message, account=1)


def test_without_an_address_the_others_keep_their_order() -> None:
    for message in range(100):
        order = rank(POOL, message=message, account=1)
        assert rank([each for each in POOL if each != order[0]], message=message, account=1) == order[1:]


def test_accounts_are_spread_apart() -> None:
    orders = {account: [rank(POOL, message=number, account=account)[0] for number in range(50)] for account in (1, 2)}
    assert orders[1] != orders[2]


def test_each_address_comes_first_for_the_share_of_its_weight() -> None:
    pool = [Source("192.0.2.1", "a.test", weight=3), Source("192.0.2.2", "b.test", weight=1)]
    first = Counter(rank(pool, message=number, account=7)[0].address for number in range(20_000))
    assert 0.73 < first["192.0.2.1"] / 20_000 < 0.77


def test_a_domain_without_a_pool_has_the_default_one_if_there_is_one() -> None:
    pools = {"default": POOL, "bulk": POOL}
    assert (pool_of("", pools), pool_of("bulk", pools), pool_of("", {"bulk": POOL})) == ("default", "bulk", "")
