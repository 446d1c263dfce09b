"""Waiting mail is rerouted by the real program: to a smart host with a login, from another address pool, and back."""

from pathlib import Path

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import DEFAULT_EXTENSIONS, ReceivingServer, Script
from sendryd.testing.world import SENDING_DOMAIN, World

SECRET = "quite-secret-7"
POOLS = "default 127.0.0.1 a.example.com, bulk 127.0.0.5 b.example.com"


def test_waiting_mail_is_rerouted_and_goes_back(tmp_path: Path) -> None:
    refusing = Script(rcpt=lambda address: "450 4.2.0 Later" if address.startswith("slow") else None)
    env = {"SENDRYD_EGRESS": POOLS, "SENDRYD_RETRY_SCHEDULE": "1h"}
    with World(tmp_path, script=refusing, env=env) as world:
        smart = ReceivingServer(
            extensions=(*DEFAULT_EXTENSIONS, "AUTH PLAIN"),
            script=Script(command=lambda verb, _line: "235 2.7.0 Welcome" if verb == "AUTH" else None),
        )
        world.thread.run(smart.start())
        try:
            rest = RestClient(world.relay, world.live_key)

            def send(name: str) -> str:
                body = {"from": f"a@{SENDING_DOMAIN}", "to": [f"{name}@example.org"], "subject": name, "text": "t"}
                number = str(rest.post("/v1/emails", body)["id"])
                world.wait_until(lambda: "deferred" in rest.events(number))
                return number

            def detour(number: str) -> str | None:
                way: str | None = world.relay.json("queue", "show", number)["data"][0]["detour"]
                return way

            first, second, third = (send(f"slow{number}") for number in range(3))
            url = f"smtp+notls://user:{SECRET}@127.0.0.1:{smart.port}"
            said = world.relay.run("queue", "reroute", first, "--smarthost", url, "--reason", "their server is slow")
            assert said.stderr == b"1 delivery rerouted.\n"
            world.relay.wait_for_status(first, {"delivered"}, key=world.live_key)
            assert [mail.recipients for mail in smart.mails] == [["slow0@example.org"]]
            assert any(line.startswith("AUTH PLAIN") for line in smart.commands)
            assert detour(first) == "smarthost"

            refusing.rcpt = lambda _address: None
            assert world.relay.json("queue", "reroute", second, "--pool", "bulk") == {"count": 1}
            world.relay.wait_for_status(second, {"delivered"}, key=world.live_key)
            (mail,) = world.mailhost.mails
            assert (mail.recipients, mail.source, mail.helo) == (["slow1@example.org"], "127.0.0.5", "b.example.com")

            dead = "smtp+notls://127.0.0.1:1"
            world.relay.run("queue", "reroute", "--domain", "example.org", "--smarthost", dead)
            world.wait_until(lambda: rest.events(third).count("deferred") == 2)
            world.relay.run("domains", "set", SENDING_DOMAIN, f"smarthost={url}")  # of new mail
            world.relay.run("domains", "set", SENDING_DOMAIN, "smarthost=")
            assert detour(third) == "smarthost"
            assert world.relay.json("queue", "reroute", "--back", "--domain", "127.0.0.1:1") == {"count": 1}
            world.relay.wait_for_status(third, {"delivered"}, key=world.live_key)
            assert world.mailhost.mails[-1].source == "127.0.0.1"
            assert SECRET not in world.relay.log_path.read_text()
        finally:
            world.thread.run(smart.aclose())
