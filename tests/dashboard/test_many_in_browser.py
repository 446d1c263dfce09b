"""Changes of very many mails, and a restart under many open pages, in Chromium; each needs a program of its own."""

import re
import socket
from contextlib import ExitStack, closing
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic

import pytest
from playwright.sync_api import Browser as Chromium

from sendryd.runtime.clock import SystemClock
from sendryd.store.sqlite import open_store
from sendryd.testing.samples import Samples
from sendryd.testing.world import RECIPIENT_DOMAIN, World

from .conftest import become_owner, open_tab
from .test_emails import send

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]

MESSAGES, EACH = 20, 200  # benchmarks/bulk.py does 100,000, in less than a minute
STREAMS = 50
DRAIN = 30.0  # seconds: answers under way have 5, SMTP sessions and attempts some more, and a busy machine


async def fill(data_dir: Path) -> None:
    """Mail that waits for a destination."""
    store, now = open_store(data_dir), SystemClock().now()
    samples, due_at = Samples(now - timedelta(minutes=1)), now + timedelta(hours=1)
    for _ in range(MESSAGES):
        recipients = [f"box{number}@dead.test" for number in range(EACH)]
        await store.accept(samples.message(recipients, created_at=now, due_at=due_at))
    await store.aclose()


def test_all_mail_to_a_destination_is_cancelled_while_other_mail_goes_on(chromium: Chromium, tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.relay.stop()
        world.thread.run(fill(world.relay.data_dir))
        world.relay.start()
        owner = become_owner(world.relay)
        with open_tab(chromium, owner) as page:
            page.goto("/queue")
            row = page.locator('[data-destination="dead.test"]')
            row.get_by_role("button", name="Cancel").click()
            dialog = row.locator("dialog[open]")
            dialog.get_by_role("heading", name="Cancel 4,000 mails to dead.test?").wait_for()
            dialog.get_by_role("button", name="Cancel 4,000 mails").click()
            page.wait_for_url("**/bulk/*")
            other = send(world, f"ann@{RECIPIENT_DOMAIN}", "Goes on")
            world.relay.wait_for_status(other, {"delivered"}, key=world.live_key)
            page.get_by_role("heading", name="4,000 recipients are cancelled").wait_for()
        audit = owner.get("/audit?q=bulk.cancelled").text
        assert len(re.findall(r'data-id="aud_', audit)) == 1
        assert "deliveries: 4000" in audit
        assert 'data-destination="dead.test"' not in owner.get("/queue").text


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
