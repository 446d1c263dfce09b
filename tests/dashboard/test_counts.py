"""The figures beside the places."""

import html
import re

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.world import World

from .conftest import Answer, Browser
from .test_queue import send

pytestmark = pytest.mark.sockets


def figures(answer: Answer) -> dict[str, str]:
    """Figure and what it counts by path."""
    places = re.findall(r'<a href="([^"]+)"(.*?)</a>', answer.text, re.DOTALL)
    found = [(html.unescape(path), re.findall(r'<span class="count[^"]*">(.*)', inside)) for path, inside in places]
    return {path: re.sub(r"<[^>]+>", "", texts[0]) for path, texts in found if texts}


def test_what_waits_and_what_needs_somebody_is_counted_beside_the_places(mails: World, reader: Browser, looker: Browser) -> None:
    send(mails, "counted.test", "slow", "slow+2")
    reader.send("/domains", {"name": "counted.example"})
    mails.wait_until(lambda: {"/queue", "/domains"} <= set(figures(reader.get("/me"))))
    found = figures(reader.get("/me"))
    assert re.fullmatch(r"[\d,]+ waiting", found["/queue"])
    assert re.fullmatch(r"\d+ to look at", found["/domains"])
    test_id = RestClient(mails.relay, mails.test_key).post(
        "/v1/emails", {"from": "a@b.example", "to": "c@d.example", "text": "x", "subject": "x"}
    )
    own = test_id["id"].replace("em_", "te_")
    named = re.compile(rf'<new-mails mails="key_\w+ {own}')
    mails.wait_until(lambda: all(named.search(each.get("/me").text) for each in (reader, looker)))
    assert set(figures(looker.get("/me"))) >= {"/queue", "/domains"}
    reader.send("/domains/counted.example/remove", {"name": "counted.example"}, page="/domains/counted.example")
