"""Signatures: right, made once, in threads, with the key that the domain has now."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import dkim
import pytest

from sendryd.delivery import signer as module
from sendryd.delivery.signer import CHECK_INTERVAL, Signer, SigningKeyMissing
from sendryd.delivery.signing_link import SigningLink
from sendryd.message.dkim import generate_key, sign
from sendryd.message.errors import MalformedMessage
from sendryd.model.domain import DomainSettings, SendingDomain, TlsPolicy
from sendryd.model.ids import DomainId, MessageId
from sendryd.runtime.clock import Clock
from sendryd.runtime.offload import LARGE
from sendryd.store.base import AccountStore
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock
from sendryd.testing.post import signing_key
from sendryd.testing.samples import NOW, Samples

CONTENT = b"From: a@example.test\r\nSubject: x\r\n\r\nbody\r\n"
ID = DomainId(1)


class Desk:
    """A signer with a domain that it signs for."""

    def __init__(self, make_signer: Callable[[AccountStore, Clock], Signer] = Signer) -> None:
        self.store, self.clock = MemoryStore(), ManualClock()
        self.signer = make_signer(self.store, self.clock)

    async def add(self, domain_id: DomainId = ID, name: str = "example.test") -> None:
        new = Samples().domain(name)
        await self.store.add_domain(replace(new, domain=replace(new.domain, id=domain_id), private_key=signing_key()[0]))

    async def domain(self) -> SendingDomain:
        domain = await self.store.get_domain(ID)
        assert domain is not None
        return domain

    async def sign(self, form: tuple[MessageId, bool] | None, content: bytes = CONTENT) -> bytes:
        return await self.signer.sign(await self.signer.key(ID), content, form)


@asynccontextmanager
async def opened(made: Desk) -> AsyncIterator[Desk]:
    await made.add()
    yield made
    made.signer.close()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened(Desk()) as made:
        yield made


def verifies(content: bytes) -> bool:
    return bool(dkim.verify(content, dnsfunc=lambda _name, **_: f"v=DKIM1; k=rsa; p={signing_key()[1]}".encode()))


async def test_a_signature_stands_for_the_domain_and_the_content(desk: Desk) -> None:
    field = await desk.sign(None)
    assert field.startswith(b"DKIM-Signature:")
    assert field.endswith(b"\r\n")
    assert b"d=example.test" in field
    assert b"s=sendry" in field
    assert verifies(field + CONTENT)
    assert not verifies(field + CONTENT.replace(b"body", b"evil"))


async def test_a_message_is_signed_once_for_all_domains_that_it_goes_to(desk: Desk) -> None:
    first = await desk.sign((MessageId(1), False))
    desk.clock.advance(timedelta(hours=1))
    assert await desk.sign((MessageId(1), False)) == first
    seven_bit, other = await desk.sign((MessageId(1), True)), await desk.sign((MessageId(2), False))
    assert first not in {seven_bit, other}


async def test_a_copy_of_ones_own_is_signed_for_itself(desk: Desk) -> None:
    one, two = await desk.sign(None), await desk.sign(None, CONTENT.replace(b"body", b"yours"))
    assert verifies(two + CONTENT.replace(b"body", b"yours"))
    assert not verifies(one + CONTENT.replace(b"body", b"yours"))


async def test_of_many_messages_the_latest_signatures_are_kept() -> None:
    async with opened(Desk(partial(Signer, max_signatures=2))) as desk:
        first = [await desk.sign((MessageId(number), False)) for number in range(3)]
        desk.clock.advance(timedelta(hours=1))
        assert [await desk.sign((MessageId(number), False)) == first[number] for number in (2, 1, 0)] == [True, True, False]


async def test_the_event_loop_goes_on_while_signatures_are_computed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, threads = threading.Event(), set[int]()

    def held(*arguments: Any, **named: Any) -> bytes:
        threads.add(threading.get_ident())
        gate.wait(5)
        return sign(*arguments, **named)

    monkeypatch.setattr(module, "sign", held)
    tasks = [asyncio.create_task(desk.sign(None)) for _ in range(module.MANY - 1)]
    async with asyncio.timeout(60):
        while len(threads) < module.THREADS:
            await asyncio.sleep(0.001)
    assert threading.get_ident() not in threads
    assert not any(task.done() for task in tasks)
    gate.set()
    assert all(verifies(field + CONTENT) for field in await asyncio.gather(*tasks))
    assert len(threads) == module.THREADS


def process_of(desk: Desk) -> int | None:
    return desk.signer.process


async def sign_many(desk: Desk, count: int = 2 * module.MANY) -> list[bytes]:
    async with asyncio.timeout(60):
        return await asyncio.gather(*(desk.sign(None) for _ in range(count)))


@pytest.mark.sockets
async def test_many_at_once_are_signed_by_a_process(desk: Desk) -> None:
    await sign_many(desk, module.MANY - 1)
    assert process_of(desk) is None
    assert all(verifies(field + CONTENT) for field in await sign_many(desk))
    process = process_of(desk)
    assert process is not None
    assert verifies(await desk.sign(None) + CONTENT)
    assert process_of(desk) == process


@pytest.mark.sockets
async def test_large_contents_are_not_copied_to_the_process(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await sign_many(desk)

    async def forbidden(*_: object) -> bytes:
        raise AssertionError("it was given to the process")

    monkeypatch.setattr(SigningLink, "sign", forbidden)
    content = CONTENT + b"x" * 70 + (b"\r\n" + b"x" * 70) * 4000
    assert len(content) > LARGE
    assert verifies(await desk.sign(None, content) + content)


@pytest.mark.sockets
async def test_what_a_lost_process_was_asked_is_signed_all_the_same(desk: Desk) -> None:
    await sign_many(desk)
    first = process_of(desk)
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    waiting = asyncio.create_task(sign_many(desk))
    await asyncio.sleep(0)
    os.kill(first, signal.SIGKILL)
    assert all(verifies(field + CONTENT) for field in await waiting)
    await sign_many(desk)
    assert process_of(desk) is None  # not started again and again
    desk.clock.advance(timedelta(seconds=module.RESTART_PAUSE))
    assert all(verifies(field + CONTENT) for field in await sign_many(desk))
    assert process_of(desk) not in {first, None}


async def no_thread() -> SigningLink:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize(
    "start_process",
    [partial(SigningLink.start, program=("/nowhere/at/all",)), partial(SigningLink.start, program=("/bin/false",)), no_thread],
    ids=["no program", "a program that is none", "no thread"],
)
async def test_where_no_process_can_be_started_threads_sign(start_process: Callable[[], Awaitable[SigningLink]]) -> None:
    async with opened(Desk(partial(Signer, start_process=start_process))) as desk:
        assert all(verifies(field + CONTENT) for field in await sign_many(desk))
        assert process_of(desk) is None


async def test_what_cannot_be_signed_says_why(desk: Desk) -> None:
    await sign_many(desk)
    with pytest.raises(MalformedMessage, match="colon"):
        await desk.sign(None, b"no header\r\n")
    assert process_of(desk) is not None


@pytest.mark.sockets
async def test_a_new_key_of_a_domain_signs_from_then_on(desk: Desk) -> None:
    await sign_many(desk)
    await desk.store.remove_domain(ID, NOW)
    pem, public = generate_key()
    new = Samples().domain("example.test")
    await desk.store.add_domain(replace(new, domain=replace(new.domain, id=ID), private_key=pem))
    desk.clock.advance(timedelta(seconds=CHECK_INTERVAL))
    field = await desk.sign(None)
    assert dkim.verify(field + CONTENT, dnsfunc=lambda _name, **_: f"v=DKIM1; k=rsa; p={public}".encode())


async def test_a_change_of_the_domain_is_seen_within_its_promise(desk: Desk) -> None:
    assert (await desk.signer.key(ID)).tls_policy is not TlsPolicy.ENFORCED
    await desk.store.set_domain_settings(await desk.domain(), replace(DomainSettings(), tls_policy=TlsPolicy.ENFORCED))
    desk.clock.advance(timedelta(seconds=CHECK_INTERVAL))
    assert (await desk.signer.key(ID)).tls_policy is TlsPolicy.ENFORCED
    assert CHECK_INTERVAL < 1


async def test_a_domain_that_was_removed_signs_no_more(desk: Desk) -> None:
    await desk.signer.key(ID)
    await desk.store.remove_domain(ID, NOW)
    desk.clock.advance(timedelta(seconds=CHECK_INTERVAL))
    with pytest.raises(SigningKeyMissing):
        await desk.signer.key(ID)
    await desk.add()
    desk.clock.advance(timedelta(seconds=CHECK_INTERVAL))
    assert (await desk.signer.key(ID)).domain == "example.test"


async def test_a_domain_that_was_never_there_has_no_key(desk: Desk) -> None:
    with pytest.raises(SigningKeyMissing):
        await desk.signer.key(DomainId(99))


async def test_a_domain_that_is_added_signs_at_once(desk: Desk) -> None:
    await desk.signer.key(ID)
    await desk.add(DomainId(2), "other.test")
    assert (await desk.signer.key(DomainId(2))).domain == "other.test"
    assert repr(desk.signer) == "<Signer 2 keys>"


async def test_a_key_is_loaded_once_and_not_more_of_them_than_fit() -> None:
    async with opened(Desk(partial(Signer, max_keys=1))) as desk:
        assert await desk.signer.key(ID) is await desk.signer.key(ID)
        await desk.add(DomainId(2), "other.test")
        await desk.signer.key(DomainId(2))
        desk.clock.advance(timedelta(seconds=CHECK_INTERVAL))
        await desk.signer.key(ID)
        assert repr(desk.signer) == "<Signer 1 keys>"


async def test_what_was_read_before_a_change_is_not_kept_behind_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.add(DomainId(2), "other.test")
    await desk.signer.key(DomainId(2))
    read, gate = desk.store.read_private_key, asyncio.Event()

    async def slow(domain_id: DomainId) -> bytes | None:
        await gate.wait()
        return await read(domain_id)

    monkeypatch.setattr(desk.store, "read_private_key", slow)
    early = asyncio.create_task(desk.signer.key(ID))
    await asyncio.sleep(0)  # it has read the domain, and waits for the key
    await desk.store.set_domain_settings(await desk.domain(), replace(DomainSettings(), tls_policy=TlsPolicy.ENFORCED))
    desk.clock.advance(timedelta(seconds=CHECK_INTERVAL))
    gate.set()
    await desk.signer.key(DomainId(2))  # sees that something has changed
    await early
    desk.clock.advance(timedelta(seconds=CHECK_INTERVAL))
    assert (await desk.signer.key(ID)).tls_policy is TlsPolicy.ENFORCED
