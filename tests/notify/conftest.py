"""A store that is watched, and dispatchers that are started on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from sendryd.model.ids import AccountId, WebhookId
from sendryd.model.webhook import Notification, Webhook, WebhookEvent
from sendryd.notify.dispatcher import (
    Dispatcher,
)
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.http import AiohttpClient
from sendryd.runtime.rand import SeededRand
from sendryd.runtime.resolver import Resolver
from sendryd.runtime.wakeup import Wakeup
from sendryd.store.base import Lease, Notice, NotificationOutcome, Owner, ReplayStore, Store
from sendryd.testing.clock import ManualClock
from sendryd.testing.nameserver import NameServer
from sendryd.testing.stores import open_new_store
from sendryd.testing.webhookhost import WebhookHost

ACCOUNT = AccountId(1)
SECRET = "whsec_" + "Ab3x" * 11
DELAYS = tuple(timedelta(seconds=seconds) for seconds in (5, 60, 300))
WAIT = 60.0  # seconds
SHORT = 1.0  # seconds that a request may take where it gets no answer


class WatchedStore:
    """The store, with what was recorded, and faults where that happens."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.outcomes: list[NotificationOutcome] = []
        self.faults: list[Exception] = []
        self.is_stuck = False
        self.stuck = asyncio.Event()
        self._changed = asyncio.Condition()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def record_notification(self, lease: Lease, outcome: NotificationOutcome, now: datetime) -> Webhook | None:
        if self.is_stuck:
            self.stuck.set()
            await asyncio.Event().wait()
        if self.faults:
            raise self.faults.pop()
        webhook = await self._store.record_notification(lease, outcome, now)
        async with self._changed:
            self.outcomes.append(outcome)
            self._changed.notify_all()
        return webhook

    async def wait(self, count: int) -> list[NotificationOutcome]:
        async with asyncio.timeout(WAIT), self._changed:
            await self._changed.wait_for(lambda: len(self.outcomes) >= count)
        return list(self.outcomes)


@dataclass
class World:
    """A store, and dispatchers that are started on it."""

    store: Store
    clock: ManualClock
    client: AiohttpClient
    delays: tuple[timedelta, ...] = DELAYS
    number: int = 0
    boots: int = 0

    def __post_init__(self) -> None:
        self.watched = WatchedStore(self.store)
        self.running: list[tuple[Dispatcher, asyncio.Task[None]]] = []
        self.wakeup = Wakeup()

    async def restart(self) -> Dispatcher:
        """As a new process does."""
        await self.store.return_dead_notifications(Owner(node="local", boot=self.boots + 1))
        return self.start()

    def start(self) -> Dispatcher:
        self.wakeup = Wakeup()
        self.boots += 1
        made = Dispatcher(
            cast("ReplayStore", self.watched),
            self.client,
            delays=self.delays,
            owner=Owner(node="local", boot=self.boots),
            clock=self.clock,
            rand=SeededRand(len(self.running)),
            wakeup=self.wakeup,
        )
        self.running.append((made, asyncio.create_task(made.run())))
        return made

    async def kill(self) -> None:
        """As the machine would: nothing is finished."""
        for made, task in self.running:
            for each in (task, *made._tasks):
                each.cancel()
                with suppress(asyncio.CancelledError):
                    await each
        self.running.clear()

    async def webhook(self, url: str, **changes: object) -> Webhook:
        self.number += 1
        webhook = Webhook(
            id=WebhookId(self.number),
            account_id=ACCOUNT,
            url=url,
            events=(WebhookEvent.DOMAIN_CREATED, WebhookEvent.EMAIL_DELIVERED),
            secret=SECRET,
            is_active=True,
            created_at=self.clock.now(),
            updated_at=self.clock.now(),
        )
        webhook = replace(webhook, **changes)  # type: ignore[arg-type]
        await self.store.add_webhook(webhook)
        return webhook

    async def owe(self, webhook: Webhook, count: int = 1) -> list[Notification]:
        notices = [Notice(type=WebhookEvent.DOMAIN_CREATED, body={"n": number}, created_at=self.clock.now()) for number in range(count)]
        return [await self.store.add_notification(ACCOUNT, webhook.id, notice) for notice in notices]

    async def get(self, notification: Notification) -> Notification:
        found = await self.store.get_notification(ACCOUNT, notification.id)
        assert found is not None
        return found

    async def get_webhook(self, webhook: Webhook) -> Webhook:
        found = await self.store.get_webhook(ACCOUNT, webhook.id)
        assert found is not None
        return found

    def advance(self, delay: timedelta) -> None:
        self.clock.advance(delay)
        self.wakeup.set()

    async def advance_to_due(self) -> timedelta:
        """To when the next notification is due."""
        due = await self.store.notification_due_at()
        assert due is not None
        delay = due - self.clock.now()
        self.advance(delay)
        return delay


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    async with NameServer() as server:
        yield server


@pytest.fixture
async def world(tmp_path: Path, names: NameServer) -> AsyncIterator[World]:
    clock = ManualClock(SystemClock().now())  # the judges of signatures look at the machine's clock
    store: Store = open_new_store(tmp_path)
    await store.ensure_account(ACCOUNT, "default", clock.now())
    client = AiohttpClient(Resolver(clock, (names.host, names.port)), clock, allow_private=True, total_timeout=WAIT)
    made = World(store, clock, client)
    yield made
    await made.kill()
    await client.aclose()
    await store.aclose()


@pytest.fixture
async def host() -> AsyncIterator[WebhookHost]:
    async with WebhookHost() as server:
        yield server
