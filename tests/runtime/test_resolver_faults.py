"""Name servers, and those who pretend to be one, that lie, break the format, say nothing, or are asked too much."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import cast

import dns.flags
import dns.message
import dns.rrset
import pytest

from sendryd.policy.routing import MxRecord
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.resolver import (
    FAILURE_TTL,
    MAX_FAILURE_TTL,
    MAX_STALE,
    MAX_TTL,
    NEGATIVE_TTL,
    Resolver,
    Slots,
)
from sendryd.testing.clock import ManualClock
from sendryd.testing.nameserver import NameServer

pytestmark = pytest.mark.sockets

QUICK_SLOTS, SLOW_SLOTS = 32, 8
QUICK = Slots(256, timeout=0.1, lifetime=0.2)
SLOW = Slots(64, timeout=0.2, lifetime=0.4)
Answers = Callable[[dns.message.Message], list[bytes]]


class Liar(asyncio.DatagramProtocol):
    """Answers every question with as many datagrams as it is told."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked = self.pending = self.most_pending = 0
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        self.asked += 1
        self.pending += 1
        self.most_pending = max(self.most_pending, self.pending)
        asyncio.get_running_loop().call_later(0.01, self.answer, data, addr)

    def answer(self, data: bytes, addr: tuple[str | int, int]) -> None:
        self.pending -= 1
        for answer in self.answers(dns.message.from_wire(data)):
            self.transport.sendto(answer, addr)


def respond(
    query: dns.message.Message, *, ttl: int = 300, name: str | None = None, value: str = "10 mx.example.org."
) -> dns.message.Message:
    """An honest answer, or one about another name."""
    response = dns.message.make_response(query, recursion_available=True)
    response.answer.append(dns.rrset.from_text(name or query.question[0].name, ttl, "IN", "MX", value))
    return response


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    made = Liar(lambda query: [respond(query).to_wire()])
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: made, local_addr=("127.0.0.1", 0))
    yield made
    made.transport.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def resolver(liar: Liar, clock: ManualClock) -> Resolver:
    return Resolver(clock, liar.transport.get_extra_info("sockname"), quick=QUICK, slow=SLOW)


def forged(query: dns.message.Message, what: str) -> bytes:
    """What somebody who cannot see the question sends in the hope of being first."""
    response = respond(query, value="10 evil.example.")
    if what == "id":
        response.id = (query.id + 1) % 65536
    elif what == "question":
        other = dns.message.make_query("other.example.", "MX")
        other.id = query.id
        response = respond(other, value="10 evil.example.")
    elif what == "query":
        response.flags &= ~dns.flags.QR
    return response.to_wire()


@pytest.mark.parametrize("what", ["id", "question", "query"])
async def test_forged_answers_are_not_listened_to(liar: Liar, resolver: Resolver, what: str) -> None:
    liar.answers = lambda query: [forged(query, what)] * 3 + [respond(query).to_wire()]
    assert await resolver.mx("example.org") == (MxRecord(10, "mx.example.org"),)
    liar.answers = lambda query: [forged(query, what)]
    with pytest.raises(LookupFailed) as failed:
        await resolver.mx("example.net")
    assert failed.value.is_temporary


async def test_what_an_answer_says_of_other_names_is_not_believed(liar: Liar, resolver: Resolver) -> None:
    def answer(query: dns.message.Message) -> list[bytes]:
        response = respond(query)
        response.additional.append(dns.rrset.from_text("mx.example.org.", 300, "IN", "A", "203.0.113.66"))
        response.answer.append(dns.rrset.from_text("victim.example.", 300, "IN", "MX", "10 evil.example."))
        return [response.to_wire()]

    liar.answers = answer
    await resolver.mx("example.org")
    asked = liar.asked
    liar.answers = lambda _query: []
    for lookup in (resolver.addresses("mx.example.org"), resolver.mx("victim.example")):
        with pytest.raises(LookupFailed):
            await lookup
    assert liar.asked > asked + 1


def pointer_loop(query: dns.message.Message) -> bytes:
    """The owner's name of the answer points to itself."""
    head = query.to_wire()[:12]
    question = query.to_wire()[12:]
    answer = (12 + len(question) | 0xC000).to_bytes(2, "big") + b"\x00\x0f\x00\x01\x00\x00\x01\x2c\x00\x04\x00\x0a\xc0\x0c"
    return head[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + question + answer


def with_code(query: dns.message.Message, code: int) -> bytes:
    response = dns.message.make_response(query)
    response.set_rcode(dns.rcode.Rcode(code))
    return response.to_wire()


BROKEN: dict[str, Answers] = {
    "nothing": lambda _query: [],
    "an empty datagram": lambda _query: [b""],
    "half an answer": lambda query: [respond(query).to_wire()[:-5]],
    "a name that points to itself": lambda query: [pointer_loop(query)],
    "SERVFAIL": lambda query: [with_code(query, 2)],
    "NOTIMP": lambda query: [with_code(query, 4)],
    "REFUSED": lambda query: [with_code(query, 5)],
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_answer_is_none_for_now(liar: Liar, resolver: Resolver, case: str) -> None:
    liar.answers = BROKEN[case]
    with pytest.raises(LookupFailed) as failed:
        await resolver.mx("example.org")
    assert failed.value.is_temporary


async def test_a_truncated_answer_without_tcp_service_is_a_failure(liar: Liar, resolver: Resolver) -> None:
    def cut(query: dns.message.Message) -> list[bytes]:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.TC
        return [response.to_wire()]

    liar.answers = cut  # nothing listens there
    with pytest.raises(LookupFailed) as failed:
        await resolver.mx("example.org")
    assert failed.value.is_temporary


@pytest.mark.parametrize("ttl", [0, 1 << 31, (1 << 32) - 1])
async def test_no_answer_is_asked_for_at_every_message_nor_kept_for_ever(
    liar: Liar, resolver: Resolver, clock: ManualClock, ttl: int
) -> None:
    def answer(query: dns.message.Message) -> list[bytes]:
        wire = respond(query, ttl=0x01020304).to_wire()
        return [wire.replace(b"\x01\x02\x03\x04", ttl.to_bytes(4, "big"))]

    liar.answers = answer
    for _ in range(3):
        await resolver.mx("example.org")
    assert liar.asked == 1
    clock.advance(timedelta(seconds=MAX_TTL + 1))
    await resolver.mx("example.org")
    assert liar.asked == 2


@pytest.mark.parametrize(
    "host", [r"a\000b.test.", r"\255\254.test.", r"a\.b.test.", "_x.test.", r"<script>.test.", f"{'a' * 63}.{'b' * 63}.test."]
)
async def test_names_of_any_octets(liar: Liar, resolver: Resolver, host: str) -> None:
    liar.answers = lambda query: [respond(query, value=f"10 {host}").to_wire()]
    ((record),) = cast("tuple[MxRecord]", await resolver.mx("example.org"))
    assert record.host.isascii()
    assert record.host.isprintable()
    liar.answers = lambda query: [dns.message.make_response(query).to_wire()]
    assert await resolver.addresses(record.host) == ()


def few_slots(liar: Liar, clock: ManualClock, *, quick: Slots = QUICK, slow: Slots = SLOW) -> Resolver:
    """One whose questions all fit into the receive buffer of the liar: what is lost is asked again only after the time-out."""
    quick, slow = replace(quick, count=QUICK_SLOTS), replace(slow, count=SLOW_SLOTS)
    return Resolver(clock, liar.transport.get_extra_info("sockname"), quick=quick, slow=slow)


async def test_many_domains_at_once_are_asked_some_at_a_time(liar: Liar, clock: ManualClock) -> None:
    resolver = few_slots(liar, clock, quick=Slots(1, timeout=30.0, lifetime=60.0))  # so many answers take a busy machine its time
    answers = await asyncio.gather(*(resolver.mx(f"d{number}.example") for number in range(200)))
    assert len(answers) == 200
    assert QUICK_SLOTS / 2 < liar.most_pending <= QUICK_SLOTS


async def test_a_failure_that_is_kept_keeps_nothing_of_those_who_met_it(liar: Liar, resolver: Resolver) -> None:
    liar.answers = lambda query: [with_code(query, 3)]
    depths = []
    for _ in range(50):
        with pytest.raises(LookupFailed, match="does not exist") as failed:
            await resolver.mx("example.org")
        depths.append(len(failed.traceback))
    assert max(depths[2:]) <= depths[1]
    assert liar.asked == 1


async def test_a_domain_with_five_hundred_mail_servers(clock: ManualClock) -> None:
    async with NameServer({("example.org", "MX"): [f"{number} mx{number}.example.org." for number in range(500)]}) as server:
        assert len(cast("tuple[MxRecord, ...]", await Resolver(clock, (server.host, server.port)).mx("example.org"))) == 500


async def test_silent_names_do_not_delay_the_others(liar: Liar, clock: ManualClock) -> None:
    # The good name must be answered in its quick slot, also on a busy machine: a slow one never becomes free.
    quick, slow = Slots(1, timeout=2.0, lifetime=4.0), Slots(1, timeout=60.0, lifetime=60.0)
    resolver = few_slots(liar, clock, quick=quick, slow=slow)
    liar.answers = lambda query: [] if "silent" in str(query.question[0].name) else [respond(query).to_wire()]
    silent = [asyncio.create_task(resolver.mx(f"silent{number}.example")) for number in range(QUICK_SLOTS + SLOW_SLOTS)]
    await asyncio.sleep(0)
    async with asyncio.timeout(40):  # two turns of quick slots, 4 s each; each silent name has a minute
        assert await resolver.mx("good.example") == (MxRecord(10, "mx.example.org"),)
    assert not any(task.done() for task in silent)
    for task in silent:
        task.cancel()


@pytest.mark.parametrize("fault", ["silence", "SERVFAIL", "REFUSED"])
async def test_an_expired_answer_is_served_while_the_resolver_fails(liar: Liar, resolver: Resolver, clock: ManualClock, fault: str) -> None:
    await resolver.mx("example.org")
    good = liar.answers
    codes = {"SERVFAIL": 2, "REFUSED": 5}
    liar.answers = lambda query: [] if fault == "silence" else [with_code(query, codes[fault])]
    clock.advance(timedelta(seconds=300 + MAX_STALE - 1))
    assert await resolver.mx("example.org") == (MxRecord(10, "mx.example.org"),)
    assert resolver.statistics()["stale_served"] == 1
    clock.advance(timedelta(seconds=FAILURE_TTL))
    with pytest.raises(LookupFailed):
        await resolver.mx("example.org")
    clock.advance(timedelta(seconds=MAX_FAILURE_TTL))
    liar.answers = good
    assert await resolver.mx("example.org") == (MxRecord(10, "mx.example.org"),)


async def test_a_denial_ends_a_stale_answer(liar: Liar, resolver: Resolver, clock: ManualClock) -> None:
    await resolver.mx("example.org")
    clock.advance(timedelta(seconds=301))
    denies = True
    liar.answers = lambda query: [with_code(query, 3 if denies else 2)]
    with pytest.raises(LookupFailed):
        await resolver.mx("example.org")
    denies = False
    clock.advance(timedelta(seconds=NEGATIVE_TTL))
    with pytest.raises(LookupFailed):
        await resolver.mx("example.org")


async def test_a_name_that_fails_is_asked_after_pauses_that_double(liar: Liar, resolver: Resolver, clock: ManualClock) -> None:
    liar.answers = lambda query: [with_code(query, 2)]
    pauses = []
    for _ in range(5):
        with pytest.raises(LookupFailed):
            await resolver.mx("example.org")
        asked, started = liar.asked, clock.monotonic()
        while liar.asked == asked:
            clock.advance(timedelta(seconds=1))
            with pytest.raises(LookupFailed):
                await resolver.mx("example.org")
        pauses.append(clock.monotonic() - started)
    assert pauses == [10, 20, 40, 80, 80]


async def test_a_fresh_answer_is_never_a_stale_one(clock: ManualClock) -> None:
    async with NameServer() as server:
        server.set_text("example.org", "old")
        resolver = Resolver(clock, (server.host, server.port))
        assert await resolver.txt("example.org") == ("old",)
        server.servfail.add("example.org")
        with pytest.raises(LookupFailed):
            await resolver.txt("example.org", fresh=True)
        assert await resolver.txt("example.org") == ("old",)
