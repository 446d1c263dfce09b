"""Programs and libraries of real users, with nothing but host, port, certificate and key given to them."""

import os
import re
import ssl
import subprocess
from pathlib import Path

import aiosmtplib
import dkim
import pytest

from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
RECIPIENT = "user@example.org"


def run(world: World, *command: str, cwd: Path, stdin: bytes | None = None, **env: str) -> str:
    host, port = world.relay.smtp
    done = subprocess.run(
        command,
        cwd=cwd,
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
        env={
            **os.environ,
            "SMTP_HOST": host,
            "SMTP_PORT": str(port),
            "SENDRY_API_KEY": world.live_key,
            "SMTP_CA": str(world.relay.cert),
            **env,
        },
    )
    output = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, output
    return output


def check_arrived(world: World, subject: str) -> bytes:
    """One copy at the recipient, signed so that it verifies; gives its content."""
    mail = world.wait_for_mail(subject)
    assert mail.recipients == [RECIPIENT]
    assert mail.envelope_from == AUTHOR
    world.check_signature(mail.content)
    assert dkim.verify(mail.content, dnsfunc=lambda name, **_: (world.published(name.decode()) or "").encode())
    return bytes(mail.content)


async def test_aiosmtplib(world: World) -> None:
    host, port = world.relay.smtp
    await aiosmtplib.send(
        f"From: {AUTHOR}\r\nTo: {RECIPIENT}\r\nSubject: aiosmtplib\r\n\r\nhi\r\n".encode(),
        sender=AUTHOR,
        recipients=[RECIPIENT],
        hostname=host,
        port=port,
        username="sendry",
        password=world.live_key,
        start_tls=True,
        tls_context=ssl.create_default_context(cafile=str(world.relay.cert)),
    )
    check_arrived(world, "aiosmtplib")


@pytest.mark.needs("swaks")
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks(world: World, tmp_path: Path, mechanism: str) -> None:
    host, port = world.relay.smtp
    output = run(
        world,
        "swaks",
        f"--server={host}",
        f"--port={port}",
        "--tls",
        "--tls-verify",
        f"--tls-ca-path={world.relay.cert}",
        "--auth",
        mechanism,
        "--auth-user=sendry",
        f"--auth-password={world.live_key}",
        f"--from={AUTHOR}",
        f"--to={RECIPIENT}",
        "--header",
        f"Subject: swaks {mechanism}",
        cwd=tmp_path,
    )
    assert re.search(r"250 2\.0\.0 Ok: queued as em_\w{13}", output)
    check_arrived(world, f"swaks {mechanism}")


@pytest.mark.needs("curl")
def test_curl_with_bare_line_feeds(world: World, tmp_path: Path) -> None:
    host, port = world.relay.smtp
    run(
        world,
        "curl",
        "--silent",
        "--show-error",
        "--ssl-reqd",
        "--cacert",
        str(world.relay.cert),
        "--user",
        f"sendry:{world.live_key}",
        "--mail-from",
        AUTHOR,
        "--mail-rcpt",
        RECIPIENT,
        "-T",
        "-",
        f"smtp://{host}:{port}",
        cwd=tmp_path,
        stdin=f"From: {AUTHOR}\r\nTo: {RECIPIENT}\r\nSubject: curl\r\n\r\nline one\nline two\n".encode(),
    )
    assert b"\r\n\r\nline one\r\nline two\r\n" in check_arrived(world, "curl")
