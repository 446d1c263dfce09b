"""Destinations that are silent, under the real program: a good message is not kept waiting by them."""

import smtplib
import ssl
import time
from contextlib import ExitStack
from pathlib import Path

from sendryd.testing.mailhost import ReceivingServer, Script
from sendryd.testing.world import SENDING_DOMAIN, World

TARPITS, SILENT = 100, 200
# Seconds until a good message is delivered: fewer than the 60 after which a silent server is given up and its place is free.
WAIT = 45.0
AUTHOR = f"hello@{SENDING_DOMAIN}"
BAD = [f"tarpit{number}.test" for number in range(TARPITS)] + [f"silent{number}.test" for number in range(SILENT)]


def submit(world: World, subject: str, recipients: list[str]) -> None:
    with smtplib.SMTP(*world.relay.smtp, timeout=60) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.login("sendry", world.live_key)
        content = f"From: {AUTHOR}\r\nTo: {recipients[0]}\r\nSubject: {subject}\r\n\r\nbody\r\n"
        assert smtp.sendmail(AUTHOR, recipients, content.encode()) == {}


def send_good(world: World, subject: str) -> None:
    """One message to a good domain that was not sent to before; it arrives in time."""
    domain = f"{subject}.good.test"
    world.nameserver.set(domain, "MX", "10 mx.example.org.")
    started = time.monotonic()
    submit(world, subject, [f"user@{domain}"])
    world.wait_for_mail(subject)
    assert time.monotonic() - started < WAIT


def test_domains_that_say_nothing_do_not_delay_a_good_one(tmp_path: Path) -> None:
    with World(tmp_path) as world, ExitStack() as cleanup:

        async def start_tarpit() -> ReceivingServer:
            server = ReceivingServer(host="127.0.0.9", port=world.mailhost.port, script=Script(connect=lambda _: "stall"))
            await server.start()
            return server

        tarpit = world.thread.run(start_tarpit())
        cleanup.callback(lambda: world.thread.run(tarpit.aclose()))
        cleanup.callback(world.relay.kill)
        for domain in [*(f"tarpit{number}.test" for number in range(TARPITS)), *(f"many{number}.test" for number in range(1000))]:
            world.nameserver.set(domain, "MX", f"10 mx.{domain}.")  # each a site of its own
            world.nameserver.set(f"mx.{domain}", "A", "127.0.0.9")
        world.nameserver.dropped.update(f"silent{number}.test" for number in range(SILENT))
        for number in range(3):
            submit(world, f"bad{number}", [f"u@{domain}" for domain in BAD])
        submit(world, "many", [f"u@many{number}.test" for number in range(1000)])
        world.wait_until(lambda: tarpit.open_connections >= TARPITS / 2)
        send_good(world, "first")
        assert sum(1 for _ in Path(f"/proc/{world.relay.process.pid}/fd").iterdir()) < 1000
        world.relay.kill()
        submitted = tarpit.connections
        world.relay.start()
        world.wait_until(lambda: tarpit.connections > submitted + TARPITS / 2)
        send_good(world, "second")
        assert tarpit.max_open_connections <= 250
