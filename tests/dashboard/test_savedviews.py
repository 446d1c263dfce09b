"""Searches of the Emails page that people keep."""

import html
import re

import pytest

from .conftest import Browser

pytestmark = pytest.mark.sockets

ASK = "/emails?q=status%3Adeferred+%40gmail.com"
QUERY = "status:deferred @gmail.com"


def views(browser: Browser) -> list[str]:
    """The names of the saved views on Emails."""
    return [html.unescape(each) for each in re.findall(r'<a href="[^"]*" data-saved[^>]*><bdi>([^<]*)</bdi>', browser.get("/emails").text)]


def keep(browser: Browser, name: str, **more: str) -> str:
    answer = browser.send("/emails/views", {"q": QUERY, "name": name, **more}, page=ASK)
    return answer.headers["location"] if answer.status == 303 else str(answer.status)


def removing(browser: Browser) -> str:
    """Where the form goes that forgets the view of the page; empty without one."""
    found = re.search(r'action="(/emails/views/view_\w+/remove)"', html.unescape(browser.get(ASK).text))
    return found[1] if found else ""


def forget(browser: Browser) -> int:
    return browser.send(removing(browser), {"q": QUERY}, page=ASK).status


def test_a_view_is_kept_opened_and_forgotten_by_its_person(owner: Browser, viewer: Browser) -> None:
    assert "Keep this view" in viewer.get(ASK)
    assert keep(viewer, "  Slow <b>at</b>  Gmail ") == ASK
    assert views(viewer) == ["Slow <b>at</b> Gmail"]
    assert views(owner) == []
    page = viewer.get(ASK)
    assert re.search(r'<a href="/emails\?q=status%3Adeferred\+%40gmail\.com" data-saved aria-current="true">', html.unescape(page.text))
    assert "Keep this view" not in page
    assert forget(viewer) == 303
    assert views(viewer) == []


def test_a_shared_view_is_everybodys_and_in_the_audit(owner: Browser, member: Browser, viewer: Browser) -> None:
    assert keep(viewer, "Ours", shared="yes") == "403"
    assert "For everybody" not in viewer.get(ASK)
    assert keep(member, "Ours", shared="yes") == ASK
    assert views(owner) == views(viewer) == ["Ours"]
    assert "Forget this view" not in viewer.get(ASK)
    assert viewer.send(removing(member), {}, page=ASK).status == 403
    assert forget(owner) == 303
    audit = owner.get("/audit")
    assert "view.shared" in audit
    assert "view.removed" in audit


def test_what_cannot_be_kept_is_told(owner: Browser) -> None:
    assert keep(owner, " ") == f"{ASK}&kept=name"
    assert "its name has 1 to 40 characters" in owner.get(f"{ASK}&kept=name")
    assert keep(owner, "Twice") == ASK
    assert keep(owner, "Twice") == f"{ASK}&kept=taken"
    assert "there is one of this name" in owner.get(f"{ASK}&kept=taken")
    assert owner.send("/emails/views", {"q": "", "name": "Nothing"}, page=ASK).headers["location"] == "/emails?q=&kept=q"
    long = owner.send("/emails/views", {"q": "a" * 501, "name": "Long"}, page=ASK)
    assert long.headers["location"] == "/emails?kept=q"
    assert "it needs a search of 1 to 500 characters" in owner.get("/emails?kept=q")
    assert "Keep this view" not in owner.get("/emails")
    assert "Keep this view" not in owner.get("/emails?q=status%3Abounced")  # the page has it already
    assert forget(owner) == 303
