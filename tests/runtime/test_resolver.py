"""Look-ups against a real name server on loopback."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sendryd.policy.routing import MxRecord, NullMx
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.resolver import Resolver
from sendryd.testing.nameserver import NameServer

pytestmark = pytest.mark.sockets


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer(
        {
            ("example.org", "MX"): ["20 b.example.org.", "10 A.example.org."],
            ("a.example.org", "A"): ["192.0.2.1"],
            ("a.example.org", "AAAA"): ["2001:db8::1"],
            ("null.test", "MX"): ["0 ."],
            ("nomx.test", "A"): ["192.0.2.2"],
            ("alias.test", "CNAME"): ["a.example.org."],
        }
    ) as made:
        made.set_text("example.org", "v=spf1 -all", "x" * 600)
        yield made


@pytest.fixture
def resolver(server: NameServer) -> Resolver:
    return Resolver(SystemClock(), (server.host, server.port))


async def test_answers(server: NameServer, resolver: Resolver) -> None:
    assert sorted(await resolver.mx("example.org"), key=lambda record: record.preference) == [  # type: ignore[arg-type]
        MxRecord(10, "a.example.org"),
        MxRecord(20, "b.example.org"),
    ]
    assert set(await resolver.addresses("a.example.org")) == {"192.0.2.1", "2001:db8::1"}
    assert set(await resolver.addresses("alias.test")) == {"192.0.2.1", "2001:db8::1"}
    assert set(await resolver.txt("example.org")) == {"v=spf1 -all", "x" * 600}
    assert isinstance(await resolver.mx("null.test"), NullMx)


async def test_no_record_no_name_and_no_answer_are_told_apart(server: NameServer, resolver: Resolver) -> None:
    assert await resolver.mx("nomx.test") == ()
    with pytest.raises(LookupFailed) as missing:
        await resolver.mx("missing.test")
    assert not missing.value.is_temporary
    server.servfail.add("broken.test")
    with pytest.raises(LookupFailed) as broken:
        await resolver.mx("broken.test")
    assert broken.value.is_temporary


@pytest.mark.parametrize("name", ["a" * 64 + ".test", "a..b", "x" * 300, "192.0.2.1"])
async def test_names_that_are_none(resolver: Resolver, name: str) -> None:
    with pytest.raises(LookupFailed) as failed:
        await resolver.addresses(name)
    assert not failed.value.is_temporary


async def test_a_truncated_answer_is_had_over_tcp(server: NameServer, resolver: Resolver) -> None:
    server.truncated.add("example.org")
    assert len(await resolver.txt("example.org")) == 2


async def test_answers_are_kept_and_fresh_ones_can_be_had(server: NameServer, resolver: Resolver) -> None:
    for _ in range(3):
        await resolver.txt("example.org")
    assert server.queries["example.org", "TXT"] == 1
    server.set_text("example.org", "changed")
    assert len(await resolver.txt("example.org")) == 2
    assert await resolver.txt("example.org", fresh=True) == ("changed",)
    assert await resolver.txt("example.org") == ("changed",)


async def test_one_question_for_all_who_wait(server: NameServer, resolver: Resolver) -> None:
    server.delay = 0.05
    await asyncio.gather(*(resolver.mx("example.org") for _ in range(50)))
    assert server.queries["example.org", "MX"] == 1


async def test_failures_are_kept_for_a_moment(server: NameServer, resolver: Resolver) -> None:
    server.servfail.add("broken.test")
    for _ in range(3):
        with pytest.raises(LookupFailed):
            await resolver.mx("broken.test")
    asked = server.queries["broken.test", "MX"]
    with pytest.raises(LookupFailed):
        await resolver.mx("broken.test")
    assert server.queries["broken.test", "MX"] == asked


async def test_records_are_looked_up_past_the_cache_and_what_is_not_there_is_empty(server: NameServer, resolver: Resolver) -> None:
    server.set("25.2.0.192.in-addr.arpa", "PTR", "a.example.org.")
    for name, kind, expected in (
        ("example.org", "MX", ("a.example.org", "b.example.org")),
        ("alias.test", "A", ("192.0.2.1",)),
        ("A.example.org", "AAAA", ("2001:db8::1",)),
        ("25.2.0.192.in-addr.arpa", "PTR", ("a.example.org",)),
        ("nomx.test", "AAAA", ()),
        ("missing.test", "TXT", ()),
        ("a b\\c.test", "A", ()),
    ):
        assert await resolver.lookup(name, kind) == expected
    await resolver.addresses("a.example.org")
    server.set("a.example.org", "A", "192.0.2.9")
    assert await resolver.lookup("a.example.org", "A") == ("192.0.2.9",)
    server.servfail.add("broken.test")
    with pytest.raises(LookupFailed):
        await resolver.lookup("broken.test", "A")
