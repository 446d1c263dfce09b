"""Domains: added, looked at, removed, and what each record needs."""

import html
import re

import pytest

from sendryd.testing.process import RelayProcess

from .conftest import Browser

pytestmark = pytest.mark.sockets


def test_a_domain_is_added_shown_checked_and_removed(owner: Browser) -> None:
    added = owner.send("/domains", {"name": "Setup.Example"})
    assert (added.status, added.headers["location"]) == (303, "/domains/setup.example")
    shown = owner.get("/domains/setup.example")
    assert (shown.status, shown.page) == (200, "domain")
    verdicts = dict(re.findall(r'data-record="(\w+)" data-verdict="(\w+)"', shown.text))
    assert verdicts == dict.fromkeys(("dkim", "spf", "dmarc"), "unknown")
    assert "v=DKIM1" in shown
    checked = owner.send("/domains/setup.example/check", {}, page="/domains/setup.example")
    assert checked.status == 200
    assert "Looked at past the cache" in checked
    row = re.search(r'<tr data-id="(dom_\w{13})" data-status="pending">', owner.get("/domains").text)
    assert row
    wrong = owner.send("/domains/setup.example/remove", {"name": "other.example"}, page="/domains/setup.example")
    assert (wrong.status, "Type setup.example to remove it." in wrong) == (422, True)
    assert owner.send("/domains/setup.example/remove", {"name": "setup.example"}, page="/domains/setup.example").status == 303
    assert owner.get("/domains/setup.example").status == 404


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "This is no domain name"),
        ("no dots", "This is no domain name"),
        ("gmail.com", "public mailbox host"),
        ("<script>alert(1)</script>", "This is no domain name"),
        ("x" * 300 + ".example", "This is no domain name"),
    ],
)
def test_a_bad_name_is_explained_and_kept(owner: Browser, name: str, says: str) -> None:
    answer = owner.send("/domains", {"name": name})
    assert (answer.status, says in answer) == (422, True)
    assert "<script>alert" not in answer.text
    assert f'value="{html.escape(name)}"' in answer.text.replace("&#x2f;", "/") or not name


def test_a_domain_that_is_there_is_not_added_twice(owner: Browser) -> None:
    owner.send("/domains", {"name": "twice.example"})
    again = owner.send("/domains", {"name": "twice.example"})
    assert (again.status, "in this account already" in again) == (422, True)


def test_a_viewer_sees_no_form_and_is_refused_by_hand(viewer: Browser, owner: Browser) -> None:
    owner.send("/domains", {"name": "seen.example"})
    assert 'action="/domains"' not in viewer.get("/domains").text
    shown = viewer.get("/domains/seen.example")
    assert (shown.status, "/remove" in shown, "/check" in shown) == (200, False, False)
    assert viewer.post("/domains", {"token": shown.token, "name": "evil.example"}).status == 403
    assert viewer.post("/domains/seen.example/remove", {"token": shown.token, "name": "seen.example"}).status == 403
    assert owner.get("/domains/seen.example").status == 200


def test_changes_are_in_the_audit(owner: Browser, relay: RelayProcess) -> None:
    owner.send("/domains", {"name": "audited.example"})
    assert relay.json("domains", "show", "audited.example")["name"] == "audited.example"
    assert owner.get("/domains/nowhere.example").status == 404
