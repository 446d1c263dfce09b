"""What holds for every list: its pages, their order, their number, and what can be looked for."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.ids import AccountId
from sendryd.testing.api import ApiWorld
from sendryd.testing.cases import cases

Json = dict[str, Any]
Maker = Callable[[ApiWorld, "Keys", int], Awaitable[object]]
ACCOUNT: Final = AccountId(1)


class Keys:
    """A live key and a test key that may do everything."""

    def __init__(self, live: tuple[ApiKey, str], test: tuple[ApiKey, str]) -> None:
        self.live, self.live_secret = live
        self.test, self.test_secret = test


@pytest.fixture
async def keys(api: ApiWorld) -> Keys:
    return Keys(await api.keys.create(System(ACCOUNT), "owner"), await api.keys.create(System(ACCOUNT), "tester", mode=KeyMode.TEST))


async def post(api: ApiWorld, keys: Keys, path: str, body: Json) -> Json:
    answer = await api.send("POST", path, keys.live_secret, body)
    assert answer.status == 200, answer.body
    made: Json = answer.json
    return made


async def make_key(api: ApiWorld, keys: Keys, n: int) -> object:
    return await post(api, keys, "/v1/api-keys", {"name": f"key {n}"})


async def make_domain(api: ApiWorld, keys: Keys, n: int) -> object:
    return await post(api, keys, "/v1/domains", {"name": f"d{n}.example"})


async def make_live_email(api: ApiWorld, keys: Keys, n: int) -> object:
    return await api.add_message(keys.live, subject=f"Mail {n}")


async def make_test_email(api: ApiWorld, keys: Keys, n: int) -> object:
    return await api.add_message(keys.test, subject=f"Mail {n}")


async def make_webhook(api: ApiWorld, keys: Keys, n: int) -> object:
    return await post(api, keys, "/v1/webhooks", {"url": f"https://h{n}.example.com", "events": ["email.bounced"]})


async def make_notification(api: ApiWorld, keys: Keys, n: int) -> object:
    webhook = await post(api, keys, "/v1/webhooks", {"url": f"https://h{n}.example.com", "events": ["email.bounced"]})
    return await api.send("POST", f"/v1/webhooks/{webhook['id']}/test", keys.live_secret)


async def make_template(api: ApiWorld, keys: Keys, n: int) -> object:
    return await post(api, keys, "/v1/templates", {"name": f"t{n}"})


async def make_suppression(api: ApiWorld, keys: Keys, n: int) -> object:
    return await post(api, keys, "/v1/suppression", {"email": f"u{9 - n}@example.org"})


async def make_unsubscribe(api: ApiWorld, keys: Keys, n: int) -> object:
    return await post(api, keys, "/v1/unsubscribes", {"email": f"u{9 - n}@example.org"})


async def make_request(api: ApiWorld, keys: Keys, n: int) -> object:
    await api.get(f"/v1/emails?limit={n + 1}", keys.live_secret)
    await api.request_log.flush()
    return n


LISTS: Final[dict[str, Maker]] = {
    "/v1/api-keys": make_key,
    "/v1/domains": make_domain,
    "/v1/emails": make_live_email,
    "/v1/test-emails": make_test_email,
    "/v1/logs": make_live_email,
    "/v1/logs/api-requests": make_request,
    "/v1/webhooks": make_webhook,
    "/v1/webhooks/deliveries": make_notification,
    "/v1/templates": make_template,
    "/v1/suppression": make_suppression,
    "/v1/unsubscribes": make_unsubscribe,
}
COUNTED: Final = {"/v1/domains", "/v1/webhooks", "/v1/logs", "/v1/logs/api-requests"}  # these have a total without being asked
EMPTY: Final = {"/v1/inbound", "/v1/status/history"}  # nothing comes in yet, and no incidents are kept
ONE_OF_A_KIND: Final = {"/v1/emails/{id}/events"}
PAGE: Final = {"data", "has_more", "next_cursor"}


async def page(api: ApiWorld, keys: Keys, target: str) -> Json:
    answer = await api.get(target, keys.live_secret)
    assert answer.status == 200, answer.body
    found: Json = answer.json
    return found


@pytest.mark.parametrize("path", LISTS)
async def test_pages_hold_everything_once_newest_first(api: ApiWorld, keys: Keys, path: str) -> None:
    for number in range(5):
        api.clock.advance(timedelta(seconds=2))
        await LISTS[path](api, keys, number)
    whole = await page(api, keys, f"{path}?limit=100")
    rows = whole["data"]
    assert len(rows) >= 5
    assert (whole["has_more"], whole["next_cursor"]) == (False, None)
    times = [row["created_at"] for row in rows]
    assert times == sorted(times, reverse=True)
    walked: list[Json] = []
    cursor = ""
    while True:
        part = await page(api, keys, f"{path}?limit=2{cursor}")
        assert set(part) == PAGE | ({"total"} if path in COUNTED or path == "/v1/emails" else set())
        assert part.get("total") == (len(rows) if path in COUNTED else None)
        assert part["has_more"] is (part["next_cursor"] is not None)
        walked += part["data"]
        if not part["has_more"]:
            break
        assert len(part["data"]) == 2
        cursor = f"&cursor={part['next_cursor']}"
        api.clock.advance(timedelta(seconds=2))
        if path not in COUNTED:
            await LISTS[path](api, keys, 5 + len(walked) // 2)  # what comes now is on no later page
    assert walked == rows


@cases("path", [*LISTS, *sorted(EMPTY)])
@cases(("query", "field"), [("limit=0", "limit"), ("limit=101", "limit"), ("limit=ten", "limit"), ("cursor=x", "cursor")])
async def test_a_page_that_cannot_be_is_refused_by_name(api: ApiWorld, keys: Keys, path: str, query: str, field: str) -> None:
    answer = await api.get(f"{path}?{query}", keys.live_secret)
    assert (answer.status, answer.json["error"]["code"], answer.json["details"]["field"]) == (422, "validation_error", field)


def test_every_list_is_tried_here(api: ApiWorld) -> None:
    paged = {each.path for each in api.operations if each.is_listed and each.query is not None and "cursor" in each.query.model_fields}
    assert paged == set(LISTS) | EMPTY | ONE_OF_A_KIND
    defaults = {
        path: query.model_fields["limit"].default
        for path, query in ((each.path, each.query) for each in api.operations)
        if query and "limit" in query.model_fields
    }
    assert defaults.pop("/v1/status/history") == 20
    assert defaults.pop("/v1/analytics/breakdowns") == 10
    assert set(defaults.values()) == {50}


async def test_the_total_of_emails_is_counted_for_who_asks(api: ApiWorld, keys: Keys) -> None:
    for number in range(3):
        await make_live_email(api, keys, number)
    assert (await page(api, keys, "/v1/emails?limit=1"))["total"] is None
    assert (await page(api, keys, "/v1/emails?limit=1&include_total=true"))["total"] == 3
    assert (await page(api, keys, "/v1/emails?limit=1&include_total=true&q=mail+2"))["total"] == 1


@pytest.mark.parametrize(
    ("path", "q", "found"),
    [
        ("/v1/emails", "MAIL 1", 1),
        ("/v1/emails", "B@EXAMPLE.org", 3),
        ("/v1/domains", "D2.", 1),
        ("/v1/webhooks", "//H1", 1),
        ("/v1/logs", "B@example", 3),
        ("/v1/logs/api-requests", "DOMAINS", 3),
        ("/v1/logs/api-requests", "post", 6),
        ("/v1/emails", "100%25", 0),
        ("/v1/domains", "_", 0),
    ],
)
async def test_lists_are_searched_in_any_case(api: ApiWorld, keys: Keys, path: str, q: str, found: int) -> None:
    for number in range(3):
        for make in (make_live_email, make_domain, make_webhook):
            await make(api, keys, number)
    await api.request_log.flush()
    assert len((await page(api, keys, f"{path}?q={q.replace(' ', '+')}"))["data"]) == found


async def test_logs_are_searched_by_the_id_of_an_email(api: ApiWorld, keys: Keys) -> None:
    for number in range(2):
        await make_live_email(api, keys, number)
    email_id = (await page(api, keys, "/v1/emails"))["data"][0]["id"]
    assert {row["email_id"] for row in (await page(api, keys, f"/v1/logs?q={email_id.upper()}"))["data"]} == {email_id}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/templates/starters",
        "/v1/templates/visual-starters",
        "/v1/regions",
        "/v1/analytics/regions?from=2026-03-01&to=2026-03-02",
    ],
)
async def test_short_lists_have_no_pages(api: ApiWorld, keys: Keys, path: str) -> None:
    assert set(await page(api, keys, path)) == {"data"}
