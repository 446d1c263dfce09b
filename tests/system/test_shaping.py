"""Shaping with the real program: what a counting receiver sees, rules that change, rules that are wrong."""

import time
from pathlib import Path

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import ReceivedMail, Script
from sendryd.testing.world import SENDING_DOMAIN, World

MAIL = {"from": f"a@{SENDING_DOMAIN}", "text": "t"}


def send(rest: RestClient, recipients: list[str], **changes: str) -> None:
    for start in range(0, len(recipients), 100):
        emails = [{**MAIL, "subject": "s", "to": [each], **changes} for each in recipients[start : start + 100]]
        rest.post("/v1/emails/batch", {"emails": emails})


def test_a_counting_receiver_never_sees_more_than_the_rule_says(tmp_path: Path) -> None:
    moments: list[float] = []

    def count(_: ReceivedMail) -> None:
        moments.append(time.monotonic())

    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[provider.counting]\nmx = ["mx.example.org"]\nconnections = 2\nmessages_per_connection = 25\nmessage_rate = "20/1s"\n', "utf-8"
    )
    env = {"SENDRYD_SHAPING_FILE": str(rules)}
    with World(tmp_path / "world", env=env, script=Script(final=count)) as world:
        for number in range(3):  # domains with the same MX record are one site
            world.nameserver.set(f"d{number}.test", "MX", "10 mx.example.org.")
        rest = RestClient(world.relay, world.live_key)
        send(rest, [f"u{number}@d{number % 3}.test" for number in range(200)])
        world.wait_until(lambda: len(world.mailhost.mails) == 200)
        mails = world.mailhost.mails
        assert world.mailhost.max_open_connections <= 2
        assert max(sum(first <= each < first + 1.0 for each in moments) for first in moments) <= 20
        of_connections = [sum(mail.connection == number for mail in mails) for number in {mail.connection for mail in mails}]
        assert max(of_connections) <= 25
        assert len(of_connections) <= 10  # 20 messages and more over each
        assert {mail.recipients[0].rpartition("@")[2] for mail in mails} == {"d0.test", "d1.test", "d2.test"}


def test_a_reply_suspends_the_site_over_a_restart_and_queue_show_names_the_rule(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[provider.strict]\nmx = ["mx.example.org"]\n[[provider.strict.reply]]\nmatch = "go away"\nmatches = 1\nsuspend = true\nfor = "2h"\n',
        "utf-8",
    )
    reply = "450 4.7.1 Too many messages, go away and try again in 300 seconds"
    script = Script(command=lambda verb, _line: reply if verb == "MAIL" else None)
    with World(tmp_path / "world", env={"SENDRYD_SHAPING_FILE": str(rules)}, script=script) as world:
        rest = RestClient(world.relay, world.live_key)
        first = str(rest.post("/v1/emails", {**MAIL, "subject": "first", "to": ["ann@example.org"]})["id"])
        world.wait_until(lambda: "deferred" in rest.events(first))
        (shown,) = world.relay.json("queue", "show", first)["data"]
        assert shown["attempts"] == 0  # being throttled is no failed attempt
        second = str(rest.post("/v1/emails", {**MAIL, "subject": "second", "to": ["ben@example.org"]})["id"])

        def is_explained(mail: str) -> bool:
            return "shaping rule strict/1" in world.relay.json("queue", "show", mail)["data"][0]["explanation"]

        world.wait_until(lambda: is_explained(second))
        world.relay.stop()
        script.command = lambda _verb, _line: None
        world.relay.start()
        third = str(rest.post("/v1/emails", {**MAIL, "subject": "third", "to": ["cy@example.org"]})["id"])
        world.wait_until(lambda: is_explained(second) and is_explained(third))
        assert world.mailhost.mails == []
        world.relay.run("queue", "retry", third)
        world.wait_until(lambda: len(world.mailhost.mails) == 1)  # the probe that was asked for
        assert is_explained(second) or is_explained(third)


def test_sessions_that_are_kept_obey_rules_that_changed_since(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[default]\nconnections = 1\n", "utf-8")
    with World(tmp_path / "world", env={"SENDRYD_SHAPING_FILE": str(rules)}) as world:
        rest = RestClient(world.relay, world.live_key)
        send(rest, [f"u{number}@example.org" for number in range(8)])
        world.wait_until(lambda: len(world.mailhost.mails) == 8)
        rules.write_text("[default]\nconnections = 1\nmessages_per_connection = 5\n", "utf-8")
        world.wait_until(lambda: "shaping_rules_reloaded" in world.relay.log_tail())
        send(rest, [f"u{number}@example.org" for number in range(12)])
        world.wait_until(lambda: len(world.mailhost.mails) == 20)
        later = [mail.connection for mail in world.mailhost.mails[8:]]
        assert max(map(later.count, later)) <= 5
        assert world.mailhost.mails[0].connection not in later, "it has carried more than it may already"


def test_rules_are_read_again_and_wrong_ones_stop_only_a_start(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[default]\nconnections = 3\n", "utf-8")
    with World(tmp_path / "world", env={"SENDRYD_SHAPING_FILE": str(rules)}) as world:
        rules.write_text("[default]\nconnections = 1\n", "utf-8")
        world.wait_until(lambda: "shaping_rules_reloaded" in world.relay.log_tail())
        rules.write_text("[default]\nconections = 1\n", "utf-8")
        world.wait_until(lambda: "shaping_rules_not_reloaded" in world.relay.log_tail())
        rest = RestClient(world.relay, world.live_key)
        send(rest, [f"u{number}@example.org" for number in range(20)])
        world.wait_until(lambda: len(world.mailhost.mails) == 20)
        assert world.mailhost.max_open_connections == 1
        world.relay.stop()
        result = world.relay.run("queue", "list", check=False)
        assert result.returncode != 0
        assert f"SENDRYD_SHAPING_FILE: {rules}: default.conections: there is no such field" in result.stderr.decode()
        rules.write_text("", "utf-8")
        world.relay.start()
