"""Reports to senders with the real program: asked for by NOTIFY, or by the sending domain's setting."""

import re
import smtplib
import ssl
from email import message_from_bytes
from pathlib import Path

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import DEFAULT_EXTENSIONS, ReceivedMail, Script
from sendryd.testing.world import SENDING_DOMAIN, World

SENDER = f"app@{SENDING_DOMAIN}"


def submit(world: World, recipient: str, *options: str, sender: str = SENDER) -> None:
    with smtplib.SMTP(*world.relay.smtp, timeout=60) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        client.login("sendry", world.live_key)
        content = f"From: {SENDER}\r\nTo: {recipient}\r\nSubject: about {recipient}\r\n\r\nbody of {recipient}\r\n"
        client.sendmail(sender, [recipient], content, mail_options=["RET=FULL", "ENVID=E1"], rcpt_options=list(options))


def reports(world: World) -> dict[str, ReceivedMail]:
    """The reports that have arrived, by the recipient that each is about."""
    found = [each for each in world.mailhost.mails if b"report-type=delivery-status" in each.content]
    return {re.search(rb"Final-Recipient: rfc822; (\S+)", each.content)[1].decode(): each for each in found}  # type: ignore[index]


def test_senders_are_told_what_they_ask_for_and_nothing_answers_a_report(tmp_path: Path) -> None:
    def refuse(address: str) -> str | None:
        return "550 5.1.1 No such user" if address.startswith(("bad", "app")) and is_refusing.get(address, True) else None

    is_refusing = {SENDER: False}
    with World(tmp_path, script=Script(rcpt=refuse)) as world:
        world.mailhost.extensions = tuple(each for each in DEFAULT_EXTENSIONS if each != "DSN")  # else it would send the reports of success
        world.nameserver.zone[(SENDING_DOMAIN, "MX")] = ["10 mx.example.org."]
        submit(world, "bad-asked@example.org", "NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;o@example.org")
        submit(world, "bad-never@example.org", "NOTIFY=NEVER")
        submit(world, "bad-silent@example.org")
        submit(world, "bad-null@example.org", "NOTIFY=FAILURE", sender="")
        submit(world, "good-asked@example.org", "NOTIFY=SUCCESS")
        world.wait_until(lambda: len(reports(world)) == 2)
        is_refusing[SENDER] = True  # a report that bounces is answered by nothing
        assert world.relay.json("domains", "set", SENDING_DOMAIN, "status_reports=true")["status_reports"] is True
        world.wait_for_config_change()
        submit(world, "bad-set@example.org")
        rest = RestClient(world.relay, world.live_key)

        def subjects() -> dict[str, str]:
            return {each["subject"]: each["status"] for each in rest.get("/v1/emails")["data"]}

        world.wait_until(lambda: subjects().get("Not delivered: about bad-set@example.org") == "bounced")
        assert [each for each in subjects() if "Not delivered: Not" in each] == []
        found = reports(world)
        assert found.keys() == {"bad-asked@example.org", "good-asked@example.org"}
        failure = found["bad-asked@example.org"]
        assert (failure.envelope_from, failure.recipients) == ("", [SENDER])
        world.check_signature(failure.content)
        message = message_from_bytes(failure.content)
        assert message["Auto-Submitted"] == "auto-replied"
        text = failure.content
        for line in (
            b"Original-Envelope-Id: E1",
            b"Original-Recipient: rfc822;o@example.org",
            b"Action: failed",
            b"Status: 5.1.1",
            b"body of bad-asked",
        ):
            assert line in text, line
        assert b"Action: relayed" in found["good-asked@example.org"].content
        assert b"body of" not in found["good-asked@example.org"].content
