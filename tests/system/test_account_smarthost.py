"""The smart host of an account with the real program: waiting and new mail of its domains, one of them with a smart host of its own."""

from pathlib import Path

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import DEFAULT_EXTENSIONS, ReceivingServer, Script
from sendryd.testing.world import SENDING_DOMAIN, World

SECRET, OTHER = "quite-secret-5", "own.test"


def smart_server() -> ReceivingServer:
    script = Script(command=lambda verb, _line: "235 2.7.0 Welcome" if verb == "AUTH" else None)
    return ReceivingServer(extensions=(*DEFAULT_EXTENSIONS, "AUTH PLAIN"), script=script)


def test_mail_of_an_account_goes_to_its_smart_host_and_a_domains_own_wins(tmp_path: Path) -> None:
    refuse = Script(rcpt=lambda address: "450 4.2.0 Later" if address.startswith("slow") else None)
    with World(tmp_path, script=refuse) as world:
        of_account, of_domain = smart_server(), smart_server()
        for server in (of_account, of_domain):
            world.thread.run(server.start())
        try:
            world.publish(OTHER)
            rest = RestClient(world.relay, world.live_key)

            def send(recipient: str, domain: str = SENDING_DOMAIN) -> str:
                body = {"from": f"a@{domain}", "to": [recipient], "subject": recipient, "text": "t"}
                return str(rest.post("/v1/emails", body)["id"])

            def got(server: ReceivingServer) -> list[str]:
                return sorted(mail.recipients[0] for mail in server.mails)

            world.relay.run("domains", "set", OTHER, f"smarthost=smtp+notls://127.0.0.1:{of_domain.port}")
            waiting = send("slow@example.org")
            world.wait_until(lambda: "deferred" in rest.events(waiting))
            shown = world.relay.json("account", "set", f"smarthost=smtp+notls://user:{SECRET}@127.0.0.1:{of_account.port}")
            assert shown["smarthost"] == f"smtp+notls://user@127.0.0.1:{of_account.port}"
            world.wait_for_config_change()
            mails = [send("nobody@no-such-domain.test"), send("own@no-such-domain.test", OTHER)]
            world.relay.run("queue", "retry", waiting)
            for each in (waiting, *mails):
                world.relay.wait_for_status(each, {"delivered"}, key=world.live_key)
            assert got(of_account) == ["nobody@no-such-domain.test", "slow@example.org"]
            assert got(of_domain) == ["own@no-such-domain.test"]
            assert any(line.startswith("AUTH PLAIN") for line in of_account.commands)

            world.relay.run("domains", "set", OTHER, "smarthost=")
            world.wait_for_config_change()
            world.relay.wait_for_status(send("mine@no-such-domain.test", OTHER), {"delivered"}, key=world.live_key)
            assert "mine@no-such-domain.test" in got(of_account)

            assert world.relay.json("account", "set", "smarthost=")["smarthost"] is None
            world.wait_for_config_change()
            world.relay.wait_for_status(send("ann@example.org"), {"delivered"}, key=world.live_key)
            assert [mail.recipients for mail in world.mailhost.mails] == [["ann@example.org"]]
            assert SECRET not in world.relay.log_path.read_text()
        finally:
            for server in (of_account, of_domain):
                world.thread.run(server.aclose())
