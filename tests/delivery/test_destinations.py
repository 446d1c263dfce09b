"""Routes that lead back to this server."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from sendryd.delivery.denials import Denials
from sendryd.delivery.destinations import Destinations, NoRoute
from sendryd.policy.retry import RetryPlan
from sendryd.policy.routing import MAX_ROUTE_HOSTS, MxRecord
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.rand import SeededRand
from sendryd.testing.clock import ManualClock

OWN = "192.0.2.1"
ADDRESSES = {"relay.test": (OWN,), "alias.test": (OWN,), "other.test": ("192.0.2.9",), "implicit.test": (OWN,)}


class Zone:
    """A resolver that knows one domain's mail servers."""

    def __init__(self, hosts: Mapping[str, int]) -> None:
        self.hosts = hosts

    async def mx(self, domain: str) -> tuple[MxRecord, ...]:
        del domain
        return tuple(MxRecord(preference, host) for host, preference in self.hosts.items())

    async def addresses(self, host: str) -> tuple[str, ...]:
        return ADDRESSES[host]

    async def txt(self, name: str, *, fresh: bool = False) -> tuple[str, ...]:
        raise LookupFailed(f"{name} {fresh}", is_temporary=False)


@pytest.mark.parametrize(
    ("domain", "hosts", "names"),
    [
        ("dest.test", {"alias.test": 10}, None),
        ("dest.test", {"alias.test": 10, "other.test": 20}, None),
        ("dest.test", {"other.test": 10, "alias.test": 20}, ["other.test"]),
        ("dest.test", {"other.test": 10}, ["other.test"]),
        ("implicit.test", {}, None),
    ],
)
@pytest.mark.parametrize("is_host_own", [False, True])
async def test_a_mail_server_at_our_own_address_is_a_loop(
    domain: str, hosts: Mapping[str, int], names: list[str] | None, is_host_own: bool
) -> None:
    clock = ManualClock()
    destinations = Destinations(
        Zone(hosts),
        Denials(clock),
        hostname="relay.test",
        mx_port=25,
        smart_host=None,
        plan=RetryPlan((timedelta(minutes=1),), timedelta(hours=72)),
        clock=clock,
        rand=SeededRand(1),
        own_addresses=frozenset() if is_host_own else frozenset({OWN}),
        is_host_own=is_host_own,
    )
    route = await destinations.find(domain)
    if names is None:
        assert isinstance(route, NoRoute)
        assert route.verdict.enhanced == "5.4.6"
    else:
        assert not isinstance(route, NoRoute)
        assert [host.name for host in route.hosts] == names


async def test_a_domain_with_very_many_mail_servers_is_known_by_the_best_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, hosts = ManualClock(), {f"mx{number}.test": number for number in range(1500)}
    monkeypatch.setitem(ADDRESSES, "mx0.test", ("192.0.2.9",))
    zone = Zone(hosts)

    async def addresses(host: str) -> tuple[str, ...]:
        return ADDRESSES.get(host, ())

    monkeypatch.setattr(zone, "addresses", addresses)
    plan = RetryPlan((timedelta(minutes=1),), timedelta(hours=72))
    destinations = Destinations(
        zone, Denials(clock), hostname="relay.test", mx_port=25, smart_host=None, plan=plan, clock=clock, rand=SeededRand(1)
    )
    route = await destinations.find("dest.test")
    assert not isinstance(route, NoRoute)
    assert set(route.mx) == {f"mx{number}.test" for number in range(MAX_ROUTE_HOSTS)}
