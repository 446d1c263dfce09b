"""Which domains are looked at again, and when."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sendryd.accounts.domains import Domains
from sendryd.model.domain import DomainSettings, DomainStatus, SendingDomain
from sendryd.model.ids import AccountId, DomainId, WebhookId
from sendryd.model.webhook import Webhook, WebhookEvent
from sendryd.policy.dnsrecords import RecordSettings, wanted_records
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import NewDomain, Store
from sendryd.testing.clock import ManualClock
from sendryd.testing.keys import take_key
from sendryd.testing.stores import open_new_store
from sendryd.upkeep.domains import PARALLEL, DomainKeeper, interval, is_due

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = RecordSettings("relay.test")


def made(number: int = 1, status: DomainStatus = DomainStatus.PENDING, **changes: object) -> SendingDomain:
    name = f"d{number}.test"
    domain = SendingDomain(
        id=DomainId(number),
        account_id=AccountId(1),
        name=name,
        status=status,
        selector="sendry",
        public_key="MII",
        settings=DomainSettings(),
        created_at=NOW,
        records=wanted_records(name, "sendry", "MII", SETTINGS),
    )
    return replace(domain, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("domain", "age", "expected"),
    [
        (made(), timedelta(minutes=59), timedelta(minutes=1)),
        (made(), timedelta(hours=1), timedelta(minutes=10)),
        (made(), timedelta(days=20), timedelta(hours=1)),
        (made(status=DomainStatus.VERIFIED), timedelta(), timedelta(hours=12)),
        (made(status=DomainStatus.VERIFIED, failures=1), timedelta(), timedelta(hours=1)),
        (made(status=DomainStatus.FAILED, failures=30), timedelta(days=900), timedelta(hours=1)),
    ],
)
def test_the_time_between_checks(domain: SendingDomain, age: timedelta, expected: timedelta) -> None:
    now = NOW + age
    assert interval(domain, now) == expected
    assert is_due(domain, now, last=now - expected)
    assert not is_due(domain, now, last=now - expected + timedelta(seconds=1))
    assert is_due(domain, now, last=now - expected * 0.91, jitter=-1.0)
    assert not is_due(domain, now, last=now - expected, jitter=0.99)
    assert is_due(domain, now, last=None)


class Zone:
    """A resolver in which every domain is published, save those with a fate of their own."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.silent: set[str] = set()
        self.broken: set[str] = set()
        self.open = self.most = 0

    async def txt(self, name: str, *, fresh: bool = False) -> tuple[str, ...]:
        assert fresh
        domain = ".".join(name.split(".")[-2:])
        if name == domain:  # each check asks for this one once
            self.asked.append(domain)
            self.open += 1
            self.most = max(self.most, self.open)
            await asyncio.sleep(0)
            self.open -= 1
        if domain in self.broken:
            raise RuntimeError("a bug")
        if domain in self.silent:
            raise LookupFailed("no answer in time", is_temporary=True)
        return tuple(record.value for record in wanted_records(domain, "sendry", "MII", SETTINGS) if record.name == name)

    async def lookup(self, name: str, kind: str) -> tuple[str, ...]:
        del name, kind
        return ()

    async def mx(self, domain: str) -> tuple[()]:
        raise AssertionError(domain)

    async def addresses(self, host: str) -> tuple[str, ...]:
        raise AssertionError(host)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def zone() -> Zone:
    return Zone()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    opened = open_new_store(tmp_path)
    await opened.ensure_account(AccountId(1), "one", clock.now())
    for number in range(1, 11):
        await opened.add_domain(NewDomain(domain=made(number), private_key=b""))
    yield opened
    await opened.aclose()


@pytest.fixture
def keeper(store: Store, zone: Zone, clock: ManualClock) -> DomainKeeper:
    rand = SeededRand(3)
    domains = Domains(store, zone, SETTINGS, selector="sendry", clock=clock, ids=IdSource(clock, rand), make_key=take_key)
    return DomainKeeper(store, domains, clock=clock, rand=rand)


async def statuses(store: Store) -> set[DomainStatus]:
    return {domain.status for domain in await store.list_domains()}


async def test_pending_domains_are_verified_a_few_at_a_time(keeper: DomainKeeper, store: Store, zone: Zone) -> None:
    await keeper.run_once()
    assert len(zone.asked) == len(set(zone.asked)) == 10
    assert 1 < zone.most <= PARALLEL
    assert await statuses(store) == {DomainStatus.VERIFIED}


async def test_verified_domains_come_again_after_half_a_day_and_not_all_at_once(
    keeper: DomainKeeper, zone: Zone, clock: ManualClock
) -> None:
    await keeper.run_once()
    zone.asked.clear()
    clock.advance(timedelta(hours=10.7))
    await keeper.run_once()
    assert zone.asked == []
    rounds = []
    for _ in range(60):
        clock.advance(timedelta(minutes=3))
        await keeper.run_once()
        rounds.append(len(zone.asked))
    assert rounds[-1] == 10
    assert len(set(rounds)) > 4


async def test_one_that_cannot_be_checked_waits_its_turn_and_hinders_nobody(
    keeper: DomainKeeper, store: Store, zone: Zone, clock: ManualClock
) -> None:
    zone.silent, zone.broken = {"d1.test"}, {"d2.test"}
    await keeper.run_once()
    verified = {domain.name for domain in await store.list_domains() if domain.status is DomainStatus.VERIFIED}
    assert verified == {f"d{number}.test" for number in range(3, 11)}
    zone.asked.clear()
    clock.advance(timedelta(seconds=15))
    await keeper.run_once()
    assert zone.asked == []
    clock.advance(timedelta(minutes=1))
    zone.silent.clear()
    zone.broken.clear()
    await keeper.run_once()
    assert sorted(zone.asked) == ["d1.test", "d2.test"]
    assert await statuses(store) == {DomainStatus.VERIFIED}


async def test_one_that_is_removed_meanwhile_is_forgotten(
    keeper: DomainKeeper, store: Store, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = await store.list_domains()
    await store.remove_domain(DomainId(4), NOW)

    async def list_before() -> list[SendingDomain]:
        return listed

    monkeypatch.setattr(store, "list_domains", list_before)
    await keeper.run_once()
    monkeypatch.undo()
    assert len(zone.asked) == 10
    assert len(await store.list_domains()) == 9
    assert await statuses(store) == {DomainStatus.VERIFIED}


async def test_webhooks_are_told_of_a_status_that_changed(keeper: DomainKeeper, store: Store, zone: Zone) -> None:
    webhook = Webhook(
        id=WebhookId(5),
        account_id=AccountId(1),
        url="https://hook.test/",
        events=(WebhookEvent.DOMAIN_UPDATED,),
        secret="whsec_x",
        is_active=True,
        created_at=NOW,
        updated_at=NOW,
    )
    await store.add_webhook(webhook)
    zone.silent = {f"d{number}.test" for number in range(2, 11)}
    await keeper.run_once()
    await store.fan_out(limit=100)
    told = (await store.page_notifications(AccountId(1), limit=100)).items
    assert [((each.body or {})["name"], (each.body or {})["status"]) for each in told] == [("d1.test", "verified")]


async def test_the_rounds_go_on(keeper: DomainKeeper, store: Store, zone: Zone) -> None:
    task = asyncio.create_task(keeper.run(interval=600.0))
    while len(zone.asked) < 20:  # twice each: the clock of the test runs as fast as the keeper sleeps
        await store.check_writable()  # leaves the interpreter to the store's threads
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert await statuses(store) == {DomainStatus.VERIFIED}
