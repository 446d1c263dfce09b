"""What DNS says of a domain, and mail servers that are dead or too many: from the door to the event, in virtual time."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import dns.message
import dns.rrset
import pytest

from sendryd.delivery.denials import CONFIRM_DELAY, MIN_DENIED
from sendryd.delivery.patience import CONNECT_BUDGET
from sendryd.model.event import EventType
from sendryd.policy.routing import MAX_ADDRESSES, MAX_HOSTS
from sendryd.testing.mailhost import Script

from .engine import Engine

pytestmark = [pytest.mark.sockets, pytest.mark.virtual_time(sockets=True)]


async def test_a_null_mx_bounces_at_once_and_no_server_is_asked(engine: Engine) -> None:
    here = await engine.host("nomail.test")
    engine.names.set("nomail.test", "MX", "0 .")
    bounced = await engine.first_attempt("u@nomail.test")
    assert (bounced.type, bounced.metadata["enhanced_code"]) == (EventType.BOUNCED, "5.1.10")
    assert here.connections == 0


async def test_a_domain_without_mx_is_its_own_mail_server_only_where_dns_says_so(engine: Engine) -> None:
    here = await engine.host("implicit.test", "unsure.test")
    engine.names.servfail.add("unsure.test MX")
    assert (await engine.first_attempt("u@implicit.test")).type is EventType.DELIVERED
    deferred = await engine.first_attempt("u@unsure.test")
    assert (deferred.type, deferred.metadata["category"]) == (EventType.DEFERRED, "dns_failure")
    assert len(here.mails) == 1


async def test_while_dns_fails_an_expired_answer_serves_and_other_mail_waits(engine: Engine) -> None:
    engine.names.ttl = 10
    for domain in ("known.test", "new.test"):
        await engine.domain(domain)
    assert (await engine.first_attempt("u@known.test")).type is EventType.DELIVERED
    engine.names.servfail |= {name for domain in ("known.test", "new.test") for name in (domain, f"mx.{domain}")}
    await asyncio.sleep(60)
    assert (await engine.first_attempt("u@known.test")).type is EventType.DELIVERED
    message = await engine.send("u@new.test")
    assert (await engine.wait_for(message, EventType.DEFERRED)).metadata["category"] == "dns_failure"
    engine.names.servfail.clear()
    assert (await engine.wait_for(message)).type is EventType.DELIVERED


async def test_the_second_denial_bounces_some_minutes_after_the_first(engine: Engine) -> None:
    engine.names.set("nothing.test", "TXT", '"neither mail server nor address"')
    messages = [await engine.send(f"u@{domain}") for domain in ("gone.test", "nothing.test")]
    for message in messages:
        assert (await engine.wait_for(message)).type is EventType.BOUNCED
        queued, deferred, bounced = await engine.events(message)
        assert (deferred.type, deferred.metadata["enhanced_code"]) == (EventType.DEFERRED, "4.1.2")
        assert deferred.created_at - queued.created_at < CONFIRM_DELAY / 2
        assert bounced.created_at - deferred.created_at >= CONFIRM_DELAY


async def test_a_domain_that_is_denied_for_a_moment_gets_its_mail(engine: Engine) -> None:
    message = await engine.send("u@slip.test")
    await engine.wait_for(message, EventType.DEFERRED)
    await engine.domain("slip.test")
    assert (await engine.wait_for(message)).type is EventType.DELIVERED


async def test_a_restart_between_two_denials_does_not_forget_the_first(tmp_path: Path) -> None:
    async with Engine(tmp_path) as before:
        message = await before.send("u@gone.test")
        await before.wait_for(message, EventType.DEFERRED)
        await before.stop()
        async with Engine(tmp_path, before=before) as after:
            assert (await after.wait_for(message)).type is EventType.BOUNCED
            assert await after.types(message) == ["queued", "deferred", "bounced"]


async def test_nothing_bounces_while_dns_denies_most_domains(engine: Engine) -> None:
    domains = [f"d{number}.test" for number in range(MIN_DENIED + 2)]
    messages = [await engine.send(f"u@{domain}") for domain in domains]
    await asyncio.sleep(2 * CONFIRM_DELAY.total_seconds())
    for message in messages:
        assert set(await engine.types(message)) == {"queued", "deferred"}
    here = await engine.host("mx.here.test")
    for domain in domains:
        engine.names.set(domain, "MX", "10 mx.here.test.")
    await engine.retry()
    for message in messages:
        assert (await engine.wait_for(message)).type is EventType.DELIVERED
    assert len(here.mails) == len(domains)


def forge(query: dns.message.Message, what: str) -> bytes:
    """What somebody who does not see the question sends in the hope of being first."""
    name = "other.test." if what == "another question" else query.question[0].name
    question = dns.message.make_query(name, query.question[0].rdtype, id=query.id ^ (what == "another number"))
    if what == "no answer":
        return question.to_wire()
    answer = dns.message.make_response(question)
    answer.answer.append(dns.rrset.from_text(name, 300, "IN", "MX", "5 mx.evil.test."))
    return answer.to_wire()


@pytest.mark.parametrize("what", ["another number", "another question", "no answer"])
async def test_forged_answers_lead_nowhere(engine: Engine, what: str) -> None:
    right, evil = await engine.domain("true.test"), await engine.host("mx.evil.test")
    engine.names.forge = lambda wire: [forge(dns.message.from_wire(wire), what)] * 3
    assert (await engine.fate("u@true.test")).type is EventType.DELIVERED
    assert (len(right.mails), evil.connections) == (1, 0)


async def test_what_an_answer_says_of_other_names_is_not_believed(engine: Engine) -> None:
    right, evil = await engine.domain("victim.test"), await engine.host()
    engine.names.set("liar.test", "MX", "10 mx.victim.test.")
    engine.names.additional["liar.test", "MX"] = [("mx.victim.test", "A", evil.host)]
    for domain in ("liar.test", "victim.test"):
        assert (await engine.fate(f"u@{domain}")).type is EventType.DELIVERED
    assert (len(right.mails), evil.connections) == (2, 0)


async def test_mail_servers_of_equal_preference_share_the_mail_and_a_worse_one_gets_none(engine: Engine) -> None:
    equal = [await engine.host(f"mx{number}.test") for number in range(3)]
    worse = await engine.host("last.test")
    engine.names.set("equal.test", "MX", "20 last.test.", *(f"10 mx{each}.test." for each in range(3)))
    for number in range(30):  # by one answer of DNS: a name server shuffles too
        assert (await engine.fate(f"u{number}@equal.test")).type is EventType.DELIVERED
    assert all(server.mails for server in equal)
    assert sum(len(server.mails) for server in equal) == 30
    for server in equal:
        server.script = Script(connect=lambda _: "421 4.3.2 Busy", command=lambda *_: "421 4.3.2 Busy")
    assert (await engine.fate("u@equal.test")).metadata["host"] == "last.test"
    assert len(worse.mails) == 1


async def test_of_five_hundred_mail_servers_each_attempt_tries_a_few_and_the_next_one_others(engine: Engine) -> None:
    busy = Script(connect=lambda _: "421 4.3.2 Busy")
    servers = [await engine.host(script=busy) for _ in range(40)]
    engine.names.set("many.test", "MX", *(f"10 m{number}.many.test." for number in range(500)))
    for number in range(500):
        addresses = [servers[(number + each * 13) % len(servers)].host for each in range(3)]
        engine.names.set(f"m{number}.many.test", "A", *addresses)
    message = await engine.send("u@many.test")
    await engine.wait_for(message, EventType.DEFERRED)
    first = [server.connections for server in servers]
    assert 1 <= sum(first) <= MAX_HOSTS * MAX_ADDRESSES
    while (await engine.types(message)).count("deferred") < 2:
        await asyncio.sleep(1)
    second = [server.connections - before for server, before in zip(servers, first, strict=True)]
    assert 1 <= sum(second) <= MAX_HOSTS * MAX_ADDRESSES
    assert any(now and not before for now, before in zip(second, first, strict=True))


async def test_a_mail_server_at_our_own_address_is_a_loop(tmp_path: Path) -> None:
    async with Engine(tmp_path, env={"SENDRYD_SMTP_LISTEN": "127.9.9.9:{port}"}) as engine:
        better, worse = await engine.host("better.test"), await engine.host("worse.test")
        engine.names.set("alias.test", "A", "127.9.9.9")
        engine.names.set("loop.test", "MX", "10 alias.test.", "20 worse.test.")
        engine.names.set("good.test", "MX", "10 better.test.", "20 alias.test.", "30 worse.test.")
        bounced = await engine.fate("u@loop.test")
        assert (bounced.type, bounced.metadata["enhanced_code"]) == (EventType.BOUNCED, "5.4.6")
        assert (await engine.fate("u@good.test")).metadata["host"] == "better.test"
        await better.aclose()
        better.script = Script(connect=lambda _: "421 4.3.2 Busy")
        assert (await engine.first_attempt("u@good.test")).type is EventType.DEFERRED
        assert worse.connections == 0


@contextmanager
def black_holes(port: int, count: int) -> Iterator[list[str]]:
    """Addresses that accept no connection and refuse none: the queue of their listener is full."""
    addresses = [f"127.8.0.{number}" for number in range(1, count + 1)]
    with ExitStack() as stack:
        for address in addresses:
            listener = stack.enter_context(socket.create_server((address, port), backlog=0))
            stack.enter_context(socket.create_connection(listener.getsockname()))
        yield addresses


async def test_addresses_that_accept_nothing_and_refuse_nothing_take_a_minute_together(engine: Engine) -> None:
    with black_holes(engine.port, 10) as addresses:
        engine.names.set("silent.test", "MX", *(f"{number} m{number}.silent.test." for number in range(5)))
        for number in range(5):
            engine.names.set(f"m{number}.silent.test", "A", *addresses[2 * number : 2 * number + 2])
        message = await engine.send("u@silent.test")
        deferred = await engine.wait_for(message, EventType.DEFERRED)
        (queued, *_) = await engine.events(message)
        minute = timedelta(seconds=CONNECT_BUDGET)
        assert minute * 0.9 <= deferred.created_at - queued.created_at <= minute * 1.1
