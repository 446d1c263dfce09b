"""What REST is given in any script arrives readable, in three readers that have nothing in common."""

import base64
import email.policy
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import getaddresses
from pathlib import Path
from typing import Any

import pytest

from sendryd.testing.clients import RestClient, submit
from sendryd.testing.world import SENDING_DOMAIN, World

PROGRAMS = Path(__file__).parent / "programs"
NODE_MODULES = Path(__file__).parents[2] / "build" / "interop" / "node_modules"
TEXTS = {
    "plain": "Plain words",
    "umlauts": "Grüße aus Köln – größer & schöner",
    "japanese": "領収書のお知らせ（第12号）",
    "japanese-long": "とても長い件名がここにありますので、折り返しが必要になります。" * 4,
    "arabic": "مرحبا بالعالم، هذه رسالة",
    "hebrew-and-latin": "שלום (world) 123",
    "emoji": "🎉 Party 👩‍👩‍👧‍👦 🇩🇪 ok",
    "emoji-long": "🎉👩‍👩‍👧‍👦" * 15,
    "combining": "Zu\u0308rich e\u0301te\u0301",
    "quotes": 'He said "yes", O\'Brien',
    "backslashes": "C:\\temp\\new \\\\server",
    "specials": "a;b=c*'%20?=_#{}[]|~`^$!",
    "encoded-word": "=?utf-8?Q?not_an_encoded_word?=",
    "percent": "100%25 UTF-8''x",
    "long-ascii": "one-word-without-any-space-in-it-" * 6,
    "long-words": "many words in a row " * 9 + "end",
    "ends-with-equals": "a=b?=",
}


def file_name(text: str) -> str:
    """Not with an encoded word in it: mailparser decodes that even where it stands encoded as RFC 2231 wants it."""
    return f"{text.replace('=?', '=')[:200]}.txt"


def python_reads(paths: list[Path], _folder: Path) -> list[Any]:
    """The standard library's. For addresses its older half: the newer shows a space between two encoded words of a name (RFC 2047 §6.2)."""

    def addresses(message: EmailMessage, name: str) -> list[list[str]]:
        raw = [str(value) for field, value in message.raw_items() if field == name]
        return [[str(make_header(decode_header(shown))), address] for shown, address in getaddresses(raw)]

    found = []
    for path in paths:
        message = BytesParser(EmailMessage, policy=email.policy.default).parsebytes(path.read_bytes())
        body = message.get_body(["plain"])
        assert body is not None
        found.append(
            {
                "subject": message["Subject"],
                "from": addresses(message, "From"),
                "to": addresses(message, "To"),
                "reply_to": addresses(message, "Reply-To"),
                "note": message["X-Note"],
                "text": body.get_content().strip(),
                "files": [
                    [part.get_filename(), part.get_content_type(), base64.b64encode(part.get_payload(decode=True) or b"").decode()]  # type: ignore[arg-type]  # bytes, with decode
                    for part in message.iter_attachments()
                ],
            }
        )
    return found


def run(folder: Path, *command: str, **env: str) -> list[Any]:
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=100, check=False, env={**os.environ, **env})
    assert done.returncode == 0, done.stderr.decode()
    return list(json.loads(done.stdout))


def go_reads(paths: list[Path], folder: Path) -> list[Any]:
    """net/mail and mime."""
    shutil.copy(PROGRAMS / "read.go", folder / "main.go")
    return run(folder, "go", "run", "main.go", *map(str, paths), GO111MODULE="off")


def node_reads(paths: list[Path], folder: Path) -> list[Any]:
    """mailparser."""
    shutil.copy(PROGRAMS / "read.mjs", folder)
    (folder / "node_modules").symlink_to(NODE_MODULES)
    return run(folder, "node", "read.mjs", *map(str, paths))


READERS = [
    pytest.param(python_reads, id="python"),
    pytest.param(go_reads, id="go", marks=pytest.mark.needs("go")),
    pytest.param(node_reads, id="node", marks=pytest.mark.needs("node", "mailparser")),
]


def quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.fixture(scope="module")
def arrived(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A message for each of the texts, with the text in every place where a text can stand."""
    folder = tmp_path_factory.mktemp("arrived")
    rest = RestClient(world.relay, world.live_key)
    paths = []
    for name, text in TEXTS.items():
        sent = rest.post(
            "/v1/emails",
            {
                "from": f"{quoted(text)} <a@{SENDING_DOMAIN}>",
                "to": [f"{quoted(text)} <user@example.org>", "bare@example.org"],
                "reply_to": f"{quoted(text)} <reply@example.org>",
                "subject": text,
                "text": text,
                "headers": {"X-Note": text},
                "attachments": [
                    {"filename": file_name(text), "content": base64.b64encode(text.encode()).decode(), "content_type": "application/x-note"}
                ],
            },
        )
        path = folder / f"{name}.eml"
        path.write_bytes(world.received(sent["id"]).content)
        paths.append(path)
    return paths


@pytest.mark.parametrize("reader", READERS)
def test_every_script_is_readable(arrived: list[Path], tmp_path: Path, reader: Callable[[list[Path], Path], list[Any]]) -> None:
    for (name, text), found in zip(TEXTS.items(), reader(arrived, tmp_path), strict=True):
        assert found == {
            "subject": text,
            "from": [[text, f"a@{SENDING_DOMAIN}"]],
            "to": [[text, "user@example.org"], ["", "bare@example.org"]],
            "reply_to": [[text, "reply@example.org"]],
            "note": text,
            "text": text,
            "files": [[file_name(text), "application/x-note", base64.b64encode(text.encode()).decode()]],
        }, name


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_api_shows_what_it_was_given(world: World, text: str) -> None:
    rest = RestClient(world.relay, world.test_key)
    name = file_name(text)
    body = {"from": f"{quoted(text)} <a@example.test>", "to": "user@example.org", "subject": text, "text": text}
    sent = rest.post("/v1/emails", {**body, "attachments": [{"filename": name, "content": "YQ=="}]})
    shown = rest.get(f"/v1/emails/{sent['id']}")
    assert sent["subject"] == shown["subject"] == text
    assert [each["filename"] for each in shown["attachments"]] == [name]


FORMS = {
    "RFC 2231": "Content-Disposition: attachment; filename*=UTF-8''%E9%A0%98%E5%8F%8E%20%22x%22.pdf",
    "RFC 2231, in sections": 'Content-Disposition: attachment; filename*0*=UTF-8\'\'%E9%A0%98;\r\n filename*1*=%E5%8F%8E%20%22;\r\n filename*2="x\\".pdf"',
    "RFC 2047": 'Content-Disposition: attachment; filename="=?utf-8?B?6aCY5Y+OICJ4Ii5wZGY=?="',
    "RFC 2047, in two words": 'Content-Disposition: attachment;\r\n filename="=?utf-8?B?6aCY5Y+O?= =?utf-8?Q?_=22x=22=2Epdf?="',
    "both": "Content-Disposition: attachment; filename=\"fallback.pdf\"; filename*=UTF-8''%E9%A0%98%E5%8F%8E%20%22x%22.pdf",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_name_by_smtp_is_read_in_every_form_and_left_as_it_came(world: World, form: str) -> None:
    head = [
        f"From: =?iso-8859-1?Q?Gr=FC=DFe?= <a@{SENDING_DOMAIN}>",
        "To: user@example.org",
        "Subject: =?utf-8?B?6aCY5Y+O?=",
        "MIME-Version: 1.0",
    ]
    part = ["--b", "Content-Type: application/pdf", form, "", "x", "--b--", ""]
    content = "\r\n".join([*head, "Content-Type: multipart/mixed; boundary=b", "", *part]).encode()
    code, reply = submit(world.relay, world.live_key, f"a@{SENDING_DOMAIN}", ["user@example.org"], content)
    assert code == 250
    assert world.received(reply).content.endswith(content.partition(b"\r\n\r\n")[2])
    shown = RestClient(world.relay, world.live_key).get(f"/v1/emails/{reply.rpartition(' ')[2]}")
    assert (shown["from"], shown["subject"]) == (f"Grüße <a@{SENDING_DOMAIN}>", "領収")
    assert [each["filename"] for each in shown["attachments"]] == ['領収 "x".pdf']
