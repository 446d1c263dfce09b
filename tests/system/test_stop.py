"""SIGTERM while much is under way: nothing is lost, nothing is sent twice."""

import signal
import smtplib
import ssl
import threading
from pathlib import Path

from sendryd.testing.mailhost import Script
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
CONTENT = f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: s\r\n\r\nbody\r\n".encode()
DOMAINS = 6


def log_in(world: World) -> smtplib.SMTP:
    smtp = smtplib.SMTP(*world.relay.smtp, timeout=30)
    smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
    smtp.login("sendry", world.live_key)
    return smtp


def in_data(world: World) -> smtplib.SMTP:
    """A session that has sent some of its content."""
    smtp = log_in(world)
    smtp.mail(AUTHOR)
    smtp.rcpt("user@example.org")
    assert smtp.docmd("DATA")[0] == 354
    smtp.send(CONTENT[:20])
    return smtp


def test_a_stop_with_sessions_and_deliveries_under_way(tmp_path: Path) -> None:
    taken, go_on = threading.Event(), threading.Event()

    def final(_mail: object) -> None:
        taken.set()
        go_on.wait(30)

    with World(tmp_path, script=Script(final=final)) as world:
        for number in range(DOMAINS):
            world.nameserver.set(f"d{number}.test", "MX", "10 mx.example.org.")
        idle, halfway, late, dotted = log_in(world), in_data(world), in_data(world), in_data(world)
        accepted = []
        with log_in(world) as smtp:
            for number in range(30):
                smtp.mail(AUTHOR)
                smtp.rcpt(f"user@d{number % DOMAINS}.test")
                accepted.append(smtp.data(CONTENT))
        assert taken.wait(30)
        dotted.send(CONTENT[20:] + b".\r\n")
        world.relay.process.send_signal(signal.SIGTERM)
        accepted.append(dotted.getreply())
        assert idle.getreply()[0] == 421
        for smtp in (halfway, late):
            smtp.send(CONTENT[20:] + b".\r\n")
            accepted.append(smtp.getreply())
        assert [code for code, _ in accepted] == [250] * 33
        go_on.set()
        assert world.relay.process.wait(35) == 0
        for smtp in (idle, halfway, late, dotted):
            smtp.close()
        assert "stop_failed" not in world.relay.log_tail(20_000)
        world.relay.start()
        ids = [reply.decode().rpartition(" ")[2] for _, reply in accepted]
        for message_id in ids:
            world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)
        marks = [sum(f"id {message_id}".encode() in mail.content for mail in world.mailhost.mails) for message_id in ids]
        assert marks == [1] * 33
