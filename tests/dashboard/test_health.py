"""Health and Settings: for operators."""

import html
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


def test_a_finding_is_silenced_with_an_end_and_shown_again(owner: Browser) -> None:
    owner.send("/health", {})
    page = owner.get("/health")
    name = html.unescape(re.findall(r'action="/health/silence".*?name="name" value="([^"]+)"', page.text, re.DOTALL)[0])
    assert owner.post("/health/silence", {"token": page.token, "name": name, "for": "week"}).status == 303
    assert "Silenced by Mara Lind until" in owner.get("/health")
    assert owner.post("/health/silence", {"token": page.token, "name": name}).status == 303
    assert "data-silenced" not in owner.get("/health").text
    assert owner.post("/health/silence", {"token": page.token, "name": "health:nothing", "for": "day"}).status == 404


def test_people_set_who_gets_alerts_about_what(owner: Browser, viewer: Browser) -> None:
    fields = {"recipients": "owners", "scope": "everything", "url": "https://hooks.acme.example/secret"}
    assert owner.send("/health/alerts", fields, page="/health").status == 303
    page = owner.get("/health?told=alerts")
    assert "The alerts are set." in page
    assert '<option value="owners" selected>' in page.text
    assert "https://hooks.acme.example/secret" in page
    assert "secret" not in owner.get("/audit?q=alerts.changed")
    refused = owner.send("/health/alerts", {**fields, "url": "file:///etc/passwd"}, page="/health")
    assert (refused.status, "begins with https://" in refused) == (422, True)
    assert owner.send("/health/alerts", {**fields, "scope": "x"}, page="/health").status == 404
    assert viewer.post("/health/alerts", {"token": viewer.get("/").token, **fields}).status == 403
    assert owner.send("/health/alerts", {"recipients": "both", "scope": "wrong", "url": ""}, page="/health").status == 303


def test_the_account_has_a_smart_host_outside_the_network(owner: Browser, relay: RelayProcess) -> None:
    try:
        fields = {"smarthost": "smtp://user@relay.example.com:587", "smarthost_password": "s3cret-word"}
        assert owner.send("/settings/smarthost", fields, page="/settings").status == 303
        page = owner.get("/settings")
        assert ("smtp://user@relay.example.com:587" in page, "s3cret-word" in page) == (True, False)
        for url, words in (
            ("smtp://10.0.0.1", "is a private or reserved address"),
            ("smtp://relay.example.com:22", "the port is one of"),
            ("http://relay.example.com", "write a smart host as"),
        ):
            refused = owner.send("/settings/smarthost", {"smarthost": url, "smarthost_password": ""}, page="/settings")
            assert (refused.status, words in refused) == (422, True), url
        assert relay.json("account", "show")["smarthost"] == "smtp://user@relay.example.com:587"
    finally:
        relay.run("account", "set", "smarthost=")
