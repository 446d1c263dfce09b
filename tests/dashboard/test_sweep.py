"""Every page in Chromium, at three widths, light and dark: nothing scrolls sideways, axe finds nothing, nothing is said in the console."""

import html
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from sendryd.dashboard.pages import PAGES
from sendryd.policy.rights import Right
from sendryd.testing.world import World

from .conftest import Browser, open_tab
from .looks import FRAME, Axe
from .places import OPEN, fill, patterns

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]

WIDTHS = (1440, 768, 360)
HEIGHT = 300  # what is drawn costs more than what is asked, and nothing here depends on how much of a page is in view
ON_PHONES = ("/", "/emails", "/emails/{id}", "/domains/{name}", "/test", "/queue", "/queue/{domain}")  # what must be readable at 200 %
NEVER_EMPTY = ("/elevate", "/health", "/me", "/me/factor", "/send-test", "/settings")


@pytest.fixture(scope="module")
def places(mails: World, reader: Browser) -> dict[str, list[str]]:
    return fill(mails, reader)


@pytest.fixture(scope="module")
def tabs(chromium: Chromium, mails: World, reader: Browser) -> Iterator[dict[bool, Page]]:
    """The owner's tab and that of somebody who is not signed in."""
    with open_tab(chromium, reader) as owners, open_tab(chromium, Browser(mails.relay.ready["http"])) as strangers:
        Axe.load(owners)
        Axe.load(strangers)
        yield {False: owners, True: strangers}


@pytest.fixture(scope="module")
def axe() -> Axe:
    return Axe()


@pytest.mark.parametrize("pattern", patterns())
def test_a_page_fits_and_can_be_used_by_everybody(pattern: str, places: dict[str, list[str]], tabs: dict[bool, Page], axe: Axe) -> None:
    tab = tabs[pattern in OPEN]
    found: list[str] = []
    paths = places.get(pattern, [pattern])
    for path in paths:
        assert "{" not in path, f"places.fill gives no address for {pattern}"
        tab.emulate_media(color_scheme="light")
        tab.goto(path)
        for width in WIDTHS:
            tab.set_viewport_size({"width": width, "height": HEIGHT})
            found += [f"{path} {width}: {fault}" for fault in tab.evaluate(FRAME)]
        found += [f"{path} {fault}" for fault in axe.ask(tab)]
        if pattern in ON_PHONES:
            tab.set_viewport_size({"width": 180, "height": 400})  # 360 by 800 at 200 %
            found += [f"{path} zoomed: {fault}" for fault in tab.evaluate(FRAME)]
            tab.set_viewport_size({"width": 360, "height": HEIGHT})
            tab.evaluate("document.documentElement.style.fontSize = '200%'")
            found += [f"{path} large text: {fault}" for fault in tab.evaluate(FRAME)]
            tab.evaluate("document.documentElement.style.fontSize = ''")
        tab.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})
        found += [f"{path} dark: {fault}" for fault in tab.evaluate(FRAME)]
    assert not found, "\n".join(found)


def test_tab_comes_to_the_skip_link_first_and_from_there_to_the_main_button(places: dict[str, list[str]], tabs: dict[bool, Page]) -> None:
    tab = tabs[False]
    tab.set_viewport_size({"width": 1440, "height": 900})
    for path in (places["/domains/{name}"][0], places["/emails"][-2], "/keys"):
        tab.goto(path)
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.className") == "skip"
        tab.keyboard.press("Enter")
        for _ in range(300):  # a list of fifty rows, each with its box and its link
            tab.keyboard.press("Tab")
            if tab.evaluate("document.activeElement.matches('main .button.main')"):
                break
        else:
            pytest.fail(f"{path}: Tab does not come to the main button")
        assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", path


def test_pages_can_be_read_without_script(chromium: Chromium, reader: Browser, places: dict[str, list[str]]) -> None:
    with open_tab(chromium, reader, height=HEIGHT, script=False) as tab:
        for pattern in set(patterns()) - set(OPEN):
            path = places.get(pattern, [pattern])[0]
            tab.goto(path)
            assert tab.locator("h1").first.is_visible(), path
            assert len(tab.locator("main").inner_text()) > 60, path
        tab.goto(places["/emails"][-1])
        assert tab.locator("[data-sentence]").is_visible()
        tab.goto(places["/emails/{id}"][1])
        assert tab.locator("iframe").is_visible()


def test_a_viewer_is_shown_no_form_that_they_may_not_send(looker: Browser, places: dict[str, list[str]]) -> None:
    changes = {re.compile(re.sub(r"\{\w+\}", "[^/?]+", page.path)): page.needs_to_change for page in PAGES if page.post and page.needs}
    for pattern in set(patterns()) - set(OPEN):
        for path in places.get(pattern, [pattern]):
            shown = looker.get(path)
            assert shown.status in {200, 303, 404}, path
            for action in re.findall(r'<form[^>]* method="post"[^>]* action="([^"]+)"', shown.text):
                rights = [right for route, right in changes.items() if route.fullmatch(html.unescape(action).partition("?")[0])]
                assert Right.SEE in rights or action == "/sign-out", (path, action)


def test_what_is_not_there_and_what_went_wrong_look_like_the_other_pages(chromium: Chromium, reader: Browser, axe: Axe) -> None:
    context = chromium.new_context(base_url=reader.base, color_scheme="dark")
    context.add_cookies([{"name": name, "value": value, "url": reader.base} for name, value in reader.cookies.items()])
    tab = context.new_page()
    tab.set_viewport_size({"width": 1440, "height": HEIGHT})
    Axe.load(tab)
    for path in ("/nowhere", "/welcome/unusable", "/emails/em_0ap5bnt18v800"):
        tab.goto(path)
        assert [*tab.evaluate(FRAME), *axe.ask(tab)] == [], path
    context.close()


def test_pages_of_an_empty_installation_fit_and_say_what_comes_next(chromium: Chromium, owner: Browser, axe: Axe) -> None:
    found: list[str] = []
    with open_tab(chromium, owner, width=360, height=HEIGHT) as tab:
        Axe.load(tab)
        for path in sorted({*patterns()} - {*OPEN}):
            if "{" not in path and path not in NEVER_EMPTY:
                tab.goto(path)
                found += [f"{path}: {fault}" for fault in (*tab.evaluate(FRAME), *axe.ask(tab))]
    assert not found, "\n".join(found)


def test_axe_sees_what_is_new_on_a_page_in_light_and_in_dark(chromium: Chromium, reader: Browser) -> None:
    style = (
        "<style>.a { color: #777; background: #888 } @media (prefers-color-scheme: dark) { .b { color: #777; background: #888 } }</style>"
    )
    page = f"<html lang=en><title>T</title>{style}<main><h1>A</h1><p>Text</p>%</main>"
    known = Axe()
    with open_tab(chromium, reader, height=HEIGHT) as tab:
        tab.set_content(page.replace("%", ""))
        assert known.ask(tab) == []
        tab.set_content(page.replace("%", "<p class=a>Text</p>"))
        [fault] = [each for each in known.ask(tab) if not each.startswith("dark: ")]
        assert fault.startswith("color-contrast at .a")
        tab.set_content(page.replace("%", "<div><p class=b>Text</p></div>"))
        [fault] = known.ask(tab)
        assert fault.startswith("dark: color-contrast at .b")
        small = "<a href=/ class=b style='display: inline-block; width: 9px; height: 9px'></a>"
        tab.set_content(page.replace("%", f"<p>Text</p>{small}{small}"))  # one alone has room enough around it
        assert {each.partition(" ")[0] for each in known.ask(tab)} >= {"link-name", "target-size"}
