"""Every page in Chromium, at three widths, light and dark: nothing scrolls sideways, axe finds nothing, nothing is said in the console."""

from collections.abc import Iterator
from importlib import resources

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from sendryd.testing.world import World

from .conftest import Browser, open_tab
from .places import OPEN, fill, patterns

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]

AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
WIDTHS = (1440, 768, 360)
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN_AXE = """(tags) => axe.run(document, {runOnly: tags, rules: {"target-size": {enabled: true}}, iframes: false}).then((found) =>
    found.violations.flatMap((each) => each.nodes.map((node) => `${each.id} at ${node.target.join(" ")}: ${node.any[0]?.message ?? each.help}`)))"""
# What scrolls sideways, a page without its one main heading, ids that are given twice.
FRAME = """() => {
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  const over = document.documentElement.scrollWidth - innerWidth;
  const wide = over <= 0 ? [] : [...document.body.querySelectorAll("*")].filter((each) => each.getBoundingClientRect().right > innerWidth + 1);
  return [
    ...(over > 0 ? [`scrolls by ${over}: ${wide.slice(-1)[0]?.outerHTML.slice(0, 160)}`] : []),
    ...(document.querySelectorAll("h1").length - document.querySelectorAll(".over h1").length === 1 ? [] : ["not one h1"]),
    ...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `id twice: ${id}`),
  ];
}"""


@pytest.fixture(scope="module")
def places(mails: World, reader: Browser) -> dict[str, list[str]]:
    return fill(mails, reader)


@pytest.fixture(scope="module")
def tabs(chromium: Chromium, mails: World, reader: Browser) -> Iterator[dict[bool, Page]]:
    """The owner's tab and that of somebody who is not signed in."""
    with open_tab(chromium, reader) as owners, open_tab(chromium, Browser(mails.relay.ready["http"])) as strangers:
        yield {False: owners, True: strangers}


def ask_axe(tab: Page) -> list[str]:
    if not tab.evaluate("'axe' in window"):
        tab.evaluate(AXE)
    found: list[str] = tab.evaluate(RUN_AXE, TAGS)
    return found


@pytest.mark.parametrize("pattern", patterns())
def test_a_page_fits_and_can_be_used_by_everybody(pattern: str, places: dict[str, list[str]], tabs: dict[bool, Page]) -> None:
    tab = tabs[pattern in OPEN]
    found: list[str] = []
    for path in places.get(pattern, [pattern]):
        assert "{" not in path, f"places.fill gives no address for {pattern}"
        tab.emulate_media(color_scheme="light")
        tab.goto(path)
        for width in WIDTHS:
            tab.set_viewport_size({"width": width, "height": 900})
            found += [f"{path} {width}: {fault}" for fault in tab.evaluate(FRAME)]
        found += [f"{path} light: {fault}" for fault in ask_axe(tab)]
        tab.set_viewport_size({"width": WIDTHS[0], "height": 900})
        tab.emulate_media(color_scheme="dark")
        found += [f"{path} dark: {fault}" for fault in ask_axe(tab)]
    assert not found, "\n".join(found)
