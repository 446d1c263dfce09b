"""Queue: what waits by destination, why, and what people do about it."""

import html
import re
from pathlib import Path

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import PATIENT, Answer, Browser, become_owner
from .test_me import join

pytestmark = pytest.mark.sockets

BAD = '<script>alert(1)</script>"><img onerror=x>'


def send(mails: World, domain: str, *names: str) -> list[str]:
    """Sends a mail to each of these names at a domain of its own, whose server is that of `mails`."""
    mails.nameserver.zone[domain, "MX"] = ["10 mx.example.org."]
    rest = RestClient(mails.relay, mails.live_key)
    body = {"from": f"shop@{SENDING_DOMAIN}", "subject": BAD, "text": "x"}
    return [rest.post("/v1/emails", {**body, "to": f"{name}@{domain}"})["id"] for name in names]


def wait_for_reply(mails: World, reader: Browser, domain: str, text: str) -> Answer:
    """The page of a destination once it has this text."""
    mails.wait_until(lambda: text in reader.get(f"/queue/{domain}"))
    return reader.get(f"/queue/{domain}")


def destination(page: Answer, domain: str) -> str:
    """What the page says of a destination."""
    found = re.search(rf'<article[^>]* data-destination="{re.escape(domain)}".*?</article>', page.text, re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", found[0]))) if found else ""


def test_the_page_of_a_destination_has_its_servers_and_its_limit(mails: World, reader: Browser, looker: Browser) -> None:
    send(mails, "servers.test", "ann", "slow")
    page = wait_for_reply(mails, reader, "servers.test", "Mail servers")
    for answer in (page, looker.get("/queue/servers.test")):
        words = html.unescape(re.sub(r"<[^>]*>", "", answer.text))
        assert f"mx.example.org:{mails.mailhost.port}" in words
        assert "127.0.0.1, TLSv1.3" in words
        assert "answered" in words
        assert "Last success" in words
    mails.wait_until(lambda: re.search(r"<dd data-sending>0 of \d+ at once</dd>", reader.get("/queue/servers.test").text) is not None)


def test_a_destination_that_puts_mail_off_is_named_with_its_cause(mails: World, reader: Browser, looker: Browser) -> None:
    (public_id,) = send(mails, "later.test", "slow")
    page = wait_for_reply(mails, reader, "later.test", "Greylisting in action")
    assert (page.status, page.page) == (200, "queue-domain")
    assert f'data-id="{public_id}" data-status="sending"' in page.text
    assert BAD in page
    assert BAD not in page.text
    for browser in (reader, looker):
        listed = browser.get("/queue")
        assert (listed.status, listed.page) == (200, "queue")
        words = destination(listed, "later.test")
        assert "Waiting 1" in words
        assert "Next try" in words
        assert "later.test" in words
        assert "Greylisting in action" in words
    assert "Cancel 1 mail to later.test?" in reader.get("/queue")
    assert "<form" not in re.sub(
        r'<form[^>]*action="(/sign-out|/emails)".*?</form>|<dialog id="key-help".*?</dialog>',
        "",
        looker.get("/queue").text,
        flags=re.DOTALL,
    )


def test_all_mail_to_a_destination_is_held_released_and_cancelled(mails: World, reader: Browser) -> None:
    send(mails, "stops.test", "slow", "slow+2")
    wait_for_reply(mails, reader, "stops.test", "Waiting</dt><dd>2")
    held = reader.send("/queue/stops.test/hold", {"reason": "wrong link"}, page="/queue")
    assert (held.status, held.headers["location"]) == (303, "/queue?did=queue.held&n=2")
    assert "2 mails are held." in reader.get(held.headers["location"])
    words = destination(reader.get("/queue"), "stops.test")
    assert "Held by Mara Lind since" in words
    assert '"wrong link"' in words
    assert reader.send("/queue/stops.test/release", {"back": "domain"}, page="/queue").headers["location"].startswith("/queue/stops.test?")
    wait_for_reply(mails, reader, "stops.test", "Greylisting in action")
    mails.wait_until(
        lambda: (
            reader.send("/queue/stops.test/cancel", {}, page="/queue").status == 303 and not destination(reader.get("/queue"), "stops.test")
        )
    )
    entries = reader.get("/queue/stops.test")
    assert "Nothing waits for" in entries


def test_a_pause_stops_what_waits_and_what_comes_in_until_it_goes_on(mails: World, reader: Browser) -> None:
    assert reader.send("/queue/paused.test/pause", {}, page="/queue").status == 303
    assert "Paused by Mara Lind" in destination(reader.get("/queue"), "paused.test")
    mails.wait_until(lambda: '"domains": ["paused.test"]' in mails.relay.log_tail(20_000))
    (public_id,) = send(mails, "paused.test", "ann")
    wait_for_reply(mails, reader, "paused.test", "Mail to paused.test is paused by Mara Lind.")
    assert "paused by Mara Lind" in mails.relay.json("queue", "show", public_id)["data"][0]["explanation"]
    assert reader.send("/queue/paused.test/resume", {"back": "domain"}, page="/queue").headers["location"] == "/queue/paused.test?"
    mails.relay.wait_for_status(public_id, {"delivered"}, key=mails.live_key)
    assert not destination(reader.get("/queue"), "paused.test")


def test_all_mail_is_paused_and_goes_on(tmp_path: Path) -> None:
    with World(tmp_path, env=PATIENT) as world:
        owner = become_owner(world.relay)
        assert "Pause all" in owner.get("/queue")
        assert owner.send("/queue/pause", {"for": "ever"}, page="/queue").status == 404
        assert owner.send("/queue/pause", {"for": "day"}, page="/queue").status == 303
        page = owner.get("/queue")
        assert ("data-paused-all" in page.text, "Pause all</button>" in page.text) == (True, False)
        world.wait_until(lambda: '"domains": ["*"]' in world.relay.log_tail(20_000))
        body = {"from": f"shop@{SENDING_DOMAIN}", "subject": "Hello", "text": "x"}
        sent = RestClient(world.relay, world.live_key)
        ids = [sent.post("/v1/emails", {**body, "to": f"ann@{each}"})["id"] for each in (RECIPIENT_DOMAIN, "two.test")]
        world.wait_until(lambda: all(each in owner.get("/queue") for each in (RECIPIENT_DOMAIN, "two.test")))
        home = owner.get("/")
        assert ("All mail is paused by Mara Lind" in home, "Mail is accepted and kept. Nothing is sent." in home) == (True, True)
        assert "All mail is paused by Mara Lind" in owner.get(f"/emails/{ids[0]}")
        assert owner.send("/queue/resume", {}, page="/queue").status == 303
        world.relay.wait_for_status(ids[0], {"delivered"}, key=world.live_key)
        assert "data-paused-all" not in owner.get("/queue").text
        audit = owner.get("/audit?q=all+mail")
        assert ("queue.paused" in audit, "queue.resumed" in audit) == (True, True)


def test_a_pause_has_an_end(mails: World, reader: Browser) -> None:
    assert reader.send("/queue/rests.test/pause", {"for": "hour"}, page="/queue").status == 303
    assert re.search(r"Paused by Mara Lind since .*, until \S+", destination(reader.get("/queue"), "rests.test"))
    mails.wait_until(lambda: '"domains": ["rests.test"]' in mails.relay.log_tail(20_000))
    (public_id,) = send(mails, "rests.test", "ann")
    wait_for_reply(mails, reader, "rests.test", "Mail to rests.test is paused by Mara Lind until ")
    assert reader.send("/queue/rests.test/resume", {}, page="/queue").status == 303
    mails.relay.wait_for_status(public_id, {"delivered"}, key=mails.live_key)
    assert reader.send("/queue/rests.test/pause", {"for": "ever"}, page="/queue").status == 404


def test_a_person_limits_the_sessions_with_a_destination(mails: World, reader: Browser, looker: Browser) -> None:
    send(mails, "narrow-way.test", "ann")
    page = wait_for_reply(mails, reader, "narrow-way.test", "History of limits")
    assert 'data-limit="5 at once"' in page.text
    refused = reader.send("/queue/narrow-way.test/limit", {"sessions": "21"}, page="/queue/narrow-way.test")
    assert (refused.status, "Enter a number from 1 to 20." in refused, 'value="21"' in refused.text) == (422, True, True)
    assert reader.send("/queue/narrow-way.test/limit", {"sessions": "2", "for": "day"}, page="/queue/narrow-way.test").status == 303
    for browser in (reader, looker):
        assert "At most 2 at once, set by Mara Lind" in re.sub(r"<[^>]*>", "", browser.get("/queue/narrow-way.test").text)
    send(mails, "narrow-way.test", "bob")
    mails.wait_until(lambda: "set by a person" in reader.get("/queue/narrow-way.test"))
    assert 'data-limit="2 at once"' in reader.get("/queue/narrow-way.test").text
    assert looker.send("/queue/narrow-way.test/limit", {}, page="/").status == 403
    assert reader.send("/queue/narrow-way.test/limit", {}, page="/queue/narrow-way.test").status == 303
    assert "At most 2" not in reader.get("/queue/narrow-way.test")
    assert {"queue.limited", "queue.limit_lifted"} <= set(re.findall(r"queue\.limit\w+", reader.get("/audit").text))


def test_an_admin_who_is_no_operator_stops_no_mail_of_other_accounts(mails: World, reader: Browser) -> None:
    admin = join(mails.relay, "admin-of-queue@acme.example", "admin")
    send(mails, "everyones.test", "slow")
    wait_for_reply(mails, admin, "everyones.test", "Greylisting in action")
    changes = ("/queue/pause", "/queue/resume", *(f"/queue/everyones.test/{word}" for word in ("pause", "limit", "resume")))
    token = admin.get("/queue").token
    assert {admin.post(path, {"token": token, "for": "hour", "sessions": "1"}).status for path in changes} == {403}
    for path in ("/queue", "/queue/everyones.test", "/queue/nothing-waits.test"):
        shown = html.unescape(admin.get(path).text)
        assert not any(f'action="{each}"' in shown for each in changes), path
    assert 'action="/queue/everyones.test/hold"' in html.unescape(admin.get("/queue/everyones.test").text)
    shown = html.unescape(reader.get("/queue").text + reader.get("/queue/everyones.test").text)
    assert {each for each in changes if f'action="{each}"' in shown} == {each for each in changes if not each.endswith("resume")}


def test_a_viewer_changes_nothing(mails: World, looker: Browser) -> None:
    token = looker.get("/queue").token
    assert {looker.post(f"/queue/x.test/{word}", {"token": token}).status for word in ("try", "hold", "cancel", "pause", "resume")} == {403}
    assert mails.relay.is_running


@pytest.mark.parametrize("domain", ["..", "a%20b", "%3Cscript%3E", "x" * 300])
def test_what_is_no_domain_is_missing(reader: Browser, domain: str) -> None:
    answer = reader.get(f"/queue/{domain}")
    assert (answer.status, answer.page) == (404, "missing")


def test_what_was_done_is_told_in_our_words_alone(reader: Browser) -> None:
    for query in ("did=queue.held&n=x", "did=%3Cb%3E&n=1", "did=queue.held&n=99999999999", "did=queue.held"):
        assert 'class="alert good"' not in reader.get(f"/queue?{query}").text


def test_a_reply_that_is_not_known_is_listed_on_health_without_addresses_and_forgotten(mails: World, reader: Browser) -> None:
    send(mails, "moon.test", "odd")
    mails.wait_until(lambda: "The moon is wrong for ADDRESS" in reader.get("/health"))
    (found,) = [each for each in mails.relay.json("queue", "replies")["data"] if "moon" in each["reply"]]
    assert (found["count"], found["host"]) == (1, "mx.example.org")
    assert "odd@moon.test" not in reader.get("/health").text
    assert reader.send("/health/replies", {"reply": found["reply"]}, page="/health").status == 303
    assert "The moon is wrong" not in reader.get("/health")


def test_suspended_addresses_are_named_and_a_smart_host_is_a_destination(mails: World, reader: Browser) -> None:
    mails.relay.env["SENDRYD_EGRESS"] = "default 127.0.0.5 a.example.com"
    try:
        mails.relay.run("queue", "suspend", "--address", "127.0.0.5", "--reason", "listed")
        assert "The address 127.0.0.5 is suspended until it is resumed: listed" in reader.get("/queue")
        mails.relay.run("queue", "resume", "--address", "127.0.0.5")
    finally:
        del mails.relay.env["SENDRYD_EGRESS"]
    assert "data-suspended" not in reader.get("/queue").text
    assert reader.get("/queue/smtp.example.com:587~0123456789abcdef").status == reader.get("/queue/nothing-waits.test").status
    assert reader.get("/queue/smtp.example.com:x").status == 404


def test_waiting_mail_is_returned_with_a_reason(mails: World, reader: Browser) -> None:
    (number,) = send(mails, "return.test", "slow")
    wait_for_reply(mails, reader, "return.test", "Greylisting in action")
    path = "/queue/return.test"
    assert reader.send(f"{path}/return", {"reason": " "}, page=path).status == 404
    assert "1 mail is in the class bulk now." in reader.get(reader.send(f"{path}/class", {"class": "bulk"}, page=path).headers["location"])
    assert reader.send(f"{path}/class", {"class": "otp"}, page=path).status == 404
    answer = reader.send(f"{path}/return", {"reason": BAD, "back": "domain"}, page=path)
    assert "1 mail is returned." in reader.get(answer.headers["location"])
    page = reader.get(f"/emails/{number}")
    assert f"Returned by Mara Lind: {BAD}." in page
    assert BAD not in page.text
    assert "slow@return.test" not in reader.get("/suppressions").text


def test_an_account_is_suspended_with_an_end_and_goes_on(mails: World, reader: Browser, looker: Browser) -> None:
    send(mails, "suspended.test", "slow")
    wait_for_reply(mails, reader, "suspended.test", "Greylisting in action")
    told = mails.relay.log_path.read_text("utf-8").count("accounts_suspended")
    assert reader.send("/queue/suspend", {"for": "hour", "reason": "spam"}, page="/queue").status == 303
    try:
        for browser in (reader, looker):
            page = browser.get("/queue")
            assert "The mail of this account is suspended by Mara Lind since" in re.sub(r"<[^>]*>", "", page.text)
            assert "spam" in page
        mails.wait_until(lambda: mails.relay.log_path.read_text("utf-8").count("accounts_suspended") > told)
        (number,) = send(mails, "suspended.test", "later")
        mails.wait_until(lambda: "the account is suspended until" in reader.get(f"/emails/{number}"))
        assert looker.post("/queue/unsuspend", {"token": looker.get("/queue").token}).status == 403
    finally:
        assert reader.send("/queue/unsuspend", {}, page="/queue").status == 303
    assert "is suspended by" not in reader.get("/queue")
    mails.relay.wait_for_status(number, {"delivered"}, key=mails.live_key)
