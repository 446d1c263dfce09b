"""API keys as a client sees them."""

from datetime import timedelta

import pytest

from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.ids import AccountId, format_id, parse_id
from sendryd.testing.api import ApiWorld
from sendryd.testing.cases import cases

Key = tuple[ApiKey, str]
PATH = "/v1/api-keys"


@pytest.fixture
async def owner_key(api: ApiWorld) -> Key:
    """A key that may do everything."""
    made = await api.keys.create(System(AccountId(1)), "owner")
    api.clock.advance(timedelta(seconds=1))
    return made


async def test_a_new_key_may_do_everything_and_is_told_once(api: ApiWorld, owner_key: Key) -> None:
    made = (await api.send("POST", PATH, owner_key[1], {"name": "app"})).json
    secret = made.pop("key")
    number = made.pop("id")
    assert parse_id(number, "key") is not None
    assert made == {
        "name": "app",
        "scope": "full_access",
        "mode": "live",
        "key_prefix": secret[:12],
        "last_used_at": None,
        "created_at": "2026-03-01T12:00:01.000Z",
        "expires_at": None,
        "revoked_at": None,
    }
    assert secret.startswith("sn_live_")
    assert (await api.get(PATH, secret)).status == 200
    listed = await api.get(PATH, owner_key[1])
    assert secret.encode() not in listed.body
    assert listed.json["data"][0] == {"id": number, **made}


async def test_what_is_asked_for_is_made(api: ApiWorld, owner_key: Key) -> None:
    made = (await api.send("POST", f"{PATH}/", owner_key[1], {"name": "ci", "scope": "read_only", "mode": "test", "expires_in": 60})).json
    assert (made["scope"], made["mode"], made["expires_at"]) == ("read_only", "test", "2026-03-01T12:01:01.000Z")
    assert made["key"].startswith("sn_test_")
    assert (await api.send("POST", PATH, made["key"], {"name": "more"})).status == 403
    api.clock.advance(timedelta(seconds=60))
    assert (await api.get(PATH, made["key"])).status == 401
    until = (await api.send("POST", PATH, owner_key[1], {"name": "x", "expires_at": "2027-01-01T01:00:00+01:00"})).json
    assert until["expires_at"] == "2027-01-01T00:00:00.000Z"


@cases(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x", "scope": "admin"}, "scope"),
        ({"name": "x", "mode": "both"}, "mode"),
        ({"name": "x", "expires_in": 0}, "expires_in"),
        ({"name": "x", "expires_in": -5}, "expires_in"),
        ({"name": "x", "expires_in": "90d"}, "expires_in"),
        ({"name": "x", "expires_in": 10**30}, "expires_in"),
        ({"name": "x", "expires_at": "2020-01-01"}, "expires_at"),
        ({"name": "x", "expires_at": "soon"}, "expires_at"),
        ({"name": "x", "expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
        ({"name": "x", "expires_at": "9999-12-31T23:00:00-12:00"}, "expires_at"),
        ({"name": "x", "expires_in": 5, "expires_at": "2027-01-01"}, "expires_at"),
    ],
)
async def test_bad_input_is_refused(api: ApiWorld, owner_key: Key, body: dict[str, object], field: str) -> None:
    assert (await api.send("POST", PATH, owner_key[1], body)).fault == (422, "validation_error", field)
    assert len((await api.get(PATH, owner_key[1])).json["data"]) == 1


async def test_a_test_key_makes_test_keys_alone(api: ApiWorld, tester: Key) -> None:
    for body in ({"name": "x"}, {"name": "x", "mode": "live"}, {"name": "x", "mode": None}):
        answer = await api.send("POST", PATH, tester[1], body)
        assert answer.fault == (403, "insufficient_scope", "mode")
        assert "test key cannot make live keys" in answer.json["message"]
    assert (await api.send("POST", PATH, tester[1], {"name": "x", "mode": "test"})).json["mode"] == "test"


async def test_the_list_has_pages_without_what_is_revoked_or_foreign(api: ApiWorld, owner_key: Key, stranger: Key) -> None:
    made = []
    for name in ("one", "two", "three"):
        api.clock.advance(timedelta(seconds=1))
        made.append((await api.send("POST", PATH, owner_key[1], {"name": name})).json["id"])
    await api.send("DELETE", f"{PATH}/{made[1]}", owner_key[1])
    first = (await api.get(f"{PATH}?limit=2", owner_key[1])).json
    assert ([each["name"] for each in first["data"]], first["has_more"]) == (["three", "one"], True)
    rest = (await api.get(f"{PATH}?limit=2&cursor={first['next_cursor']}", owner_key[1])).json
    assert ([each["name"] for each in rest["data"]], rest["has_more"], rest["next_cursor"]) == (["owner"], False, None)
    assert [each["name"] for each in (await api.get(PATH, stranger[1])).json["data"]] == ["stranger"]
    for query in ("limit=0", "limit=101", "limit=x", "cursor=key_x"):
        assert (await api.get(f"{PATH}?{query}", owner_key[1])).status == 422


async def test_when_a_key_was_used_is_shown(api: ApiWorld, owner_key: Key) -> None:
    await api.get(PATH, owner_key[1])
    await api.directory.flush()
    assert (await api.get(PATH, owner_key[1])).json["data"][0]["last_used_at"] == "2026-03-01T12:00:01.000Z"


async def test_a_revoked_key_is_refused_at_once(api: ApiWorld, owner_key: Key) -> None:
    made = (await api.send("POST", PATH, owner_key[1], {"name": "app"})).json
    assert (await api.get(PATH, made["key"])).status == 200
    assert (await api.send("DELETE", f"{PATH}/{made['id']}", owner_key[1])).json == {"deleted": True}
    assert (await api.get(PATH, made["key"])).fault[:2] == (401, "unauthorized")
    api.clock.advance(timedelta(seconds=1))
    assert (await api.send("DELETE", f"{PATH}/{made['id']}", owner_key[1])).fault[:2] == (404, "not_found")


async def test_a_key_in_its_time_of_grace_is_revoked_now(api: ApiWorld, owner_key: Key) -> None:
    old, secret = await api.keys.create(System(AccountId(1)), "old")
    await api.keys.rotate(System(AccountId(1)), old.id, grace=timedelta(hours=1))
    assert (await api.get(PATH, secret)).status == 200
    assert (await api.send("DELETE", f"{PATH}/{format_id('key', old.id)}", owner_key[1])).status == 200
    assert (await api.get(PATH, secret)).status == 401


async def test_a_key_may_revoke_itself(api: ApiWorld, owner_key: Key) -> None:
    assert (await api.send("DELETE", f"{PATH}/{format_id('key', owner_key[0].id)}", owner_key[1])).json == {"deleted": True}
    assert (await api.get(PATH, owner_key[1])).status == 401


async def test_keys_of_others_are_not_found(api: ApiWorld, owner_key: Key, stranger: Key) -> None:
    for number in (format_id("key", owner_key[0].id), format_id("key", 5), "key_x", "ak_1", format_id("dom", owner_key[0].id)):
        assert (await api.send("DELETE", f"{PATH}/{number}", stranger[1])).fault[:2] == (404, "not_found")
    assert (await api.get(PATH, owner_key[1])).status == 200


@pytest.mark.parametrize("scope", [Scope.READ_ONLY, Scope.SENDING_ACCESS])
async def test_making_and_revoking_need_full_access(api: ApiWorld, owner_key: Key, scope: Scope) -> None:
    _, secret = await api.keys.create(System(AccountId(1)), "less", scope=scope, mode=KeyMode.LIVE)
    for method, target, body in (("POST", PATH, {"name": "x"}), ("DELETE", f"{PATH}/{format_id('key', owner_key[0].id)}", None)):
        assert (await api.send(method, target, secret, body)).fault[:2] == (403, "insufficient_scope")
    assert (await api.get(PATH, secret)).status == 200


async def test_a_key_that_is_taken_for_an_id_is_not_kept_in_the_log_of_requests(api: ApiWorld, owner_key: Key) -> None:
    secret = owner_key[1]
    headers = [("authorization", f"Bearer {secret}"), ("user-agent", f"tool {secret}")]
    assert (await api.request("GET", f"/v1/emails/{secret}", headers)).status == 404
    await api.request_log.flush()
    rows = (await api.get("/v1/logs/api-requests", secret)).json["data"]
    assert (rows[0]["path"], rows[0]["user_agent"]) == ("/v1/emails/sn_live_***", "tool sn_live_***")


async def test_a_test_key_sees_no_bodies_of_requests_by_live_keys(api: ApiWorld, owner_key: Key, tester: Key) -> None:
    await api.send("POST", "/v1/domains", owner_key[1], {"name": "private.test"})
    await api.send("POST", "/v1/templates", tester[1], {"name": "own", "html": "<p>own</p>"})
    await api.request_log.flush()
    bodies = {row["path"]: row["request_body"] for row in (await api.get("/v1/logs/api-requests", tester[1])).json["data"]}
    assert bodies["/v1/domains"] is None
    assert bodies["/v1/templates"]["name"] == "own"
    bodies = {row["path"]: row["request_body"] for row in (await api.get("/v1/logs/api-requests", owner_key[1])).json["data"]}
    assert bodies["/v1/domains"] == {"name": "private.test"}
