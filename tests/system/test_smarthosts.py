"""A domain's own smart host with the real program: set and unset while mail waits, with a login, and no password in sight."""

from pathlib import Path

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import DEFAULT_EXTENSIONS, ReceivingServer, Script
from sendryd.testing.world import SENDING_DOMAIN, World

SECRET = "quite-secret-9"


def test_mail_of_a_domain_goes_to_its_smart_host_while_it_has_one(tmp_path: Path) -> None:
    refuse = Script(rcpt=lambda address: "450 4.2.0 Later" if address.startswith("slow") else None)
    with World(tmp_path, script=refuse) as world:
        smart = ReceivingServer(
            extensions=(*DEFAULT_EXTENSIONS, "AUTH PLAIN"),
            script=Script(command=lambda verb, _line: "235 2.7.0 Welcome" if verb == "AUTH" else None),
        )
        world.thread.run(smart.start())
        try:
            rest = RestClient(world.relay, world.live_key)

            def send(recipient: str) -> str:
                return str(
                    rest.post("/v1/emails", {"from": f"a@{SENDING_DOMAIN}", "to": [recipient], "subject": recipient, "text": "t"})["id"]
                )

            waiting = send("slow@example.org")
            world.wait_until(lambda: rest.events(waiting).count("deferred") == 1)
            url = f"smtp+notls://user:{SECRET}@127.0.0.1:{smart.port}"
            said = world.relay.run("domains", "set", SENDING_DOMAIN, f"smarthost={url}")
            assert SECRET.encode() not in said.stdout + said.stderr
            assert world.relay.json("domains", "show", SENDING_DOMAIN)["smarthost"] == f"smtp+notls://user@127.0.0.1:{smart.port}"
            (shown,) = world.relay.json("queue", "show", waiting)["data"]
            assert shown["domain"].startswith(f"127.0.0.1:{smart.port}~")
            world.wait_for_config_change()
            for email_id in (waiting, send("nobody@no-such-domain.test")):
                world.relay.run("queue", "retry", email_id)
                world.relay.wait_for_status(email_id, {"delivered"}, key=world.live_key)
            assert sorted(mail.recipients[0] for mail in smart.mails) == ["nobody@no-such-domain.test", "slow@example.org"]
            world.relay.run("domains", "set", SENDING_DOMAIN, "smarthost=")
            world.wait_for_config_change()
            world.relay.wait_for_status(send("ann@example.org"), {"delivered"}, key=world.live_key)
            assert len(smart.mails) == 2
            assert SECRET not in world.relay.log_path.read_text()
        finally:
            world.thread.run(smart.aclose())
