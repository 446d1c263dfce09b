"""A receiving server stops and starts again: the pages say so, and take it back, without a click."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium

from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import Browser, become_owner, open_tab

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One of its own, whose receiver can be stopped, with tries two seconds apart."""
    with World(tmp_path_factory.mktemp("outage"), env={"SENDRYD_RETRY_SCHEDULE": "2s"}) as made:
        yield made


@pytest.fixture
def owner(world: World) -> Browser:
    return become_owner(world.relay)


def test_a_server_that_stops_is_named_and_gone_when_it_is_back(chromium: Chromium, world: World, owner: Browser) -> None:
    world.thread.run(world.mailhost.aclose())
    rest = RestClient(world.relay, world.live_key)
    mail = {"from": f"a@{SENDING_DOMAIN}", "to": f"u@{RECIPIENT_DOMAIN}", "subject": "x", "text": "x"}
    with open_tab(chromium, owner) as queue, open_tab(chromium, owner) as home:
        for tab, path in ((queue, "/queue"), (home, "/")):
            tab.goto(path)
            tab.wait_for_selector('[data-live="live"]')
        assert "Nothing waits" in queue.inner_text("h1")
        email_id = rest.post("/v1/emails", mail)["id"]
        world.wait_until(lambda: "deferred" in rest.events(email_id))
        row = queue.locator(f'[data-destination="{RECIPIENT_DOMAIN}"]')
        row.get_by_text(f"{RECIPIENT_DOMAIN} does not answer: mx.example.org was tried.").wait_for()
        home.get_by_role("heading", name="One thing needs you").wait_for()
        world.thread.run(world.mailhost.start())
        world.wait_until(lambda: "delivered" in rest.events(email_id))
        row.wait_for(state="detached")
        home.get_by_role("heading", name="One thing needs you").wait_for(state="detached")
        queue.get_by_text(re.compile(r"Nothing waits\. The last mail left \d+ s ago\.")).wait_for()
        assert "Nothing waits" in queue.inner_text("h1")
