"""What one attempt tries, in which order, and how much encryption each target needs."""

import pytest

from sendryd.delivery.plan import Turn, plan_mx, plan_smart_host
from sendryd.delivery.transport import Target, TlsRule
from sendryd.policy.routing import MAX_ADDRESSES, MAX_HOSTS, Security, SmartHost

HOSTS = [("one.test", ["192.88.98.1", "2620:fe::fe"]), ("two.test", ["192.88.98.2"])]


def plan(hosts: list[tuple[str, list[str]]] | None = None, *, private: bool = False, turn: Turn = Turn()) -> list[Target]:  # noqa: B008
    return plan_mx(
        hosts or HOSTS,
        port=25,
        encryption=lambda host: (TlsRule.NEVER, False) if host == "two.test" else (TlsRule.OPPORTUNISTIC, True),
        allow_private=private,
        turn=turn,
    )


def test_hosts_and_addresses_stay_in_their_order() -> None:
    assert [(each.host, each.address, each.port) for each in plan()] == [
        ("one.test", "192.88.98.1", 25),
        ("one.test", "2620:fe::fe", 25),
        ("two.test", "192.88.98.2", 25),
    ]
    assert not any(each.implicit_tls or each.credentials for each in plan())


def test_each_host_gets_the_encryption_that_is_known_to_work() -> None:
    assert [(each.tls, each.is_weak) for each in plan()] == [(TlsRule.OPPORTUNISTIC, True)] * 2 + [(TlsRule.NEVER, False)]


def test_each_attempt_takes_other_hosts_and_addresses_where_there_are_too_many() -> None:
    addresses = ["192.88.98.1", "192.88.98.2", "192.88.98.3", "2620:fe::1"]
    hosts = [(f"mx{number}.test", addresses) for number in range(8)]
    turns = [plan(hosts, turn=Turn(number, 0)) for number in range(4)]
    assert all(len(each) == MAX_HOSTS * MAX_ADDRESSES for each in turns)
    assert [turns[0][number].address for number in (0, 1)] == ["192.88.98.1", "2620:fe::1"]
    assert {each.host for found in turns[:2] for each in found} == {host for host, _ in hosts}
    assert turns[1][0].host == "mx5.test"
    few = [plan(hosts[:1], turn=Turn(number, 0)) for number in range(2)]
    assert [each.address for found in few for each in found] == ["192.88.98.1", "2620:fe::1", "192.88.98.2", "192.88.98.3"]


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
    first, *others = plan_smart_host(host, ["10.0.0.1", "10.0.0.2", "10.0.0.3"], Turn())  # its operator may have it inside
    assert (first.host, first.address, first.port) == ("smart.test", "10.0.0.1", 465)
    assert (first.tls, first.implicit_tls, first.credentials) == (rule, is_implicit, ("user", "hunter2"))
    assert len(others) == MAX_ADDRESSES - 1
    assert "hunter2" not in repr(first)
