"""Changes that do much harm in the wrong hands ask again who makes them."""

import html
import re
from collections.abc import Iterator, Mapping

import pytest

from sendryd.dashboard.pages import PAGES
from sendryd.store.drivers.sqlite import FILE_NAME, open_connection
from sendryd.testing.process import RelayProcess

from .conftest import PASSWORD, Browser

pytestmark = pytest.mark.sockets

# Every change and every page of the dashboard that asks.
CHANGES = {
    "/domains/{name}/remove",
    "/keys",  # of a live key with full access
    "/keys/{id}/rotate",
    "/me/passkeys",
    "/me/passkeys/remove",
    "/settings/delete",
    "/team/factor",
    "/team/{id}/reset",
    "/team/{id}/role",
}
EXPORTS = {"/analytics/export", "/audit/export", "/emails/export", "/suppressions/export"}


def test_the_table_of_changes_that_ask_is_complete() -> None:
    assert {page.path for page in PAGES if page.proof} == CHANGES
    assert {page.path for page in PAGES if page.proof_to_get} == EXPORTS | {"/me/passkeys"}


def test_every_export_of_the_dashboard_asks() -> None:
    assert {page.path for page in PAGES if page.path.endswith("/export")} <= EXPORTS


@pytest.fixture(autouse=True)
def proven_again(owner: Browser) -> Iterator[None]:
    """Other tests share the owner's session."""
    yield
    assert owner.send("/elevate", {"password": PASSWORD, "next": "/"}).status == 303


def age(relay: RelayProcess) -> None:
    """The last proof of everybody was more than 15 minutes ago."""
    connection = open_connection(relay.data_dir / FILE_NAME, may_create=False)
    connection.execute("UPDATE session SET elevated_until = 1")
    connection.close()


def kept_fields(page: str) -> dict[str, str]:
    """The form of the page that asks, as a browser sends it."""
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page[page.index("<main") :])
    return {html.unescape(name): html.unescape(value) for name, value in found}


def member_of(owner: Browser, email: str) -> str:
    found = re.search(rf'data-id="(mem_\w+)"(?:(?!data-id=).)*?{re.escape(email)}', owner.get("/team").text, re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("which", ["domain", "key", "role", "rotate"])
def test_a_change_asks_keeps_what_was_typed_and_is_made_after_the_proof(
    relay: RelayProcess, owner: Browser, viewer: Browser, which: str
) -> None:
    assert viewer.cookies
    owner.send("/domains", {"name": "proof.example"})
    owner.send("/keys", {"name": "turned", "mode": "test", "scope": "sending_access"})
    key = re.search(r'data-id="(key_\w+)"[^>]*><td><b><bdi>turned', owner.get("/keys").text)
    assert key
    path, page, fields = {
        "domain": ("/domains/proof.example/remove", "/domains/proof.example/settings", {"name": "proof.example"}),
        "key": ("/keys", "/keys", {"name": 'A "live" <key>', "mode": "live", "scope": "full_access"}),
        "role": (f"/team/{member_of(owner, 'vera@acme.example')}/role", "/team", {"role": "viewer"}),
        "rotate": (f"/keys/{key[1]}/rotate", "/keys", {"grace": "1h"}),
    }[which]
    age(relay)
    asked = owner.send(path, fields, page=page)
    assert (asked.status, asked.page) == (200, "elevate")
    kept = kept_fields(asked.text)
    assert fields.items() <= kept.items()
    wrong = owner.post(path, {**kept, "password": "wrong wrong wrong"})
    assert (wrong.status, wrong.page, "This is not right." in wrong) == (401, "elevate", True)
    assert fields.items() <= kept_fields(wrong.text).items()
    done = owner.post(path, {**kept_fields(wrong.text), "password": PASSWORD})
    assert done.status in {200, 303}
    assert done.page != "elevate"
    if which == "domain":
        assert owner.get("/domains/proof.example").status == 404
    elif which == "key":
        assert ('A "live" <key></bdi> is created' in done, "sn_live_" in done) == (True, True)
    elif which == "rotate":
        assert "turned is created" in re.sub(r"<[^>]*>", "", done.text)
    owner.send(path, fields, page=page)  # within the quarter of an hour nothing asks


@pytest.mark.parametrize("path", sorted(EXPORTS))
def test_an_export_asks_and_follows_the_proof(relay: RelayProcess, owner: Browser, path: str) -> None:
    age(relay)
    asked = owner.get(path)
    assert (asked.status, asked.headers["location"].startswith("/elevate?next=")) == (303, True)
    proven = owner.send("/elevate", {"password": PASSWORD, "next": path}, page=asked.headers["location"])
    assert (proven.status, proven.headers["location"]) == (303, path)
    assert owner.get(path).status == 200


@pytest.mark.parametrize("fields", [{"mode": "test", "scope": "full_access"}, {"mode": "live", "scope": "sending_access"}])
def test_other_keys_do_not_ask(relay: RelayProcess, owner: Browser, fields: Mapping[str, str]) -> None:
    age(relay)
    assert "is created" in owner.send("/keys", {"name": "harmless", **fields})


def test_a_name_that_is_typed_wrong_is_told_before_the_proof(relay: RelayProcess, owner: Browser) -> None:
    owner.send("/domains", {"name": "typed.example"})
    age(relay)
    wrong = owner.send("/domains/typed.example/remove", {"name": "other.example"}, page="/domains/typed.example/settings")
    assert (wrong.status, "Type typed.example to remove it." in wrong) == (422, True)
