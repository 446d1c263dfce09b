"""TLS reports: sent once the day is over, once to each address that the domain names, then forgotten."""

import email
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from sendryd.intake.accept import Intake, IntakeSettings
from sendryd.intake.directory import Directory
from sendryd.model.apikey import KeyMode
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import DomainId
from sendryd.model.message import TlsDemand
from sendryd.policy.tlsrpt import Failure, result_of
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.maillog import MailLog
from sendryd.runtime.metrics import Metrics
from sendryd.runtime.posting import HttpAnswer, HttpFault
from sendryd.runtime.rand import SeededRand
from sendryd.runtime.wakeup import Wakeup
from sendryd.store.base import DomainCheck, MessageFilter, Store
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, Samples
from sendryd.testing.stores import open_new_store
from sendryd.testing.zone import ZoneResolver
from sendryd.upkeep.tls_reports import TlsReportKeeper

DAY = date(2026, 3, 1)
RECORD = "_smtp._tls.a.test"


class Receiver:
    """`HttpClient` that keeps what is posted, or fails."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, Mapping[str, str], bytes]] = []
        self.status = 200

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        if not self.status:
            raise HttpFault("No connection.")
        self.posted.append((url, headers, body))
        return HttpAnswer(status=self.status, headers={}, body_start=b"", duration=0.1)


class World:
    """A store with a day's results, the door, and the keeper."""

    def __init__(self, store: Store) -> None:
        self.store, self.zone, self.receiver = store, ZoneResolver(), Receiver()
        self.clock, self.rand = ManualClock(), SeededRand(4)  # 2026-03-01 12:00
        self.keeper = TlsReportKeeper(
            store,
            self._intake(),
            self.zone,
            self.receiver,
            account_id=ACCOUNT,
            hostname="relay.test",
            clock=self.clock,
            rand=self.rand,
        )

    def _intake(self) -> Intake:
        return Intake(
            self.store,
            Directory(self.store, self.clock),
            IntakeSettings(hostname="relay.test"),
            clock=self.clock,
            ids=IdSource(self.clock, self.rand),
            rand=self.rand,
            metrics=Metrics(),
            mail_log=MailLog(self.clock),
            wakeup=Wakeup(),
        )

    async def open(self) -> None:
        new = Samples(self.clock.now()).domain("example.test")
        domain = replace(new.domain, id=DomainId(1))
        await self.store.add_domain(replace(new, domain=domain))
        now = self.clock.now()
        check = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=now, verified_at=now, failing_since=None, failures=0)
        await self.store.record_domain_check(domain, check)
        failed = result_of("a.test", None, (), failure=Failure.STARTTLS_NOT_SUPPORTED, host="mx.a.test", address="192.0.2.1")
        await self.store.add_tls_results([(DAY, result_of("a.test", None, ()), 3), (DAY, failed, 1)], most=9)

    async def mails(self) -> list[bytes]:
        page = await self.store.list_messages(ACCOUNT, MessageFilter(mode=KeyMode.LIVE), limit=10)
        assert all(each.message.tls_demand is TlsDemand.OPTIONAL for each in page.items)
        return [await self.store.read_content(each.message.id) for each in page.items]

    async def days(self) -> list[tuple[date, str]]:
        return await self.store.list_tls_days(before=date(2027, 1, 1))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = open_new_store(tmp_path)
    await store.ensure_account(ACCOUNT, "Ann", ManualClock().now())
    made = World(store)
    await made.open()
    yield made
    await store.aclose()


def read(compressed: Any) -> Any:
    return json.loads(gzip.decompress(compressed))


async def test_a_report_is_mailed_once_the_day_is_over_and_its_results_are_forgotten(world: World) -> None:
    world.zone.texts[RECORD] = ("v=TLSRPTv1; rua=mailto:tls@a.test",)
    await world.keeper.run_once()
    assert await world.mails() == []
    world.clock.advance(timedelta(hours=13))
    await world.keeper.run_once()
    (content,) = await world.mails()
    assert await world.days() == []
    mail = email.message_from_bytes(content)
    assert (mail["From"], mail["To"]) == ("TLS reports <tls-reports@example.test>", "<tls@a.test>")
    assert mail["Subject"] == "Report Domain: a.test Submitter: relay.test Report-ID: <2026-03-01.a.test@relay.test>"
    assert (mail["TLS-Report-Domain"], mail["TLS-Report-Submitter"], mail["TLS-Required"]) == ("a.test", "relay.test", "No")
    assert (mail.get_content_type(), mail.get_param("report-type")) == ("multipart/report", "tlsrpt")
    text, attached = list(mail.walk())[1:]
    assert "mail servers of a.test" in str(text.get_payload())
    assert (attached.get_content_type(), attached.get_filename()) == ("application/tlsrpt+gzip", "relay.test!a.test!2026-03-01.json.gz")
    (policy,) = read(attached.get_payload(decode=True))["policies"]
    assert policy["summary"] == {"total-successful-session-count": 3, "total-failure-session-count": 1}
    await world.keeper.run_once()
    assert len(await world.mails()) == 1


async def test_each_address_gets_one_report_and_a_server_that_fails_is_tried_again(world: World) -> None:
    world.zone.texts[RECORD] = ("v=TLSRPTv1; rua=https://r.a.test/v1,mailto:tls@a.test",)
    world.clock.advance(timedelta(hours=13))
    world.receiver.status = 0
    await world.keeper.run_once()
    world.receiver.status = 200
    await world.keeper.run_once()
    ((url, headers, body),) = world.receiver.posted
    assert (url, headers["Content-Type"]) == ("https://r.a.test/v1", "application/tlsrpt+gzip")
    assert read(body)["contact-info"] == "tls-reports@example.test"
    assert len(await world.mails()) == 1
    assert await world.days() == []


async def test_a_domain_that_asks_for_nothing_gets_nothing(world: World) -> None:
    world.clock.advance(timedelta(hours=13))
    await world.keeper.run_once()
    assert (await world.mails(), await world.days()) == ([], [])


async def test_dns_that_is_silent_is_asked_again_for_two_days(world: World) -> None:
    world.zone.silent.add(RECORD)
    for hours in (13, 24):
        world.clock.advance(timedelta(hours=hours))
        await world.keeper.run_once()
        assert await world.days() == [(DAY, "a.test")]
    world.clock.advance(timedelta(hours=24))
    await world.keeper.run_once()
    assert await world.days() == []
