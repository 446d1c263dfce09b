"""Who is let in, how often, and how the query is read."""

import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from sendryd.api.framework.bodies import PageQuery
from sendryd.api.framework.moments import read_moment
from sendryd.api.framework.requests import PIECE, Gate, Refused, encode, encode_large, refuse
from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.ids import API_KEY_PREFIX, AccountId, parse_id
from sendryd.policy.ratelimit import RateLimiter
from sendryd.runtime.log import LogOutput
from sendryd.runtime.maillog import MailLog
from sendryd.testing.api import ApiWorld
from sendryd.testing.cases import cases
from sendryd.testing.http import Answer
from sendryd.testing.stores import open_new_store

Key = tuple[ApiKey, str]


@cases("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
async def test_the_scheme_is_read_in_any_case(api: ApiWorld, live: Key, scheme: str) -> None:
    answer = await api.request("GET", "/v1/emails", [("authorization", f"{scheme} {live[1]}")])
    assert answer.status == 200


async def test_every_bad_key_gets_one_and_the_same_answer(api: ApiWorld, live: Key) -> None:
    key, secret = live
    _, revoked = await api.keys.create(System(key.account_id), "revoked")
    await api.keys.revoke(
        System(key.account_id), next(each.id for each in await api.store.list_api_keys(key.account_id) if each.name == "revoked")
    )
    _, expired = await api.keys.create(System(key.account_id), "expired", expires_in=timedelta(minutes=1))
    api.clock.advance(timedelta(minutes=1))
    good = ("authorization", f"Bearer {secret}")
    attempts = [
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", secret)],
        [("authorization", f"Basic {secret}")],
        [("authorization", f"Bearer {secret}x")],
        [("authorization", f"Bearer {secret} {secret}")],
        [("authorization", f"Bearer {secret.lower()}x"[:51])],
        [("authorization", f"Bearer {secret[:-1]}\xe9")],
        [("authorization", f"Bearer {secret}\xa0")],
        [("authorization", "Bearer sn_live_" + "A" * 1_000_000)],
        [("authorization", "Bearer sn_live_" + "A" * 43)],
        [("authorization", f"Bearer {revoked}")],
        [("authorization", f"Bearer {expired}")],
        [good, good],
    ]
    answers = [await api.request("GET", "/v1/emails", headers) for headers in attempts]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}
    assert answers[0].json["error"]["code"] == "unauthorized"
    assert (await api.request("GET", "/v1/emails", [good])).status == 200


async def test_a_request_without_a_key_is_told_where_the_key_goes(api: ApiWorld, live: Key) -> None:
    _, secret = live
    answers = [await api.request("GET", "/v1/emails", headers) for headers in ([], [("x-api-key", secret)])]
    answers.append(await api.request("GET", f"/v1/emails?key={secret}&access_token={secret}"))
    for answer in answers:
        assert (answer.status, answer.json["error"]["code"]) == (401, "unauthorized")
        assert answer.json["error"]["message"] == "The API key is missing: send it as Authorization: Bearer <API key>"
        assert answer.headers["www-authenticate"] == "Bearer"


@cases("scope", list(Scope))
async def test_every_scope_may_read(api: ApiWorld, scope: Scope) -> None:
    _, secret = await api.keys.create(System(AccountId(1)), "reader", scope=scope, mode=KeyMode.TEST)
    for path in ("/v1/smtp/info", "/v1/emails", "/v1/logs", "/v1/test-emails"):
        assert (await api.get(path, secret)).status == 200


async def test_a_key_below_the_needed_scope_is_403_and_told_which(api: ApiWorld) -> None:
    gate = Gate(api.directory, api.clock, None, MailLog(api.clock))
    for scope, lacks in ((Scope.READ_ONLY, [Scope.SENDING_ACCESS, Scope.FULL_ACCESS]), (Scope.SENDING_ACCESS, [Scope.FULL_ACCESS])):
        key, secret = await api.keys.create(System(AccountId(1)), "limited", scope=scope)
        request = Request({"type": "http", "headers": [(b"authorization", f"Bearer {secret}".encode())]})
        assert await gate.identify(request) == key
        gate.check(key, scope, {}, "192.0.2.1")
        for needed in lacks:
            with pytest.raises(Refused) as refused:
                gate.check(key, needed, {}, "192.0.2.1")
            answer = refuse(refused.value)
            assert answer.status_code == 403
            body = json.loads(bytes(answer.body))
            assert body["error"]["code"] == "insufficient_scope"
            assert needed.value in body["message"]


async def test_a_revoked_key_is_refused_at_the_latest_after_a_quarter_second(api: ApiWorld, live: Key) -> None:
    assert (await api.get("/v1/emails", live[1])).status == 200
    await api.keys.revoke(System(live[0].account_id), live[0].id)
    api.clock.advance(timedelta(milliseconds=250))
    assert (await api.get("/v1/emails", live[1])).status == 401


async def test_the_use_of_a_key_is_noted(api: ApiWorld, live: Key) -> None:
    await api.get("/v1/smtp/info", live[1])
    await api.directory.flush()
    (stored,) = await api.store.list_api_keys(live[0].account_id)
    assert stored.last_used_at == api.clock.now()


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    world = ApiWorld(open_new_store(tmp_path / "limited"), limiter=RateLimiter(3, 10.0))
    await world.store.ensure_account(AccountId(1), "one", world.clock.now())
    yield world
    world.fences.close()
    await world.store.aclose()


async def test_requests_over_the_limit_are_told_in_whole_seconds_when_to_come_back(limited: ApiWorld) -> None:
    _, secret = await limited.keys.create(System(AccountId(1)), "busy")
    _, other = await limited.keys.create(System(AccountId(1)), "other")
    assert [(await limited.get("/v1/smtp/info", secret)).status for _ in range(3)] == [200, 200, 200]
    refused = await limited.get("/v1/smtp/info", secret)
    assert refused.status == 429
    assert refused.json["error"]["code"] == "rate_limited"
    assert refused.headers["retry-after"] == "4"  # one token in 10/3 seconds
    assert refused.json["error"]["retry_after"] == 4
    assert (await limited.get("/v1/smtp/info", other)).status == 200
    limited.clock.advance(timedelta(seconds=int(refused.headers["retry-after"])))
    assert (await limited.get("/v1/smtp/info", secret)).status == 200


async def test_every_answer_to_a_key_says_how_it_stands_with_its_limit(limited: ApiWorld) -> None:
    _, secret = await limited.keys.create(System(AccountId(1)), "busy", scope=Scope.READ_ONLY)

    def standing(answer: Answer) -> tuple[int, str, str, str]:
        names = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
        limit, remaining, reset = (answer.headers[name] for name in names)
        return answer.status, limit, remaining, reset

    assert standing(await limited.get("/v1/emails", secret)) == (200, "3", "2", "4")
    assert standing(await limited.send("POST", "/v1/domains", secret, {"name": "a.test"})) == (403, "3", "1", "7")
    assert standing(await limited.get("/v1/emails/em_0000000000000", secret)) == (404, "3", "0", "10")
    assert standing(await limited.get("/v1/emails", secret)) == (429, "3", "0", "10")
    public = await limited.get("/v1/version", secret)
    assert (public.status, "ratelimit-limit" in public.headers) == (200, False)
    assert "retry-after" not in public.headers


async def test_every_kind_of_error_has_one_shape(api: ApiWorld, limited: ApiWorld) -> None:
    _, owner = await api.keys.create(System(AccountId(1)), "owner")
    _, busy = await limited.keys.create(System(AccountId(1)), "busy")
    for _ in range(3):
        await limited.get("/v1/emails", busy)
    await api.send("POST", "/v1/domains", owner, {"name": "there.test"})
    key = ("authorization", f"Bearer {owner}")
    answers = {
        "bad_request": await api.request("POST", "/v1/domains", [key], b"{"),
        "method_not_allowed": await api.request("PUT", "/v1/domains", [key]),
        "conflict": await api.send("POST", "/v1/domains", owner, {"name": "there.test"}),
        "payload_too_large": await api.request("POST", "/v1/domains", [key], b" " * 1_048_577),
        "rate_limited": await limited.get("/v1/emails", busy),
    }
    assert [answer.status for answer in answers.values()] == [400, 405, 409, 413, 429]
    for code, answer in answers.items():
        body = answer.json
        assert answer.headers["content-type"] == "application/json"
        assert set(body) == {"error", "statusCode", "code", "message", "details"}
        assert set(body["error"]) - {"retry_after"} == {"code", "message", "details"}
        assert body["error"]["code"] == body["code"] == code
        assert body["error"]["message"] == body["message"] != ""
        assert body["error"]["details"] == body["details"]
        assert body["statusCode"] == answer.status
        assert ("retry_after" in body["error"]) == (answer.status == 429)


@cases("query", ["q=%ff", "q=" + "x" * 9000, "&".join(f"a{n}=1" for n in range(60))])
async def test_a_query_that_cannot_be_read_is_422_as_a_whole(api: ApiWorld, live: Key, query: str) -> None:
    answer = await api.get(f"/v1/emails?{query}", live[1])
    assert (answer.status, answer.json["error"]["details"]) == (422, {"field": ""})


@cases(
    ("field", "value", "said"),
    [
        ("to", [], "to: it has at least 1 item"),
        ("to", ["a@example.org"] * 51, "to: it has at most 50 items"),
        ("subject", "x" * 999, "subject: it has at most 998 characters"),
        ("headers", {"X-Sendry-Tag": "a=b"}, "headers: X-Sendry-Tag is an order to this server: use the fields of the request instead"),
    ],
)
async def test_a_fault_counts_characters_of_text_and_keeps_names(api: ApiWorld, field: str, value: object, said: str) -> None:
    _, secret = await api.keys.create(System(AccountId(1)), "owner")
    body = {"from": "a@example.test", "to": "b@example.org", "subject": "s", "text": "t", field: value}
    answer = await api.send("POST", "/v1/emails", secret, body)
    assert (answer.status, answer.json["error"]["message"]) == (422, said)


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "application/x-www-form-urlencoded", ""])
async def test_a_post_may_have_no_body_whatever_its_type(api: ApiWorld, content_type: str) -> None:
    key, secret = await api.keys.create(System(AccountId(1)), "owner")
    await api.add_message(key)
    email_id = (await api.get("/v1/emails", secret)).json["data"][0]["id"]
    headers = [("authorization", f"Bearer {secret}"), *([("content-type", content_type)] if content_type else [])]
    cancelled = await api.request("POST", f"/v1/emails/{email_id}/cancel", headers)
    assert (cancelled.status, cancelled.json) == (200, {"id": email_id, "status": "cancelled"})
    refused = await api.request("POST", "/v1/domains", headers)
    assert (refused.status, refused.json["details"]) == (422, {"field": "name"})


@cases(
    "text",
    ["limit=0", "limit=101", "limit=-1", "limit=1e2", "limit=+5", "limit=1_0", "limit=%D9%A3", "limit=9999999999", "limit=5.0"],
)
@cases("path", ["/v1/emails", "/v1/logs", "/v1/test-emails"])
async def test_a_limit_out_of_range_is_422_and_named(api: ApiWorld, live: Key, path: str, text: str) -> None:
    answer = await api.get(f"{path}?{text}", live[1])
    assert answer.status == 422
    assert answer.json["error"]["code"] == "validation_error"
    assert answer.json["error"]["details"] == {"field": "limit"}


@pytest.mark.parametrize("number", [1, 50, 100])
def test_limits_in_range_are_read(number: int) -> None:
    assert PageQuery.model_validate({"limit": str(number)}).limit == number


def test_without_a_limit_there_are_fifty() -> None:
    assert PageQuery.model_validate({}).limit == 50


@pytest.mark.parametrize(
    ("path", "cursor"),
    [
        ("/v1/emails", "x"),
        ("/v1/emails", "evt_0000000000001"),
        ("/v1/emails", "em_000000000000"),
        ("/v1/emails", "em_zzzzzzzzzzzzz"),
        ("/v1/emails", "em_%00000000000001"),
        ("/v1/logs", "em_0000000000001"),
        ("/v1/test-emails", "1 OR 1=1"),
    ],
)
async def test_a_bad_cursor_is_422_and_named(api: ApiWorld, live: Key, path: str, cursor: str) -> None:
    answer = await api.get(f"{path}?cursor={cursor}", live[1])
    assert answer.status == 422
    assert answer.json["details"] == {"field": "cursor"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-31", datetime(2026, 5, 31, tzinfo=UTC)),
        ("2026-05-31T14:22:01Z", datetime(2026, 5, 31, 14, 22, 1, tzinfo=UTC)),
        ("2026-05-31T14:22:01.412Z", datetime(2026, 5, 31, 14, 22, 1, 412_000, tzinfo=UTC)),
        ("2026-05-31 14:22:01", datetime(2026, 5, 31, 14, 22, 1, tzinfo=UTC)),
        ("2026-05-31T14:22:01+02:00", datetime(2026, 5, 31, 12, 22, 1, tzinfo=UTC)),
        ("2026-05-31T14:22:01 02:00", datetime(2026, 5, 31, 12, 22, 1, tzinfo=UTC)),
        ("2026-05-31T14:22:01-02:00", datetime(2026, 5, 31, 16, 22, 1, tzinfo=UTC)),
    ],
)
def test_moments_are_read(text: str, expected: datetime) -> None:
    assert read_moment(text) == expected


def test_a_date_alone_is_its_beginning_or_its_end() -> None:
    assert read_moment("2026-05-31", is_end=True) == datetime(2026, 5, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    assert read_moment("2026-05-31T00:00Z", is_end=True) == datetime(2026, 5, 31, tzinfo=UTC)


@given(st.text(alphabet="0123456789-+:TZW. ", max_size=30))
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    try:
        moment = read_moment(text, is_end=True)
    except ValueError as error:
        assert "ISO 8601" in str(error)
    else:
        assert moment.tzinfo is not None


@given(
    st.recursive(st.text(st.characters(codec=None)) | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3), max_leaves=5)
)
def test_any_text_can_be_answered(value: object) -> None:
    assert json.loads(encode({"value": value})) == json.loads(json.dumps({"value": value}))


async def test_refusals_of_mail_are_lines_of_the_log_with_the_key(tmp_path: Path) -> None:
    api = ApiWorld(open_new_store(tmp_path / "refusing"), limiter=RateLimiter(2, 60))
    await api.store.ensure_account(AccountId(1), "default", api.clock.now())
    api.mail_log.send_to(LogOutput(stream=None, is_json=False, level=logging.INFO))
    mail = {"from": "a@example.test", "to": "b@example.org", "subject": "s", "text": "t"}
    reader, sender = [(await api.keys.create(System(AccountId(1)), "k", scope=each)) for each in (Scope.READ_ONLY, Scope.SENDING_ACCESS)]
    with structlog.testing.capture_logs() as lines:
        await api.send("POST", "/v1/emails", reader[1], mail)
        for body in ({}, mail, mail):
            await api.send("POST", "/v1/emails", sender[1], body)
        await api.send("POST", "/v1/emails", "sn_live_" + "x" * 43, mail)
    found = [(line["reason"], line.get("key") and parse_id(line["key"], API_KEY_PREFIX)) for line in lines if line["event"] == "refused"]
    assert found == [
        ("scope_missing", reader[0].id),
        ("validation_error", sender[0].id),
        ("domain_not_verified", sender[0].id),
        ("rate_limited", sender[0].id),
        ("auth_failed", None),
    ]
    api.fences.close()
    await api.store.aclose()


@pytest.mark.parametrize("text", ["\x01" * (2 * PIECE + 1), "é€😀" * PIECE, "a" * PIECE + "\ud800\udc00" * PIECE, '"\\' * PIECE, "x"])
def test_a_large_text_is_encoded_in_pieces_to_the_same_document(text: str) -> None:
    body = {"id": "te_1", "html": text, "cc": None, "headers": {"Subject": "s"}, "attachments": [1, 2]}
    assert json.loads(encode_large(body)) == json.loads(json.dumps(body))
    assert encode_large({}) == b"{}"
