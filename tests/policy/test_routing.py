"""Which hosts, in which order; and which addresses may be connected to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.delivery.plan import Turn, plan
from sendryd.policy.destinations import is_public
from sendryd.policy.routing import (
    ANY_DOMAIN,
    BEST_HOSTS,
    MAX_ROUTE_HOSTS,
    MailHost,
    MxRecord,
    NextHop,
    NullMx,
    RoutingProblem,
    Security,
    SmartHost,
    order_hosts,
)
from sendryd.policy.tls import CLEAR_TEXT, ENCRYPTED, IMPLICIT, TlsRequirement, enforced
from sendryd.testing.cases import cases

OWN = {"relay.test"}


def order(records: list[MxRecord] | NullMx, domain: str = "example.org") -> list[str] | RoutingProblem:
    return order_hosts(domain, records, own_names=OWN, shuffle=lambda hosts: list(reversed(hosts)))


def test_hosts_by_preference_and_shuffled_within() -> None:
    records = [MxRecord(20, "c"), MxRecord(10, "a"), MxRecord(10, "b"), MxRecord(30, "a")]
    assert order(records) == ["b", "a", "c"]


def test_no_records_mean_the_domain_itself() -> None:
    assert order([]) == ["example.org"]


def test_null_mx() -> None:
    assert order(NullMx()) is RoutingProblem.NULL_MX


def test_hosts_at_our_preference_or_worse_are_left_out() -> None:
    assert order([MxRecord(5, "primary"), MxRecord(10, "relay.test"), MxRecord(10, "peer"), MxRecord(20, "backup")]) == ["primary"]
    assert order([MxRecord(10, "relay.test"), MxRecord(20, "backup")]) is RoutingProblem.LOOP
    assert order([], domain="relay.test") is RoutingProblem.LOOP


def test_many_hosts_are_capped() -> None:
    hosts = order([MxRecord(number, f"mx{number}") for number in range(500)])
    assert isinstance(hosts, list)
    assert len(hosts) == MAX_ROUTE_HOSTS
    assert hosts[: BEST_HOSTS + 1] == [*(f"mx{number}" for number in range(BEST_HOSTS)), "mx490"]


def test_targets_for_hosts() -> None:
    hosts = MailHost("one", ("192.0.2.1", "1.1.1.1", "2606:4700::1111", "8.8.8.8")), MailHost("two", ("10.0.0.1",))
    next_hop = NextHop("example.org", hosts, 25)
    targets = plan(next_hop, Turn(), requirement=lambda _host: CLEAR_TEXT, allow_private=False)
    assert [(target.address, target.tls) for target in targets] == [("1.1.1.1", CLEAR_TEXT), ("2606:4700::1111", CLEAR_TEXT)]
    allowed = plan(next_hop, Turn(), requirement=enforced, allow_private=True)
    assert [target.address for target in allowed] == ["1.1.1.1", "2606:4700::1111", "10.0.0.1"]
    assert [target.tls for target in allowed] == [enforced("one"), enforced("one"), enforced("two")]


@pytest.mark.parametrize(
    ("security", "tls"), [(Security.STARTTLS, ENCRYPTED), (Security.IMPLICIT_TLS, IMPLICIT), (Security.CLEAR_TEXT, CLEAR_TEXT)]
)
def test_a_smart_host_may_be_private(security: Security, tls: TlsRequirement) -> None:
    hub = SmartHost("hub", 587, security, ("u", "p"))
    next_hop = NextHop(ANY_DOMAIN, (MailHost("hub", ("10.0.0.1",)),), hub.port, hub)
    (target,) = plan(next_hop, Turn(), requirement=enforced, allow_private=False)
    assert (target.tls, target.credentials) == (tls, ("u", "p"))
    assert "'p'" not in repr(target)


@cases(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.100.100.200",
        "169.254.169.254", "168.63.129.16", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "192.88.99.1", "::", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::", "2001:0:1::1", "fe80::1", "fe80::1%lo", "fc00::1", "fd00:ec2::254",
        "fec0::1", "ff02::1", "3fff::1", "2001:db8::1", "100::1", "5f00::1", "2606:4700::5efe:10.0.0.1", "localhost", "", "127.1", "0x7f.1", "2130706433",
    ],
)  # fmt: skip
def test_addresses_that_only_we_can_reach(address: str) -> None:
    assert not is_public(address)


@cases(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "172.32.0.1",
        "100.128.0.1",
        "2606:4700:4700::1111",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ],
)
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(address)


@given(st.text(max_size=50))
def test_any_text_is_judged(text: str) -> None:
    assert is_public(text) in {True, False}
