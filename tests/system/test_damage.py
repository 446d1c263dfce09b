"""What is damaged, or ends the program, is set aside under the real program, and the other mail goes on."""

import smtplib
import ssl
from pathlib import Path
from typing import Any

import apsw
import pytest

from sendryd.policy.crashes import CRASH_PAUSES
from sendryd.testing.mailhost import Script
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
LATER = Script(rcpt=lambda _path: "451 4.3.2 Not now")


def submit(world: World, recipient: str) -> str:
    with smtplib.SMTP(*world.relay.smtp, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.login("sendry", world.live_key)
        smtp.mail(AUTHOR)
        smtp.rcpt(recipient)
        code, reply = smtp.data(f"From: {AUTHOR}\r\nTo: {recipient}\r\nSubject: s\r\n\r\nbody\r\n")
        assert code == 250, reply
        return reply.decode().rpartition(" ")[2]


def held(world: World) -> list[dict[str, Any]]:
    return list(world.relay.json("queue", "list", "--state", "held")["data"])


def alter(world: World, statement: str) -> None:
    connection = apsw.Connection(str(world.relay.data_dir / "sendryd.db"))
    connection.set_busy_timeout(60_000)
    connection.execute(statement)
    assert connection.changes()
    connection.close()


def test_a_delivery_that_ends_the_program_is_held_after_a_few_crashes_and_the_others_go_on(tmp_path: Path) -> None:
    seen = 0

    def poison(path: str) -> str | None:
        nonlocal seen
        seen += path.startswith("poison")
        return "stall" if path.startswith("poison") else None

    with World(tmp_path, script=Script(rcpt=poison)) as world:
        bad = submit(world, "poison@example.org")
        world.wait_until(lambda: seen == 1)
        world.relay.kill()
        world.relay.start()
        world.wait_until(lambda: seen == 2)  # once is nothing: it is tried again
        alter(world, f"UPDATE delivery SET crashes = {len(CRASH_PAUSES)} WHERE state = 'leased'")  # the pauses take minutes
        world.relay.kill()
        world.relay.start()
        good = submit(world, "good@example.org")
        world.relay.wait_for_status(good, {"delivered"}, key=world.live_key)
        assert [(each["email_id"], each["hold_reason"]) for each in held(world)] == [(bad, "crashes")]
        assert '"event": "delivery_held"' in world.relay.log_tail(20_000)
        assert seen == 2


@pytest.mark.parametrize(
    ("damage", "reason", "event"),
    [
        ("UPDATE delivery SET domain = cast(x'ff' as text) WHERE forward_path = 'bad@example.org'", "unreadable", "row_unreadable"),
        ("UPDATE sending_domain SET private_key = x'00'", "signing_key_damaged", "signing_key_damaged"),
    ],
)
def test_mail_that_is_damaged_is_held_and_the_others_are_delivered(tmp_path: Path, damage: str, reason: str, event: str) -> None:
    with World(tmp_path, script=LATER, env={"SENDRYD_RETRY_SCHEDULE": "200ms"}) as world:
        ids = [submit(world, f"{name}@example.org") for name in ("bad", "good")]
        world.relay.kill()
        alter(world, damage)
        world.mailhost.script = Script()
        world.relay.start()
        if reason == "unreadable":
            world.relay.wait_for_status(ids[1], {"delivered"}, key=world.live_key)
        count = 1 if reason == "unreadable" else 2
        connection = apsw.Connection(str(world.relay.data_dir / "sendryd.db"), flags=apsw.SQLITE_OPEN_READONLY)
        query = "SELECT count(*) FROM delivery WHERE state = 'held' AND hold_reason = ?"
        world.wait_until(lambda: connection.execute(query, (reason,)).get == count)
        connection.close()
        assert f'"event": "{event}"' in world.relay.log_tail(20_000)
        assert len(world.mailhost.mails) == 2 - count
