"""`SENDRYD_CONTENT_URL`: the HTML of mails has an origin of its own."""

import html
import re
from pathlib import Path

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.world import SENDING_DOMAIN, World

from .conftest import Browser, become_owner

pytestmark = pytest.mark.sockets

PUBLIC, CONTENT = "http://mail.test:8025", "http://content.test:8025"
AT_PUBLIC, AT_CONTENT = {"Host": "mail.test:8025"}, {"Host": "content.test:8025"}


def framed(browser: Browser, mail: str, headers: dict[str, str] | None = None) -> tuple[str, str]:
    """The address of the frame on a mail's page, and the page's policy."""
    answer = browser.get(f"/test?open={mail}", headers)
    found = re.search(r'<iframe[^>]* src="([^"]*)"', answer.text)
    assert found
    return html.unescape(found[1]), answer.headers["content-security-policy"]


def test_foreign_html_has_an_origin_of_its_own(tmp_path: Path) -> None:
    with World(tmp_path, env={"SENDRYD_PUBLIC_URL": PUBLIC, "SENDRYD_CONTENT_URL": CONTENT}) as world:
        owner = become_owner(world.relay)
        body = {"from": f"a@{SENDING_DOMAIN}", "to": "b@example.org", "subject": "Hello", "html": '<p>Hello</p><img src="cid:x">'}
        mail = RestClient(world.relay, world.test_key).post("/v1/emails", body)["id"].replace("em_", "te_", 1)

        address, policy = framed(owner, mail, AT_PUBLIC)
        assert address.startswith(f"{CONTENT}/content/")
        assert f"frame-src 'self' {CONTENT};" in policy
        path = address.removeprefix(CONTENT)
        shown = Browser(owner.base).get(path, AT_CONTENT)
        assert (shown.status, "<p>Hello</p>" in shown) == (200, True)
        sent = shown.headers["content-security-policy"]
        assert f"frame-ancestors {PUBLIC}" in sent
        assert f"img-src data: {CONTENT}/content/" in sent
        assert owner.get(path, AT_PUBLIC).status == 421
        assert f"frame-ancestors {PUBLIC}" in owner.get("/content/x", AT_CONTENT).headers["content-security-policy"]

        for other in ("/", "/sign-in", f"/test?open={mail}"):
            assert owner.get(other, AT_CONTENT).status == 421, other

        own, policy = framed(owner, mail)  # at the listener's own address
        assert own.startswith("/content/")
        assert "frame-src 'self';" in policy
        assert "frame-ancestors 'self'" in owner.get(own).headers["content-security-policy"]
