"""Me: name, password, sessions, second factor, look."""

import html
import re
from urllib.parse import urlsplit

import pyotp
import pytest

from sendryd.testing.process import RelayProcess

from .conftest import PASSWORD, Browser

pytestmark = pytest.mark.sockets


def join(relay: RelayProcess, email: str, role: str = "member", name: str = "Ned") -> Browser:
    """A new person's browser."""
    url = relay.json("people", "invite", email, "--role", role)["url"]
    browser = Browser(relay.ready["http"])
    assert browser.send(urlsplit(url).path, {"name": name, "password": PASSWORD}).status == 303
    return browser


def sign_in(relay: RelayProcess, email: str, password: str = PASSWORD) -> Browser:
    browser = Browser(relay.ready["http"])
    assert browser.send("/sign-in", {"email": email, "password": password}).status == 303
    return browser


def sessions(browser: Browser) -> dict[str, str]:
    """Ids with `data-status`."""
    return dict(re.findall(r'<tr data-id="([0-9a-f]+)" data-status="(\w+)"', browser.get("/me").text))


def test_a_viewer_changes_their_name_and_it_is_escaped(relay: RelayProcess, owner: Browser) -> None:
    browser = join(relay, "vic@acme.example", "viewer")
    assert browser.get("/me").page == "me"
    empty = browser.send("/me/name", {"name": " "}, page="/me")
    assert (empty.status, "Enter your name." in empty) == (422, True)
    hostile = '"><img src=x onerror=alert(1)>'
    assert browser.send("/me/name", {"name": hostile}, page="/me").headers["location"] == "/me?said=name"
    shown = browser.get("/me?said=name")
    assert "<img" not in shown.text
    assert hostile in shown
    assert "person.renamed" in owner.get("/audit?q=vic%40acme.example").text


def test_a_new_password_needs_the_old_one_and_ends_other_sessions(relay: RelayProcess, owner: Browser) -> None:
    assert owner.cookies
    browser = join(relay, "pat@acme.example")
    other = sign_in(relay, "pat@acme.example")
    wrong = browser.send("/me/password", {"old": "wrong", "new": "another good one"}, page="/me")
    assert (wrong.status, "The password is wrong." in wrong) == (422, True)
    weak = browser.send("/me/password", {"old": PASSWORD, "new": "short"}, page="/me")
    assert (weak.status, "too short" in weak) == (422, True)
    assert browser.send("/me/password", {"old": PASSWORD, "new": "another good one"}, page="/me").status == 303
    assert (browser.get("/me").status, other.get("/me").status) == (200, 303)
    assert sign_in(relay, "pat@acme.example", "another good one").get("/me").page == "me"


def test_sessions_are_listed_and_ended(relay: RelayProcess, owner: Browser) -> None:
    browser = join(relay, "sam@acme.example")
    second, third = sign_in(relay, "sam@acme.example"), sign_in(relay, "sam@acme.example")
    listed = sessions(browser)
    assert sorted(listed.values()) == ["active", "active", "this"]
    (of_second,) = [each for each, status in sessions(second).items() if status == "this"]
    (of_owner,) = [each for each, status in sessions(owner).items() if status == "this"]
    for session in (of_second, of_owner, "nonsense"):
        assert browser.send("/me/sessions/end", {"session": session}, page="/me").status == 303
    assert (second.get("/me").status, third.get("/me").status, owner.get("/me").status) == (303, 200, 200)
    assert browser.send("/me/sessions/end-others", {}, page="/me").status == 303
    assert (third.get("/me").status, list(sessions(browser).values())) == (303, ["this"])


def test_a_second_factor_from_the_qr_code_to_the_second_step(relay: RelayProcess, owner: Browser) -> None:
    assert owner.cookies
    browser = join(relay, "tom@acme.example")
    offered = browser.get("/me/factor")
    found = re.search(r'name="secret" value="([A-Z2-7]{32})"', offered.text)
    assert found
    assert re.search(r'<path d="M\d', offered.text)
    app = pyotp.TOTP(found[1])
    wrong = browser.post("/me/factor", {"token": offered.token, "secret": found[1], "code": "1"})
    assert (wrong.status, found[1] in wrong.text) == (422, True)
    code = app.now()
    shown = browser.post("/me/factor", {"token": offered.token, "secret": found[1], "code": code})
    codes = re.findall(r"<span data-code>([a-z2-7-]{19})</span>", shown.text)
    assert (shown.status, len(codes)) == (200, 10)
    assert codes[0] not in browser.get("/me").text

    away = Browser(relay.ready["http"])
    first = away.send("/sign-in", {"email": "tom@acme.example", "password": PASSWORD, "next": "/me?said=look"})
    assert first.headers["location"] == "/sign-in/code?next=%2Fme%3Fsaid%3Dlook"
    waiting = dict(away.cookies)
    assert (away.get("/").status, away.get("/me").status, away.get(first.headers["location"]).page) == (303, 303, "sign-in")
    used = away.send("/sign-in/code", {"code": code})  # a code works once
    assert (used.status, 'role="alert"' in used.text) == (401, True)
    done = away.send("/sign-in/code", {"code": codes[0].upper(), "next": "/me"})
    assert (done.status, done.headers["location"]) == (303, "/me")
    assert away.get("/me").page == "me"
    assert away.cookies["sendryd"] != waiting["sendryd"]
    stale = Browser(relay.ready["http"])
    stale.cookies = waiting
    assert (stale.get("/me").status, stale.get("/sign-in/code").headers["location"]) == (303, "/sign-in")

    refused = away.send("/me/factor/off", {"password": "wrong"}, page="/me")
    assert (refused.status, "The password is wrong." in refused) == (422, True)
    renewed = away.send("/me/factor/codes", {"password": PASSWORD}, page="/me")
    assert len(re.findall("data-code", renewed.text)) == 10
    assert away.send("/me/factor/off", {"password": PASSWORD}, page="/me").status == 303
    assert sign_in(relay, "tom@acme.example").get("/me").page == "me"


def test_a_secret_that_no_page_offered_is_not_taken(relay: RelayProcess, owner: Browser) -> None:
    assert owner.cookies
    browser = join(relay, "una@acme.example")
    for secret in ("", "x", "A" * 16, "ä" * 32, "1" * 32):
        answer = browser.send("/me/factor", {"secret": secret, "code": "123456"})
        assert answer.status in {303, 422}, secret
    assert ">Off" in html.unescape(browser.get("/me").text)


def test_the_look_is_kept_in_the_browser(relay: RelayProcess, owner: Browser) -> None:
    assert owner.cookies
    browser = join(relay, "lea@acme.example", "viewer")
    look = {"theme": "dark", "density": "compact", "keys": "off"}
    assert browser.send("/me/look", look, page="/me").status == 303
    assert '<html lang="en" data-theme="dark" data-density="compact" data-keys="off">' in browser.get("/").text
    assert browser.send("/me/look", {"theme": '"><script>', "density": "x"}, page="/me").status == 303
    assert '<html lang="en">' in browser.get("/").text


def test_changes_need_the_token(relay: RelayProcess, owner: Browser) -> None:
    assert owner.cookies
    browser = join(relay, "ron@acme.example")
    for path in ("/me/name", "/me/password", "/me/sessions/end-others", "/me/factor", "/me/factor/off", "/me/factor/codes", "/me/look"):
        assert browser.post(path, {"name": "x"}).status == 403
