"""Deleting the account."""

import json
import smtplib
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import EMAIL, PASSWORD, PATIENT, Browser, become_owner

pytestmark = pytest.mark.sockets


def test_only_an_owner_comes_near(owner: Browser, member: Browser) -> None:
    assert "Delete the account" in owner.get("/team")
    assert "Delete the account" not in member.get("/team")
    assert member.get("/settings/delete").status == 404
    assert member.send("/settings/delete", {"name": "default"}, page="/team").status == 403
    for name in ("", "Default ", "default2"):
        wrong = owner.send("/settings/delete", {"name": name})
        assert (wrong.status, "Type default to delete the account." in wrong) == (422, True)
    assert "Nothing is deleted" in owner.get("/deleted")


def test_an_account_is_deleted_once_nothing_waits(tmp_path: Path) -> None:
    with World(tmp_path, env=PATIENT) as world:
        owner = become_owner(world.relay)
        rest = RestClient(world.relay, world.live_key)
        body = {"from": f"shop@{SENDING_DOMAIN}", "to": f"ann@{RECIPIENT_DOMAIN}", "subject": "Hello", "text": "x"}
        mail = rest.post("/v1/emails", {**body, "scheduled_at": "in 3 hours"})["id"]
        page = owner.get("/settings/delete")
        assert ("1 mail waits" in page, "Type the account" in page) == (True, False)
        refused = owner.send("/settings/delete", {"name": "default"})
        assert (refused.status, "1 mail waits" in refused) == (409, True)
        assert owner.send(f"/emails/{mail}/cancel", {}).status == 303

        done = owner.send("/settings/delete", {"name": "default"})
        assert (done.status, done.headers["location"]) == (303, "/deleted")
        assert "The account is deleted" in owner.get("/deleted")
        assert owner.get("/team").headers["location"].startswith("/sign-in")
        assert Browser(owner.base).send("/sign-in", {"email": EMAIL, "password": PASSWORD}).status == 401
        world.wait_until(lambda: rest.request("GET", "/v1/emails").status == 401)  # as any revoked key: within a second
        with smtplib.SMTP(*world.relay.smtp, timeout=30) as smtp:
            smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
            with pytest.raises(smtplib.SMTPAuthenticationError):
                smtp.login("sendry", world.live_key)

        url = world.relay.run("people", "owner-link").stdout.decode().strip().split()[-1]
        again = Browser(owner.base)
        assert again.send(urlsplit(url).path, {"name": "Nora", "email": "nora@acme.example", "password": PASSWORD}).status == 303
        assert "account.deleted" in again.get("/audit")
        assert SENDING_DOMAIN not in again.get("/domains")


def test_mail_that_comes_in_while_its_account_ends_is_refused_after_its_content(tmp_path: Path) -> None:
    settings = {"SENDRYD_BOUNCE_DOMAIN": "bounce.example.test", "SENDRYD_INBOUND_LISTEN": "127.0.0.1:0"}
    with World(tmp_path, env={**PATIENT, **settings}) as world:
        address = RestClient(world.relay, world.live_key).get("/v1/inbound/config")["inbound_address"]
        owner = become_owner(world.relay)
        host, _, port = world.relay.ready["inbound"].rpartition(":")
        with smtplib.SMTP(host, int(port), timeout=30) as smtp:
            smtp.ehlo("mx.example.org")
            for recipient in (address, f"shop@{SENDING_DOMAIN}"):
                smtp.mail("ada@example.net")
                assert smtp.rcpt(recipient)[0] == 250
                smtp.rset()
            smtp.mail("ada@example.net")
            smtp.rcpt(address)
            smtp.rcpt(f"shop@{SENDING_DOMAIN}")
            assert owner.send("/settings/delete", {"name": "default"}).status == 303
            assert smtp.data(b"From: ada@example.net\r\nSubject: late\r\n\r\nx\r\n") == (550, b"5.1.1 No such address here")
        lines = [json.loads(line) for line in world.relay.log_path.read_text("utf-8").splitlines() if line.startswith("{")]
        assert [each["reason"] for each in lines if each["event"] == "refused" and each.get("door") == "inbound"]
