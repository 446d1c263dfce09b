"""The Test Inbox: the list, one key's mail, the open mail, lines to paste, live rows."""

import re
from html import unescape
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from sendryd.dashboard.inbox import SHOWN
from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import Answer, Browser, open_tab

pytestmark = pytest.mark.sockets

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


class Key:
    """A test key of its own, so that no other test's mail is in its list."""

    def __init__(self, browser: Browser, world: World, name: str) -> None:
        made = browser.send("/keys", {"name": name, "mode": "test", "scope": "full_access"})
        self.secret = re.findall(r"sn_test_\w{20,}", made.text)[0]
        found = re.search(rf'<tr data-id="(key_\w{{13}})" data-status="\w+"><td><b><bdi>{name}<', browser.get("/keys").text)
        assert found
        self.path = f"/test?key={found[1]}"
        self._world = world

    def send(self, to: str, subject: str, **more: object) -> str:
        """Sends a mail; gives its id in the Test Inbox."""
        body = {"from": f"Acme <hello@{SENDING_DOMAIN}>", "to": to, "subject": subject, "text": "It works.", **more}
        return str(RestClient(self._world.relay, self.secret).post("/v1/emails", body)["id"]).replace("em_", "te_", 1)


def rows(answer: Answer) -> dict[str, str]:
    """Id and status of each row, in order."""
    return dict(re.findall(r'data-id="(te_\w+)" data-status="(\w+)"', answer.text))


@pytest.fixture(scope="module")
def shop(reader: Browser, mails: World) -> Key:
    return Key(reader, mails, "inbox shop")


@pytest.fixture(scope="module")
def caught(shop: Key) -> dict[str, str]:
    """Mails by a word."""
    file = {"filename": f"{HOSTILE}.txt", "content": "aGVsbG8="}
    return {
        "plain": shop.send(f"ann@{RECIPIENT_DOMAIN}", "Inbox plain"),
        "bounced": shop.send("bounced@sendryd.test", "Inbox bounced"),
        "hostile": shop.send(f"bob@{RECIPIENT_DOMAIN}", f"Inbox {HOSTILE}", html=f"<p>Seen</p>{HOSTILE}", attachments=[file, file]),
    }


def test_the_list_has_the_newest_first(reader: Browser, shop: Key, caught: dict[str, str]) -> None:
    answer = reader.get(shop.path)
    assert (answer.status, answer.page) == (200, "test")
    assert list(rows(answer)) == [caught["hostile"], caught["bounced"], caught["plain"]]
    assert (rows(answer)[caught["plain"]], rows(answer)[caught["bounced"]]) == ("delivered", "bounced")
    for text in ("Caught", "Bounced", f"Acme <hello@{SENDING_DOMAIN}>", f"bob@{RECIPIENT_DOMAIN}", "Inbox plain"):
        assert text in answer, text
    assert re.findall(r">([\d.]+ (?:octets|KB))<", answer.text)
    assert re.findall(r'data-attachments="(\d*)"', answer.text) == ["2", "0", "0"]


def test_one_keys_mail_is_not_anothers(reader: Browser, mails: World, shop: Key, caught: dict[str, str]) -> None:
    other = Key(reader, mails, "inbox other")
    own = other.send(f"ann@{RECIPIENT_DOMAIN}", "Inbox of another key")
    assert list(rows(reader.get(other.path))) == [own]
    assert own not in rows(reader.get(shop.path))
    assert next(iter(rows(reader.get("/test")))) == own
    assert list(rows(reader.get(shop.path))) == [caught["hostile"], caught["bounced"], caught["plain"]]
    assert reader.get("/test?key=key_0000000000001").page == "missing"
    assert reader.get("/test?key=x").status == 404


def test_live_mail_and_scheduled_mail_are_not_there(reader: Browser, mails: World, shop: Key) -> None:
    live = RestClient(mails.relay, mails.live_key).post(
        "/v1/emails", {"from": f"a@{SENDING_DOMAIN}", "to": f"live@{RECIPIENT_DOMAIN}", "subject": "Inbox live", "text": "Live."}
    )["id"]
    later = shop.send(f"later@{RECIPIENT_DOMAIN}", "Inbox later", scheduled_at="in 3 hours")
    answer = reader.get("/test")
    assert live.replace("em_", "te_", 1) not in rows(answer)
    assert later not in rows(answer)
    for given in (live, live.replace("em_", "te_", 1), "te_0000000000001", "x"):
        opened = reader.get(f"/test?open={given}")
        assert (opened.status, 'role="alert"' in opened.text, "data-sentence" in opened.text) == (200, True, False), given


def test_an_open_mail_stands_beside_the_list(reader: Browser, shop: Key, caught: dict[str, str]) -> None:
    answer = reader.get(f"{shop.path}&open={caught['bounced']}&part=timeline")
    assert len(rows(answer)) == 3
    assert f'data-id="{caught["bounced"]}" data-status="bounced" aria-selected="true"' in answer.text
    assert 'data-event="bounced"' in answer.text
    newer, older, close = (re.search(rf'data-{word} href="([^"]*)"', answer.text) for word in ("newer", "older", "close"))
    assert newer
    assert older
    assert close
    assert (caught["hostile"] in newer[1], caught["plain"] in older[1]) == (True, True)
    closed = reader.get(unescape(close[1]))
    assert "data-sentence" not in closed.text
    assert f'data-id="{caught["bounced"]}" data-status="bounced" aria-selected="true"' in closed.text


def test_each_part_of_an_open_mail(reader: Browser, shop: Key, caught: dict[str, str]) -> None:
    def part(name: str) -> Answer:
        return reader.get(f"{shop.path}&open={caught['hostile']}{f'&part={name}' if name else ''}")

    first = part("")
    assert "Caught in the Test Inbox" in first
    assert "Open there" not in first
    frame = re.search(r'<iframe class="framed[^"]*" src="([^"]+)"', first.text)
    assert frame
    assert "Seen" in reader.get(unescape(frame[1]))
    assert "It works." in part("text")
    assert "Content-Type: multipart/mixed" in part("source")
    assert "Message-ID" in part("headers")
    files = part("attachments")
    path = re.search(r'href="(/emails/em_\w+/attachments/0)" download', files.text)
    assert path
    assert reader.get(path[1]).text == "hello"
    for name in ("", "text", "source", "headers", "attachments", "timeline"):
        assert "<script>alert" not in part(name).text, name
        assert "<img" not in part(name).text, name


def test_texts_of_strangers_stay_texts(reader: Browser, mails: World, shop: Key, caught: dict[str, str]) -> None:
    assert caught
    Key(reader, mails, "inbox hostile").send(f"x@{RECIPIENT_DOMAIN}", HOSTILE)
    reader.send("/keys", {"name": HOSTILE, "mode": "test", "scope": "sending_access"})
    for path in ("/test", shop.path):
        answer = reader.get(path)
        assert HOSTILE in answer
        assert "<script>alert" not in answer.text
        assert "<img" not in answer.text


def test_a_pasted_id_opens_the_mail_there(reader: Browser, caught: dict[str, str]) -> None:
    assert reader.get(f"/emails?q={caught['plain']}").headers["location"] == f"/test?open={caught['plain']}"


def test_pages_follow_one_another(reader: Browser, mails: World) -> None:
    key = Key(reader, mails, "inbox pages")
    sent = [key.send(f"page{number}@{RECIPIENT_DOMAIN}", "Inbox paging") for number in range(SHOWN + 3)]
    first = reader.get(key.path)
    assert list(rows(first)) == sent[::-1][:SHOWN]
    older = re.search(r'href="([^"]*)" rel="next"', first.text)
    assert older
    second = reader.get(unescape(older[1]))
    assert list(rows(second)) == sent[::-1][SHOWN:]
    assert 'rel="next"' not in second.text
    assert ">Newest<" in second.text


def test_a_viewer_sees_and_a_stranger_does_not(looker: Browser, mails: World, shop: Key, caught: dict[str, str]) -> None:
    answer = looker.get(f"{shop.path}&open={caught['plain']}")
    assert caught["plain"] in rows(answer)
    assert "data-sentence" in answer.text
    assert 'href="/test"' in answer
    assert Browser(mails.relay.ready["http"]).get("/test").status == 303


def test_an_empty_inbox_waits(reader: Browser, mails: World) -> None:
    page = reader.get(Key(reader, mails, "inbox empty").path)
    assert "The inbox waits for the first mail of inbox empty." in re.sub(r"</?bdi>", "", page.text)


def test_a_search_looks_in_subjects_addresses_and_headers(reader: Browser, mails: World) -> None:
    key = Key(reader, mails, "inbox search")
    first = key.send(f"ann@{RECIPIENT_DOMAIN}", "Spring offer", headers={"X-Campaign": "Blue-42"})
    second = key.send(f"zoe@{RECIPIENT_DOMAIN}", "Your invoice", bcc=f"hidden@{RECIPIENT_DOMAIN}")
    for words, ids in {
        "SPRING": [first],
        "zoe@": [second],
        "blue-42": [first],
        "x-campaign": [first],
        "hidden@": [second],
        "invoice zoe": [second],
        "invoice ann@": [],
        "acme": [second, first],
    }.items():
        assert list(rows(reader.get(f"{key.path}&q={quote(words)}"))) == ids, words
    nothing = reader.get(f"{key.path}&q=nowhere")
    assert "No mail matches." in nothing
    assert 'value="nowhere"' in nothing.text
    opened = reader.get(f"{key.path}&q=spring&open={first}")
    close = re.search(r'data-close href="([^"]*)"', opened.text)
    assert close
    assert "q=spring" in unescape(close[1])


def test_the_list_shows_the_first_line_of_the_text(reader: Browser, mails: World) -> None:
    key = Key(reader, mails, "inbox lines")
    key.send(f"ann@{RECIPIENT_DOMAIN}", "Lines", text="Click the button\n  to go on.")
    assert "Click the button to go on." in reader.get(key.path)


def ask_to_clear(browser: Browser, path: str) -> Answer:
    asks = re.search(r'href="([^"]*)">(?:(?!</a>).)*Clear this view</a>', browser.get(path).text)
    assert asks
    return browser.get(unescape(asks[1]))


def clear(browser: Browser, asked: Answer) -> Answer:
    action = re.search(r'action="(/test/clear[^"]*)"', asked.text)
    newest = re.search(r'name="newest" value="([^"]*)"', asked.text)
    assert action
    assert newest
    return browser.post(unescape(action[1]), {"token": asked.token, "newest": newest[1]})


def test_clearing_a_view_deletes_what_was_asked_about(reader: Browser, looker: Browser, mails: World) -> None:
    key, other = Key(reader, mails, "inbox clear"), Key(reader, mails, "inbox spared")
    for number in range(3):
        key.send(f"ann{number}@{RECIPIENT_DOMAIN}", "Clearing away")
    stays = key.send(f"ann@{RECIPIENT_DOMAIN}", "Clearing kept", tags=[{"name": "keep", "value": "yes"}])
    elsewhere = other.send(f"ann@{RECIPIENT_DOMAIN}", "Clearing elsewhere")
    asked = ask_to_clear(reader, key.path)
    assert "Delete 3 mails?" in asked
    assert "1 with the tag" in asked
    later = key.send(f"late@{RECIPIENT_DOMAIN}", "Clearing later")
    done = clear(reader, asked)
    assert done.status == 303
    shown = reader.get(done.headers["location"])
    assert "3 mails are deleted." in shown
    assert list(rows(shown)) == [later, stays]
    assert list(rows(reader.get(other.path))) == [elsewhere]
    assert "test_inbox.cleared" in reader.get("/audit")
    key.send(f"bob@{RECIPIENT_DOMAIN}", "Clearing searched")
    found = ask_to_clear(reader, f"{key.path}&q=searched")
    assert "Delete 1 mail?" in found
    assert clear(reader, found).status == 303
    assert list(rows(reader.get(key.path))) == [later, stays]
    assert "Clear this view" not in looker.get(key.path)
    assert looker.post("/test/clear", {"token": looker.get("/test").token, "newest": later}).status in {403, 404}
    assert later in rows(reader.get(key.path))


def test_outcomes_are_played_on_a_mail(reader: Browser, looker: Browser, mails: World) -> None:
    key = Key(reader, mails, "inbox plays")
    own = key.send(f"ann@{RECIPIENT_DOMAIN}", "Playing")
    path = f"/test/{own}/play"
    for what, event in (("open", "opened"), ("click", "clicked"), ("complaint", "complained"), ("bounce", "bounced")):
        answer = reader.send(path, {"what": what}, page=f"/test?open={own}")
        assert answer.status == 303, what
        shown = reader.get(answer.headers["location"])
        assert f'data-event="{event}"' in shown.text, what
        assert "played on 1 recipient." in shown
    again = reader.get(reader.send(path, {"what": "open"}, page=f"/test?open={own}").headers["location"])
    assert "No recipient is left" in again
    assert rows(reader.get(key.path)) == {own: "complained"}
    assert [reader.send(path, {"what": what}, page=f"/test?open={own}").status for what in ("", "x")] == [404, 404]
    assert "Play an outcome" not in looker.get(f"/test?open={own}")
    live = RestClient(mails.relay, mails.live_key).post(
        "/v1/emails", {"from": f"a@{SENDING_DOMAIN}", "to": f"live@{RECIPIENT_DOMAIN}", "subject": "Playing live", "text": "Live."}
    )["id"]
    assert reader.send(f"/test/{live}/play", {"what": "bounce"}, page="/test").status == 404


def test_a_mail_is_released_to_a_real_address_and_both_lead_to_each_other(reader: Browser, looker: Browser, mails: World) -> None:
    key = Key(reader, mails, "inbox release")
    own = key.send(f"ann@{RECIPIENT_DOMAIN}", "Releasing", html="<p>Released</p>")
    page = f"{key.path}&open={own}"
    asked = reader.get(page)
    assert "Release this mail to a real address?" in asked
    done = reader.post(f"/test/{own}/release", {"token": asked.token, "to": f"mara@{RECIPIENT_DOMAIN}"})
    assert done.status == 303
    copy = done.headers["location"].removeprefix("/emails/")
    mails.relay.wait_for_status(copy, {"delivered"}, key=mails.live_key)
    received = mails.wait_for_mail("Releasing")
    assert b"Released" in received.content
    assert f'href="/test?open={own}">' in unescape(reader.get(f"/emails/{copy}").text)
    back = reader.get(page)
    assert f"Released to mara@{RECIPIENT_DOMAIN}" in re.sub(r"</?bdi>", "", back.text)
    assert f"/emails/{copy}" in back
    assert "Release this mail" not in looker.get(page)
    refused = looker.post(f"/test/{own}/release", {"token": looker.get("/test").token, "to": f"vera@{RECIPIENT_DOMAIN}"})
    assert refused.status in {403, 404}


def test_a_release_keeps_to_the_rules_of_live_mail(reader: Browser, mails: World) -> None:
    key = Key(reader, mails, "inbox refused")
    unverified = key.send(f"ann@{RECIPIENT_DOMAIN}", "Unverified", **{"from": "a@unverified.test"})
    own = key.send(f"ann@{RECIPIENT_DOMAIN}", "Suppressed")
    refused = reader.send(f"/test/{unverified}/release", {"to": f"mara@{RECIPIENT_DOMAIN}"}, page=f"/test?open={unverified}")
    assert (refused.status, "unverified.test is not verified" in refused) == (422, True)
    wrong = reader.send(f"/test/{own}/release", {"to": "nobody"}, page=f"/test?open={own}")
    assert (wrong.status, 'aria-invalid="true"' in wrong.text, 'value="nobody"' in wrong.text) == (422, True, True)
    reader.send("/suppressions", {"email": f"stopped@{RECIPIENT_DOMAIN}"})
    done = reader.send(f"/test/{own}/release", {"to": f"stopped@{RECIPIENT_DOMAIN}"}, page=f"/test?open={own}")
    shown = reader.get(done.headers["location"])
    assert f"Not sent: stopped@{RECIPIENT_DOMAIN} is suppressed" in shown


def test_checks_are_under_the_preview(reader: Browser, mails: World) -> None:
    key = Key(reader, mails, "inbox checks")
    own = key.send(
        f"ann@{RECIPIENT_DOMAIN}", "Checks", html='<p>Some text to read here.</p><a href="http://x.test/">x</a><img src="cid:a">'
    )
    found = dict(re.findall(r'data-check="([\w-]+)" data-mark="(\w+)"', reader.get(f"/test?open={own}").text))
    assert (found["alt-text"], found["links"], found["subject"]) == ("warn", "info", "pass")


@pytest.mark.needs("chromium")
def test_a_mail_appears_by_itself(chromium: Chromium, reader: Browser, mails: World) -> None:
    key = Key(reader, mails, "inbox live")
    with open_tab(chromium, reader) as tab:
        tab.goto(key.path)
        tab.get_by_text("waits for the first mail").wait_for()
        tab.wait_for_selector("[data-live=live]")
        own = key.send(f"ann@{RECIPIENT_DOMAIN}", f"Appearing {HOSTILE}", html="<p>Seen</p>")
        tab.wait_for_selector(f"[data-id={own}]")
        tab.wait_for_load_state()
        tab.keyboard.press("j")
        tab.keyboard.press("Enter")
        tab.frame_locator("iframe").get_by_text("Seen").wait_for()
        tab.wait_for_load_state()
        tab.keyboard.press("Escape")
        tab.wait_for_url("**at=te_*")
        tab.set_viewport_size({"width": 360, "height": 780})
        for path in (key.path, f"{key.path}&open={own}"):
            tab.goto(path)
            assert tab.evaluate("document.documentElement.scrollWidth") <= 360, path


@pytest.mark.needs("chromium")
def test_two_windows_show_each_its_own_inbox(chromium: Chromium, reader: Browser, mails: World) -> None:
    one, two = Key(reader, mails, "inbox one"), Key(reader, mails, "inbox two")
    with open_tab(chromium, reader) as first, open_tab(chromium, reader) as second:
        for tab, key in ((first, one), (second, two)):
            tab.goto(key.path)
            tab.wait_for_selector("[data-live=live]")
        for tab, other, key in ((first, second, one), (second, first, two)):
            own = key.send(f"ann@{RECIPIENT_DOMAIN}", "Windows")
            tab.wait_for_selector(f"[data-id={own}]")
            assert other.locator(f"[data-id={own}]").count() == 0
        assert [tab.locator("[data-id]").count() for tab in (first, second)] == [1, 1]


@pytest.mark.needs("chromium")
def test_a_release_asks_and_both_mails_lead_to_each_other(chromium: Chromium, reader: Browser, mails: World) -> None:
    key = Key(reader, mails, "inbox released")
    own = key.send(f"ann@{RECIPIENT_DOMAIN}", "Let go", html="<p>Let go</p>")
    with open_tab(chromium, reader) as tab:
        tab.goto(f"{key.path}&open={own}")
        tab.get_by_role("button", name="Release", exact=True).click()
        dialog = tab.locator("dialog[open]")
        dialog.get_by_role("heading", name="Release this mail to a real address?").wait_for()
        dialog.locator("[name=to]").fill(f"mara@{RECIPIENT_DOMAIN}")
        dialog.locator("button[type=submit]").click()
        tab.wait_for_url("**/emails/em_*")
        copy = tab.url.rpartition("/")[2].partition("?")[0]
        mails.relay.wait_for_status(copy, {"delivered"}, key=mails.live_key)
        assert b"Let go" in mails.wait_for_mail("Let go").content
        tab.locator(f'a[href="/test?open={own}"]').click()
        tab.wait_for_url(f"**open={own}*")
        tab.locator("[data-copy]").get_by_role("link", name="see the mail").click()
        tab.wait_for_url(f"**/emails/{copy}*")


@pytest.mark.needs("chromium")
def test_what_was_not_read_says_so(chromium: Chromium, reader: Browser, mails: World) -> None:
    key = Key(reader, mails, "inbox marks")
    one, two = (key.send(f"ann{number}@{RECIPIENT_DOMAIN}", "Marks") for number in range(2))
    with open_tab(chromium, reader) as tab:
        tab.goto(f"{key.path}&open={one}")
        expect(tab.locator(f"[data-id={two}] [data-new]")).to_be_visible()
        expect(tab.locator(f"[data-id={one}] [data-new]")).to_be_hidden()
        tab.goto(key.path)
        tab.wait_for_selector("[data-live=live]")
        tab.click("text=Mark all read")
        expect(tab.locator("[data-new]:visible")).to_have_count(0)
        three = key.send(f"ann3@{RECIPIENT_DOMAIN}", "Marks")
        expect(tab.locator(f"[data-id={three}] [data-new]")).to_be_visible()
        expect(tab.locator("[data-new]:visible")).to_have_count(1)


@pytest.mark.needs("chromium")
def test_clearing_asks_first(chromium: Chromium, reader: Browser, mails: World) -> None:
    key = Key(reader, mails, "inbox asks")
    own = key.send(f"ann@{RECIPIENT_DOMAIN}", "Asks")
    with open_tab(chromium, reader) as tab:
        tab.goto(key.path)
        tab.click("text=Clear this view")
        tab.click("dialog[open] >> text=Keep them")
        tab.wait_for_selector(f"[data-id={own}]")
        tab.click("text=Clear this view")
        tab.click("dialog[open] button[type=submit]")
        tab.get_by_text("1 mail is deleted.").wait_for()
        tab.get_by_text("waits for the first mail").wait_for()
