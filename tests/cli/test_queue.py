"""`sendryd queue`, on a queue that was filled by hand."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sendryd.app.build import DEFAULT_ACCOUNT, Basics
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, format_id
from sendryd.store.base import NewMessage
from sendryd.testing.samples import Samples

RECIPIENTS = ("a@one.test", "b@two.test")
WITH_ESCAPES = "Re: \x1b[31mred\x07"


@pytest.fixture
def message(cli: Any) -> NewMessage:
    """One live message with two deliveries that are due in an hour, and one that a test key sent."""

    async def fill(basics: Basics) -> NewMessage:
        now = basics.clock.now()
        samples = Samples(now)
        key, domain = samples.api_key(), samples.domain()
        await basics.store.add_api_key(key)
        await basics.store.add_domain(domain)
        messages = [
            samples.message(RECIPIENTS, created_at=now, due_at=now + timedelta(hours=1), subject=WITH_ESCAPES, api_key_id=key.key.id),
            samples.message(mode=KeyMode.TEST, created_at=now, api_key_id=key.key.id),
        ]
        for each in messages:
            await basics.store.accept(each)
        return messages[0]

    made: NewMessage = cli.store(fill)
    return made


def ids(message: NewMessage) -> tuple[str, str, str]:
    first, second = (format_id(DELIVERY_PREFIX, delivery.id) for delivery in message.deliveries)
    return format_id(MESSAGE_PREFIX, message.message.id), first, second


def test_list_and_its_filters(cli: Any, message: NewMessage) -> None:
    email_id, first, second = ids(message)
    listed = cli.json("queue", "list")
    assert listed["has_more"] is False
    assert {item["id"]: (item["email_id"], item["recipient"], item["state"]) for item in listed["data"]} == {
        first: (email_id, "a@one.test", "queued"),
        second: (email_id, "b@two.test", "queued"),
    }
    for options, count in (
        (("--domain", "ONE.test"), 1),
        (("--domain", "one.test."), 1),
        (("--domain", "three.test"), 0),
        (("--state", "queued"), 2),
        (("--state", "sending"), 0),
        (("--state", "held"), 0),
        (("--state", "delivered"), 1),
        (("--state", "bounced"), 0),
        (("--state", "complained"), 0),
        (("--older-than", "1h"), 0),
        (("--older-than", "0s"), 2),
    ):
        assert len(cli.json("queue", "list", *options)["data"]) == count, options
    assert [line.split("\t")[0] for line in cli.run("queue", "list", "--domain", "one.test").stdout.splitlines()] == [first]


@pytest.mark.usefixtures("message")
@pytest.mark.parametrize("domain", ["", " ", ".", "not a domain", "one..test", "@one.test", ":25"])
def test_what_is_no_domain_chooses_no_mail(cli: Any, domain: str) -> None:
    changes = (
        ("retry",),
        ("hold",),
        ("release",),
        ("cancel",),
        ("bounce", "--reason", "x"),
        ("reprioritise", "bulk"),
        ("reroute", "--back"),
    )
    for command in (("list",), *changes):
        assert "is not a domain name such as" in cli.run("queue", *command, "--domain", domain, status=2).stderr, command
    assert [item["state"] for item in cli.json("queue", "list")["data"]] == ["queued", "queued"]


def test_show_says_why_a_delivery_waits(cli: Any, message: NewMessage) -> None:
    email_id, first, _ = ids(message)
    one = cli.json("queue", "show", first)
    assert one["explanation"].startswith("Waits for its next try at ")
    assert one["attempts_made"] == []
    assert {item["id"] for item in cli.json("queue", "show", email_id)["data"]} == set(ids(message)[1:])
    cli.json("queue", "hold", first)
    assert cli.json("queue", "show", first)["explanation"] == "Held by an operator."
    cli.json("queue", "release", first)
    assert cli.json("queue", "show", first)["explanation"].startswith("In the queue.")
    cli.json("queue", "cancel", first)
    assert cli.json("queue", "show", first)["explanation"].startswith("Cancelled at ")
    assert "before a server took it." in cli.run("queue", "show", first).stdout


def test_hold_release_retry_and_cancel(cli: Any, message: NewMessage) -> None:
    email_id, first, second = ids(message)
    assert cli.json("queue", "hold", email_id) == {"count": 2}
    assert cli.json("queue", "retry", email_id) == {"count": 0}
    assert cli.json("queue", "release", "--domain", "one.test") == {"count": 1}
    assert {item["id"]: item["state"] for item in cli.json("queue", "list")["data"]} == {first: "queued", second: "held"}
    assert cli.json("queue", "cancel", "--state", "held") == {"count": 1}
    assert cli.json("queue", "retry", "--older-than", "0s", "--state", "sending") == {"count": 0}
    assert cli.json("queue", "retry", "--older-than", "0s") == {"count": 1}
    assert cli.run("queue", "cancel", first).stderr == "1 delivery cancelled.\n"
    assert cli.json("queue", "list")["data"] == []
    empty = cli.run("queue", "list")
    assert (empty.stdout, empty.stderr) == ("", "The queue is empty.\n")
    assert cli.run("queue", "list", "--domain", "one.test").stderr == "No delivery matches.\n"
    assert cli.json("queue", "cancel", email_id) == {"count": 0}


def test_changes_are_in_the_audit_with_their_reason(cli: Any, message: NewMessage) -> None:
    email_id, first, _ = ids(message)
    cli.json("queue", "hold", "--domain", "ONE.test", "--reason", "their\n server is moved")
    assert "their server is moved" in cli.json("queue", "show", first)["explanation"]
    cli.json("queue", "cancel", "--state", "held", "--older-than", "0s")
    cli.json("queue", "retry", email_id)
    cli.json("queue", "release", email_id)  # changes nothing

    async def read(basics: Basics) -> list[tuple[str, str, str, object]]:
        found = await basics.store.list_audit(DEFAULT_ACCOUNT, limit=10)
        return [(entry.actor, entry.action, entry.target, dict(entry.after)) for entry in reversed(found.items)]

    assert cli.store(read) == [
        ("operator", "queue.held", "one.test", {"deliveries": 1, "reason": "their server is moved"}),
        ("operator", "queue.cancelled", "--state held --older-than 0s", {"deliveries": 1}),
        ("operator", "email.tried", email_id, {"deliveries": 1}),
    ]


@pytest.mark.usefixtures("message")
@pytest.mark.parametrize("verb", ["hold", "release", "retry", "cancel"])
def test_nothing_is_changed_unless_something_is_named(cli: Any, verb: str) -> None:
    assert "name a message" in " ".join(cli.run("queue", verb, status=2).stderr.split())
    assert "there is no" in cli.fault("queue", verb, "em_0000000000000")
    assert "there is no" in cli.fault("queue", verb, "dlv_0000000000000")
    assert "neither" in cli.fault("queue", verb, "nonsense")
    cli.run("queue", verb, "--state", "nonsense", status=2)
    cli.run("queue", verb, "--older-than", "999999999d", status=2)
    assert {item["state"] for item in cli.json("queue", "list")["data"]} == {"queued"}


def test_show_what_is_not_there(cli: Any) -> None:
    assert "there is no" in cli.fault("queue", "show", "em_0000000000000")
    assert "neither" in cli.fault("queue", "show", "key_0000000000000")


def test_mail_of_a_removed_domain_is_held_and_says_why(cli: Any, message: NewMessage) -> None:
    async def sign_by_the_domain(basics: Basics) -> None:
        (domain,) = await basics.store.list_domains(DEFAULT_ACCOUNT)
        now = basics.clock.now()
        samples = Samples(now + timedelta(seconds=1))
        new = samples.message(("c@three.test",), created_at=now, due_at=now + timedelta(hours=1))
        await basics.store.accept(replace(new, message=replace(new.message, signing_domain_id=domain.id)))

    cli.store(sign_by_the_domain)
    removed = cli.run("domains", "remove", "example.test")
    assert "1 waiting delivery is held until example.test is added again and verified" in removed.stderr
    (held,) = cli.json("queue", "list", "--state", "held")["data"]
    assert (held["recipient"], held["hold_reason"]) == ("c@three.test", "domain_removed")
    shown = cli.json("queue", "show", held["id"])
    assert shown["explanation"].startswith("Held: the sending domain example.test was removed. Add the domain again and verify it")
    assert cli.json("queue", "release", held["id"])["count"] == 1
    assert cli.json("queue", "list", "--state", "held")["data"] == []
    assert len(cli.json("queue", "list")["data"]) == 1 + len(message.deliveries)


def test_mail_is_returned_with_a_reason_and_nothing_is_suppressed(cli: Any, message: NewMessage) -> None:
    email_id, first, _ = ids(message)
    assert "--reason" in " ".join(cli.run("queue", "bounce", first, status=2).stderr.split())
    assert cli.json("queue", "bounce", first, "--reason", "the domain is\ngiven up") == {"count": 1}
    shown = cli.json("queue", "show", first)
    assert (shown["state"], shown["explanation"]) == ("bounced", "Returned by an operator: the domain is given up.")
    assert shown["attempts_made"] == []
    assert cli.json("suppressions", "list")["data"] == []
    assert cli.json("queue", "bounce", "--domain", "two.test", "--reason", "x") == {"count": 1}
    assert cli.json("queue", "bounce", email_id, "--reason", "x") == {"count": 0}


def test_waiting_mail_gets_another_class(cli: Any, message: NewMessage) -> None:
    email_id = ids(message)[0]
    assert cli.json("queue", "reprioritise", "bulk", email_id) == {"count": 2}
    assert cli.json("queue", "reprioritise", "bulk", "--domain", "one.test") == {"count": 0}
    assert (
        cli.run("queue", "reprioritise", "transactional", "--domain", "one.test").stderr == "1 delivery now of the class transactional.\n"
    )
    assert "half an hour" in cli.fault("queue", "reprioritise", "otp", email_id)
    cli.run("queue", "reprioritise", "urgent", email_id, status=2)
    assert "name a message" in " ".join(cli.run("queue", "reprioritise", "bulk", status=2).stderr.split())


def test_a_destination_and_an_account_are_stopped_and_go_on(cli: Any, message: NewMessage) -> None:
    _, first, second = ids(message)
    assert cli.json("queue", "suspend", "--domain", "ONE.test", "--for", "2h", "--reason", "their\nserver is moved")["held"] is None
    assert "stopped already" in cli.fault("queue", "suspend", "--domain", "one.test")
    explanation = cli.json("queue", "show", first)["explanation"]
    assert explanation.startswith("Mail to one.test is paused by an operator until ")
    assert explanation.endswith(': "their server is moved"')
    assert cli.json("queue", "suspend", "--account", "default", "--reason", "spam") == {"suspended": True, "held": 2}
    assert 'the account is suspended: spam"' in cli.json("queue", "show", second)["explanation"]
    rows = cli.json("queue", "suspensions")["data"]
    assert [(row["what"], row["name"], row["reason"]) for row in rows] == [
        ("destination", "one.test", "their server is moved"),
        ("account", "org_0000000000001", "spam"),
    ]
    times = [line.split("\t")[3:5] for line in cli.run("queue", "suspensions").stdout.splitlines()]
    assert [re.sub(r"(\w+ )?\d\d:\d\d UTC", "a time", each) for pair in times for each in pair] == ["a time"] * 3 + ["it is resumed"]
    assert "suspended already" in cli.fault("queue", "suspend", "--account", "org_0000000000001")
    assert cli.json("queue", "resume", "--account", "default") == {"suspended": False, "released": 2}
    assert cli.json("queue", "resume", "--domain", "one.test")["suspended"] is False
    assert "is not stopped" in cli.fault("queue", "resume", "--domain", "one.test")
    assert "not suspended" in cli.fault("queue", "resume", "--account", "default")
    assert "there is no account" in cli.fault("queue", "resume", "--account", "org_0000000000009")
    assert cli.run("queue", "suspensions").stderr == "Nothing is stopped.\n"
    assert {item["state"] for item in cli.json("queue", "list")["data"]} == {"queued"}
    assert cli.json("queue", "suspend", "--site", "Mx.One.test")["suspended"] is True
    assert [row["name"] for row in cli.json("queue", "suspensions")["data"]] == ["mx.one.test"]
    cli.run("queue", "suspend", "--domain", "one.test", "--all", status=2)
    cli.run("queue", "suspend", status=2)
    for option, value in (("--account", ""), ("--account", " "), ("--site", ""), ("--site", "*"), ("--domain", "")):
        for command in ("suspend", "resume"):
            cli.run("queue", command, option, value, status=2)
    assert [row["name"] for row in cli.json("queue", "suspensions")["data"]] == ["mx.one.test"]


@pytest.mark.usefixtures("message")
def test_stops_are_in_the_audit(cli: Any) -> None:
    cli.json("queue", "suspend", "--account", "default", "--reason", "spam")
    cli.json("queue", "resume", "--account", "default")
    cli.json("queue", "suspend", "--all", "--for", "1h")

    async def read(basics: Basics) -> list[tuple[str, str, list[str]]]:
        found = await basics.store.list_audit(DEFAULT_ACCOUNT, limit=10)
        return [(entry.action, entry.target, sorted(entry.after)) for entry in reversed(found.items)]

    assert cli.store(read) == [
        ("account.suspended", "org_0000000000001", ["reason"]),
        ("account.resumed", "org_0000000000001", ["deliveries"]),
        ("queue.paused", "all mail", ["until"]),
    ]
