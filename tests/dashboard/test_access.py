"""Who gets in, and what may change something."""

from urllib.parse import urlsplit

import pytest

from sendryd.testing.process import RelayProcess

from .conftest import EMAIL, PASSWORD, Browser

pytestmark = pytest.mark.sockets


def test_a_stranger_is_sent_to_sign_in_and_back(owner: Browser, stranger: Browser) -> None:
    assert owner.cookies
    sent = stranger.get("/?q=status%3Abounced")
    assert (sent.status, sent.headers["location"]) == (303, "/sign-in?next=%2F%3Fq%3Dstatus%253Abounced")
    asked = stranger.get("/")
    assert (asked.status, asked.headers["location"]) == (303, "/sign-in")
    shown = stranger.get("/sign-in")
    assert (shown.status, shown.page) == (200, "sign-in")
    entered = stranger.send("/sign-in", {"email": EMAIL, "password": PASSWORD, "next": "/team"})
    assert (entered.status, entered.headers["location"]) == (303, "/team")
    assert stranger.get("/").page == "home"


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\r\nSet-Cookie: x=1"])
def test_signing_in_leads_to_our_own_pages_alone(owner: Browser, stranger: Browser, target: str) -> None:
    assert owner.cookies
    entered = stranger.send("/sign-in", {"email": EMAIL, "password": PASSWORD, "next": target})
    assert entered.headers["location"] == "/"


def test_a_wrong_password_says_so_and_nothing_more(owner: Browser, stranger: Browser) -> None:
    assert owner.cookies
    wrong = stranger.send("/sign-in", {"email": EMAIL, "password": "wrong"})
    unknown = stranger.send("/sign-in", {"email": "nobody@acme.example", "password": PASSWORD})
    assert (wrong.status, unknown.status) == (401, 401)
    for answer in (wrong, unknown):
        assert 'role="alert"' in answer.text
        assert "The email or the password is wrong." in answer
    assert stranger.get("/").status == 303


def test_a_change_from_elsewhere_is_refused(owner: Browser) -> None:
    token = owner.get("/").token
    fields = {"token": token}
    assert owner.post("/sign-out", {}).status == 403
    assert owner.post("/sign-out", {"token": "nonsense"}).status == 403
    assert owner.post("/sign-out", fields, {"Sec-Fetch-Site": "cross-site"}).status == 403
    assert owner.post("/sign-out", fields, {"Sec-Fetch-Site": "", "Origin": "https://evil.example"}).status == 403
    assert owner.post("/sign-out", fields, {"Sec-Fetch-Site": "", "Origin": ""}).status == 403
    assert owner.get("/").page == "home"


def test_each_page_masks_its_token_anew(owner: Browser) -> None:
    assert owner.get("/").token != owner.get("/").token


def test_a_foreign_host_reaches_nothing(owner: Browser) -> None:
    assert owner.get("/", {"Host": "evil.example"}).status == 421
    assert owner.get("/sign-in", {"Host": "127.0.0.1.evil.example"}).status == 421
    assert owner.get("/", {"Host": "localhost"}).status == 200


def test_the_owner_link_works_once_and_looking_does_not_use_it(relay: RelayProcess, owner: Browser, stranger: Browser) -> None:
    assert owner.cookies
    path = urlsplit(relay.json("people", "owner-link")["url"]).path
    assert stranger.get(path).page == "welcome"
    assert stranger.get("/").status == 303
    short = stranger.send(path, {"name": "Eve", "email": "eve@acme.example", "password": "short"})
    assert (short.status, "too short" in short) == (422, True)
    assert stranger.send(path, {"name": "Eve", "email": "eve@acme.example", "password": PASSWORD}).status == 303
    again = Browser(relay.ready["http"])
    assert again.get(path).status == 410
    assert again.send(path, {"name": "Max", "email": "max@acme.example", "password": PASSWORD}).status in {403, 410}
    assert relay.run("people", "remove", "eve@acme.example").returncode == 0


def test_signing_out_ends_the_session(owner: Browser, stranger: Browser) -> None:
    assert owner.cookies
    stranger.send("/sign-in", {"email": EMAIL, "password": PASSWORD})
    kept = dict(stranger.cookies)
    assert stranger.send("/sign-out", {}, page="/").headers["location"] == "/sign-in"
    stranger.cookies = kept
    assert stranger.get("/").status == 303


def test_the_cookie_is_hidden_from_scripts_and_other_sites(owner: Browser, stranger: Browser) -> None:
    assert owner.cookies
    entered = stranger.send("/sign-in", {"email": EMAIL, "password": PASSWORD})
    (cookie,) = [each for each in entered.cookies if each.startswith("sendryd=")]
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}


def test_headers_of_a_page(owner: Browser) -> None:
    headers = owner.get("/").headers
    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-src 'self';"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"


def test_a_browser_keeps_a_mark_of_the_person_who_signed_in(owner: Browser, viewer: Browser) -> None:
    assert len({browser.cookies["sendryd-device"] for browser in (owner, viewer)}) == 2


def test_what_is_not_there_is_404_with_the_same_headers(owner: Browser, stranger: Browser) -> None:
    for browser in (owner, stranger):
        answer = browser.get("/nowhere")
        assert (answer.status, answer.page) == (404, "missing")
        assert "content-security-policy" in answer.headers
    assert stranger.get("/v1/nowhere").headers["content-type"].startswith("application/json")


def test_a_script_that_is_signed_in_sees_the_page_for_what_is_not_there(owner: Browser, stranger: Browser) -> None:
    assert owner.get("/nowhere", {"Accept": "*/*"}).page == "missing"
    assert stranger.get("/nowhere", {"Accept": "*/*"}).headers["content-type"].startswith("application/json")


def test_a_form_that_is_too_large_is_refused(owner: Browser) -> None:
    assert owner.post("/sign-out", {"token": "x" * (2 * 1024 * 1024)}).status == 413


def test_without_the_dashboard_its_paths_are_missing(tmp_path_factory: pytest.TempPathFactory) -> None:
    with RelayProcess(tmp_path_factory.mktemp("off") / "data", {"SENDRYD_DASHBOARD": "false"}) as relay:
        browser = Browser(relay.ready["http"])
        assert "owner_url" not in relay.ready
        assert "/docs" in browser.get("/").text
        assert [browser.get(path).status for path in ("/sign-in", "/emails", "/welcome/x")] == [404, 404, 404]


def test_the_password_is_asked_for_again(owner: Browser) -> None:
    shown = owner.get("/elevate?next=%2F%2Fevil.example")
    assert (shown.status, shown.page) == (200, "elevate")
    assert owner.send("/elevate", {"password": "wrong", "next": "/team"}).status == 401
    assert owner.send("/elevate", {"password": PASSWORD, "next": "/team"}).headers["location"] == "/team"
    assert owner.send("/elevate", {"password": PASSWORD, "next": "//evil.example"}).headers["location"] == "/"
