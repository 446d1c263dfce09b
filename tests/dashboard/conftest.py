"""The dashboard over HTTP and in Chromium, in the real program."""

import html
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from typing import Literal
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, Playwright, expect, sync_playwright

from sendryd.testing.mailhost import Script
from sendryd.testing.process import RelayProcess
from sendryd.testing.world import World

EMAIL, PASSWORD = "mara@acme.example", "four words make one"


class Answer:
    """A response."""

    def __init__(self, status: int, headers: list[tuple[str, str]], text: str) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.cookies = [value for name, value in headers if name.lower() == "set-cookie"]
        self.text = text

    @property
    def page(self) -> str:
        """`data-page`."""
        found = re.search(r'data-page="([^"]*)"', self.text)
        return found[1] if found else ""

    @property
    def token(self) -> str:
        """The token of its forms."""
        found = re.search(r'name="token" value="([^"]*)"', self.text)
        return html.unescape(found[1]) if found else ""

    def __contains__(self, text: str) -> bool:
        return text in html.unescape(self.text)


class Browser:
    """Keeps cookies and sends forms as a browser does."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.host = urlsplit(base).netloc
        self.cookies: dict[str, str] = {}

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self._ask("GET", path, None, {"Accept": "text/html", **(headers or {})})

    def post(self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        own = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.base, "Sec-Fetch-Site": "same-origin"}
        return self._ask("POST", path, urlencode(fields), {**own, **(headers or {})})

    def send(self, path: str, fields: Mapping[str, str], *, page: str | None = None) -> Answer:
        """Opens a page and posts its form."""
        opened = self.get(page or path)
        assert opened.token or page is None, f"no form at {page or path}: {opened.status} {opened.text[-300:]}"
        return self.post(path, {"token": opened.token, **fields})

    def _ask(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        connection = HTTPConnection(self.host, timeout=60)
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {name: value for name, value in {"Cookie": cookie, **headers}.items() if value}
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        answer = Answer(response.status, response.getheaders(), response.read().decode("utf-8", "replace"))
        connection.close()
        for each in answer.cookies:
            name, _, value = each.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
            if not self.cookies[name]:
                del self.cookies[name]
        return answer


def become_owner(relay: RelayProcess) -> Browser:
    """The browser of somebody who has just become the owner."""
    browser = Browser(relay.ready["http"])
    path = urlsplit(relay.ready["owner_url"]).path
    assert browser.send(path, {"name": "Mara Lind", "email": EMAIL, "password": PASSWORD}).status == 303
    return browser


@pytest.fixture(scope="session")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    with RelayProcess(tmp_path_factory.mktemp("dashboard") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def owner(relay: RelayProcess) -> Browser:
    """The owner's browser."""
    return become_owner(relay)


@pytest.fixture
def stranger(relay: RelayProcess) -> Browser:
    """A browser that nobody is signed in with."""
    return Browser(relay.ready["http"])


@pytest.fixture(scope="session")
def viewer(relay: RelayProcess, owner: Browser) -> Browser:
    """A viewer's browser."""
    assert owner.cookies
    url = relay.json("people", "invite", "vera@acme.example", "--role", "viewer")["url"]
    browser = Browser(relay.ready["http"])
    assert browser.send(urlsplit(url).path, {"name": "Vera", "password": PASSWORD}).status == 303
    return browser


@pytest.fixture(scope="session")
def member(relay: RelayProcess, owner: Browser) -> Browser:
    """A member's browser."""
    assert owner.cookies
    url = relay.json("people", "invite", "milo@acme.example", "--role", "member")["url"]
    browser = Browser(relay.ready["http"])
    assert browser.send(urlsplit(url).path, {"name": "Milo", "password": PASSWORD}).status == 303
    return browser


def answer_rcpt(address: str) -> str | None:
    """How the receiving server of `mails` answers, by the local part."""
    word = address.partition("@")[0].rpartition("<")[2].partition("+")[0].lower()
    return {
        "gone": "550 5.1.1 No such user here",
        "slow": "451 4.7.1 Greylisting in action, please come back later",
        "pace": "421 4.7.28 Our system has detected an unusual rate of mail, slow down",
        "listed": "550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using zen.spamhaus.org",
        "full": "552 5.2.2 Mailbox full",
        "odd": f"554 The moon is wrong for <{address.strip('<>')}>",
    }.get(word)


# Nothing is tried again by itself while a test looks at the first try, however slow the machine is.
PATIENT = {"SENDRYD_RETRY_SCHEDULE": "1h", "SENDRYD_WEBHOOK_RETRY_SCHEDULE": "1h,1h,1h,1h,1h,1h,1h"}


@pytest.fixture(scope="session")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The program with a verified domain and a receiving server, for pages that show mail."""
    with World(tmp_path_factory.mktemp("mails"), env=PATIENT, script=Script(rcpt=answer_rcpt)) as world:
        yield world


@pytest.fixture(scope="session")
def reader(mails: World) -> Browser:
    """The browser of the owner of `mails`."""
    return become_owner(mails.relay)


@pytest.fixture(scope="session")
def looker(mails: World, reader: Browser) -> Browser:
    """The browser of a viewer of `mails`."""
    assert reader.cookies
    url = mails.relay.json("people", "invite", "vera@acme.example", "--role", "viewer")["url"]
    browser = Browser(mails.relay.ready["http"])
    assert browser.send(urlsplit(url).path, {"name": "Vera", "password": PASSWORD}).status == 303
    return browser


ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
WAIT = 60_000  # milliseconds until something must be there, which a page shows within two seconds: a machine that runs tests is busy
expect.set_options(timeout=WAIT)


class _Running:
    """One Playwright and one Chromium for all modules of the process that follow one another."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._playwright: Playwright | None = None
        self._chromium: Chromium | None = None

    def playwright(self) -> Playwright:
        if self._playwright is None:
            self._playwright = self._stack.enter_context(sync_playwright())
        return self._playwright

    def chromium(self) -> Chromium:
        if self._chromium is None:
            self._chromium = self._stack.enter_context(closing(launch(self.playwright())))
        return self._chromium

    def close(self) -> None:
        self._playwright = self._chromium = None
        self._stack.pop_all().close()


_running = _Running()


# The same browser without what only windows need: it takes a fifth less of the processor. Users may have the whole one alone.
CHROMIUM = shutil.which("chromium-headless-shell") or "/usr/bin/chromium"


def launch(playwright: Playwright, *arguments: str) -> Chromium:
    """Starts a Chromium."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *arguments])


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Playwright keeps an event loop running in this thread, beside which a test of another kind could not run its own."""
    is_last = nextitem is None or nextitem.path != item.path
    if is_last and not {"chromium", "playwright"} & set(getattr(nextitem, "fixturenames", ())):
        _running.close()


@pytest.fixture(scope="module")
def playwright() -> Playwright:
    return _running.playwright()


@pytest.fixture(scope="module")
def chromium() -> Chromium:
    return _running.chromium()


@contextmanager
def open_tab(
    chromium: Chromium,
    browser: Browser,
    *,
    width: int = 1440,
    height: int = 900,
    scheme: Literal["dark", "light"] = "light",
    script: bool = True,
    may_lose_network: bool = False,
    may_be_refused: bool = False,
) -> Iterator[Page]:
    """A tab with the cookies of a browser. At its end no message stands in the console, no policy was broken, and no other host was asked."""
    context = chromium.new_context(
        base_url=browser.base,
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        java_script_enabled=script,
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.add_cookies([{"name": name, "value": value, "url": browser.base} for name, value in browser.cookies.items()])
    said: list[str] = []
    asked: set[str] = set()
    context.on("console", lambda message: said.append(message.text))
    context.on("weberror", lambda error: said.append(str(error.error)))
    context.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    tab = context.new_page()
    tab.set_default_timeout(WAIT)
    yield tab
    context.close()
    expected = [*(("net::ERR_", "sse:error") if may_lose_network else ()), *(("401 (Unauthorized)",) if may_be_refused else ())]
    assert [each for each in said if not any(words in each for words in expected)] == []
    assert asked <= {browser.host, ""}


@pytest.fixture
def page(chromium: Chromium, reader: Browser) -> Iterator[Page]:
    """A tab of the owner of `mails`."""
    with open_tab(chromium, reader) as tab:
        yield tab
