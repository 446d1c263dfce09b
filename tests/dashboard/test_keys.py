"""API keys: created with the secret shown once, revoked, and who may."""

import re

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.process import RelayProcess

from .conftest import Browser

pytestmark = pytest.mark.sockets
SECRET = re.compile(r"sn_(?:live|test)_\w{20,}")


def test_a_key_is_created_works_and_is_revoked(owner: Browser, relay: RelayProcess) -> None:
    made = owner.send("/keys", {"name": "shop <b>", "mode": "test", "scope": "sending_access"})
    assert (made.status, made.page) == (200, "keys")
    assert made.headers["cache-control"] == "no-store"
    secret = SECRET.findall(made.text)[0]
    assert "shop <b>" not in made.text
    listed = owner.get("/keys")
    assert secret not in listed.text
    row = re.search(r'<tr data-id="(key_\w{13})" data-status="active"><td><b><bdi>shop', listed.text)
    assert row
    mail = {"from": "a@acme.example", "to": "b@corp.example", "subject": "Hi", "text": "Hi"}
    assert RestClient(relay, secret).post("/v1/emails", mail)["id"]
    assert owner.send(f"/keys/{row[1]}/revoke", {}, page="/keys").status == 303
    assert re.search(rf'<tr data-id="{row[1]}" data-status="revoked">', owner.get("/keys").text)


def test_a_live_key_is_an_admins(owner: Browser) -> None:
    made = owner.send("/keys", {"name": "live one", "mode": "live", "scope": "full_access"})
    assert SECRET.findall(made.text)[0].startswith("sn_live_")


@pytest.mark.parametrize("name", ["", " ", "x" * 101])
def test_a_bad_name_is_explained(owner: Browser, name: str) -> None:
    answer = owner.send("/keys", {"name": name, "mode": "test", "scope": "read_only"})
    assert (answer.status, "Enter a name" in answer) == (422, True)


def test_a_viewer_creates_and_revokes_nothing(viewer: Browser, owner: Browser) -> None:
    shown = viewer.get("/keys")
    assert shown.status == 200
    assert 'action="/keys"' not in shown.text
    assert "Revoke" not in shown
    assert viewer.post("/keys", {"token": shown.token, "name": "x", "mode": "test"}).status == 403
    key = re.search(r'data-id="(key_\w{13})"', owner.get("/keys").text)
    assert key
    assert viewer.post(f"/keys/{key[1]}/revoke", {"token": shown.token}).status == 403


def test_a_key_that_is_not_there(owner: Browser) -> None:
    for number in ("key_0000000000000", "nonsense"):
        assert owner.send(f"/keys/{number}/revoke", {}, page="/keys").status == 404
