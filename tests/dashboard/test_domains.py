"""Domains: added, looked at, removed, and what each record needs."""

import html
import re

import pytest

from sendryd.testing.process import RelayProcess
from sendryd.testing.world import SENDING_DOMAIN, World

from .conftest import EMAIL, Answer, Browser

pytestmark = pytest.mark.sockets


def test_a_domain_is_added_shown_checked_and_removed(owner: Browser) -> None:
    added = owner.send("/domains", {"name": "Setup.Example"})
    assert (added.status, added.headers["location"]) == (303, "/domains/setup.example")
    shown = owner.get("/domains/setup.example")
    assert (shown.status, shown.page) == (200, "domain")
    verdicts = dict(re.findall(r'data-record="(\w+)" data-verdict="(\w+)"', shown.text))
    assert set(verdicts) == {"dkim", "spf", "dmarc"}
    assert "v=DKIM1" in shown
    checked = owner.send("/domains/setup.example/check", {}, page="/domains/setup.example")
    assert checked.status == 200
    assert re.search(r"Seen by|No answer", checked.text)
    row = re.search(r'<tr data-id="(dom_\w{13})" data-status="pending">', owner.get("/domains").text)
    assert row
    settings = "/domains/setup.example/settings"
    wrong = owner.send("/domains/setup.example/remove", {"name": "other.example"}, page=settings)
    assert (wrong.status, "Type setup.example to remove it." in wrong) == (422, True)
    assert owner.send("/domains/setup.example/remove", {"name": "setup.example"}, page=settings).status == 303
    assert owner.get("/domains/setup.example").status == 404


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "This is no domain name"),
        ("no dots", "This is no domain name"),
        ("gmail.com", "public mailbox host"),
        ("co.uk", "an ending that many share"),
        ("<script>alert(1)</script>", "This is no domain name"),
        ("x" * 300 + ".example", "This is no domain name"),
    ],
)
def test_a_bad_name_is_explained_and_kept(owner: Browser, name: str, says: str) -> None:
    answer = owner.send("/domains", {"name": name})
    assert (answer.status, says in answer) == (422, True)
    assert "<script>alert" not in answer.text
    assert f'value="{html.escape(name)}"' in answer.text.replace("&#x2f;", "/") or not name


def test_a_doubtful_name_is_added_with_a_warning(owner: Browser) -> None:
    owner.send("/domains", {"name": "acme-shop.example"})
    for name, says in (("news.big.example", "news.big.example is a subdomain"), ("acme-shpo.example", "looks like acme-shop.example")):
        assert owner.send("/domains", {"name": name}).status == 303
        assert says in owner.get(f"/domains/{name}")
    assert "looks like" not in owner.get("/domains/news.big.example")


def test_every_domain_is_checked_at_once(owner: Browser) -> None:
    owner.send("/domains", {"name": "checked.example"})
    assert owner.send("/domains/check", {}, page="/domains").status == 303


def test_texts_to_paste_hold_what_is_missing(reader: Browser) -> None:
    reader.send("/domains", {"name": "paste.example"})
    reader.send("/domains/paste.example/check", {}, page="/domains/paste.example")
    shown = reader.get("/domains/paste.example/paste")
    assert all(text in shown for text in ("; paste.example: records", 'resource "dns_txt_record_set"', f"Questions go to {EMAIL}"))
    file = reader.get("/domains/paste.example/zone-file")
    assert file.headers["content-disposition"] == 'attachment; filename="paste.example.zone"'
    assert "sendry._domainkey.paste.example. 3600 IN TXT" in file.text


def test_settings_and_tracking_are_saved(owner: Browser, viewer: Browser, relay: RelayProcess) -> None:
    owner.send("/domains", {"name": "saved.example"})
    path = "/domains/saved.example"
    owner.send(f"{path}/tracking", {"track_opens": "on"})
    owner.send(f"{path}/settings", {"include_subdomains": "on", "tls_policy": "enforced"})
    stored = relay.json("domains", "show", "saved.example")
    found = {name: stored[name] for name in ("track_opens", "track_clicks", "include_subdomains", "tls_policy")}
    assert found == {"track_opens": True, "track_clicks": False, "include_subdomains": True, "tls_policy": "enforced"}
    assert owner.send(f"{path}/settings", {"tls_policy": "none"}).status == 422
    assert "redirect:" not in relay.run("domains", "show", path.rpartition("/")[2], "--json").stdout.decode()
    way = {"tls_policy": "enforced", "delivery": "redirect"}
    refused = owner.send(f"{path}/settings", {**way, "delivery_to": "dev"})
    assert (refused.status, "is no address" in refused.text) == (422, True)
    owner.send(f"{path}/settings", {**way, "delivery_to": "dev@team.example, qa@team.example"})
    assert relay.json("domains", "show", path.rpartition("/")[2])["delivery"] == "redirect:dev@team.example,qa@team.example"
    smart = {"tls_policy": "enforced", "smarthost": "smtp://app@smtp.example.com", "smarthost_password": "hidden-1"}
    saved = owner.send(f"{path}/settings", smart)
    assert (saved.status, "hidden-1" in saved.text, "app@smtp.example.com:587" in saved.text) == (200, False, True)
    inside = owner.send(f"{path}/settings", {**smart, "smarthost": "smtp://app:hidden-2@10.0.0.1"})
    assert (inside.status, "only an operator may set" in inside.text, "hidden-2" in inside.text) == (422, True, False)
    relay.run("account", "set", "smarthost=smtp://all@smtp.example.com")
    shown = viewer.get(f"{path}/settings")
    relay.run("account", "set", "smarthost=")
    assert "Left empty, the mail goes to the account's: smtp://all@smtp.example.com:587" in re.sub(
        r"<[^>]*>", "", html.unescape(shown.text)
    )
    assert viewer.post(f"{path}/settings", {"token": shown.token, "tls_policy": "opportunistic"}).status == 403


def test_a_domain_that_is_there_is_not_added_twice(owner: Browser) -> None:
    owner.send("/domains", {"name": "twice.example"})
    again = owner.send("/domains", {"name": "twice.example"})
    assert (again.status, "in this account already" in again) == (422, True)


def test_a_viewer_sees_no_form_and_is_refused_by_hand(viewer: Browser, owner: Browser) -> None:
    owner.send("/domains", {"name": "seen.example"})
    assert 'action="/domains"' not in viewer.get("/domains").text
    shown = viewer.get("/domains/seen.example")
    assert (shown.status, "/check" in shown, "/remove" in viewer.get("/domains/seen.example/settings")) == (200, False, False)
    assert viewer.post("/domains", {"token": shown.token, "name": "evil.example"}).status == 403
    assert viewer.post("/domains/seen.example/remove", {"token": shown.token, "name": "seen.example"}).status == 403
    assert owner.get("/domains/seen.example").status == 200


def test_changes_are_in_the_audit(owner: Browser, relay: RelayProcess) -> None:
    owner.send("/domains", {"name": "audited.example"})
    assert relay.json("domains", "show", "audited.example")["name"] == "audited.example"
    owner.send("/domains/audited.example/remove", {"name": "audited.example"}, page="/domains/audited.example")
    shown = owner.get("/audit?q=audited.example")
    assert all(text in shown for text in ("domain.added", "domain.removed", EMAIL))
    assert owner.get("/domains/nowhere.example").status == 404


def test_a_member_checks_and_does_not_add_or_remove(member: Browser, owner: Browser) -> None:
    owner.send("/domains", {"name": "members.example"})
    path = "/domains/members.example"
    shown = member.get(path)
    assert (f"{path}/check" in shown, f"{path}/remove" in member.get(f"{path}/settings")) == (True, False)
    assert member.send(f"{path}/check", {}, page=path).status == 200
    assert member.post("/domains", {"token": shown.token, "name": "more.example"}).status == 403
    assert member.post(f"{path}/remove", {"token": shown.token, "name": "members.example"}).status == 403


def records(answer: Answer) -> dict[str, tuple[str, str]]:
    """The verdict and the text of each record of a page."""
    found = re.findall(r'data-record="(\w+)" data-verdict="(\w+)">(.*?)</article>', answer.text, re.DOTALL)
    return {name: (verdict, html.unescape(re.sub(r"<[^>]*>", " ", inside))) for name, verdict, inside in found}


def add_and_check(browser: Browser, name: str) -> dict[str, tuple[str, str]]:
    """The page after a check."""
    browser.send("/domains", {"name": name})
    path = f"/domains/{name}"
    assert browser.send(f"{path}/check", {}, page=path).status == 200
    return records(browser.get(path))


def test_each_verified_record_is_right(reader: Browser) -> None:
    shown = reader.get(f"/domains/{SENDING_DOMAIN}")
    assert {verdict for verdict, _ in records(shown).values()} == {"right"}
    assert "Every required record is right." in shown
    assert "Receivers can check the signature that each mail gets here" in records(shown)["dkim"][1]
    assert shown.text.count('aria-label="Copy the') == 9


def test_a_domain_without_records_says_what_to_publish(reader: Browser) -> None:
    shown = add_and_check(reader, "bare.example")
    assert {name: verdict for name, (verdict, _) in shown.items()} == {"dkim": "edit", "spf": "edit", "dmarc": "advised"}
    assert [name for name, (_, text) in shown.items() if "Publish this record" not in text] == []
    assert "2 edits are missing. Until then mail from it is refused with 550 5.7.1." in reader.get("/domains/bare.example")
    listed = html.unescape(reader.get("/domains").text)
    row = re.search(r'<tr data-id="dom_\w{13}" data-status="pending"><td><a href="/domains/bare.example">.*?</tr>', listed)
    assert row
    assert re.search(r'title="DMARC: advised"', row[0])
    assert "2 records to mend" in row[0]


def test_two_spf_records_become_one_line(reader: Browser, mails: World) -> None:
    found = ("v=spf1 include:_spf.mail.example ~all", "v=spf1 ip4:198.51.100.7 -all")
    mails.nameserver.set_text("two-spf.example", *found)
    verdict, text = add_and_check(reader, "two-spf.example")["spf"]
    assert verdict == "edit"
    assert [re.search(rf"delete\s+{re.escape(line)}", text) is not None for line in found] == [True, True]
    merged = re.findall(r"v=spf1 include:_spf.mail.example ip4:198.51.100.7 a:\S+ ~all", text)
    assert len(merged) == 2  # the value to copy, and the line to add


def test_a_stricter_policy_that_is_right_is_shown(reader: Browser, mails: World) -> None:
    mails.nameserver.set_text("_dmarc.strict.example", "v=DMARC1; p=reject; rua=mailto:d@strict.example")
    verdict, text = add_and_check(reader, "strict.example")["dmarc"]
    assert verdict == "right"
    assert re.search(r"found\s+v=DMARC1; p=reject; rua=mailto:d@strict.example", text)


def test_a_record_at_the_doubled_name_says_which_name_to_enter(reader: Browser, mails: World) -> None:
    mails.nameserver.set_text("doubled.example.doubled.example", "v=spf1 mx ~all")
    verdict, text = add_and_check(reader, "doubled.example")["spf"]
    assert verdict == "edit"
    assert "enter @ as the name" in text


def test_a_hostile_record_is_text(reader: Browser, mails: World) -> None:
    hostile = 'v=spf1 "><img src=x onerror=alert(1)><script>alert(1)</script> ~all'
    mails.nameserver.set_text("hostile.example", hostile)
    verdict, text = add_and_check(reader, "hostile.example")["spf"]
    assert verdict == "edit"
    assert hostile in text
    page = reader.get("/domains/hostile.example").text
    assert not re.search(r"<script>alert|<img", page)


@pytest.mark.parametrize(
    "path",
    ["/domains/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "/domains/%22%3E%3Cimg%20onerror=x%3E", "/domains/%00", "/domains/" + "x" * 2000],
)
def test_a_hostile_address_is_missing(owner: Browser, path: str) -> None:
    answer = owner.get(path)
    assert (answer.status, answer.page) == (404, "missing")
    assert not re.search(r"<script>alert|<img", answer.text)


def test_what_the_policy_for_incoming_mail_asks_is_set(owner: Browser) -> None:
    path = "/domains/sts.example/settings"
    owner.send("/domains", {"name": "sts.example"})
    fields = {"tls_policy": "opportunistic", "delivery": "live", "delivery_to": ""}
    assert '<option value="testing" selected>' in owner.get(path)
    assert owner.send(path, {**fields, "mta_sts": "enforce"}, page=path).status == 200
    assert '<option value="enforce" selected>Enforced: mail comes only' in owner.get(path)
    assert owner.send(path, {**fields, "mta_sts": "always"}, page=path).status == 422
