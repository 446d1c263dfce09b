"""The addresses that mail leaves from, with the real program: pools, a pool that is gone while mail waits, and restarts."""

import json
import signal
from pathlib import Path

from sendryd.testing.clients import RestClient
from sendryd.testing.world import SENDING_DOMAIN, World

A, B = "127.0.0.5", "127.0.0.6"


def test_mail_of_a_pool_that_is_gone_waits_until_the_pool_is_back(tmp_path: Path) -> None:
    pools = f"default {A} a.example.com, bulk {B} b.example.com"
    with World(tmp_path, env={"SENDRYD_EGRESS": pools}) as world:
        rest = RestClient(world.relay, world.live_key)
        mail = {"from": f"a@{SENDING_DOMAIN}", "to": ["ann@example.org"], "text": "t"}
        first = str(rest.post("/v1/emails", {**mail, "subject": "first"})["id"])
        world.relay.wait_for_status(first, {"delivered"}, key=world.live_key)
        assert world.wait_for_mail("first").source == A
        assert world.relay.json("domains", "set", SENDING_DOMAIN, "pool=bulk")["pool"] == "bulk"
        world.relay.stop()
        world.relay.env["SENDRYD_EGRESS"] = f"default {A} a.example.com"
        world.relay.start()
        second = str(rest.post("/v1/emails", {**mail, "subject": "second"})["id"])
        world.wait_until(lambda: rest.events(second).count("deferred") == 1)
        (waiting,) = world.relay.json("queue", "show", second)["data"]
        assert waiting["explanation"].startswith("The address pool bulk is not configured any more: add it to SENDRYD_EGRESS")
        assert waiting["attempts"] == 0
        world.relay.stop()
        world.relay.env["SENDRYD_EGRESS"] = pools
        world.relay.start()
        world.relay.run("queue", "retry", second)
        world.relay.wait_for_status(second, {"delivered"}, key=world.live_key)
        received = world.wait_for_mail("second")
        assert (received.source, received.helo) == (B, "b.example.com")
        (sent,) = world.relay.json("queue", "show", second)["data"]
        assert sent["attempts_made"][-1]["metadata"]["source"] == B


def test_mail_of_a_suspended_pool_waits_over_a_restart_and_goes_when_it_is_resumed(tmp_path: Path) -> None:
    with World(tmp_path, env={"SENDRYD_EGRESS": f"default {A} a.example.com"}) as world:
        rest = RestClient(world.relay, world.live_key)
        world.relay.json("queue", "suspend", "--address", A, "--reason", "listed")
        world.relay.stop()
        world.relay.start()
        email = str(
            rest.post("/v1/emails", {"from": f"a@{SENDING_DOMAIN}", "to": ["ann@example.org"], "subject": "waits", "text": "t"})["id"]
        )
        world.wait_until(lambda: rest.events(email).count("deferred") == 1)
        (waiting,) = world.relay.json("queue", "show", email)["data"]
        assert waiting["explanation"].startswith(f"The address pool default cannot send this mail now: {A} is suspended (listed). ")
        assert world.relay.json("queue", "resume", "--address", A)["count"] == 1
        world.relay.wait_for_status(email, {"delivered"}, key=world.live_key)
        assert world.wait_for_mail("waits").source == A


def test_addresses_are_read_again_while_the_program_runs(tmp_path: Path) -> None:
    config = tmp_path / "sendryd.toml"
    config.write_text(f'egress = "default {A} a.example.com"\n', "utf-8")
    with World(tmp_path / "world", env={"SENDRYD_CONFIG": str(config)}) as world:
        rest = RestClient(world.relay, world.live_key)
        mail = {"from": f"a@{SENDING_DOMAIN}", "to": ["ann@example.org"], "text": "t"}

        def reload(text: str, event: str) -> None:
            before = world.relay.log_path.read_text("utf-8").count(event)
            config.write_text(text, "utf-8")
            world.relay.process.send_signal(signal.SIGHUP)
            world.wait_until(lambda: world.relay.log_path.read_text("utf-8").count(event) > before)

        def sent_from(subject: str) -> str:
            rest.post("/v1/emails", {**mail, "subject": subject})
            return world.wait_for_mail(subject).source

        assert sent_from("first") == A
        domain = rest.get("/v1/domains")["data"][0]["id"]
        assert rest.request("PATCH", f"/v1/domains/{domain}", {"pool": "bulk"}).status == 422
        reload(f'egress = "default {B} b.example.com, bulk {A} a.example.com"\n', "egress_reloaded")
        assert sent_from("second") == B
        assert rest.request("PATCH", f"/v1/domains/{domain}", {"pool": "bulk"}).status == 200
        world.wait_for_config_change()
        assert sent_from("third") == A
        reload('egress = "nonsense"\n', "settings_not_reloaded")
        assert sent_from("fourth") == A
        lines = [json.loads(line) for line in world.relay.log_path.read_text("utf-8").splitlines() if line.startswith("{")]
        assert [each["pools"] for each in lines if each["event"] == "egress_reloaded"] == [["default", "bulk"]]
        assert "settings_need_a_restart" not in world.relay.log_path.read_text("utf-8")
