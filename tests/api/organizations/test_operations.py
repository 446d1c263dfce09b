"""The account and its regions as a client sees them."""

from typing import Any

import pytest

from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, Scope
from sendryd.model.ids import AccountId, format_id
from sendryd.testing.api import HOSTNAME, ApiWorld
from sendryd.testing.cases import cases

Key = tuple[ApiKey, str]
ME = "/v1/organizations/me"
DEFAULTS = {
    "brand_color": "#111827",
    "brand_logo": None,
    "unsubscribe_heading": None,
    "unsubscribe_message": None,
    "unsubscribe_redirect_url": None,
    "unsubscribe_copy": None,
    "footer_copy": None,
}


async def test_the_account_is_shown_and_renamed(api: ApiWorld, owner: str, stranger: Key) -> None:
    expected = {
        "id": format_id("org", 1),
        "name": "account 1",
        "plan": "self-hosted",
        "createdAt": "2026-03-01T12:00:00.000Z",
        "created_at": "2026-03-01T12:00:00.000Z",
    }
    assert (await api.get(ME, owner)).json == expected
    assert (await api.send("PATCH", ME, owner, {"name": "Café 7"})).json == {**expected, "name": "Café 7"}
    assert (await api.get(f"{ME}/", owner)).json["name"] == "Café 7"
    assert (await api.get(ME, stranger[1])).json["name"] == "account 2"


@cases("name", ["", " ", "\u00a0", "a\nb", "a" * 201, None, 5])
async def test_a_name_that_cannot_be_is_refused(api: ApiWorld, owner: str, name: object) -> None:
    assert (await api.send("PATCH", ME, owner, {"name": name})).fault == (422, "validation_error", "name")
    assert (await api.send("PATCH", ME, owner, {})).fault == (422, "validation_error", "name")
    assert (await api.get(ME, owner)).json["name"] == "account 1"


async def test_branding_is_set_piece_by_piece(api: ApiWorld, owner: str, stranger: Key) -> None:
    path = f"{ME}/branding"
    assert (await api.get(path, owner)).json == DEFAULTS
    now = dict(DEFAULTS)
    for change, shown in (
        ({"brand_color": "#ABC"}, {"brand_color": "#abc"}),
        ({"brand_logo": "https://cdn.example.test/logo.png?x=1"}, {}),
        (
            {"unsubscribe_copy": "Sorry\r\nto see you go"},
            dict.fromkeys(("unsubscribe_copy", "unsubscribe_message"), "Sorry\nto see you go"),
        ),
        ({"unsubscribe_message": "Bye"}, {"unsubscribe_copy": "Bye"}),
        ({"unsubscribe_heading": "<b>Bye</b>", "footer_copy": "Example Ltd", "unsubscribe_redirect_url": "http://example.test/"}, {}),
        ({"unsubscribe_message": "A", "unsubscribe_copy": "B"}, {"unsubscribe_copy": "A"}),
        ({}, {}),
        ({"brand_logo": None, "footer_copy": "", "brand_color": None}, {"footer_copy": None, "brand_color": "#111827"}),
    ):
        now |= {**change, **shown}
        assert (await api.send("PATCH", path, owner, change)).json == now
        assert (await api.get(path, owner)).json == now
    assert (await api.get(path, stranger[1])).json == DEFAULTS


@cases(
    ("field", "value"),
    [
        ("brand_color", "red"),
        ("brand_color", "#12345"),
        ("brand_color", "#111827;background:url(x)"),
        ("brand_color", "#١١١"),
        ("brand_color", ""),
        ("brand_logo", "javascript:alert(1)"),
        ("brand_logo", "data:image/png;base64,AAAA"),
        ("brand_logo", "//example.test/x"),
        ("brand_logo", 'https://example.test/"onload="x'),
        ("unsubscribe_redirect_url", "javascript:alert(1)//https://"),
        ("unsubscribe_redirect_url", "https:///x"),
        ("unsubscribe_redirect_url", "https://example.test:port/"),
        ("unsubscribe_heading", "a\nb"),
        ("unsubscribe_heading", "a" * 201),
        ("unsubscribe_message", "a\x00b"),
        ("unsubscribe_copy", "a" * 2001),
        ("footer_copy", 5),
    ],
)
async def test_branding_that_cannot_be_is_refused(api: ApiWorld, owner: str, field: str, value: Any) -> None:
    path = f"{ME}/branding"
    assert (await api.send("PATCH", path, owner, {"footer_copy": "x", field: value})).fault == (422, "validation_error", field)
    assert (await api.get(path, owner)).json == DEFAULTS


async def test_there_is_one_region_and_preferences_are_kept(api: ApiWorld, owner: str) -> None:
    regions = (await api.get("/v1/regions", owner)).json
    assert regions == {"data": [{"region_code": "self", "display_name": HOSTNAME, "is_default": True, "active": True}]}
    path = f"{ME}/region"
    assert (await api.get(path, owner)).json == {"default_region": None, "data_residency": "none"}
    for change, expected in (
        ({"default_region": "self"}, {"default_region": "self", "data_residency": "none"}),
        ({"data_residency": "eu"}, {"default_region": "self", "data_residency": "eu"}),
        ({"default_region": None, "data_residency": None}, {"default_region": None, "data_residency": "eu"}),
        ({}, {"default_region": None, "data_residency": "eu"}),
    ):
        assert (await api.send("PATCH", path, owner, change)).json == expected
        assert (await api.get(path, owner)).json == expected
    for body, field in (({"default_region": "A B"}, "default_region"), ({"data_residency": "mars"}, "data_residency")):
        assert (await api.send("PATCH", path, owner, body)).fault == (422, "validation_error", field)


@pytest.mark.parametrize("scope", [Scope.READ_ONLY, Scope.SENDING_ACCESS])
@pytest.mark.parametrize("suffix", ["", "/branding", "/region"])
async def test_setting_needs_full_access(api: ApiWorld, scope: Scope, suffix: str) -> None:
    _, secret = await api.keys.create(System(AccountId(1)), "less", scope=scope)
    assert (await api.send("PATCH", ME + suffix, secret, {"name": "x"})).fault[:2] == (403, "insufficient_scope")
    assert (await api.get(ME + suffix, secret)).status == 200
    assert (await api.get(ME + suffix)).status == 401
    assert (await api.get("/v1/regions")).status == 401
