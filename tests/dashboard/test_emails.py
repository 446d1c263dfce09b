"""Emails: the list, the search, the slide-over."""

import re
from html import unescape
from urllib.parse import quote

import pytest

from sendryd.dashboard.pages.emails import SHOWN
from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import Answer, Browser

pytestmark = pytest.mark.sockets

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


def send(world: World, to: str, subject: str, **more: object) -> str:
    """Sends a mail; gives its id."""
    body = {"from": f"Acme <hello@{SENDING_DOMAIN}>", "to": to, "subject": subject, "text": "It works.", **more}
    return str(RestClient(world.relay, world.live_key).post("/v1/emails", body)["id"])


def rows(answer: Answer) -> dict[str, str]:
    """Id and status of each row, in order."""
    return dict(re.findall(r'data-id="(em_\w+)" data-status="(\w+)"', answer.text))


def find(browser: Browser, text: str, rest: str = "") -> Answer:
    return browser.get(f"/emails?q={quote(text)}{rest}")


@pytest.fixture(scope="module")
def sent(mails: World) -> dict[str, str]:
    """Mails of several statuses, by a word."""
    words = {
        "ok": send(mails, f"ann@{RECIPIENT_DOMAIN}", "Listing fine", tags=[{"name": "kind", "value": "order"}]),
        "gone": send(mails, f"gone@{RECIPIENT_DOMAIN}", "Listing gone"),
        "slow": send(mails, f"slow@{RECIPIENT_DOMAIN}", "Listing slow"),
        "later": send(mails, f"later@{RECIPIENT_DOMAIN}", f"Listing {HOSTILE}", scheduled_at="in 3 hours"),
    }
    for word, status in {"ok": "delivered", "gone": "bounced", "slow": "sending"}.items():
        mails.relay.wait_for_status(words[word], {status}, key=mails.live_key)
    mails.wait_until(lambda: b"4.7.1" in mails.relay.run("queue", "show", words["slow"]).stdout)
    return words


def test_the_list_has_the_newest_first_with_their_status(reader: Browser, sent: dict[str, str]) -> None:
    answer = find(reader, "listing")
    assert (answer.status, answer.page) == (200, "emails")
    assert rows(answer) == {sent["later"]: "queued", sent["slow"]: "sending", sent["gone"]: "bounced", sent["ok"]: "delivered"}
    assert next(iter(rows(answer))) == sent["later"]
    for word in ("Scheduled", "Deferred", "Bounced", "Delivered", "kind=order"):
        assert word in answer.text


def test_texts_of_strangers_stay_texts(reader: Browser, sent: dict[str, str]) -> None:
    answer = find(reader, "listing")
    assert f"Listing {HOSTILE}" in answer
    assert "<script>alert" not in answer.text
    assert "<img" not in answer.text
    echoed = find(reader, f'{HOSTILE} "{HOSTILE}" zz{HOSTILE}:1')
    assert "<script>alert" not in echoed.text
    assert "<img" not in echoed.text
    assert sent


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("listing status:bounced", {"gone"}),
        ("listing status:waiting", {"slow", "later"}),
        ("listing status:deferred", {"slow"}),
        ("listing -status:bounced -status:delivered", {"slow", "later"}),
        ("listing tag:kind=order", {"ok"}),
        (f"listing to:gone@{RECIPIENT_DOMAIN}", {"gone"}),
        (f"listing @{RECIPIENT_DOMAIN} -gone -later", {"ok", "slow"}),
        (f"listing domain:{SENDING_DOMAIN} fine", {"ok"}),
        ("listing from:nobody", set()),
        ("listing before:1h", set()),
        ("listing after:1h slow", {"slow"}),
        ("LISTING FINE", {"ok"}),
    ],
)
def test_searches(reader: Browser, sent: dict[str, str], text: str, words: set[str]) -> None:
    assert set(rows(find(reader, text))) == {sent[word] for word in words}


def test_what_cannot_be_searched_is_said_and_the_text_stays(reader: Browser, sent: dict[str, str]) -> None:
    answer = find(reader, "form:ann listing")
    assert 'role="alert"' in answer.text
    assert "did you mean from:ann?" in answer
    assert 'value="form:ann listing"' in answer.text
    assert sent["ok"] in rows(answer)


def test_a_lone_hit_is_open_and_can_be_closed(reader: Browser, sent: dict[str, str]) -> None:
    answer = find(reader, f"listing gone@{RECIPIENT_DOMAIN}")
    assert list(rows(answer)) == [sent["gone"]]
    assert 'role="dialog"' in answer.text
    assert "data-sentence" in answer.text
    close = re.search(r'data-close href="([^"]*)"', answer.text)
    assert close
    closed = reader.get(unescape(close[1]))
    assert "data-sentence" not in closed.text
    assert f'data-id="{sent["gone"]}" data-status="bounced" aria-selected="true"' in closed.text


def test_the_slide_over_leads_to_its_neighbours(reader: Browser, sent: dict[str, str]) -> None:
    answer = find(reader, "listing", f"&open={sent['gone']}&part=text")
    assert "It works." in answer
    newer, older = (re.search(rf'data-{word} href="([^"]*)"', answer.text) for word in ("newer", "older"))
    assert newer
    assert older
    assert (f"open={sent['slow']}" in newer[1], f"open={sent['ok']}" in older[1]) == (True, True)


def test_a_pasted_id_opens_its_object(reader: Browser, mails: World, sent: dict[str, str]) -> None:
    email_id = sent["ok"]
    rest = RestClient(mails.relay, mails.live_key)
    delivery = mails.relay.json("queue", "show", email_id)["data"][0]["id"]
    event = rest.get(f"/v1/emails/{email_id}/events")["data"][0]["id"]
    domain = next(each["id"] for each in rest.get("/v1/domains")["data"] if each["name"] == SENDING_DOMAIN)
    for pasted in (email_id, email_id.upper(), delivery, event, f" id:{email_id} "):
        answer = find(reader, pasted)
        assert (answer.status, answer.headers.get("location")) == (303, f"/emails/{email_id}"), pasted
    assert find(reader, domain).headers["location"] == f"/domains/{SENDING_DOMAIN}"
    unknown = find(reader, "em_0000000000001")
    assert (unknown.status, "This account has nothing with the id em_0000000000001" in unknown) == (200, True)


def test_pages_follow_one_another(reader: Browser, mails: World) -> None:
    sent = [send(mails, f"page{number}@{RECIPIENT_DOMAIN}", "Paging") for number in range(SHOWN + 3)]
    first = find(reader, "paging", "&open=-")
    assert list(rows(first)) == sent[::-1][:SHOWN]
    older = re.search(r'href="([^"]*)" rel="next"', first.text)
    assert older
    second = reader.get(unescape(older[1]))
    assert list(rows(second)) == sent[::-1][SHOWN:]
    assert 'rel="next"' not in second.text
    filtered = find(reader, "paging -page0@ -page5@ -page6@")
    assert sent[0] not in rows(filtered)
    assert len(rows(filtered)) == SHOWN


def test_a_viewer_sees_and_a_stranger_does_not(looker: Browser, mails: World, sent: dict[str, str]) -> None:
    assert sent["ok"] in rows(find(looker, "listing"))
    assert Browser(mails.relay.ready["http"]).get("/emails").status == 303


def test_without_mail_it_says_what_comes_next(owner: Browser) -> None:
    answer = owner.get("/emails")
    assert "No mail yet." in answer
    assert 'href="/domains"' in answer.text


def test_conditions_that_find_nothing_together_are_named(mails: World, reader: Browser) -> None:
    sent = send(mails, f"loose@{RECIPIENT_DOMAIN}", "Loosened once")
    mails.relay.wait_for_status(sent, {"delivered"}, key=mails.live_key)
    page = reader.get("/emails?q=to:loose@example.org+status:held+subject:loosened")
    words = unescape(re.sub(r"\s+", " ", page.text))
    assert re.findall(r'href="([^"]*)">without <code><bdi>([^<]*)<', words) == [
        ("/emails?q=to%3Aloose%40example.org+subject%3Aloosened", "status:held")
    ]
    assert "data-loosened" not in reader.get("/emails?q=nothing-at-all").text
    assert "data-loosened" not in reader.get("/emails?q=nothing-at-all+neither-this").text


def test_a_recipient_is_suppressed_from_its_mail(mails: World, reader: Browser, looker: Browser) -> None:
    address = f"enough@{RECIPIENT_DOMAIN}"
    sent = send(mails, address, "Enough")
    mails.relay.wait_for_status(sent, {"delivered"}, key=mails.live_key)
    page = unescape(reader.get(f"/emails/{sent}").text)
    found = re.search(r'action="/emails/\w+/suppress">.*?name="delivery" value="(dlv_\w+)"', page, re.DOTALL)
    assert found
    assert '/suppress"' not in unescape(looker.get(f"/emails/{sent}").text)
    assert looker.send(f"/emails/{sent}/suppress", {"delivery": found[1]}, page="/").status == 403
    assert reader.send(f"/emails/{sent}/suppress", {"delivery": "dlv_0000000000001"}, page="/").status == 404
    done = reader.send(f"/emails/{sent}/suppress", {"delivery": found[1]}, page=f"/emails/{sent}")
    assert (done.status, done.headers["location"]) == (303, "/suppressions?q=enough%40example.org")
    assert address in reader.get(done.headers["location"])
