"""`sendryd send`, through a relay that runs."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sendryd.cli.main import app
from sendryd.testing.process import RelayProcess

pytestmark = pytest.mark.sockets
ENVELOPE = ("--from", "Ann <ann@example.test>", "--to", "user@example.org")


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    with RelayProcess(tmp_path_factory.mktemp("send") / "data") as made:
        made.env["SENDRYD_SMTP_LISTEN"] = made.ready["smtp"]
        yield made


def send(relay: RelayProcess, *args: str, status: int = 0) -> Result:
    """The command in this process, with the settings of a relay; it must end with this status."""
    result = CliRunner().invoke(app, ["send", *args], env=relay.env)
    assert result.exit_code == status, (result.stderr, result.exception)
    return result


def fault(relay: RelayProcess, *args: str, status: int = 1) -> str:
    """The one line of a command that fails."""
    result = send(relay, *args, status=status)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


def inbox(relay: RelayProcess, message_id: str) -> dict[str, Any]:
    status, body = relay.get(f"/v1/test-emails/{message_id}", relay.keys["test"])
    assert status == 200
    return body


def test_a_message_with_all_parts(relay: RelayProcess, tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("attached")
    parts = ("--subject", "Grüße", "--text", "plain", "--html", "<p>rich</p>", "--attach", str(file))
    done = send(relay, *ENVELOPE, "--to", "Second <second@example.org>", *parts, "--key", relay.keys["test"], "--json")
    sent = json.loads(done.stdout)
    assert sent["id"].startswith("em_")
    found = inbox(relay, sent["id"])
    assert (found["subject"], found["to"]) == ("Grüße", ["user@example.org", "Second <second@example.org>"])
    assert (found["text"].strip(), found["html"].strip()) == ("plain", "<p>rich</p>")


def test_the_key_may_come_from_the_environment(relay: RelayProcess) -> None:
    relay.env["SENDRY_API_KEY"] = relay.keys["test"]
    try:
        done = relay.run("send", *ENVELOPE)
    finally:
        del relay.env["SENDRY_API_KEY"]
    assert done.stdout == b""
    assert b"queued as em_" in done.stderr


def test_an_address_beyond_ascii(relay: RelayProcess) -> None:
    done = send(relay, "--from", "ann@example.test", "--to", "jörg@example.org", "--key", relay.keys["test"], "--json")
    sent = json.loads(done.stdout)
    assert inbox(relay, sent["id"])["to"] == ["jörg@example.org"]


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (ENVELOPE, 2, "SENDRY_API_KEY"),
        ((*ENVELOPE, "--key", "sn_live_nonsense"), 1, "535 5.7.8"),
        ((*ENVELOPE, "--key", "ключ"), 1, "no API key"),
        ((*ENVELOPE, "--key", "TEST", "--to", "nobody@localhost"), 1, "5.1.3"),
        (
            (*ENVELOPE, "--key", "TEST", "--attach", "/nonexistent/file"),
            1,
            "an attachment cannot be read: /nonexistent/file: No such file or directory\n",
        ),
        ((*ENVELOPE, "--key", "TEST", "--subject", "two\nlines"), 1, "cannot be composed"),
        ((*ENVELOPE, "--key", "LIVE"), 1, "550 5.7.1"),
    ],
)
def test_what_is_refused_is_one_line(relay: RelayProcess, args: tuple[str, ...], status: int, said: str) -> None:
    keys = {"TEST": relay.keys["test"], "LIVE": relay.keys["live"]}
    assert said in fault(relay, *(keys.get(arg, arg) for arg in args), status=status)


def test_the_key_is_shown_to_nobody_but_the_relay(relay: RelayProcess, tmp_path: Path) -> None:
    with RelayProcess(tmp_path / "impostor") as impostor:
        env = {**relay.env, "SENDRYD_SMTP_LISTEN": impostor.ready["smtp"]}
        asked = RelayProcess(relay.data_dir, env)
        assert "does not present the certificate" in fault(asked, *ENVELOPE, "--key", relay.keys["test"])
        assert b"reason=" not in read_metrics(impostor)  # it was asked for nothing
        impostor.env["SENDRYD_SMTP_LISTEN"] = impostor.ready["smtp"]
        assert "535 5.7.8" in fault(impostor, *ENVELOPE, "--key", relay.keys["test"])
        assert b"reason=" in read_metrics(impostor)


def read_metrics(relay: RelayProcess) -> bytes:
    with urllib.request.urlopen(relay.ready["http"] + "/metrics", timeout=30) as response:
        return bytes(response.read())


def test_a_relay_that_does_not_run(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path / "data", {"SENDRYD_SMTP_LISTEN": "127.0.0.1:1"})
    assert f"nothing listens on 127.0.0.1:1: is `{sys.executable} -m sendryd serve` running" in fault(
        relay, *ENVELOPE, "--key", "sn_test_x"
    )
