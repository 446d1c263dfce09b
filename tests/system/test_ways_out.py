"""Ways out of a domain with the real program: mail is captured, redirected or copied, by the command line, REST and SMTP."""

from pathlib import Path

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import Script
from sendryd.testing.world import SENDING_DOMAIN, World


def test_mail_goes_the_way_that_its_domain_has_when_it_is_accepted(tmp_path: Path) -> None:
    refuse = Script(rcpt=lambda address: "550 5.1.1 No such user" if address.startswith("archive") else None)
    with World(tmp_path, script=refuse) as world:
        rest = RestClient(world.relay, world.live_key)
        mail = {"from": f"a@{SENDING_DOMAIN}", "to": ["ann@example.org"], "bcc": ["bcc@example.org"], "subject": "s", "text": "t"}

        def send(way: str) -> str:
            assert world.relay.json("domains", "set", SENDING_DOMAIN, f"delivery={way}")["delivery"] == way
            world.wait_for_config_change()
            return str(rest.post("/v1/emails", {**mail, "subject": way})["id"])

        redirected = send("redirect:dev@example.org")
        captured = send("capture")
        assert rest.get(f"/v1/emails/{captured}")["status"] == "delivered"
        assert rest.get(f"/v1/test-emails/{captured}")["to"] == ["ann@example.org"]
        assert captured not in {each["id"] for each in rest.get("/v1/emails")["data"]}
        copied = send("copy:archive@example.org")
        for email_id in (redirected, copied):
            world.relay.wait_for_status(email_id, {"delivered"}, key=world.live_key)
        world.wait_until(lambda: rest.events(copied).count("bounced") == 1)
        assert rest.get(f"/v1/emails/{copied}")["status"] == "delivered"
        (got,) = [each for each in world.mailhost.mails if b"Subject: redirect:" in each.content]
        assert got.recipients == ["dev@example.org"]
        assert b"X-Sendry-Original-To: ann@example.org,\r\n undisclosed-recipients:;\r\n" in got.content
        assert b"bcc@example.org" not in got.content
        world.check_signature(got.content)
        assert not [each for each in world.mailhost.mails if b"Subject: capture" in each.content]
