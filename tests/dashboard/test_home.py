"""Home: the first steps, figures, things that need somebody; only places that have a page are linked."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.process import RelayProcess
from sendryd.testing.world import SENDING_DOMAIN, World

from .conftest import EMAIL, PASSWORD, Browser

pytestmark = pytest.mark.sockets


def test_a_new_installation_says_how_apps_send(tmp_path: Path) -> None:
    with RelayProcess(tmp_path / "data") as relay:
        browser = Browser(relay.ready["http"])
        browser.send(urlsplit(relay.ready["owner_url"]).path, {"name": "Mara Lind", "email": EMAIL, "password": PASSWORD})
        home = browser.get("/")
    assert (home.status, home.page) == (200, "home")
    assert "<h1>Welcome to sendryd</h1>" in home.text
    assert re.search(r"swaks --server 127\.0\.0\.1 --port \d+", home.text)
    assert "need you" not in home.text


def test_every_place_that_is_linked_is_there(owner: Browser) -> None:
    links = set(re.findall(r'<a[^>]* href="(/[^"#]*)"', owner.get("/").text.replace("&#x2f;", "/")))
    assert links
    assert {path: owner.get(path).status for path in links} == dict.fromkeys(links, 200)


FIGURES = ["waiting", "sending now", "delivered, last hour", "time to deliver", "bounced, 24 h", "complaints, 24 h"]


def send(mails: World, to: str) -> None:
    RestClient(mails.relay, mails.live_key).post(
        "/v1/emails", {"from": f"hello@{SENDING_DOMAIN}", "to": to, "subject": f"for {to}", "text": "x"}
    )


def title(thing: str) -> str:
    return f'data-thing="{thing}"'


def test_with_real_mail_there_are_figures_and_the_latest_outcomes(reader: Browser, mails: World) -> None:
    send(mails, "home@example.org")
    mails.wait_until(lambda: "for home@example.org" in reader.get("/"))
    page = reader.get("/")
    assert re.findall(r'data-figure="([^"]+)"', page.text) == FIGURES
    assert "data-step" not in page.text
    assert page.text.count('data-series="delivered"') == 2
    mails.wait_until(lambda: re.search(r'<td class="right">[1-9]', reader.get("/").text) is not None)


def test_a_thing_is_dismissed_for_a_day_with_a_name(reader: Browser, looker: Browser, mails: World) -> None:
    mails.relay.run("domains", "add", "dismissed.example")
    mails.wait_until(lambda: title("domain:dismissed.example") in reader.get("/").text)
    page = reader.get("/")
    assert re.search(r"<h1>(One thing needs|\w+ things need) you</h1>", page.text)
    assert 'action="/dismiss"' not in looker.get("/").text
    assert looker.post("/dismiss", {"token": looker.get("/").token, "name": "domain:dismissed.example"}).status == 403
    assert reader.post("/dismiss", {"token": page.token, "name": "domain:dismissed.example"}).status == 303
    after = reader.get("/")
    assert title("domain:dismissed.example") not in after.text
    assert "by Mara Lind until" in re.sub("</?bdi>", "", after.text)
    assert "attention.silenced" in reader.get("/audit")
    assert reader.post("/dismiss", {"token": page.token, "name": "domain:dismissed.example"}).status == 303
    assert title("domain:dismissed.example") in reader.get("/").text
    mails.relay.run("domains", "remove", "dismissed.example")
    mails.wait_until(lambda: title("domain:dismissed.example") not in reader.get("/").text)


def test_viewers_do_not_see_the_installation(looker: Browser, reader: Browser) -> None:
    assert "/health" not in re.findall(r'<a class="button[^"]*" href="([^"#]+)', looker.get("/").text)
    assert "Send a test" not in looker.get("/")
    assert "Send a test" in reader.get("/")
