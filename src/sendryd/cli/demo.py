"""`sendryd demo`: sends one message all the way on loopback.

Starts the server, a name server and a receiving mail server, verifies a domain, sends a message over STARTTLS with an API key,
prints the header that arrived, and checks its DKIM signature against the published record.
"""

import smtplib
import ssl
from typing import Any

import typer

from sendryd.cli.options import Json
from sendryd.cli.output import fail, print_json, say
from sendryd.message.headers import HeaderBlock
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.log import does_colour
from sendryd.testing.process import RelayFailed
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

app = typer.Typer(add_completion=False)

AUTHOR = f"hello@{SENDING_DOMAIN}"
RECIPIENT = f"user@{RECIPIENT_DOMAIN}"
SUBJECT = "Hello from the demonstration"
MESSAGE = f"From: Demo <{AUTHOR}>\r\nTo: {RECIPIENT}\r\nSubject: {SUBJECT}\r\n\r\nThis went all the way.\r\n"
SHOWN_FIELDS = (b"dkim-signature", b"received", b"message-id", b"date", b"from", b"to", b"subject")


@app.command()
def demo(as_json: Json = False) -> None:
    """Send one message all the way on loopback, with a name server and a receiving mail server of its own."""
    clock = SystemClock()
    started = clock.monotonic()
    try:
        with World() as world:
            result = _run(world)
    except (RelayFailed, OSError, smtplib.SMTPException, TimeoutError) as error:
        fail(f"the demonstration failed: {error}")
    seconds = clock.monotonic() - started
    if as_json:
        print_json({**result, "seconds": round(seconds, 1)})
    else:
        _step(f"Done in {seconds:.1f} s.")


def _step(text: str) -> None:
    typer.echo(typer.style(text, fg=typer.colors.GREEN) if does_colour() else text, err=True)


def _run(world: World) -> dict[str, Any]:
    host, port = world.relay.smtp
    _step(f"The relay listens on {host}:{port}, the receiving server on 127.0.0.1:{world.mailhost.port}.")
    _step(f"The domain {SENDING_DOMAIN} is verified: its DKIM and SPF records were found.")
    with smtplib.SMTP(host, port, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.login("sendry", world.live_key)
        smtp.mail(AUTHOR)
        smtp.rcpt(RECIPIENT)
        code, reply = smtp.data(MESSAGE.encode())
    text = reply.decode("utf-8", "replace")
    if code != 250:
        raise RelayFailed(f"the message was refused: {code} {text}")
    _step(f"Sent over STARTTLS with an API key: 250 {text}")
    mail = world.received(text)
    world.check_signature(mail.content)
    message_id = text.rpartition(" ")[2]
    email = world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)
    status, events = world.relay.get(f"/v1/emails/{message_id}/events", world.live_key)
    if status != 200:
        raise RelayFailed(f"the events cannot be read: {events}")
    _step(f"Delivered over {'TLS' if mail.tls else 'clear text'} to {', '.join(mail.recipients)}:")
    headers = HeaderBlock.parse(mail.content)
    shown = [headers.raw(field).decode("utf-8", "replace").rstrip() for field in headers.fields if field.name in SHOWN_FIELDS]
    for field in shown:
        say("  " + field.replace("\r\n", "\n  "))
    _step("Its DKIM signature verifies against the published record.")
    words = [event["type"] for event in reversed(events["data"])]
    _step(f"Events: {', '.join(words)}. Status: {email['status']}.")
    return {
        "id": message_id,
        "status": email["status"],
        "tls": mail.tls,
        "dkim": "pass",
        "events": words,
        "headers": shown,
    }
