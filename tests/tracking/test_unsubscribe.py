"""The unsubscribe page."""

from collections.abc import Sequence

import pytest

from sendryd.model.account import Branding
from sendryd.model.apikey import KeyMode
from sendryd.store.base import Engagement
from sendryd.store.errors import StoreUnavailable
from sendryd.testing.samples import ACCOUNT

from .conftest import CHROME, TrackingWorld

MULTIPART = "multipart/form-data; boundary=xyz"
MULTIPART_BODY = b'--xyz\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--xyz--\r\n'


async def is_off(tracking: TrackingWorld, list_id: str | None = None) -> bool:
    return bool(await tracking.store.find_unsubscribed(ACCOUNT, list_id, ["bob@example.org"]))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_at_the_page_unsubscribes_nobody(tracking: TrackingWorld, method: str) -> None:
    answer = await tracking.request(method, tracking.unsubscribe() + "?List-Unsubscribe=One-Click&confirm=yes")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert not await is_off(tracking)
    assert await tracking.events() == []


async def test_the_page_has_a_button_and_says_whose_mail_it_is(tracking: TrackingWorld) -> None:
    page = (await tracking.get(tracking.unsubscribe())).body.decode()
    assert '<form method="post">' in page
    assert '<button type="submit">Unsubscribe</button>' in page
    assert "A &lt;a@example.test&gt;" in page
    assert "B…@example.org" in page
    assert "Bob@example.org" not in page, "links end up where others read them"
    assert '<html lang="en">' in page
    assert "<script" not in page


async def test_the_button_unsubscribes_once(tracking: TrackingWorld) -> None:
    for _ in range(2):
        answer = await tracking.post(tracking.unsubscribe("news"), b"confirm=yes")
        assert answer.status == 200
        assert "You are unsubscribed" in answer.body.decode()
        assert "no-store" in answer.headers["cache-control"]
    assert await is_off(tracking, "news")
    assert not await is_off(tracking)
    (event,) = await tracking.events()
    assert (event.type, event.recipient) == ("unsubscribed", "Bob@example.org")
    assert event.metadata == {"reason": "unsubscribe page", "user_agent": CHROME, "ip": "192.0.2.7"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click"),
        ("application/x-www-form-urlencoded; charset=UTF-8", b"list-unsubscribe=one-click&x="),
        ("", b"List-Unsubscribe=One-Click"),
        (MULTIPART, MULTIPART_BODY),
        ('Multipart/Form-Data; boundary="xyz"', MULTIPART_BODY),
    ],
)
async def test_one_click_of_a_mailbox_provider(tracking: TrackingWorld, content_type: str, body: bytes) -> None:
    await tracking.set_branding(Branding(unsubscribe_redirect_url="https://shop.example/bye"))
    answer = await tracking.post(tracking.unsubscribe(), body, content_type)
    assert (answer.status, answer.body) == (200, b"Unsubscribed.\n")
    assert "location" not in answer.headers, "RFC 8058 forbids to redirect it"
    assert await is_off(tracking)
    assert (await tracking.events())[0].metadata["reason"] == "one-click"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("", b"", 400),
        ("application/json", b'{"List-Unsubscribe": "One-Click"}', 400),
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=Maybe", 400),
        ("application/x-www-form-urlencoded", b"a=1&" * 500, 400),
        ("application/x-www-form-urlencoded", b"\xff\xfe=\x00", 400),
        (MULTIPART, b"--xyz\r\n\r\nOne-Click", 400),
        ("multipart/form-data", MULTIPART_BODY, 400),
        ("multipart/form-data; boundary=\xe4\xe4", b"\xff" * 100, 400),
        ("application/x-www-form-urlencoded", b"confirm=yes&x=" + b"x" * 5000, 413),
    ],
)
async def test_other_bodies_unsubscribe_nobody(tracking: TrackingWorld, content_type: str, body: bytes, status: int) -> None:
    answer = await tracking.post(tracking.unsubscribe(), body, content_type)
    assert answer.status == status
    assert "Nothing was changed" in answer.body.decode()
    assert not await is_off(tracking)


async def test_a_client_that_goes_away_unsubscribes_nobody(tracking: TrackingWorld) -> None:
    assert (await tracking.request("POST", tracking.unsubscribe(), body=b"confirm=yes", is_cut_off=True)).status == 400
    assert not await is_off(tracking)


async def test_a_redirect_after_success(tracking: TrackingWorld) -> None:
    await tracking.set_branding(Branding(unsubscribe_redirect_url="https://shop.example/tschüss"))
    assert "form-action 'self' https: http:;" in (await tracking.get(tracking.unsubscribe())).headers["content-security-policy"]
    answer = await tracking.post(tracking.unsubscribe(), b"confirm=yes")
    assert (answer.status, answer.headers["location"]) == (303, "https://shop.example/tsch%C3%BCss")
    assert await is_off(tracking)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "https://e.example/\r\nSet-Cookie: a=b"])
async def test_a_redirect_that_is_none_is_not_followed(tracking: TrackingWorld, url: str) -> None:
    await tracking.set_branding(Branding(unsubscribe_redirect_url=url))
    answer = await tracking.post(tracking.unsubscribe(), b"confirm=yes")
    assert answer.status == 200
    assert "location" not in answer.headers


async def test_the_link_works_when_the_message_is_long_gone(tracking: TrackingWorld) -> None:
    tracking.delivery_id = type(tracking.delivery_id)(5)
    assert "this sender" in (await tracking.get(tracking.unsubscribe())).body.decode()
    assert (await tracking.post(tracking.unsubscribe(), b"confirm=yes")).status == 200
    assert await is_off(tracking)


@pytest.mark.parametrize("path", ["/u/", "/u/x", "/u/a/b", "/u/%00"])
async def test_an_unknown_link(tracking: TrackingWorld, path: str) -> None:
    for answer in (await tracking.get(path), await tracking.post(path, b"confirm=yes")):
        assert answer.status == 404
        assert "Link not found" in answer.body.decode()


async def test_a_store_that_is_down_is_said_and_shown(tracking: TrackingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_engagements: Sequence[Engagement]) -> int:
        raise StoreUnavailable

    async def fail_to_read(_account_id: int) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(tracking.store, "record_engagements", fail)
    answer = await tracking.post(tracking.unsubscribe(), b"List-Unsubscribe=One-Click")
    assert (answer.status, answer.headers["retry-after"]) == (503, "60")
    assert "try again" in answer.body.decode()
    monkeypatch.setattr(tracking.store, "get_account", fail_to_read)
    assert "<button" in (await tracking.get(tracking.unsubscribe())).body.decode()


async def test_the_link_in_a_test_message_stops_no_live_mail(tracking: TrackingWorld) -> None:
    await tracking.add_message(mode=KeyMode.TEST)  # whoever has a test key can read its link
    assert (await tracking.post(tracking.unsubscribe(), b"List-Unsubscribe=One-Click")).status == 200
    assert not await is_off(tracking)
    assert [event.type for event in await tracking.events(KeyMode.TEST)] == ["unsubscribed"]
