"""The rows of the table of SMTP replies that ask for patience: a store that cannot be written, a disk that is full, a rate, connections."""

import resource
import smtplib
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from sendryd.testing.process import RelayProcess

AUTHOR = "hello@example.test"
RECIPIENT = "user@example.org"
CONTENT = f"From: {AUTHOR}\r\nTo: {RECIPIENT}\r\nSubject: s\r\n\r\nbody\r\n".encode()
LARGE = CONTENT + (b"z" * 70 + b"\r\n") * 3000


@contextmanager
def logged_in(relay: RelayProcess, key: str) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(*relay.smtp, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(relay.cert)))
        smtp.login("sendry", key)
        yield smtp


def submit(smtp: smtplib.SMTP, content: bytes = CONTENT) -> str:
    """One transaction; the reply to its content."""
    assert smtp.mail(AUTHOR)[0] == 250
    assert smtp.rcpt(RECIPIENT)[0] == 250
    code, text = smtp.data(content)
    return f"{code} {text.decode()}"


def readiness(relay: RelayProcess) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(relay.ready["http"] + "/readyz", timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def inbox(relay: RelayProcess) -> list[dict[str, Any]]:
    _, body = relay.get("/v1/test-emails?limit=100", relay.keys["test"])
    data: list[dict[str, Any]] = body["data"]
    return data


def test_an_unwritable_store_refuses_mail_and_fails_readiness(tmp_path: Path) -> None:
    with RelayProcess(tmp_path / "data") as relay, logged_in(relay, relay.keys["test"]) as smtp:
        assert submit(smtp).startswith("250 2.0.0 Ok: queued as em_")
        with closing(apsw.Connection(str(relay.data_dir / "sendryd.db"))) as other:
            other.set_busy_timeout(30_000)  # milliseconds: the program may be writing now
            other.execute("BEGIN IMMEDIATE")  # somebody else writes, and does not come to an end
            try:
                smtp.mail(AUTHOR)
                smtp.rcpt(RECIPIENT)
                smtp.putcmd("data")
                assert smtp.getreply()[0] == 354
                smtp.send(CONTENT + b".\r\n")
                status, reason = readiness(relay)
                code, text = smtp.getreply()
            finally:
                other.execute("ROLLBACK")
        assert (code, text[:6]) == (451, b"4.3.0 ")
        assert status == 503
        assert "the store cannot be written" in reason
        assert b"sql" not in text.lower()  # the peer gets a generic sentence
        assert submit(smtp).startswith("250 ")
        assert len(inbox(relay)) == 2
        assert readiness(relay)[0] == 200


def test_a_disk_without_room_is_told_to_the_client_and_nothing_is_half_accepted(tmp_path: Path) -> None:
    with RelayProcess(tmp_path / "data") as relay, logged_in(relay, relay.keys["test"]) as smtp:
        assert submit(smtp, LARGE).startswith("250 ")
        pid, (_, hard) = relay.process.pid, resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (400_000, hard))  # files may not grow, as when a disk or a quota is full
        replies = [submit(smtp, LARGE) for _ in range(3)]
        assert replies[-1].startswith("452 4.3.1 "), replies
        accepted = 1 + sum(reply.startswith("250 ") for reply in replies)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert submit(smtp, LARGE).startswith("250 ")
        assert len(inbox(relay)) == accepted + 1


def test_only_messages_over_the_rate_limit_get_a_temporary_refusal(tmp_path: Path) -> None:
    with RelayProcess(tmp_path / "data", {"SENDRYD_KEY_QUOTA": "2/1h"}) as relay:
        with logged_in(relay, relay.keys["test"]) as smtp:
            assert [submit(smtp)[:3] for _ in range(2)] == ["250", "250"]
            assert submit(smtp).startswith("451 4.7.1 ")
        other = relay.json("keys", "create", "--name", "other", "--mode", "test")
        with logged_in(relay, other["key"]) as smtp:  # it is each key's own
            assert submit(smtp).startswith("250 ")
        assert len(inbox(relay)) == 2


@pytest.mark.parametrize(
    ("setting", "is_logged_in"),
    [("", True), ("_PER_ADDRESS", True), ("_UNAUTHENTICATED_PER_ADDRESS", False)],
)
def test_connections_over_a_limit_are_told_to_come_later(tmp_path: Path, setting: str, is_logged_in: bool) -> None:
    with RelayProcess(tmp_path / "data", {f"SENDRYD_SMTP_MAX_CONNECTIONS{setting}": "2"}) as relay:
        held = [socket.create_connection(relay.smtp, timeout=60) for _ in range(2)]
        assert all(sock.recv(1000).startswith(b"220 ") for sock in held)
        with socket.create_connection(relay.smtp, timeout=60) as extra:
            assert extra.recv(1000).startswith(b"421 4.7.0 ")
            assert extra.recv(100) == b""
        for sock in held:
            sock.close()
        deadline = time.monotonic() + 30
        while not greeting(relay).startswith(b"220 "):
            assert time.monotonic() < deadline
        if is_logged_in:
            return
        with logged_in(relay, relay.keys["test"]), logged_in(relay, relay.keys["test"]), logged_in(relay, relay.keys["test"]) as third:
            assert third.noop()[0] == 250  # who is logged in is no stranger


def greeting(relay: RelayProcess) -> bytes:
    with socket.create_connection(relay.smtp, timeout=60) as sock:
        return sock.recv(1000)
