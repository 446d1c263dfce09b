"""What a browser has to fetch: the size of a list, the first visit, the next page."""

import gzip
import html
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, Response

from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import Browser, open_tab

pytestmark = pytest.mark.sockets

LIST = 8 * 1024  # octets of a list of 50, compressed
FIRST, FIRST_REQUESTS = 120 * 1024, 8
NEXT, NEXT_REQUESTS = 12 * 1024, 2


@pytest.fixture(scope="module")
def list_of_50(mails: World) -> str:
    """The path of a list of 50 mails, each with an address, a subject and a tag of its own."""
    rest = RestClient(mails.relay, mails.live_key)
    usual = {"from": f"Acme <hello@{SENDING_DOMAIN}>", "text": "Thank you.", "scheduled_at": "in 5 hours"}
    for number in range(50):
        tags = [{"name": "order", "value": str(48000 + 7 * number)}]
        subject = f"Budgeted order {48000 + 7 * number} is on its way"
        rest.post("/v1/emails", {**usual, "to": f"reader{number * 31}@{RECIPIENT_DOMAIN}", "subject": subject, "tags": tags})
    return "/emails?q=budgeted"


def fetch(browser: Browser, path: str) -> tuple[int, bytes]:
    """The octets of a body as they are sent, and the body."""
    connection = HTTPConnection(browser.host, timeout=30)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    connection.request("GET", path, headers={"Cookie": cookie, "Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    sent = answer.read()
    connection.close()
    assert answer.headers["Content-Encoding"] == "gzip"
    return len(sent), gzip.decompress(sent)


def test_a_list_of_50_is_small(reader: Browser, list_of_50: str) -> None:
    size, text = fetch(reader, list_of_50)
    assert text.count(b"<tr data-id=") == 50
    assert size <= LIST


def test_a_compressed_page_has_another_token_each_time(reader: Browser) -> None:
    tokens = {html.unescape(fetch(reader, "/emails")[1].decode()).split('name="token" value="')[1][:40] for _ in range(3)}
    assert len(tokens) == 3


@contextmanager
def counting(tab: Page) -> Iterator[list[tuple[str, int]]]:
    """Every answer that comes over the wire meanwhile, with its octets."""
    answers: list[Response] = []
    sizes: list[tuple[str, int]] = []

    def note(answer: Response) -> None:
        answers.append(answer)

    tab.on("response", note)
    yield sizes
    tab.remove_listener("response", note)
    for each in answers:
        if not each.url.startswith("data:") and "/live?" not in each.url:
            each.finished()
            size = each.request.sizes()
            sizes.append((each.url, size["responseBodySize"] + size["responseHeadersSize"]))


@pytest.mark.needs("chromium")
def test_the_first_visit_and_the_next_page_are_small(chromium: Chromium, reader: Browser, list_of_50: str) -> None:
    with open_tab(chromium, reader) as tab:
        with counting(tab) as first:
            tab.goto(list_of_50, wait_until="load")
            tab.evaluate("document.fonts.ready")
        assert sum(size for _, size in first) <= FIRST, first
        assert len(first) <= FIRST_REQUESTS, first
        with counting(tab) as following:
            tab.get_by_role("link", name="Older").or_(tab.get_by_role("link", name="Queue")).first.click()
            tab.wait_for_load_state("load")
        following = [each for each in following if each[1]]  # the others are from the cache
        assert sum(size for _, size in following) <= NEXT, following
        assert len(following) <= NEXT_REQUESTS, following
        print(*first, *following, sep="\n")
