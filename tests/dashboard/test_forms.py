"""What scripts rely on in the markup of every page: forms with named fields and one submit button, rows with their status."""

from html.parser import HTMLParser

import pytest
from typing_extensions import override

from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import Browser
from .places import patterns

pytestmark = pytest.mark.sockets

FIELDS = {"input", "select", "textarea"}


class Markup(HTMLParser):
    """The forms of a page with what is in them, and its rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[dict[str, str | None]] = []
        self.inside: list[list[tuple[str, dict[str, str | None]]]] = []
        self.rows: dict[str, str | None] = {}
        self._is_open = False
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._is_open = True
            self.forms.append(given)
            self.inside.append([])
        elif self._is_open:
            self.inside[-1].append((tag, given))
        if given.get("data-id"):
            self.rows[given["data-id"] or ""] = given.get("data-status")

    @override
    def handle_endtag(self, tag: str) -> None:
        self._is_open = self._is_open and tag != "form"


@pytest.mark.parametrize("path", [each for each in patterns() if "{" not in each])
def test_every_form_has_named_fields_and_one_submit_button(reader: Browser, path: str) -> None:
    page = Markup(reader.get(path).text)
    for form, inside in zip(page.forms, page.inside, strict=True):
        submits = [tag for tag, given in inside if tag == "button" and given.get("type", "submit") == "submit"]
        assert len(submits) == 1, form
        nameless = [given for tag, given in inside if tag in FIELDS and not given.get("name") and "readonly" not in given]
        assert not nameless, form


def test_a_row_on_home_has_the_status_of_its_mail(reader: Browser, mails: World) -> None:
    rest = RestClient(mails.relay, mails.live_key)
    number = rest.post(
        "/v1/emails", {"from": f"hello@{SENDING_DOMAIN}", "to": f"gone+row@{RECIPIENT_DOMAIN}", "subject": "a row", "text": "x"}
    )["id"]
    mails.relay.wait_for_status(number, {"bounced"}, key=mails.live_key)
    assert Markup(reader.get("/").text).rows[number] == "bounced"
