"""Lines to paste that send a mail through this installation, in bash. Pure.

The key is `$SENDRYD_KEY`. Every other value is this installation's, quoted for the shell and the language it stands in.
"""

import json
import shlex
from collections.abc import Mapping
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

    @property
    def key(self) -> str:
        """Its name in the browser's memory: `smtp` for `smtp://`."""
        return "".join(letter for letter in self.name.lower() if letter.isalnum())


def snippets(place: Place) -> tuple[Snippet, ...]:
    """One for each program, and one for apps that take an SMTP URL."""
    return (
        Snippet("curl", _curl(place)),
        Snippet("swaks", _swaks(place)),
        Snippet("nodemailer", _nodemailer(place), "Once, in the same folder: npm install nodemailer"),
        Snippet("Python", _python(place)),
        Snippet("Go", _go(place)),
        Snippet("PHP", _php(place)),
        Snippet("smtp://", _smtp(place), f"Apps that take one URL: smtp://sendry:API_KEY@{place.smtp}, with STARTTLS"),
    )


def list_emails(place: Place) -> str:
    """A request for the latest mails."""
    return f'curl{_trust(place)} {shlex.quote(place.http + "/v1/emails")} -H "Authorization: Bearer $SENDRYD_KEY"'


def schedule(place: Place) -> str:
    """A mail that waits for an hour."""
    body = {"from": place.sender, "to": place.recipient, "subject": "Hello later", "text": "It works.", "scheduled_at": "in 1 hour"}
    return post_mail(place, body)


def try_door(place: Place) -> str:
    """A mail from a domain that is not this account's: the SMTP door refuses it."""
    host, port = _host(place)
    return (
        f"swaks --server {shlex.quote(host)} --port {port} --tls --auth PLAIN --auth-user sendry \\\n"
        f'  --auth-password "$SENDRYD_KEY" --from somebody@unverified.example --to {shlex.quote(place.recipient)}'
    )


def _host(place: Place) -> tuple[str, str]:
    host, _, port = place.smtp.rpartition(":")
    return host.strip("[]"), port


def _trust(place: Place) -> str:
    """The option by which curl trusts our certificate."""
    return f" --cacert {shlex.quote(place.cert)}" if place.http.startswith("https://") else ""


def _curl(place: Place) -> str:
    return post_mail(place, {"from": place.sender, "to": place.recipient, "subject": "Hello from curl", "text": "It works."})


def post_mail(place: Place, body: Mapping[str, object]) -> str:
    """A mail by REST."""
    return (
        f"curl{_trust(place)} {shlex.quote(place.http + '/v1/emails')} \\\n"
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


def _go(place: Place) -> str:
    host, _ = _host(place)
    content = f"From: {place.sender}\r\nTo: {place.recipient}\r\nSubject: Hello from Go\r\n\r\nIt works.\r\n"
    return (
        """folder=$(mktemp -d) && cat >"$folder/main.go" <<'END' && go run "$folder/main.go"\n"""
        "package main\n\n"
        'import (\n\t"crypto/tls"\n\t"crypto/x509"\n\t"log"\n\t"net/smtp"\n\t"os"\n)\n\n'
        "func main() {\n"
        f"\tpem, err := os.ReadFile({json.dumps(place.cert)})\n"
        "\tcheck(err)\n"
        "\troots := x509.NewCertPool()\n"
        "\troots.AppendCertsFromPEM(pem)\n"
        f"\tclient, err := smtp.Dial({json.dumps(place.smtp)})\n"
        "\tcheck(err)\n"
        f"\tcheck(client.StartTLS(&tls.Config{{ServerName: {json.dumps(host)}, RootCAs: roots}}))\n"
        f'\tcheck(client.Auth(smtp.PlainAuth("", "sendry", os.Getenv("SENDRYD_KEY"), {json.dumps(host)})))\n'
        f"\tcheck(client.Mail({json.dumps(place.sender)}))\n"
        f"\tcheck(client.Rcpt({json.dumps(place.recipient)}))\n"
        "\tbody, err := client.Data()\n"
        "\tcheck(err)\n"
        f"\t_, err = body.Write([]byte({json.dumps(content)}))\n"
        "\tcheck(err)\n"
        "\tcheck(body.Close())\n"
        "\tcheck(client.Quit())\n"
        "}\n\n"
        "func check(err error) {\n\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n}\n"
        "END"
    )


def _php(place: Place) -> str:
    mail = {"from": place.sender, "to": place.recipient, "subject": "Hello from PHP", "text": "It works."}
    fields = ", ".join(f"{_quoted(name)} => {_quoted(value)}" for name, value in mail.items())
    return (
        "php <<'END'\n"
        "<?php\n"
        f"$mail = [{fields}];\n"
        "$headers = ['Content-Type: application/json', 'Authorization: Bearer ' . getenv('SENDRYD_KEY')];\n"
        "$request = ['method' => 'POST', 'header' => $headers, 'content' => json_encode($mail), 'ignore_errors' => true];\n"
        f"$context = stream_context_create(['http' => $request, 'ssl' => ['cafile' => {_quoted(place.cert)}]]);\n"
        f"echo file_get_contents({_quoted(place.http + '/v1/emails')}, false, $context), PHP_EOL;\n"
        "END"
    )


def _quoted(text: str) -> str:
    """A string of PHP without variables."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _smtp(place: Place) -> str:
    return (
        f"curl --ssl-reqd --cacert {shlex.quote(place.cert)} {shlex.quote('smtp://' + place.smtp)} \\\n"
        f'  --user "sendry:$SENDRYD_KEY" --mail-from {shlex.quote(place.sender)} --mail-rcpt {shlex.quote(place.recipient)} \\\n'
        "  --crlf --upload-file - <<'END'\n"
        f"From: {place.sender}\nTo: {place.recipient}\nSubject: Hello over SMTP\n\nIt works.\nEND"
    )
