"""A name server that says nothing: the resolver's time-outs are short here, and pass in real time."""

import asyncio
from pathlib import Path

import dns.message
import dns.rrset
import pytest

from sendryd.model.event import EventType
from sendryd.runtime.resolver import Slots

from .engine import Engine

pytestmark = pytest.mark.sockets

SHORT = Slots(256, timeout=1.0, lifetime=1.0), Slots(64, timeout=1.0, lifetime=1.0)
# Of few slots: a good name is answered in a quick one, and no slow one becomes free while the test runs.
FEW = Slots(4, timeout=4.0, lifetime=4.0), Slots(2, timeout=60.0, lifetime=60.0)


async def test_mail_to_other_domains_does_not_wait_for_silent_names(tmp_path: Path) -> None:
    async with Engine(tmp_path, slots=FEW) as engine:
        silent = [f"silent{number}.test" for number in range(FEW[0].count + FEW[1].count)]
        engine.names.dropped.update(silent)
        waiting = [await engine.send(f"u@{domain}") for domain in silent]
        while len([name for name, _ in engine.names.queries if name in silent]) < FEW[0].count:
            await asyncio.sleep(0)
        await engine.domain("good.test")
        assert (await engine.fate("u@good.test")).type is EventType.DELIVERED
        for message in waiting:
            assert await engine.types(message) == ["queued"]
        engine.names.dropped.clear()


async def test_a_truncated_answer_is_had_over_tcp_and_is_a_failure_without(tmp_path: Path) -> None:
    async with Engine(tmp_path, slots=SHORT) as engine:
        long, longer = await engine.domain("long.test"), await engine.domain("longer.test")
        engine.names.truncated |= {"long.test", "mx.long.test", "longer.test"}
        assert (await engine.fate("u@long.test")).type is EventType.DELIVERED
        engine.names.end_tcp()
        deferred = await engine.first_attempt("u@longer.test")
        assert (deferred.type, deferred.metadata["category"]) == (EventType.DEFERRED, "dns_failure")
        assert (len(long.mails), longer.connections) == (1, 0)


async def test_without_the_true_answer_a_forged_one_is_none(tmp_path: Path) -> None:
    async with Engine(tmp_path, slots=SHORT) as engine:
        evil = await engine.host("mx.evil.test")

        def forge(wire: bytes) -> list[bytes]:
            query = dns.message.from_wire(wire)
            answer = dns.message.make_response(query)
            answer.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "MX", "5 mx.evil.test."))
            answer.id = (query.id + 1) % 65536
            return [answer.to_wire()]

        engine.names.forge = forge
        engine.names.dropped.add("true.test")
        deferred = await engine.first_attempt("u@true.test")
        assert (deferred.type, deferred.metadata["category"]) == (EventType.DEFERRED, "dns_failure")
        assert evil.connections == 0
