"""Authoritative name servers, asked past every cache."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.zoneservers import DnsZoneServers
from sendryd.testing.clock import ManualClock
from sendryd.testing.nameserver import NameServer

pytestmark = pytest.mark.sockets


class Names:
    """A resolver that knows the servers of zones and their addresses."""

    def __init__(self, servers: dict[str, tuple[str, ...]], address: str = "127.0.0.1") -> None:
        self.servers = servers
        self.address = address
        self.is_silent = False

    async def lookup(self, name: str, kind: str) -> tuple[str, ...]:
        assert kind == "NS"
        if self.is_silent:
            raise LookupFailed("no answer", is_temporary=True)
        return self.servers.get(name, ())

    async def addresses(self, _host: str) -> tuple[str, ...]:
        return (self.address,)

    async def txt(self, name: str, *, fresh: bool = False) -> tuple[str, ...]:
        raise AssertionError((name, fresh))

    async def mx(self, domain: str) -> tuple[()]:
        raise AssertionError(domain)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer() as running:
        yield running


def make(names: Names, server: NameServer, clock: ManualClock, *, allow_private: bool = True) -> DnsZoneServers:
    return DnsZoneServers(names, clock, allow_private=allow_private, port=server.port, timeout=0.3)


async def test_the_servers_of_the_nearest_zone_are_found(server: NameServer, clock: ManualClock) -> None:
    names = Names({"acme.example": ("NS2.dns.example", "ns1.dns.example"), "example": ("never.example",)})
    found = make(names, server, clock)
    assert await found.list_servers("mail.news.acme.example") == ("ns1.dns.example", "ns2.dns.example")
    assert await found.list_servers("other.example") == ()  # not those of the ending above it
    names.is_silent = True
    assert await found.list_servers("acme.example") == ()


async def test_texts_are_had_also_when_they_need_tcp(server: NameServer, clock: ManualClock) -> None:
    found = make(Names({}), server, clock)
    server.set_text("acme.example", "v=spf1 -all", "x" * 600)
    server.truncated.add("acme.example")
    assert set(await found.texts("ns1.dns.example", "acme.example") or ()) == {"v=spf1 -all", "x" * 600}
    assert await found.texts("ns1.dns.example", "nothing.example") == ()


async def test_a_server_that_fails_is_left_alone_for_a_while(server: NameServer, clock: ManualClock) -> None:
    found = make(Names({}), server, clock)
    server.set_text("acme.example", "x")
    server.dropped.add("acme.example")
    assert await found.texts("ns1.dns.example", "acme.example") is None
    server.dropped.clear()
    assert await found.texts("ns1.dns.example", "acme.example") is None
    assert await found.texts("ns2.dns.example", "acme.example") == ("x",)
    clock.advance(timedelta(seconds=61))
    assert await found.texts("ns1.dns.example", "acme.example") == ("x",)


async def test_answers_of_caches_failures_and_aliases_do_not_count(server: NameServer, clock: ManualClock) -> None:
    found = make(Names({}), server, clock)
    server.set("alias.example", "CNAME", "acme.example.")
    server.set_text("acme.example", "x")
    assert await found.texts("a.example", "alias.example") is None
    server.servfail.add("acme.example")
    assert await found.texts("b.example", "acme.example") is None
    server.servfail.clear()
    server.is_authoritative = False
    assert await found.texts("c.example", "acme.example") is None


async def test_private_addresses_are_asked_only_where_that_is_allowed(server: NameServer, clock: ManualClock) -> None:
    server.set_text("acme.example", "x")
    assert await make(Names({}), server, clock, allow_private=False).texts("ns.example", "acme.example") is None
    assert sum(server.queries.values()) == 0
