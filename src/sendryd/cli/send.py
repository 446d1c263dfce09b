"""`sendryd send`: sends one message over SMTP through the running server, to try it out."""

import email.policy
import mimetypes
import os
import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated, Final

import typer

from sendryd.app.served import read_served
from sendryd.app.values import Address
from sendryd.cli.options import Json
from sendryd.cli.output import WRONG_USAGE, command, explain, fail, print_json, say
from sendryd.cli.settings import read_settings

app = typer.Typer(add_completion=False)

KEY_VARIABLE: Final = "SENDRY_API_KEY"
TIMEOUT: Final = 60.0  # seconds
REFUSED: Final = 300  # reply codes from here on
EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  a server on every address also listens on this one


class NotTheRelay(Exception):
    """Another program answers at the server's address."""


@app.command()
def send(
    sender: Annotated[str, typer.Option("--from", metavar="ADDRESS", help="Address of the author.")],
    to: Annotated[list[str], typer.Option("--to", metavar="ADDRESS", help="Recipient; may repeat.")],
    subject: Annotated[str, typer.Option(help="Subject.")] = "Test",
    text: Annotated[str | None, typer.Option(help="Plain text.")] = None,
    html: Annotated[str | None, typer.Option(help="HTML.")] = None,
    attach: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="Attachment; may repeat.")] = None,
    key: Annotated[str | None, typer.Option(help=f"API key; default: the variable {KEY_VARIABLE}.")] = None,
    as_json: Json = False,
) -> None:
    """Send one message through the running server."""
    settings = read_settings()
    secret = key or os.environ.get(KEY_VARIABLE)
    if not secret:
        fail(f"give an API key with --key or {KEY_VARIABLE}", WRONG_USAGE)
    try:
        message = _compose(sender, to, subject, text, html, attach or [])
    except OSError as error:
        fail(f"an attachment cannot be read: {explain(error)}")
    except ValueError as error:
        fail(f"the message cannot be composed: {error}")
    address = settings.smtp_listen[0]
    if not address.port:  # the system has chosen one
        address = read_served(settings.data_dir).smtp or address
    try:
        reply = _send(address, settings.cert_path, secret, message, sender, to)
    except smtplib.SMTPResponseException as error:
        raw = error.smtp_error
        fail(f"refused: {error.smtp_code} {raw.decode('utf-8', 'replace') if isinstance(raw, bytes) else raw}")
    except UnicodeError:
        fail("this is no API key: keys have only letters, digits and underscores")
    except ConnectionRefusedError:
        fail(f"nothing listens on {address}: is {command('serve')} running, and with the same settings?")
    except smtplib.SMTPException as error:  # also an OSError, without a message of the system
        fail(f"no message could be sent through {address}: {error}")
    except OSError as error:
        fail(f"no message could be sent through {address}: {explain(error)}")
    except NotTheRelay as error:
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


def _send(address: Address, cert: Path, secret: str, message: EmailMessage, sender: str, to: list[str]) -> str:
    """Sends the message; returns the text of the reply to the content."""
    host = EVERY_ADDRESS.get(address.host, address.host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Only the installation's own certificate is trusted, under any host name; so it is compared, not verified.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with smtplib.SMTP(host, address.port, timeout=TIMEOUT) as smtp:
        smtp.starttls(context=context)
        if not isinstance(smtp.sock, ssl.SSLSocket) or smtp.sock.getpeercert(binary_form=True) != _first_certificate(cert):
            raise NotTheRelay(f"the program that answers there does not present the certificate {cert}")
        smtp.login("sendry", secret)
        return _submit(smtp, message, sender, to)


def _first_certificate(path: Path) -> bytes:
    """The first certificate of a file, as DER; its chain may follow in the file."""
    _, separator, rest = path.read_text("ascii").partition("-----BEGIN CERTIFICATE-----")
    body, end, _ = rest.partition("-----END CERTIFICATE-----")
    if not separator or not end:
        raise NotTheRelay(f"{path} has no certificate")
    return ssl.PEM_cert_to_DER_cert(f"{separator}{body}{end}\n")


def _submit(smtp: smtplib.SMTP, message: EmailMessage, sender: str, to: list[str]) -> str:
    """Runs one mail transaction; returns the text of the reply to the content."""
    paths = [_mailbox(address) for address in (sender, *to)]
    needs_smtputf8 = not all(path.isascii() for path in paths)  # RFC 6531 §3.4
    code, answer = smtp.mail(paths[0], ["SMTPUTF8"] if needs_smtputf8 else [])
    if code >= REFUSED:
        raise smtplib.SMTPResponseException(code, answer)
    for path in paths[1:]:
        code, answer = smtp.rcpt(path)
        if code >= REFUSED:
            raise smtplib.SMTPResponseException(code, answer)
    code, answer = smtp.data(message.as_bytes(policy=email.policy.SMTPUTF8 if needs_smtputf8 else email.policy.SMTP))
    if code >= REFUSED:
        raise smtplib.SMTPResponseException(code, answer)
    return answer.decode("utf-8", "replace")


def _mailbox(address: str) -> str:
    """The address without a display name."""
    return address.rpartition("<")[2].rstrip("> ")
