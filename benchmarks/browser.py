"""How soon pages of the dashboard are usable in a slow browser: CPU four times slower, 1.6 Mb/s, 150 ms to the server.

    python benchmarks/browser.py                # 5 first visits and next pages of Emails with 50 mails; medians

First: nothing is cached. Next: a link within the dashboard. Usable: the document is parsed and its scripts have run. Needs Chromium.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from machine import describe
from playwright.sync_api import Browser, Page, sync_playwright

from sendryd.testing.clients import RestClient
from sendryd.testing.dashboard import become_owner
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

SLOWER = 4
BITS = 1_600_000  # a second
DELAY = 150  # milliseconds
TIMES = """() => { const times = performance.getEntriesByType("navigation")[0];
  return [times.domContentLoadedEventEnd, performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0]; }"""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fast", action="store_true", help="without throttling")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, World(Path(scratch)) as world, sync_playwright() as playwright:
        cookies = become_owner(world.relay, "Mara Lind", "mara@acme.example")
        rest = RestClient(world.relay, world.live_key)
        for number in range(50):
            body = {"from": f"hello@{SENDING_DOMAIN}", "to": f"reader{number}@{RECIPIENT_DOMAIN}", "text": "Thank you."}
            rest.post("/v1/emails", {**body, "subject": f"Your order {48000 + number} is on its way", "scheduled_at": "in 3 hours"})
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        times = [visit(browser, world, cookies, is_slow=not options.fast) for _ in range(options.rounds)]
        browser.close()
    print(describe())
    for name, column in zip(("first", "next"), zip(*times, strict=True), strict=True):
        usable, painted = (statistics.median(each) for each in zip(*column, strict=True))
        print(f"{name}: usable {usable:.0f} ms, painted {painted:.0f} ms")


def visit(browser: Browser, world: World, cookies: dict[str, str], *, is_slow: bool) -> list[tuple[float, float]]:
    """Milliseconds until usable and painted, of a first visit and of the next page."""
    base = world.relay.ready["http"]
    context = browser.new_context(base_url=base, viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": name, "value": value, "url": base} for name, value in cookies.items()])
    tab = context.new_page()
    if is_slow:
        slow_down(tab)
    tab.goto("/emails", wait_until="load")
    tab.evaluate("document.fonts.ready")
    first = tab.evaluate(TIMES)
    tab.get_by_role("link", name="Queue").first.click()
    tab.wait_for_url("**/queue")
    tab.get_by_role("link", name="Emails").first.click()
    tab.wait_for_url("**/emails")
    tab.wait_for_load_state("load")
    following = tab.evaluate(TIMES)
    context.close()
    return [tuple(first), tuple(following)]


def slow_down(tab: Page) -> None:
    """A slow processor and a slow line, by the debugging protocol."""
    session = tab.context.new_cdp_session(tab)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    session.send("Network.enable")
    line = {"offline": False, "latency": DELAY, "downloadThroughput": BITS / 8, "uploadThroughput": BITS / 8}
    session.send("Network.emulateNetworkConditions", line)


if __name__ == "__main__":
    main()
