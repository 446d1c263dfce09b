"""Which refusals of an address are stored."""

from sendryd.policy.refusal_sample import BURST, MAX_ADDRESSES, RefusalSample


def test_a_few_are_stored_at_once_and_one_a_second_from_then_on() -> None:
    sample = RefusalSample()
    assert [sample.note("192.0.2.1", number, 0.0) for number in range(BURST)] == [None] * BURST
    assert sample.note("192.0.2.1", 90, 0.5) == BURST - 1
    assert sample.note("192.0.2.1", 91, 1.0) is None
    assert sample.note("192.0.2.1", 92, 1.5) == 91
    assert [sample.note("192.0.2.1", number, 1000.0) for number in range(BURST + 1)] == [None] * BURST + [BURST - 1]


def test_each_address_has_its_own_share_and_a_network_of_ipv6_one() -> None:
    sample = RefusalSample()
    for number in range(BURST + 1):
        sample.note("2001:db8::1", number, 0.0)
    assert sample.note("2001:db8::2", 9, 0.0) == BURST - 1
    assert sample.note("192.0.2.2", 9, 0.0) is None


def test_a_flood_of_addresses_costs_no_memory() -> None:
    sample = RefusalSample()
    for number in range(MAX_ADDRESSES + 10):
        sample.note(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", number, 0.0)
    assert len(sample._known) == MAX_ADDRESSES
