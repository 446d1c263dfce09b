"""MTA-STS policies of domains: found, kept until they expire, fetched again; nobody waits for a host that hangs."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from sendryd.delivery.sts_policies import PAUSE, WAIT, StsPolicies
from sendryd.model.domain import StsMode
from sendryd.policy.mtasts import StsPolicy
from sendryd.runtime.posting import HttpFault
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock
from sendryd.testing.zone import ZoneResolver

RECORD = "_mta-sts.a.test"
URL = "https://mta-sts.a.test/.well-known/mta-sts.txt"


def text(mode: str = "enforce", max_age: int = 86400, mx: str = "mx.a.test") -> bytes:
    return f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {max_age}\n".encode()


class PolicyHosts:
    """`HttpFetcher` over a dictionary: octets, or what fails or waits instead."""

    def __init__(self) -> None:
        self.found: dict[str, bytes | Exception | asyncio.Event] = {}
        self.asked: list[str] = []

    async def fetch(self, url: str, *, max_size: int, accept: str = "") -> bytes:
        assert (max_size, accept) == (65536, "text/plain")
        self.asked.append(url)
        found = self.found.get(url, HttpFault("No connection."))
        if isinstance(found, asyncio.Event):
            await found.wait()
            return text()
        if isinstance(found, Exception):
            raise found
        return found


class Setting:
    """Policies over a zone, policy hosts and a store."""

    def __init__(self) -> None:
        self.zone, self.hosts, self.store, self.clock = ZoneResolver(), PolicyHosts(), MemoryStore(), ManualClock()
        self.zone.texts[RECORD] = ("v=STSv1; id=1",)
        self.hosts.found[URL] = text()
        self.policies = self.fresh()

    def fresh(self) -> StsPolicies:
        return StsPolicies(self.zone, self.hosts, self.store, self.clock, port=443)

    async def mode(self) -> StsMode | None:
        found = await self.policies.find("a.test")
        return found.mode if found else None

    async def restart(self) -> None:
        await self.policies.aclose()
        self.policies = self.fresh()
        await self.policies.load()


async def test_a_policy_is_fetched_once_and_obeyed_until_it_expires_whatever_becomes_of_its_host() -> None:
    setting = Setting()
    assert await setting.policies.find("a.test") == StsPolicy(mode=StsMode.ENFORCE, mx=("mx.a.test",), max_age=86400)
    assert await setting.mode() is StsMode.ENFORCE
    assert setting.hosts.asked == [URL]
    setting.zone.texts.clear()
    setting.hosts.found.clear()
    await setting.restart()
    assert await setting.mode() is StsMode.ENFORCE
    setting.clock.advance(timedelta(seconds=86400))
    assert await setting.mode() is None


async def test_a_new_id_brings_the_new_policy_to_the_next_mail() -> None:
    setting = Setting()
    assert await setting.mode() is StsMode.ENFORCE
    setting.hosts.found[URL] = text("testing")
    assert await setting.mode() is StsMode.ENFORCE
    setting.zone.texts[RECORD] = ("v=STSv1; id=2",)
    assert await setting.mode() is StsMode.TESTING
    await setting.restart()
    assert await setting.mode() is StsMode.TESTING
    assert len(setting.hosts.asked) == 2


def _no_host(setting: Setting) -> None:
    setting.hosts.found.clear()


def _no_policy(setting: Setting) -> None:
    setting.hosts.found[URL] = b"<html>Not found</html>"


def _no_dns(setting: Setting) -> None:
    setting.zone.silent.add(RECORD)


@pytest.mark.parametrize("fault", [_no_host, _no_policy, _no_dns])
async def test_without_a_policy_mail_goes_on_and_the_next_try_is_later(fault: Callable[[Setting], None]) -> None:
    setting = Setting()
    fault(setting)
    assert await setting.mode() is None
    setting.hosts.found[URL] = text()
    setting.zone.silent.clear()
    assert await setting.mode() is None
    setting.clock.advance(timedelta(seconds=PAUSE))
    assert await setting.mode() is StsMode.ENFORCE


async def test_a_domain_without_a_record_has_no_policy() -> None:
    setting = Setting()
    setting.zone.texts.clear()
    assert await setting.mode() is None
    assert setting.hosts.asked == []


@pytest.mark.virtual_time
async def test_mail_waits_a_while_for_a_host_that_hangs_and_then_for_none() -> None:
    setting = Setting()
    setting.hosts.found[URL] = hanging = asyncio.Event()
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert await setting.mode() is None
    assert loop.time() - started == pytest.approx(WAIT)
    other = await setting.policies.find("b.test")
    assert other is None
    hanging.set()
    assert await setting.mode() is StsMode.ENFORCE
    setting.zone.texts[RECORD] = ("v=STSv1; id=2",)
    setting.hosts.found[URL] = asyncio.Event()
    started = loop.time()
    assert await setting.mode() is StsMode.ENFORCE
    assert loop.time() - started < WAIT / 2
    await setting.policies.aclose()


async def test_what_is_due_is_fetched_again_in_the_background() -> None:
    setting = Setting()
    setting.hosts.found[URL] = text(max_age=1000)
    assert await setting.mode() is StsMode.ENFORCE
    await setting.policies.refresh()
    assert len(setting.hosts.asked) == 1
    setting.clock.advance(timedelta(seconds=600))
    await setting.policies.refresh()
    assert len(setting.hosts.asked) == 2
    setting.clock.advance(timedelta(seconds=600))
    setting.zone.texts.clear()
    setting.hosts.found.clear()
    assert await setting.mode() is StsMode.ENFORCE
