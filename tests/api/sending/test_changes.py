"""Changing and cancelling scheduled emails over the REST API, as a client sees it."""

import asyncio
from typing import Any

import pytest

from sendryd.accounts.templates import TemplateChange
from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey
from sendryd.model.ids import MESSAGE_PREFIX, MessageId, TemplateId, format_id, parse_id
from sendryd.store.base import QueueFilter
from sendryd.testing.api import ApiWorld
from sendryd.testing.http import Answer
from sendryd.testing.samples import ACCOUNT

Key = tuple[ApiKey, str]
BODY: dict[str, Any] = {"from": "hello@example.test", "to": "user@example.org", "subject": "Hello", "html": "<p>Hi</p>"}


async def send(api: ApiWorld, key: Key, **more: Any) -> Answer:
    body = {name: value for name, value in {**BODY, **more}.items() if value is not ...}
    return await api.send("POST", "/v1/emails", key[1], body)


async def content(api: ApiWorld, public_id: str) -> str:
    number = parse_id(public_id, MESSAGE_PREFIX)
    assert number is not None
    return (await api.store.read_content(MessageId(number))).decode()


async def test_a_scheduled_message_waits_can_be_changed_and_cancelled(api: ApiWorld, sender: Key) -> None:
    answer = await send(api, sender, scheduled_at="in 2 hours")
    path = f"/v1/emails/{answer.json['id']}"
    before = (await api.get(path, sender[1])).json
    assert (before["status"], before["scheduled_at"]) == ("queued", "2026-03-01T14:00:00.000Z")
    changed = await api.send("PATCH", path, sender[1], {"subject": "Later", "scheduled_at": "2026-03-02T09:00:00Z"})
    assert changed.status == 200
    assert (changed.json["subject"], changed.json["scheduled_at"]) == ("Later", "2026-03-02T09:00:00.000Z")
    message = await content(api, answer.json["id"])
    assert "Subject: Later\r\n" in message
    assert "<p>Hi</p>" in message
    assert changed.json == (await api.get(path, sender[1])).json
    again = await api.send("PATCH", path, sender[1], {"html": "<b>new</b>"})
    assert again.json["scheduled_at"] == "2026-03-02T09:00:00.000Z"
    assert "<b>new</b>" in await content(api, answer.json["id"])
    (waiting,) = await api.store.list_queue(QueueFilter())
    assert waiting.due_at.isoformat() == "2026-03-02T09:00:00+00:00"
    assert (await api.send("PATCH", path, sender[1], {"scheduled_at": "whenever"})).status == 422
    for _ in range(2):
        cancelled = await api.send("POST", f"{path}/cancel", sender[1])
        assert (cancelled.status, cancelled.json) == (200, {"id": answer.json["id"], "status": "cancelled"})
    late = await api.send("PATCH", path, sender[1], {"subject": "x"})
    assert (late.status, late.json["error"]["code"]) == (409, "conflict")


async def test_what_has_been_sent_cannot_be_cancelled_or_changed(api: ApiWorld, sender: Key, tester: Key) -> None:
    answer = await send(api, tester)
    for method, path in (("POST", "/cancel"), ("DELETE", ""), ("PATCH", "")):
        late = await api.send(method, f"/v1/emails/{answer.json['id']}{path}", tester[1], {})
        assert (late.status, late.json["error"]["code"]) == (409, "conflict")
    live = await send(api, sender)
    assert (await api.send("DELETE", f"/v1/emails/{live.json['id']}", sender[1])).json["status"] == "cancelled"


async def test_changes_of_a_scheduled_message_at_the_same_time_are_all_kept(api: ApiWorld, sender: Key) -> None:
    answer = await send(api, sender, scheduled_at="in 2 hours")
    path = f"/v1/emails/{answer.json['id']}"
    changes = ({"subject": "Later"}, {"html": "<b>new</b>"}, {"scheduled_at": "2026-03-02T09:00:00Z"})
    assert [each.status for each in await asyncio.gather(*(api.send("PATCH", path, sender[1], change) for change in changes))] == [200] * 3
    found = (await api.get(path, sender[1])).json
    assert (found["subject"], found["scheduled_at"]) == ("Later", "2026-03-02T09:00:00.000Z")
    assert "<b>new</b>" in await content(api, answer.json["id"])


async def test_a_change_of_the_send_time_between_two_reads_of_another_change_is_kept(
    api: ApiWorld, sender: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await send(api, sender, scheduled_at="in 2 hours")
    path = f"/v1/emails/{answer.json['id']}"
    read_source_request = api.store.read_source_request

    async def read_after_another_change(message_id: MessageId) -> bytes | None:
        monkeypatch.setattr(api.store, "read_source_request", read_source_request)
        assert (await api.send("PATCH", path, sender[1], {"scheduled_at": "2026-03-02T09:00:00Z"})).status == 200
        return await read_source_request(message_id)

    monkeypatch.setattr(api.store, "read_source_request", read_after_another_change)
    assert (await api.send("PATCH", path, sender[1], {"subject": "Later"})).status == 200
    found = (await api.get(path, sender[1])).json
    assert (found["subject"], found["scheduled_at"]) == ("Later", "2026-03-02T09:00:00.000Z")


async def add_template(api: ApiWorld, html: str = "<p>Template {{x}}</p>") -> str:
    change = TemplateChange(name="Hello", subject="From the template", html=html, text="Text {{x}}")
    return format_id("tmpl", (await api.templates.add(System(ACCOUNT), change)).id)


async def send_from_template(api: ApiWorld, key: Key, template_id: str) -> str:
    answer = await send(
        api, key, html=..., subject=..., template_id=template_id, variables={"x": "1"}, scheduled_at="in 2 hours", attachments=[FILE]
    )
    assert answer.status == 200
    return str(answer.json["id"])


FILE = {"filename": "a.txt", "content": "YQ=="}


async def change(api: ApiWorld, key: Key, public_id: str, **changes: object) -> str:
    answer = await api.send("PATCH", f"/v1/emails/{public_id}", key[1], changes)
    assert answer.status == 200, answer.json
    return await content(api, public_id)


async def test_a_changed_mail_of_a_template_stays_as_it_was_changed(api: ApiWorld, sender: Key) -> None:
    public_id = await send_from_template(api, sender, await add_template(api))
    await change(api, sender, public_id, html="<p>MINE</p>")
    made = await change(api, sender, public_id, scheduled_at="in 3 hours")
    assert "<p>MINE</p>" in made
    assert "Text 1" in made
    assert "Subject: From the template\r\n" in made
    assert "a.txt" in made
    assert "Template 1" not in made
    assert "Subject: New\r\n" in await change(api, sender, public_id, subject="New")
    assert "<p>MINE</p>" in await change(api, sender, public_id, text="ME")


async def test_what_becomes_of_a_template_does_not_change_mail_that_was_made_of_it(api: ApiWorld, sender: Key) -> None:
    template_id = await add_template(api)
    public_id = await send_from_template(api, sender, template_id)
    number = parse_id(template_id, "tmpl")
    assert number is not None
    await api.templates.remove(System(ACCOUNT), TemplateId(number))
    made = await change(api, sender, public_id, scheduled_at="in 3 hours")
    assert "<p>Template 1</p>" in made
    assert "Text 1" in made


@pytest.mark.parametrize("text", ["", None])
async def test_an_empty_time_leaves_the_time_as_it_is(api: ApiWorld, sender: Key, text: str | None) -> None:
    public_id = str((await send(api, sender, scheduled_at="in 2 hours")).json["id"])
    await change(api, sender, public_id, scheduled_at=text)
    assert (await api.get(f"/v1/emails/{public_id}", sender[1])).json["scheduled_at"] == "2026-03-01T14:00:00.000Z"


async def test_why_a_held_mail_cannot_be_changed_is_said(api: ApiWorld, sender: Key) -> None:
    public_id = str((await send(api, sender, scheduled_at="in 2 hours")).json["id"])
    await api.store.hold(QueueFilter(), api.clock.now())
    late = await api.send("PATCH", f"/v1/emails/{public_id}", sender[1], {"subject": "x"})
    assert (late.status, "release it first" in late.json["error"]["message"]) == (409, True)
