"""Routes, and what stands around every answer."""

from collections.abc import Mapping

import pytest

from sendryd.model.apikey import ApiKey
from sendryd.model.ids import AccountId, MessageId
from sendryd.model.message import MessageSummary
from sendryd.store.errors import StoreUnavailable
from sendryd.testing.api import HOSTNAME, ApiWorld
from sendryd.testing.cases import cases

Key = tuple[ApiKey, str]


def assert_is_error(body: Mapping[str, object], status: int, code: str) -> None:
    error = body["error"]
    assert isinstance(error, dict)
    assert error["code"] == body["code"] == code
    assert error["message"] == body["message"]
    assert error["details"] == body["details"]
    assert body["statusCode"] == status


async def test_smtp_info_is_what_the_documentation_shows(api: ApiWorld, live: Key) -> None:
    answer = await api.get("/v1/smtp/info", live[1])
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {
        "host": HOSTNAME,
        "port": 587,
        "tls": False,
        "auth": {"username": "(any value)", "password": "use any API key with sending_access scope"},
    }


@cases("path", ["/v1/smtp/info", "/v1/emails", "/v1/logs", "/v1/test-emails", "/healthz", "/readyz", "/metrics", "/"])
async def test_both_slash_forms_are_served_without_a_redirect(api: ApiWorld, live: Key, path: str) -> None:
    for form in (path, path.rstrip("/") + "/"):
        assert (await api.get(form, live[1])).status == 200


async def test_the_slash_form_of_one_message_is_served(api: ApiWorld, live: Key) -> None:
    await api.add_message(live[0])
    listed = (await api.get("/v1/emails", live[1])).json["data"][0]
    for path in (f"/v1/emails/{listed['id']}/", f"/v1/emails/{listed['id']}/events/"):
        assert (await api.get(path, live[1])).status == 200


async def test_head_is_answered_like_get(api: ApiWorld, live: Key) -> None:
    answer = await api.request("HEAD", "/v1/emails", [("authorization", f"Bearer {live[1]}")])
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"


@cases("path", ["/v1", "/v1/nothing", "/v1/domain", "/v2/emails", "/v1/emails/a/b/c", "//v1/emails", "/v1/emails//events", "/v1/%2e%2e"])
async def test_what_is_not_there_is_404_as_json(api: ApiWorld, live: Key, path: str) -> None:
    answer = await api.get(path, live[1])
    assert answer.status == 404
    assert_is_error(answer.json, 404, "not_found")


@cases("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "BREW"])
async def test_another_method_is_405_in_the_same_shape(api: ApiWorld, live: Key, method: str) -> None:
    answer = await api.request(method, "/v1/logs", [("authorization", f"Bearer {live[1]}")])
    assert answer.status == 405
    assert set(answer.headers["allow"].replace(" ", "").split(",")) == {"GET", "HEAD"}
    assert_is_error(answer.json, 405, "method_not_allowed")


async def test_every_answer_has_an_id_of_its_own_and_stays_out_of_caches(api: ApiWorld, live: Key) -> None:
    answers = [await api.get(path, live[1]) for path in ("/v1/emails", "/v1/emails", "/v1/nothing", "/healthz")]
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
    assert all(answer.headers["cache-control"] == "no-store" for answer in answers)


async def test_a_store_that_is_away_is_503_and_says_nothing_of_it(api: ApiWorld, live: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(account_id: AccountId, message_id: MessageId) -> MessageSummary | None:
        raise StoreUnavailable(f"disk I/O error in account {account_id}, message {message_id}")

    message = await api.add_message(live[0])
    listed = (await api.get("/v1/emails", live[1])).json["data"][0]["id"]
    monkeypatch.setattr(api.store, "get_message", fail)
    answer = await api.get(f"/v1/emails/{listed}", live[1])
    assert answer.status == 503
    assert_is_error(answer.json, 503, "internal_error")
    assert b"disk" not in answer.body
    assert str(message).encode() not in answer.body


async def test_a_bug_is_500_with_the_id_to_look_for(
    api: ApiWorld, live: Key, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(account_id: AccountId, message_id: MessageId) -> MessageSummary | None:
        raise ZeroDivisionError(f"truth about {account_id} {message_id}")

    monkeypatch.setattr(api.store, "get_message", fail)
    answer = await api.get("/v1/emails/em_0000000000001", live[1])
    assert answer.status == 500
    assert_is_error(answer.json, 500, "internal_error")
    assert b"truth" not in answer.body
    logged = "".join(capsys.readouterr())
    assert "truth about" in logged
    assert answer.headers["x-request-id"] in logged


async def test_health_and_metrics_ask_for_no_key(api: ApiWorld) -> None:
    assert (await api.get("/healthz")).json == {"status": "ok"}
    assert (await api.get("/readyz")).json == {"status": "ok"}
    metrics = await api.get("/metrics")
    assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"sendryd_smtp_connections 0.0" in metrics.body
    assert b"described at /docs" in (await api.get("/")).body
