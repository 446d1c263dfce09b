"""Guessing gets slow; a person who mistypes does not notice."""

from sendryd.policy.penalty import FREE_FAILURES, MAX_ADDRESSES, MAX_DELAY, WINDOW, FailureLog


def test_the_first_failures_are_answered_at_once() -> None:
    failures = FailureLog()
    assert [failures.record("192.0.2.1", 0.0) for _ in range(FREE_FAILURES)] == [0.0] * FREE_FAILURES
    assert failures.record("192.0.2.1", 1.0) > 0


def test_delay_grows_to_a_limit() -> None:
    failures = FailureLog()
    delays = [failures.record("192.0.2.1", 0.0) for _ in range(200)]
    assert delays == sorted(delays)
    assert delays[-1] == MAX_DELAY


def test_a_minute_later_all_is_forgiven() -> None:
    failures = FailureLog()
    for _ in range(30):
        failures.record("192.0.2.1", 0.0)
    assert failures.record("192.0.2.1", WINDOW + 0.1) == 0.0


def test_addresses_are_counted_apart_but_one_ipv6_network_together() -> None:
    failures = FailureLog()
    for number in range(FREE_FAILURES):
        failures.record(f"2001:db8::{number}", 0.0)
    assert failures.record("2001:db8::ffff", 0.0) > 0
    assert failures.record("2001:db8:1::1", 0.0) == 0.0
    assert failures.record("192.0.2.9", 0.0) == 0.0


def test_a_flood_of_addresses_forgets_the_oldest() -> None:
    failures = FailureLog()
    for _ in range(FREE_FAILURES + 1):
        failures.record("192.0.2.1", 0.0)
    for number in range(MAX_ADDRESSES):
        failures.record(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert failures.record("192.0.2.1", 0.0) == 0.0


def test_an_odd_address_is_counted_as_it_is() -> None:
    failures = FailureLog()
    for _ in range(FREE_FAILURES):
        failures.record("not:an:address", 0.0)
    assert failures.record("not:an:address", 0.0) > 0
