"""Messages, events and the Test Inbox as a client sees them."""

import asyncio
import threading
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.ids import AccountId, MessageId, format_id
from sendryd.model.message import MessageSummary
from sendryd.store.drivers.sizes import Sizes
from sendryd.store.sqlite.engine.database import SEARCH_THREADS
from sendryd.store.sqlite.store import SqliteStore
from sendryd.testing.api import ApiWorld
from sendryd.testing.cases import cases
from sendryd.testing.http import Answer
from sendryd.testing.stores import open_new_store

Key = tuple[ApiKey, str]

MIXED = (
    b"From: a@example.test\r\nTo: b@example.org\r\nCc: c@example.org\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n'
    b'--m\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
    b"--a\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n"
    b"--a\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n<p>Gr\xfc\xdfe</p>\r\n--a--\r\n"
    b'--m\r\nContent-Type: application/pdf; name="a.pdf"\r\nContent-Disposition: attachment; filename="a.pdf"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--m--\r\n"
)


def em(number: MessageId) -> str:
    return format_id("em", number)


def te(number: MessageId) -> str:
    return format_id("te", number)


def ids(answer: Answer) -> list[str]:
    return [row["id"] for row in answer.json["data"]]


async def test_a_message_has_the_shape_of_the_contract(api: ApiWorld, live: Key) -> None:
    number = await api.add_message(live[0], content=MIXED)
    listed = (await api.get("/v1/emails", live[1])).json
    expected = {
        "id": em(number),
        "from": "A <a@example.test>",
        "to": ["b@example.org"],
        "subject": "Hello",
        "status": "queued",
        "created_at": "2026-03-01T12:00:01.000Z",
        "sent_at": None,
        "last_event": "queued",
        "region": None,
        "scheduled_at": None,
        "tags": [],
    }
    assert listed == {"data": [expected], "has_more": False, "next_cursor": None, "total": None}
    whole = (await api.get(f"/v1/emails/{em(number)}", live[1])).json
    assert whole == {**expected, "attachments": [{"filename": "a.pdf", "content_type": "application/pdf"}]}


async def test_pages_go_from_new_to_old_without_gaps_or_repetition(api: ApiWorld, live: Key) -> None:
    numbers = [await api.add_message(live[0]) for _ in range(7)]
    seen: list[str] = []
    cursor = ""
    for size in (3, 3, 1):
        page = (await api.get(f"/v1/emails?limit=3{cursor}", live[1])).json
        seen += [row["id"] for row in page["data"]]
        assert len(page["data"]) == size
        assert page["has_more"] is (size == 3)
        assert page["next_cursor"] == (seen[-1] if page["has_more"] else None)
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [em(number) for number in reversed(numbers)]


async def test_a_full_last_page_says_that_it_is_the_last(api: ApiWorld, live: Key) -> None:
    for _ in range(3):
        await api.add_message(live[0])
    page = (await api.get("/v1/emails?limit=3", live[1])).json
    assert (len(page["data"]), page["has_more"], page["next_cursor"]) == (3, False, None)


async def test_the_total_comes_when_it_is_asked_for(api: ApiWorld, live: Key) -> None:
    for _ in range(3):
        await api.add_message(live[0])
    assert (await api.get("/v1/emails?limit=1&include_total=true", live[1])).json["total"] == 3
    assert (await api.get("/v1/emails?limit=1&include_total=false", live[1])).json["total"] is None
    answer = await api.get("/v1/emails?include_total=yes", live[1])
    assert (answer.status, answer.json["details"]) == (422, {"field": "include_total"})


async def test_emails_are_found_by_recipient_subject_and_status(api: ApiWorld, live: Key) -> None:
    first = await api.add_message(live[0], subject="100% off_er", recipients=["Ann@example.org"])
    second = await api.add_message(live[0], subject="Invoice", recipients=["bob@example.org"])
    for text, expected in (("ANN@", [first]), ("voice", [second]), ("100%25", [first]), ("f_e", [first]), ("%25e%25", []), ("a_n", [])):
        assert ids(await api.get(f"/v1/emails?q={text}", live[1])) == [em(number) for number in expected], text
    for text, expected in (
        ("bob%20invoice", [second]),
        ("ann@example.org", [first]),
        ("@example.org", [second, first]),
        ("invoice%20x", []),
    ):
        assert ids(await api.get(f"/v1/emails?q={text}", live[1])) == [em(number) for number in expected], text
    counted = (await api.get("/v1/emails?q=example&status=queued&limit=1&include_total=true", live[1])).json
    assert (counted["total"], len(counted["data"]), counted["has_more"]) == (2, 1, True)
    assert len(ids(await api.get("/v1/emails?status=queued", live[1]))) == 2
    assert ids(await api.get("/v1/emails?status=sent", live[1])) == []
    answer = await api.get("/v1/emails?status=lost", live[1])
    assert (answer.status, answer.json["details"]) == (422, {"field": "status"})
    answer = await api.get(f"/v1/emails?q={'x' * 321}", live[1])
    assert (answer.status, answer.json["details"]) == (422, {"field": "q"})


async def test_sent_is_a_filter_for_what_was_delivered_and_never_returned(api: ApiWorld, tester: Key) -> None:
    number = await api.add_message(tester[0])
    for word in ("sent", "delivered"):
        answer = await api.get(f"/v1/emails?status={word}", tester[1])
        assert ids(answer) == [em(number)]
        assert answer.json["data"][0]["status"] == "delivered"
        assert answer.json["data"][0]["sent_at"] == "2026-03-01T12:00:01.000Z"


async def test_emails_and_logs_show_only_the_mode_of_the_key(api: ApiWorld, live: Key, tester: Key) -> None:
    real, captured = await api.add_message(live[0]), await api.add_message(tester[0])
    for key, own, other in ((live[1], real, captured), (tester[1], captured, real)):
        assert ids(await api.get("/v1/emails", key)) == [em(own)]
        assert {row["email_id"] for row in (await api.get("/v1/logs", key)).json["data"]} == {em(own)}
        assert (await api.get(f"/v1/emails/{em(own)}", key)).status == 200
        assert (await api.get(f"/v1/emails/{em(other)}", key)).status == 404
        assert (await api.get(f"/v1/emails/{em(other)}/events", key)).status == 404
        assert ids(await api.get(f"/v1/logs?email_id={em(other)}", key)) == []


async def test_nothing_of_another_account_is_there(api: ApiWorld, live: Key, tester: Key, stranger: Key) -> None:
    real, captured = await api.add_message(live[0]), await api.add_message(tester[0])
    for path in (f"/v1/emails/{em(real)}", f"/v1/emails/{em(real)}/events", f"/v1/test-emails/{te(captured)}"):
        answer = await api.get(path, stranger[1])
        missing = await api.get(path.replace(em(real), "em_0000000000001").replace(te(captured), "te_0000000000001"), stranger[1])
        assert answer.status == missing.status == 404
        assert answer.body == missing.body
    for path in ("/v1/emails", "/v1/logs", "/v1/test-emails", f"/v1/logs?email_id={em(real)}", f"/v1/emails?cursor={em(captured)}"):
        assert ids(await api.get(path, stranger[1])) == []
    assert (await api.get("/v1/logs", stranger[1])).json["total"] == 0


@cases("bad", ["x", "em_", "em_000000000000!", "EM_0000000000001", "evt_0000000000001", "em_%F0%9F%98%80", "%00", "..", "%ff"])
async def test_an_id_that_is_none_is_not_found(api: ApiWorld, live: Key, tester: Key, bad: str) -> None:
    for path in (f"/v1/emails/{bad}", f"/v1/emails/{bad}/events"):
        assert (await api.get(path, live[1])).status == 404
    assert (await api.get(f"/v1/test-emails/{bad}", tester[1])).status == 404


async def test_events_name_their_recipient_newest_first(api: ApiWorld, tester: Key) -> None:
    number = await api.add_message(tester[0], recipients=["b@example.org", "c@example.org"])
    page = (await api.get(f"/v1/emails/{em(number)}/events", tester[1])).json
    assert "total" not in page
    told = [(row["type"], row["recipient"]) for row in page["data"]]
    assert told == [(word, person) for person in ("c@example.org", "b@example.org") for word in ("delivered", "sent", "queued")]
    assert page["data"][0].keys() == {"id", "email_id", "type", "recipient", "metadata", "created_at"}
    only = (await api.get(f"/v1/emails/{em(number)}/events?type=sent&limit=1", tester[1])).json
    assert [row["type"] for row in only["data"]] == ["sent"]
    rest = (await api.get(f"/v1/emails/{em(number)}/events?type=sent&limit=1&cursor={only['next_cursor']}", tester[1])).json
    assert [row["recipient"] for row in rest["data"]] == ["b@example.org"]


async def test_logs_are_filtered(api: ApiWorld, live: Key) -> None:
    first = await api.add_message(live[0], recipients=["ann@example.org"])
    api.clock.advance(timedelta(days=2))
    second = await api.add_message(live[0], recipients=["bob@example.org"])
    for text, expected in (
        ("", [second, first]),
        (f"?email_id={em(first)}", [first]),
        (f"?q={em(first)}", [first]),
        ("?q=BOB", [second]),
        ("?to=Ann@example.org", [first]),
        ("?to=ann", []),
        ("?type=queued", [second, first]),
        ("?type=bounced", []),
        ("?from_date=2026-03-02", [second]),
        ("?to_date=2026-03-01", [first]),
        ("?from_date=2026-03-01&to_date=2026-03-03", [second, first]),
        ("?from_date=2026-03-03T12:00:02%2B00:00", [second]),
        ("?from_date=9999-12-31T23:59:59-14:00&to_date=0001-01-01T00:00:00%2B14:00", []),
    ):
        page = (await api.get(f"/v1/logs{text}", live[1])).json
        assert [row["email_id"] for row in page["data"]] == [em(number) for number in expected], text
        assert page["total"] == len(expected)


@pytest.mark.parametrize(
    ("text", "field"),
    [("email_id=x", "email_id"), ("type=lost", "type"), ("from_date=soon", "from_date"), ("to_date=2026-02-30", "to_date")],
)
async def test_a_bad_filter_is_422_and_named(api: ApiWorld, live: Key, text: str, field: str) -> None:
    answer = await api.get(f"/v1/logs?{text}", live[1])
    assert (answer.status, answer.json["details"]) == (422, {"field": field})


async def test_the_test_inbox_of_a_test_key_is_its_own_and_a_live_key_sees_all(api: ApiWorld, live: Key, tester: Key) -> None:
    other, other_secret = await api.keys.create(System(AccountId(1)), "other", mode=KeyMode.TEST)
    await api.add_message(live[0])
    mine, theirs = await api.add_message(tester[0]), await api.add_message(other)
    assert ids(await api.get("/v1/test-emails", tester[1])) == [te(mine)]
    assert ids(await api.get("/v1/test-emails", other_secret)) == [te(theirs)]
    assert ids(await api.get("/v1/test-emails", live[1])) == [te(theirs), te(mine)]
    assert (await api.get(f"/v1/test-emails/{te(theirs)}", tester[1])).status == 404
    assert (await api.get(f"/v1/test-emails/{te(theirs)}", live[1])).status == 200


async def test_pages_of_the_test_inbox(api: ApiWorld, tester: Key) -> None:
    numbers = [await api.add_message(tester[0]) for _ in range(3)]
    first = (await api.get("/v1/test-emails?limit=2", tester[1])).json
    assert first["next_cursor"] == te(numbers[1])
    assert "total" not in first
    assert ids(await api.get(f"/v1/test-emails?limit=2&cursor={first['next_cursor']}", tester[1])) == [te(numbers[0])]


async def test_a_captured_message_is_shown_with_its_bodies_by_both_ids(api: ApiWorld, tester: Key) -> None:
    number = await api.add_message(tester[0], subject="café", content=MIXED)
    answer = await api.get(f"/v1/test-emails/{te(number)}", tester[1])
    assert (await api.get(f"/v1/test-emails/{em(number)}", tester[1])).json == answer.json
    body = answer.json
    assert body["id"] == te(number)
    assert body["message_type"] == "transactional"
    assert (body["text"], body["html"], body["cc"]) == ("Grüße", "<p>Grüße</p>", None)
    assert body["headers"]["Subject"] == "café"
    assert body["attachments"] == [{"filename": "a.pdf", "content_type": "application/pdf", "size": 5}]


async def test_headers_of_a_captured_message_are_a_map_with_all_values_of_a_name(api: ApiWorld, tester: Key) -> None:
    content = b"X-Mark: one\r\nFrom: a@example.test\r\nx-mark: =?utf-8?q?zw=C3=B6lf?=\r\n\r\nbody\r\n"
    number = await api.add_message(tester[0], content=content)
    answer = await api.get(f"/v1/test-emails/{te(number)}", tester[1])
    assert answer.json["headers"] == {"X-Mark": "one\nzwölf", "From": "a@example.test"}


async def test_a_live_message_is_not_in_the_test_inbox(api: ApiWorld, live: Key) -> None:
    number = await api.add_message(live[0])
    assert (await api.get(f"/v1/test-emails/{te(number)}", live[1])).status == 404
    assert (await api.get(f"/v1/emails/{te(number)}", live[1])).status == 404


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"no header at all",
        b"Subject: \xff\xfe\r\n\r\n\xff\xfe\x00",
        b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-",
        b"Content-Type: text/html; charset=utf-16\r\n\r\n\x00\xd8",
        b"Content-Type: text/plain; charset=\xff\r\nContent-Transfer-Encoding: base64\r\n\r\n=====",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\xff\xff: y\r\n--x\r\n",
        b"Content-Type: text/plain\r\nContent-Disposition: attachment; filename*=utf-8''%ED%A0%80\r\n\r\n",
    ],
)
async def test_no_content_is_too_odd_to_be_shown(api: ApiWorld, tester: Key, content: bytes) -> None:
    number = await api.add_message(tester[0], content=content, subject="\ud800".encode("utf-8", "replace").decode())
    for path in (f"/v1/test-emails/{te(number)}", f"/v1/emails/{em(number)}"):
        assert (await api.get(path, tester[1])).status == 200


async def test_a_message_that_is_deleted_between_two_reads_is_not_found(
    api: ApiWorld, live: Key, tester: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await api.add_message(tester[0])
    known = await api.store.get_message(AccountId(1), number)

    async def recall(_account: AccountId, _number: MessageId) -> MessageSummary | None:
        return known

    assert await api.store.delete_messages(created_before=api.clock.now() + timedelta(days=1), limit=10) == 1
    assert (await api.get(f"/v1/emails/{em(number)}", tester[1])).status == 404
    monkeypatch.setattr(api.store, "get_message", recall)
    for path, key in ((f"/v1/emails/{em(number)}", tester[1]), (f"/v1/test-emails/{te(number)}", live[1])):
        answer = await api.get(path, key)
        assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_a_search_that_takes_too_long_is_503_with_a_sentence(tmp_path: Path) -> None:
    hasty = Sizes(search_seconds=0.05, search_progress=1)
    async with ApiWorld.open(tmp_path / "hasty", partial(open_new_store, sizes=hasty)) as api:
        key, secret = await api.keys.create(System(AccountId(1)), "live")
        await api.add_message(key)
        assert isinstance(api.store, SqliteStore)
        may_go_on = threading.Event()
        others = [api.store._sqlite._searchers.submit(may_go_on.wait) for _ in range(SEARCH_THREADS)]
        asyncio.get_running_loop().call_later(2 * hasty.search_seconds, may_go_on.set)  # the time is over before there is a thread
        answer = await api.get("/v1/emails?search=nothing", secret)
        assert (answer.status, answer.json["error"]["code"]) == (503, "internal_error")
        assert "narrow it" in answer.json["error"]["message"]
        assert all(other.result() for other in others)


async def test_attachments_are_numbered_as_they_were_given(api: ApiWorld) -> None:
    _, secret = await api.keys.create(System(AccountId(1)), "test", mode=KeyMode.TEST)
    files = [
        {"filename": "report.pdf", "content": "UERG", "content_type": "application/pdf"},
        {"filename": "logo.png", "content": "UE5H", "content_type": "image/png", "content_id": "logo"},
        {"filename": "notes.txt", "content": "VFhU", "content_type": "text/plain"},
    ]
    body = {"from": "a@b.test", "to": "c@example.org", "subject": "s", "html": '<img src="cid:logo">', "attachments": files}
    sent = (await api.send("POST", "/v1/emails", secret, body)).json
    for path in (f"/v1/emails/{sent['id']}", f"/v1/test-emails/{sent['id']}"):
        assert [each["filename"] for each in (await api.get(path, secret)).json["attachments"]] == ["report.pdf", "logo.png", "notes.txt"]
    found = [(await api.get(f"/v1/emails/{sent['id']}/attachments/{index}", secret)).body for index in range(3)]
    assert found == [b"PDF", b"PNG", b"TXT"]
    assert (await api.get(f"/v1/emails/{sent['id']}/attachments/3", secret)).status == 404


async def test_a_content_that_cannot_be_read_is_no_404(api: ApiWorld, tmp_path: Path) -> None:
    key, secret = await api.keys.create(System(AccountId(1)), "test", mode=KeyMode.TEST)
    number = em(await api.add_message(key))
    for file in (tmp_path / "spool").iterdir():
        file.unlink()
    for path in (
        f"/v1/emails/{number}",
        f"/v1/emails/{number}/attachments/0",
        f"/v1/emails/{number}/insights",
        f"/v1/test-emails/{number}",
    ):
        answer = await api.get(path, secret)
        assert (answer.status, answer.json["code"]) == (503, "internal_error")
        assert "stored content of this message is missing or damaged" in answer.json["message"]


async def test_an_attached_text_comes_with_the_charset_that_it_was_sent_with(api: ApiWorld) -> None:
    _, secret = await api.keys.create(System(AccountId(1)), "test", mode=KeyMode.TEST)
    types = ["text/csv; charset=iso-8859-1", "text/plain; charset=utf-16", 'text/plain; charset="x y"', "application/pdf"]
    files = [{"filename": "a.csv", "content": "6Q==", "content_type": each} for each in types]
    body = {"from": "a@example.test", "to": "user@example.org", "subject": "s", "text": "t", "attachments": files}
    sent = (await api.send("POST", "/v1/emails", secret, body)).json
    found = [(await api.get(f"/v1/emails/{sent['id']}/attachments/{index}", secret)).headers["content-type"] for index in range(4)]
    assert found == ["text/csv; charset=iso-8859-1", "text/plain; charset=utf-16", "text/plain; charset=utf-8", "application/pdf"]
