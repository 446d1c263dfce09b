"""Scheduled reports are sent when they are due, once, to whom they are for."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sendryd.accounts.api_keys import ApiKeys
from sendryd.intake.accept import Intake, IntakeSettings
from sendryd.intake.directory import Directory
from sendryd.message.parse import summarise
from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.domain import DomainStatus
from sendryd.model.event import EventType
from sendryd.model.ids import EventId, ReportId
from sendryd.model.message import Message
from sendryd.model.report import Counts, ReportFrequency, ScheduledReport
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.maillog import MailLog
from sendryd.runtime.metrics import Metrics
from sendryd.runtime.rand import SeededRand
from sendryd.runtime.wakeup import Wakeup
from sendryd.store.base import DomainCheck, Engagement, MessageFilter, NewEvent, Store
from sendryd.store.errors import StoreUnavailable
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, Samples
from sendryd.testing.stores import open_new_store
from sendryd.upkeep.reports import ReportKeeper, make_rows, write_html, write_text

DUE = datetime(2026, 3, 2, 6, tzinfo=UTC)


class World:
    """A store with an account, the door, and the keeper."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock()  # 2026-03-01 12:00, a Sunday
        self.rand = SeededRand(4)
        self.ids = IdSource(self.clock, self.rand)
        self.intake = self.make_intake()
        self.keys = ApiKeys(store, clock=self.clock, rand=self.rand, ids=self.ids)
        self.keeper = self.make_keeper()

    def make_intake(self) -> Intake:
        """The door, as another process has it too."""
        return Intake(
            self.store,
            Directory(self.store, self.clock),
            IntakeSettings(hostname="relay.test"),
            clock=self.clock,
            ids=self.ids,
            rand=self.rand,
            metrics=Metrics(),
            mail_log=MailLog(self.clock),
            wakeup=Wakeup(),
        )

    def make_keeper(self) -> ReportKeeper:
        """A keeper that remembers nothing."""
        return ReportKeeper(self.store, self.make_intake(), clock=self.clock, rand=self.rand)

    async def add_domain(self, name: str, number: int) -> None:
        new = Samples(self.clock.now()).domain(name)
        domain = replace(new.domain, id=type(new.domain.id)(number))
        await self.store.add_domain(replace(new, domain=domain))
        now = self.clock.now()
        check = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=now, verified_at=now, failing_since=None, failures=0)
        await self.store.record_domain_check(domain, check)

    async def add_report(self, frequency: ReportFrequency = ReportFrequency.DAILY, *recipients: str) -> ScheduledReport:
        report = ScheduledReport(
            id=ReportId(self.ids.next()),
            account_id=ACCOUNT,
            frequency=frequency,
            recipients=recipients or ("ann@example.org",),
            created_at=self.clock.now(),
            due_at=DUE,
        )
        await self.store.add_scheduled_report(report)
        return report

    async def go_to(self, moment: datetime) -> None:
        """Later, after a round of the keeper."""
        self.clock.advance(moment - self.clock.now())
        await self.keeper.run_once()

    async def sent(self) -> list[Message]:
        """Messages of `reports@`, oldest first."""
        found = await self.store.list_messages(ACCOUNT, MessageFilter(mode=KeyMode.LIVE), limit=100)
        return [each.message for each in reversed(found.items) if each.message.reverse_path.startswith("reports@")]

    async def next_at(self) -> datetime:
        """When the only report is due next."""
        (report,) = await self.store.list_scheduled_reports(ACCOUNT)
        return report.due_at


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    opened = open_new_store(tmp_path)
    made = World(opened)
    await opened.ensure_account(ACCOUNT, "Ann & Co", made.clock.now())
    yield made
    await opened.aclose()


@pytest.fixture
async def ready(world: World) -> World:
    """With a domain and a key."""
    await world.keys.create(System(ACCOUNT), "live")
    await world.add_domain("first.test", 1)
    await world.add_domain("second.test", 2)
    return world


async def deliver(world: World, key: ApiKey) -> None:
    """A message of three is accepted and delivered to two, and bounces for one."""
    now = world.clock.now()
    new = Samples(now).message([f"u{n}@example.org" for n in range(3)], created_at=now, api_key_id=key.id)
    await world.store.accept(new)
    for delivery, word in zip(new.deliveries, (EventType.DELIVERED, EventType.DELIVERED, EventType.BOUNCED), strict=True):
        event = NewEvent(id=EventId(world.ids.next()), type=word, metadata={})
        await world.store.record_engagements([Engagement(delivery_id=delivery.id, event=event, happened_at=now)])


async def test_a_report_goes_out_when_it_is_due(ready: World) -> None:
    await ready.add_report(ReportFrequency.DAILY, "ann@example.org", "grüße@example.org")
    await deliver(ready, (await ready.store.list_api_keys(ACCOUNT))[0])
    await ready.go_to(DUE - timedelta(minutes=1))
    assert await ready.sent() == []
    await ready.go_to(DUE)
    (message,) = await ready.sent()
    assert (message.reverse_path, message.subject) == ("reports@first.test", "Daily report of Ann & Co, 2026-03-01")
    assert list(message.to) == ["ann@example.org", "grüße@example.org"]
    read = summarise(await ready.store.read_content(message.id))
    assert read.text is not None
    assert read.html is not None
    lines = read.text.splitlines()
    assert lines[2].split() == ["Sent", "3", "+100", "%"]
    assert lines[3].split()[:3] == ["Delivered", "2", "66.7%"]
    assert "Ann &amp; Co" in read.html
    assert await ready.next_at() == DUE + timedelta(days=1)


async def test_a_report_goes_out_once(ready: World) -> None:
    report = await ready.add_report()
    await ready.go_to(DUE)
    await ready.store.move_scheduled_report(report.id, DUE)  # as if the program had stopped before it was moved
    ready.keeper = ready.make_keeper()
    await ready.go_to(DUE + timedelta(minutes=1))
    assert len(await ready.sent()) == 1
    assert await ready.next_at() == DUE + timedelta(days=1)


async def test_after_a_standstill_one_report_is_sent(ready: World) -> None:
    await ready.add_report()
    await ready.go_to(DUE + timedelta(days=5, hours=3))
    await ready.go_to(DUE + timedelta(days=5, hours=4))
    assert [message.subject for message in await ready.sent()] == ["Daily report of Ann & Co, 2026-03-06"]
    assert await ready.next_at() == DUE + timedelta(days=6)


async def test_weeks_and_months(ready: World) -> None:
    await ready.add_report(ReportFrequency.WEEKLY)
    await ready.add_report(ReportFrequency.MONTHLY)
    await ready.go_to(DUE)
    assert {message.subject for message in await ready.sent()} == {
        "Weekly report of Ann & Co, 2026-02-23 to 2026-03-01",
        "Monthly report of Ann & Co, 2026-02-01 to 2026-02-28",
    }


async def test_without_a_verified_domain_it_is_skipped(world: World) -> None:
    await world.keys.create(System(ACCOUNT), "live")
    await world.add_report()
    await world.go_to(DUE)
    assert await world.sent() == []
    assert await world.next_at() == DUE + timedelta(days=1)


async def test_the_system_sends_it_whatever_keys_there_are(world: World) -> None:
    await world.keys.create(System(ACCOUNT), "test", mode=KeyMode.TEST)
    await world.add_domain("first.test", 1)
    await world.add_report()
    await world.go_to(DUE)
    (message,) = await world.sent()
    assert (message.api_key_id, message.mode) == (None, KeyMode.LIVE)
    assert message.signing_domain_id is not None
    assert await world.next_at() == DUE + timedelta(days=1)


async def test_a_store_that_fails_is_tried_again(ready: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await ready.add_report()

    async def fail(*_args: object) -> None:
        raise StoreUnavailable("no room")

    with monkeypatch.context() as patched:
        patched.setattr(ready.store, "accept", fail)
        patched.setattr(ready.store, "accept_all", fail, raising=False)
        await ready.go_to(DUE)
    assert (await ready.sent(), await ready.next_at()) == ([], DUE)
    await ready.go_to(DUE + timedelta(minutes=1))
    assert len(await ready.sent()) == 1


def test_reports_are_escaped_and_say_how_it_changed() -> None:
    rows = make_rows(Counts(sent=1500, delivered=1200), Counts(sent=1000, delivered=1200))
    text = write_text("A & B", rows)
    assert text.splitlines()[2].split() == ["Sent", "1,500", "+50", "%"]
    assert text.splitlines()[3].split() == ["Delivered", "1,200", "80.0%", "as", "before"]
    assert "<h1" in write_html("<b>", rows)
    assert "<b>" not in write_html("<b>", rows)
