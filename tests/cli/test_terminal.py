"""What a terminal shows, and what it does not show a file."""

import os
import re
import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from sendryd.app.build import Basics
from sendryd.testing.samples import Samples

COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-7]|9[0-7]|38)[0-9;]*m")
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(cli: Any, *args: str, until: bytes | None = None, typed: bytes | None = None, **env: str) -> str:
    """What a command writes to a terminal of 80 columns, until it ends, or has written this and is interrupted. `typed` waits for it there."""
    ours, theirs = os.openpty()
    surroundings = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    child = subprocess.Popen(
        [sys.executable, "-m", "sendryd", *args],
        env={**surroundings, **cli.env, "TERM": "xterm", "COLUMNS": "80", **env},
        stdin=subprocess.DEVNULL if typed is None else theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    if typed is not None:
        os.write(ours, typed)
    written = b""
    try:
        while part := os.read(ours, 65_536):
            written += part
            if until and until in written:
                child.send_signal(signal.SIGINT)
                until = None
    except OSError:  # so a terminal says that nobody writes to it any more
        pass
    finally:
        os.close(ours)
    child.wait(30)
    return written.decode().replace("\r\n", "\n")


def test_what_is_copied_into_the_next_command_is_whole_on_a_narrow_terminal(cli: Any) -> None:
    made = cli.json("keys", "create", "--name", "a name that takes more than its share of the line, and then some", "--expires", "90d")
    shown = ESCAPE.sub("", on_terminal(cli, "keys", "list"))
    assert shown.splitlines()[0].split()[:3] == ["id", "name", "mode"]
    row = next(line for line in shown.splitlines() if made["id"] in line)
    assert made["name"] in row
    assert made["expires_at"] in row


def test_colours_are_for_terminals_and_for_who_wants_them(cli: Any) -> None:
    commands = (("keys", "revoke", "nonsense"), ("nonsense",), ("keys", "list"))
    assert COLOUR.search(on_terminal(cli, *commands[0]))
    for args in commands:
        assert not COLOUR.search(on_terminal(cli, *args, NO_COLOR="1"))
        piped = subprocess.run([sys.executable, "-m", "sendryd", *args], env={**os.environ, **cli.env}, capture_output=True, check=False)
        assert b"\x1b" not in piped.stdout + piped.stderr


@pytest.mark.sockets
def test_the_log_without_colours(cli: Any) -> None:
    listening = {"SENDRYD_SMTP_LISTEN": "127.0.0.1:0", "SENDRYD_HTTP_LISTEN": "0.0.0.0:0", "NO_COLOR": "1"}
    shown = on_terminal(cli, "serve", until=b"http_without_tls", typed=None, **listening)
    assert "http_without_tls" in shown
    assert "\x1b" not in shown


@pytest.mark.sockets
def test_the_demonstration_without_colours(cli: Any) -> None:
    shown = on_terminal(cli, "demo", NO_COLOR="1")
    assert "Status: delivered." in shown
    assert "\x1b" not in shown


def test_a_person_sees_the_number_before_many_deliveries_change(cli: Any) -> None:
    async def fill(basics: Basics) -> None:
        now = basics.clock.now()
        samples = Samples(now)
        await basics.store.add_domain(samples.domain())
        await basics.store.accept(samples.message(("a@one.test", "b@two.test"), created_at=now, due_at=now + timedelta(hours=1)))

    cli.store(fill)
    refused = on_terminal(cli, "queue", "cancel", "--older-than", "0s", typed=b"n\n")
    assert "2 deliveries will be cancelled. Go on?" in refused
    assert len(cli.json("queue", "list")["data"]) == 2
    assert "1 delivery will be cancelled. Go on?" in on_terminal(cli, "queue", "cancel", "--domain", "one.test", typed=b"y\n")
    assert "Go on?" not in on_terminal(cli, "queue", "cancel", "--domain", "two.test", "--yes", typed=b"")
    assert cli.json("queue", "list")["data"] == []


@pytest.mark.parametrize(
    ("to", "words"), [(">&-", b"standard output is closed"), (">/dev/full", b"standard output cannot be written: No space")]
)
def test_output_that_leads_nowhere_is_said(cli: Any, to: str, words: bytes) -> None:
    for command in ("keys list --json", "keys create --name lost"):
        line = f"exec {sys.executable} -m sendryd {command} {to}"
        done = subprocess.run(["sh", "-c", line], env={**os.environ, **cli.env}, capture_output=True, check=False)
        assert (done.returncode, words in done.stderr.splitlines()[-1]) == (1, True), done.stderr
        assert b"internal error" not in done.stderr
