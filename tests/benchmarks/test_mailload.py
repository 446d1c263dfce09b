"""The load source and the next hop of `make bench`: what they count, and what they say of a server that refuses."""

import json
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sidebyside.job import free_port, listens
from sidebyside.measuring import build_tools

from sendryd.testing.waiting import wait_until

pytestmark = [pytest.mark.sockets, pytest.mark.needs("go")]
SENDER, RECIPIENT = "hello@acme.test", "user@sink.test"


@pytest.fixture(scope="module")
def mailload() -> Path:
    return build_tools()


@contextmanager
def sink(mailload: Path, port: int, *options: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen([str(mailload), "sink", "--port", str(port), *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert wait_until(lambda: listens(port))
            yield process
        finally:
            process.kill()


def report(process: "subprocess.Popen[str]") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(process.communicate(timeout=60)[0].splitlines()[-1])
    return found


def test_the_next_hop_counts_after_the_warm_up_and_knows_a_signature(mailload: Path) -> None:
    port = free_port()
    with sink(mailload, port, "--skip", "1", "--count", "3") as process, smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(SENDER, RECIPIENT, b"DKIM-Signature: v=1\r\n\r\nwarm-up\r\n")
        assert process.stdout
        assert process.stdout.readline() == "warm\n"
        client.sendmail(SENDER, RECIPIENT, b"Subject: one\r\ndkim-signature: v=1\r\n\r\n.\r\n..\r\n")
        client.sendmail(SENDER, RECIPIENT, b"Subject: two\r\n\r\nDKIM-Signature: v=1\r\n" + b"x" * 100_000 + b"\r\n")
        client.sendmail(SENDER, RECIPIENT, b"Subject: three\r\n\r\n")
        found = report(process)
    assert (found["messages"], found["signed"]) == (3, 1)


def test_the_next_hop_reports_once_no_message_comes_any_more(mailload: Path) -> None:
    port = free_port()
    with sink(mailload, port, "--count", "9", "--idle", "0.2") as process, smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(SENDER, RECIPIENT, b"Subject: one\r\n\r\n")
        assert report(process)["messages"] == 1


def test_the_load_source_reports_the_reply_of_a_server_that_refuses(mailload: Path) -> None:
    port = free_port()
    with sink(mailload, port):  # it has no TLS
        command = [str(mailload), "load", "--port", str(port), "--connections", "2", "--messages", "5", "--seconds", "0.3"]
        done = subprocess.run([*command, "--from", SENDER, "--rcpt", RECIPIENT], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert (found["acked"], found["rate"], found["last_error"]) == (0, 0, "250 2.0.0 Ok")
    assert found["errors"] >= 2


def test_the_test_of_the_disk_counts_its_syncs(mailload: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(mailload), "syncs", "--folder", str(tmp_path), "--seconds", "0.2"], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert found["syncs_per_s"] > 0
    assert found["p99_ms"] >= found["p50_ms"] > 0
    assert not list(tmp_path.iterdir())
