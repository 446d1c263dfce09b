"""Shared messages."""

import asyncio
import re
from datetime import timedelta

import pytest

from sendryd.model.ids import MessageId
from sendryd.policy.tracking import mint_share
from sendryd.store.errors import NotFound, StoreUnavailable
from sendryd.testing.samples import ACCOUNT

from .conftest import PUBLIC_URL, SECRET, TrackingWorld

HTML = (
    b"From: a@example.test\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b"<h1>Gr\xc3\xbc\xc3\x9fe</h1><script>alert(1)</script>\r\n"
)
RELATED = (
    b"From: a@example.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<img src=cid:a><img src=cid:b><img src=https://x.test/c>\r\n"
    b"--b\r\nContent-Type: text/html; name=a\r\nContent-ID: <a>\r\n\r\nGIF89a...\r\n"
    b"--b\r\nContent-Type: image/png\r\nContent-ID: <b>\r\n\r\n<svg onload=alert(1)>\r\n--b--\r\n"
)
MIXED = (
    b"From: a@example.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\n<b>Text</b>\r\n"
    b'--b\r\nContent-Type: image/svg+xml; name="<x>.svg"\r\nContent-Disposition: attachment; filename="<x>.svg"\r\n\r\n<svg/>\r\n--b--\r\n'
)


async def test_the_page_shows_the_message_and_frames_its_html(tracking: TrackingWorld) -> None:
    await tracking.add_message(content=HTML, subject="</title><script>alert(1)</script>")
    path = tracking.share()
    answer = await tracking.get(path)
    page = answer.body.decode()
    assert answer.status == 200
    assert "&lt;/title&gt;&lt;script&gt;" in page
    assert "<script" not in page
    assert "<dt>From</dt><dd>A &lt;a@example.test&gt;</dd><dt>To</dt><dd>Bob@example.org</dd><dt>Date</dt>" in page
    frame = re.search(
        r'<iframe src="([^"]*)" title="The message" sandbox="allow-popups allow-popups-to-escape-sandbox" referrerpolicy="no-referrer"></iframe>',
        page,
    )
    assert frame is not None
    assert path.rpartition("/")[0] + "/" + frame[1] == path + "/body"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


async def test_pictures_in_the_message_are_in_its_html(tracking: TrackingWorld) -> None:
    await tracking.add_message(content=RELATED)
    path = tracking.share()
    framed = await tracking.get(path + "/body")
    assert re.findall(r'src="([^"]*)"', framed.body.decode()) == ["part/0", "part/1"]
    assert f"img-src data: {PUBLIC_URL}{path}/part/; " in framed.headers["content-security-policy"]
    shown = await tracking.get(path + "/part/0")
    assert (shown.status, shown.headers["content-type"], shown.body) == (200, "image/gif", b"GIF89a...")
    assert shown.headers["content-security-policy"].startswith("sandbox ")
    for name in ("1", "2", "x", "-1", "99999", "remote-0"):
        assert (await tracking.get(f"{path}/part/{name}")).status == 404, name


async def test_the_html_may_do_nothing(tracking: TrackingWorld) -> None:
    await tracking.add_message(content=HTML)
    answer = await tracking.get(tracking.share() + "/body")
    assert answer.status == 200
    assert "<h1>Grüße</h1>" in answer.body.decode()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
        f"img-src data: {PUBLIC_URL}{tracking.share()}/part/; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-dns-prefetch-control"] == "off"
    assert "<script" not in answer.body.decode()


async def test_html_for_which_the_fence_has_no_time_is_shown_as_text(tracking: TrackingWorld) -> None:
    tracking.fence.close()
    await tracking.add_message(content=HTML)
    answer = await tracking.get(tracking.share() + "/body")
    shown = answer.body.decode()
    assert answer.status == 200
    assert "load the page again in a minute" in shown
    assert "<pre>\nGrüße</pre>" in shown
    assert "<h1" not in shown
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_a_message_without_html_shows_its_text_and_names_its_attachments(tracking: TrackingWorld) -> None:
    await tracking.add_message(content=MIXED, subject="")
    page = (await tracking.get(tracking.share())).body.decode()
    assert "<h1>(no subject)</h1>" in page
    assert "<pre>&lt;b&gt;Text&lt;/b&gt;</pre>" in page
    assert "<li>&lt;x&gt;.svg (6 octets)</li>" in page
    assert "<iframe" not in page
    assert (await tracking.get(tracking.share() + "/body")).status == 404


async def test_a_link_expires(tracking: TrackingWorld) -> None:
    path = tracking.share()
    tracking.clock.advance(timedelta(hours=47, minutes=59))
    assert (await tracking.get(path)).status == 200
    tracking.clock.advance(timedelta(minutes=1))
    for each in (path, path + "/body"):
        answer = await tracking.get(each)
        assert answer.status == 410
        assert tracking.message.subject not in answer.body.decode()


async def test_unknown_links_and_messages_that_are_gone(tracking: TrackingWorld) -> None:
    other = mint_share(SECRET, tracking.message.id, account_id=type(ACCOUNT)(99), expires_at=tracking.clock.now() + timedelta(hours=1))
    for path in ("/s/", "/s/x", "/s/x/body", "/s/x/y/z", tracking.share() + "/", "/s/" + other):
        assert (await tracking.get(path)).status == 404


@pytest.mark.parametrize(("error", "status"), [(NotFound, 404), (StoreUnavailable, 503)])
async def test_a_content_that_cannot_be_read(
    tracking: TrackingWorld, monkeypatch: pytest.MonkeyPatch, error: type[Exception], status: int
) -> None:
    async def fail(_message_id: int) -> bytes:
        raise error

    monkeypatch.setattr(tracking.store, "read_content", fail)
    assert (await tracking.get(tracking.share())).status == status


async def test_looking_counts_nothing(tracking: TrackingWorld) -> None:
    await tracking.get(tracking.share())
    assert await tracking.events() == []


@pytest.mark.parametrize("kind", ["plain", "html"])
async def test_a_large_message_is_shown_whole_and_one_at_a_time(
    tracking: TrackingWorld, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking.budget.work.limit = tracking.budget.showing.limit = 4_000_000  # one takes all of it
    content = b"From: a@example.test\r\nMIME-Version: 1.0\r\nContent-Type: text/%s\r\n\r\n" % kind.encode() + b"<p>word</p>\r\n" * 100_000
    await tracking.add_message(content=content)
    read, reading, most = tracking.store.read_content, 0, 0

    async def counted(message_id: MessageId) -> bytes:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        found = await read(message_id)
        reading -= 1
        return found

    monkeypatch.setattr(tracking.store, "read_content", counted)
    path = tracking.share() + ("/body" if kind == "html" else "")
    answers = await asyncio.gather(*(tracking.get(path) for _ in range(10)))
    assert {answer.status for answer in answers} == {200}
    assert all(answer.body.count(b"word") == 100_000 for answer in answers)
    assert most == 1
    assert tracking.budget.memory.taken == 0


async def test_a_page_for_which_there_is_no_room_comes_later(tracking: TrackingWorld) -> None:
    tracking.budget.memory.timeout = 0.05
    await tracking.add_message(content=b"From: a@example.test\r\n\r\n" + b"text\r\n" * 100_000)
    async with tracking.budget.signing.hold(tracking.budget.work.limit):
        answer = await tracking.get(tracking.share())
    assert (answer.status, answer.headers["retry-after"]) == (503, "60")
