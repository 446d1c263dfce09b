"""`sendryd send`: one message over SMTP through the running relay, for trying things out."""

import email.policy
import mimetypes
import os
import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated

import typer

from sendryd.cli.keys import Json
from sendryd.cli.output import WRONG_USAGE, fail, print_json, read_settings, say

KEY_VARIABLE = "SENDRY_API_KEY"
TIMEOUT = 60.0  # seconds


def send(
    sender: Annotated[str, typer.Option("--from", metavar="ADDRESS", help="Author.")],
    to: Annotated[list[str], typer.Option("--to", metavar="ADDRESS", help="Recipient; may repeat.")],
    subject: Annotated[str, typer.Option(help="Subject.")] = "Test",
    text: Annotated[str | None, typer.Option(help="Plain text.")] = None,
    html: Annotated[str | None, typer.Option(help="HTML.")] = None,
    attach: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="Attachment; may repeat.")] = None,
    key: Annotated[str | None, typer.Option(help=f"API key; default: {KEY_VARIABLE}.")] = None,
    as_json: Json = False,
) -> None:
    """Sends one message."""
    settings = read_settings()
    secret = key or os.environ.get(KEY_VARIABLE)
    if not secret:
        fail(f"give an API key with --key or {KEY_VARIABLE}", WRONG_USAGE)
    try:
        message = _compose(sender, to, subject, text, html, attach or [])
    except (OSError, ValueError) as error:
        fail(f"the message cannot be made: {error}")
    address = settings.smtp_listen[0]
    host = {"0.0.0.0": "localhost", "::": "localhost"}.get(address.host, address.host)  # noqa: S104  compared, not bound
    try:
        context = ssl.create_default_context(cafile=str(settings.cert_path) if settings.tls_cert is None else None)
        with smtplib.SMTP(host, address.port, timeout=TIMEOUT) as smtp:
            smtp.starttls(context=context)
            smtp.login("sendry", secret)
            reply = _submit(smtp, message, sender, to)
    except smtplib.SMTPRecipientsRefused as error:
        code, refusal = next(iter(error.recipients.values()))
        fail(f"refused: {code} {refusal.decode('utf-8', 'replace')}")
    except smtplib.SMTPResponseException as error:
        raw = error.smtp_error
        fail(f"refused: {error.smtp_code} {raw.decode('utf-8', 'replace') if isinstance(raw, bytes) else raw}")
    except (OSError, smtplib.SMTPException) as error:
        fail(f"no message could be sent through {address}: {error}")
    message_id = reply.rpartition(" ")[2]
    if as_json:
        print_json({"id": message_id, "from": sender, "to": to, "subject": subject, "status": "queued"})
    else:
        say(reply)


def _compose(sender: str, to: list[str], subject: str, text: str | None, html: str | None, files: list[Path]) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Subject"] = subject
    if text is not None or html is None:
        message.set_content(text if text is not None else "Sent by sendryd send.\n")
        if html is not None:
            message.add_alternative(html, subtype="html")
    else:
        message.set_content(html, subtype="html")
    for file in files:
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        maintype, _, subtype = kind.partition("/")
        message.add_attachment(file.read_bytes(), maintype=maintype, subtype=subtype, filename=file.name)
    return message


def _submit(smtp: smtplib.SMTP, message: EmailMessage, sender: str, to: list[str]) -> str:
    """One transaction; gives the text of the reply to the content."""
    code, answer = smtp.mail(sender.rpartition("<")[2].rstrip("> "))
    if code >= 300:
        raise smtplib.SMTPResponseException(code, answer)
    for recipient in to:
        code, answer = smtp.rcpt(recipient.rpartition("<")[2].rstrip("> "))
        if code >= 300:
            raise smtplib.SMTPResponseException(code, answer)
    code, answer = smtp.data(message.as_bytes(policy=email.policy.SMTP))
    if code >= 300:
        raise smtplib.SMTPResponseException(code, answer)
    return answer.decode("utf-8", "replace")
