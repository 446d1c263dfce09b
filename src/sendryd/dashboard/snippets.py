"""Lines to paste that send a mail through this installation, in bash. Pure.

The key is `$SENDRYD_KEY`. Every other value is this installation's, quoted for the shell and the language it stands in.
"""

import json
import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where mail is submitted, and between whom."""

    http: str  # base of the REST API
    smtp: str  # host:port
    cert: str  # path of the certificate, for clients to trust
    sender: str
    recipient: str


@dataclass(frozen=True, slots=True)
class Snippet:
    """Lines for one program."""

    name: str
    lines: str
    note: str = ""


def snippets(place: Place) -> tuple[Snippet, ...]:
    """One for each of curl, swaks, nodemailer, Python and a client that takes an SMTP URL."""
    return (
        Snippet("curl", _curl(place)),
        Snippet("swaks", _swaks(place)),
        Snippet("nodemailer", _nodemailer(place), "Once, in the same folder: npm install nodemailer"),
        Snippet("Python", _python(place)),
        Snippet("smtp://", _smtp(place), f"Apps that take one URL: smtp://sendry:API_KEY@{place.smtp}, with STARTTLS"),
    )


def _host(place: Place) -> tuple[str, str]:
    host, _, port = place.smtp.rpartition(":")
    return host.strip("[]"), port


def _curl(place: Place) -> str:
    body = {"from": place.sender, "to": place.recipient, "subject": "Hello from curl", "text": "It works."}
    return (
        f"curl {shlex.quote(place.http + '/v1/emails')} \\\n"
        f'  -H "Authorization: Bearer $SENDRYD_KEY" -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(json.dumps(body))}"
    )


def _swaks(place: Place) -> str:
    host, port = _host(place)
    return (
        f"swaks --server {shlex.quote(host)} --port {port} --tls \\\n"
        f'  --auth PLAIN --auth-user sendry --auth-password "$SENDRYD_KEY" \\\n'
        f"  --from {shlex.quote(place.sender)} --to {shlex.quote(place.recipient)} \\\n"
        '  --header "Subject: Hello from swaks" --body "It works."'
    )


def _nodemailer(place: Place) -> str:
    host, port = _host(place)
    mail = {"from": place.sender, "to": place.recipient, "subject": "Hello from nodemailer", "text": "It works."}
    return (
        f"NODE_EXTRA_CA_CERTS={shlex.quote(place.cert)} node - <<'END'\n"
        'const { createTransport } = require("nodemailer");\n'
        f'const auth = {{ user: "sendry", pass: process.env.SENDRYD_KEY }};\n'
        f"createTransport({{ host: {json.dumps(host)}, port: {port}, requireTLS: true, auth }})\n"
        f"  .sendMail({json.dumps(mail)})\n"
        "  .then((info) => console.log(info.response));\n"
        "END"
    )


def _python(place: Place) -> str:
    host, port = _host(place)
    return (
        "python3 - <<'END'\n"
        "import os, smtplib, ssl\n"
        "from email.message import EmailMessage\n"
        "mail = EmailMessage()\n"
        f'mail["From"], mail["To"] = {place.sender!r}, {place.recipient!r}\n'
        'mail["Subject"] = "Hello from Python"\n'
        'mail.set_content("It works.")\n'
        f"with smtplib.SMTP({host!r}, {port}) as smtp:\n"
        f"    smtp.starttls(context=ssl.create_default_context(cafile={place.cert!r}))\n"
        '    smtp.login("sendry", os.environ["SENDRYD_KEY"])\n'
        "    smtp.send_message(mail)\n"
        "END"
    )


def _smtp(place: Place) -> str:
    return (
        f"curl --ssl-reqd --cacert {shlex.quote(place.cert)} {shlex.quote('smtp://' + place.smtp)} \\\n"
        f'  --user "sendry:$SENDRYD_KEY" --mail-from {shlex.quote(place.sender)} --mail-rcpt {shlex.quote(place.recipient)} \\\n'
        "  --crlf --upload-file - <<'END'\n"
        f"From: {place.sender}\nTo: {place.recipient}\nSubject: Hello over SMTP\n\nIt works.\nEND"
    )
