"""The list of those who want no marketing, as a client sees it."""

from datetime import timedelta
from typing import Any

import pytest

from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, Scope
from sendryd.model.ids import AccountId, format_id
from sendryd.testing.api import ApiWorld

Key = tuple[ApiKey, str]
PATH = "/v1/unsubscribes"


async def add(api: ApiWorld, secret: str, email: str, **others: object) -> dict[str, Any]:
    api.clock.advance(timedelta(seconds=1))
    answer = await api.send("POST", PATH, secret, {"email": email, **others})
    assert answer.status == 200
    body: dict[str, Any] = answer.json
    return body


async def test_an_unsubscribe_has_the_shape_of_the_contract(api: ApiWorld, owner: str) -> None:
    made = await add(api, owner, "Ann@Example.org", list_id="news", reason="Asked\nby phone")
    assert made["id"].startswith("unsub_")
    assert {**made, "id": ""} == {
        "id": "",
        "email": "ann@example.org",
        "list_id": "news",
        "reason": "Asked\nby phone",
        "created_at": "2026-03-01T12:00:01.000Z",
    }
    assert (await api.get(f"{PATH}/{made['id']}", owner)).json == made
    assert (await api.get(PATH, owner)).json == {"data": [made], "has_more": False, "next_cursor": None}


async def test_without_a_list_it_is_for_all(api: ApiWorld, owner: str) -> None:
    made = await add(api, owner, "ann@example.org", list_id=None, reason=None)
    assert (made["list_id"], made["reason"]) == (None, None)
    assert await add(api, owner, "ANN@example.org", reason="again") == made


async def test_filters_and_pages(api: ApiWorld, owner: str) -> None:
    for n in range(3):
        await add(api, owner, f"u{n}@example.org", list_id="news")
    await add(api, owner, "u0@example.org", list_id="offers")
    whole = (await api.get(PATH, owner)).json["data"]
    assert [(row["email"], row["list_id"]) for row in whole] == [
        ("u0@example.org", "offers"),
        ("u2@example.org", "news"),
        ("u1@example.org", "news"),
        ("u0@example.org", "news"),
    ]
    first = (await api.get(f"{PATH}?limit=3", owner)).json
    second = (await api.get(f"{PATH}?limit=3&cursor={first['next_cursor']}", owner)).json
    assert (first["data"] + second["data"], second["has_more"]) == (whole, False)
    assert (await api.get(f"{PATH}?email=U0%40Example.org", owner)).json["data"] == [whole[0], whole[3]]
    assert (await api.get(f"{PATH}?email=u0%40example.org&list_id=news", owner)).json["data"] == [whole[3]]
    assert (await api.get(f"{PATH}?email=nonsense", owner)).json["data"] == []


async def test_batch(api: ApiWorld, owner: str) -> None:
    await add(api, owner, "a@example.org", list_id="news")
    body = {"emails": ["A@example.org", "b@example.org", "b@example.org", "c@example.org"], "list_id": "news", "reason": "import"}
    assert (await api.send("POST", f"{PATH}/batch", owner, body)).json == {"inserted": 2}
    assert (await api.send("POST", f"{PATH}/batch", owner, {"emails": [f"u{n}@example.org" for n in range(1000)]})).json == {
        "inserted": 1000
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "emails"),
        ({"emails": []}, "emails"),
        ({"emails": ["u@example.org"] * 1001}, "emails"),
        ({"emails": ["u@example.org", "u"]}, "emails.1"),
        ({"emails": ["u@example.org", None]}, "emails.1"),
        ({"emails": ["u@example.org"], "list_id": "a\r\nb"}, "list_id"),
        ({"emails": ["u@example.org"], "list_id": ""}, "list_id"),
    ],
)
async def test_bad_batches_store_nothing(api: ApiWorld, owner: str, body: object, field: str) -> None:
    assert (await api.send("POST", f"{PATH}/batch", owner, body)).fault == (422, "validation_error", field)
    assert (await api.get(PATH, owner)).json["data"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "x"}, "email"),
        ({}, "email"),
        ({"email": "a@example.org", "list_id": 5}, "list_id"),
        ({"email": "a@example.org", "list_id": "x" * 201}, "list_id"),
        ({"email": "a@example.org", "reason": "x" * 1001}, "reason"),
    ],
)
async def test_bad_bodies(api: ApiWorld, owner: str, body: object, field: str) -> None:
    assert (await api.send("POST", PATH, owner, body)).fault == (422, "validation_error", field)


async def test_removing_subscribes_again(api: ApiWorld, owner: str) -> None:
    made = await add(api, owner, "ann@example.org")
    assert (await api.send("DELETE", f"{PATH}/{made['id']}", owner)).json == {"deleted": True}
    for method in ("GET", "DELETE"):
        assert (await api.send(method, f"{PATH}/{made['id']}", owner)).fault == (404, "not_found", None)
    assert (await add(api, owner, "ann@example.org"))["id"] != made["id"]


async def test_ids_of_other_accounts_and_kinds_are_not_found(api: ApiWorld, owner: str, stranger: Key) -> None:
    made = await add(api, owner, "ann@example.org")
    for name in (made["id"], "x", format_id("em", 5), made["id"].replace("unsub_", "us_")):
        for method in ("GET", "DELETE"):
            assert (await api.send(method, f"{PATH}/{name}", stranger[1])).status == 404
    assert (await api.get(f"{PATH}/{made['id']}", owner)).json == made


async def test_only_full_access_may_change_it(api: ApiWorld) -> None:
    _, secret = await api.keys.create(System(AccountId(1)), "weak", scope=Scope.SENDING_ACCESS)
    for method, target in (("POST", PATH), ("POST", f"{PATH}/batch"), ("DELETE", f"{PATH}/unsub_x")):
        assert (await api.send(method, target, secret, {"email": "a@example.org"})).fault[:2] == (403, "insufficient_scope")
    assert (await api.get(PATH, secret)).status == 200
