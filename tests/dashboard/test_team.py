"""Team and audit: who may do what to whom, and what is written down of it."""

import html
import re
from urllib.parse import urlsplit

import pyotp
import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.process import RelayProcess
from sendryd.testing.world import RECIPIENT_DOMAIN, World

from .conftest import EMAIL, PASSWORD, Answer, Browser

pytestmark = pytest.mark.sockets


def rows(answer: Answer) -> dict[str, tuple[str, str]]:
    """Ids and `data-status` by email."""
    found = re.findall(r'<tr data-id="(mem_\w+)" data-status="(\w+)".*?<bdi>([^<]*@[^<]*)</bdi>', answer.text, re.DOTALL)
    return {email: (member, status) for member, status, email in found}


def link_of(answer: Answer) -> str:
    """The path of the link that is shown once."""
    found = re.search(r'<pre id="invited-link">([^<]*)</pre>', answer.text)
    assert found
    return urlsplit(html.unescape(found[1])).path


def joined(relay: RelayProcess, inviting: Browser, email: str, role: str) -> Browser:
    """Somebody who was invited on the page and joined."""
    path = link_of(inviting.send("/team/invite", {"email": email, "role": role}, page="/team"))
    browser = Browser(relay.ready["http"])
    assert browser.send(path, {"name": email.partition("@")[0].title(), "password": PASSWORD}).status == 303
    return browser


def test_an_invitation_its_link_and_the_member(relay: RelayProcess, owner: Browser) -> None:
    shown = owner.send("/team/invite", {"email": "Ida@acme.example", "role": "member"}, page="/team")
    assert (shown.status, shown.page) == (200, "team")
    assert "No mail was sent, because no domain is verified yet" in shown
    first = link_of(shown)
    member, status = rows(owner.get("/team"))["ida@acme.example"]
    assert status == "pending"
    again = link_of(owner.send(f"/team/{member}/invite", {}, page="/team"))
    browser = Browser(relay.ready["http"])
    assert browser.get(first).status == 410
    assert browser.send(again, {"name": "Ida", "password": PASSWORD}).status == 303
    assert rows(owner.get("/team"))["ida@acme.example"][1] == "active"
    repeated = owner.send("/team/invite", {"email": "ida@acme.example", "role": "member"}, page="/team")
    assert (repeated.status, "here already" in repeated) == (409, True)


def test_a_password_is_reset_by_a_link(relay: RelayProcess, owner: Browser, viewer: Browser) -> None:
    locked_out = joined(relay, owner, "rosa@acme.example", "viewer")
    member, _ = rows(owner.get("/team"))["rosa@acme.example"]
    assert viewer.post(f"/team/{member}/reset", {"token": viewer.get("/team").token}).status == 403
    assert owner.send("/elevate", {"password": PASSWORD, "next": "/team"}).status == 303
    path = link_of(owner.send(f"/team/{member}/reset", {}, page="/team"))
    assert path.startswith("/reset/")
    browser = Browser(relay.ready["http"])
    shown = browser.get(path)
    assert (shown.status, "For rosa@acme.example." in shown, 'name="name"' in shown.text) == (200, True, False)
    assert browser.send(path, {"password": "short"}).status == 422
    assert browser.send(path, {"password": "another good one"}).headers["location"] == "/"
    assert (browser.get("/").status, locked_out.get("/").status, browser.get(path).status) == (200, 303, 410)


def test_a_disabled_person_is_out_at_once(relay: RelayProcess, owner: Browser) -> None:
    dora = joined(relay, owner, "dora@acme.example", "member")
    member, _ = rows(owner.get("/team"))["dora@acme.example"]
    assert owner.send(f"/team/{member}/disable", {"disabled": "yes"}, page="/team").headers["location"] == "/team?said=disabled"
    assert dora.get("/").headers["location"] == "/sign-in"
    assert "Disabled" in owner.get("/team")
    assert owner.send(f"/team/{member}/disable", {"disabled": "no"}, page="/team").status == 303
    assert dora.get("/").status == 303  # the session has ended for good


def test_without_the_second_factor_that_the_account_requires_nothing_opens_but_its_set_up(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with RelayProcess(tmp_path_factory.mktemp("factor") / "data") as relay:
        mara = Browser(relay.ready["http"])
        assert mara.send(urlsplit(relay.ready["owner_url"]).path, {"name": "Mara", "email": EMAIL, "password": PASSWORD}).status == 303
        ida = joined(relay, mara, "ida@acme.example", "admin")
        assert ida.post("/team/factor", {"token": ida.get("/team").token, "required": "yes"}).status == 403
        first = mara.send("/team/factor", {"required": "yes"}, page="/team")
        assert (first.status, "Set up your own second factor first" in first) == (409, True)
        secret = add_factor(mara)
        assert mara.send("/team/factor", {"required": "yes"}, page="/team").headers["location"] == "/team?said=required"
        assert "Your account requires a second factor." in mara.send("/me/factor/off", {"password": PASSWORD}, page="/me")
        for path in ("/", "/emails", "/team", "/me", "/settings"):
            assert (ida.get(path).status, ida.get(path).headers["location"]) == (303, "/me/factor"), path
        offered = ida.get("/me/factor")
        assert "The other pages open once yours is set up." in offered
        assert ida.post("/keys", {"token": offered.token, "name": "x", "mode": "test", "scope": "full_access"}).status == 403
        assert ida.get("/live?page=emails").status == 403
        assert add_factor(ida) != secret
        assert ida.get("/emails").status == 200
        assert ida.send("/sign-out", {}, page="/emails").status == 303


def add_factor(browser: Browser) -> str:
    """The secret of a second factor that is set up now."""
    offered = browser.get("/me/factor")
    secret = re.findall(r'name="secret" value="(\w+)"', offered.text)[0]
    done = browser.post("/me/factor", {"token": offered.token, "secret": secret, "code": pyotp.TOTP(secret).now()})
    assert (done.status, "recovery codes" in done) == (200, True)
    return str(secret)


def test_an_invitation_is_withdrawn(relay: RelayProcess, owner: Browser) -> None:
    path = link_of(owner.send("/team/invite", {"email": "wil@acme.example"}, page="/team"))
    member, _ = rows(owner.get("/team"))["wil@acme.example"]
    assert owner.send(f"/team/{member}/remove", {}, page="/team").headers["location"] == "/team?said=withdrawn"
    assert Browser(relay.ready["http"]).get(path).status == 410
    assert "wil@acme.example" not in rows(owner.get("/team"))
    assert owner.send(f"/team/{member}/remove", {}, page="/team").status == 404


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        ({"email": "nonsense", "role": "member"}, 422, "This is no email address"),
        ({"email": '"><script>alert(1)</script>', "role": "member"}, 422, "This is no email address"),
        ({"email": "new@acme.example", "role": "king"}, 422, "There is no such role."),
    ],
)
def test_a_bad_field_says_so_and_is_kept(owner: Browser, fields: dict[str, str], status: int, sentence: str) -> None:
    answer = owner.send("/team/invite", fields, page="/team")
    assert (answer.status, sentence in answer, fields["email"] in answer) == (status, True, True)
    assert "<script>alert" not in answer.text


def test_a_changed_role_ends_sessions_and_is_written_down(relay: RelayProcess, owner: Browser) -> None:
    browser = joined(relay, owner, "rob@acme.example", "viewer")
    member, _ = rows(owner.get("/team"))["rob@acme.example"]
    assert owner.send(f"/team/{member}/role", {"role": "admin"}, page="/team").headers["location"] == "/team?said=role"
    assert browser.get("/team").status == 303
    audit = owner.get("/audit?q=rob%40acme.example")
    assert audit.page == "audit"
    assert "role: viewer → admin" in audit
    assert re.search(r'<tr data-id="aud_\w+" data-status="person.role_changed">', audit.text)
    assert EMAIL in audit
    assert owner.send(f"/team/{member}/role", {"role": "king"}, page="/team").status == 422
    assert owner.send("/team/mem_nonsense/role", {"role": "admin"}, page="/team").status == 404


def test_sessions_are_ended_and_people_removed(relay: RelayProcess, owner: Browser) -> None:
    browser = joined(relay, owner, "ned@acme.example", "member")
    member, _ = rows(owner.get("/team"))["ned@acme.example"]
    assert owner.send(f"/team/{member}/end-sessions", {}, page="/team").headers["location"] == "/team?said=ended"
    assert browser.get("/").status == 303
    assert browser.send("/sign-in", {"email": "ned@acme.example", "password": PASSWORD}).status == 303
    assert owner.send(f"/team/{member}/remove", {}, page="/team").headers["location"] == "/team?said=removed"
    assert browser.get("/").status == 303
    assert browser.send("/sign-in", {"email": "ned@acme.example", "password": PASSWORD}).status == 401


def test_an_admin_does_not_manage_owners_and_nobody_removes_the_last_owner(relay: RelayProcess, owner: Browser) -> None:
    admin = joined(relay, owner, "ada@acme.example", "admin")
    mara, _ = rows(admin.get("/team"))[EMAIL]
    assert f"/team/{mara}/role" not in admin.get("/team").text
    assert admin.send(f"/team/{mara}/role", {"role": "viewer"}, page="/team").status == 403
    assert admin.send(f"/team/{mara}/remove", {}, page="/team").status == 403
    assert admin.send(f"/team/{mara}/end-sessions", {}, page="/team").status == 403
    assert admin.send("/team/invite", {"email": "eve@acme.example", "role": "owner"}, page="/team").status == 403
    last = owner.send(f"/team/{mara}/remove", {}, page="/team")
    assert (last.status, "make somebody else one first" in last) == (403, True)
    assert owner.get("/").page == "home"


def test_a_viewer_sees_the_team_and_changes_nothing(owner: Browser, viewer: Browser) -> None:
    shown = viewer.get("/team")
    assert (shown.status, shown.page) == (200, "team")
    assert 'action="/team' not in shown.text
    member, _ = rows(owner.get("/team"))["vera@acme.example"]
    token = {"token": viewer.get("/me").token}
    for path, fields in (("/team/invite", {"email": "x@acme.example"}), (f"/team/{member}/role", {"role": "owner"})):
        assert viewer.post(path, {**token, **fields}).status == 403
    for path in ("/audit", "/audit/export"):
        assert viewer.get(path).status == 404
    refused = owner.get("/audit?q=access.refused")
    assert "POST /team/invite" in refused
    assert "GET /audit" in refused


def test_the_audit_has_pages_a_search_and_an_export(relay: RelayProcess, owner: Browser) -> None:
    for _ in range(60):
        owner.get("/audit/export?q=zzz")
    first = owner.get("/audit")
    older = re.search(r'href="(/audit\?before=aud_\w+)" rel="next"', html.unescape(first.text))
    assert older
    assert len(re.findall('<tr data-id="aud_', first.text)) == 50
    second = owner.get(older[1])
    assert set(re.findall(r'data-id="(aud_\w+)"', first.text)) & set(re.findall(r'data-id="(aud_\w+)"', second.text)) == set()
    hostile = owner.get("/audit?q=%22%3E%3Cscript%3E&before=nonsense")
    assert (hostile.status, "Nothing matches." in hostile, "<script>" in hostile.text) == (200, True, False)
    exported = owner.get("/audit/export?q=audit.exported")
    assert exported.headers["content-type"].startswith("text/csv")
    lines = exported.text.splitlines()
    assert lines[0] == "time,actor,address,action,target,before,after"
    assert len(lines) > 60


def test_the_link_is_mailed_and_no_reader_of_the_account_sees_it(mails: World, reader: Browser, looker: Browser) -> None:
    shown = reader.send("/team/invite", {"email": f"nina@{RECIPIENT_DOMAIN}", "role": "admin"}, page="/team")
    assert "The link is on its way by mail." in shown
    token = link_of(shown).rpartition("/")[2]
    assert token.encode() in mails.wait_for_mail("You are invited to sendryd").content
    (mail,) = set(re.findall(r'data-id="(em_\w+)"', looker.get("/emails?q=invited+sendryd").text))
    for path in (f"/emails/{mail}", *(f"/emails/{mail}?part={part}" for part in ("Preview", "Text", "Source", "Headers"))):
        page = looker.get(path)
        assert (page.status, token in page.text) == (200, False)
    source = looker.get(f"/emails/{mail}/source")
    assert (source.status, token in source.text, "for its recipient alone" in source.text) == (200, False, True)
    shared = RestClient(mails.relay, mails.live_key).get(f"/v1/emails/{mail}/share")["url"]
    public = looker.get(urlsplit(str(shared)).path)
    assert (public.status, token in public.text) == (200, False)


def test_the_team_shows_who_has_a_second_factor(relay: RelayProcess, owner: Browser) -> None:
    browser = joined(relay, owner, "two@acme.example", "viewer")
    offered = browser.get("/me/factor")
    secret = re.findall(r'name="secret" value="([A-Z2-7]{32})"', offered.text)[0]
    assert "Two factors" not in owner.get("/team")
    browser.post("/me/factor", {"token": offered.token, "secret": secret, "code": pyotp.TOTP(secret).now()})
    assert "Two factors" in owner.get("/team")
