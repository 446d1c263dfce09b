"""Mail that comes in, as a client sees it: none yet."""

from sendryd.model.apikey import ApiKey
from sendryd.model.ids import format_id
from sendryd.testing.api import ApiWorld
from sendryd.testing.cases import cases

Key = tuple[ApiKey, str]
CONFIG = "/v1/inbound/config"
URL = "https://hooks.example.com/in"


async def test_nothing_has_come_in(api: ApiWorld, live: Key) -> None:
    for target in ("/v1/inbound", "/v1/inbound/", f"/v1/inbound?limit=1&cursor={format_id('inb', 4)}"):
        assert (await api.get(target, live[1])).json == {"data": [], "has_more": False, "next_cursor": None}
    for query in ("limit=0", "limit=101", "cursor=x"):
        assert (await api.get(f"/v1/inbound?{query}", live[1])).status == 422
    for number in (format_id("inb", 4), "x"):
        assert (await api.get(f"/v1/inbound/{number}", live[1])).fault[:2] == (404, "not_found")


async def test_where_to_post_is_set_and_switched_off(api: ApiWorld, owner: str, stranger: Key) -> None:
    off = {"inbound_address": None, "url": None, "secret": None}
    assert (await api.get(CONFIG, owner)).json == off
    first = (await api.send("PUT", CONFIG, owner, {"url": URL, "secret": None})).json
    secret = first["secret"]
    assert secret.startswith("whsec_")
    assert len(secret) == 6 + 44
    assert first == {"inbound_address": None, "url": URL, "secret": secret}
    assert (await api.send("PUT", CONFIG, owner, {"url": f"{URL}2"})).json == {**first, "url": f"{URL}2"}
    assert (await api.send("PUT", CONFIG, owner, {"url": URL, "secret": "mine"})).json == {**first, "secret": "mine"}
    assert (await api.get(CONFIG, owner)).json == {**first, "secret": "mine"}
    assert (await api.get(CONFIG, stranger[1])).json == off
    assert (await api.send("PUT", CONFIG, owner, {"url": None})).json == off
    anew = (await api.send("PUT", CONFIG, owner, {"url": URL})).json
    assert anew["secret"] not in {secret, "mine", None}


@cases(
    ("body", "field"),
    [
        ({}, "url"),
        ({"secret": "x"}, "url"),
        ({"url": ""}, "url"),
        ({"url": "hooks.example.com"}, "url"),
        ({"url": "ftp://hooks.example.com/"}, "url"),
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": "http://169.254.169.254/latest"}, "url"),
        ({"url": "https://localhost/"}, "url"),
        ({"url": "https://u:p@hooks.example.com/"}, "url"),
        ({"url": 5}, "url"),
        ({"url": URL, "secret": ""}, "secret"),
        ({"url": URL, "secret": "a\nb"}, "secret"),
        ({"url": URL, "secret": "a" * 257}, "secret"),
    ],
)
async def test_bad_input_is_refused(api: ApiWorld, owner: str, body: dict[str, object], field: str) -> None:
    assert (await api.send("PUT", CONFIG, owner, body)).fault == (422, "validation_error", field)
    assert (await api.get(CONFIG, owner)).json["url"] is None


async def test_setting_needs_full_access(api: ApiWorld, live: Key) -> None:
    assert (await api.send("PUT", CONFIG, live[1], {"url": URL})).fault[:2] == (403, "insufficient_scope")
    assert (await api.get(CONFIG, live[1])).status == 200
    assert (await api.get(CONFIG)).status == 401
