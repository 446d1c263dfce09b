"""The pixel and tracked links."""

import pytest

from sendryd.policy.tracking import mint_open, mint_unsubscribe
from sendryd.testing.http import Answer
from sendryd.testing.samples import ACCOUNT

from .conftest import CHROME, SECRET, TrackingWorld

URL = "https://shop.example/a%2Fb?x=1&y=%20#z"
COMMON = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-robots-tag": "noindex", "x-content-type-options": "nosniff"}


def check_common(answer: Answer) -> None:
    assert COMMON.items() <= answer.headers.items()
    assert "set-cookie" not in answer.headers


async def test_the_pixel_is_a_transparent_gif_and_counts(tracking: TrackingWorld) -> None:
    answer = await tracking.get(tracking.open)
    assert (answer.status, answer.headers["content-type"], len(answer.body)) == (200, "image/gif", 43)
    assert answer.body.startswith(b"GIF89a\x01\x00\x01\x00")
    assert answer.body.endswith(b";")
    check_common(answer)
    (event,) = await tracking.events()
    assert (event.type, event.message_id, event.recipient) == ("opened", tracking.message.id, "Bob@example.org")
    assert event.metadata == {"opened_by": "person", "user_agent": CHROME, "ip": "192.0.2.7"}
    assert event.created_at == tracking.clock.now()


@pytest.mark.parametrize("path", ["", "x", "A" * 10_000, "%00", "..", "a/b/c", "%ff", "x.gif"])
async def test_an_unknown_pixel_looks_the_same_and_counts_nothing(tracking: TrackingWorld, path: str) -> None:
    right, wrong = await tracking.get(tracking.open + "?url=https://evil.example"), await tracking.get("/o/" + path)
    assert (wrong.status, wrong.headers, wrong.body) == (right.status, right.headers, right.body)
    assert len(await tracking.events()) == 1


async def test_a_token_opens_its_own_door_only(tracking: TrackingWorld) -> None:
    open_token, click_token = tracking.open.removeprefix("/o/"), tracking.click(URL).removeprefix("/c/")
    assert (await tracking.get("/o/" + click_token)).status == 200
    for path in ("/c/" + open_token, "/u/" + click_token, "/s/" + open_token, "/s/" + open_token + "/body"):
        assert (await tracking.get(path)).status == 404
    assert await tracking.events() == []


async def test_a_tracked_link_leads_to_its_target(tracking: TrackingWorld) -> None:
    answer = await tracking.get(tracking.click(URL) + "?url=https://evil.example")
    assert (answer.status, answer.headers["location"], answer.body) == (302, URL, b"")
    check_common(answer)
    (event,) = await tracking.events()
    assert event.type == "clicked"
    assert event.metadata == {"clicked_by": "person", "user_agent": CHROME, "ip": "192.0.2.7", "link": URL}


async def test_letters_beyond_ascii_are_encoded_on_the_way_and_kept_in_the_event(tracking: TrackingWorld) -> None:
    url = "https://bücher.example/ü?a=é"
    assert (await tracking.get(tracking.click(url))).headers["location"] == "https://xn--bcher-kva.example/%C3%BC?a=%C3%A9"
    assert (await tracking.events())[0].metadata["link"] == url


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_changed_link_leads_nowhere_and_names_no_url(tracking: TrackingWorld, method: str) -> None:
    path = tracking.click(URL)
    for wrong in (
        path[:-1],
        path[:-1] + ("A" if path[-1] != "A" else "B"),
        path + "=",
        path + "/https://evil.example",
        "/c/",
        path + "%00",
    ):
        answer = await tracking.request(method, wrong)
        assert answer.status == 404
        assert "location" not in answer.headers
        assert b"shop.example" not in answer.body
        assert b"evil" not in answer.body
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        check_common(answer)
    assert await tracking.events() == []


async def test_another_installation_s_links_are_not_ours(tracking: TrackingWorld) -> None:
    token = mint_unsubscribe(b"another", tracking.delivery_id, account_id=ACCOUNT, address="bob@example.org", list_id=None)
    assert (await tracking.post("/u/" + token, b"confirm=yes")).status == 404
    await tracking.get("/o/" + mint_open(b"another", tracking.delivery_id))
    assert await tracking.events() == []
    assert mint_open(SECRET, tracking.delivery_id) in tracking.open


async def test_head_answers_the_same_and_counts_nothing(tracking: TrackingWorld) -> None:
    for path in (tracking.open, tracking.click(URL)):
        head, get = await tracking.request("HEAD", path), await tracking.get(path)
        assert (head.status, head.headers) == (get.status, get.headers)
    assert [event.type for event in await tracking.events()] == ["opened", "clicked"]


async def test_other_methods_are_refused(tracking: TrackingWorld) -> None:
    for path in (tracking.open, tracking.click(URL), tracking.share()):
        assert (await tracking.post(path, b"")).status == 405
    assert await tracking.events() == []


async def test_a_prefetch_is_flagged_not_dropped(tracking: TrackingWorld) -> None:
    await tracking.request("GET", tracking.click(URL), [("user-agent", CHROME), ("sec-purpose", "prefetch;prerender")])
    (event,) = await tracking.events()
    assert event.metadata["clicked_by"] == "scanner"


async def test_what_a_client_says_of_its_address_is_not_believed(tracking: TrackingWorld) -> None:
    headers = [("user-agent", "x\xff" * 500), ("x-forwarded-for", "203.0.113.1"), ("forwarded", "for=203.0.113.1")]
    await tracking.request("GET", tracking.open, headers)
    (event,) = await tracking.events()
    assert event.metadata["ip"] == "192.0.2.7"
    assert len(str(event.metadata["user_agent"])) == 256


async def test_opens_of_a_message_that_is_gone_are_left_out(tracking: TrackingWorld) -> None:
    path = "/o/" + mint_open(SECRET, type(tracking.delivery_id)(5))
    assert (await tracking.get(path)).status == 200
    assert await tracking.events() == []
