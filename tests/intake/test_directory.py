"""Keys and domains, looked up once and not kept behind a change."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sendryd.intake.directory import CHECK_INTERVAL, Directory
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, NOW, Samples


class Hall:
    """A directory with a key and a domain, and a gate before the store."""

    def __init__(self) -> None:
        self.store, self.clock = MemoryStore(), ManualClock()
        self.directory = Directory(self.store, self.clock)
        self.samples = Samples()
        self.looks = 0

    async def fill(self) -> None:
        self.key = self.samples.api_key()
        self.domain = self.samples.domain()
        await self.store.add_api_key(self.key)
        await self.store.add_domain(self.domain)

    def hold(self, patch: pytest.MonkeyPatch, name: str) -> asyncio.Event:
        """Answers of this method arrive when the gate is opened, as the store had it when it was asked."""
        look: Callable[..., Any] = getattr(self.store, name)
        gate = asyncio.Event()

        async def slow(*arguments: object) -> object:
            self.looks += 1
            answer = await look(*arguments)
            await gate.wait()
            return answer

        patch.setattr(self.store, name, slow)
        return gate

    def wait(self) -> None:
        self.clock.advance(timedelta(seconds=CHECK_INTERVAL))


@pytest.fixture
async def hall() -> Hall:
    made = Hall()
    await made.fill()
    return made


async def test_what_is_known_is_not_asked_again(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    hall.hold(monkeypatch, "find_api_key").set()
    hall.hold(monkeypatch, "find_domain").set()
    for _ in range(3):
        assert await hall.directory.find_key(hall.key.secret_hash) == hall.key.key
        assert await hall.directory.covering_domains(ACCOUNT, "example.test") == (hall.domain.domain,)
        hall.wait()
    assert hall.looks == 2


async def test_a_revoked_key_opens_nothing_within_the_promise(hall: Hall) -> None:
    assert await hall.directory.find_key(hall.key.secret_hash) is not None
    await hall.store.revoke_api_key(ACCOUNT, hall.key.key.id, NOW)
    hall.wait()
    assert await hall.directory.find_key(hall.key.secret_hash) is None


async def test_a_key_that_was_read_before_it_was_revoked_is_not_kept_behind_that(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = hall.hold(monkeypatch, "find_api_key")
    early = asyncio.create_task(hall.directory.find_key(hall.key.secret_hash))
    while not hall.looks:
        await asyncio.sleep(0)
    await hall.store.revoke_api_key(ACCOUNT, hall.key.key.id, NOW)
    hall.wait()
    await hall.directory.covering_domains(ACCOUNT, "other.test")  # sees that something has changed
    gate.set()
    await early
    hall.wait()
    assert await hall.directory.find_key(hall.key.secret_hash) is None


async def test_a_domain_that_was_read_before_it_was_removed_is_not_kept_behind_that(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = hall.hold(monkeypatch, "find_domain")
    early = asyncio.create_task(hall.directory.covering_domains(ACCOUNT, "example.test"))
    while not hall.looks:
        await asyncio.sleep(0)
    await hall.store.remove_domain(hall.domain.domain.id, NOW)
    hall.wait()
    await hall.directory.find_key(b"stranger")  # sees that something has changed
    gate.set()
    await early
    hall.wait()
    assert await hall.directory.covering_domains(ACCOUNT, "example.test") == ()


async def test_invalidate_reloads_at_the_next_look_up(hall: Hall) -> None:
    assert await hall.directory.covering_domains(ACCOUNT, "example.test") != ()
    await hall.store.remove_domain(hall.domain.domain.id, NOW)
    hall.directory.invalidate()
    assert await hall.directory.covering_domains(ACCOUNT, "example.test") == ()
