"""What one attempt tries, in which order, and how much encryption each target needs."""

from dataclasses import replace

import pytest

from sendryd.delivery.plan import Turn, authenticate_smart_host, plan
from sendryd.delivery.target import Target
from sendryd.policy.replies.verdict import Kind, Verdict
from sendryd.policy.routing import ANY_DOMAIN, MAX_ADDRESSES, MAX_HOSTS, MailHost, NextHop, Security, SmartHost
from sendryd.policy.tls import CLEAR_TEXT, ENCRYPTED, IMPLICIT, OPPORTUNISTIC_WEAK, TlsRequirement, enforced

HOSTS = [("one.test", ["192.88.98.1", "2620:fe::fe"]), ("two.test", ["192.88.98.2"])]


def requirement(host: str) -> TlsRequirement:
    return CLEAR_TEXT if host == "two.test" else OPPORTUNISTIC_WEAK


def targets(hosts: list[tuple[str, list[str]]] | None = None, *, private: bool = False, turn: Turn = Turn()) -> list[Target]:  # noqa: B008
    next_hop = NextHop("example.org", tuple(MailHost(name, tuple(addresses)) for name, addresses in hosts or HOSTS), 25)
    return plan(next_hop, turn, requirement=requirement, allow_private=private)


def test_hosts_and_addresses_stay_in_their_order() -> None:
    assert [(each.host, each.address, each.port) for each in targets()] == [
        ("one.test", "192.88.98.1", 25),
        ("one.test", "2620:fe::fe", 25),
        ("two.test", "192.88.98.2", 25),
    ]
    assert not any(each.tls.is_implicit or each.credentials for each in targets())


def test_each_host_gets_the_encryption_that_is_known_to_work() -> None:
    assert [each.tls for each in targets()] == [OPPORTUNISTIC_WEAK] * 2 + [CLEAR_TEXT]


def test_each_attempt_takes_other_hosts_and_addresses_where_there_are_too_many() -> None:
    addresses = ["192.88.98.1", "192.88.98.2", "192.88.98.3", "2620:fe::1"]
    hosts = [(f"mx{number}.test", addresses) for number in range(8)]
    turns = [targets(hosts, turn=Turn(number, 0)) for number in range(4)]
    assert all(len(each) == MAX_HOSTS * MAX_ADDRESSES for each in turns)
    assert [turns[0][number].address for number in (0, 1)] == ["192.88.98.1", "2620:fe::1"]
    assert {each.host for found in turns[:2] for each in found} == {host for host, _ in hosts}
    assert turns[1][0].host == "mx5.test"
    few = [targets(hosts[:1], turn=Turn(number, 0)) for number in range(2)]
    assert [each.address for found in few for each in found] == ["192.88.98.1", "2620:fe::1", "192.88.98.2", "192.88.98.3"]


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "x"]
)
def test_an_address_inside_is_not_connected_to(address: str) -> None:
    hosts = [("one.test", [address]), ("two.test", ["192.88.98.2"])]
    assert [each.host for each in targets(hosts)] == ["two.test"]
    assert targets(hosts[:1]) == []
    assert [each.address for each in targets(hosts[:1], private=True)] == [address]


def test_of_many_addresses_some_are_tried_and_those_inside_do_not_count() -> None:
    outside = [f"192.88.98.{number}" for number in range(1, 9)]
    found = targets([("one.test", ["10.0.0.1", "10.0.0.2", *outside]), ("two.test", outside)])
    assert [each.address for each in found] == outside[:MAX_ADDRESSES] * 2


@pytest.mark.parametrize(
    ("security", "tls"), [(Security.STARTTLS, ENCRYPTED), (Security.IMPLICIT_TLS, IMPLICIT), (Security.CLEAR_TEXT, CLEAR_TEXT)]
)
def test_a_smart_host_is_spoken_to_as_it_was_configured(security: Security, tls: TlsRequirement) -> None:
    host = SmartHost("smart.test", 465, security, ("user", "hunter2"))
    next_hop = NextHop(ANY_DOMAIN, (MailHost(host.host, ("10.0.0.1", "10.0.0.2", "10.0.0.3")),), host.port, host)
    first, *others = plan(next_hop, Turn(), requirement=requirement, allow_private=False)  # its operator may have it inside
    assert (first.host, first.address, first.port) == ("smart.test", "10.0.0.1", 465)
    assert (first.tls, first.credentials) == (tls, ("user", "hunter2"))
    assert len(others) == MAX_ADDRESSES - 1
    assert "hunter2" not in repr(first)


def test_a_message_that_requires_tls_wants_a_certificate_of_the_smart_host_and_never_clear_text() -> None:
    def asked(security: Security) -> list[Target] | Verdict:
        host = SmartHost("smart.test", 465, security)
        return authenticate_smart_host(
            plan(
                NextHop(ANY_DOMAIN, (MailHost("smart.test", ("10.0.0.1",)),), 465, host),
                Turn(),
                requirement=requirement,
                allow_private=False,
            )
        )

    found = asked(Security.IMPLICIT_TLS)
    assert not isinstance(found, Verdict)
    assert [each.tls for each in found] == [replace(enforced("smart.test"), is_implicit=True)]
    bounced = asked(Security.CLEAR_TEXT)
    assert isinstance(bounced, Verdict)
    assert (bounced.kind, bounced.enhanced) == (Kind.BOUNCED, "5.7.30")
