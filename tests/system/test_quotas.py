"""Limits over the wire: requests of a key, messages of a key, messages of an account; and when to come again."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sendryd.testing.clients import RestClient, submit
from sendryd.testing.http import Answer
from sendryd.testing.waiting import pause
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"a@{SENDING_DOMAIN}"
BODY: dict[str, Any] = {"from": AUTHOR, "to": "user@example.org", "subject": "s", "text": "t"}
CONTENT = f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: s\r\n\r\nbody\r\n".encode()


def check_refused(answer: Answer, longest: int) -> int:
    """Gives the seconds after which to come again."""
    assert answer.status == 429
    error = answer.json["error"]
    assert error["code"] == "rate_limited"
    assert answer.json["statusCode"] == 429
    seconds = answer.headers["retry-after"]
    assert seconds.isdigit()
    assert 1 <= int(seconds) <= longest
    assert error["retry_after"] == int(seconds)
    return int(seconds)


def test_requests_of_a_key_have_a_limit(tmp_path: Path) -> None:
    with World(tmp_path, env={"SENDRYD_API_RATE_LIMIT": "10/4s"}) as world:
        live, test = RestClient(world.relay, world.live_key), RestClient(world.relay, world.test_key)
        answers = [live.request("POST", "/v1/emails", BODY) for _ in range(10)]
        assert [answer.status for answer in answers] == [200] * 10
        remaining = [int(answer.headers["ratelimit-remaining"]) for answer in answers]
        assert remaining[0] == 9
        assert all(0 <= right <= left for left, right in pairwise(remaining))
        for answer in answers:
            assert answer.headers["ratelimit-limit"] == "10"
            assert 0 <= int(answer.headers["ratelimit-reset"]) <= 4
        deadline = time.monotonic() + 20
        while (refused := live.request("GET", "/v1/emails")).status == 200:  # a machine that is slow has let some come back
            assert time.monotonic() < deadline
        seconds = check_refused(refused, 4)
        assert refused.headers["ratelimit-remaining"] == "0"
        check_refused(live.request("POST", "/v1/emails", BODY), 4)
        assert test.request("GET", "/v1/emails").status == 200  # another key's limit is its own
        assert submit(world.relay, world.live_key, AUTHOR, ["user@example.org"], CONTENT)[0] == 250  # it is about requests
        pause(seconds)  # what is promised is that this long is long enough
        assert live.request("GET", "/v1/emails").status == 200
        assert RestClient(world.relay, "sn_live_" + "x" * 43).request("GET", "/v1/emails").status == 401


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, env={"SENDRYD_KEY_QUOTA": "5/1d", "SENDRYD_ACCOUNT_QUOTA": "12/1d"}) as made:
        yield made


def check_batches(rest: RestClient, day: int) -> None:
    """Neither a batch nor requests at the same time go over a key's quota of five."""
    too_many = rest.request("POST", "/v1/emails/batch", {"emails": [BODY] * 6})
    check_refused(too_many, day)
    permissive = rest.post("/v1/emails/batch", {"emails": [*[BODY] * 4, {**BODY, "to": "x"}], "batch_validation": "permissive"})
    assert (len(permissive["data"]), len(permissive["errors"])) == (4, 1)
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(each.status for each in pool.map(lambda _: rest.request("POST", "/v1/emails", BODY), range(8)))
    assert statuses == {200: 1, 429: 7}


def test_messages_of_a_key_and_of_an_account_have_quotas(limited: World) -> None:
    admin = RestClient(limited.relay, limited.live_key)

    def new_key() -> RestClient:
        return RestClient(limited.relay, admin.post("/v1/api-keys", {"name": "k"})["key"])

    first = new_key()
    assert first.request("POST", "/v1/emails", {**BODY, "to": "nobody"}).status == 422  # what is refused does not count
    first.post("/v1/emails", BODY)
    idempotent = {"Idempotency-Key": "quota"}
    for _ in range(3):  # a repeat sends nothing, and counts once
        assert first.request("POST", "/v1/emails", BODY, idempotent).status == 200
    first.post("/v1/emails/marketing", {**BODY, "unsubscribe_url": "https://example.test/off"})
    scheduled = first.post("/v1/emails", {**BODY, "scheduled_at": "in 3 days"})["id"]
    assert submit(limited.relay, first.key, AUTHOR, ["user@example.org"], CONTENT)[0] == 250
    day = 24 * 3600
    for path, body in (
        ("/v1/emails", BODY),
        ("/v1/emails/batch", {"emails": [BODY]}),
        ("/v1/emails/marketing", {**BODY, "unsubscribe_url": "https://example.test/off"}),
    ):
        refused = first.request("POST", path, body)
        check_refused(refused, day)
        assert "this key" in refused.json["error"]["message"]
    code, reply = submit(limited.relay, first.key, AUTHOR, ["user@example.org"], CONTENT)
    assert (code, reply[:6]) == (451, "4.7.1 ")
    assert first.request("POST", "/v1/emails", BODY, idempotent).headers["idempotent-replayed"] == "true"
    assert first.request("GET", "/v1/emails").status == 200
    assert first.request("PATCH", f"/v1/emails/{scheduled}", {"subject": "changed"}).status == 200  # which sends no message more

    check_batches(new_key(), day)
    last = new_key()
    assert [last.request("POST", "/v1/emails", BODY).status for _ in range(2)] == [200] * 2
    answer = last.request("POST", "/v1/emails", BODY)
    check_refused(answer, day)
    assert "this account" in answer.json["error"]["message"]
    total = admin.get("/v1/emails?include_total=true&limit=1")["total"]
    assert total == 12

    limited.relay.stop()
    limited.relay.start()
    check_refused(RestClient(limited.relay, first.key).request("POST", "/v1/emails", BODY), day)
