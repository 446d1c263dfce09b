"""Health and Settings: for operators."""

import re

import pytest

from sendryd.testing.process import RelayProcess

from .conftest import Browser

pytestmark = pytest.mark.sockets

BAD = "<script>alert(1)</script>"


def test_health_shows_each_finding_with_its_verdict_and_fix(relay: RelayProcess, owner: Browser) -> None:
    assert owner.send("/health", {}).headers["location"] == "/health"
    page = owner.get("/health")
    assert (page.status, page.page) == (200, "health")
    assert re.search(r"<h1>(Nothing is|One thing is|\w+ things are) wrong</h1>", page.text)
    verdicts = re.findall(r'data-verdict="(\w+)"', page.text)
    assert set(verdicts) <= {"right", "advised", "wrong", "unknown"}
    assert len(verdicts) >= 5
    assert "data-fix" in page.text
    assert "Examined" in page
    assert relay.is_running


def test_settings_say_where_each_value_comes_from(owner: Browser) -> None:
    page = owner.get("/settings")
    assert (page.status, page.page) == (200, "settings")
    found = dict(re.findall(r'data-setting="(\w+)".*?class="tag">(\w+)<', page.text, re.DOTALL))
    assert (found["SENDRYD_HOSTNAME"], found["SENDRYD_MAX_QUEUE_AGE"]) == ("set", "default")
    assert "relay.example.test" in page


def test_the_account_is_renamed(relay: RelayProcess, owner: Browser) -> None:
    assert owner.send("/settings", {"name": BAD}).status == 303
    page = owner.get("/settings")
    assert (BAD in page, BAD in page.text) == (True, False)
    refused = owner.send("/settings", {"name": "x" * 101})
    assert (refused.status, "Enter a name of 1 to 100 characters." in refused, "x" * 101 in refused) == (422, True, True)
    assert owner.send("/settings", {"name": "default"}).status == 303
    assert relay.is_running


def test_they_are_for_operators(viewer: Browser) -> None:
    assert [viewer.get(path).status for path in ("/health", "/settings")] == [404, 404]
    token = viewer.get("/").token
    assert [viewer.post(path, {"token": token, "name": "x"}).status for path in ("/health", "/settings")] == [403, 403]
