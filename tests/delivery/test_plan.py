"""What one attempt tries, in which order, and how much encryption each target needs."""

import pytest

from sendryd.delivery.plan import plan_mx, plan_smart_host
from sendryd.delivery.transport import Target, TlsRule
from sendryd.policy.routing import MAX_ADDRESSES, Security, SmartHost

HOSTS = [("one.test", ["192.88.98.1", "2620:fe::fe"]), ("two.test", ["192.88.98.2"])]


def plan(
    hosts: list[tuple[str, list[str]]] | None = None, *, enforced: bool = False, broken: frozenset[str] = frozenset(), private: bool = False
) -> list[Target]:
    return plan_mx(hosts or HOSTS, port=25, is_tls_enforced=enforced, broken_tls=broken, allow_private=private)


def test_hosts_and_addresses_stay_in_their_order() -> None:
    assert [(each.host, each.address, each.port) for each in plan()] == [
        ("one.test", "192.88.98.1", 25),
        ("one.test", "2620:fe::fe", 25),
        ("two.test", "192.88.98.2", 25),
    ]
    assert {each.tls for each in plan()} == {TlsRule.OPPORTUNISTIC}
    assert not any(each.implicit_tls or each.credentials for each in plan())


def test_a_host_whose_encryption_is_broken_is_spoken_to_in_clear_text_unless_encryption_is_enforced() -> None:
    broken = frozenset({"one.test"})
    assert [each.tls for each in plan(broken=broken)] == [TlsRule.NEVER, TlsRule.NEVER, TlsRule.OPPORTUNISTIC]
    assert {each.tls for each in plan(broken=broken, enforced=True)} == {TlsRule.VERIFIED}


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "x"]
)
def test_an_address_inside_is_not_connected_to(address: str) -> None:
    hosts = [("one.test", [address]), ("two.test", ["192.88.98.2"])]
    assert [each.host for each in plan(hosts)] == ["two.test"]
    assert plan(hosts[:1]) == []
    assert [each.address for each in plan(hosts[:1], private=True)] == [address]


def test_of_many_addresses_some_are_tried_and_those_inside_do_not_count() -> None:
    outside = [f"192.88.98.{number}" for number in range(1, 9)]
    found = plan([("one.test", ["10.0.0.1", "10.0.0.2", *outside]), ("two.test", outside)])
    assert [each.address for each in found] == outside[:MAX_ADDRESSES] * 2


@pytest.mark.parametrize(
    ("security", "rule", "is_implicit"),
    [
        (Security.STARTTLS, TlsRule.REQUIRED, False),
        (Security.IMPLICIT_TLS, TlsRule.REQUIRED, True),
        (Security.CLEAR_TEXT, TlsRule.NEVER, False),
    ],
)
def test_a_smart_host_is_spoken_to_as_it_was_configured(security: Security, rule: TlsRule, *, is_implicit: bool) -> None:
    host = SmartHost("smart.test", 465, security, ("user", "hunter2"))
    first, *others = plan_smart_host(host, ["10.0.0.1", "10.0.0.2", "10.0.0.3"])  # its operator may have it inside
    assert (first.host, first.address, first.port) == ("smart.test", "10.0.0.1", 465)
    assert (first.tls, first.implicit_tls, first.credentials) == (rule, is_implicit, ("user", "hunter2"))
    assert len(others) == MAX_ADDRESSES - 1
    assert "hunter2" not in repr(first)
