"""The contents of queued mail are lost or damaged: it is held, never bounced, never sent; restored and released, it goes out."""

import os
import shutil
import smtplib
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sendryd.testing.mailhost import Script
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
LATER = Script(rcpt=lambda _path: "451 4.3.2 Not now")


def submit(world: World, word: str) -> str:
    with smtplib.SMTP(*world.relay.smtp, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.login("sendry", world.live_key)
        smtp.mail(AUTHOR)
        smtp.rcpt("user@example.org")
        code, reply = smtp.data(f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: s\r\n\r\n{word}\r\n")
        assert code == 250, reply
        return reply.decode().rpartition(" ")[2]


def begin(world: World) -> tuple[int, bytes]:
    """The reply to MAIL."""
    with smtplib.SMTP(*world.relay.smtp, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.login("sendry", world.live_key)
        return smtp.mail(AUTHOR)


def queue_of(world: World, message_id: str) -> dict[str, Any]:
    (found,) = world.relay.json("queue", "show", message_id)["data"]
    return dict(found)


def events_of(world: World, message_id: str) -> list[dict[str, Any]]:
    status, body = world.relay.get(f"/v1/emails/{message_id}/events?limit=100", world.live_key)
    assert status == 200
    return list(body["data"])


def lose(spool: Path) -> None:
    shutil.rmtree(spool)


def replace_a_word(spool: Path) -> None:
    (path,) = spool.glob("*.seg")
    path.write_bytes(path.read_bytes().replace(b"secret", b"public"))


def cut(spool: Path) -> None:
    (path,) = spool.glob("*.seg")
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize(("damage", "says"), [(lose, "it is missing"), (replace_a_word, "was altered"), (cut, "it is too short")])
def test_queued_mail_whose_content_is_damaged_waits_until_it_is_restored(tmp_path: Path, damage: Callable[[Path], None], says: str) -> None:
    with World(tmp_path, script=LATER, env={"SENDRYD_RETRY_SCHEDULE": "200ms"}) as world:
        message_id = submit(world, "secret")
        world.wait_until(lambda: "deferred" in {event["type"] for event in events_of(world, message_id)})
        world.relay.stop()
        spool = world.relay.data_dir / "spool"
        shutil.copytree(spool, tmp_path / "backup")
        damage(spool)
        world.mailhost.script = Script()
        world.relay.start()
        world.wait_until(lambda: any(event["metadata"].get("held") for event in events_of(world, message_id)))
        found = queue_of(world, message_id)
        assert found["state"] == "held"
        assert says in found["explanation"]
        log = world.relay.log_tail(20_000)
        assert '"event": "content_damaged"' in log
        assert message_id in log
        assert ('"event": "spool_compared", "level": "error"' in log) == (damage is not replace_a_word)
        assert world.relay.get(f"/v1/emails/{message_id}", world.live_key)[0] in {200, 500, 503}
        other = submit(world, "another one")  # takes nobody's place
        world.relay.wait_for_status(other, {"delivered"}, key=world.live_key)
        assert [b"another one" in mail.content for mail in world.mailhost.mails] == [True]
        shutil.copytree(tmp_path / "backup", spool, dirs_exist_ok=True)
        world.relay.run("queue", "release", message_id)
        world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)
        assert b"\r\n\r\nsecret\r\n" in world.mailhost.mails[-1].content
        events = events_of(world, message_id)
        assert "bounced" not in {event["type"] for event in events}
        assert [event["metadata"]["reason"] for event in events if event["metadata"].get("held")] == [
            "The stored content of the message is missing or damaged"
        ]


def test_a_disk_that_others_fill_up_is_told_at_mail_and_over_when_it_is(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=True)
    try:
        with World(disk) as world:
            first = submit(world, "before")
            world.relay.wait_for_status(first, {"delivered"}, key=world.live_key)
            with open(disk / "of somebody else", "wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
                while True:
                    file.write(bytes(65536))
            assert begin(world)[0] == 452
            world.wait_until(lambda: world.relay.get("/readyz")[0] == 503)
            assert "nearly full" in world.relay.get("/readyz")[1]["reason"]
            assert world.relay.get("/healthz")[0] == 200
            (disk / "of somebody else").unlink()
            later = submit(world, "after")
            world.relay.wait_for_status(later, {"delivered"}, key=world.live_key)
            world.wait_until(lambda: world.relay.get("/readyz")[0] == 200)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
