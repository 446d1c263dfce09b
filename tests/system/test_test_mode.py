"""Test keys over REST with the real program: nothing leaves, every fate can be played out, and a test suite can wait for its mail."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.world import World

BODY: dict[str, Any] = {"from": "Shop <shop@not-verified.test>", "to": "user@example.org", "subject": "s", "text": "t"}
FATES = {
    "delivered": ("delivered", ["queued", "sent", "delivered"]),
    "bounced": ("bounced", ["queued", "bounced"]),
    "deferred": ("delivered", ["queued", "deferred", "sent", "delivered"]),
    "complained": ("complained", ["queued", "sent", "delivered", "complained"]),
    "opened": ("delivered", ["queued", "sent", "delivered", "opened"]),
    "clicked": ("delivered", ["queued", "sent", "delivered", "opened", "clicked"]),
    "unsubscribed": ("delivered", ["queued", "sent", "delivered", "unsubscribed"]),
    "suppressed": ("failed", ["queued", "suppressed"]),
    "failed": ("failed", ["queued", "failed"]),
}


@pytest.fixture
def test_key(world: World) -> RestClient:
    """With an inbox that no other test fills."""
    live = RestClient(world.relay, world.live_key)
    return RestClient(world.relay, live.post("/v1/api-keys", {"name": "suite", "mode": "test", "scope": "sending_access"})["key"])


def test_nothing_that_a_test_key_sends_leaves(tmp_path: Path) -> None:
    with World(tmp_path) as world:  # of its own: in a shared one others' mail is tried again
        test_key = RestClient(world.relay, world.test_key)
        connections = world.mailhost.connections
        queries = sum(world.nameserver.queries.values())
        one = test_key.post("/v1/emails", {**BODY, "cc": "cc@example.org", "bcc": "bcc@example.org", "html": "<p>h</p>"})
        batch = test_key.post("/v1/emails/batch", {"emails": [BODY, {**BODY, "to": "other@example.org"}]})["data"]
        marketing = test_key.post("/v1/emails/marketing", {**BODY, "unsubscribe_url": "https://example.test/off"})
        later = test_key.post("/v1/emails", {**BODY, "subject": "later", "scheduled_at": "in 1 second"})
        assert (one["status"], later["status"]) == ("delivered", "queued")
        world.relay.wait_for_status(later["id"], {"delivered"}, key=test_key.key)
        ids = [later["id"], marketing["id"], batch[1]["id"], batch[0]["id"], one["id"]]
        inbox = test_key.get("/v1/test-emails")
        assert sorted(each["id"] for each in inbox["data"]) == sorted("te" + email_id[2:] for email_id in ids)
        whole = test_key.get(f"/v1/test-emails/{one['id']}")
        assert (whole["from"], whole["to"], whole["cc"]) == ("Shop <shop@not-verified.test>", ["user@example.org"], ["cc@example.org"])
        assert (whole["html"].strip(), whole["text"].strip(), whole["message_type"]) == ("<p>h</p>", "t", "transactional")
        assert test_key.get(f"/v1/test-emails/{marketing['id']}")["message_type"] == "marketing"
        for email_id in ids:
            assert test_key.events(email_id)[-1] == "delivered"
        assert world.relay.json("queue", "list")["data"] == []
        assert world.mailhost.connections == connections
        assert sum(world.nameserver.queries.values()) == queries


@pytest.mark.parametrize("word", FATES)
def test_addresses_of_the_test_domain_play_out_their_fate(test_key: RestClient, word: str) -> None:
    status, events = FATES[word]
    for address in (f"{word}@sendryd.test", f"{word.upper()}+anything@SENDRYD.test"):
        sent = test_key.post("/v1/emails", {**BODY, "to": address})
        assert test_key.get(f"/v1/emails/{sent['id']}")["status"] == status
        assert test_key.events(sent["id"]) == events


def test_each_of_several_fates_is_its_own(test_key: RestClient) -> None:
    sent = test_key.post("/v1/emails", {**BODY, "to": [f"{word}@sendryd.test" for word in FATES]})
    for word, (_, events) in FATES.items():
        assert test_key.events(sent["id"], f"{word}@sendryd.test") == events


def test_a_scheduled_fate_waits_for_its_time(test_key: RestClient) -> None:
    sent = test_key.post("/v1/emails", {**BODY, "to": "bounced@sendryd.test", "scheduled_at": "in 1 second"})
    assert test_key.events(sent["id"]) == ["queued"]
    assert test_key.get("/v1/test-emails/wait?to=bounced@sendryd.test&timeout=20")["id"] == "te" + sent["id"][2:]
    assert test_key.events(sent["id"]) == ["queued", "bounced"]
    cancelled = test_key.post("/v1/emails", {**BODY, "subject": "cancelled", "scheduled_at": "in 1 hour"})
    test_key.post(f"/v1/emails/{cancelled['id']}/cancel")
    assert test_key.request("GET", "/v1/test-emails/wait?subject=cancelled&timeout=0").status == 404


def test_waiting_answers_as_soon_as_there_is_a_match(test_key: RestClient) -> None:
    test_key.post("/v1/emails", {**BODY, "subject": "Something else", "to": "ann@example.org"})
    with ThreadPoolExecutor(3) as pool:
        started = time.monotonic()
        path = "/v1/test-emails/wait?to=ann@example.org&subject=order%20472&timeout=30"
        waiting = [pool.submit(test_key.get, path) for _ in range(3)]
        threading.Event().wait(0.3)  # long enough that they are at it
        assert not any(each.done() for each in waiting)
        test_key.post("/v1/emails", {**BODY, "subject": "Your order 4721", "to": "bob@example.org"})
        sent = test_key.post("/v1/emails", {**BODY, "subject": "Your order 4722", "to": "Ann <ann@example.org>"})
        found = [each.result() for each in waiting]
        assert time.monotonic() - started < 20
    assert {each["id"] for each in found} == {"te" + sent["id"][2:]}
    assert test_key.get(path)["id"] == found[0]["id"]  # what is there already is not waited for


def test_waiting_for_mail_that_never_comes_times_out(test_key: RestClient) -> None:
    for timeout, least in ((0, 0.0), (1, 1.0)):
        started = time.monotonic()
        answer = test_key.request("GET", f"/v1/test-emails/wait?subject=nothing&timeout={timeout}")
        assert (answer.status, answer.json["error"]["code"]) == (404, "not_found")
        assert least <= time.monotonic() - started < least + 10
    for bad in ("61", "-1", "x", "1.5"):
        answer = test_key.request("GET", f"/v1/test-emails/wait?timeout={bad}")
        assert (answer.status, answer.field) == (422, "timeout")


def test_each_key_sees_its_own_inbox(world: World, test_key: RestClient) -> None:
    live = RestClient(world.relay, world.live_key)
    other = RestClient(world.relay, live.post("/v1/api-keys", {"name": "other", "mode": "test"})["key"])
    mine = test_key.post("/v1/emails", {**BODY, "subject": "mine"})["id"]
    theirs = other.post("/v1/emails", {**BODY, "subject": "theirs"})["id"]
    assert [each["subject"] for each in test_key.get("/v1/test-emails")["data"]] == ["mine"]
    assert [each["subject"] for each in other.get("/v1/test-emails")["data"]] == ["theirs"]
    assert {"mine", "theirs"} <= {each["subject"] for each in live.get("/v1/test-emails?limit=100")["data"]}
    for path in (f"/v1/test-emails/{theirs}", "/v1/test-emails/wait?subject=theirs&timeout=0"):
        assert test_key.request("GET", path).status == 404
    assert live.get(f"/v1/test-emails/{mine}")["subject"] == "mine"
    assert live.request("GET", f"/v1/emails/{mine}").status == 404  # not among the mail that was really sent
