"""Very many mails, notifications and open pages, in Chromium: what the pages show of them, and that they stay quick."""

import asyncio
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import MESSAGE_PREFIX, format_id
from sendryd.model.webhook import Notification, NotificationState, WebhookAttempt, WebhookEvent
from sendryd.runtime.clock import SystemClock
from sendryd.store.base import Notice, NotificationOutcome
from sendryd.store.sqlite import SqliteStore, open_store
from sendryd.testing.samples import ACCOUNT, Samples
from sendryd.testing.stores import quick_folder
from sendryd.testing.webhookhost import WebhookHost
from sendryd.testing.world import RECIPIENT_DOMAIN, World

from .conftest import Browser, become_owner, open_tab
from .test_emails import send

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium"), pytest.mark.timeout(600)]

MANY = int(os.environ.get("SENDRYD_TEST_MANY", "10"))  # of a hundred: the soak has all of them
MESSAGES, EACH = MANY, 1000  # messages that wait, and the recipients of each
RECIPIENTS = MESSAGES * EACH
FAILED = 36 * max(30, MANY)  # notifications, enough to be seen to fall: at most one a second for an hour
DELIVERED, BOUNCED = 500, 5  # mails of one step of the follower's list
STREAMS = 50
DRAIN = 30.0  # seconds: answers under way have 5, SMTP sessions and attempts some more, and a busy machine
LONG = 300_000  # milliseconds: a busy machine takes some times what an idle one does
MINUTE_OF_WORK = 30  # seconds of CPU for 100,000: while it changes many mails the program leaves others half of the time
NOON = SystemClock().now()
# The number of events that are left to send again, once it is lower than the argument.
LOWER = (
    "last => { const left = document.querySelector('[data-replay-left]')?.dataset.replayLeft; return Number(left ?? last) < last && left; }"
)


@dataclass(frozen=True)
class Crowd:
    """A program with much to show."""

    world: World
    owner: Browser
    host: WebhookHost


async def fill_queue(data_dir: Path) -> None:
    """Mail that waits for a destination."""
    samples, due_at = Samples(NOON - timedelta(minutes=2)), NOON + timedelta(hours=5)
    recipients = [f"box{number}@dead.test" for number in range(EACH)]
    mails = [samples.message(recipients, created_at=NOON - timedelta(minutes=2), due_at=due_at) for _ in range(MESSAGES)]
    async with aclosing(open_store(data_dir)) as store:
        await asyncio.gather(*(store.accept(each) for each in mails))


async def fill_outbox(data_dir: Path, url: str) -> None:
    """A webhook whose endpoint has answered 500 for an hour."""
    async with aclosing(open_store(data_dir)) as store:
        await owe(store, url)


async def owe(store: SqliteStore, url: str) -> None:
    began, samples = NOON - timedelta(hours=1), Samples(NOON - timedelta(hours=1))
    hook = replace(samples.webhook(WebhookEvent.EMAIL_OPENED, url=url), created_at=began, updated_at=began)
    await store.add_webhook(hook)
    attempt = WebhookAttempt(
        started_at=began,
        duration_ms=212,
        url=url,
        headers={"webhook-id": "evt_1"},
        status_code=500,
        content_type="text/plain",
        response="KeyError: 'order_id'",
        fault="",
    )
    notices = [
        Notice(type=WebhookEvent.EMAIL_OPENED, body={"n": number}, created_at=began + timedelta(seconds=number)) for number in range(FAILED)
    ]
    await asyncio.gather(*(store.add_notification(ACCOUNT, hook.id, each) for each in notices))
    lease, owed = samples.lease(), 0
    while claims := await store.claim_notifications(now=NOON, lease=lease, limit=FAILED, busy=frozenset(), per_webhook=FAILED):
        owed += len(claims)
        await asyncio.gather(
            *(store.record_notification(lease, fail(each.notification, attempt), each.notification.created_at) for each in claims)
        )
    assert owed == FAILED


def fail(notification: Notification, attempt: WebhookAttempt) -> NotificationOutcome:
    return NotificationOutcome(
        notification_id=notification.id,
        state=NotificationState.PENDING,
        due_at=NOON + timedelta(hours=3),
        status_code=500,
        response=attempt.response,
        attempt=replace(attempt, started_at=notification.created_at),
    )


async def add_outcomes(data_dir: Path, delivered: int, bounced: int) -> list[str]:
    """Mails that have just ended, in the store of the running program. Gives the ids of those that bounced, newest first."""
    now, mails = SystemClock().now(), []
    found: list[str] = []
    samples = Samples(now)
    for number in range(delivered + bounced):
        is_bounced = number % ((delivered + bounced) // bounced) == 0 and len(found) < bounced
        state, last = (DeliveryState.BOUNCED, EventType.BOUNCED) if is_bounced else (DeliveryState.DELIVERED, EventType.DELIVERED)
        new = samples.message(["ann@example.org"], created_at=now, subject=f"Flood {number}")
        ended = tuple(replace(each, state=state, events=(samples.event(), samples.event(last))) for each in new.deliveries)
        mails.append(replace(new, deliveries=ended))
        if is_bounced:
            found.insert(0, format_id(MESSAGE_PREFIX, new.message.id))
    async with aclosing(open_store(data_dir, create=False)) as store:
        await asyncio.gather(*(store.accept(each) for each in mails))
    return found


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    """Where disks are in memory: what is measured is the work."""
    with tempfile.TemporaryDirectory(dir=quick_folder()) as folder, World(Path(folder)) as world, ExitStack() as stack:
        host = WebhookHost()
        world.thread.run(host.start())
        stack.callback(lambda: world.thread.run(host.aclose()))
        world.relay.stop()
        with ThreadPoolExecutor(1) as pool:  # however long it takes: `world.thread` waits for a minute
            pool.submit(asyncio.run, fill_queue(world.relay.data_dir)).result()
            pool.submit(asyncio.run, fill_outbox(world.relay.data_dir, host.url)).result()
        world.relay.start()
        yield Crowd(world, become_owner(world.relay), host)


@pytest.fixture
def tab(chromium: Chromium, crowd: Crowd) -> Iterator[Page]:
    with open_tab(chromium, crowd.owner) as made:
        made.set_default_timeout(LONG)
        yield made


def cpu_used(world: World) -> float:
    """Seconds of CPU of the program so far."""
    fields = Path(f"/proc/{world.relay.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shown(page: Page) -> list[tuple[str, str]]:
    """Id and status of the rows, in order."""
    rows: list[list[str]] = page.eval_on_selector_all("tbody [data-id]", "rows => rows.map(row => [row.dataset.id, row.dataset.status])")
    return [(number, status) for number, status in rows]


def test_an_hour_of_failed_webhooks_is_sent_again_once_while_the_page_counts_down(tab: Page, crowd: Crowd) -> None:
    tab.goto("/webhooks")
    tab.get_by_role("link", name=crowd.host.url).click()
    tab.wait_for_selector('[data-live="live"]')
    state = tab.locator("#webhook-state").inner_text()
    assert "Failing" in state
    assert "since" in state
    row = tab.locator('#webhook-rows li[data-status="pending"]').first.inner_text()
    assert "KeyError: 'order_id'" in row
    assert "next" in row
    tab.get_by_role("button", name=f"Replay {FAILED:,} failed", exact=True).click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_role("heading", name=f"Send {FAILED:,} failed events again?").wait_for()
    dialog.get_by_role("button", name=f"Send {FAILED:,} again").click()
    left = [FAILED]
    while left[-1]:
        lower = tab.wait_for_function(LOWER, arg=left[-1], timeout=LONG)
        left.append(int(lower.json_value()))
    assert len(left) > 2  # it fell in steps
    tab.get_by_text(f"All {FAILED:,} were sent again: {FAILED:,} were taken.").wait_for()
    sent = [request.headers["webhook-id"] for request in crowd.host.received]
    assert len(sent) == len(set(sent)) == FAILED
    tab.get_by_text("Healthy").wait_for()


def test_all_mail_to_a_destination_is_cancelled_while_other_mail_goes_on(tab: Page, crowd: Crowd) -> None:
    tab.goto("/queue/dead.test")
    tab.get_by_label("Which").select_option(label="All to dead.test")
    tab.get_by_label("What to do").select_option(label="Cancel")
    tab.get_by_role("button", name="Count first").click()
    tab.get_by_role("heading", name=f"Cancel the mail to {RECIPIENTS:,} recipients?").wait_for(timeout=LONG)
    used = cpu_used(crowd.world)
    tab.get_by_role("button", name="Cancel").click()
    tab.locator("progress[aria-label=Done]").wait_for()
    other = send(crowd.world, f"ann@{RECIPIENT_DOMAIN}", "Goes on")
    crowd.world.relay.wait_for_status(other, {"delivered"}, key=crowd.world.live_key)
    assert tab.locator("[data-status=working]").count() == 1  # it was delivered in the middle of the work
    tab.get_by_role("heading", name=f"{RECIPIENTS:,} recipients are cancelled").wait_for(timeout=LONG)
    assert cpu_used(crowd.world) - used < MINUTE_OF_WORK
    tab.goto("/audit?q=bulk.cancelled")
    assert tab.locator("[data-id^=aud_]").count() == 1
    assert f"deliveries: {RECIPIENTS}" in tab.locator("[data-id^=aud_]").inner_text()
    tab.goto("/queue")
    assert tab.locator('[data-destination="dead.test"]').count() == 0


def test_only_bounces_come_while_hundreds_a_second_are_delivered(tab: Page, crowd: Crowd) -> None:
    data_dir = crowd.world.relay.data_dir
    crowd.world.thread.run(add_outcomes(data_dir, 1, 60))
    tab.goto("/emails?q=status%3Abounced")
    tab.wait_for_selector("[data-live=live]")
    came: list[str] = []
    for bounced in (BOUNCED, BOUNCED, 40, 40, 40, 40):  # the last ones fill the page
        came = crowd.world.thread.run(add_outcomes(data_dir, DELIVERED, bounced)) + came
        tab.wait_for_selector(f"[data-id={came[0]}]")
        tab.wait_for_selector(f"[data-id={came[bounced - 1]}]")
    assert shown(tab)[: len(came)] == [(each, "bounced") for each in came]
    expect(tab.locator("tbody [data-id]")).to_have_count(200)
    tab.get_by_text("The newest 200.").wait_for()
    assert {status for _, status in shown(tab)} == {"bounced"}
    tab.locator("tbody [type=checkbox]").nth(2).check()
    before = shown(tab)
    crowd.world.thread.run(add_outcomes(data_dir, DELIVERED, BOUNCED))
    tab.get_by_role("button", name=f"{BOUNCED} new", exact=True).wait_for()
    assert shown(tab) == before


def test_a_restart_under_many_open_pages_is_quick_and_they_go_on(chromium: Chromium, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    with World(tmp_path, env={"SENDRYD_HTTP_LISTEN": f"127.0.0.1:{port}"}) as world, ExitStack() as stack:
        owner = become_owner(world.relay)
        page = stack.enter_context(open_tab(chromium, owner, may_lose_network=True))
        page.goto("/emails")
        page.wait_for_selector("[data-live=live]")
        cookie = "; ".join(f"{name}={value}" for name, value in owner.cookies.items())
        for _ in range(STREAMS - 1):
            stream = stack.enter_context(closing(HTTPConnection("127.0.0.1", port, timeout=30)))
            stream.request("GET", "/live?page=emails", headers={"Cookie": cookie})
            assert stream.getresponse().status == 200
        began = monotonic()
        assert world.relay.stop() == 0
        assert monotonic() - began < DRAIN
        page.get_by_text(re.compile(r"Not live since \d")).wait_for()
        world.relay.start()
        page.wait_for_selector("[data-live=live]")
        email_id = send(world, f"ann@{RECIPIENT_DOMAIN}", "After the start")
        page.wait_for_selector(f"[data-id={email_id}]")
