"""API keys: created with the secret shown once, revoked, and who may."""

import re
from datetime import datetime, timedelta

import pytest

from sendryd.policy.failingkeys import FEW
from sendryd.testing.clients import RestClient
from sendryd.testing.process import RelayProcess
from sendryd.testing.waiting import wait_until
from sendryd.testing.world import World

from .conftest import EMAIL, Browser

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


def key_id(browser: Browser, name: str) -> str:
    """The id of the key of this name, which needs no escapes."""
    found = re.search(rf'<tr data-id="(key_\w{{13}})" data-status="\w+"><td><b><bdi>{name}<', browser.get("/keys").text)
    assert found
    return found[1]


def test_a_key_that_expires_says_until_when(owner: Browser, relay: RelayProcess) -> None:
    made = owner.send("/keys", {"name": "short lived", "mode": "test", "scope": "sending_access", "expires": "7d"})
    assert "It works until" in made
    (key,) = [each for each in relay.json("keys", "list")["data"] if each["name"] == "short lived"]
    lifetime = datetime.fromisoformat(key["expires_at"]) - datetime.fromisoformat(key["created_at"])
    assert lifetime == timedelta(days=7)
    assert re.search(rf'<tr data-id="{key["id"]}".*?until <local-time>', owner.get("/keys").text)
    refused = owner.send("/keys", {"name": "odd", "mode": "test", "scope": "sending_access", "expires": "8d"})
    assert (refused.status, "Choose a lifetime of the list." in refused) == (422, True)


def test_a_key_that_fails_often_is_marked(owner: Browser, relay: RelayProcess) -> None:
    made = owner.send("/keys", {"name": "faulty", "mode": "test", "scope": "sending_access"})
    rest = RestClient(relay, SECRET.findall(made.text)[0])

    def row() -> str:
        found = re.search(rf'<tr data-id="{key_id(owner, "faulty")}".*?</tr>', owner.get("/keys").text, re.DOTALL)
        return found[0] if found else ""

    assert "data-fails" not in row()
    for _ in range(FEW):
        assert rest.request("POST", "/v1/emails", {"from": "nobody"}).status == 422
    assert wait_until(lambda: f"Fails often: {FEW} of its last {FEW} requests failed" in row(), 10)


def test_a_live_key_is_an_admins(owner: Browser, member: Browser) -> None:
    made = owner.send("/keys", {"name": "live one", "mode": "live", "scope": "full_access"})
    assert SECRET.findall(made.text)[0].startswith("sn_live_")
    assert 'value="live"' not in member.get("/keys").text
    refused = member.send("/keys", {"name": "milos own", "mode": "live", "scope": "full_access"})
    assert (refused.status, "create a test key" in refused, SECRET.findall(refused.text)) == (403, True, [])
    assert 'value="milos own"' in refused.text
    path = f"/keys/{key_id(owner, 'live one')}/revoke"
    assert f'action="{path}"' in owner.get("/keys").text
    assert f'action="{path}"' not in member.get("/keys").text
    assert member.send(path, {}, page="/keys").status == 403
    assert f'action="{path}"' in owner.get("/keys").text


def test_a_member_creates_and_revokes_test_keys(member: Browser) -> None:
    made = member.send("/keys", {"name": "milos test", "mode": "test", "scope": "sending_access"})
    assert SECRET.findall(made.text)[0].startswith("sn_test_")
    assert member.send(f"/keys/{key_id(member, 'milos test')}/revoke", {}, page="/keys").status == 303


def test_changes_are_in_the_audit_without_the_secret(owner: Browser) -> None:
    made = owner.send("/keys", {"name": "audited key", "mode": "test", "scope": "read_only"})
    number = key_id(owner, "audited key")
    owner.send(f"/keys/{number}/revoke", {}, page="/keys")
    shown = owner.get(f"/audit?q={number}")
    assert all(text in shown for text in ("key.created", "key.revoked", "audited key", EMAIL))
    assert SECRET.findall(made.text)[0] not in shown


def test_lines_to_paste_send_from_a_verified_domain(reader: Browser, mails: World) -> None:
    verified = {each["name"] for each in mails.relay.json("domains", "list")["data"] if each["status"] == "verified"}
    live = reader.send("/keys", {"name": "lines", "mode": "live", "scope": "sending_access"})
    assert set(re.findall(r"hello@([a-z0-9.-]+)", live.text)) <= verified
    assert "hello@" in live
    assert "Bearer $SENDRYD_KEY" in live
    assert f"export SENDRYD_KEY={SECRET.findall(live.text)[0]}" in live
    none = reader.send("/keys", {"name": "reads", "mode": "live", "scope": "read_only"})
    assert "$SENDRYD_KEY" not in none


def test_a_live_key_without_a_verified_domain_leads_to_domains(owner: Browser) -> None:
    made = owner.send("/keys", {"name": "early", "mode": "live", "scope": "sending_access"})
    assert "Live mail needs a verified domain" in made


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "'; DROP TABLE api_key; --"]
)
def test_a_hostile_name_is_text(owner: Browser, name: str) -> None:
    made = owner.send("/keys", {"name": name, "mode": "test", "scope": "sending_access"})
    for page in (made, owner.get("/keys"), owner.send("/keys", {"name": name, "mode": "nonsense"})):
        assert name in page
        assert not re.search(r"<script>alert|<img|onerror=alert\(1\)>", page.text)


@pytest.mark.parametrize("name", ["two\nlines", "back\u202ewards", "null\0"])
def test_a_name_with_control_characters_is_refused(owner: Browser, name: str) -> None:
    assert owner.send("/keys", {"name": name, "mode": "test"}).status == 422


@pytest.mark.parametrize(("mode", "scope"), [("production", "full_access"), ("test", "everything")])
def test_an_unknown_choice_makes_no_key(owner: Browser, mode: str, scope: str) -> None:
    answer = owner.send("/keys", {"name": "choosy", "mode": mode, "scope": scope})
    assert (answer.status, SECRET.findall(answer.text)) == (422, [])
    assert 'value="choosy"' in answer.text
    assert "<bdi>choosy" not in owner.get("/keys").text


def test_what_was_chosen_is_kept(owner: Browser) -> None:
    answer = owner.send("/keys", {"name": "", "mode": "live", "scope": "full_access"})
    assert '<option value="live" selected>' in answer.text
    assert '<option value="full_access" selected>' in answer.text


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
