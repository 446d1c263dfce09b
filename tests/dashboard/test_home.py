"""Home: what waits and what is held; only places that have a page are linked."""

import re

import pytest

from .conftest import Browser

pytestmark = pytest.mark.sockets


def test_home_says_where_apps_send_and_how_much_waits(owner: Browser) -> None:
    home = owner.get("/")
    assert (home.status, home.page) == (200, "home")
    assert "Apps send over SMTP at " in home
    assert "Waiting" in home
    assert "need you" not in home.text


def test_every_place_that_is_linked_is_there(owner: Browser) -> None:
    links = set(re.findall(r'<a[^>]* href="(/[^"#]*)"', owner.get("/").text.replace("&#x2f;", "/")))
    assert links
    assert {path: owner.get(path).status for path in links} == dict.fromkeys(links, 200)
