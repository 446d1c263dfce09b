"""Who may open and change what: each route for each role, over HTTP."""

import re

import pytest

from sendryd.dashboard.app import Page
from sendryd.dashboard.pages import PAGES
from sendryd.model.actor import Role
from sendryd.policy.rights import Right, has_right
from sendryd.testing.cases import cases
from sendryd.testing.process import RelayProcess

from .conftest import Browser
from .test_me import join

pytestmark = pytest.mark.sockets

SIGNED_IN = [page for page in PAGES if page.needs is not None]


@pytest.fixture(scope="module")
def browsers(relay: RelayProcess, owner: Browser, member: Browser, viewer: Browser) -> dict[Role, Browser]:
    return {Role.OWNER: owner, Role.ADMIN: join(relay, "rights@acme.example", "admin"), Role.MEMBER: member, Role.VIEWER: viewer}


@pytest.fixture(scope="module")
def tokens(browsers: dict[Role, Browser]) -> dict[Role, str]:
    return {role: browser.get("/me").token for role, browser in browsers.items()}


def may(role: Role, right: Right | None) -> bool:
    """Only the owner of `relay` is an operator."""
    return right is None or has_right(role, right, is_operator=role is Role.OWNER)


def address(page: Page) -> str:
    return re.sub(r"\{\w+\}", "0ap5bnt18v800", page.path)


@cases("page", [page for page in SIGNED_IN if page.get], ids=lambda page: page.path)
def test_a_page_is_missing_for_who_may_not_see_it(page: Page, browsers: dict[Role, Browser], stranger: Browser) -> None:
    asked = stranger.get(address(page))
    assert (asked.status, asked.headers["location"].partition("?")[0]) == (303, "/sign-in")
    for role, browser in browsers.items():
        answer = browser.get(address(page))
        if not may(role, page.needs):
            assert (answer.status, answer.page) == (404, "missing"), role
        elif "{" not in page.path:
            assert answer.status in {200, 303}, role


@cases("page", [page for page in SIGNED_IN if page.post], ids=lambda page: page.path)
def test_a_change_is_refused_for_who_may_not_make_it(
    page: Page, browsers: dict[Role, Browser], tokens: dict[Role, str], stranger: Browser
) -> None:
    path, owner = address(page), browsers[Role.OWNER]
    assert stranger.post(path, {"token": tokens[Role.OWNER]}).status == 403
    assert owner.post(path, {}).status == 403
    assert owner.post(path, {"token": tokens[Role.VIEWER]}).status == 403
    assert owner.post(path, {"token": tokens[Role.OWNER]}, {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}).status == 403
    for role, browser in browsers.items():
        if not may(role, page.needs_to_change):
            assert browser.post(path, {"token": tokens[role]}).status == 403, role


def test_the_audit_has_who_was_refused(browsers: dict[Role, Browser], tokens: dict[Role, str]) -> None:
    assert browsers[Role.VIEWER].post("/domains", {"token": tokens[Role.VIEWER], "name": "x.example"}).status == 403
    shown = browsers[Role.OWNER].get("/audit?q=access.refused")
    assert "POST /domains" in shown
    assert "vera@acme.example" in shown
