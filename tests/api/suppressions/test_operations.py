"""The suppression list as a client sees it."""

import csv
import io
from datetime import timedelta
from urllib.parse import quote

import pytest

from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, Scope
from sendryd.model.ids import AccountId
from sendryd.testing.api import ApiWorld
from sendryd.testing.cases import cases
from sendryd.testing.http import Answer

Key = tuple[ApiKey, str]
PATH = "/v1/suppression"


def emails(answer: Answer) -> list[str]:
    assert answer.status == 200
    return [row["email"] for row in answer.json["data"]]


async def add(api: ApiWorld, secret: str, *addresses: str, reason: str = "manual") -> None:
    for address in addresses:
        api.clock.advance(timedelta(seconds=1))
        assert (await api.send("POST", PATH, secret, {"email": address, "reason": reason})).status == 200


async def test_an_address_is_added_as_the_contract_says(api: ApiWorld, owner: str) -> None:
    answer = await api.send("POST", PATH, owner, {"email": "Ann@Example.org"})
    expected = {"email": "ann@example.org", "reason": "manual", "created_at": "2026-03-01T12:00:00.000Z"}
    assert (answer.status, answer.json) == (200, expected)
    assert (await api.get(PATH, owner)).json == {"data": [expected], "has_more": False, "next_cursor": None}


async def test_adding_a_suppression_twice_returns_the_first(api: ApiWorld, owner: str) -> None:
    await add(api, owner, "ann@example.org", reason="complaint")
    api.clock.advance(timedelta(hours=1))
    again = await api.send("POST", PATH, owner, {"email": "ANN@example.org", "reason": None})
    assert (again.json["reason"], again.json["created_at"]) == ("complaint", "2026-03-01T12:00:01.000Z")


@pytest.mark.parametrize("reason", ["hard_bounce", "complaint", "unsubscribe", "manual"])
async def test_every_reason_of_the_contract(api: ApiWorld, owner: str, reason: str) -> None:
    assert (await api.send("POST", PATH, owner, {"email": "a@example.org", "reason": reason})).json["reason"] == reason


@cases(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": None}, "email"),
        ({"email": 5}, "email"),
        ({"email": "ann"}, "email"),
        ({"email": "Ann <ann@example.org>"}, "email"),
        ({"email": "a@example.org\r\nBcc: b@example.org"}, "email"),
        ({"email": "a\0@example.org"}, "email"),
        ({"email": "a" * 100_000 + "@example.org"}, "email"),
        ({"email": "ann@example.org", "reason": "boredom"}, "reason"),
        ([], ""),
    ],
)
async def test_what_cannot_be_added(api: ApiWorld, owner: str, body: object, field: str) -> None:
    assert (await api.send("POST", PATH, owner, body)).fault == (422, "validation_error", field)
    assert emails(await api.get(PATH, owner)) == []


async def test_pages_searching_and_filtering(api: ApiWorld, owner: str) -> None:
    await add(api, owner, *(f"user{n}@example.org" for n in range(5)))
    await add(api, owner, "bounced@other.test", reason="hard_bounce")
    first = await api.get(f"{PATH}?limit=4", owner)
    assert emails(first) == ["bounced@other.test", "user4@example.org", "user3@example.org", "user2@example.org"]
    second = await api.get(f"{PATH}?limit=4&cursor={first.json['next_cursor']}", owner)
    assert (emails(second), second.json["has_more"]) == (["user1@example.org", "user0@example.org"], False)
    assert emails(await api.get(f"{PATH}?q=OTHER", owner)) == ["bounced@other.test"]
    assert emails(await api.get(f"{PATH}?reason=hard_bounce", owner)) == ["bounced@other.test"]
    assert emails(await api.get(f"{PATH}?q=%25", owner)) == []


@cases(("query", "field"), [("limit=0", "limit"), ("cursor=em_x", "cursor"), ("reason=x", "reason"), ("limit=101", "limit")])
async def test_bad_queries(api: ApiWorld, owner: str, query: str, field: str) -> None:
    assert (await api.get(f"{PATH}?{query}", owner)).fault == (422, "validation_error", field)


async def test_lifting(api: ApiWorld, owner: str) -> None:
    await add(api, owner, "ann+tag/x@example.org")
    target = f"{PATH}/{quote('Ann+tag/x@example.org', safe='')}"
    assert (await api.send("DELETE", target, owner)).json == {"deleted": True}
    assert (await api.send("DELETE", target, owner)).fault == (404, "not_found", None)
    for odd in ("nonsense", "%00", "%FF", quote("é" * 500)):
        assert (await api.send("DELETE", f"{PATH}/{odd}", owner)).status == 404


async def test_accounts_do_not_see_each_other(api: ApiWorld, owner: str, stranger: Key) -> None:
    await add(api, owner, "ann@example.org")
    assert emails(await api.get(PATH, stranger[1])) == []
    assert (await api.send("DELETE", f"{PATH}/ann@example.org", stranger[1])).status == 404
    assert (await api.get(f"{PATH}/export", stranger[1])).body == b"email,reason,created_at\r\n"
    assert emails(await api.get(PATH, owner)) == ["ann@example.org"]


@pytest.mark.parametrize("scope", [Scope.READ_ONLY, Scope.SENDING_ACCESS])
async def test_only_full_access_may_change_it(api: ApiWorld, scope: Scope) -> None:
    _, secret = await api.keys.create(System(AccountId(1)), "weak", scope=scope)
    for method, target in (("POST", PATH), ("POST", f"{PATH}/import"), ("DELETE", f"{PATH}/a@example.org")):
        assert (await api.send(method, target, secret, {"email": "a@example.org"})).fault[:2] == (403, "insufficient_scope")
    assert (await api.get(PATH, secret)).status == 200


async def test_import(api: ApiWorld, owner: str) -> None:
    await add(api, owner, "a@example.org", reason="complaint")
    body = {
        "emails": ["A@example.org", "b@example.org"],
        "suppressions": [{"email": "c@example.org", "reason": "hard_bounce"}, {"email": "d@example.org"}],
        "reason": "unsubscribe",
    }
    assert (await api.send("POST", f"{PATH}/import", owner, body)).json == {"inserted": 3, "total": 4}
    reasons = {row["email"]: row["reason"] for row in (await api.get(PATH, owner)).json["data"]}
    assert reasons == {
        "a@example.org": "complaint",
        "b@example.org": "unsubscribe",
        "c@example.org": "hard_bounce",
        "d@example.org": "unsubscribe",
    }


async def test_an_import_takes_ten_thousand(api: ApiWorld, owner: str) -> None:
    body = {"emails": [f"u{n}@example.org" for n in range(10_000)]}
    assert (await api.send("POST", f"{PATH}/import", owner, body)).json == {"inserted": 10_000, "total": 10_000}
    exported = list(csv.reader(io.StringIO((await api.get(f"{PATH}/export", owner)).body.decode(), newline="")))
    assert len(exported) == 10_001
    body["emails"].append("one@example.org")
    assert (await api.send("POST", f"{PATH}/import", owner, body)).status == 422


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "emails"),
        ({"emails": []}, "emails"),
        ({"emails": ["a@example.org", "x"]}, "emails.1"),
        ({"emails": ["a@example.org"], "suppressions": [{"email": "b@example.org"}, {"email": "x"}]}, "suppressions.1.email"),
        ({"suppressions": [{"reason": "manual"}]}, "suppressions.0.email"),
        ({"suppressions": [{"email": "a@example.org", "reason": "x"}]}, "suppressions.0.reason"),
        ({"emails": "a@example.org"}, "emails"),
    ],
)
async def test_a_bad_import_stores_nothing(api: ApiWorld, owner: str, body: object, field: str) -> None:
    assert (await api.send("POST", f"{PATH}/import", owner, body)).fault == (422, "validation_error", field)
    assert emails(await api.get(PATH, owner)) == []


async def test_the_export_is_safe_to_open(api: ApiWorld, owner: str) -> None:
    await add(api, owner, "=cmd@example.org", "+1@example.org", "plain@example.org", reason="complaint")
    await add(api, owner, "other@example.org")
    answer = await api.get(f"{PATH}/export?reason=complaint", owner)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="suppressions.csv"'
    rows = list(csv.reader(io.StringIO(answer.body.decode(), newline="")))
    assert [row[:2] for row in rows] == [
        ["email", "reason"],
        ["plain@example.org", "complaint"],
        ["'+1@example.org", "complaint"],
        ["'=cmd@example.org", "complaint"],
    ]
