"""`sendryd send`, through a relay that runs."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sendryd.testing.process import RelayProcess

pytestmark = pytest.mark.sockets
ENVELOPE = ("--from", "Ann <ann@example.test>", "--to", "user@example.org")


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    with RelayProcess(tmp_path_factory.mktemp("send") / "data") as made:
        made.env["SENDRYD_SMTP_LISTEN"] = made.ready["smtp"]
        yield made


def inbox(relay: RelayProcess, message_id: str) -> dict[str, Any]:
    status, body = relay.get(f"/v1/test-emails/{message_id}", relay.keys["test"])
    assert status == 200
    return body


def test_a_message_with_all_parts(relay: RelayProcess, tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("attached")
    parts = ("--subject", "Grüße", "--text", "plain", "--html", "<p>rich</p>", "--attach", str(file))
    sent = relay.json("send", *ENVELOPE, "--to", "Second <second@example.org>", *parts, "--key", relay.keys["test"])
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
    sent = relay.json("send", "--from", "ann@example.test", "--to", "jörg@example.org", "--key", relay.keys["test"])
    assert inbox(relay, sent["id"])["to"] == ["jörg@example.org"]


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (ENVELOPE, 2, "SENDRY_API_KEY"),
        ((*ENVELOPE, "--key", "sn_live_nonsense"), 1, "535 5.7.8"),
        ((*ENVELOPE, "--key", "ключ"), 1, "not one"),
        ((*ENVELOPE, "--key", "TEST", "--to", "nobody@localhost"), 1, "5.1.3"),
        ((*ENVELOPE, "--key", "TEST", "--attach", "/nonexistent/file"), 1, "cannot be made"),
        ((*ENVELOPE, "--key", "TEST", "--subject", "two\nlines"), 1, "cannot be made"),
        ((*ENVELOPE, "--key", "LIVE"), 1, "550 5.7.1"),
    ],
)
def test_what_is_refused_is_one_line(relay: RelayProcess, args: tuple[str, ...], status: int, said: str) -> None:
    keys = {"TEST": relay.keys["test"], "LIVE": relay.keys["live"]}
    done = relay.run("send", *(keys.get(arg, arg) for arg in args), check=False)
    assert (done.returncode, done.stdout) == (status, b"")
    assert done.stderr.count(b"\n") == 1
    assert said in done.stderr.decode()


def test_the_key_is_shown_to_nobody_but_the_relay(relay: RelayProcess, tmp_path: Path) -> None:
    with RelayProcess(tmp_path / "impostor") as impostor:
        env = {**relay.env, "SENDRYD_SMTP_LISTEN": impostor.ready["smtp"]}
        asked = RelayProcess(relay.data_dir, env)
        done = asked.run("send", *ENVELOPE, "--key", relay.keys["test"], check=False)
        assert done.returncode == 1
        assert b"does not have the certificate" in done.stderr
        assert b"reason=" not in read_metrics(impostor)  # it was asked for nothing
        impostor.env["SENDRYD_SMTP_LISTEN"] = impostor.ready["smtp"]
        done = impostor.run("send", *ENVELOPE, "--key", relay.keys["test"], check=False)
        assert b"535 5.7.8" in done.stderr
        assert b"reason=" in read_metrics(impostor)


def read_metrics(relay: RelayProcess) -> bytes:
    with urllib.request.urlopen(relay.ready["http"] + "/metrics", timeout=30) as response:
        return bytes(response.read())


def test_a_relay_that_does_not_run(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path / "data", {"SENDRYD_SMTP_LISTEN": "127.0.0.1:1"})
    done = relay.run("send", *ENVELOPE, "--key", "sn_test_x", check=False)
    assert done.returncode == 1
    assert b"nothing listens on 127.0.0.1:1: is `sendryd serve` running" in done.stderr
    assert done.stderr.count(b"\n") == 1
