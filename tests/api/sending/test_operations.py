"""Sending over the REST API, as a client sees it."""

import asyncio
import base64
import email
import email.policy
import json
import time
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from sendryd.api.framework.reading import validate
from sendryd.api.framework.requests import Refused
from sendryd.api.sending.schema import SendBody
from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.ids import AccountId, parse_id
from sendryd.store.base import QueueFilter
from sendryd.testing.api import ApiWorld
from sendryd.testing.cases import cases
from sendryd.testing.http import Answer
from sendryd.testing.samples import Samples

Key = tuple[ApiKey, str]
ACCOUNT = AccountId(1)
BODY: dict[str, Any] = {
    "from": "Acme <hello@example.test>",
    "to": "user@example.org",
    "subject": "Hello",
    "html": "<p>Hi</p>",
    "text": "Hi",
}


async def send(api: ApiWorld, key: Key, path: str = "/v1/emails", via: Any = None, **changes: Any) -> Answer:
    body = {name: value for name, value in {**BODY, **changes}.items() if value is not ...}
    return await post(api, key, path, body, via)


async def post(api: ApiWorld, key: Key, path: str, body: object, headers: Any = None) -> Answer:
    all_headers = [("authorization", f"Bearer {key[1]}"), *(headers or {}).items()]
    return await api.request("POST", path, all_headers, json.dumps(body).encode())


async def arrived(api: ApiWorld, public_id: str) -> EmailMessage:
    number = parse_id(public_id, "em")
    assert number is not None
    content = await api.store.read_content(number)  # type: ignore[arg-type]
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


async def test_a_message_is_answered_as_the_contract_says_and_stored_as_it_was_asked_for(api: ApiWorld, sender: Key) -> None:
    answer = await send(api, sender, to=["Ann <ann@example.org>", "bob@example.org"], cc="c@example.org", bcc="hidden@example.org")
    assert answer.status == 200
    body = answer.json
    assert body == {
        "id": body["id"],
        "from": "Acme <hello@example.test>",
        "to": ["Ann <ann@example.org>", "bob@example.org"],
        "subject": "Hello",
        "status": "queued",
        "created_at": "2026-03-01T12:00:00.000Z",
    }
    message = await arrived(api, body["id"])
    assert message["From"] == "Acme <hello@example.test>"
    assert message["Bcc"] is None
    assert message["Date"] is not None
    assert message["Message-ID"] is not None
    assert "with HTTP" in message["Received"]
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    waiting = await api.store.list_queue(QueueFilter())
    assert {each.forward_path for each in waiting} == {"ann@example.org", "bob@example.org", "c@example.org", "hidden@example.org"}


async def test_tags_headers_attachments_and_replies(api: ApiWorld, sender: Key) -> None:
    answer = await send(
        api,
        sender,
        reply_to="replies@elsewhere.test",
        tags=[{"name": "campaign", "value": "spring"}],
        headers={"X-Order": "42"},
        attachments=[
            {"filename": "Ünïcode.pdf", "content": base64.b64encode(b"%PDF-").decode(), "content_type": "application/pdf"},
            {"filename": "logo.png", "content": base64.b64encode(b"PNG").decode(), "content_type": "image/png", "content_id": "logo"},
        ],
    )
    assert answer.status == 200
    message = await arrived(api, answer.json["id"])
    assert (message["Reply-To"], message["X-Order"]) == ("replies@elsewhere.test", "42")
    whole = (await api.get(f"/v1/emails/{answer.json['id']}", sender[1])).json
    assert whole["tags"] == [{"name": "campaign", "value": "spring"}]
    names = {each["filename"] for each in whole["attachments"]}
    assert names == {"Ünïcode.pdf", "logo.png"}
    place = [each["filename"] for each in whole["attachments"]].index("Ünïcode.pdf")
    download = await api.get(f"/v1/emails/{answer.json['id']}/attachments/{place}", sender[1])
    assert (download.status, download.body) == (200, b"%PDF-")
    assert download.headers["content-disposition"] == 'attachment; filename="%C3%9Cn%C3%AFcode.pdf"'
    assert (await api.get(f"/v1/emails/{answer.json['id']}/attachments/9", sender[1])).status == 404


@cases(
    ("changes", "field"),
    [
        ({"from": ...}, "from"),
        ({"from": "nobody"}, "from"),
        ({"from": "a@example.test, b@example.test"}, "from"),
        ({"from": "Evil\r\nBcc: x@y.test <a@example.test>"}, "from"),
        ({"to": ...}, "to"),
        ({"to": []}, "to"),
        ({"to": "x"}, "to"),
        ({"to": ["a@example.org", "x"]}, "to.1"),
        ({"to": [f"u{number}@example.org" for number in range(51)]}, "to"),
        ({"to": {"a": 1}}, "to"),
        ({"subject": ""}, "subject"),
        ({"subject": ...}, "subject"),
        ({"subject": "a\r\nBcc: x@y.test"}, "subject"),
        ({"subject": "a\x00b"}, "subject"),
        ({"html": ..., "text": ...}, "html"),
        ({"html": "x" * 5_242_881}, ""),
        ({"headers": {"From": "x@y.test"}}, "headers"),
        ({"headers": {"X-A": "b\r\nBcc: x@y.test"}}, "headers.X-A"),
        ({"headers": {"X-Sendry-Track": "none"}}, "headers"),
        ({"tags": [{"name": "a b", "value": "c"}]}, "tags.0.name"),
        ({"reply_to": "a@b.test\r\nBcc: x@y.test"}, "reply_to"),
        ({"attachments": [{"filename": "a", "content": "!!!"}]}, "attachments.0.content"),
        ({"attachments": [{"filename": "a\r\nb", "content": ""}]}, "attachments.0.filename"),
        ({"attachments": [{"filename": "a", "content": "", "content_type": "text/html\r\nX: y"}]}, "attachments.0.content_type"),
        ({"attachments": [{"filename": " ", "content": ""}]}, "attachments.0.filename"),
        ({"attachments": [{"filename": "a", "content": "", "content_type": "nonsense"}]}, "attachments.0.content_type"),
        ({"attachments": [{"filename": "a", "content": "", "content_type": "multipart/mixed"}]}, "attachments.0.content_type"),
        ({"attachments": [{"filename": "a", "content": "", "content_type": "text/plain; a=="}]}, "attachments.0.content_type"),
        ({"attachments": [{"filename": "a", "content": "", "content_id": "a b"}]}, "attachments.0.content_id"),
        ({"headers": {"X-Long": "é" * 8000, "X-Longer": "é" * 8000, **{f"X-{n}": "é" * 8000 for n in range(9)}}}, "headers"),
        ({"scheduled_at": "whenever"}, "scheduled_at"),
        ({"scheduled_at": "in 40 days"}, "scheduled_at"),
        ({"scheduled_at": "2020-01-01T00:00:00Z"}, "scheduled_at"),
        ({"template_id": "tmpl_nothing"}, "template_id"),
        ({"topic_id": "top_1"}, "topic_id"),
        ({"priority": "urgent"}, "priority"),
        ({"tracking": "yes"}, "tracking"),
    ],
)
async def test_what_is_wrong_is_422_and_named(api: ApiWorld, sender: Key, changes: dict[str, Any], field: str) -> None:
    answer = await send(api, sender, **changes)
    if len(str(changes)) > 4_000_000:
        assert answer.status == 413
        return
    assert answer.status == 422
    assert answer.json["error"]["code"] == "validation_error"
    assert answer.json["error"]["details"]["field"] == field
    assert await api.store.list_queue(QueueFilter()) == []


@cases("raw", [b"{", b"[" * 100_000, b'{"a": NaN}', b'"\\ud800"', b"\xff\xfe{\x00}\x00", b'{"from": 1e999999}'])
async def test_what_is_not_json_is_400(api: ApiWorld, sender: Key, raw: bytes) -> None:
    answer = await api.request("POST", "/v1/emails", [("authorization", f"Bearer {sender[1]}")], raw)
    assert answer.status in {400, 422}
    assert answer.json["error"]["code"] in {"bad_request", "validation_error"}


@pytest.mark.parametrize(
    "values",
    ["[]," * 400_000 + "[]", ",".join(f'"k{number}"' for number in range(210_000)), '"\\\\",' * 210_000 + "1", '"\\",",' * 210_000 + "1"],
)
async def test_a_body_of_too_many_values_is_400_before_they_are_made(api: ApiWorld, sender: Key, values: str) -> None:
    raw = f'{{"variables": [{values}]}}'.encode()
    answer = await api.request("POST", "/v1/emails", [("authorization", f"Bearer {sender[1]}")], raw)
    assert answer.status == 400
    assert "more than 200,000 values" in answer.json["error"]["message"]


async def test_commas_and_brackets_of_a_text_are_no_values(api: ApiWorld, sender: Key) -> None:
    assert (await send(api, sender, html='<p title="\\">[,{"' * 100_000)).status == 200


async def test_a_large_request_is_done_once_and_told_from_another(api: ApiWorld, sender: Key) -> None:
    via = {"idempotency-key": "large"}
    large, other = "x" * 900_000, "y" * 900_000
    first = await send(api, sender, html=large, text=large, via=via)
    again = await send(api, sender, html=large, text=large, via=via)
    assert (first.status, again.json["id"], again.headers["idempotent-replayed"]) == (200, first.json["id"], "true")
    assert (await send(api, sender, html=large, text=other, via=via)).status == 409


@pytest.mark.parametrize("nothing", ["", " ", [""], [], ["", "  "], None])
async def test_an_empty_address_of_a_copy_is_none(api: ApiWorld, sender: Key, nothing: object) -> None:
    answer = await send(api, sender, cc=nothing, bcc=nothing, reply_to=nothing)
    assert answer.status == 200, answer.body
    message = await arrived(api, answer.json["id"])
    assert (message["Cc"], message["Reply-To"]) == (None, None)
    batch = {"emails": [{"from": "hello@example.test", "to": "a@example.org", "subject": "s", "text": "x", "cc": nothing, "bcc": nothing}]}
    assert (await api.send("POST", "/v1/emails/batch", sender[1], batch)).status == 200


async def test_an_empty_address_beside_others_is_left_out(api: ApiWorld, sender: Key) -> None:
    answer = await send(api, sender, cc=["", "c@example.org", ""], bcc=["b@example.org", ""])
    assert [each.forward_path for each in await api.store.list_queue(QueueFilter())] == [
        "b@example.org",
        "c@example.org",
        "user@example.org",
    ]
    assert (await arrived(api, answer.json["id"]))["Cc"] == "c@example.org"
    for to in ("", [""], ["a@example.org", ""]):  # whom to send it to is asked for
        refused = await send(api, sender, to=to)
        assert (refused.status, refused.json["details"]["field"].partition(".")[0]) == (422, "to")


@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to"])
def test_addresses_without_end_are_not_all_read(field: str) -> None:
    body = {"from": "a@b.test", "to": "x@y.test", field: [f"u{number}@y.test" for number in range(200_000)]}
    started = time.process_time()
    with pytest.raises(Refused) as refused:
        validate(SendBody, body)
    assert time.process_time() - started < 0.2  # reading them took three quarters of a second
    assert (refused.value.details or {})["field"] == field


async def test_a_domain_that_is_not_verified_is_403(api: ApiWorld, sender: Key) -> None:
    answer = await send(api, sender, **{"from": "boss@bank.test"})
    assert (answer.status, answer.json["error"]["code"]) == (403, "domain_not_verified")
    assert "bank.test" in answer.json["error"]["message"]


async def test_a_key_that_may_only_read_is_403(api: ApiWorld, live: Key) -> None:
    answer = await send(api, live)
    assert (answer.status, answer.json["error"]["code"]) == (403, "insufficient_scope")


async def test_a_body_over_the_limit_is_413_before_it_is_read(api: ApiWorld, sender: Key) -> None:
    headers = [("authorization", f"Bearer {sender[1]}"), ("content-length", str(10**9))]
    answer = await api.request("POST", "/v1/emails", headers, b"")
    assert (answer.status, answer.json["error"]["code"]) == (413, "payload_too_large")


async def test_twenty_twins_send_one_message(api: ApiWorld, sender: Key) -> None:
    headers = {"idempotency-key": "order-42"}
    answers = await asyncio.gather(*(send(api, sender, via=headers) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert len(await api.store.list_queue(QueueFilter())) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 19
    other = await send(api, sender, via=headers, subject="Another")
    assert (other.status, other.json["error"]["code"]) == (409, "idempotency_conflict")
    api.clock.advance(timedelta(hours=24, seconds=1))
    assert (await send(api, sender, via=headers, subject="Another")).status == 200


@cases("key", ["k" * 257, "", "a\tb", "é"])
async def test_a_bad_idempotency_key_is_422(api: ApiWorld, sender: Key, key: str) -> None:
    answer = await send(api, sender, via={"idempotency-key": key})
    assert (answer.status, answer.json["details"]["field"]) == (422, "Idempotency-Key")


async def test_a_refused_request_can_be_corrected_under_the_same_key(api: ApiWorld, sender: Key) -> None:
    headers = {"idempotency-key": "k"}
    assert (await send(api, sender, via=headers, subject="")).status == 422
    assert (await send(api, sender, via=headers)).status == 200


async def test_a_batch_is_one_commit_in_order(api: ApiWorld, sender: Key) -> None:
    items = [{"to": f"u{number}@example.org", "subject": f"S{number}"} for number in range(100)]
    batch = {"from": "hello@example.test", "emails": [{**item, "html": "<p>x</p>"} for item in items]}
    answer = await post(api, sender, "/v1/emails/batch", batch)
    assert answer.status == 200
    assert [row["status"] for row in answer.json["data"]] == ["queued"] * 100
    assert "errors" not in answer.json
    last = await arrived(api, answer.json["data"][99]["id"])
    assert last["Subject"] == "S99"


async def test_a_strict_batch_is_all_or_nothing_and_a_permissive_one_takes_what_is_good(api: ApiWorld, sender: Key) -> None:
    emails = [
        {"from_": "hello@example.test", "to": "a@example.org", "subject": "s", "text": "t"},
        {"from": "hello@example.test", "to": "nobody", "subject": "s", "text": "t"},
        {"from": "hello@other.test", "to": "a@example.org", "subject": "s", "text": "t"},
    ]
    strict = await post(api, sender, "/v1/emails/batch", {"emails": emails})
    assert (strict.status, strict.json["details"]["field"], strict.json["details"]["index"]) == (422, "emails.1.to", 1)
    assert await api.store.list_queue(QueueFilter()) == []
    permissive = await post(api, sender, "/v1/emails/batch", {"emails": emails, "batch_validation": "permissive"})
    assert permissive.status == 200
    assert len(permissive.json["data"]) == 1
    assert [error["index"] for error in permissive.json["errors"]] == [1, 2]
    assert "other.test" in permissive.json["errors"][1]["error"]


@cases("count", [0, 101])
async def test_a_batch_has_1_to_100(api: ApiWorld, sender: Key, count: int) -> None:
    answer = await post(api, sender, "/v1/emails/batch", {"emails": [BODY] * count})
    assert (answer.status, answer.json["details"]["field"]) == (422, "emails")


async def test_emails_have_the_priority_of_the_request(api: ApiWorld, sender: Key) -> None:
    assert (await send(api, sender, priority="otp")).status == 200
    assert (await send(api, sender)).status == 200
    items = [{**BODY, "priority": "bulk"}, BODY]
    assert (await post(api, sender, "/v1/emails/batch", {"emails": items})).status == 200
    assert (await send(api, sender, "/v1/emails/marketing", unsubscribe_url="https://example.test/off")).status == 200
    claims = await api.store.claim_deliveries(now=api.clock.now(), lease=Samples().lease(), limit=9, busy=frozenset(), per_domain=9)
    found = [claim.priority.value for claim in sorted(claims, key=lambda claim: claim.message.id)]
    assert found == ["otp", "transactional", "bulk", "transactional", "bulk"]


async def test_marketing_is_not_sent_to_who_has_unsubscribed(api: ApiWorld, sender: Key) -> None:
    full = await api.keys.create(System(ACCOUNT), "full")
    await post(api, full, "/v1/unsubscribes", {"email": "Off@example.org", "list_id": "news"})
    changes = {"to": ["off@example.org", "on@example.org"], "unsubscribe_url": "https://example.test/off", "list_id": "news"}
    answer = await send(api, sender, "/v1/emails/marketing", **changes)
    assert answer.status == 200
    assert [each.forward_path for each in await api.store.list_queue(QueueFilter())] == ["on@example.org"]
    events = (await api.get(f"/v1/emails/{answer.json['id']}/events?type=suppressed", sender[1])).json
    assert [(row["recipient"], row["metadata"]) for row in events["data"]] == [("off@example.org", {"reason": "unsubscribe"})]
    for url in ("ftp://x", "https://?", "http://[::1", "https:///off"):
        bad = await send(api, sender, "/v1/emails/marketing", unsubscribe_url=url)
        assert (bad.status, bad.json["details"]["field"]) == (422, "unsubscribe_url")


async def test_a_suppressed_recipient_is_skipped_while_the_others_get_theirs(api: ApiWorld, sender: Key) -> None:
    full = await api.keys.create(System(ACCOUNT), "full")
    await post(api, full, "/v1/suppression", {"email": "gone@example.org"})
    answer = await send(api, sender, to=["GONE@example.org", "here@example.org"])
    assert (answer.status, answer.json["status"]) == (200, "queued")
    alone = await send(api, sender, to="gone@example.org")
    assert (alone.status, alone.json["status"]) == (200, "failed")
    assert [each.forward_path for each in await api.store.list_queue(QueueFilter())] == ["here@example.org"]


async def test_a_stored_template_gives_subject_and_bodies(api: ApiWorld, sender: Key) -> None:
    from sendryd.accounts.templates import TemplateChange
    from sendryd.model.ids import format_id

    change = TemplateChange(
        name="Welcome", subject="Hi {{ name }}", html="<p>{{ name }}</p>", variables={"name": {"type": "string", "required": True}}
    )
    template = await api.templates.add(System(ACCOUNT), change)
    template_id = format_id("tmpl", template.id)
    answer = await send(api, sender, html=..., text=..., subject="", template_id=template_id, variables={"name": "A & B"})
    assert (answer.status, answer.json["subject"]) == (200, "Hi A & B")
    message = await arrived(api, answer.json["id"])
    assert "<p>A &amp; B</p>" in str(message)
    missing = await send(api, sender, html=..., text=..., subject=..., template_id=template_id)
    assert (missing.status, missing.json["details"]["field"]) == (422, "variables")
    batch = {
        "from": "hello@example.test",
        "template_id": template_id,
        "variables": {"name": "default"},
        "emails": [{"to": "a@example.org"}, {"to": "b@example.org", "html": "", "text": "", "variables": {"name": "own"}}],
    }
    made = (await post(api, sender, "/v1/emails/batch", batch)).json["data"]
    mails = [await arrived(api, row["id"]) for row in made]
    assert [mail["Subject"] for mail in mails] == ["Hi default", "Hi own"]
    assert "<p>own</p>" in str(mails[1])


async def test_a_test_key_sends_from_anywhere_and_plays_out_the_test_domain(api: ApiWorld, tester: Key) -> None:
    answer = await send(api, tester, **{"from": "anyone@anywhere.test", "to": "bounced@sendryd.test"})
    assert (answer.status, answer.json["status"]) == (200, "bounced")
    shown = (await api.get(f"/v1/test-emails/{answer.json['id']}", tester[1])).json
    assert shown["html"].strip() == "<p>Hi</p>"


async def test_tracking_is_asked_for_by_message_or_set_by_domain(api: ApiWorld, sender: Key) -> None:
    async def tracked(**changes: Any) -> tuple[bool, bool]:
        number = parse_id((await send(api, sender, **changes)).json["id"], "em")
        summary = await api.store.get_message(ACCOUNT, number)  # type: ignore[arg-type]
        assert summary is not None
        return summary.message.track_opens, summary.message.track_clicks

    assert await tracked() == (False, False)
    assert await tracked(tracking=True) == (True, True)
    full = await api.keys.create(System(ACCOUNT), "full")
    domain = (await api.get("/v1/domains", full[1])).json["data"][0]["id"]
    changed = await api.send("PATCH", f"/v1/domains/{domain}", full[1], {"tracking": {"opens": True, "clicks": True}})
    assert changed.status == 200
    api.clock.advance(timedelta(seconds=1))
    assert await tracked() == (True, True)
    assert await tracked(tracking=False) == (False, False)


async def test_a_share_link_and_insights(api: ApiWorld, sender: Key) -> None:
    answer = await send(api, sender)
    path = f"/v1/emails/{answer.json['id']}"
    share = (await api.get(f"{path}/share", sender[1])).json
    assert share["url"].startswith("https://links.example.test/s/")
    assert share["expires_at"] == "2026-03-03T12:00:00.000Z"
    insights = (await api.get(f"{path}/insights", sender[1])).json
    assert insights["score"] == 100
    assert {check["status"] for check in insights["checks"]} == {"pass"}
    worse = await send(api, sender, text=..., subject="FREE MONEY NOW NOW!!!", html='<a href="https://bit.ly/x">x</a><img src="y">')
    found = (await api.get(f"/v1/emails/{worse.json['id']}/insights", sender[1])).json
    assert found["score"] < 60
    assert all(check["action"] for check in found["checks"] if check["status"] != "pass")


async def test_waiting_for_a_test_email(api: ApiWorld, tester: Key) -> None:
    assert (await api.get("/v1/test-emails/wait?timeout=0&to=user@example.org", tester[1])).status == 404
    await send(api, tester, subject="First one")
    found = await api.get("/v1/test-emails/wait?timeout=5&to=USER@example.org&subject=first", tester[1])
    assert (found.status, found.json["subject"]) == (200, "First one")
    assert (await api.get("/v1/test-emails/wait?timeout=61", tester[1])).json["details"]["field"] == "timeout"


async def test_modes_do_not_see_one_another(api: ApiWorld, sender: Key, tester: Key, stranger: Key) -> None:
    answer = await send(api, sender)
    for key in (tester, stranger):
        for method, path in (("GET", ""), ("GET", "/events"), ("GET", "/share"), ("GET", "/insights"), ("POST", "/cancel"), ("PATCH", "")):
            assert (await api.send(method, f"/v1/emails/{answer.json['id']}{path}", key[1], {})).status == 404
    assert key[0].mode is KeyMode.LIVE


async def test_the_test_inbox_has_what_was_sent_and_not_what_waits(api: ApiWorld, tester: Key) -> None:
    sent = await send(api, tester)
    await send(api, tester, scheduled_at="in 1 hour")
    listed = (await api.get("/v1/test-emails", tester[1])).json["data"]
    assert [each["id"] for each in listed] == [sent.json["id"].replace("em_", "te_")]


async def test_what_a_send_is_answered_is_what_reading_it_says(api: ApiWorld, tester: Key) -> None:
    for name in ("delivered", "bounced", "complained", "opened"):
        answer = (await send(api, tester, to=f"{name}@sendryd.test")).json
        assert answer["status"] == (await api.get(f"/v1/emails/{answer['id']}", tester[1])).json["status"], name
