"""Who reads the texts of mails."""

import html
import re
from collections.abc import Iterator

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import Browser

pytestmark = pytest.mark.sockets

SECRET = "the code is 271828"


def switch(reader: Browser, value: str) -> None:
    assert reader.send("/settings/viewers", {"viewers": value}, page="/settings").status == 303


@pytest.fixture(autouse=True)
def switched_back(reader: Browser) -> Iterator[None]:
    yield
    switch(reader, "read")


def test_viewers_see_what_became_of_a_mail_and_not_its_text(mails: World, reader: Browser, looker: Browser) -> None:
    body = {"from": f"shop@{SENDING_DOMAIN}", "subject": "Your code", "html": f"<p>{SECRET}</p>", "text": SECRET}
    attached = {**body, "attachments": [{"filename": "a.txt", "content": "aGVsbG8="}]}
    live = RestClient(mails.relay, mails.live_key).post("/v1/emails", {**attached, "to": f"ann@{RECIPIENT_DOMAIN}"})["id"]
    caught = RestClient(mails.relay, mails.test_key).post("/v1/emails", {**body, "to": "ann@example.org"})["id"].replace("em_", "te_", 1)
    pages = [f"/emails/{live}?part={part}" for part in ("preview", "text", "source", "headers", "attachments")]
    assert SECRET in looker.get(pages[1])
    assert SECRET in looker.get("/test")
    framed = re.search(r'<iframe[^>]* src="([^"]*)"', looker.get(pages[0]).text)
    assert framed
    frame = html.unescape(framed[1])
    assert SECRET in looker.get(frame)

    switch(reader, "hidden")
    for page in (*pages, f"/test?open={caught}", f"/emails?open={live}&part=text"):
        answer = looker.get(page)
        assert (answer.status, SECRET in answer, "keeps the texts of mails from viewers" in answer) == (200, False, True), page
    assert looker.get(frame).status == 404
    assert [looker.get(f"/emails/{live}/{path}").status for path in ("source", "attachments/0")] == [404, 404]
    listed = looker.get("/test")
    assert (caught in listed, SECRET in listed) == (True, False)
    assert "Accepted and stored" in looker.get(f"/emails/{live}")
    assert SECRET in reader.get(pages[1])
    assert SECRET in reader.get("/test")
    assert "viewers.changed" in reader.get("/audit?q=viewers")


def test_viewers_do_not_turn_the_switch(looker: Browser) -> None:
    assert looker.send("/settings/viewers", {"viewers": "read"}, page="/").status == 403
