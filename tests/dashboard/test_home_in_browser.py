"""Home in Chromium: the first start, and a destination that stops answering and answers again, without a click."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import ReceivingServer
from sendryd.testing.world import SENDING_DOMAIN, World

from .conftest import EMAIL, PASSWORD, Browser, open_tab

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A new installation whose receiving server can be stopped."""
    with World(
        tmp_path_factory.mktemp("fresh"), env={"SENDRYD_RETRY_SCHEDULE": "1s,1s,1s,1s,1s,1s,1s,1s,1s,1s"}, does_use_tls=False
    ) as world:
        yield world


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def paste(lines: str, key: str, folder: Path) -> None:
    env = {**os.environ, "SENDRYD_KEY": key}
    assert subprocess.run(["bash", "-c", lines], env=env, cwd=folder, capture_output=True, timeout=60, check=False).returncode == 0


def send(world: World, to: str) -> str:
    mail = {"from": f"hello@{SENDING_DOMAIN}", "to": to, "subject": f"for {to}", "text": "x"}
    return str(RestClient(world.relay, world.live_key).post("/v1/emails", mail)["id"])


def heading(page: Page) -> str:
    return page.locator("h1").inner_text()


def stop_receiving(world: World) -> Callable[[], None]:
    """Stops the receiving server. Gives what starts it again at the same address."""
    port = world.mailhost.port
    world.thread.run(world.mailhost.aclose())

    async def start() -> ReceivingServer:
        server = ReceivingServer(port=port)
        await server.start()
        return server

    def again() -> None:
        world.mailhost = world.thread.run(start())

    return again


def test_from_the_owner_link_to_a_destination_that_comes_and_goes(chromium: Chromium, fresh: World, tmp_path: Path) -> None:
    browser, link = Browser(fresh.relay.ready["http"]), urlsplit(fresh.relay.ready["owner_url"]).path
    with open_tab(chromium, browser) as page:
        page.goto(link)
        page.get_by_label("Name").fill("Mara Lind")
        page.get_by_label("Email").fill(EMAIL)
        page.locator('input[name="password"]').fill(PASSWORD)
        page.locator('form button[type="submit"]').click()
        page.wait_for_selector('body[data-page="home"] [data-live="live"]')
        assert "need" not in heading(page)
        see_the_first_mail(page, fresh, tmp_path)
        again = browser.send(link, {"name": "Eve", "email": "eve@acme.example", "password": PASSWORD})
        assert (again.status != 303, browser.get("/").status) == (True, 303)
        see_a_destination_come_and_go(page, fresh)


def see_the_first_mail(page: Page, world: World, folder: Path) -> None:
    """The steps tick themselves while the lines are pasted elsewhere; the chosen program is remembered."""
    assert page.locator('[data-step][data-done="yes"]').count() == 2
    page.get_by_text("Python", exact=True).click()
    page.locator(".lines-of:visible").get_by_role("button", name="Copy").click()
    paste(page.evaluate("navigator.clipboard.readText()"), world.test_key, folder)
    page.wait_for_selector('[data-step="2"][data-done="yes"]')
    page.get_by_text("Hello from Python").last.wait_for()
    page.reload()
    assert page.locator('input[value="python"]').is_checked()
    page.wait_for_selector('[data-live="live"]')
    page.set_viewport_size({"width": 360, "height": 800})
    assert fits(page)
    page.set_viewport_size({"width": 1440, "height": 900})


def see_a_destination_come_and_go(page: Page, world: World) -> None:
    start_again = stop_receiving(world)
    message_id = send(world, "ann@example.org")
    world.wait_until(lambda: is_put_off(world, message_id))
    thing = page.locator('[data-thing="destination:example.org"]')
    thing.wait_for()
    assert heading(page) == "One thing needs you"
    assert "does not answer" in thing.inner_text()
    page.wait_for_selector('tr[data-destination="example.org"]')
    assert thing.get_by_role("link").get_attribute("href") == "/queue/example.org"
    start_again()
    thing.wait_for(state="detached")
    page.get_by_role("heading", name="All is well").wait_for()
    page.wait_for_selector('[data-figure="delivered, last hour"] .figure:text-is("1")')


def is_put_off(world: World, message_id: str) -> bool:
    return bool(world.relay.get(f"/v1/emails/{message_id}", world.live_key)[1]["last_event"] == "deferred")


@pytest.mark.parametrize("script", [True, False])
def test_home_reads_and_chooses_lines_without_script(chromium: Chromium, reader: Browser, mails: World, *, script: bool) -> None:
    send(mails, "read@example.org")
    with open_tab(chromium, reader, width=360, height=800, scheme="dark", script=script) as page:
        page.goto("/")
        assert page.locator("[data-figure]").count() == 6
        page.goto("/emails")
        page.locator("details.plain summary").click()
        page.locator('label:text-is("Go")').click()
        assert "package main" in page.locator(".lines-of:visible pre").inner_text()
        page.goto("/send-test")
        assert page.get_by_role("button", name="Send it").is_visible()


def test_a_test_is_sent_from_a_dialog_and_opens(page: Page, mails: World) -> None:
    page.goto("/")
    page.get_by_role("link", name="Send a test").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("To").fill("dialog@example.org")
    dialog.get_by_role("button", name="Send it").click()
    page.wait_for_selector('body[data-page="email"]')
    mails.wait_until(lambda: any("dialog@example.org" in mail.recipients for mail in mails.mailhost.mails))


def test_figures_that_stand_still_turn_grey_and_say_their_age(chromium: Chromium, reader: Browser, mails: World) -> None:
    send(mails, "grey@example.org")
    with open_tab(chromium, reader, may_lose_network=True) as page:
        page.clock.install()
        page.goto("/")
        page.wait_for_selector('[data-live="live"]')
        page.context.set_offline(True)
        page.route("**/live*", lambda route: route.abort())
        page.clock.run_for(15_000)
        page.locator("figure-age[data-old]").wait_for()
        assert "s old" in page.locator("figure-age").inner_text()
