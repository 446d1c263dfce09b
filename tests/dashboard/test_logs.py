"""The logs of both doors: requests of apps, and submissions that were refused."""

import html
import re
import shlex
import smtplib
import ssl
import subprocess
from pathlib import Path

import pytest

from sendryd.testing.clients import RestClient, submit
from sendryd.testing.process import RelayProcess
from sendryd.testing.waiting import wait_until
from sendryd.testing.world import SENDING_DOMAIN, World

from .conftest import Answer, Browser, become_owner

pytestmark = pytest.mark.sockets

BAD = '<script>alert(1)</script>"><img onerror=x>'


def refuse(mails: World, recipient: str) -> None:
    content = b"From: shop@unverified.test\r\nSubject: x\r\n\r\nx\r\n"
    code, reply = submit(mails.relay, mails.live_key, f"shop@{SENDING_DOMAIN}", [recipient], content)
    assert (code, "not verified" in reply) == (550, True)


def test_a_refused_message_is_found_by_its_recipient_with_the_reply(mails: World, reader: Browser, looker: Browser) -> None:
    refuse(mails, "refused@example.org")
    mails.wait_until(lambda: "refused@example.org" in reader.get("/log/smtp?q=refused%40"))
    for browser in (reader, looker):
        page = browser.get("/log/smtp?q=refused%40")
        assert (page.status, page.page) == (200, "smtp-log")
        assert "550 5.7.1 The domain unverified.test is not verified" in page
        assert f"shop@{SENDING_DOMAIN}" in page
        assert "content" in page
    search = reader.get("/emails?q=refused%40example.org")
    assert "data-refused" in search.text
    assert "No such mail was accepted. 1 message was refused in the last hour: the domain unverified.test is not verified." in search


def session(page: Answer, name: str) -> str:
    """What the page says of a session, by the name that the client gave."""
    found = [each for each in re.findall(r"<li data-session=.*?</li>", page.text, re.DOTALL) if name in each]
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", found[0]))) if found else ""


def test_a_session_is_there_while_it_goes_on_and_afterwards(mails: World, reader: Browser, looker: Browser) -> None:
    with smtplib.SMTP(*mails.relay.smtp, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(mails.relay.cert)))
        smtp.ehlo(name="shop.visits.test")
        assert "no key" in session(reader.get("/log/smtp"), "shop.visits.test")
        assert "shop.visits.test" not in looker.get("/log/smtp")
        smtp.login("sendry", mails.live_key)
        smtp.sendmail(f"shop@{SENDING_DOMAIN}", ["a@example.org", "b@example.org"], f"From: shop@{SENDING_DOMAIN}\r\n\r\nTop secret\r\n")
        assert smtp.docmd("MAIL", "FROM:<shop@elsewhere.test>")[0] == 550
        for browser in (reader, looker):
            words = session(browser.get("/log/smtp?q=VISITS.test&show=sessions"), "shop.visits.test")
            assert "Open127.0.0.1, called itself shop.visits.test" in words
            assert "1 mail to 2 recipients, TLSv1.3" in words
            assert "1 refusal: 550 5.7.1 The domain elsewhere.test is not verified" in words
    mails.wait_until(lambda: "Ended" in session(reader.get("/log/smtp"), "shop.visits.test"))
    page = reader.get("/log/smtp")
    assert re.search(r"data-key=\"key_\w+\".*?\d+ sessions?, \d+ mails? to \d+ recipients?, \d+ refusals?", page.text, re.DOTALL)
    assert mails.live_key not in page.text
    assert "Top secret" not in page.text


def test_the_filter_chooses_what_is_shown(mails: World, reader: Browser) -> None:
    refuse(mails, "chosen@example.org")
    assert "data-session" not in reader.get("/log/smtp?show=refusals").text
    sessions = reader.get("/log/smtp?show=sessions").text
    assert "data-session" in sessions
    assert 'data-status="refused"' not in sessions
    assert "No session matches." in reader.get("/log/smtp?q=nowhere%25")


def test_a_key_that_is_refused_shows_to_operators_alone(mails: World, reader: Browser, looker: Browser) -> None:
    with smtplib.SMTP(*mails.relay.smtp, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(mails.relay.cert)))
        smtp.ehlo(name="guesser.test")
        with pytest.raises(smtplib.SMTPAuthenticationError):
            smtp.login("sendry", "sn_live_" + "x" * 43)
    mails.wait_until(lambda: "guesser.test" in reader.get("/log/smtp?show=refusals"))
    page = reader.get("/log/smtp")
    assert "AUTH" in page
    assert "x" * 43 not in page
    assert "guesser.test" not in looker.get("/log/smtp")


def test_a_refused_command_is_shown_escaped(mails: World, reader: Browser) -> None:
    with smtplib.SMTP(*mails.relay.smtp, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(mails.relay.cert)))
        smtp.login("sendry", mails.live_key)
        smtp.mail(f"shop@{SENDING_DOMAIN}")
        code, _ = smtp.docmd("RCPT", 'TO:<"><img/onerror=x>@example.org> <script>alert(1)</script>')
        assert code >= 500
    mails.wait_until(lambda: "RCPT" in reader.get(f"/log/smtp?q=shop%40{SENDING_DOMAIN}"))
    assert "<img/onerror" not in reader.get("/log/smtp").text
    assert "<script>alert" not in reader.get("/log/smtp").text


def test_a_search_without_a_hit_says_so(reader: Browser) -> None:
    assert "No refusal matches." in reader.get("/log/smtp?q=nowhere%25")
    assert "No request matches." in reader.get("/log/api?q=nowhere%25")


def test_a_request_is_shown_redacted_and_can_be_repeated(mails: World, reader: Browser) -> None:
    rest = RestClient(mails.relay, mails.live_key)
    rest.request("GET", "/v1/domains?x=1")
    rest.request("POST", "/v1/webhooks", {"url": "http://127.0.0.1/x?secret=1", "events": [BAD], "secret": "hidden-word"})
    rest.request("POST", "/v1/suppression", {"email": "logged@example.org", "reason": "manual"})
    mails.wait_until(lambda: 'data-status="200"' in reader.get("/log/api?method=POST&q=suppression").text)
    page = reader.get("/log/api")
    assert (page.status, page.page) == (200, "api-log")
    assert "hidden-word" not in page
    assert mails.live_key not in page
    assert "<script>alert" not in page.text
    found = reader.get("/log/api?method=POST&q=suppression")
    assert "/v1/webhooks" not in found
    assert 'data-status="200"' in found.text
    curl = found.text.partition('<pre id="curl-')[2].partition(">")[2].partition("</pre>")[0]
    line = html.unescape(curl)
    assert "$SENDRYD_KEY" in line
    command = ["bash", "-c", f"{line} -s -o /dev/null -w %{{http_code}}"]
    env = {"SENDRYD_KEY": mails.live_key, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=env, capture_output=True, check=True, timeout=30)
    assert done.stdout == b"200"
    assert shlex.split(line)[0] == "curl"


def test_an_id_opens_its_request(mails: World, reader: Browser) -> None:
    RestClient(mails.relay, mails.live_key).get("/v1/domains")
    mails.wait_until(lambda: "/v1/domains" in reader.get("/log/api?method=GET"))
    number = reader.get("/log/api?method=GET&q=domains").text.partition('data-id="log_')[2].partition('"')[0]
    assert "<details open>" in reader.get(f"/log/api?open=log_{number}").text


def test_the_empty_logs_say_how_to_begin(relay: RelayProcess, owner: Browser) -> None:
    assert owner.get("/log/smtp").status == 200
    assert owner.get("/log/api").status == 200
    assert relay.is_running


def test_an_operator_shuts_an_address_out_and_lets_it_in_again(mails: World, reader: Browser, looker: Browser) -> None:
    refuse(mails, "blocked@example.org")
    mails.wait_until(lambda: "/log/smtp?block=127.0.0.1" in html.unescape(reader.get("/log/smtp").text))
    assert "block=" not in looker.get("/log/smtp").text
    assert looker.send("/log/smtp/block", {"address": "192.0.2.66"}, page="/log/smtp").status == 403
    page = "/log/smtp?block=192.0.2.66"
    assert "Open sessions end after their mail" in reader.get(page)
    for address in ("nonsense", "192.0.2.0/24", "", "192.0.2.66<script>"):
        wrong = reader.send("/log/smtp/block", {"address": address, "for": "day"}, page=page)
        assert (wrong.status, "Enter an IPv4 or IPv6 address." in wrong) == (422, True)
    assert reader.send("/log/smtp/block", {"address": "192.0.2.66", "for": "year"}, page=page).status == 404
    done = reader.send("/log/smtp/block", {"address": "192.0.2.66", "for": "day", "reason": BAD}, page=page)
    assert (done.status, done.headers["location"]) == (303, "/log/smtp#blocked")
    shown = reader.get("/log/smtp")
    assert 'data-id="192.0.2.66" data-status="blocked"' in shown.text
    assert "By Mara Lind since" in re.sub(r"<[^>]*>", "", shown.text)
    assert BAD not in shown.text
    assert "192.0.2.66" not in looker.get("/log/smtp")
    assert reader.send("/log/smtp/unblock", {"network": "192.0.2.66"}, page="/log/smtp").status == 303
    assert "192.0.2.66" not in reader.get("/log/smtp")
    audit = reader.get("/audit?q=192.0.2.66")
    assert ("address.blocked" in audit, "address.unblocked" in audit) == (True, True)


def test_the_running_program_refuses_a_blocked_address(tmp_path: Path) -> None:
    def is_refused() -> bool:
        try:
            smtplib.SMTP(*relay.smtp).close()
        except smtplib.SMTPConnectError as error:
            return error.smtp_code == 554 and "blocked here" in str(error.smtp_error)
        return False

    with RelayProcess(tmp_path / "data") as relay:
        owner = become_owner(relay)
        with smtplib.SMTP(*relay.smtp) as smtp:
            assert owner.send("/log/smtp/block", {"address": "127.0.0.1", "for": "hour"}, page="/log/smtp?block=127.0.0.1").status == 303
            assert wait_until(is_refused)
            with pytest.raises(smtplib.SMTPServerDisconnected):
                smtp.getreply()  # 421
                smtp.getreply()
        assert owner.send("/log/smtp/unblock", {"network": "127.0.0.1"}, page="/log/smtp").status == 303
        assert wait_until(lambda: not is_refused())


def test_the_log_of_requests_leads_to_what_a_request_made(mails: World, reader: Browser) -> None:
    rest = RestClient(mails.relay, mails.live_key)
    body = {"from": f"shop@{SENDING_DOMAIN}", "to": "made@example.org", "subject": "Made", "text": "x"}
    made = rest.post("/v1/emails", body)["id"]
    rest.get(f"/v1/emails/{made}")
    mails.wait_until(lambda: f'made <a class="link mono" href="/emails/{made}">' in html.unescape(reader.get("/log/api").text))
    page = html.unescape(reader.get("/log/api?method=GET").text)
    assert f'href="/emails/{made}"' not in page
