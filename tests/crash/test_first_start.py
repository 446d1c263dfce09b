"""kill -9 at each write of the first start: the next one finishes what is half made, and nothing acknowledged is lost."""

import os
import re
import smtplib
import ssl
import sys
from collections import Counter
from pathlib import Path

import pytest

from sendryd.testing.process import RelayFailed, RelayProcess

ALL_POINTS = int(os.environ.get("SENDRYD_TEST_KILLS", "3")) >= 50  # in the soak
POINTS = 3  # else: the first, one in the middle of the database, and the last
MESSAGES = 3
CALLS = ("mkdir", "openat", "flock", "write", "writev", "pwrite64", "ftruncate", "fsync", "fdatasync", "rename", "unlink")
NAMES = ["", "serve.lock", "tls", "spool", "spool/0000000001.seg", "sendryd.db", "sendryd.db-wal", "sendryd.db-shm", "sendryd.db-journal"]
NAMES += ["sendryd.db.unfinished", "tls/cert.pem", "tls/key.pem", "tls/cert.pem.unfinished", "tls/key.pem.unfinished"]
CALL = re.compile(r"^(\d+) +(\w+)\(", re.MULTILINE)


def under_strace(directory: Path, *options: str) -> RelayProcess:
    """The program in an empty data directory, with an eye on the calls that change the files in it."""
    relay = RelayProcess(directory / "data")
    watched = [part for name in NAMES for part in ("-P", str(relay.data_dir / name))]
    command = ["strace", "-D", "-f", "-qq", "-o", str(directory / "trace"), "-e", f"trace={','.join(CALLS)}", *watched, *options]
    relay.program = [*command, *relay.program]
    return relay


def submit(relay: RelayProcess, key: str, acknowledged: list[str]) -> None:
    """Some messages, until the program is killed."""
    with smtplib.SMTP(*relay.smtp, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(relay.cert)))
        smtp.login("sendry", key)
        for number in range(MESSAGES):
            smtp.mail("hello@example.com")
            smtp.rcpt("user@example.org")
            code, reply = smtp.data(f"From: hello@example.com\r\nSubject: number {number}\r\n\r\nbody\r\n")
            assert code == 250
            acknowledged.append(reply.decode().rpartition(" ")[2])


def live(relay: RelayProcess) -> list[str]:
    """One life from an empty data directory on. Gives what was acknowledged; raises `RelayFailed` or `OSError` if it was cut off."""
    acknowledged: list[str] = []
    try:
        relay.start()
        submit(relay, relay.keys["test"], acknowledged)
        relay.stop()
    except (RelayFailed, OSError, smtplib.SMTPException):  # killed
        relay.process.wait(30)
    return acknowledged


def check(relay: RelayProcess, acknowledged: list[str]) -> None:
    """The next life: it starts, has all that was acknowledged, and takes more."""
    relay.program = [sys.executable, "-m", "sendryd"]
    relay.start()
    keys = {mode: str(relay.json("keys", "create", "--name", "later", "--mode", mode)["key"]) for mode in ("live", "test")}
    submit(relay, keys["test"], acknowledged)
    for message_id in acknowledged:
        number = message_id.removeprefix("em_")
        status, body = relay.get(f"/v1/test-emails/te_{number}", keys["live"])
        assert (status, body.get("text", "").strip()) == (200, "body"), body
    assert not [path.name for path in relay.data_dir.rglob("*.unfinished")]
    assert relay.stop() == 0
    assert "Traceback" not in relay.log_path.read_text("utf-8")


def find_points(directory: Path) -> list[tuple[str, int]]:
    """Each call of a whole life by its name and its count in its thread: strace counts so."""
    assert len(live(under_strace(directory))) == MESSAGES
    count: Counter[tuple[str, str]] = Counter()
    points: dict[tuple[str, int], None] = {}
    for thread, call in CALL.findall((directory / "trace").read_text("utf-8")):
        count[thread, call] += 1
        points[call, count[thread, call]] = None
    return list(points)


def choose(points: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Some, the last with them: there, messages have been acknowledged. Of pages written one after the other the first is enough."""
    apart = [point for before, point in zip([("", 0), *points], points, strict=False) if point[0] != before[0]]
    return [apart[index * (len(apart) - 1) // (POINTS - 1)] for index in range(POINTS)]


@pytest.mark.needs("strace")
@pytest.mark.timeout(3600 if ALL_POINTS else 280)
def test_a_first_start_that_is_killed_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "whole").mkdir()
    points = find_points(tmp_path / "whole")
    assert {"rename", "fsync", "fdatasync", "pwrite64", "mkdir"} <= {call for call, _ in points}
    chosen = points if ALL_POINTS else choose(points)
    kept = 0
    for call, number in chosen:
        directory = tmp_path / f"{call}-{number}"
        directory.mkdir()
        relay = under_strace(directory, "-e", f"inject={call}:signal=KILL:when={number}")
        acknowledged = live(relay)
        kept += len(acknowledged)
        try:
            check(relay, acknowledged)
        except RelayFailed as error:
            raise AssertionError(f"killed at {call} {number}: {error}") from error
    with capsys.disabled():
        print(f"\n{len(chosen)} of {len(points)} points of the first life killed, {kept} messages acknowledged before, 0 lost")
