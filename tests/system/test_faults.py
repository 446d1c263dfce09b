"""The machine fails under the real program: its log is not read, its disk gives errors, it runs out of descriptors."""

import os
import smtplib
import ssl
from pathlib import Path

from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
CONTENT = f"From: {AUTHOR}\r\nTo: user@example.org\r\nSubject: s\r\n\r\nbody\r\n".encode()


def log_in(world: World) -> smtplib.SMTP:
    smtp = smtplib.SMTP(*world.relay.smtp, timeout=30)
    try:
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.login("sendry", world.live_key)
    except BaseException:
        smtp.close()
        raise
    return smtp


def submit(smtp: smtplib.SMTP, recipient: str = "user@example.org") -> tuple[int, str]:
    """Code and text of the reply to the final dot."""
    smtp.mail(AUTHOR)
    smtp.rcpt(recipient)
    code, reply = smtp.data(CONTENT)
    return code, reply.decode().rpartition(" ")[2]


def test_a_log_that_nobody_reads_and_one_whose_reader_is_gone(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.relay.stop()
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        full = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        try:
            while True:
                os.write(full, b"x" * 512)
        except BlockingIOError:
            pass
        world.relay.log_path, log_path = fifo, world.relay.log_path
        world.relay.start()
        with log_in(world) as smtp:
            for _ in range(2):
                code, message_id = submit(smtp, "user@missing.test")
                assert code == 250
                world.relay.wait_for_status(message_id, {"bounced"}, key=world.live_key)
                if full >= 0:
                    os.close(full)
                    full = -1
        assert world.relay.stop() == 0
        world.relay.log_path = log_path
