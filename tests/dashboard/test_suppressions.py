"""Suppressions and unsubscribes: look up, add, lift, import, export."""

import csv
import io

import pytest

from sendryd.testing.process import RelayProcess

from .conftest import Answer, Browser

pytestmark = pytest.mark.sockets

BAD = '<script>alert(1)</script>"><img onerror=x>@example.org'


def look_up(browser: Browser, email: str, path: str = "/suppressions") -> Answer:
    return browser.get(f"{path}?q={email.replace('+', '%2B')}")


def test_an_address_is_added_found_and_lifted(relay: RelayProcess, owner: Browser, viewer: Browser) -> None:
    added = owner.send("/suppressions", {"email": "Ann+x@Example.org"})
    assert (added.status, added.headers["location"]) == (303, "/suppressions?q=ann%2Bx%40example.org")
    assert "ann+x@example.org" in relay.json("suppressions", "list")["data"][0]["email"]
    for browser in (owner, viewer):
        page = look_up(browser, "ann+x@example.org")
        assert (page.status, page.page) == (200, "suppressions")
        assert 'data-status="manual"' in page.text
        assert ("Lift it" in page) is (browser is owner)
    assert "gets mail again from now on" in look_up(owner, "ann+x@example.org")
    lifted = owner.send("/suppressions/lift", {"email": "ann+x@example.org"}, page="/suppressions")
    assert lifted.status == 303
    assert "No suppressed address has" in look_up(owner, "ann+x@example.org")
    again = owner.send("/suppressions/lift", {"email": "ann+x@example.org"}, page="/suppressions")
    assert (again.status, 'role="alert"' in again.text) == (409, True)


@pytest.mark.parametrize("path", ["/suppressions", "/unsubscribes"])
@pytest.mark.parametrize("email", ["", "nonsense", BAD, "Ann <ann@example.org>"])
def test_what_is_no_address_is_refused_beside_the_field(owner: Browser, path: str, email: str) -> None:
    answer = owner.send(path, {"email": email})
    assert answer.status == 422
    assert 'id="w-email"' in answer.text
    assert "<script>alert" not in answer.text
    assert email in answer


def test_a_list_is_imported_with_a_report(relay: RelayProcess, owner: Browser) -> None:
    owner.send("/suppressions", {"email": "there@import.test"})
    lines = "email,reason\nnew@import.test,hard_bounce\nthere@import.test\n\nspam@import.test;complaint\n"
    answer = owner.send("/suppressions/import", {"addresses": lines}, page="/suppressions")
    assert answer.status == 303
    assert "2 new addresses are suppressed; 1 was suppressed before." in owner.get(answer.headers["location"])
    assert 'data-status="hard_bounce"' in look_up(owner, "new@import.test").text
    rows = list(csv.DictReader(io.StringIO(owner.get("/suppressions/export").text)))
    assert {"spam@import.test": "complaint", "new@import.test": "hard_bounce"}.items() <= {
        each["email"]: each["reason"] for each in rows
    }.items()
    audit = owner.get("/audit").text
    assert [word for word in ("suppression.added", "suppression.imported", "suppression.exported") if word not in audit] == []
    assert relay.is_running


def test_a_list_with_a_wrong_line_imports_nothing_and_is_kept(owner: Browser) -> None:
    answer = owner.send("/suppressions/import", {"addresses": f"fine@wrong.test\n{BAD}\nother@wrong.test,because"}, page="/suppressions")
    assert answer.status == 422
    assert "Nothing was imported." in answer
    assert "Line 2:" in answer
    assert "Line 3: 'because' is no reason" in answer
    assert "fine@wrong.test" in answer
    assert "<script>alert" not in answer.text
    assert "No suppressed address" in look_up(owner, "fine@wrong.test")


def test_an_address_is_unsubscribed_from_a_list_and_subscribed_again(owner: Browser) -> None:
    assert owner.send("/unsubscribes", {"email": "uma@example.org", "list": "<b>news</b>"}).status == 303
    page = look_up(owner, "uma@example.org", "/unsubscribes")
    assert (page.page, "<b>news</b>" in page, "<b>news</b>" in page.text) == ("suppressions", True, False)
    number = page.text.partition('data-id="unsub_')[2].partition('"')[0]
    assert owner.send("/unsubscribes/lift", {"id": f"unsub_{number}"}, page="/unsubscribes").status == 303
    assert "is not unsubscribed" in look_up(owner, "uma@example.org", "/unsubscribes")
    assert owner.send("/unsubscribes/lift", {"id": f"unsub_{number}"}, page="/unsubscribes").status == 409
    assert owner.send("/unsubscribes", {"email": "uma@example.org", "list": "x" * 101}).status == 422


def test_a_viewer_changes_nothing(viewer: Browser) -> None:
    token = viewer.get("/").token
    for path in ("/suppressions", "/suppressions/lift", "/suppressions/import", "/unsubscribes", "/unsubscribes/lift"):
        assert viewer.post(path, {"token": token, "email": "a@example.org"}).status == 403
    assert "Import" not in viewer.get("/suppressions")
