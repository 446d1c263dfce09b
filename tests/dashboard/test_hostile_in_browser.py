"""Hostile HTML in Chromium, with a socket that listens as the stranger's host: nobody connects to it, whatever a mail contains."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Dialog, Page, Playwright
from tests.web.hostile import EVIL, HOSTILE

from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import WAIT, Browser, launch

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]

TOGETHER = "".join(html for name, html in HOSTILE.items() if name != "text elements")  # its last element would swallow the rest
PROBES = {**HOSTILE, "all together": TOGETHER}
# Shows another mail in the page's frame.
SHOW = """source => new Promise((done) => {
  const frame = document.querySelector("iframe");
  frame.addEventListener("load", () => done(), { once: true });
  frame.src = source;
})"""


class Stranger:
    """Counts the connections that somebody makes to it."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.connections = 0
        self.connected = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self.connected.set()
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    with closing(Stranger()) as listening:
        yield listening


@pytest.fixture(scope="module")
def mapped(playwright: Playwright, stranger: Stranger) -> Iterator[Chromium]:
    """A browser for which the stranger's host is the listening socket."""
    rules = f"MAP evil.test 127.0.0.1:{stranger.port}, MAP *.evil.test 127.0.0.1:{stranger.port}"
    with closing(launch(playwright, f"--host-resolver-rules={rules}")) as browser:
        yield browser


@pytest.fixture
def tab(mapped: Chromium, reader: Browser) -> Iterator[Page]:
    context = mapped.new_context(base_url=reader.base)
    context.add_cookies([{"name": name, "value": value, "url": reader.base} for name, value in reader.cookies.items()])
    page = context.new_page()
    page.set_default_timeout(WAIT)
    yield page
    context.close()


@pytest.fixture(scope="module")
def probes(mails: World) -> dict[str, dict[str, str]]:
    """The ids of mails with each probe, sent with a live key and with a test key."""
    sent: dict[str, dict[str, str]] = {}
    for kind, key in (("live", mails.live_key), ("test", mails.test_key)):
        rest = RestClient(mails.relay, key)
        sent[kind] = {}
        for name, html in PROBES.items():
            body = {"from": f"hello@{SENDING_DOMAIN}", "to": f"ann@{RECIPIENT_DOMAIN}", "subject": f"Probe {name}", "html": f"{html}"}
            sent[kind][name] = str(rest.post("/v1/emails", body)["id"])
    return sent


def test_the_socket_sees_a_browser_that_connects(tab: Page, stranger: Stranger) -> None:
    tab.set_content(f'<img src="{EVIL}x.png"><link rel="preconnect" href="{EVIL}">')
    assert stranger.connected.wait(WAIT / 1000)


@pytest.mark.parametrize("place", ["emails", "test", "shared"])
def test_no_probe_reaches_the_stranger(
    tab: Page, stranger: Stranger, mails: World, reader: Browser, probes: dict[str, dict[str, str]], place: str
) -> None:
    kind = "test" if place == "test" else "live"
    rest = RestClient(mails.relay, mails.live_key)
    dialogs: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    tab.on("dialog", dismiss)
    asked: list[str] = []
    tab.context.on("request", lambda request: asked.append(request.url))
    before, page = stranger.connections, ""
    for name in ("all together", *HOSTILE):
        email_id = probes[kind][name]
        path = {"emails": f"/emails/{email_id}?part=preview", "test": f"/test?open={email_id}"}.get(place)
        address = path or rest.get(f"/v1/emails/{email_id}/share")["url"].removeprefix(reader.base)
        if name == "all together":
            tab.goto(address)  # waits for the frame and all that it loads
            page = tab.url
        source = re.search(r'<iframe[^>]* src="([^"]+)"', reader.get(address).text)
        assert source, name
        tab.evaluate(SHOW, urljoin(reader.base + address, unescape(source[1])))
        assert (len(tab.frames), tab.url, stranger.connections) == (2, page, before), name
    tab.wait_for_timeout(300)  # a connection that a browser makes ahead of time comes a moment later
    assert (stranger.connections, dialogs) == (before, [])
    assert [url for url in asked if not url.startswith((reader.base, "data:"))] == []
