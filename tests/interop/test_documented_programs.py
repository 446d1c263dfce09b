"""The programs that the service's documentation shows, as they stand there: only host and port are put in, and what the environment says.

The certificate is trusted by the environment of the program, the key is in it; `smtplib` trusts any certificate when it is not told otherwise.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sendryd.testing.mailhost import ReceivedMail
from sendryd.testing.world import World

PROGRAMS = Path(__file__).parent / "programs"
NODE_MODULES = Path(__file__).parents[2] / "build" / "interop" / "node_modules"
HTML = b"<p>Sent via Sendry SMTP relay.</p>"
HOST = "localhost"


@pytest.fixture(scope="module")
def documented(world: World) -> Iterator[World]:
    """A world in which the author's domain is verified, and the recipient's mail server is ours."""
    world.publish("acme.com")
    world.nameserver.zone["example.com", "MX"] = ["10 mx.example.org."]
    yield world
    world.relay.run("domains", "remove", "acme.com")


def run(world: World, folder: Path, program: str, *command: str, **env: str) -> ReceivedMail:
    """Runs a program; gives the one message that it sent, once it has arrived with a signature that verifies."""
    before = len(world.mailhost.mails)
    port = str(world.relay.smtp[1])
    text = (PROGRAMS / program).read_text("utf-8").replace("smtp.sendry.online", HOST).replace("587", port)
    (folder / program).write_text(text, "utf-8")
    surroundings = {
        "SENDRY_API_KEY": world.live_key,
        "SMTP_URL": f"smtp://sendry:{world.live_key}@{HOST}:{port}",
        "NODE_EXTRA_CA_CERTS": str(world.relay.cert),
        "SSL_CERT_FILE": str(world.relay.cert),
    }
    done = subprocess.run(
        [*command, program], cwd=folder, env={**os.environ, **surroundings, **env}, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()

    def sent() -> list[ReceivedMail]:
        return [mail for mail in world.mailhost.mails[before:] if b"\r\nSubject: Hello from SMTP!\r\n" in mail.content]

    world.wait_until(lambda: bool(sent()))
    mail = sent()[0]
    assert (mail.envelope_from, mail.recipients) == ("hello@acme.com", ["user@example.com"])
    assert world.decoded(mail.content).strip() == HTML
    world.check_signature(mail.content)
    return mail


def test_smtplib(documented: World, tmp_path: Path) -> None:
    mail = run(documented, tmp_path, "smtplib.txt", sys.executable)
    assert b"\r\nContent-Type: multipart/alternative;" in mail.content


@pytest.mark.needs("node", "nodemailer")
@pytest.mark.parametrize("program", ["nodemailer.mjs", "nodemailer-url.mjs"])
def test_nodemailer(documented: World, tmp_path: Path, program: str) -> None:
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    run(documented, tmp_path, program, "node")


@pytest.mark.needs("go")
def test_go(documented: World, tmp_path: Path) -> None:
    mail = run(documented, tmp_path, "send.go", "go", "run", GO111MODULE="off")
    assert mail.content.endswith(b"\r\n\r\n" + HTML + b"\r\n")
