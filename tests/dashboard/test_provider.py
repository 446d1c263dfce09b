"""Signing in by an identity provider: who gets in, and what does not."""

import html
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from sendryd.testing.identityprovider import CLIENT_ID, CLIENT_SECRET, IdentityProvider
from sendryd.testing.process import RelayProcess

from .conftest import PASSWORD, Answer, Browser, become_owner
from .looks import FRAME, Axe

pytestmark = pytest.mark.sockets

ADDRESSES = (f"192.0.2.{number}" for number in itertools.count(1))  # of clients: failures of one slow down its next try


@pytest.fixture(scope="module")
def running() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        yield provider


@pytest.fixture
def provider(running: IdentityProvider) -> IdentityProvider:
    """Back to what it should say."""
    running.reset()
    return running


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, running: IdentityProvider) -> Iterator[RelayProcess]:
    """The program with the provider."""
    folder = tmp_path_factory.mktemp("provider")
    (folder / "secret").write_text(f"{CLIENT_SECRET}\n")
    settings = {
        "SENDRYD_HTTP_LISTEN": "localhost:0",
        "SENDRYD_TRUSTED_PROXIES": "127.0.0.1,::1",
        "SENDRYD_OIDC_ISSUER": running.issuer,
        "SENDRYD_OIDC_CLIENT_ID": CLIENT_ID,
        "SENDRYD_OIDC_CLIENT_SECRET_FILE": str(folder / "secret"),
    }
    with RelayProcess(folder / "data", settings) as relay:
        become_owner(relay)
        yield relay


@pytest.fixture
def browser(company: RelayProcess) -> Browser:
    return Browser(company.ready["http"])


def invite(relay: RelayProcess, email: str, role: str = "member") -> None:
    relay.json("people", "invite", email, "--role", role)


def leave(browser: Browser, target: str = "/me") -> str:
    """The URL at the provider."""
    answer = browser.get(f"/sign-in/oidc?next={target}")
    assert answer.status == 303
    return answer.headers["location"]


def come_back(browser: Browser, url: str) -> Answer:
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == browser.base
    return browser.get(f"{parts.path}?{parts.query}", {"X-Forwarded-For": next(ADDRESSES)})


def sign_in(browser: Browser, provider: IdentityProvider) -> Answer:
    return come_back(browser, provider.authorize(leave(browser)))


def people(relay: RelayProcess) -> set[str]:
    return {each["email"] for each in relay.json("people", "list")["data"] if each["status"] == "active"}


def test_who_is_invited_joins_and_comes_again(company: RelayProcess, provider: IdentityProvider, browser: Browser) -> None:
    invite(company, "ann@acme.example", "viewer")
    assert "Sign in with 127.0.0.1" in browser.get("/sign-in")
    done = sign_in(browser, provider)
    assert (done.status, done.headers["location"]) == (303, "/me")
    assert "sendryd-oidc" not in browser.cookies
    me = browser.get("/me")
    assert ("Ann Ames" in me, "viewer" in me, "You sign in without a password." in me) == (True, True, True)
    again = Browser(browser.base)
    assert sign_in(again, provider).headers["location"] == "/me"
    assert Browser(browser.base).send("/sign-in", {"email": "ann@acme.example", "password": ""}).status == 401
    assert "ann@acme.example" in people(company)
    row = re.search(r"ann@acme\.example.*?</tr>", me_team := browser.get("/team").text, re.DOTALL)
    assert row
    assert "Single sign-on" in row[0]
    assert "Password<" in me_team  # the owner's


def test_a_stranger_becomes_nobody(company: RelayProcess, provider: IdentityProvider, browser: Browser) -> None:
    provider.person["email"] = "eve@evil.example"
    refused = sign_in(browser, provider)
    assert (refused.status, "eve@evil.example is not in a team here" in refused) == (403, True)
    assert browser.get("/me").status == 303
    assert "eve@evil.example" not in people(company)


def bend(**claims: object) -> Callable[[IdentityProvider], None]:
    """The token says something else."""

    def act(provider: IdentityProvider) -> None:
        provider.change_claims = lambda found: found.update(claims)

    return act


def sign(make: Callable[[IdentityProvider, dict[str, Any]], str]) -> Callable[[IdentityProvider], None]:
    """The token is signed otherwise."""

    def act(provider: IdentityProvider) -> None:
        provider.sign = lambda claims: make(provider, claims)

    return act


def by_another_key(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    own, provider.key = provider.key, rsa.generate_private_key(65537, 2048)
    try:
        return provider.rs256(claims)
    finally:
        provider.key = own


@pytest.mark.parametrize(
    "attack",
    [
        bend(nonce="of another request"),
        bend(aud="another client"),
        bend(exp=1_700_000_000),
        bend(iss="https://another.example"),
        bend(email_verified=False),
        sign(lambda provider, claims: f"{provider.unsigned({'alg': 'none'}, claims)}."),
        sign(lambda provider, claims: provider.rs256(claims, alg="HS256")),
        sign(by_another_key),
        sign(lambda _provider, _claims: "nonsense"),
    ],
    ids=["nonce", "audience", "expired", "issuer", "unverified", "alg none", "alg HS256", "another key", "nonsense"],
)
def test_a_token_that_proves_nothing_lets_nobody_in(
    attack: Callable[[IdentityProvider], None], provider: IdentityProvider, browser: Browser
) -> None:
    provider.person["email"] = "mara@acme.example"
    attack(provider)
    refused = sign_in(browser, provider)
    assert (refused.status, refused.page, "This sign-in does not count" in refused) == (401, "sign-in", True)
    assert browser.get("/me").status == 303


def test_a_state_counts_once_in_the_browser_that_has_it(provider: IdentityProvider, browser: Browser) -> None:
    provider.person["email"] = "mara@acme.example"
    url = leave(browser)
    left = dict(browser.cookies)
    other = Browser(browser.base)
    leave(other)
    assert come_back(other, provider.authorize(url)).status == 401  # signed in as somebody else's guest
    without = Browser(browser.base)
    assert come_back(without, provider.authorize(url)).status == 401
    assert come_back(browser, provider.authorize(url)).status == 303
    replaying = Browser(browser.base)
    replaying.cookies = left
    assert come_back(replaying, provider.authorize(url)).status == 401
    forged = Browser(browser.base)
    state = parse_qs(urlsplit(leave(forged)).query)["state"][0]
    changed = ("A" if state[0] != "A" else "B") + state[1:]
    assert come_back(forged, f"{browser.base}/sign-in/oidc/callback?code=x&state={changed}").status == 401


def test_a_refusal_at_the_provider_and_its_faults_are_told(provider: IdentityProvider, browser: Browser) -> None:
    leave(browser)
    refused = come_back(browser, f"{browser.base}/sign-in/oidc/callback?error=access_denied&state=x")
    assert (refused.status, "The identity provider did not let you in" in refused) == (401, True)
    for path, fault in (("/token", (500, b"oops")), ("/token", (200, b"x" * 300_000)), ("/token", (302, b"{}"))):
        provider.answers = {path: fault}
        failed = sign_in(browser, provider)
        assert (failed.status, "did not answer as it should" in failed) == (502, True)
    invented = come_back(browser, f"{leave_and_forge(browser)}")
    assert invented.status == 502


def leave_and_forge(browser: Browser) -> str:
    """The way back with a code that the provider has not given."""
    state = parse_qs(urlsplit(leave(browser)).query)["state"][0]
    return f"{browser.base}/sign-in/oidc/callback?code=invented&state={state}"


def test_those_who_try_codes_are_slowed_down(provider: IdentityProvider, browser: Browser) -> None:
    assert provider.issuer
    answers = []
    for _ in range(6):
        parts = urlsplit(leave_and_forge(browser))
        answers.append(browser.get(f"{parts.path}?{parts.query}", {"X-Forwarded-For": "198.51.100.9"}).status)
    assert answers == [502] * 5 + [429]


def test_an_email_that_only_the_userinfo_has_counts(provider: IdentityProvider, browser: Browser) -> None:
    provider.userinfo = {**provider.person, "email": "mara@acme.example"}
    provider.change_claims = lambda claims: claims.pop("email")
    assert sign_in(browser, provider).status == 303
    assert "mara@acme.example" in browser.get("/me")
    provider.userinfo["sub"] = "another"
    assert sign_in(Browser(browser.base), provider).status == 401


def test_new_keys_of_the_provider_are_not_asked_for_with_each_token(provider: IdentityProvider, browser: Browser) -> None:
    provider.person["email"] = "mara@acme.example"
    assert sign_in(browser, provider).status == 303
    before = provider.asked.count("/keys")
    provider.sign = lambda claims: provider.rs256(claims, kid="unknown")
    for _ in range(3):
        assert sign_in(browser, provider).status == 401
    assert provider.asked.count("/keys") <= before + 1


def test_a_second_factor_is_asked_for_and_dangerous_changes_need_a_fresh_proof(
    company: RelayProcess, provider: IdentityProvider, browser: Browser
) -> None:
    provider.person["email"] = "tom@acme.example"
    invite(company, "tom@acme.example", "admin")
    assert sign_in(browser, provider).status == 303
    asked = browser.get("/audit/export")
    assert urlsplit(asked.headers["location"]).path == "/elevate"
    page = browser.get(asked.headers["location"])
    assert 'name="password"' not in page.text
    found = re.search(r'href="(/sign-in/oidc\?next=[^"]*)"', page.text)
    assert found
    url = browser.get(html.unescape(found[1])).headers["location"]
    assert parse_qs(urlsplit(url).query)["prompt"] == ["login"]
    done = come_back(browser, provider.authorize(url))
    assert done.headers["location"] == "/audit/export"
    assert browser.get("/audit/export").status == 200

    offered = browser.get("/me/factor")
    secret = re.search(r'name="secret" value="([A-Z2-7]{32})"', offered.text)
    assert secret
    code = pyotp.TOTP(secret[1]).now()
    assert browser.post("/me/factor", {"token": offered.token, "secret": secret[1], "code": code}).status == 200
    away = Browser(browser.base)
    assert sign_in(away, provider).headers["location"] == "/sign-in/code?next=%2Fme"
    assert away.get("/me").status == 303
    assert "Single sign-on, code" in browser.get("/team")


def test_who_is_disabled_stays_out(company: RelayProcess, provider: IdentityProvider, browser: Browser) -> None:
    provider.person["email"] = "dan@acme.example"
    invite(company, "dan@acme.example")
    assert sign_in(browser, provider).status == 303
    owner = Browser(browser.base)
    assert owner.send("/sign-in", {"email": "mara@acme.example", "password": PASSWORD}).status == 303
    (member,) = [each["id"] for each in company.json("people", "list")["data"] if each["email"] == "dan@acme.example"]
    assert owner.send(f"/team/{member}/disable", {"disabled": "yes"}, page="/team").status == 303
    assert sign_in(Browser(browser.base), provider).status == 401


@pytest.mark.needs("chromium")
def test_a_browser_goes_to_another_site_and_comes_back(chromium: Chromium, company: RelayProcess, provider: IdentityProvider) -> None:
    """`localhost` and `127.0.0.1` are two sites: strict cookies stay behind, and the policy of our pages sees the way out."""
    provider.person["email"] = "mara@acme.example"
    context = chromium.new_context(base_url=company.ready["http"])
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text))
    tab = context.new_page()
    tab.goto("/me?said=look")
    for width in (360, 1440):  # the page of an installation with a provider: the sweep has none
        tab.set_viewport_size({"width": width, "height": 900})
        assert tab.evaluate(FRAME) == []
    assert Axe().ask(tab) == []
    tab.get_by_role("link", name="Sign in with 127.0.0.1").click()
    expect(tab.get_by_role("heading", name="Me", exact=True)).to_be_visible()
    assert tab.url.endswith("/me?said=look")
    assert {cookie["name"] for cookie in context.cookies()} == {"sendryd", "sendryd-device", "sendryd-form"}
    tab.get_by_role("button", name="Sign out").first.click()
    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()
    assert said == []
