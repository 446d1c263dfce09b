"""Lists that people act on, in Chromium: following, keys, a lost connection, two people at once."""

import json
import re

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import Browser, open_tab
from .test_emails import send

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]


def send_many(mails: World, number: int, subject: str, name: str = "ann") -> list[str]:
    """Sends mails in one request; gives their ids."""
    body = {"from": f"Acme <hello@{SENDING_DOMAIN}>", "text": "It works.", "subject": subject}
    batch = [{**body, "to": [f"{name}+{each}@{RECIPIENT_DOMAIN}"]} for each in range(number)]
    return [each["id"] for each in RestClient(mails.relay, mails.live_key).post("/v1/emails/batch", {"emails": batch})["data"]]


def shown(page: Page) -> list[str]:
    """The ids of the rows, in order."""
    found: list[str] = page.eval_on_selector_all("tbody [data-id]", "rows => rows.map(row => row.dataset.id)")
    return found


def wait_live(page: Page) -> None:
    page.wait_for_selector("[data-live=live]")


def test_following_obeys_the_filter_and_holds_still_for_ticked_rows(page: Page, mails: World) -> None:
    first = send(mails, f"gone+followed@{RECIPIENT_DOMAIN}", "Followed")
    mails.relay.wait_for_status(first, {"bounced"}, key=mails.live_key)
    page.goto("/emails?q=followed+status%3Abounced")
    wait_live(page)
    send_many(mails, 100, "Followed")
    bounced = send_many(mails, 5, "Followed", "gone")
    expect(page.locator("tbody [data-id]")).to_have_count(6)
    assert shown(page) == sorted([first, *bounced], reverse=True)
    page.locator(f"[name=row-{first}]").check()
    assert page.locator("#f-which option").first.inner_text() == "1 chosen"
    more = send_many(mails, 3, "Followed", "gone+again")
    page.get_by_role("button", name="3 new").wait_for()
    assert shown(page) == sorted([first, *bounced], reverse=True)
    page.locator(f"[name=row-{first}]").uncheck()
    page.wait_for_selector(f"[data-id={more[-1]}]")
    expect(page.locator("tbody [data-id]")).to_have_count(9)
    assert shown(page) == sorted([first, *bounced, *more], reverse=True)


def test_the_page_holds_two_hundred_rows_and_a_count(page: Page, mails: World) -> None:
    send_many(mails, 60, "Capped")
    page.goto("/emails?q=capped")
    wait_live(page)
    assert len(shown(page)) == 50
    sent: list[str] = []
    for _ in range(8):
        sent += send_many(mails, 20, "Capped")  # as many as come on top in a second
        page.wait_for_selector(f"[data-id={sent[-1]}]")
    expect(page.locator("tbody [data-id]")).to_have_count(200)
    page.get_by_text("The newest 200.").wait_for()
    rows = shown(page)
    assert rows == sorted(rows, reverse=True)
    assert rows[: len(sent)] == sorted(sent, reverse=True)
    page.get_by_role("link", name="Older").click()
    page.wait_for_url("**before=*")
    assert shown(page)[0] < rows[-1]


def test_what_is_new_is_counted_while_the_reader_is_further_down(page: Page, mails: World) -> None:
    send_many(mails, 45, "Scrolled")
    page.goto("/emails?q=scrolled")
    wait_live(page)
    before = shown(page)
    page.mouse.wheel(0, 600)
    mails.wait_until(lambda: page.evaluate("scrollY") > 100)
    send_many(mails, 4, "Scrolled")
    button = page.get_by_role("button", name="4 new")
    button.wait_for()
    assert shown(page) == before
    button.evaluate("button => button.click()")
    expect(page.locator("tbody [data-id]")).to_have_count(49)
    mails.wait_until(lambda: page.evaluate("scrollY") == 0)


def test_test_mails_that_were_not_read_are_counted_beside_their_place(page: Page, mails: World) -> None:
    body = {"from": "app@anything.example", "to": "ann@example.org", "subject": "Counted", "text": "x"}
    rest = RestClient(mails.relay, mails.test_key)
    rest.post("/v1/emails", body)
    page.goto("/test")
    wait_live(page)
    page.get_by_role("button", name="Mark all read").click()
    new = page.locator("new-mails")
    expect(new).to_be_hidden()
    last = [rest.post("/v1/emails", body)["id"] for _ in range(2)][-1]
    expect(new).to_have_text("2 new")
    page.goto(f"/test?open={last}")
    expect(new).to_have_text("1 new")
    page.get_by_role("button", name="Mark all read").click()
    expect(new).to_be_hidden()


def test_a_sound_tells_of_new_test_mail_once_somebody_has_switched_it_on(page: Page, mails: World) -> None:
    count_tones = """const start = OscillatorNode.prototype.start;
        window.tones = 0;
        OscillatorNode.prototype.start = function (at) { window.tones += 1; start.call(this, at); };"""
    page.add_init_script(count_tones)
    page.goto("/test")
    wait_live(page)
    button, rows, rest = (
        page.get_by_role("button", name="Sound for new mail"),
        page.locator("tbody [data-id]"),
        RestClient(mails.relay, mails.test_key),
    )
    body = {"from": "app@anything.example", "to": "ann@example.org", "text": "x"}
    rest.post("/v1/emails", {**body, "subject": "Without a sound"})
    expect(rows.filter(has_text="Without a sound")).to_have_count(1)
    assert (button.get_attribute("aria-pressed"), page.evaluate("tones")) == ("false", 0)
    button.click()
    assert (button.get_attribute("aria-pressed"), page.evaluate("tones")) == ("true", 1)
    rest.post("/v1/emails", {**body, "subject": "With a sound"})
    expect(rows.filter(has_text="With a sound")).to_have_count(1)
    page.wait_for_function("tones === 2")
    page.reload()
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")


def test_keys_alone_find_read_try_and_come_back(page: Page, mails: World) -> None:
    ids = [send(mails, f"slow+{number}@{RECIPIENT_DOMAIN}", "Keyed") for number in range(3)]
    mails.wait_until(lambda: all(b"4.7.1" in mails.relay.run("queue", "show", each).stdout for each in ids))
    page.goto("/")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("keyed")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=keyed*")
    page.wait_for_selector(f"[data-id={ids[2]}]")
    page.wait_for_load_state()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**open={ids[1]}*")
    page.wait_for_selector("[data-event=deferred]")
    page.wait_for_load_state()
    tries = page.locator("[data-event=deferred]").count()
    page.keyboard.press(".")
    assert page.evaluate("document.activeElement.closest('#mail-changes') !== null")
    page.keyboard.press("r")
    page.get_by_text("1 recipient is due now.").wait_for()
    expect(page.locator("[data-event=deferred]")).to_have_count(tries + 1)
    page.wait_for_load_state()
    page.keyboard.press("Escape")
    page.wait_for_url("**open=-*")
    assert page.locator("tr[aria-selected=true]").get_attribute("data-id") == ids[1]


def test_single_letters_can_be_switched_off(chromium: Chromium, mails: World, reader: Browser) -> None:
    assert mails.relay.is_running
    own = Browser(reader.base)
    own.cookies = {**reader.cookies, "sendryd-look": "system.roomy.off"}
    with open_tab(chromium, own) as page:
        page.goto("/emails")
        page.wait_for_selector("key-map", state="attached")
        page.keyboard.press("/")
        page.keyboard.press("g")
        page.keyboard.press("q")
        assert page.evaluate("document.activeElement === document.body")
        assert page.url.endswith("/emails")


def test_a_lost_network_is_said_and_what_was_missed_comes_once(chromium: Chromium, mails: World, reader: Browser) -> None:
    send_many(mails, 3, "Offline")
    with open_tab(chromium, reader, may_lose_network=True) as page:
        page.goto("/emails?q=offline")
        wait_live(page)
        before = shown(page)
        page.context.set_offline(True)
        page.get_by_text(re.compile(r"Not live since \d")).wait_for()
        missed = send_many(mails, 4, "Offline")
        assert shown(page) == before
        page.context.set_offline(False)
        wait_live(page)
        page.wait_for_selector(f"[data-id={missed[-1]}]")
        assert shown(page) == sorted([*before, *missed], reverse=True)


def test_of_two_people_one_wins_and_the_other_learns_of_whom(chromium: Chromium, mails: World, page: Page, reader: Browser) -> None:
    email_id = send(mails, f"ann@{RECIPIENT_DOMAIN}", "Contended", scheduled_at="in 4 hours")
    url = mails.relay.json("people", "invite", "nora@acme.example", "--role", "admin")["url"]
    other = Browser(reader.base)
    other.send(url.removeprefix(reader.base), {"name": "Nora Berg", "password": "four words make one"})
    with open_tab(chromium, other) as second, open_tab(chromium, other) as live:
        second.route("**/live?*", lambda _route: None)  # else the question would be gone before it is answered, as in the third tab
        for tab in (page, second, live):
            tab.goto(f"/emails/{email_id}")
            if tab is live:
                wait_live(tab)
            tab.get_by_role("button", name="Hold").click()
        page.locator("dialog[open] [name=reason]").fill("wrong link")
        for tab in (page, second):
            tab.locator("dialog[open] button[type=submit]").click()
        page.get_by_text("1 recipient is held.").wait_for()
        expect(live.get_by_role("button", name="Release")).to_be_visible()
        assert live.locator("dialog[open]").count() == 0  # another question in its place would be answered by mistake
        second.get_by_text(re.compile("Nothing was changed: mara@acme.example held it at")).wait_for()
        assert "Held by Mara Lind since" in second.locator("[data-sentence]").inner_text()
        assert '"wrong link"' in second.locator("[data-sentence]").inner_text()
        with open_tab(chromium, reader, script=False) as still:  # it would else see at once that the mail is released
            still.goto(f"/emails/{email_id}")
            second.get_by_role("button", name="Release").click()
            second.get_by_text("1 recipient is released.").wait_for()
            still.get_by_role("button", name="Release").click()
            still.get_by_text(re.compile("Nothing was changed: nora@acme.example released it at")).wait_for()


def test_a_mail_with_several_fates_has_its_worst_first_and_the_apis_word(page: Page, mails: World) -> None:
    names = ["ann", "gone", "slow"]
    email_id = send(mails, [f"{name}+fate@{RECIPIENT_DOMAIN}" for name in names], "Fates")  # type: ignore[arg-type]
    mails.wait_until(lambda: b"4.7.1" in mails.relay.run("queue", "show", email_id).stdout)
    page.goto(f"/emails/{email_id}")
    page.wait_for_selector("[data-recipient][data-status=delivered]")
    rows = page.locator("[data-recipient]")
    assert rows.evaluate_all("rows => rows.map(row => row.dataset.status)") == ["bounced", "sending", "delivered"]
    status = mails.relay.get(f"/v1/emails/{email_id}", mails.live_key)[1]["status"]
    assert page.locator(".mail-head [data-status]").get_attribute("data-status") == status
    page.goto("/emails?q=fates&open=-")
    assert page.locator(f"[data-id={email_id}]").get_attribute("data-status") == status
    page.goto(f"/emails/{email_id}")
    deferred = page.locator("[data-recipient][data-status=sending]")
    deferred.get_by_text("Change this one").click()
    deferred.get_by_label(re.compile("Why the mail")).fill("only her")
    deferred.get_by_role("button", name="Hold").click()
    page.get_by_text("1 recipient is held.").wait_for()
    assert '"only her"' in page.locator("[data-recipient][data-status=sending]").inner_text()


def test_many_recipients_are_shown_fifty_at_a_time(page: Page, mails: World) -> None:
    to = [f"many{number}@{RECIPIENT_DOMAIN}" for number in range(60)]
    email_id = send(mails, to[:50], "Crowd", bcc=to[50:], scheduled_at="in 4 hours")  # type: ignore[arg-type]
    page.goto(f"/emails/{email_id}")
    assert page.locator("[data-recipient]").count() == 50
    page.get_by_role("link", name="10 more, none worse").click()
    page.wait_for_url("**recipients=50*")
    assert page.locator("[data-recipient]").count() == 10
    page.get_by_role("link", name="Worse ones").click()
    page.wait_for_url("**recipients=0*")


def test_all_that_match_is_exported(mails: World, reader: Browser, looker: Browser) -> None:
    ids = send_many(mails, 3, '=HYPERLINK("http://evil.example")')
    table = reader.get("/emails/export?q=hyperlink&format=csv")
    assert (table.status, table.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    lines = table.text.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("id,status,from,to,subject")
    assert "\"'=HYPERLINK" in lines[1]
    objects = [json.loads(line) for line in reader.get("/emails/export?q=hyperlink&format=ndjson").text.splitlines()]
    assert [each["id"] for each in objects] == ids[::-1]
    assert objects[0]["to"] == [f"ann+2@{RECIPIENT_DOMAIN}"]
    assert reader.get("/audit?q=emails.exported").text.count('data-id="aud_') >= 2
    assert looker.get("/emails/export?q=hyperlink").status == 404
    assert reader.get("/emails/export?q=statsu:x").status == 400
    assert reader.get("/emails/export?format=xml").status == 404
